package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver is a merchant's server, for scripts.
type receiver struct {
	*httptest.Server
	status atomic.Int64
	got    chan string
}

// receiversKey finds the receivers that a script has opened.
type receiversKey struct{}

func receivers(ts *testscript.TestScript) map[string]*receiver {
	return ts.Value(receiversKey{}).(map[string]*receiver)
}

// scriptReceive opens a receiver and writes its address into files in place of
// its name, or has one answer with another status from now on.
func scriptReceive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: receive NAME STATUS [FILE...]")
	}
	status, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	r := receivers(ts)[args[0]]
	if r == nil {
		r = &receiver{got: make(chan string, 100)}
		r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(q.Body)
			if err != nil {
				return
			}
			w.WriteHeader(int(r.status.Load()))
			_, _ = w.Write([]byte("no room"))
			r.got <- q.Method + " " + q.URL.String() + " " + q.Header.Get("webhook-id") + "\n" + string(body) + "\n"
		}))
		ts.Defer(r.Close)
		receivers(ts)[args[0]] = r
		for _, name := range args[2:] {
			text := strings.ReplaceAll(ts.ReadFile(name), args[0], r.URL)
			ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
		}
	}
	r.status.Store(status)
}

// scriptReceived waits for the next request to a receiver.
func scriptReceived(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || receivers(ts)[args[0]] == nil {
		ts.Fatalf("usage: received NAME PATTERN")
	}
	select {
	case text := <-receivers(ts)[args[0]].got:
		_, err := io.WriteString(ts.Stdout(), text)
		ts.Check(err)
		if !regexp.MustCompile(args[1]).MatchString(text) {
			ts.Fatalf("received %s", text)
		}
	case <-time.After(patience):
		ts.Fatalf("nothing was received")
	}
}

// scriptUntil runs perennial until its output matches.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN ARGUMENT...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(patience); ; {
		ts.Check(ts.Exec("perennial", args[1:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it does not come to match %s", args[0])
		}
	}
}
