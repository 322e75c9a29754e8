package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
)

// Embedded is a line to a bank in the same process. It behaves like one over a
// network, cut lines and all: the bank goes on with what it is doing when the
// client gives up.
func Embedded(b *Bank) http.RoundTripper { return &embedded{handler: b.Handler()} }

type embedded struct{ handler http.Handler }

// RoundTrip lets the bank's handler answer the request.
func (e *embedded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("sandbox: embedded bank: %w", err)
	}
	ctx, hangUp := context.WithCancel(r.Context())
	arrived := r.Clone(ctx)
	arrived.RequestURI, arrived.RemoteAddr = r.URL.RequestURI(), "embedded"
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	answer := &writing{header: http.Header{}}
	done := make(chan error, 1)
	go func() {
		defer func() {
			// As in net/http, a handler that panics cuts the line and does
			// not end the process.
			err := cut(recover())
			arrived.Body.Close()
			hangUp()
			done <- err
		}()
		e.handler.ServeHTTP(answer, arrived)
	}()
	select {
	case err := <-done:
		return answer.response(r, err)
	case <-r.Context().Done():
		// The handler ends by itself; it writes to nobody.
		return nil, fmt.Errorf("sandbox: embedded bank: %w", r.Context().Err())
	}
}

// cut is what the client sees of a handler that panicked, nil if it did not.
func cut(v any) error {
	switch e, fault := v.(runtime.Error); {
	case v == nil:
		return nil
	case fault:
		return fmt.Errorf("sandbox: embedded bank: %w", e)
	}
	return fmt.Errorf("sandbox: embedded bank: %w", io.ErrUnexpectedEOF)
}

// writing is the http.ResponseWriter of an embedded exchange.
type writing struct {
	header  http.Header
	sent    http.Header // as it was when the status was written
	status  int
	flushed bool // the client has seen the beginning
	body    bytes.Buffer
}

// Header is the header to be sent.
func (w *writing) Header() http.Header { return w.header }

// WriteHeader fixes status and header.
func (w *writing) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write adds to the body.
func (w *writing) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush lets the client see what was written even if the line breaks now.
func (w *writing) Flush() {
	w.WriteHeader(http.StatusOK)
	w.flushed = true
}

// response is what the client sees of the answer, whole or, with an error,
// broken off.
func (w *writing) response(r *http.Request, err error) (*http.Response, error) {
	if err != nil && !w.flushed {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	var body io.Reader = &w.body
	if err != nil {
		body = io.MultiReader(body, broken{err})
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(body), ContentLength: -1, Request: r,
	}, nil
}

// broken is a line that was cut.
type broken struct{ err error }

// Read fails.
func (b broken) Read([]byte) (int, error) { return 0, b.err }
