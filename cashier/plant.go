package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// PlantRequest brings in what another system sold: a subscription on terms, as
// that system left it.
type PlantRequest struct {
	Number      string // by which that system's clients know it, kept without leading zeros; required
	Code        string // reference code here, "" for none
	Method      Ref    // the customer's payment method, with which it goes on
	Terms       billing.Terms
	Past        billing.Past
	SignedUpAt  time.Time // zero is the start of Past.SignedUp
	CancelledAt time.Time // zero is now, if it is cancelled
	Note        string
}

// Plant makes a subscription that another system sold, for a customer who has
// none: each sale is an account of its own, see Sell. What was billed there
// leaves no line in the account here. The next billing is the billing run's; a
// date that has passed is refused, unless the merchant allows past billing.
func (c *Cashier) Plant(ctx context.Context, s *Session, customer Ref, r PlantRequest) (sub *billing.Subscription, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		method, err := s.PaymentMethod(ctx, &tx.View, owner, r.Method)
		if err != nil {
			return err
		}
		have, err := tx.Subscriptions(ctx, owner.ID, store.SubscriptionFilter{Page: store.Page{Limit: 1}})
		if err != nil {
			return err
		}
		if len(have) > 0 {
			return billing.Errorf(billing.State, "the customer has a subscription already, and each sale is an account of its own")
		}
		var adjustments []billing.Adjustment
		if sub, adjustments, err = s.Planting(r); err != nil {
			return err
		}
		account, err := accountOf(ctx, &tx.View, owner.AccountID)
		if err != nil {
			return err
		}
		if sub.PlanID, err = c.salePlan(ctx, s, tx, account, r.Terms.Currency); err != nil {
			return err
		}
		sub.ID, sub.AccountID, sub.CustomerID, sub.PaymentMethodID = billing.SubscriptionID(tx.NewID()), owner.AccountID, owner.ID, method.ID
		if err := tx.InsertSubscriptions(ctx, sub); err != nil {
			return err
		}
		cancelled := r.CancelledAt
		if cancelled.IsZero() {
			cancelled = s.Now
		}
		if err := tx.SaveAdjustments(ctx, sub, adjustments, cancelled); err != nil {
			return err
		}
		scope := s.scope(store.SubscriptionNoun, owner.AccountID, owner.ID)
		if err := reserve(ctx, tx, store.SubscriptionNoun, scope, sub.Code, int64(sub.ID)); err != nil {
			return err
		}
		if err := reserveNumber(ctx, tx, store.SubscriptionNumber, canonical(r.Number), int64(sub.ID)); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.SubscriptionCreated, owner.ID, int64(sub.ID))})
	})
	return sub, err
}

// Planting is the subscription that Plant would make, without ids, or what it
// would say is wrong.
func (s *Session) Planting(r PlantRequest) (*billing.Subscription, []billing.Adjustment, error) {
	if r.Number == "" {
		return nil, nil, billing.FieldError(billing.Missing, "number", "is required")
	}
	if err := r.Terms.Check(); err != nil {
		return nil, nil, err
	}
	sub := &billing.Subscription{MerchantID: s.Merchant.ID, Code: r.Code, Note: r.Note, SignedUpAt: r.SignedUpAt, CreatedAt: s.Now, UpdatedAt: s.Now}
	adjustments, err := r.Terms.Resume(sub, r.Past, s.Today())
	if err != nil {
		return nil, nil, err
	}
	if sub.SignedUpAt.IsZero() {
		sub.SignedUpAt = s.Merchant.Start(r.Past.SignedUp)
	}
	if !sub.NextDate.IsZero() {
		if sub.NextDate.Before(s.Today()) && !s.Merchant.Settings.AllowPastBilling {
			return nil, nil, billing.FieldError(billing.Invalid, "next", "lies in the past")
		}
		if sub.NextAt = s.Merchant.Start(sub.NextDate); !sub.NextAt.After(s.Now) {
			sub.NextAt = s.Merchant.Start(s.Today().AddDays(1))
		}
	}
	return sub, adjustments, nil
}

func accountOf(ctx context.Context, v *store.View, id billing.AccountID) (*billing.Account, error) {
	list, err := v.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, billing.Errorf(billing.NotFound, "account not found")
}

// NumberMethod gives a payment method a number by which another system's clients
// know it: a card that was kept without a sale.
func (c *Cashier) NumberMethod(ctx context.Context, s *Session, customer, method Ref, number string) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		m, err := s.PaymentMethod(ctx, &tx.View, owner, method)
		if err != nil {
			return err
		}
		return reserveNumber(ctx, tx, store.PaymentMethodNumber, canonical(number), int64(m.ID))
	})
}

// NumberAttempt is AttemptNumber in a transaction of its own.
func (c *Cashier) NumberAttempt(ctx context.Context, m *billing.Merchant, id billing.AttemptID, make func() string) (number string, err error) {
	for tries := 1; ; tries++ {
		err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
			number, err = AttemptNumber(ctx, tx, id, make)
			return err
		})
		if billing.KindOf(err) != billing.Duplicate || tries == 5 {
			return number, err
		}
	}
}

// AttemptNumber is the number by which an attempt is known to another system's
// clients. One that has none gets the one that make gives, for good; if that is
// taken the error is Duplicate, and the transaction must be done again.
func AttemptNumber(ctx context.Context, tx *store.Tx, id billing.AttemptID, make func() string) (number string, err error) {
	have, err := tx.Numbers(ctx, store.AttemptNumber, []int64{int64(id)})
	if err != nil || have[int64(id)] != "" {
		return have[int64(id)], err
	}
	number = canonical(make())
	return number, reserveNumber(ctx, tx, store.AttemptNumber, number, int64(id))
}
