package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// EnrollClient is Enroll of a customer who is paid with one thing, which comes with
// the request: a card or bank account, or if method is nil nothing, because the
// merchant collects by itself.
func (c *Cashier) EnrollClient(ctx context.Context, s *Session, account string, customer *billing.Customer, method *MethodRequest) error {
	return c.rehearsable(ctx, s, func(tx *store.Tx) error {
		a, err := s.Account(ctx, &tx.View, account)
		if err != nil {
			return err
		}
		customer.MerchantID, customer.AccountID = s.Merchant.ID, a.ID
		customer.ID = billing.CustomerID(tx.NewID())
		customer.CreatedAt, customer.UpdatedAt = s.Now, s.Now
		if err := tx.InsertCustomers(ctx, customer); err != nil {
			return err
		}
		scope := s.scope(store.CustomerNoun, a.ID, customer.ID)
		if err := reserve(ctx, tx, store.CustomerNoun, scope, customer.Code, int64(customer.ID)); err != nil {
			return err
		}
		events := []billing.Event{s.event(billing.CustomerCreated, customer.ID, int64(customer.ID))}
		if method == nil {
			_, err = c.placeholder(ctx, s, tx, customer)
		} else {
			method.Active = true
			var m *billing.PaymentMethod
			if m, err = c.vaulted(ctx, s, tx, customer, *method); err == nil {
				events = append(events, s.event(billing.PaymentMethodAdded, customer.ID, int64(m.ID)))
			}
		}
		if err != nil {
			return err
		}
		return tx.InsertEvents(ctx, events)
	})
}

// ClientChange is what is to be otherwise with a client. What is nil stays.
type ClientChange struct {
	Customer func(*billing.Customer) error
	Method   *MethodRequest                     // is paid with from now on; what was paid with before is forgotten
	Manual   bool                               // nothing is paid with, and what was is forgotten
	Amend    func(*billing.PaymentMethod) error // what is paid with is the same, and something about it is otherwise
}

// ModifyClient changes a client and what it is paid with, all or nothing. The
// schedules of one that is no longer active are held, those of one that is active
// again go on, and what is open is claimed again (protocols/billing-circle.md 3.2).
func (c *Cashier) ModifyClient(ctx context.Context, s *Session, r Ref, change ClientChange) (customer *billing.Customer, err error) {
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		named, err := s.Customer(ctx, &tx.View, r)
		if err != nil {
			return err
		}
		schedules, err := tx.LockLive(ctx, named.ID)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{named.ID})
		if err != nil {
			return err
		}
		customer = b.customers[named.ID]
		was := *customer
		if change.Customer != nil {
			if err := change.Customer(customer); err != nil {
				return err
			}
		}
		customer.UpdatedAt = s.Now
		if err := s.recode(ctx, tx, &was, customer); err != nil {
			return err
		}
		if err := tx.UpdateCustomer(ctx, customer); err != nil {
			return err
		}
		if customer.Active != was.Active {
			if err := b.standing(ctx, customer, schedules); err != nil {
				return err
			}
		}
		if err := c.payClientWith(ctx, s, b, customer, change); err != nil {
			return err
		}
		b.event(billing.CustomerChanged, customer.ID, int64(customer.ID))
		b.balance(customer.ID)
		return b.flush(ctx)
	})
	return customer, err
}

// recode gives a customer another code.
func (s *Session) recode(ctx context.Context, tx *store.Tx, was, customer *billing.Customer) error {
	if customer.Code == was.Code {
		return nil
	}
	if err := tx.ReleaseCodes(ctx, store.CustomerNoun, int64(customer.ID)); err != nil {
		return err
	}
	return reserve(ctx, tx, store.CustomerNoun, s.scope(store.CustomerNoun, customer.AccountID, customer.ID), customer.Code, int64(customer.ID))
}

// standing holds the schedules of a customer who is no longer active, or lets them
// go on. What fell due before is billed first, however late the run is.
func (b *book) standing(ctx context.Context, customer *billing.Customer, schedules []*billing.Subscription) error {
	ids := make([]billing.SubscriptionID, len(schedules))
	for i, sub := range schedules {
		ids[i] = sub.ID
	}
	open, err := b.tx.OpenAdjustments(ctx, ids)
	if err != nil {
		return err
	}
	for _, sub := range schedules {
		a := open[sub.ID]
		if sub.Composition == nil {
			continue // it goes on, and its debts wait
		}
		if err := b.catchUp(ctx, sub, a); err != nil {
			return err
		}
		if sub.Ended() || sub.Complete() {
			continue
		}
		if !customer.Active {
			c := *sub.Composition
			c.Held, sub.Composition = sub.Status == billing.Paused, &c
		}
		a = b.keepHeld(sub, customer, a)
		if err := b.tx.SaveAdjustments(ctx, sub, a, b.at); err != nil {
			return err
		}
		b.waitForRun(sub)
		sub.UpdatedAt = b.at
		b.schedule(sub)
		if err := b.tx.UpdateTerms(ctx, sub); err != nil {
			return err
		}
		b.event(billing.SubscriptionChanged, customer.ID, int64(sub.ID))
	}
	if customer.Active {
		b.renew(customer.ID, func(*billing.Activity) bool { return true })
	}
	return nil
}

// payClientWith changes what a client is paid with.
func (c *Cashier) payClientWith(ctx context.Context, s *Session, b *book, owner *billing.Customer, change ClientChange) error {
	switch {
	case change.Method != nil:
		m, err := c.candidate(ctx, s, b.tx, owner, *change.Method)
		if err != nil {
			return err
		}
		return b.adopt(ctx, owner.ID, m.ID)
	case change.Manual:
		m, err := c.placeholder(ctx, s, b.tx, owner)
		if err != nil {
			return err
		}
		return b.payByHand(ctx, m)
	case change.Amend != nil:
		return c.amend(ctx, s, b, owner, change.Amend)
	}
	return nil
}

// payByHand has nothing of a customer be claimed any more: m is a placeholder, and
// what was paid with is forgotten.
func (b *book) payByHand(ctx context.Context, m *billing.PaymentMethod) error {
	if err := b.forgetAll(ctx, m.CustomerID); err != nil {
		return err
	}
	for _, sub := range b.subs {
		sub.PaymentMethodID = m.ID
	}
	return b.tx.Repoint(ctx, m.CustomerID, m.ID)
}

// amend changes something about what a client is paid with.
func (c *Cashier) amend(ctx context.Context, s *Session, b *book, owner *billing.Customer, change func(*billing.PaymentMethod) error) error {
	m, err := c.methodOf(ctx, s, b.tx, owner)
	if err != nil {
		return err
	}
	if !m.Vaulted() {
		return billing.FieldError(billing.Missing, "accountNumber", "is required")
	}
	expiry := m.Expiry
	if err := change(m); err != nil {
		return err
	}
	m.UpdatedAt = s.Now
	m.Stale = m.Stale && m.Expiry == expiry
	b.event(billing.PaymentMethodChanged, owner.ID, int64(m.ID))
	if m.Expiry != expiry {
		b.renew(owner.ID, func(*billing.Activity) bool { return true })
	}
	return b.tx.UpdatePaymentMethod(ctx, m)
}
