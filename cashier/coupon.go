package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// DefineCoupon makes a coupon of the merchant's.
func (c *Cashier) DefineCoupon(ctx context.Context, s *Session, k *billing.Coupon) error {
	if err := k.Check(); err != nil {
		return err
	}
	return c.update(ctx, s, func(tx *store.Tx) error {
		k.MerchantID, k.ID, k.CreatedAt, k.UpdatedAt = s.Merchant.ID, billing.CouponID(tx.NewID()), s.Now, s.Now
		return tx.InsertCoupon(ctx, k)
	})
}

// ModifyCoupon applies a change to a coupon. Those who have redeemed it get what it
// is from then on; for how long they have it stays.
func (c *Cashier) ModifyCoupon(ctx context.Context, s *Session, code string, change func(*billing.Coupon)) (k *billing.Coupon, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		if k, err = tx.LockCoupon(ctx, code); err != nil {
			return err
		}
		change(k)
		if err := k.Check(); err != nil {
			return err
		}
		k.UpdatedAt = s.Now
		return tx.UpdateCoupon(ctx, k)
	})
	return k, err
}

// Redeem puts a coupon into a customer's hands, where there must be none. Of several
// who redeem it at once no more get it than may (protocols/recurly-v1.md 12).
func (c *Cashier) Redeem(ctx context.Context, s *Session, customer Ref, code string) (r *billing.Redemption, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if err := b.lookAhead(ctx, []billing.CustomerID{owner.ID}); err != nil {
			return err
		}
		if err := b.redeem(ctx, b.pending[owner.ID], owner, code, ""); err != nil {
			return err
		}
		r = b.pending[owner.ID].held
		return b.flush(ctx)
	})
	return r, err
}

// redeem puts a coupon into a customer's hands, at once. plan is what it must be
// for, "" for anything.
func (b *book) redeem(ctx context.Context, p *pending, owner *billing.Customer, code, plan string) error {
	today := b.today()
	k, err := b.tx.LockCoupon(ctx, code)
	if billing.KindOf(err) == billing.NotFound {
		return billing.FieldError(billing.NotFound, "coupon", "coupon not found")
	}
	if err != nil {
		return err
	}
	if p.held != nil && !p.held.Holds(today) && p.held.EndedAt.IsZero() {
		p.held.EndedAt = b.at
		if err := b.tx.UpdateRedemptions(ctx, []*billing.Redemption{p.held}); err != nil {
			return err
		}
	}
	if p.held != nil && p.held.EndedAt.IsZero() {
		return billing.FieldError(billing.State, "coupon", "a coupon is redeemed already")
	}
	before, last, err := b.tx.CountRedemptions(ctx, k.ID)
	if err != nil {
		return err
	}
	if err := k.Redeemable(today, before); err != nil {
		return billing.FieldError(billing.State, "coupon", "cannot be redeemed: %s", err)
	}
	if plan != "" && !k.IsFor(plan) {
		return billing.FieldError(billing.State, "coupon", "is not for this plan")
	}
	r := k.Redemption(owner.ID, today, b.at)
	r.ID, r.Seq = billing.RedemptionID(b.tx.NewID()), last+1
	p.held, p.coupon = r, k
	return b.tx.InsertRedemption(ctx, r)
}

// TakeCouponAway ends the redemption of the coupon in a customer's hands. Invoices
// that it has lowered stay as they are.
func (c *Cashier) TakeCouponAway(ctx context.Context, s *Session, customer Ref) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.lockCustomer(ctx, tx, customer)
		if err != nil {
			return err
		}
		r, err := tx.Redeemed(ctx, owner.ID, s.Today())
		if err != nil {
			return err
		}
		r.EndedAt = s.Now
		return tx.UpdateRedemptions(ctx, []*billing.Redemption{r})
	})
}
