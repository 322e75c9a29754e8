package billing

import "time"

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
