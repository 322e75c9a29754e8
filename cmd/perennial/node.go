package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/node"
)

// nodeFile is the name of what a node keeps of the installation.
const nodeFile = "node.json"

// nodePath is where this node keeps what it knows of the books: beside the master
// key, so that it is put back with neither the one nor the other by restoring a
// database.
func (l place) nodePath() string {
	if l.NodeFile != "" {
		return l.NodeFile
	}
	return filepath.Join(filepath.Dir(l.masterKeyPath()), nodeFile)
}

// join makes this process a node on the books, and keeps it one until leave.
func (c *core) join(ctx context.Context, number int64) error {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	c.node, err = node.Join(ctx, node.Options{
		Store: c.store, Clock: c.clock, Log: c.log, File: c.place.nodePath(), Number: number,
		Name: fmt.Sprintf("%s/%d", host, os.Getpid()), Compare: c.compare,
	})
	if err != nil {
		return err
	}
	if err := c.awaitVouching(ctx); err != nil {
		return err
	}
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loop sync.WaitGroup
	loop.Go(func() { c.beat(beating) })
	c.leave = func() error {
		stop()
		loop.Wait()
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), node.Every)
		defer done()
		return c.node.Leave(ctx)
	}
	return nil
}

// awaitVouching gives nodes that are at work a moment to vouch for this one.
func (c *core) awaitVouching(ctx context.Context) error {
	ticker := time.NewTicker(node.Every / 6)
	defer ticker.Stop()
	for range 15 {
		if !c.node.Waiting() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if err := c.node.Beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beat keeps the node's right to act.
func (c *core) beat(ctx context.Context) {
	ticker := time.NewTicker(node.Every)
	defer ticker.Stop()
	again := time.NewTicker(node.Again)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			c.node.Recheck(ctx)
		case <-ticker.C:
			limited, done := context.WithTimeout(ctx, node.Trust)
			err := c.node.Beat(limited)
			done()
			if err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "the database does not answer this node", "error", err)
			}
		}
	}
}

// compare holds all books against what the processors list.
func (c *core) compare(ctx context.Context) (found node.Found, err error) {
	merchants, err := c.store.Merchants(ctx)
	if err != nil {
		return found, err
	}
	for _, m := range merchants {
		comparison, err := c.cashier.Compare(ctx, m)
		if billing.KindOf(err) == billing.Unavailable {
			continue // it has no processor, so nothing can be charged
		}
		if err != nil {
			return found, fmt.Errorf("merchant %s: %w", m.Code, err)
		}
		if !comparison.Listed {
			found.Unlisted = append(found.Unlisted, m.Code)
		}
		for _, d := range comparison.Missing {
			found.Missing = append(found.Missing, fmt.Sprintf("merchant %s: %s", m.Code, deedLine(d)))
		}
	}
	return found, nil
}
