package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/perennial-billing/perennial/sqldb"
)

// bareRun writes what a billing run leaves behind, by hand-made SQL: of each
// renewal the invoice, the claim that paid it, the attempt, the allocation of
// the one to the other, their entries and events, and the subscription's next
// date. It reads nothing, decides nothing, asks no bank, and writes each row
// once, in the state in which it ends. Constants stand in the statements; only
// what differs between rows is sent.
type bareRun struct {
	twin    *planted
	last    atomic.Int64 // the last id given
	workers int
	batch   int
}

// Where the ids of the bare side begin: above the ids of all that is planted, or,
// for an earlier life, below them.
const (
	firstID   = 1 << 62
	earlierID = 1 << 40
)

func newBareRun(twin *planted, first int64) *bareRun {
	b := &bareRun{twin: twin, workers: 1, batch: twin.store.BatchSize()}
	b.last.Store(first)
	if twin.db.Engine() == sqldb.PostgreSQL {
		b.workers = 2 // more find no more to do: the server has its own processes
	}
	return b
}

// String says what the bare side does.
func (b *bareRun) String() string {
	how := "a prepared statement for each row"
	if b.twin.db.Engine() == sqldb.PostgreSQL {
		how = "set-based statements (unnest)"
	}
	return fmt.Sprintf("the same rows by hand-made SQL without logic, %s, transactions of %d renewals on %d connection(s)", how, b.batch, b.workers)
}

// renewal is one subscription's renewal with the ids of its rows.
type renewal struct {
	seedling
	invoice, claim, attempt, allocation, issued, approved int64
}

// bill is one transaction of renewals of one merchant.
type bill struct {
	market
	period   int
	at       int64 // the merchant's time, microseconds
	due      string
	next     string
	nextAt   int64
	renewals []renewal
}

// round writes round k.
func (b *bareRun) round(ctx context.Context, k int) error {
	work := make(chan func() error)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	faults := make([]error, b.workers)
	for i := range faults {
		workers.Go(func() {
			for do := range work {
				if err := do(); err != nil {
					faults[i] = err
					cancel()
				}
			}
		})
	}
	for i, m := range b.twin.markets {
		for due := b.twin.due[i]; len(due) > 0 && ctx.Err() == nil; {
			n := 1
			for n < min(b.batch, len(due)) && due[n].since == due[0].since {
				n++
			}
			list := due[:n]
			due = due[n:]
			if list[0].since <= k {
				work <- func() error { return b.transaction(ctx, b.bill(m, k, list)) }
			}
		}
	}
	close(work)
	workers.Wait()
	return errors.Join(faults...)
}

// bill gives the rows of some renewals of the same age their ids.
func (b *bareRun) bill(m market, k int, list []seedling) *bill {
	start := m.merchant.Start(billingDay(k))
	next := m.merchant.Start(billingDay(k + 1))
	t := &bill{
		market: m, period: k - list[0].since, at: start.UnixMicro(), due: billingDay(k).String(), next: billingDay(k + 1).String(),
		nextAt: next.UnixMicro(), renewals: make([]renewal, len(list)),
	}
	for i, s := range list {
		t.renewals[i] = renewal{
			seedling: s, invoice: b.last.Add(1), attempt: b.last.Add(1), claim: b.last.Add(1), issued: b.last.Add(1),
			allocation: b.last.Add(1), approved: b.last.Add(1),
		}
	}
	return t
}

func (b *bareRun) transaction(ctx context.Context, t *bill) error {
	err := b.twin.db.Update(ctx, func(tx *sqldb.Tx) error {
		if tx.Engine() == sqldb.SQLite {
			return t.writeRows(ctx, tx)
		}
		return t.writeSets(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("bench: the bare side: %w", err)
	}
	return nil
}

// details is what the attempt on an invoice keeps for the claim.
func details(invoice int64) string {
	return `{"creator":"system","targets":[` + strconv.FormatInt(invoice, 10) + `]}`
}
