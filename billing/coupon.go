package billing

import (
	"slices"
	"time"
)

// CouponLasts is for how long a coupon that was redeemed lowers invoices.
type CouponLasts string

// How long coupons last.
const (
	LastsOnce    CouponLasts = "once"    // for the first invoice that it lowers
	LastsForever CouponLasts = "forever" // until it is taken away
	LastsMonths  CouponLasts = "months"  // for invoices dated within so many months from the day of redemption
)

// Coupon lowers the invoices of those who redeem it, by a percentage or by an
// amount.
type Coupon struct {
	MerchantID     MerchantID
	ID             CouponID
	Code           string
	Name           string
	Percent        int   // 1 to 100, 0 for a coupon of an amount
	Amount         Money // of each invoice, zero for a coupon of a percentage
	Lasts          CouponLasts
	Months         int      // of LastsMonths, else 0
	RedeemBy       Date     // last day on which it can be redeemed, zero for no end
	MaxRedemptions int      // 0 for any number
	Plans          []string // codes of the plans that it is for, none for all
	Active         bool     // can be redeemed
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// MaxCouponPlans bounds the plans that a coupon names.
const MaxCouponPlans = 100

// Check refuses what is out of range or contradicts itself.
func (c *Coupon) Check() error {
	switch {
	case c.Code == "":
		return FieldError(Missing, "code", "is required")
	case c.Percent < 0 || c.Percent > 100:
		return FieldError(Invalid, "percent", "must be from 1 to 100")
	case c.Amount.Minor() < 0 || c.Amount.Minor() > MaxAmount:
		return FieldError(Invalid, "amount", "must be from 1 to %d", int64(MaxAmount))
	case (c.Percent > 0) == (c.Amount.Sign() > 0):
		return FieldError(Invalid, "percent", "or an amount is required, and not both")
	case c.Lasts != LastsOnce && c.Lasts != LastsForever && c.Lasts != LastsMonths:
		return FieldError(Invalid, "lasts", "must be once, forever or months")
	case c.Lasts == LastsMonths && (c.Months < 1 || c.Months > MaxMonths):
		return FieldError(Invalid, "months", "must be from 1 to %d", MaxMonths)
	case c.Lasts != LastsMonths && c.Months != 0:
		return FieldError(Invalid, "months", "are of a coupon that lasts for months")
	case c.MaxRedemptions < 0:
		return FieldError(Invalid, "max_redemptions", "must not be negative")
	case len(c.Plans) > MaxCouponPlans:
		return FieldError(Invalid, "plans", "must not be more than %d", MaxCouponPlans)
	}
	return nil
}

// IsFor reports whether the coupon is for a plan.
func (c *Coupon) IsFor(plan string) bool { return len(c.Plans) == 0 || slices.Contains(c.Plans, plan) }

// Redeemable refuses to redeem a coupon on a day, so many times having been
// before.
func (c *Coupon) Redeemable(today Date, before int) error {
	switch {
	case !c.Active:
		return Errorf(State, "the coupon cannot be redeemed any more")
	case !c.RedeemBy.IsZero() && today.After(c.RedeemBy):
		return Errorf(State, "the coupon could be redeemed until %s", c.RedeemBy)
	case c.MaxRedemptions > 0 && before >= c.MaxRedemptions:
		return Errorf(State, "the coupon was redeemed as often as it can be")
	}
	return nil
}

// Discount is by how much the coupon lowers an invoice with these lines, of a
// subscription to a plan or of none (""), and how much of that is of what the
// subscription itself costs. It is of the plan, its add-ons, charges and what is
// charged for the rest of a period; a set-up fee stays what it is, and a coupon that
// names plans is for what those plans cost alone. A percentage is of the sum and
// rounded once, half up; an amount is never more than what it is of.
func (c *Coupon) Discount(lines []Line, plan string) (all, own Money, err error) {
	var of, ofOwn Money
	for i := range lines {
		l := &lines[i]
		if !c.lowers(l, plan) {
			continue
		}
		if of, err = of.Add(l.Amount); err != nil {
			return Money{}, Money{}, err
		}
		if l.Kind != LineCharge {
			if ofOwn, err = ofOwn.Add(l.Amount); err != nil {
				return Money{}, Money{}, err
			}
		}
	}
	all = Minor(0, of.Currency())
	switch {
	case of.Sign() <= 0:
		return all, all, nil
	case c.Percent > 0:
		if all, err = of.MulDiv(int64(c.Percent), 100); err != nil {
			return Money{}, Money{}, err
		}
	case c.Amount.Currency() == of.Currency():
		all = Minor(min(c.Amount.Minor(), of.Minor()), of.Currency())
	}
	own, err = all.MulDiv(ofOwn.Minor(), of.Minor())
	return all, own, err
}

// lowers reports whether the coupon is of a line.
func (c *Coupon) lowers(l *Line, plan string) bool {
	switch l.Kind {
	case LinePlan, LineAddOn, LineProration:
		return c.IsFor(plan)
	case LineCharge:
		return len(c.Plans) == 0
	case LineSetup, LineAdjustment, LineCredit, LineDiscount:
	}
	return false
}

// Redemption is a coupon in a customer's hands. A customer holds one at a time.
type Redemption struct {
	MerchantID MerchantID
	ID         RedemptionID
	CouponID   CouponID
	Seq        int // which of the coupon's redemptions it is, from 1
	CustomerID CustomerID
	RedeemedAt time.Time
	EndsOn     Date      // the first day on which it lowers nothing any more, zero for no such day
	Used       int       // invoices that it has lowered
	Discounted Money     // by how much in all
	EndedAt    time.Time // used up, past or taken away; zero while it is held
}

// Redemption is the coupon in a customer's hands from a day on.
func (c *Coupon) Redemption(customer CustomerID, today Date, at time.Time) *Redemption {
	r := &Redemption{MerchantID: c.MerchantID, CouponID: c.ID, CustomerID: customer, RedeemedAt: at}
	if c.Lasts == LastsMonths {
		r.EndsOn = today.AddMonths(c.Months)
	}
	return r
}

// Holds reports whether the redemption lowers invoices of a day.
func (r *Redemption) Holds(on Date) bool {
	return r.EndedAt.IsZero() && (r.EndsOn.IsZero() || on.Before(r.EndsOn))
}

// Use notes that an invoice was lowered. A coupon that lasts for one is then used
// up.
func (r *Redemption) Use(c *Coupon, discount Money, at time.Time) error {
	sum, err := r.Discounted.Add(discount)
	if err != nil {
		return err
	}
	r.Used++
	r.Discounted = sum
	if c.Lasts == LastsOnce {
		r.EndedAt = at
	}
	return nil
}
