package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// customerNoun is what a customer is called in the audit trail.
const customerNoun = "customer"

// Erase takes everything that is a person's out of a customer's books: nothing finds
// the customer any more, and the code is free. The ledgers stay as they are, with the
// activities, attempts and amounts that they rest on; what is owed stays on them, and
// nobody is asked for it (docs/privacy.md). Its subscriptions end at once, without
// refund. It is refused while a payment of the customer has no known outcome, because
// what becomes of that could no longer be told to anybody.
func (c *Cashier) Erase(ctx context.Context, s *Session, r Ref) error {
	wall := c.Now()
	return c.rehearsable(ctx, s, func(tx *store.Tx) error {
		named, err := s.Customer(ctx, &tx.View, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{named.ID})
		if err != nil {
			return err
		}
		busy, err := tx.UnderWayOf(ctx, named.ID)
		if err != nil {
			return err
		}
		if busy {
			return billing.Errorf(billing.InProgress, "a payment of the customer has no known outcome yet; erase the customer when it has")
		}
		if err := b.endAll(ctx, named.ID, ""); err != nil {
			return err
		}
		b.leaveAlone(named.ID)
		b.event(billing.CustomerErased, named.ID, int64(named.ID))
		if err := b.flush(ctx); err != nil { // what follows takes its words out again
			return err
		}
		return s.erase(ctx, b, named.ID, wall)
	})
}

// erase takes the words out of a customer's books, whose writing is done.
func (s *Session) erase(ctx context.Context, b *book, id billing.CustomerID, wall time.Time) error {
	if err := b.tx.EraseCustomer(ctx, id, wall); err != nil {
		return err
	}
	vaulted, err := b.tx.VaultedMethods(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range vaulted {
		m.Forget(b.at)
		if err := b.tx.UpdatePaymentMethod(ctx, m); err != nil {
			return err
		}
	}
	gone := b.customers[id].Gone(b.at)
	if err := b.tx.UpdateCustomer(ctx, &gone); err != nil {
		return err
	}
	return b.tx.InsertAct(ctx, billing.Act{Act: "erased", Noun: customerNoun, Object: int64(id), Who: s.Login.Name, At: wall})
}

// leaveAlone has nobody be asked for what a customer owes, nor it grow.
func (b *book) leaveAlone(c billing.CustomerID) {
	for _, d := range b.open[c] {
		if d.Kind.IsDebt() && (!d.CollectAt.IsZero() || !d.AgeAt.IsZero()) {
			d.CollectAt, d.AgeAt = time.Time{}, time.Time{}
			b.touch(d)
		}
	}
}

// EraseSubscription ends a subscription at once, without refund, and takes it out of
// every answer: its code is free, and neither it nor what was billed and paid for it
// is told any more (protocols/billing-circle.md 3, deleteschedule). The ledgers stay.
// What is owed for it is taken back, because nobody could say what it is for.
func (c *Cashier) EraseSubscription(ctx context.Context, s *Session, customer, r Ref) error {
	wall := c.Now()
	return c.rehearsable(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		named, err := s.Subscription(ctx, &tx.View, owner, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		sub, err := tx.LockSubscriptionOf(ctx, owner.ID, named.ID)
		if err != nil {
			return err
		}
		for _, d := range b.open[owner.ID] {
			if d.SubscriptionID == sub.ID && d.ClaimedBy != 0 {
				return billing.Errorf(billing.InProgress, "an invoice of the subscription is being collected at this moment")
			}
		}
		if err := b.endSold(ctx, sub, ""); err != nil {
			return err
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
		if err := tx.EraseSubscription(ctx, sub.ID, wall); err != nil {
			return err
		}
		return tx.InsertAct(ctx, billing.Act{Act: "erased", Noun: "subscription", Object: int64(sub.ID), Who: s.Login.Name, At: wall})
	})
}
