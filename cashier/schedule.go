package cashier

import (
	"context"
	"slices"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// AddSchedule makes a schedule for a customer, on terms with a start. It is held
// until ReleaseSchedule, and makes no invoice and moves no money by itself. The
// plan behind it is the one that stands in for all terms of its account, see Sell.
// A first adjustment waits for the first bill; nil is none.
func (c *Cashier) AddSchedule(ctx context.Context, s *Session, customer Ref, t billing.ScheduleTerms, first *LineRequest) (sub *billing.Subscription, err error) {
	if t.Start.IsZero() {
		return nil, billing.FieldError(billing.Missing, "start", "is required")
	}
	if err := t.Check(s.Today()); err != nil {
		return nil, err
	}
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		account, err := accountOf(ctx, &tx.View, owner.AccountID)
		if err != nil {
			return err
		}
		plan, err := c.salePlan(ctx, s, tx, account, s.Merchant.Currency)
		if err != nil {
			return err
		}
		method, err := c.methodOf(ctx, s, tx, owner)
		if err != nil {
			return err
		}
		sub = &billing.Subscription{
			MerchantID: s.Merchant.ID, ID: billing.SubscriptionID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID,
			PlanID: plan, PaymentMethodID: method.ID, Amount: s.Merchant.Money(0), Tax: s.Merchant.Money(0), Cycle: billing.Monthly,
			FirstDate: t.Start, Status: billing.Unbilled, CreatedAt: s.Now, UpdatedAt: s.Now,
		}
		if err := sub.Agree(t, nil); err != nil {
			return err
		}
		sub.Composition.Held = true
		adjustments := sub.Hold(s.Today(), nil, "not confirmed yet")
		if err := tx.InsertSubscriptions(ctx, sub); err != nil {
			return err
		}
		if err := tx.SaveAdjustments(ctx, sub, adjustments, s.Now); err != nil {
			return err
		}
		if first != nil {
			if _, err := s.adjust(ctx, tx, sub, *first); err != nil {
				return err
			}
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.SubscriptionCreated, owner.ID, int64(sub.ID))})
	})
	return sub, err
}

// methodOf is the payment method with which all of a customer is paid; for one of
// whom none is known it is a placeholder, the one that is there or a new one.
func (c *Cashier) methodOf(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer) (*billing.PaymentMethod, error) {
	vaulted, err := tx.VaultedMethods(ctx, owner.ID)
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(vaulted) {
		if m.Active {
			return m, nil
		}
	}
	first, err := tx.PaymentMethods(ctx, owner.ID, store.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(first) > 0 && !first[0].Vaulted() {
		return first[0], nil
	}
	return c.placeholder(ctx, s, tx, owner)
}

// ScheduleChange is what is to be otherwise with a schedule. What is nil stays.
type ScheduleChange struct {
	Terms func(*billing.ScheduleTerms)
	Held  *bool
	Close bool // nothing is billed any more
}

// ModifySchedule changes a schedule from its next bill on. One that is over takes
// no change. A schedule that is let go on, or whose next bill is moved to today, is
// billed with the next day's run at the earliest, because the day's run has been
// (protocols/billing-circle.md 3.6, 4.4).
func (c *Cashier) ModifySchedule(ctx context.Context, s *Session, customer, r Ref, change ScheduleChange) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if sub.Composition == nil {
			return nil, billing.Errorf(billing.State, "the subscription is no schedule")
		}
		if sub.Ended() || sub.Complete() {
			return nil, billing.Errorf(billing.State, "the schedule is over")
		}
		if change.Terms != nil {
			if err := s.agree(ctx, tx, sub, a, change.Terms); err != nil {
				return nil, err
			}
		}
		switch {
		case change.Close: // held first, so that nothing that is due and waits for the run is billed
			var err error
			a = sub.Hold(s.Today(), a, "closed")
			if a, err = sub.CancelOn(s.Today(), s.Today(), a, "closed"); err != nil {
				return nil, err
			}
		case change.Held != nil:
			c := *sub.Composition
			c.Held, sub.Composition = *change.Held, &c
			a = b.keepHeld(sub, b.customers[sub.CustomerID], a)
		}
		b.waitForRun(sub)
		return a, tx.UpdateTerms(ctx, sub)
	})
}

// agree gives a schedule changed terms, if the adjustments that wait for its next
// bill leave something of it.
func (s *Session) agree(ctx context.Context, tx *store.Tx, sub *billing.Subscription, a []billing.Adjustment, change func(*billing.ScheduleTerms)) error {
	t := sub.ScheduleTerms()
	change(&t)
	if err := t.Check(s.Today()); err != nil {
		return err
	}
	if err := sub.Agree(t, a); err != nil {
		return err
	}
	waiting, err := waitingFor(ctx, tx, sub)
	if err == nil && sub.NextShare().Minor()+waiting < 0 {
		err = billing.FieldError(billing.State, "amount", "is less than what the waiting adjustments take off the next bill")
	}
	return err
}

// ReleaseSchedule lets a schedule be billed, if it is not already.
func (c *Cashier) ReleaseSchedule(ctx context.Context, s *Session, customer, r Ref) (*billing.Subscription, error) {
	no := false
	return c.ModifySchedule(ctx, s, customer, r, ScheduleChange{Held: &no})
}

// keepHeld holds a schedule or lets it go on, as its merchant and the standing of
// its customer would have it.
func (b *book) keepHeld(sub *billing.Subscription, owner *billing.Customer, a []billing.Adjustment) []billing.Adjustment {
	if !owner.Active || sub.Composition.Held {
		return sub.Hold(b.today(), a, "held")
	}
	sub.Release(b.today(), a)
	return a
}

// waitForRun has a schedule whose date has come wait for the next day's run.
func (b *book) waitForRun(sub *billing.Subscription) {
	if !sub.NextDate.IsZero() && !sub.NextDate.After(b.today()) {
		sub.NextAt = b.tomorrow()
	}
}
