package cashier

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// guarded is a transaction of the billing run in which a rule that breaks on
// what the rows hold is an error like any other.
func (c *Cashier) guarded(ctx context.Context, m *billing.Merchant, fn func(*store.Tx) error) error {
	return c.Store.Update(ctx, m.ID, func(tx *store.Tx) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = broken(v)
			}
		}()
		return fn(tx)
	})
}

// broken describes a panic. Of what is neither the runtime's nor a rule's own
// nothing is repeated.
func broken(v any) error {
	if e, ok := v.(runtime.Error); ok {
		return fmt.Errorf("a rule broke: %w", e)
	}
	if text, ok := v.(string); ok && (strings.HasPrefix(text, "billing: ") || strings.HasPrefix(text, "cashier: ")) {
		return errors.New("a rule broke: " + text)
	}
	return errors.New("a rule broke")
}

// sifting finds the rows that spoil a batch, so that the others go through: it
// tries halves of the batch, and halves of these, and parks the single rows that
// fail by themselves. Rows of one customer stay together as long as they can,
// because one claim covers what a customer owes.
type sifting struct {
	c     *Cashier
	m     *billing.Merchant
	queue store.Queue
	at    time.Time                            // the merchant's
	try   func([]store.Waiting) (Batch, error) // in a transaction of its own
	done  Batch                                // what was committed
}

// sift reads what is due and works through it. It returns what was committed
// even when it could not come to the end; then nothing is wrong with the rest but
// that the database failed, which the next batch will find by itself.
func (s *sifting) sift(ctx context.Context, until time.Time, latest billing.Date, limit int) (Batch, error) {
	var list []store.Waiting
	err := s.c.Store.View(ctx, s.m.ID, func(v *store.View) (err error) {
		list, err = v.Waiting(ctx, s.queue, until, latest, limit)
		return err
	})
	if err == nil && len(list) > 0 {
		err = s.part(ctx, list, errSpoilt)
	}
	if s.done.Events > 0 {
		return s.done, nil
	}
	return Batch{}, err
}

// errSpoilt stands for the reason of a batch that failed as a whole.
var errSpoilt = errors.New("the batch is spoilt")

// part works through rows that failed together for a reason.
func (s *sifting) part(ctx context.Context, list []store.Waiting, reason error) error {
	if len(list) == 1 {
		if reason == errSpoilt { //nolint:errorlint // the value itself
			return s.work(ctx, list)
		}
		return s.park(ctx, list[0], reason)
	}
	for _, half := range halves(list) {
		if err := s.work(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// work tries rows, and parts them if what they hold makes them fail.
func (s *sifting) work(ctx context.Context, list []store.Waiting) error {
	batch, err := s.try(list)
	if store.AboutRow(err) {
		return s.part(ctx, list, err)
	}
	if err == nil {
		s.done.Events += batch.Events
		s.done.Invoices += batch.Invoices
		s.done.Orders = append(s.done.Orders, batch.Orders...)
	}
	return err
}

// halves parts rows in two, between customers if there are several.
func halves(list []store.Waiting) [2][]store.Waiting {
	list = slices.Clone(list)
	first := make(map[billing.CustomerID]int)
	for i, w := range list {
		if _, seen := first[w.Customer]; !seen {
			first[w.Customer] = i
		}
	}
	slices.SortStableFunc(list, func(a, b store.Waiting) int { return first[a.Customer] - first[b.Customer] })
	middle := len(list) / 2
	for cut := middle; len(first) > 1 && cut < len(list); cut++ {
		if list[cut].Customer != list[cut-1].Customer {
			return [2][]store.Waiting{list[:cut], list[cut:]}
		}
	}
	for cut := middle; len(first) > 1 && cut > 0; cut-- {
		if list[cut].Customer != list[cut-1].Customer {
			return [2][]store.Waiting{list[:cut], list[cut:]}
		}
	}
	return [2][]store.Waiting{list[:middle], list[middle:]}
}

// park takes one row out of its queue, with the reason.
func (s *sifting) park(ctx context.Context, w store.Waiting, reason error) error {
	text := plain(reason)
	parked := false
	err := s.c.Store.Update(ctx, s.m.ID, func(tx *store.Tx) (err error) {
		if parked, err = tx.Park(ctx, s.queue, w, text, s.at); err != nil || !parked {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{{MerchantID: s.m.ID, Kind: billing.WorkParked, CustomerID: w.Customer, ObjectID: w.ID, CreatedAt: s.at}})
	})
	if err != nil {
		return err
	}
	s.done.Events++ // or another worker was first
	if parked {
		s.c.tellParked(ctx, s.m, s.queue.Noun(), w.ID, text)
	}
	return nil
}

// tellParked has the log say that work is parked.
func (c *Cashier) tellParked(ctx context.Context, m *billing.Merchant, n billing.ParkedNoun, id int64, reason string) {
	c.Log.ErrorContext(ctx, "work is parked until it is mended: see perennial parked", "merchant", m.Code, "noun", string(n), "id", id, "reason", reason)
}

// manyDigits is what may be a card or bank number.
var manyDigits = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){6,}`)

// longestReason is how many characters of a reason are kept.
const longestReason = 300

// plain is a reason in one line that holds nothing secret: a damaged row may
// hold anything, and an error may repeat it.
func plain(reason error) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, reason.Error())
	runes := []rune(manyDigits.ReplaceAllString(text, "…"))
	if len(runes) > longestReason {
		runes = append(runes[:longestReason], '…')
	}
	return string(runes)
}

// setAside parks the debts of a claim whose payment method is damaged: nothing
// was sent, nothing was declined, and no try is used up.
func (b *book) setAside(a *billing.Attempt, o billing.Outcome, why string) {
	debts := b.claimed(a)
	b.postpone(a, o)
	for i, d := range debts {
		own := d.Period >= 0 || i == 0 && !slices.ContainsFunc(debts, func(x *billing.Activity) bool { return x.Period >= 0 })
		d.CollectAt = time.Time{}
		if own {
			b.parked = append(b.parked, billing.Parked{Noun: billing.ParkedDebt, ID: int64(d.ID), CustomerID: d.CustomerID, Reason: why, Due: b.at, Since: b.at})
			b.event(billing.WorkParked, d.CustomerID, int64(d.ID))
		}
	}
}

// Release puts parked work back into its queue, and notes who did so and why.
// What was missed meanwhile is done by the next run, each billing date once; work
// that is still damaged is parked again.
func (c *Cashier) Release(ctx context.Context, m *billing.Merchant, p billing.Parked, act billing.Act) error {
	wall := c.Now()
	at := m.Now(wall)
	return c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		if err := tx.Release(ctx, p, at, wall); err != nil {
			return err
		}
		act.Act, act.Noun, act.Object, act.At = "released", string(p.Noun), p.ID, wall
		if err := tx.InsertAct(ctx, act); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{{MerchantID: m.ID, Kind: billing.WorkReleased, CustomerID: p.CustomerID, ObjectID: p.ID, CreatedAt: at}})
	})
}

func rowsOf(list []store.Waiting) []int64 {
	ids := make([]int64, len(list))
	for i, w := range list {
		ids[i] = w.ID
	}
	return ids
}

func customersOf(list []store.Waiting) []billing.CustomerID {
	ids := make([]billing.CustomerID, len(list))
	for i, w := range list {
		ids[i] = w.Customer
	}
	return ids
}
