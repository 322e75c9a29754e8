package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// candidate keeps a card or account that is to become a customer's one and only
// with an approval (billing.Details.Adopts). Until then nothing is paid with it
// but what that attempt asks for, and a decline has it forgotten.
func (c *Cashier) candidate(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer, r MethodRequest) (*billing.PaymentMethod, error) {
	r.Active = false
	return c.vaulted(ctx, s, tx, owner, r)
}

// placeholder makes the payment method of a customer of whom no card or account
// is known. Debts that are to be paid with it wait until it is replaced.
func (c *Cashier) placeholder(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer) (*billing.PaymentMethod, error) {
	m := &billing.PaymentMethod{MerchantID: s.Merchant.ID, ID: billing.PaymentMethodID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID}
	m.Place(s.Now)
	return m, tx.InsertPaymentMethods(ctx, m)
}

// adopt makes a payment method that was a candidate the customer's one and only (protocols/recurly-v1.md 6.1): the subscriptions are paid with it
// from now on, what is open is claimed with it, and those before it are forgotten.
// Of two that were given, the one that was given later counts, in whichever order
// their answers come. 0 is none.
func (b *book) adopt(ctx context.Context, customer billing.CustomerID, method billing.PaymentMethodID) error {
	if method == 0 {
		return nil
	}
	m, err := b.tx.PaymentMethod(ctx, method)
	if err != nil || m.Active {
		return err // adopted already
	}
	vaulted, err := b.tx.VaultedMethods(ctx, customer)
	if err != nil {
		return err
	}
	one := m
	for _, o := range vaulted {
		if o.Active && (o.ID > one.ID || !m.Vaulted()) {
			one = o
		}
	}
	if !one.Vaulted() {
		return nil // it was forgotten while nobody knew the outcome
	}
	return b.settleOn(ctx, one, vaulted)
}

// enrolled tells that a customer has come into being, if one has with this.
func (b *book) enrolled(a *billing.Attempt) {
	if a.Details.Enrolls {
		b.event(billing.CustomerCreated, a.CustomerID, int64(a.CustomerID))
	}
}

// settleOn has everything of a customer be paid with one payment method, and
// forgets those that were given before it.
func (b *book) settleOn(ctx context.Context, one *billing.PaymentMethod, vaulted []*billing.PaymentMethod) error {
	for _, o := range vaulted {
		if o.ID < one.ID {
			if err := b.forget(ctx, o); err != nil {
				return err
			}
		}
	}
	if !one.Active {
		one.Active, one.UpdatedAt = true, b.at
		if err := b.tx.UpdatePaymentMethod(ctx, one); err != nil {
			return err
		}
		b.event(billing.PaymentMethodAdded, one.CustomerID, int64(one.ID))
	}
	if err := b.tx.Repoint(ctx, one.CustomerID, one.ID); err != nil {
		return err
	}
	for _, list := range [][]*billing.Subscription{b.subs, b.born} {
		for _, s := range list {
			if s.CustomerID == one.CustomerID {
				s.PaymentMethodID = one.ID
			}
		}
	}
	b.renew(one.CustomerID, func(*billing.Activity) bool { return true })
	return nil
}

// forget takes out of a payment method all that is anybody's. What is to be paid
// with it waits from now on.
func (b *book) forget(ctx context.Context, m *billing.PaymentMethod) error {
	told := m.Active
	m.Forget(b.at)
	if err := b.tx.ReleaseCodes(ctx, store.PaymentMethodNoun, int64(m.ID)); err != nil {
		return err
	}
	if told {
		b.event(billing.PaymentMethodForgotten, m.CustomerID, int64(m.ID))
	}
	return b.tx.UpdatePaymentMethod(ctx, m)
}

// dismiss undoes what an attempt that came to nothing was to bring about: the
// payment method that was a candidate is forgotten, and a customer who was to come
// into being with it leaves nothing behind.
func (b *book) dismiss(ctx context.Context, a *billing.Attempt) error {
	if err := b.undeal(ctx, a); err != nil {
		return err
	}
	if a.Details.Adopts != 0 {
		m, err := b.tx.PaymentMethod(ctx, a.Details.Adopts)
		if err != nil {
			return err
		}
		if m.Vaulted() && !m.Active {
			if err := b.forget(ctx, m); err != nil {
				return err
			}
		}
	}
	if !a.Details.Enrolls {
		return nil
	}
	c := b.customers[a.CustomerID]
	*c = c.Gone(b.at)
	if err := b.tx.ReleaseCodes(ctx, store.CustomerNoun, int64(c.ID)); err != nil {
		return err
	}
	return b.tx.UpdateCustomer(ctx, c)
}
