package recurly

import (
	"context"
	"net/http"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// showCoupon is GET .../coupon: what the account has redeemed and still holds (12).
func showCoupon(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	return tellCoupon(ctx, x, http.StatusOK, c)
}

func tellCoupon(ctx context.Context, x *exchange, status int, c *billing.Customer) (answer, error) {
	d := newDocument()
	err := x.session.Books.View(ctx, func(v *store.View) error {
		held, err := v.Redeemed(ctx, c.ID, x.session.Today())
		if err != nil {
			return err
		}
		coupon, err := v.Coupon(ctx, held.CouponID)
		if err == nil {
			d.coupon(c, coupon, held)
		}
		return err
	})
	if billing.KindOf(err) == billing.NotFound {
		err = notFound("Coupon")
	}
	return answer{status, d}, err
}

// coupon writes the document of 12. Of the two discounts one is empty.
func (d *document) coupon(c *billing.Customer, k *billing.Coupon, r *billing.Redemption) {
	d.within("coupon", "", func() {
		d.text("account_code", accountCode(c))
		d.text("coupon_code", k.Code)
		d.text("name", k.Name)
		if k.Percent > 0 {
			d.leaf("discount_in_cents", asInteger, "")
			d.integer("discount_percent", int64(k.Percent))
		} else {
			d.integer("discount_in_cents", k.Amount.Minor())
			d.leaf("discount_percent", asInteger, "")
		}
		d.within("redemption", "", func() {
			d.text("account_code", accountCode(c))
			d.datetime("redeemed_at", r.RedeemedAt)
			d.integer("total_discounted_in_cents", r.Discounted.Minor())
		})
	})
}

// redeemCoupon is POST .../coupon.
func redeemCoupon(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	code := x.body.textOf("coupon_code")
	if code == "" {
		return answer{}, refuse("coupon_code", blank)
	}
	_, err = x.Cashier.Redeem(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, code)
	switch billing.KindOf(err) {
	case billing.NotFound, billing.State, billing.Invalid, billing.Duplicate:
		f := refuse("coupon_code", invalid)
		f.cause = err
		return answer{}, f
	}
	if err != nil {
		return answer{}, err
	}
	return tellCoupon(ctx, x, http.StatusCreated, c)
}

// removeCoupon is DELETE .../coupon.
func removeCoupon(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err == nil {
		err = x.Cashier.TakeCouponAway(ctx, x.session, cashier.Ref{ID: int64(c.ID)})
	}
	if billing.KindOf(err) == billing.NotFound {
		err = notFound("Coupon")
	}
	return answer{}, err
}
