package httpd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// noon is the clock of tests that do not care for the time.
func noon() time.Time { return time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC) }

// lines is a log that can be waited for: the line of a request is written after its answer.
type lines struct{ ch chan []byte }

func (l lines) Write(p []byte) (int, error) {
	l.ch <- bytes.Clone(p)
	return len(p), nil
}

// next returns the next line with the given message, and what it looked like.
func (l lines) next(t *testing.T, message string) (map[string]any, string) {
	t.Helper()
	ctx := patience(t)
	for {
		select {
		case p := <-l.ch:
			var line map[string]any
			if err := json.Unmarshal(p, &line); err != nil {
				t.Fatalf("log line %q: %v", p, err)
			}
			if line["msg"] == message {
				return line, string(p)
			}
		case <-ctx.Done():
			t.Fatalf("no log line %q", message)
		}
	}
}

// patience is how long a test waits for what must come.
func patience(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(stop)
	return ctx
}

// running is a server on a real port.
type running struct {
	*Server
	addr  string
	log   lines
	stop  context.CancelFunc
	ended chan error
}

// start serves on 127.0.0.1:0 with what the test wants changed and registered.
func start(t *testing.T, change func(*Config), routes map[string]http.HandlerFunc) *running {
	t.Helper()
	run := &running{log: lines{make(chan []byte, 10000)}, ended: make(chan error, 1)}
	cfg := Config{
		Listen: "127.0.0.1:0", Now: noon,
		Log: slog.New(slog.NewJSONHandler(run.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run.Server = s
	for pattern, h := range routes {
		s.Handle(pattern, h)
	}
	addr, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if addr.(*net.TCPAddr).Port == 0 {
		t.Fatalf("address %v has no real port", addr)
	}
	run.addr = addr.String()
	ctx, stop := context.WithCancel(context.Background())
	run.stop = stop
	go func() { run.ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		_ = s.Close()
	})
	return run
}

// do sends a request on a connection of its own and returns the answer with its body.
func (run *running) do(t *testing.T, method, path string, header http.Header, body io.Reader) reply {
	t.Helper()
	res := run.try(patience(t), method, path, header, body)
	if res.err != nil {
		t.Fatal(res.err)
	}
	return res
}

// reply is what came back to a request.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// meanwhile sends a GET and returns at once; the reply must be waited for.
func (run *running) meanwhile(t *testing.T, path string) <-chan reply {
	got := make(chan reply, 1)
	ctx := patience(t)
	go func() { got <- run.try(ctx, "GET", path, nil, nil) }()
	return got
}

func (run *running) try(ctx context.Context, method, path string, header http.Header, body io.Reader) reply {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+run.addr+path, body)
	if err != nil {
		return reply{err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return reply{res.StatusCode, res.Header, string(text), err}
}

func (run *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-run.ended:
		return err
	case <-patience(t).Done():
		t.Fatal("Serve did not end")
		return nil
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestConfigRefused(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	for name, tc := range map[string]struct {
		cfg  Config
		want string // part of the refusal; empty if accepted
	}{
		"loopback v4":              {Config{Listen: "127.0.0.1:80"}, ""},
		"loopback elsewhere in /8": {Config{Listen: "127.3.2.1:80"}, ""},
		"loopback v6":              {Config{Listen: "[::1]:80"}, ""},
		"localhost":                {Config{Listen: "localhost:80"}, ""},
		"every interface":          {Config{Listen: ":80"}, "in the clear"},
		"every v4 interface":       {Config{Listen: "0.0.0.0:80"}, "in the clear"},
		"private network":          {Config{Listen: "192.168.1.4:80"}, "listen on 127.0.0.1"},
		"a name":                   {Config{Listen: "billing.example:80"}, "name a certificate file"},
		"behind a proxy":           {Config{Listen: ":80", BehindProxy: true, TrustedProxies: proxies}, ""},
		"behind no known proxy":    {Config{Listen: ":80", BehindProxy: true}, "list the proxy's network"},
		"trusting the world": {
			Config{Listen: ":80", BehindProxy: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
			"choose its own address",
		},
		"trusting nothing named": {
			Config{Listen: ":80", BehindProxy: true, TrustedProxies: []netip.Prefix{{}}}, "choose its own address",
		},
		"half a certificate": {Config{Listen: ":443", CertFile: "cert.pem"}, "go together"},
		"half a key":         {Config{Listen: ":443", KeyFile: "key.pem"}, "go together"},
		"missing file":       {Config{Listen: ":443", CertFile: "nowhere/c", KeyFile: "nowhere/k"}, "certificate"},
		"no port":            {Config{Listen: "127.0.0.1"}, "not host:port"},
		"negative time":      {Config{Listen: "127.0.0.1:0", Grace: -time.Second}, "negative time"},
		"negative size":      {Config{Listen: "127.0.0.1:0", MaxBody: -1}, "negative size"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.Now = noon
			_, err := New(tc.cfg)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want a refusal with %q", err, tc.want)
			}
		})
	}
	if _, err := New(Config{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("accepted without a clock")
	}
}

func TestServeBeforeListen(t *testing.T) {
	s, err := New(Config{Listen: "127.0.0.1:0", Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil {
		t.Error("served without a port")
	}
}

func TestListenPortTaken(t *testing.T) {
	run := start(t, nil, nil)
	s, err := New(Config{Listen: run.addr, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if addr, err := s.Listen(t.Context()); err == nil {
		t.Errorf("listens on %v twice", addr)
	}
}

func TestDrainFinishesWhatIsInFlight(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	run := start(t, nil, map[string]http.HandlerFunc{"/slow": func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		if err := r.Context().Err(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "charged")
	}})
	got := run.meanwhile(t, "/slow")
	<-entered
	run.stop()
	// The port is closed as soon as connecting fails; the request is still in its handler.
	var d net.Dialer
	for ctx := patience(t); ; {
		conn, err := d.DialContext(ctx, "tcp", run.addr)
		if err != nil {
			if ctx.Err() != nil {
				t.Fatal("the port stays open")
			}
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-run.ended:
		t.Fatalf("Serve ended with a request in flight: %v", err)
	default:
	}
	close(leave)
	if r := <-got; r.status != 200 || r.body != "charged" {
		t.Errorf("request in flight got %+v", r)
	}
	if err := run.wait(t); err != nil {
		t.Errorf("clean drain: %v", err)
	}
}

func TestGraceEnds(t *testing.T) {
	entered, cut := make(chan struct{}), make(chan struct{})
	run := start(t, func(c *Config) { c.Grace = time.Millisecond }, map[string]http.HandlerFunc{
		"/stuck": func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(cut)
		},
	})
	conn := dial(t, run.addr)
	_, _ = io.WriteString(conn, "GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	run.stop()
	err := run.wait(t)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut 1 requests") {
		t.Errorf("got %v, want the request counted as cut", err)
	}
	select {
	case <-cut:
	case <-patience(t).Done():
		t.Error("the handler was not told")
	}
}

func TestNotReadyWhileDraining(t *testing.T) {
	run := start(t, func(c *Config) { c.DrainDelay = time.Hour }, map[string]http.HandlerFunc{"/": hello})
	if res := run.do(t, "GET", "/readyz", nil, nil); res.status != 200 {
		t.Fatalf("ready answers %d", res.status)
	}
	run.stop()
	run.log.next(t, "httpd: draining")
	if res := run.do(t, "GET", "/readyz", nil, nil); res.status != 503 || res.body != "not ready: draining\n" {
		t.Errorf("readyz says %d %q", res.status, res.body)
	}
	if res := run.do(t, "GET", "/healthz", nil, nil); res.status != 200 {
		t.Errorf("healthz says %d, but the process is alive", res.status)
	}
	if res := run.do(t, "GET", "/x", nil, nil); res.status != 200 || res.body != "hello" {
		t.Errorf("during the delay a request gets %d %q", res.status, res.body)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if err := run.wait(t); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestDrainDelayEnds(t *testing.T) {
	run := start(t, func(c *Config) { c.DrainDelay = time.Millisecond }, nil)
	run.stop()
	if err := run.wait(t); err != nil {
		t.Error(err)
	}
}

func TestListenerFails(t *testing.T) {
	run := start(t, nil, nil)
	_ = run.listener.Close()
	if err := run.wait(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want the listener's error", err)
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(patience(t), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// A server that fails to hang up fails the test, and does not hang it.
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSlowHeaderIsCut(t *testing.T) {
	called := atomic.Bool{}
	run := start(t, func(c *Config) { c.ReadHeaderTimeout = 20 * time.Millisecond }, map[string]http.HandlerFunc{
		"/": func(http.ResponseWriter, *http.Request) { called.Store(true) },
	})
	conn := dial(t, run.addr)
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || strings.Contains(string(answer), "200") {
		t.Errorf("slow header was answered with %q, %v", answer, err)
	}
	if called.Load() {
		t.Error("handler called")
	}
}

func TestLongHeaderIsRefused(t *testing.T) {
	run := start(t, nil, map[string]http.HandlerFunc{"/": hello})
	for size, want := range map[int]int{30 << 10: 200, 40 << 10: 431} {
		res := run.do(t, "GET", "/", http.Header{"X-Long": {strings.Repeat("a", size)}}, nil)
		if res.status != want {
			t.Errorf("header of %d bytes: %d, want %d", size, res.status, want)
		}
	}
}

// countingListener counts the bytes read from all its connections.
type countingListener struct {
	net.Listener
	read *atomic.Int64
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.read}, err
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func TestHugeBodyIsNotRead(t *testing.T) {
	const size = 10 << 20
	seen := make(chan error, 1)
	s, err := New(Config{Listen: "127.0.0.1:0", Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		seen <- err
		if IsTooLarge(err) {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}
	}))
	if _, err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	var read atomic.Int64
	addr := s.listener.Addr().String()
	s.listener = countingListener{s.listener, &read}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()

	conn := dial(t, addr)
	go func() {
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = conn.Write(make([]byte, size)) // fails when the server hangs up
	}()
	if err := <-seen; !IsTooLarge(fmt.Errorf("decode: %w", err)) {
		t.Errorf("reading the body: %v, want too large", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := read.Load(); n < 1<<20 || n > 2<<20 {
		t.Errorf("read %d bytes of %d with a limit of 1 MiB", n, size)
	}
}

func TestIsTooLargeOtherErrors(t *testing.T) {
	if IsTooLarge(nil) || IsTooLarge(io.ErrUnexpectedEOF) {
		t.Error("not every failed read is a large body")
	}
}
