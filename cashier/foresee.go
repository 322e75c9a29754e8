package cashier

import (
	"context"
	"crypto/subtle"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// What follows tells what a verb would find or say, without doing it: package
// setup looks at a whole file in this way before it writes anything.

// Holder finds the object that holds a code where a new object of an account
// (and, for what customers hold, of a customer) would take it; 0 is none.
func (s *Session) Holder(ctx context.Context, v *store.View, n store.Noun, owner *billing.Customer, code string) (int64, error) {
	id, err := v.Resolve(ctx, n, s.scope(n, owner.AccountID, owner.ID), code)
	if billing.KindOf(err) == billing.NotFound {
		return 0, nil
	}
	return id, err
}

// Draft is the subscription that Subscribe would make of a request, without an
// id, or what it would say is wrong with it.
func (s *Session) Draft(owner *billing.Customer, plan *billing.Plan, method *billing.PaymentMethod, r SubscribeRequest) (*billing.Subscription, error) {
	if !owner.Active {
		return nil, billing.Errorf(billing.State, "the customer is inactive")
	}
	return s.subscription(owner, plan, method, r)
}

// SameNumber reports whether a payment method's number is the one given, by
// their fingerprints; the vault is not opened. A bank account's routing number
// is part of it.
func (c *Cashier) SameNumber(m *billing.Merchant, p *billing.PaymentMethod, number billing.Secret) (bool, error) {
	keys, err := c.keys(m)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(fingerprint(keys, p.Instrument, number.Reveal(), p.Routing), p.Fingerprint) == 1, nil
}
