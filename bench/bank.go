package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// bank is a processor.Driver for a bank that costs nothing: it approves every
// charge, once for each reference, and notes it in a journal in memory. A real
// bank does its work on its own machine, so its work is no part of what is
// measured; how long it takes to answer can be.
type bank struct {
	latency time.Duration

	mu      sync.Mutex
	journal map[capture]billing.Outcome
	totals  map[string]total // by merchant
}

// capture names a line of the journal.
type capture struct{ merchant, reference string }

// total is what a merchant has captured.
type total struct{ captures, amount int64 } // minor units

func newBank(latency time.Duration) *bank {
	return &bank{latency: latency, journal: make(map[capture]billing.Outcome), totals: make(map[string]total)}
}

// Name is what the bank is called in the books.
func (b *bank) Name() string { return "bench" }

// Charge approves, and does so once.
func (b *bank) Charge(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	if b.latency > 0 {
		answer := time.NewTimer(b.latency)
		defer answer.Stop()
		select {
		case <-answer.C:
		case <-ctx.Done():
			return billing.Outcome{}, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := capture{r.Merchant, r.Reference}
	if o, ok := b.journal[key]; ok {
		return o, nil
	}
	o := billing.Outcome{
		State: billing.AttemptApproved, Response: billing.Approved, Message: "approved", ApprovalCode: "123456",
		ProcessorID: fmt.Sprintf("%012d", len(b.journal)+1), Amount: r.Amount,
	}
	b.journal[key] = o
	t := b.totals[r.Merchant]
	b.totals[r.Merchant] = total{t.captures + 1, t.amount + r.Amount.Minor()}
	return o, nil
}

// Lookup tells what became of a charge.
func (b *bank) Lookup(_ context.Context, merchant, reference string, _ time.Time) (billing.Outcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.journal[capture{merchant, reference}]
	if !ok {
		return billing.Outcome{}, processor.ErrNotFound
	}
	return o, nil
}

// errOnlyCharges is what else this bank is asked for; no bench asks for it.
var errOnlyCharges = errors.New("bench: this bank does nothing but charge")

// Void is refused.
func (b *bank) Void(context.Context, processor.Request) (billing.Outcome, error) {
	return billing.Outcome{}, errors.Join(processor.ErrRefused, errOnlyCharges)
}

// Refund is refused.
func (b *bank) Refund(context.Context, processor.Request) (billing.Outcome, error) {
	return billing.Outcome{}, errors.Join(processor.ErrRefused, errOnlyCharges)
}

// total is what a merchant has captured by the journal.
func (b *bank) total(merchant string) total {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.totals[merchant]
}
