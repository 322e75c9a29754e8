package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// SetStanding says where a customer stands. Only an active one is billed. Closed is
// CloseCustomer's.
func (c *Cashier) SetStanding(ctx context.Context, s *Session, r Ref, standing billing.Standing) (*billing.Customer, error) {
	if err := standing.Check(); err != nil {
		return nil, err
	}
	return c.stand(ctx, s, r, standing)
}

// CloseCustomer closes a customer's account: what it is paid with is forgotten, and
// its subscriptions end at once, without refund (protocols/recurly-v1.md 5.3). What
// is owed stays owed. Closing what is closed does nothing.
func (c *Cashier) CloseCustomer(ctx context.Context, s *Session, r Ref) (*billing.Customer, error) {
	return c.stand(ctx, s, r, billing.StandingClosed)
}

// ReopenCustomer makes a closed customer active again; it has neither a payment
// method nor a subscription. One that is not closed stays as it is.
func (c *Cashier) ReopenCustomer(ctx context.Context, s *Session, r Ref) (customer *billing.Customer, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		customer, err = s.Customer(ctx, v, r)
		return err
	})
	if err != nil || customer.Standing != billing.StandingClosed {
		return customer, err
	}
	return c.stand(ctx, s, Ref{ID: int64(customer.ID)}, billing.StandingActive)
}

func (c *Cashier) stand(ctx context.Context, s *Session, r Ref, standing billing.Standing) (customer *billing.Customer, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		named, err := s.Customer(ctx, &tx.View, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{named.ID})
		if err != nil {
			return err
		}
		customer = b.customers[named.ID]
		if customer.Standing == standing {
			return nil
		}
		if err := b.stand(ctx, customer, standing); err != nil {
			return err
		}
		if err := tx.UpdateCustomer(ctx, customer); err != nil {
			return err
		}
		return b.flush(ctx)
	})
	return customer, err
}

// stand changes where a customer stands, and what follows from that.
func (b *book) stand(ctx context.Context, customer *billing.Customer, standing billing.Standing) error {
	was := *customer
	customer.Standing, customer.Active, customer.UpdatedAt = standing, standing == billing.StandingActive, b.at
	if customer.Active && !was.Active {
		b.renew(customer.ID, func(*billing.Activity) bool { return true })
	}
	switch {
	case standing == billing.StandingClosed:
		if err := b.forgetAll(ctx, customer.ID); err != nil {
			return err
		}
		if err := b.endAll(ctx, customer.ID, "the customer's account was closed"); err != nil {
			return err
		}
		b.event(billing.CustomerClosed, customer.ID, int64(customer.ID))
	case was.Standing == billing.StandingClosed:
		b.event(billing.CustomerReopened, customer.ID, int64(customer.ID))
	default:
		b.event(billing.CustomerChanged, customer.ID, int64(customer.ID))
	}
	return nil
}

// endAll ends a customer's subscriptions at once, without refund.
func (b *book) endAll(ctx context.Context, c billing.CustomerID, note string) error {
	live, err := b.tx.LockLive(ctx, c)
	if err != nil {
		return err
	}
	for _, sub := range live {
		if err := b.stopSold(ctx, sub, note); err != nil {
			return err
		}
	}
	return nil
}
