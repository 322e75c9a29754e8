package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// ServeHTTP passes one request through all the package comment describes.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.cfg.Now()
	rec := &Record{id: requestID(r.Header.Values("X-Request-Id"))}
	rec.remote = clientAddr(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), s.cfg.TrustedProxies)
	a := &answer{ResponseWriter: w}

	r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
	// The reader gets the standard writer, not ours, because it tells that one to close the connection when the body
	// is too large, instead of reading on in search of the next request.
	r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
	trimSlashes(r)
	keepDots(r)
	s.setHeaders(a.Header(), rec)

	cut := s.route(a, r, rec)
	s.finish(r, a, rec, s.cfg.Now().Sub(began), cut)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// trimSlashes makes //api of a base address that ends in a slash the same as /api. The mux would redirect instead,
// which clients that post do not follow.
func trimSlashes(r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "//") {
		return
	}
	u := *r.URL
	u.Path = "/" + strings.TrimLeft(u.Path, "/")
	if u.RawPath != "" {
		u.RawPath = "/" + strings.TrimLeft(u.RawPath, "/")
	}
	r.URL = &u
}

// keepDots escapes the dots of segments that are nothing else, so that the mux does not redirect to the address without
// them: clients that post do not follow, and a handler for which .. is somebody's name says itself that there is no such.
func keepDots(r *http.Request) {
	path := r.URL.EscapedPath()
	if !strings.Contains(path, "/.") {
		return
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if s == "." || s == ".." {
			segments[i] = strings.ReplaceAll(s, ".", "%2E")
		}
	}
	u := *r.URL
	u.RawPath = strings.Join(segments, "/")
	r.URL = &u
}

// setHeaders sets what every answer carries unless its handler says otherwise: nobody may guess its type, keep it,
// frame it, or tell others the address it came from.
func (s *Server) setHeaders(h http.Header, rec *Record) {
	h.Set("X-Request-Id", rec.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if s.cfg.encrypted() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// route has the request answered and turns a panic into a 500. It reports whether the connection must be cut because
// the handler asked for it, or because half an answer is already on its way and must not look whole.
func (s *Server) route(a *answer, r *http.Request, rec *Record) (cut bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			cut = true
			return
		}
		s.logPanic(r.Context(), rec, v)
		rec.SetOutcome("panic")
		if a.status != 0 {
			cut = true
			return
		}
		clear(a.Header())
		s.setHeaders(a.Header(), rec)
		http.Error(a, "internal error, request "+rec.id, http.StatusInternalServerError)
	}()
	s.mux.ServeHTTP(a, r)
	return false
}

// logPanic writes the stack, which holds no values. Of the panic itself it writes the text only if the runtime made
// it: any other may have been built from the request, and a request may hold a card number.
func (s *Server) logPanic(ctx context.Context, rec *Record, v any) {
	text := fmt.Sprintf("a %T, text withheld", v)
	if err, ok := v.(runtime.Error); ok {
		text = err.Error()
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelError, "httpd: panic",
		slog.String("id", rec.id),
		slog.String("route", rec.routeOr("unmatched")),
		slog.String("panic", text),
		slog.String("stack", string(debug.Stack())))
}

// finish writes the one line and counts the request.
func (s *Server) finish(r *http.Request, a *answer, rec *Record, took time.Duration, cut bool) {
	if a.status == 0 && !cut {
		a.status = http.StatusOK // a handler that wrote nothing: net/http answers for it
	}
	route, method := rec.routeOr("unmatched"), knownMethod(r.Method)
	s.metrics.count(route, method, a.status, took)

	level := slog.LevelInfo
	switch {
	case rec.quiet:
		level = slog.LevelDebug
	case a.status >= http.StatusInternalServerError || cut:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("id", rec.id),
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", a.status),
		slog.Int64("bytes", a.bytes),
		slog.Int64("duration_us", took.Microseconds()),
		slog.String("remote", rec.remote.String()),
	}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", append(attrs, rec.notes()...)...)
}

// knownMethod keeps the words a client can put into log and metrics to those of HTTP.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return "other"
}

// IsTooLarge says whether reading a request body failed because it is larger than the limit; the dialect answers 413
// or what its tongue has for that.
func IsTooLarge(err error) bool {
	var large *http.MaxBytesError
	return errors.As(err, &large)
}

// answer notes what is written through it. status stays 0 until a final status is written.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the standard writer, for flushing and deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
