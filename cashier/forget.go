package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// ForgetIdle looks at cards and accounts whose day has come and forgets those with
// which nothing was paid since (protocols/recurly-v1.md 6.6). Payments do not move
// that day when they are made, which would cost each of them a write; it is moved
// here, when it comes and there was one.
func (c *Cashier) ForgetIdle(ctx context.Context, m *billing.Merchant, at time.Time, limit int) (batch Batch, err error) {
	if err := c.Ready(ctx); err != nil {
		return Batch{}, err
	}
	err = c.guarded(ctx, m, func(tx *store.Tx) error {
		batch = Batch{}
		list, err := tx.Forgettable(ctx, at, limit)
		if err != nil || len(list) == 0 {
			return err
		}
		owners := distinct(customersOf(list))
		b, err := openBook(ctx, tx, m, at, owners)
		if err != nil {
			return err
		}
		if list, err = tx.Forgettable(ctx, at, limit); err != nil { // as it is now that nobody else changes it
			return err
		}
		paid, err := tx.LastPaid(ctx, owners)
		if err != nil {
			return err
		}
		busy, err := tx.UnderWay(ctx)
		if err != nil {
			return err
		}
		for _, w := range list {
			if b.customers[w.Customer] == nil {
				continue // it has come since, and is not locked
			}
			batch.Events++
			if err := b.forgetIdle(ctx, w, paid[w.Customer], busy); err != nil {
				return err
			}
		}
		return b.flush(ctx)
	})
	return c.committed(ctx, "forget: committed", batch, err)
}

// forgetIdle forgets one payment method, unless something was paid with it, or is
// being paid.
func (b *book) forgetIdle(ctx context.Context, w store.Waiting, paid time.Time, busy map[billing.PaymentMethodID]bool) error {
	id := billing.PaymentMethodID(w.ID)
	switch until := b.merchant.ForgetAt(paid); {
	case b.merchant.Settings.ForgetAfterMonths == 0: // the merchant keeps them now
		return b.tx.SetForgetAt(ctx, id, time.Time{})
	case !paid.IsZero() && until.After(b.at):
		return b.tx.SetForgetAt(ctx, id, until)
	case busy[id]:
		return b.tx.SetForgetAt(ctx, id, b.tomorrow())
	}
	m := &billing.PaymentMethod{MerchantID: b.merchant.ID, ID: id, CustomerID: w.Customer, Active: true}
	return b.forget(ctx, m)
}

// closeBatch is how many customers are closed in one transaction.
const closeBatch = 50

// CloseMerchant ends what a merchant does: nothing of what customers pay with is
// kept, their subscriptions end at once, and nobody logs in any more. The books stay.
// It can be called again after it was broken off.
func (c *Cashier) CloseMerchant(ctx context.Context, m *billing.Merchant, act billing.Act) (customers int, err error) {
	wall := c.Now()
	err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		logins, err := tx.Logins(ctx)
		if err != nil {
			return err
		}
		for _, l := range logins {
			l.Disabled = true
			if err := tx.UpdateLogin(ctx, l); err != nil {
				return err
			}
		}
		act.Act, act.Noun, act.Object, act.At = "merchant closed", "merchant", int64(m.ID), wall
		return tx.InsertAct(ctx, act)
	})
	after := int64(0)
	for err == nil {
		var ids []billing.CustomerID
		err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
			if ids, err = tx.CustomerIDs(ctx, store.Page{After: after, Limit: closeBatch}); err != nil || len(ids) == 0 {
				return err
			}
			b, err := openBook(ctx, tx, m, m.Now(wall), ids)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := b.forgetAll(ctx, id); err != nil {
					return err
				}
				if err := b.endAll(ctx, id, "the merchant's account was closed"); err != nil {
					return err
				}
			}
			return b.flush(ctx)
		})
		if err != nil || len(ids) == 0 {
			break
		}
		customers += len(ids)
		after = int64(ids[len(ids)-1])
	}
	return customers, err
}
