package httpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestReady(t *testing.T) {
	var clock, asked atomic.Int64
	var down atomic.Bool
	stuck := make(chan struct{})
	defer close(stuck)
	run := start(t, func(c *Config) {
		c.Now = func() time.Time { return noon().Add(time.Duration(clock.Load())) }
		c.CheckTimeout = 300 * time.Millisecond
		c.Checks = []Check{
			{"books", func(context.Context) error {
				asked.Add(1)
				if down.Load() {
					return errors.New("dial tcp 10.0.0.9: password s3cret-Pa55 refused")
				}
				return nil
			}},
			{"vault", func(context.Context) error {
				if down.Load() {
					<-stuck // ignores its context
				}
				return nil
			}},
			{"worker", func(context.Context) error {
				if down.Load() {
					panic("no worker")
				}
				return nil
			}},
		}
	}, nil)
	for range 3 {
		if res := run.do(t, "GET", "/readyz", nil, nil); res.status != 200 || res.body != "ready\n" {
			t.Fatalf("%d %q", res.status, res.body)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times within a second", n)
	}
	down.Store(true)
	clock.Store(int64(time.Second))
	res := run.do(t, "GET", "/readyz", nil, nil)
	if res.status != 503 || res.body != "not ready: books, vault, worker\n" {
		t.Errorf("%d %q", res.status, res.body)
	}
	for _, want := range []string{"books", "vault", "worker"} {
		if line, _ := run.log.next(t, "httpd: not ready"); line["check"] != want {
			t.Errorf("logged %v, want %s", line["check"], want)
		}
	}
	down.Store(false)
	clock.Store(int64(2 * time.Second))
	if res := run.do(t, "GET", "/readyz", nil, nil); res.status != 200 {
		t.Errorf("recovered, but %d", res.status)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	entered, leave := make(chan struct{}), make(chan struct{})
	run := start(t, func(c *Config) {
		c.Registry = reg
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}, map[string]http.HandlerFunc{
		"/accounts/{code}": func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("code") == "gone" {
				w.WriteHeader(http.StatusGone)
			}
		},
		"/wait": func(http.ResponseWriter, *http.Request) { close(entered); <-leave },
	})
	run.do(t, "GET", "/accounts/a", nil, nil)
	run.do(t, "GET", "/accounts/b", nil, nil)
	run.do(t, "GET", "/accounts/gone", nil, nil)
	run.do(t, "BREW", "/x", nil, nil)
	for range 4 {
		run.log.next(t, "request") // counted before it is logged
	}
	waiting := run.meanwhile(t, "/wait")
	<-entered
	page := run.do(t, "GET", "/metrics", nil, nil).body
	close(leave)
	<-waiting
	for _, want := range []string{
		`perennial_http_requests_total{method="GET",route="/accounts/{code}",status="2xx"} 2`,
		`perennial_http_requests_total{method="GET",route="/accounts/{code}",status="4xx"} 1`,
		`perennial_http_requests_total{method="other",route="unmatched",status="4xx"} 1`,
		`perennial_http_request_duration_seconds_count{method="GET",route="/accounts/{code}"} 3`,
		`perennial_http_requests_in_flight 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("/metrics lacks %s\n%s", want, page)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics lint: %v %v", problems, err)
	}
	res := run.do(t, "GET", "/metrics", http.Header{"X-Forwarded-For": {"203.0.113.5"}}, nil)
	if res.status != 404 {
		t.Errorf("a stranger reads the metrics: %d", res.status)
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", Now: noon, Registry: reg}); err == nil {
		t.Error("the same metrics registered twice")
	}
}

func TestMetricsFrom(t *testing.T) {
	run := start(t, func(c *Config) {
		c.Registry = prometheus.NewRegistry()
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.MetricsFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	}, nil)
	for from, want := range map[string]int{"203.0.113.5": 200, "10.0.0.1": 404} {
		res := run.do(t, "GET", "/metrics", http.Header{"X-Forwarded-For": {from}}, nil)
		if res.status != want {
			t.Errorf("from %s: %d, want %d", from, res.status, want)
		}
	}
}

// pair writes a fresh certificate and key as a renewal does, by moving new files over the old, and returns what a
// client needs to trust it.
func pair(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	// The handshake compares with the true time, so the true time it must be.
	cert, key, err := SelfSigned([]string{"127.0.0.1", "localhost"}, time.Now().Add(-time.Hour), 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		replace(t, filepath.Join(dir, name), data)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cert) {
		t.Fatal("no certificate in the PEM")
	}
	return pool
}

func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// shake connects trusting only pool.
func shake(t *testing.T, addr string, pool *x509.CertPool, version uint16) error {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: version}}
	conn, err := d.DialContext(patience(t), "tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	first := pair(t, dir)
	run := start(t, func(c *Config) {
		c.CertFile, c.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}, map[string]http.HandlerFunc{"/": hello})
	if err := shake(t, run.addr, first, tls.VersionTLS13); err != nil {
		t.Fatal(err)
	}

	second := pair(t, dir)
	if err := shake(t, run.addr, second, tls.VersionTLS13); err != nil {
		t.Errorf("new certificate: %v", err)
	}
	if err := shake(t, run.addr, first, tls.VersionTLS13); err == nil {
		t.Error("the old certificate is still in use")
	}
	run.log.next(t, "httpd: certificate read again")

	// A broken file, a missing file: the last good pair stays in use, and the log says so once each.
	certFile := filepath.Join(dir, "cert.pem")
	replace(t, certFile, []byte("not a certificate"))
	for range 2 {
		if err := shake(t, run.addr, second, tls.VersionTLS13); err != nil {
			t.Errorf("with a broken file: %v", err)
		}
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := shake(t, run.addr, second, tls.VersionTLS13); err != nil {
			t.Errorf("with a missing file: %v", err)
		}
	}
	third := pair(t, dir)
	if err := shake(t, run.addr, third, tls.VersionTLS13); err != nil {
		t.Errorf("after the repair: %v", err)
	}
	run.stop()
	if err := run.wait(t); err != nil {
		t.Fatal(err)
	}
	close(run.log.ch)
	var complaints, missing int
	for p := range run.log.ch {
		if strings.Contains(string(p), "keeping the certificate in use") {
			complaints++
			if strings.Contains(string(p), "no such file") {
				missing++
			}
		}
	}
	if complaints != 2 || missing != 1 {
		t.Errorf("%d complaints, %d of a missing file, want one of the broken and one of the missing", complaints, missing)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool := pair(t, dir)
	run := start(t, func(c *Config) {
		c.Listen = "0.0.0.0:0" // with a certificate any interface will do
		c.CertFile, c.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }})
	_, port, _ := net.SplitHostPort(run.addr)
	addr := net.JoinHostPort("127.0.0.1", port)
	if err := shake(t, addr, pool, tls.VersionTLS12); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if err := shake(t, addr, pool, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	for h2, proto := range map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2, DisableKeepAlives: true}
		req, err := http.NewRequestWithContext(patience(t), "GET", "https://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(body) != proto {
			t.Errorf("spoke %q, %v, want %s", body, err, proto)
		}
		if res.Header.Get("Strict-Transport-Security") == "" {
			t.Error("browsers are not told to stay with TLS")
		}
	}
}
