package setup

import (
	"context"
	"slices"

	"github.com/perennial-billing/perennial/billing"
)

// coupons looks at the merchant's coupons.
func (w *work) coupons(ctx context.Context) error {
	for _, c := range w.file.Coupons {
		name := codes(w.file.Code, c.Code)
		var have *billing.Coupon
		if w.view != nil {
			k, err := w.view.CouponByCode(ctx, c.Code)
			if err != nil && billing.KindOf(err) != billing.NotFound {
				return err
			}
			if err == nil {
				have = k
			}
		}
		if have == nil {
			made := &billing.Coupon{Code: c.Code, Name: c.Code, Amount: w.want.Money(0), Lasts: billing.LastsForever, Active: true}
			c.apply(made)
			checkSettings(&w.problems, c.Where, made.Check())
			w.create(c.Where, "coupon", name, func(ctx context.Context) error { return w.Cashier.DefineCoupon(ctx, w.session(), made) })
			continue
		}
		changed := c.apply(have)
		checkSettings(&w.problems, c.Where, have.Check())
		w.modify(c.Where, Change{Noun: "coupon", Name: name, Fields: changed}, func(ctx context.Context) error {
			_, err := w.Cashier.ModifyCoupon(ctx, w.session(), c.Code, func(k *billing.Coupon) { c.apply(k) })
			return err
		})
	}
	return nil
}

// apply brings a coupon to what the file says and lists what changes.
func (c *coupon) apply(to *billing.Coupon) (changed fields) {
	set(&changed, "name", &to.Name, c.Name)
	setInt(&changed, "percent", &to.Percent, c.Percent)
	setMoney(&changed, "amount", &to.Amount, c.Amount)
	set(&changed, "lasts", &to.Lasts, given(c.Lasts))
	setInt(&changed, "months", &to.Months, c.Months)
	set(&changed, "redeem_by", &to.RedeemBy, given(c.RedeemBy))
	setInt(&changed, "max_redemptions", &to.MaxRedemptions, c.MaxRedemptions)
	set(&changed, "active", &to.Active, c.Active)
	if c.Plans != nil && !slices.Equal(to.Plans, c.Plans) {
		to.Plans = c.Plans
		changed = append(changed, "plans")
	}
	return changed
}

// setInt is set for a number of the size that the books have it in.
func setInt(f *fields, name string, have *int, want *int64) {
	if want != nil {
		n := int(*want)
		set(f, name, have, &n)
	}
}
