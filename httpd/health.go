package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must work for this node to be of use, like its database. Ask returns nil if it does. The
// name is shown to whoever asks; the error goes to the log only. Ask should end when its context does; if it does not,
// it counts as failed and is left to itself.
type Check struct {
	Name string
	Ask  func(context.Context) error
}

// ask is Ask whose panic, on a goroutine of its own, does not end the process.
func (c Check) ask(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic with a %T", v)
		}
	}()
	return c.Ask(ctx)
}

// nearby are the networks that may read the metrics unless the configuration names others.
var nearby = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
}

// addOperatorPages registers the pages that are answered even when the house is full.
func (s *Server) addOperatorPages() error {
	s.operatorPage("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusOK, "ok\n")
	})
	s.operatorPage("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		failing := s.ready.failing(r.Context())
		if s.draining.Load() {
			failing = append([]string{"draining"}, failing...)
		}
		if len(failing) > 0 {
			plainText(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(failing, ", ")+"\n")
			return
		}
		plainText(w, http.StatusOK, "ready\n")
	})
	if s.cfg.Registry == nil {
		return nil
	}
	var err error
	if s.metrics, err = newMetrics(s.cfg.Registry, &s.inFlight); err != nil {
		return err
	}
	allowed := s.cfg.MetricsFrom
	if len(allowed) == 0 {
		allowed = nearby
	}
	page := promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{})
	s.operatorPage("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !within(Remote(r), allowed) {
			http.NotFound(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
	return nil
}

func (s *Server) operatorPage(pattern string, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		rec := Note(r.Context())
		rec.SetRoute(pattern)
		rec.quiet = true
		h(w, r)
	})
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a client that went away needs no answer
}

// readiness asks the checks, at most once a second however often it is asked itself: the page is open to everyone and
// must not become a way to keep the database busy.
type readiness struct {
	checks  []Check
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	asked time.Time
	last  []string
}

// failing returns the names of the checks that fail, in the order in which they are listed.
func (rd *readiness) failing(ctx context.Context) []string {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	now := rd.now()
	if rd.asked.IsZero() || now.Sub(rd.asked) >= time.Second || now.Before(rd.asked) {
		// The answer is for everyone who waits, so it must not fail because one of them hung up.
		rd.last = rd.round(context.WithoutCancel(ctx))
		rd.asked = now
	}
	return rd.last
}

// round asks all checks at once and waits until the last has answered or the time is up.
func (rd *readiness) round(ctx context.Context) []string {
	ctx, stop := context.WithTimeout(ctx, rd.timeout)
	defer stop()
	answers := make([]chan error, len(rd.checks))
	for i, c := range rd.checks {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- c.ask(ctx) }()
	}
	var failing []string
	for i, c := range rd.checks {
		var err error
		select {
		case err = <-answers[i]:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			failing = append(failing, c.Name)
			rd.log.LogAttrs(ctx, slog.LevelWarn, "httpd: not ready",
				slog.String("check", c.Name), slog.String("error", err.Error()))
		}
	}
	return failing
}
