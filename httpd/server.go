package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// Server is the listener with everything registered on it. Its life is New, Handle, Listen, Serve, once each but
// Handle. As an [http.Handler] it does all it does to a request without the network, which is what tests need.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	http     *http.Server
	listener net.Listener
	ready    *readiness
	metrics  *metrics
	inFlight atomic.Int64
	draining atomic.Bool
}

// New checks the configuration and makes a server that has the operators' pages (/healthz, /readyz, /metrics) and no
// other. It refuses plain HTTP that others could read, with a text that says what to do, and a certificate that
// cannot be loaded.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeader,
		ErrorLog:          log.New(errorLog{cfg.Log}, "", 0),
	}
	if cfg.encrypted() {
		certs, err := loadCertificates(cfg.CertFile, cfg.KeyFile, cfg.Log)
		if err != nil {
			return nil, err
		}
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get}
	}
	s.ready = &readiness{checks: cfg.Checks, timeout: cfg.CheckTimeout, now: cfg.Now, log: cfg.Log}
	if err := s.addOperatorPages(); err != nil {
		return nil, err
	}
	return s, nil
}

// Handle registers a handler for a pattern of [http.ServeMux], to be called before Serve. The pattern is the route of
// its requests in log and metrics until the handler notes a finer one. A handler that serves pages replaces the
// headers meant for answers of an API, above all Content-Security-Policy and Cache-Control. Like the mux, Handle
// panics on a pattern that is malformed or in conflict with another, which is a mistake in the program.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		rec := Note(r.Context())
		rec.SetRoute(pattern)
		if s.inFlight.Add(1) > int64(s.cfg.MaxInFlight) {
			s.inFlight.Add(-1)
			rec.SetOutcome("overloaded")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once, try again", http.StatusServiceUnavailable)
			return
		}
		defer s.inFlight.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// Listen opens the port and returns the address with the real port number. Connections wait until Serve.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("httpd: listen: %w", err)
	}
	// The name localhost was taken at its word; here is what it came to.
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !s.cfg.encrypted() && !s.cfg.BehindProxy && !tcp.IP.IsLoopback() {
		_ = l.Close()
		return nil, fmt.Errorf("httpd: refusing plain HTTP on %q, which is %v: %w", s.cfg.Listen, tcp, errPlain)
	}
	s.listener = l
	return l.Addr(), nil
}

// Serve answers requests until ctx is done, then drains: /readyz says no, after the drain delay the port is closed,
// and requests in flight have the grace period to finish. It returns nil after a clean drain or Close, and an error
// if the listener failed or requests had to be cut. The context of a request outlives ctx: it is cancelled only when
// the request is cut or its client goes away.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("httpd: Serve called before Listen")
	}
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s.http.BaseContext = func(net.Listener) context.Context { return base }

	ended := make(chan error, 1)
	go func() { ended <- s.accept() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	return s.drain(base, ended)
}

// Close ends Serve at once and cuts every request, for a stop that cannot wait.
func (s *Server) Close() error {
	if err := s.http.Close(); err != nil {
		return fmt.Errorf("httpd: close: %w", err)
	}
	return nil
}

// accept runs the standard server until it is shut down or closed.
func (s *Server) accept() error {
	var err error
	if s.cfg.encrypted() {
		err = s.http.ServeTLS(s.listener, "", "") // the certificate comes from TLSConfig
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("httpd: serve: %w", err)
}

// drain ends the service politely, as Serve describes.
func (s *Server) drain(base context.Context, ended <-chan error) error {
	s.draining.Store(true)
	s.cfg.Log.LogAttrs(base, slog.LevelInfo, "httpd: draining", slog.Int64("in_flight", s.inFlight.Load()))
	if s.cfg.DrainDelay > 0 {
		// Answers now carry "Connection: close", so that kept connections move elsewhere too.
		s.http.SetKeepAlivesEnabled(false)
		delay, stop := context.WithTimeout(base, s.cfg.DrainDelay)
		defer stop()
		select {
		case err := <-ended:
			return err
		case <-delay.Done():
		}
	}
	grace, stop := context.WithTimeout(base, s.cfg.Grace)
	defer stop()
	if err := s.http.Shutdown(grace); err != nil {
		left := s.inFlight.Load()
		err = fmt.Errorf("httpd: cut %d requests that were not finished %v after the stop: %w", left, s.cfg.Grace, err)
		return errors.Join(err, s.http.Close(), <-ended)
	}
	return <-ended
}

// errorLog passes the standard server's own complaints on to slog. Failed TLS handshakes are what every scanner of the
// internet leaves behind, so they do not warn.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	text := strings.TrimSpace(string(line))
	if strings.Contains(text, "TLS handshake error") {
		level = slog.LevelDebug
	}
	e.log.LogAttrs(context.Background(), level, "httpd: "+strings.TrimPrefix(text, "http: "))
	return len(line), nil
}
