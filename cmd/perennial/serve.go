package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/alecthomas/kong"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// serveCommand serves in earnest.
type serveCommand struct {
	place
	serving
	Check bool `help:"Check the settings, print those that hold as a settings file without what is secret, and end."`
}

// Help is shown by perennial serve --help.
func (serveCommand) Help() string {
	return `Serves every wire that Perennial speaks on one address, and bills what falls due. Any number of servers may work on one PostgreSQL database.

Each setting is a flag, an environment variable, and a line of the settings file, where it is written with underscores: --tls-cert is tls_cert. A flag counts before the variable, and the variable before the file. A setting that the file names and that does not exist is refused.

Before the first start, make the master key (perennial keys create) and a merchant (perennial apply). SIGTERM ends the server in order: /readyz says no, requests in flight are answered, and charges under way are seen through and written down. A second signal ends it at once, and the next start clears up what was under way.

Operators ask at /healthz, /readyz and /metrics.

Examples:

  perennial serve --config /etc/perennial/perennial.yaml
  perennial serve --config perennial.yaml --check
  PERENNIAL_DB=postgres://perennial:secret@db/perennial perennial serve --listen :443 --tls-cert cert.pem --tls-key key.pem

A settings file:

  db: postgres://perennial:secret@db/perennial
  master_key_file: /etc/perennial/master.key
  listen: 0.0.0.0:443
  tls_cert: /etc/perennial/cert.pem
  tls_key: /etc/perennial/key.pem
  metrics_from: [10.0.0.0/8]`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, p *process, line *kong.Context) (err error) {
	if c.Check {
		if err := c.check(); err != nil {
			return err
		}
		return printSettings(p.stdout, line)
	}
	log := slog.New(slog.NewJSONHandler(p.stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	g, err := p.newGateway(ctx, c.place, c.serving, log)
	if err != nil {
		return err
	}
	defer closing(g, &err)
	if err := g.keepDemoInside(ctx, c.Listen); err != nil {
		return err
	}
	address, err := g.Listen(ctx)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "serving", "address", address, "books", g.place.String(), "engine", g.store.Engine().String(), "billing", c.Billing)
	if err := g.Run(ctx); err != nil {
		return err
	}
	log.InfoContext(context.WithoutCancel(ctx), "stopped")
	return nil
}

// keepDemoInside refuses to serve the demo merchant to others than this machine:
// its password is in the documentation.
func (g *gateway) keepDemoInside(ctx context.Context, listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || onThisMachine(host) {
		return nil // the listener says better what is wrong with an address
	}
	_, err = g.store.Lookup(ctx, cashier.LoginDirectory, demoUser)
	if billing.KindOf(err) == billing.NotFound {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("these books hold the demo, whose user %s has a published password, and %s can be reached by others: serve books of their own, or listen on 127.0.0.1", demoUser, listen)
	}
	return err
}
