package httpd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where the listener listens and what it allows. A limit left at zero takes the default named at its
// field; a negative one is refused. Only Listen and Now are required.
type Config struct {
	// Listen is host:port. An empty host means every interface, port 0 any free port.
	Listen string

	// CertFile and KeyFile name the PEM files of the TLS certificate (with its chain) and its key: both or neither.
	// They are read again when they change.
	CertFile, KeyFile string

	// BehindProxy allows plain HTTP on any interface because a proxy in front ends TLS. It needs TrustedProxies.
	BehindProxy bool

	// TrustedProxies are the networks whose X-Forwarded-For is believed; from anyone else it is ignored.
	TrustedProxies []netip.Prefix

	// MetricsFrom are the networks that may read /metrics; others get 404. Empty means loopback and private networks.
	MetricsFrom []netip.Prefix

	ReadHeaderTimeout time.Duration // whole request header; default 5 s
	ReadTimeout       time.Duration // whole request; default 30 s
	WriteTimeout      time.Duration // from the end of the header to the end of the answer; default 120 s
	IdleTimeout       time.Duration // a kept connection without a request; default 120 s
	CheckTimeout      time.Duration // one round of readiness checks; default 2 s

	// DrainDelay is how long the listener still accepts after it was told to stop and /readyz already says no, so
	// that load balancers can turn away first. Default none.
	DrainDelay time.Duration

	// Grace is how long requests in flight may take to finish after the listener stopped accepting; default 30 s.
	Grace time.Duration

	MaxHeader   int   // bytes of request line and header; default 32 KiB (net/http reads up to 4 KiB more)
	MaxBody     int64 // bytes of a request body; default 1 MiB
	MaxInFlight int   // requests served at once, beyond which 503 is answered; default 1000

	// Now is the clock, used for durations in the log and metrics. Required.
	Now func() time.Time

	// Log takes the request lines and the listener's own messages. Nil discards them.
	Log *slog.Logger

	// Registry takes the metrics and is what /metrics shows. Nil means no metrics and no such page.
	Registry *prometheus.Registry

	// Checks are what /readyz asks.
	Checks []Check
}

// errPlain is the refusal to carry card numbers in the clear.
var errPlain = errors.New("card numbers and passwords would travel in the clear: " +
	"name a certificate file and a key file, or listen on 127.0.0.1, " +
	"or, if a proxy in front ends TLS, say so (behind proxy) and list its network (trusted proxies)")

// encrypted says whether the listener itself ends TLS.
func (c *Config) encrypted() bool { return c.CertFile != "" }

// check refuses a configuration that cannot be meant.
func (c *Config) check() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("httpd: listen address %q is not host:port: %w", c.Listen, err)
	}
	if c.Now == nil {
		return errors.New("httpd: no clock given")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("httpd: a certificate file and a key file go together, only one is named")
	}
	if !c.encrypted() && !c.BehindProxy && !isLoopback(host) {
		return fmt.Errorf("httpd: refusing plain HTTP on %q: %w", c.Listen, errPlain)
	}
	if c.BehindProxy && len(c.TrustedProxies) == 0 {
		return errors.New("httpd: behind a proxy every caller would seem to have the proxy's address: " +
			"list the proxy's network (trusted proxies)")
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() || p.Bits() == 0 {
			return fmt.Errorf("httpd: trusted proxies %v would let any caller choose its own address", p)
		}
	}
	for _, d := range []time.Duration{
		c.ReadHeaderTimeout, c.ReadTimeout, c.WriteTimeout, c.IdleTimeout, c.CheckTimeout, c.DrainDelay, c.Grace,
	} {
		if d < 0 {
			return fmt.Errorf("httpd: negative time limit %v", d)
		}
	}
	if c.MaxHeader < 0 || c.MaxBody < 0 || c.MaxInFlight < 0 {
		return errors.New("httpd: negative size limit")
	}
	return nil
}

// setDefaults fills the limits that were left at zero.
func (c *Config) setDefaults() {
	orDefault(&c.ReadHeaderTimeout, 5*time.Second)
	orDefault(&c.ReadTimeout, 30*time.Second)
	orDefault(&c.WriteTimeout, 120*time.Second)
	orDefault(&c.IdleTimeout, 120*time.Second)
	orDefault(&c.CheckTimeout, 2*time.Second)
	orDefault(&c.Grace, 30*time.Second)
	orDefault(&c.MaxHeader, 32<<10)
	orDefault(&c.MaxBody, 1<<20)
	orDefault(&c.MaxInFlight, 1000)
	orDefault(&c.Log, slog.New(slog.DiscardHandler))
}

// orDefault sets *p to value if it is zero.
func orDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// isLoopback says whether a listen host is this machine alone. A name other than localhost is not trusted to be: what
// it resolves to may change.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
