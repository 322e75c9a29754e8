package httpd

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// secrets are what must never be in the log.
var secrets = []string{"4111111111111111", "s3cret-Pa55", "dXNlcjpzM2NyZXQ"}

func TestLogLine(t *testing.T) {
	clock := noon()
	run := start(t, func(c *Config) {
		c.Now = func() time.Time { clock = clock.Add(1500 * time.Microsecond); return clock }
	}, map[string]http.HandlerFunc{"/jpost/": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		note := Note(r.Context())
		note.SetRoute("/jpost/billingApi.cgi chargeByPreviousTransactionId")
		note.SetMerchant("m-17")
		note.SetLogin("ccbill12")
		note.SetOutcome("-7")
		note.Add(slog.String("subscription", "9"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "12345")
	}})
	run.do(t, "POST", "/jpost/billingApi.cgi?username=u&password=s3cret-Pa55&card=4111111111111111",
		http.Header{"Authorization": {"Basic dXNlcjpzM2NyZXQ"}, "X-Request-Id": {"call-1"}},
		strings.NewReader("cardNumber=4111111111111111"))
	line, raw := run.log.next(t, "request")
	for _, secret := range secrets {
		if strings.Contains(raw, secret) {
			t.Errorf("log line has %q: %s", secret, raw)
		}
	}
	if strings.Contains(raw, "?") {
		t.Errorf("log line has a query: %s", raw)
	}
	delete(line, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request", "id": "call-1", "method": "POST",
		"route":  "/jpost/billingApi.cgi chargeByPreviousTransactionId",
		"status": float64(202), "bytes": float64(5), "duration_us": float64(1500), "remote": "127.0.0.1",
		"merchant": "m-17", "login": "ccbill12", "outcome": "-7", "subscription": "9",
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

func TestRouteIsNeverAnAddress(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{
		"/accounts/{code}/": hello,
		"/api/":             hello,
		"/careless/": func(_ http.ResponseWriter, r *http.Request) {
			Note(r.Context()).SetRoute(r.URL.String())
		},
	})
	for _, tc := range []struct {
		method, path string
		status       int
		route        string
	}{
		{"GET", "/accounts/4111111111111111/", 200, "/accounts/{code}/"},
		{"GET", "/accounts/4111111111111111", 307, "unmatched"}, // the mux adds the slash
		{"GET", "/nowhere/4111111111111111?p=s3cret-Pa55", 404, "unmatched"},
		{"GET", "/api//x/../4111111111111111?p=s3cret-Pa55", 307, "unmatched"},
		{"BREW-4111111111111111", "/api/x", 200, "/api/"},
		{"GET", "/careless/?p=s3cret-Pa55", 200, "/careless/"},
	} {
		res := run.do(t, tc.method, tc.path, nil, nil)
		line, raw := run.log.next(t, "request")
		if res.status != tc.status || line["route"] != tc.route {
			t.Errorf("%s %s: status %d, route %q, want %d, %q",
				tc.method, tc.path, res.status, line["route"], tc.status, tc.route)
		}
		for _, secret := range secrets {
			if strings.Contains(raw, secret) {
				t.Errorf("log line has %q: %s", secret, raw)
			}
		}
	}
}

func TestDoubledSlash(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{"POST /api/v01/{rest...}": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("rest")+"?"+r.URL.RawQuery)
	}})
	res := run.do(t, "POST", "//api/v01/cust%2Fomers?a=b", nil, nil)
	if res.status != 200 || res.body != "cust/omers?a=b" {
		t.Errorf("got %d %q", res.status, res.body)
	}
}

// TestDots: nobody is sent to the address without the dots; a client that posts would not follow.
func TestDots(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{"POST /accounts/": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.EscapedPath())
	}})
	for path, want := range map[string]string{
		"/accounts/../billing_info": "/accounts/%2E%2E/billing_info", "/accounts/./x": "/accounts/%2E/x", "/accounts/x/..": "/accounts/x/%2E%2E",
		"/accounts/.a/b%2Fc": "/accounts/.a/b%2Fc", "/accounts/%2e%2e/x": "/accounts/%2e%2e/x",
	} {
		if res := run.do(t, "POST", path, nil, nil); res.status != 200 || res.body != want {
			t.Errorf("%s: %d %q, want %q", path, res.status, res.body, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{
		"/data": hello,
		"/logo.svg": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		},
		"/panic": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "session=1")
			w.Header().Set("Content-Length", "999")
			panic("boom")
		},
	})
	for path, cache := range map[string]string{"/data": "no-store", "/logo.svg": "max-age=60", "/panic": "no-store"} {
		res := run.do(t, "GET", path, nil, nil)
		for name, want := range map[string]string{
			"Cache-Control": cache, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Set-Cookie": "",
			"Strict-Transport-Security": "", // says nothing over plain HTTP
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, Note(r.Context()).ID())
	}})
	for name, tc := range map[string]struct {
		sent []string
		kept bool
	}{
		"none":            {nil, false},
		"uuid":            {[]string{"7b0f3a52-1111-4222-8333-444455556666"}, true},
		"trace":           {[]string{"a1.b2_c3"}, true},
		"empty":           {[]string{""}, false},
		"card number":     {[]string{"4111111111111111"}, false},
		"card, hyphens":   {[]string{"4111-1111-1111-1111"}, false},
		"markup":          {[]string{"<b>x</b>"}, false},
		"space":           {[]string{"a b"}, false},
		"sixty-four":      {[]string{strings.Repeat("a", 64)}, true},
		"one too long":    {[]string{strings.Repeat("a", 65)}, false},
		"two ids":         {[]string{"abc", "def"}, false},
		"not ascii":       {[]string{"grün"}, false},
		"quote and brace": {[]string{`a"}{"`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			res := run.do(t, "GET", "/", http.Header{"X-Request-Id": tc.sent}, nil)
			line, _ := run.log.next(t, "request")
			got := res.header.Get("X-Request-Id")
			if got != res.body || got != line["id"] {
				t.Errorf("answer says %q, handler %q, log %q", got, res.body, line["id"])
			}
			if kept := len(tc.sent) == 1 && got == tc.sent[0]; kept != tc.kept || got == "" {
				t.Errorf("sent %q, got %q", tc.sent, got)
			}
		})
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		seen[requestID(nil)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different ids of 1000", len(seen))
	}
}

func TestPanicIsIsolated(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{
		"/value": func(http.ResponseWriter, *http.Request) { panic("card 4111111111111111") },
		"/index": func(_ http.ResponseWriter, r *http.Request) {
			parts := strings.Split(r.URL.Path, "/")
			_ = parts[len(parts)+4]
		},
		"/half": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half an ans")
			_ = http.NewResponseController(w).Flush()
			panic(errors.New("4111111111111111"))
		},
		"/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"/fine":  hello,
	})
	for path, text := range map[string]string{
		"/value": "a string, text withheld", "/index": "runtime error: index out of range [6] with length 2",
	} {
		res := run.do(t, "GET", path, nil, nil)
		id := res.header.Get("X-Request-Id")
		if res.status != 500 || !strings.Contains(res.body, id) || id == "" {
			t.Errorf("%s: %d %q", path, res.status, res.body)
		}
		line, raw := run.log.next(t, "httpd: panic")
		if line["id"] != id || line["panic"] != text || line["level"] != "ERROR" {
			t.Errorf("%s logged as %v", path, line)
		}
		if stack, _ := line["stack"].(string); !strings.Contains(stack, "request_test.go") {
			t.Errorf("%s: the stack does not show the place: %q", path, stack)
		}
		if strings.Contains(raw, "4111") {
			t.Errorf("%s: the panic's text is logged: %s", path, raw)
		}
		if line, _ := run.log.next(t, "request"); line["status"] != float64(500) || line["outcome"] != "panic" {
			t.Errorf("%s: request line %v", path, line)
		}
	}
	for path, panics := range map[string]bool{"/half": true, "/abort": false} {
		conn := dial(t, run.addr)
		_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || strings.HasSuffix(string(answer), "0\r\n\r\n") || strings.Contains(string(answer), "500") {
			t.Errorf("%s: answer looks whole: %q, %v", path, answer, err)
		}
		if panics {
			run.log.next(t, "httpd: panic")
		}
		if line, _ := run.log.next(t, "request"); line["cut"] != true {
			t.Errorf("%s: request line %v", path, line)
		}
	}
	if res := run.do(t, "GET", "/fine", nil, nil); res.status != 200 || res.body != "hello" {
		t.Errorf("after the panics: %d %q", res.status, res.body)
	}
	if n := run.inFlight.Load(); n != 0 {
		t.Errorf("%d requests still counted as in flight", n)
	}
}

func TestTooManyAtOnce(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	run := start(t, func(c *Config) { c.MaxInFlight = 2 }, map[string]http.HandlerFunc{
		"/": func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-leave },
	})
	var within []<-chan reply
	for range 2 {
		within = append(within, run.meanwhile(t, "/"))
		<-entered
	}
	res := run.do(t, "GET", "/", nil, nil)
	if res.status != 503 || res.header.Get("Retry-After") != "1" {
		t.Errorf("third request: %d, Retry-After %q", res.status, res.header.Get("Retry-After"))
	}
	if line, _ := run.log.next(t, "request"); line["outcome"] != "overloaded" || line["route"] != "/" {
		t.Errorf("request line %v", line)
	}
	if res := run.do(t, "GET", "/readyz", nil, nil); res.status != 200 {
		t.Errorf("operators' pages are refused too: %d", res.status)
	}
	close(leave)
	for _, got := range within {
		if r := <-got; r.status != 200 {
			t.Errorf("request within the limit: %+v", r)
		}
	}
	if res := run.do(t, "GET", "/", nil, nil); res.status != 200 {
		t.Errorf("after the rush: %d", res.status)
	}
}

func TestBodyLimitIsConfigurable(t *testing.T) {
	run := start(t, func(c *Config) { c.MaxBody = 10 }, map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); IsTooLarge(err) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			}
		},
	})
	for body, want := range map[string]int{"0123456789": 200, "0123456789a": 413} {
		if res := run.do(t, "POST", "/", nil, strings.NewReader(body)); res.status != want {
			t.Errorf("body of %d bytes: %d, want %d", len(body), res.status, want)
		}
	}
}

func TestInterimStatusIsNotTheAnswer(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNotFound)
	}})
	run.do(t, "GET", "/", nil, nil)
	if line, _ := run.log.next(t, "request"); line["status"] != float64(404) {
		t.Errorf("logged as %v", line["status"])
	}
}

func TestForwardedAddress(t *testing.T) {
	var got atomic.Value
	run := start(t, func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, map[string]http.HandlerFunc{"/": func(_ http.ResponseWriter, r *http.Request) { got.Store(Remote(r)) }})
	run.do(t, "GET", "/", http.Header{"X-Forwarded-For": {"1.1.1.1, 203.0.113.9"}}, nil)
	if ip := got.Load().(netip.Addr); ip != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("handler sees %v", ip)
	}
	if line, _ := run.log.next(t, "request"); line["remote"] != "203.0.113.9" {
		t.Errorf("log says %v", line["remote"])
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tc := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.1:999", nil, "203.0.113.1"},
		{"stranger claims", "203.0.113.1:999", []string{"127.0.0.1"}, "203.0.113.1"},
		{"one proxy", "10.0.0.1:999", []string{"203.0.113.1"}, "203.0.113.1"},
		{"client claims", "10.0.0.1:999", []string{"127.0.0.1, 203.0.113.1"}, "203.0.113.1"},
		{"client claims to be a proxy", "10.0.0.1:999", []string{"10.9.9.9, 203.0.113.1"}, "203.0.113.1"},
		{"two proxies", "10.0.0.1:999", []string{"203.0.113.1, 10.0.0.2"}, "203.0.113.1"},
		{"two headers", "10.0.0.1:999", []string{"198.51.100.1", "203.0.113.1, 10.0.0.2"}, "203.0.113.1"},
		{"only proxies", "10.0.0.1:999", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"no header", "10.0.0.1:999", nil, "10.0.0.1"},
		{"empty header", "10.0.0.1:999", []string{""}, "10.0.0.1"},
		{"nonsense", "10.0.0.1:999", []string{"203.0.113.1, unknown"}, "10.0.0.1"},
		{"nonsense to the left", "10.0.0.1:999", []string{"unknown, 203.0.113.1"}, "203.0.113.1"},
		{"with ports", "10.0.0.1:999", []string{"203.0.113.1:55, 10.0.0.2:66"}, "203.0.113.1"},
		{"v6", "[fd00::1]:999", []string{"2001:db8::1"}, "2001:db8::1"},
		{"v6 brackets", "[fd00::1]:999", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"v6 brackets and port", "[fd00::1]:999", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"v4 in v6", "[::ffff:10.0.0.1]:999", []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"zone", "[fe80::1%eth0]:999", nil, "fe80::1"},
		{"no network", "@", []string{"203.0.113.1"}, "invalid IP"},
	} {
		if got := clientAddr(tc.peer, tc.forwarded, trusted).String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestOutsideARequest(t *testing.T) {
	note := Note(t.Context())
	note.SetRoute("x") // harmless
	if note.ID() != "" {
		t.Error("an id without a request")
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.RemoteAddr = "203.0.113.1:4"
	if ip := Remote(r); ip != netip.MustParseAddr("203.0.113.1") {
		t.Errorf("remote is %v", ip)
	}
}

func TestNotesAreClipped(t *testing.T) {
	rec := &Record{}
	rec.SetLogin(strings.Repeat("a", 99) + "ü" + strings.Repeat("b", 1<<20))
	if attrs := rec.notes(); len(attrs) != 1 || attrs[0].Value.String() != strings.Repeat("a", 99) {
		t.Errorf("notes: %v", attrs)
	}
}

func TestServerErrorsGoToTheLog(t *testing.T) {
	log := lines{make(chan []byte, 10)}
	e := errorLog{slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	_, _ = io.WriteString(e, "http: Accept error: too many open files; retrying in 5ms\n")
	line, _ := log.next(t, "httpd: Accept error: too many open files; retrying in 5ms")
	if line["level"] != "WARN" {
		t.Errorf("level %v", line["level"])
	}
	_, _ = io.WriteString(e, "http: TLS handshake error from 203.0.113.1:5: EOF\n")
	if line, _ = log.next(t, "httpd: TLS handshake error from 203.0.113.1:5: EOF"); line["level"] != "DEBUG" {
		t.Errorf("level %v", line["level"])
	}
}
