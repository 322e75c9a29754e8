package audit

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// subscriptions reads all subscriptions with their invoices.
func (a *auditor) subscriptions(ctx context.Context) error {
	last := int64(0)
	for {
		list, err := a.view.SubscriptionsAcross(ctx, store.Page{After: last, Limit: a.page})
		if err != nil || len(list) == 0 {
			return err
		}
		ids := make([]billing.SubscriptionID, len(list))
		for i, s := range list {
			ids[i] = s.ID
		}
		invoiced, err := a.view.InvoicedPeriods(ctx, ids)
		if err != nil {
			return err
		}
		adjustments, err := a.view.AdjustmentsOf(ctx, ids)
		if err != nil {
			return err
		}
		for _, s := range list {
			a.checkPeriods(s, adjustments[s.ID], invoiced[s.ID])
			a.checkSchedule(s, adjustments[s.ID])
		}
		last = int64(list[len(list)-1].ID)
	}
}

// checkPeriods sees that each billing date that has passed has its invoice: one
// that counts, or none where the subscription was frozen or paused, or before it
// moved here from another system.
func (a *auditor) checkPeriods(s *billing.Subscription, adjustments []billing.Adjustment, invoiced []int) {
	has := make(map[int]bool, len(invoiced))
	counted := 0
	for _, k := range invoiced {
		if k >= s.Period {
			a.fault(Subscription, "subscription %d has an invoice for billing %d, which has not come", s.ID, k)
			return
		}
		has[k] = true
		if !frozen(s, adjustments, k) {
			counted++
		}
	}
	// What is issued and has no invoice was billed by another system: the first
	// billings, all before the day on which the subscription moved here.
	elsewhere := s.Issued - counted
	plausible := elsewhere == 0 || elsewhere > 0 && !s.InvoicingDate(elsewhere-1).After(a.merchant.Today(s.CreatedAt))
	for k := range elsewhere {
		plausible = plausible && !has[k]
	}
	if !plausible {
		a.fault(Subscription, "subscription %d has issued %d invoices and has %d", s.ID, s.Issued, counted)
		return
	}
	for k := elsewhere; k < s.Period; k++ {
		if !has[k] && !frozen(s, adjustments, k) && !paused(s, adjustments, k) {
			a.fault(Subscription, "subscription %d has no invoice for billing %d of %s", s.ID, k, s.BillingDate(k))
			return
		}
	}
	if s.Term == billing.Fixed && s.Issued > s.Length {
		a.fault(Subscription, "subscription %d has issued %d invoices of a term of %d", s.ID, s.Issued, s.Length)
	}
}

// frozen reports whether a freeze skips billing k.
func frozen(s *billing.Subscription, adjustments []billing.Adjustment, k int) bool {
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == billing.Freeze {
			if from, ok := s.Index(a.Effective); ok && k >= from && k < from+a.Length {
				return true
			}
		}
	}
	return false
}

// paused reports whether a pause skips billing k.
func paused(s *billing.Subscription, adjustments []billing.Adjustment, k int) bool {
	date := s.BillingDate(k)
	for i := range adjustments {
		a := &adjustments[i]
		if a.Kind == billing.Pause && !date.Before(a.Effective) && (a.End.IsZero() || date.Before(a.End)) {
			return true
		}
	}
	return false
}

// checkSchedule holds the next event of a subscription against the one that its
// state and its adjustments call for.
func (a *auditor) checkSchedule(s *billing.Subscription, adjustments []billing.Adjustment) {
	want := *s
	want.Schedule(adjustments)
	switch {
	case want.NextDate != s.NextDate || want.Adjusted != s.Adjusted:
		a.fault(Subscription, "subscription %d: its next event is on %s and should be on %s", s.ID, day(s.NextDate), day(want.NextDate))
	case s.NextAt.IsZero() && a.parked[parkedKey{billing.ParkedSubscription, int64(s.ID)}] != "":
	case s.NextDate.IsZero() != s.NextAt.IsZero():
		a.fault(Subscription, "subscription %d: its next event is on %s, and it is taken up %s", s.ID, day(s.NextDate), instant(s.NextAt))
	}
}

func day(d billing.Date) string {
	if d.IsZero() {
		return "no day"
	}
	return d.String()
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "at " + t.UTC().Format(time.RFC3339)
}

// waiting notes the work that is parked: right, as far as it goes, and in want of
// somebody who mends it.
func (a *auditor) waiting(context.Context) error {
	for _, k := range slices.SortedFunc(maps.Keys(a.parked), func(x, y parkedKey) int { return cmp.Compare(x.id, y.id) }) {
		a.note(Queues, "%s %d is parked: %s", k.noun, k.id, a.parked[k])
	}
	return nil
}

// behind is how late the billing run may be before it is worth a note.
const behind = 24 * time.Hour

// queues notes what has been due for more than a day of the merchant's clock.
// That is no fault of the books: the next run does it.
func (a *auditor) queues(ctx context.Context) error {
	work, err := a.view.Work(ctx)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		what string
		due  time.Time
	}{
		{"billings", work.Subscription}, {"settlements", work.Pending}, {"claims", work.Collect}, {"late fees and write-offs", work.Age},
		{"notices of the processor", work.Notices},
	} {
		if !q.due.IsZero() && q.due.Add(behind).Before(a.now) {
			a.note(Queues, "%s have been due since %s; the merchant's clock shows %s", q.what, q.due.Format(time.RFC3339), a.now.Format(time.RFC3339))
		}
	}
	return nil
}
