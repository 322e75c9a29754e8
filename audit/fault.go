package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// The checks by which faults are sorted.
const (
	Entries      = "entries"      // an activity's entries are those that it calls for
	Receivable   = "receivable"   // entries, activities and what is open say the same of a customer
	Cover        = "cover"        // an activity is what is open and what covers it
	Allocations  = "allocations"  // an allocation joins a credit with a debit of one customer
	Reversals    = "reversals"    // what is taken back and what takes it back name each other
	Claims       = "claims"       // a debt is held by an attempt under way, and by no other
	Attempts     = "attempts"     // an attempt has an outcome, and the outcome its activity
	Charged      = "charged"      // no debt was charged twice
	Lines        = "lines"        // an invoice with lines is what they come to, and numbers have no gaps
	Subscription = "subscription" // each billing date that has passed has its invoice
	Queues       = "queues"       // what is due was done
	Bank         = "bank"         // the bank says the same
)

// Fault is something in a merchant's books that is not right.
type Fault struct {
	Merchant string // code
	Check    string // one of the constants of this package
	Note     bool   // it is right, but unfinished
	Text     string // what, which and how much, in one line
}

// String is the fault in one line.
func (f Fault) String() string {
	kind := "fault"
	if f.Note {
		kind = "note"
	}
	return fmt.Sprintf("%s: %s: %s: %s", f.Merchant, kind, f.Check, f.Text)
}

// Most is how many faults each check lists; where there are more, a last one
// says so.
const Most = 1000

// pageSize is how many rows of the books are read at a time.
const pageSize = 500

// auditor reads one merchant's books.
type auditor struct {
	view     *store.View
	merchant *billing.Merchant
	wall     time.Time // the world's time
	now      time.Time // the merchant's
	faults   []Fault
	counts   map[string]int       // by check
	page     int                  // rows at a time
	parked   map[parkedKey]string // why it waits to be mended
}

// parkedKey is one piece of parked work.
type parkedKey struct {
	noun billing.ParkedNoun
	id   int64
}

func newAuditor(ctx context.Context, v *store.View, wall time.Time) (*auditor, error) {
	m, err := v.Merchant(ctx)
	if err != nil {
		return nil, err
	}
	a := &auditor{view: v, merchant: m, wall: wall, now: m.Now(wall), counts: make(map[string]int), page: pageSize, parked: make(map[parkedKey]string)}
	list, err := v.Parked(ctx)
	for _, p := range list {
		a.parked[parkedKey{p.Noun, p.ID}] = p.Reason
	}
	return a, err
}

// fault lists something that is not right.
func (a *auditor) fault(check, format string, args ...any) { a.list(check, false, format, args...) }

// note lists something that is unfinished.
func (a *auditor) note(check, format string, args ...any) { a.list(check, true, format, args...) }

func (a *auditor) list(check string, note bool, format string, args ...any) {
	key := check
	if note {
		key += " notes"
	}
	a.counts[key]++
	switch n := a.counts[key]; {
	case n <= Most:
		a.faults = append(a.faults, Fault{a.merchant.Code, check, note, fmt.Sprintf(format, args...)})
	case n == Most+1:
		a.faults = append(a.faults, Fault{a.merchant.Code, check, note, "and more, which are not listed"})
	}
}

// Books holds a merchant's books against themselves, as they are in one
// snapshot. wall is the world's time. The error is of reading, not of what was
// read.
func Books(ctx context.Context, s *store.Store, m billing.MerchantID, wall time.Time) ([]Fault, error) {
	return books(ctx, s, m, wall, pageSize)
}

func books(ctx context.Context, s *store.Store, m billing.MerchantID, wall time.Time, page int) (faults []Fault, err error) {
	err = s.View(ctx, m, func(v *store.View) error {
		a, err := newAuditor(ctx, v, wall)
		if err != nil {
			return err
		}
		a.page = page
		for _, part := range []func(context.Context) error{a.accounts, a.attempts, a.bills, a.subscriptions, a.queues, a.waiting} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		faults = a.faults // set, not added to: a view may be run again
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return faults, nil
}
