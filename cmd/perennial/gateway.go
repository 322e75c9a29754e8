package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

// gateway is a server: the parts that bill, the wires, the listener and the
// billing run. Its life is newGateway, Listen, Run, Close.
type gateway struct {
	*core
	billing bool
	courier *notify.Courier // nil if other servers tell of events
	server  *httpd.Server
	address string // of the listener, as a URL; "" before Listen
	scheme  string
}

// newGateway puts a server together. Its books are begun and migrated if need be.
func (p *process) newGateway(ctx context.Context, l place, s serving, log *slog.Logger) (*gateway, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	m := newMetrics(p.now)
	c, err := p.openCore(ctx, coreOptions{
		place: l, Create: true, MaxConns: s.MaxConns, Node: s.Node, Timeout: s.ProcessorTimeout, InFlight: s.BillingInFlight,
		Poll: s.BillingPoll, Log: log, Progress: m.progressed, Observe: m.observed, Answered: m.answered,
	})
	if err != nil {
		return nil, err
	}
	m.watch(c.store, log)
	g := &gateway{core: c, billing: s.Billing, scheme: "http"}
	if s.TLSCert != "" {
		g.scheme = "https"
	}
	if s.Webhooks {
		g.courier, err = notify.New(notify.Options{
			Store: c.store, Cashier: c.cashier, Now: c.now, Log: log, Forms: forms(), Allow: s.WebhookAllow, InFlight: s.WebhooksInFlight,
			Keep: s.WebhookKeep, Sent: m.told, Ready: c.ready,
		})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	g.server, err = httpd.New(httpd.Config{
		Listen: s.Listen, CertFile: s.TLSCert, KeyFile: s.TLSKey, BehindProxy: s.BehindProxy, TrustedProxies: s.TrustedProxies,
		MetricsFrom: s.MetricsFrom, DrainDelay: s.DrainDelay, Grace: s.Grace, MaxBody: s.MaxBody, MaxInFlight: s.MaxInFlight,
		Now: p.now, Log: log, Registry: m.registry, Checks: c.checks(),
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, wire := range c.dialects(s) {
		g.server.Handle(wire.pattern, wire.handler)
	}
	return g, nil
}

// checks are what /readyz asks.
func (c *core) checks() []httpd.Check {
	return []httpd.Check{
		{Name: "books", Ask: c.store.Ping},
		{Name: "schema", Ask: func(ctx context.Context) error {
			ready, err := c.store.Migrated(ctx)
			if err == nil && !ready {
				err = errors.New("the books are of an earlier version")
			}
			return err
		}},
		{Name: "master key", Ask: c.checkNewest},
		{Name: "installation", Ask: c.ready},
		{Name: "sandbox bank", Ask: func(ctx context.Context) error {
			if c.bankDB == nil {
				return nil // a process of its own, which others than test merchants do not need
			}
			return c.bankDB.Ping(ctx)
		}},
	}
}

// checkNewest asks whether the master key opens the merchant that was made last:
// somebody else may have made it, with another key.
func (c *core) checkNewest(ctx context.Context) error {
	ids, err := c.store.MerchantIDs(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	var m *billing.Merchant
	err = c.store.View(ctx, ids[len(ids)-1], func(v *store.View) error {
		m, err = v.Merchant(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return c.opens(m)
}

// Listen opens the port. Clients may connect from here on, and are answered once
// Run runs. It returns the base address of the server.
func (g *gateway) Listen(ctx context.Context) (string, error) {
	address, err := g.server.Listen(ctx)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return "", fmt.Errorf("the listener's address: %w", err)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	g.address = g.scheme + "://" + net.JoinHostPort(host, port)
	return g.address, nil
}

// Run serves, bills and tells of events until ctx is done, and then ends in order: requests in
// flight are answered, and charges that are under way are seen through and
// written down, messages too. If the listener fails, everything ends.
func (g *gateway) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	var billed error
	if g.billing {
		parts.Go(func() { billed = g.runner.Run(ctx) })
	}
	var told error
	if g.courier != nil {
		parts.Go(func() { told = g.courier.Run(ctx) })
	}
	parts.Go(func() { g.scrub(ctx) })
	served := g.server.Serve(ctx)
	stop()
	parts.Wait()
	return errors.Join(served, billed, told)
}

// scrubEvery is how often the server looks whether somebody was erased whose bytes
// are still in the file.
const scrubEvery = time.Hour

// scrub rewrites the file when somebody was erased.
func (g *gateway) scrub(ctx context.Context) {
	ticker := time.NewTicker(scrubEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if done, err := g.store.Scrub(ctx); err != nil {
				g.log.ErrorContext(ctx, "the bytes of who was erased are still in the database: it is tried again in an hour", "error", err)
			} else if done {
				g.log.InfoContext(ctx, "the database was rewritten without the bytes of who was erased")
			}
		}
	}
}
