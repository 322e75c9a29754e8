package ccbill

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// The forms of instants and dates on this wire; both are MST (1).
const (
	stampForm = "20060102150405"
	dayForm   = "20060102"
)

// standing is what there is to say of a subscription.
type standing struct {
	sub         *billing.Subscription
	adjustments []billing.Adjustment // all of them
	ledger      []*billing.Activity
	bank        bool // it is paid from a bank account
}

// standingOf reads all there is to say of a subscription.
func standingOf(ctx context.Context, v *store.View, sub *billing.Subscription, bank bool) (*standing, error) {
	s := &standing{sub: sub, bank: bank}
	var err error
	if s.adjustments, err = v.Adjustments(ctx, sub.ID, store.Page{Limit: mostLines}); err != nil {
		return nil, err
	}
	s.ledger, err = ledgerOf(ctx, v, sub)
	return s, err
}

// signedUp is when it was sold.
func (s *standing) signedUp() time.Time {
	if s.sub.SignedUpAt.IsZero() {
		return s.sub.CreatedAt
	}
	return s.sub.SignedUpAt
}

// cancelled is the cancellation, nil if there is none.
func (s *standing) cancelled() *billing.Adjustment {
	for i := range s.adjustments {
		if a := &s.adjustments[i]; a.Kind == billing.Cancel {
			return a
		}
	}
	return nil
}

// recurring reports whether it was sold with rebills.
func (s *standing) recurring() bool { return s.sub.Term == billing.Perpetual || s.sub.Length > 1 }

// status is 0 when access is over, 1 when it lasts and nothing more is billed, 2
// when the next rebill is to come (4.1); and until when access lasts or lasted,
// zero if no end is known.
func (s *standing) status(now time.Time) (status int, until time.Time) {
	last := s.sub.LastDay(s.adjustments)
	if c := s.cancelled(); c != nil && !c.End.IsZero() && s.sub.Ended() {
		return 0, s.sub.UpdatedAt // access was ended at once, not with a day
	}
	if !last.IsZero() {
		until = time.Date(last.Year, last.Month, last.Day, 23, 59, 59, 0, zone)
	}
	switch {
	case !last.IsZero() && (s.sub.Access == billing.AnyAccess || now.After(until)):
		return 0, until
	case s.sub.Ended() && s.sub.Access == billing.AnyAccess:
		return 0, until
	case !last.IsZero() || s.sub.Complete():
		return 1, until
	}
	return 2, time.Time{}
}

// count is how many lines of a kind there are.
func (s *standing) count(k billing.ActivityKind) int {
	n := 0
	for _, a := range s.ledger {
		if a.Kind == k && a.SubscriptionID == s.sub.ID {
			n++
		}
	}
	return n
}

// rebilled is how many rebills were paid, here and elsewhere.
func (s *standing) rebilled() int {
	n := max(0, s.sub.Issued-1)
	for _, a := range s.ledger {
		if a.Kind == billing.Invoice && a.SubscriptionID == s.sub.ID && a.Period > 0 && (a.Open.Sign() > 0 || a.AdjustedBy != 0) {
			n--
		}
	}
	return n
}

// returned is how many bank debits came back.
func (s *standing) returned() int {
	n := 0
	for _, a := range s.ledger {
		if a.Kind == billing.Decline && a.State == billing.Posted && a.SubscriptionID == s.sub.ID {
			n++
		}
	}
	return n
}

// viewStatus tells how a subscription stands (4.1), its fields in alphabetical
// order.
func viewStatus(ctx context.Context, x *exchange) (answer, error) {
	o, err := x.sale(ctx)
	if err != nil {
		return nil, err
	}
	var s *standing
	err = x.caller.Books.View(ctx, func(v *store.View) (err error) {
		s, err = standingOf(ctx, v, o.sub, o.method.Instrument.IsBank())
		return err
	})
	if err != nil {
		return nil, err
	}
	number := func(n int) string { return strconv.Itoa(n) }
	status, until := s.status(x.caller.Now)
	recurring := 0
	if s.recurring() {
		recurring = 1
	}
	a := answer{
		{"recurringSubscription", number(recurring)},
		{"refundsIssued", number(s.count(billing.Refund) + s.sub.TakenBack.Refunds)},
		{"signupDate", s.signedUp().In(zone).Format(stampForm)},
		{"subscriptionStatus", number(status)},
		{"timesRebilled", number(s.rebilled())},
	}
	if s.bank {
		a = append(a, field{"returnsIssued", number(s.returned() + s.sub.TakenBack.Returns)})
	} else {
		a = append(a, field{"chargebacksIssued", number(s.count(billing.Chargeback) + s.sub.TakenBack.Chargebacks)}, field{"voidsIssued", number(s.count(billing.Void) + s.sub.TakenBack.Voids)})
	}
	if c := s.cancelled(); c != nil {
		a = append(a, field{"cancelDate", c.CreatedAt.In(zone).Format(stampForm)})
	}
	if status != 2 && !until.IsZero() {
		a = append(a, field{"expirationDate", until.In(zone).Format(stampForm)})
	}
	if next := s.next(); status == 2 && !next.IsZero() {
		a = append(a, field{"nextBillingDate", compact(next)})
	}
	slices.SortFunc(a, func(f, g field) int { return cmp.Compare(f.name, g.name) })
	x.outcome = "status " + number(status)
	return a, nil
}

// next is the date of the next rebill.
func (s *standing) next() billing.Date {
	var open []billing.Adjustment
	for _, a := range s.adjustments {
		if a.State != billing.Done {
			open = append(open, a)
		}
	}
	return s.sub.NextBilling(open)
}

// compact is a date without hyphens.
func compact(d billing.Date) string {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone).Format(dayForm)
}
