package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Takeback is how much of what was paid for the running period is given back when a
// subscription ends before its time.
type Takeback int

// The takebacks.
const (
	TakeNone    Takeback = iota // nothing
	TakePartial                 // what was not used, by time
	TakeFull                    // all
)

// Terminate ends a subscription at once, whatever is paid, and gives back what was
// paid for the running period, or a part of it, the way it came. If that is refused
// the subscription stays as it was (State). Of several payments each is taken back by
// itself and the subscription ends with the last: who comes again after a refusal, or
// a crash, gives back what is left. While nobody knows whether the processor did so,
// the error is of the kind OutcomeUnknown, and the end comes with the outcome
// (protocols/recurly-v1.md 7.6).
func (c *Cashier) Terminate(ctx context.Context, s *Session, customer, r Ref, how Takeback, note string) (*billing.Subscription, []*billing.Activity, error) {
	var sub *billing.Subscription
	var due []billing.Repayment
	var err error
	if how == TakeNone {
		sub, err = c.endAtOnce(ctx, s, customer, r, how, note)
		return sub, nil, err
	}
	if err := c.catchUpNow(ctx, s, customer, r); err != nil {
		return nil, nil, err
	}
	err = s.Books.View(ctx, func(v *store.View) error {
		sub, due, err = c.repayments(ctx, s, v, customer, r, how)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if len(due) == 0 {
		sub, err = c.endAtOnce(ctx, s, customer, r, how, note)
		return sub, nil, err
	}
	var given []*billing.Activity
	for i, p := range due {
		ends := billing.SubscriptionID(0)
		if i == len(due)-1 {
			ends = sub.ID
		}
		by, err := c.repay(ctx, s, p, ends, note)
		if err != nil {
			return nil, given, err
		}
		given = append(given, by)
	}
	err = s.Books.View(ctx, func(v *store.View) (err error) {
		sub, err = v.Subscription(ctx, sub.ID)
		return err
	})
	return sub, given, err
}

// endAtOnce ends a subscription for which no money is given back. What is owed for
// it stays owed, unless what is paid would have been given back: then what is not
// paid is not owed any more.
func (c *Cashier) endAtOnce(ctx context.Context, s *Session, customer, r Ref, how Takeback, note string) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(_ *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		a, err := sub.EndNow(s.Today(), a, note)
		if err != nil || how == TakeNone {
			return a, err
		}
		return a, b.takeOpenBack(ctx, sub, note)
	})
}

// repayments lists what is to be given back of which payments for the running period,
// the latest first.
func (c *Cashier) repayments(ctx context.Context, s *Session, v *store.View, customer, r Ref, how Takeback) (*billing.Subscription, []billing.Repayment, error) {
	owner, err := s.Customer(ctx, v, customer)
	if err != nil {
		return nil, nil, err
	}
	sub, err := s.Subscription(ctx, v, owner, r)
	if err != nil {
		return nil, nil, err
	}
	if sub.Ended() {
		return nil, nil, billing.Errorf(billing.State, "the subscription is already %s", sub.Status)
	}
	if err := changing(ctx, v, sub); err != nil {
		return nil, nil, err
	}
	paid, err := v.PaidFor(ctx, sub, s.Merchant.Today(sub.PeriodFrom(s.Merchant)))
	if err != nil {
		return nil, nil, err
	}
	given := make(map[billing.ActivityID]billing.Money, len(paid))
	for _, p := range paid {
		if p.Payment.ClaimedBy != 0 {
			return nil, nil, billing.Errorf(billing.InProgress, "a payment of the subscription is being taken back, which has no outcome yet")
		}
		back, err := v.GivenBack(ctx, p.Payment.AttemptID)
		if err != nil {
			return nil, nil, err
		}
		given[p.Payment.ID] = billing.Minor(back, p.Payment.Amount.Currency())
	}
	most := billing.Money{}
	if how == TakePartial {
		unused, err := sub.Unused(s.Merchant, s.Now)
		if err != nil {
			return nil, nil, err
		}
		if most = unused; sub.Composition != nil {
			most, err = unused.Add(billing.TaxOf(unused, sub.Composition.TaxRate))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return sub, billing.Repay(paid, given, how == TakeFull, most), nil
}

// repay gives back a payment or a part of it. A whole one is voided where that can
// still be.
func (c *Cashier) repay(ctx context.Context, s *Session, p billing.Repayment, ends billing.SubscriptionID, note string) (*billing.Activity, error) {
	u := undoing{pay: p.Payment, note: note, keeps: true, whole: true}
	request := RefundRequest{Amount: p.Amount.Minor(), By: billing.AskRefund}
	if p.Amount == p.Payment.Amount {
		request.By = ""
	}
	u.kind = request.By
	err := s.Books.View(ctx, func(v *store.View) error { return s.refundable(ctx, v, p.Payment, request, &u) })
	if err != nil {
		return nil, err
	}
	u.ends = ends
	by, declined, err := c.undo(ctx, s, u)
	if declined && u.kind == billing.AskVoid {
		u.kind = billing.AskRefund // it was settled in the meantime
		by, declined, err = c.undo(ctx, s, u)
	}
	if err == nil && declined {
		err = billing.Errorf(billing.State, "the processor refused to take the payment back")
	}
	return by, err
}

// takeOpenBack takes back the invoices of a subscription that are open. Where they
// have lines, what is open of those that are covered in part is credited.
func (b *book) takeOpenBack(ctx context.Context, sub *billing.Subscription, note string) error {
	for _, d := range append([]*billing.Activity(nil), b.open[sub.CustomerID]...) {
		if d.Kind != billing.Invoice || d.SubscriptionID != sub.ID || d.Open.IsZero() || d.AdjustedBy != 0 || d.ClaimedBy != 0 {
			continue
		}
		if d.Open != d.Amount {
			if sub.Composition != nil {
				rest := b.post(&billing.Activity{AccountID: d.AccountID, CustomerID: d.CustomerID, Kind: billing.Credit, Amount: d.Open,
					Tax: billing.Minor(0, d.Open.Currency()), SubscriptionID: sub.ID, Period: -1, Note: note}, nil, "")
				b.match(rest, d)
				b.event(billing.ActivityRecorded, d.CustomerID, int64(rest.ID))
			}
			continue
		}
		by := &billing.Activity{Creator: billing.System, Note: note}
		if _, err := b.reverse(ctx, d, billing.InvoiceReversal, by, ""); err != nil {
			return err
		}
		b.event(billing.ActivityRecorded, sub.CustomerID, int64(by.ID))
	}
	return nil
}

// Reactivate takes back the cancellation of a subscription that still runs.
func (c *Cashier) Reactivate(ctx context.Context, s *Session, customer, r Ref) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(_ *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := sub.Reactivate(a); err != nil {
			return nil, err
		}
		b.event(billing.SubscriptionReactivated, sub.CustomerID, int64(sub.ID))
		return a, nil
	})
}
