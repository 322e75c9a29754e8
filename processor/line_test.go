package processor

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
)

func TestLineNeverSent(t *testing.T) {
	cutting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer cutting.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := []struct {
		name, url string
		want      bool
	}{
		{"nobody listens", gone.URL, true},
		{"cut", cutting.URL, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l Line
			r, err := http.NewRequestWithContext(l.Watch(t.Context()), http.MethodPost, tt.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			if got := l.NeverSent(err); got != tt.want {
				t.Errorf("NeverSent(%v) = %v, want %v", err, got, tt.want)
			}
		})
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	var l Line
	l.connected.Store(true)
	if l.NeverSent(refused) {
		t.Error("a second connection that is refused proves nothing about the first")
	}
	if new(Line).NeverSent(errors.New("EOF")) {
		t.Error("an error that is not of dialling proves nothing")
	}
}
