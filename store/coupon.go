package store

import (
	"context"
	"errors"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const couponColumns = `merchant_id, id, code, name, percent, amount, currency, lasts, months, redeem_by, max_redemptions, plans, active,
	created_at, updated_at`

func scanCoupon(r sqldb.Row) (*billing.Coupon, error) {
	var c billing.Coupon
	var percent, amount, months, most, created, updated int64
	var currency billing.Currency
	var by, plans string
	err := r.Scan(&c.MerchantID, &c.ID, &c.Code, &c.Name, &percent, &amount, &currency, &c.Lasts, &months, &by, &most, &plans, &c.Active,
		&created, &updated)
	if err != nil {
		return nil, err
	}
	if c.RedeemBy, err = date(by); err != nil {
		return nil, err
	}
	if plans != "" {
		c.Plans = strings.Split(plans, "\n")
	}
	c.Percent, c.Months, c.MaxRedemptions = int(percent), int(months), int(most)
	c.Amount = billing.Minor(amount, currency)
	c.CreatedAt, c.UpdatedAt = instant(created), instant(updated)
	return &c, nil
}

// Coupon reads a coupon.
func (v *View) Coupon(ctx context.Context, id billing.CouponID) (*billing.Coupon, error) {
	c, err := sqldb.One(ctx, v.tx, scanCoupon, `SELECT `+couponColumns+` FROM coupon WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return c, notFound(err, "coupon")
}

// CouponByCode finds a coupon by its code.
func (v *View) CouponByCode(ctx context.Context, code string) (*billing.Coupon, error) {
	c, err := sqldb.One(ctx, v.tx, scanCoupon, `SELECT `+couponColumns+` FROM coupon WHERE merchant_id = $1 AND code = $2`, v.merchant, code)
	return c, notFound(err, "coupon")
}

// LockCoupon reads a coupon and keeps others who redeem it waiting. Coupons are
// locked after customers.
func (t *Tx) LockCoupon(ctx context.Context, code string) (*billing.Coupon, error) {
	c, err := sqldb.One(ctx, t.tx, scanCoupon, `SELECT `+couponColumns+` FROM coupon WHERE merchant_id = $1 AND code = $2`+t.tx.ForUpdate(),
		t.merchant, code)
	return c, notFound(err, "coupon")
}

// Coupons lists coupons by id.
func (v *View) Coupons(ctx context.Context, p Page) ([]*billing.Coupon, error) {
	q := newSelect(v, "coupon", couponColumns)
	return sqldb.Query(ctx, v.tx, scanCoupon, q.paged(p), q.args...)
}

// CouponsByID reads several coupons.
func (v *View) CouponsByID(ctx context.Context, ids []billing.CouponID) (map[billing.CouponID]*billing.Coupon, error) {
	coupons := make(map[billing.CouponID]*billing.Coupon, len(ids))
	if len(ids) == 0 {
		return coupons, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanCoupon, `SELECT `+couponColumns+` FROM coupon WHERE merchant_id = $1 AND id `+v.tx.In(2),
		v.merchant, sqldb.List(ints(ids)))
	for _, c := range list {
		coupons[c.ID] = c
	}
	return coupons, err
}

// InsertCoupon writes a new coupon; its id is given.
func (t *Tx) InsertCoupon(ctx context.Context, c *billing.Coupon) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO coupon (`+couponColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		t.merchant, c.ID, c.Code, c.Name, int64(c.Percent), c.Amount.Minor(), c.Amount.Currency(), c.Lasts, int64(c.Months),
		c.RedeemBy.String(), int64(c.MaxRedemptions), strings.Join(c.Plans, "\n"), c.Active, micros(c.CreatedAt), micros(c.UpdatedAt))
	if sqldb.IsUnique(err) {
		return billing.FieldError(billing.Duplicate, "code", "the code is taken")
	}
	return err
}

// UpdateCoupon writes what may change of a coupon.
func (t *Tx) UpdateCoupon(ctx context.Context, c *billing.Coupon) error {
	_, err := t.tx.Exec(ctx, `UPDATE coupon SET name = $3, percent = $4, amount = $5, currency = $6, lasts = $7, months = $8, redeem_by = $9,
			max_redemptions = $10, plans = $11, active = $12, updated_at = $13
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, c.ID, c.Name, int64(c.Percent), c.Amount.Minor(), c.Amount.Currency(), c.Lasts, int64(c.Months), c.RedeemBy.String(),
		int64(c.MaxRedemptions), strings.Join(c.Plans, "\n"), c.Active, micros(c.UpdatedAt))
	return err
}

const redemptionColumns = `merchant_id, id, coupon_id, seq, customer_id, redeemed_at, ends_on, used, discounted, currency, COALESCE(ended_at, 0)`

func scanRedemption(r sqldb.Row) (*billing.Redemption, error) {
	var d billing.Redemption
	var seq, redeemed, used, discounted, ended int64
	var c billing.Currency
	var ends string
	err := r.Scan(&d.MerchantID, &d.ID, &d.CouponID, &seq, &d.CustomerID, &redeemed, &ends, &used, &discounted, &c, &ended)
	if err != nil {
		return nil, err
	}
	d.EndsOn, err = date(ends)
	d.Seq, d.Used, d.Discounted = int(seq), int(used), billing.Minor(discounted, c)
	d.RedeemedAt, d.EndedAt = instant(redeemed), instant(ended)
	return &d, err
}

// Redeemed finds the coupon in a customer's hands that lowers invoices of a day.
func (v *View) Redeemed(ctx context.Context, c billing.CustomerID, on billing.Date) (*billing.Redemption, error) {
	held, err := v.HeldRedemptions(ctx, []billing.CustomerID{c})
	if r := held[c]; err == nil && r != nil && r.Holds(on) {
		return r, nil
	}
	if err == nil {
		err = billing.Errorf(billing.NotFound, "coupon not found")
	}
	return nil, err
}

// Redemption reads a redemption.
func (v *View) Redemption(ctx context.Context, id billing.RedemptionID) (*billing.Redemption, error) {
	r, err := sqldb.One(ctx, v.tx, scanRedemption, `SELECT `+redemptionColumns+` FROM redemption WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return r, notFound(err, "redemption")
}

// HeldRedemptions reads the redemptions that have not ended, one for each customer
// at most; whether their time is past is not asked.
func (v *View) HeldRedemptions(ctx context.Context, ids []billing.CustomerID) (map[billing.CustomerID]*billing.Redemption, error) {
	held := make(map[billing.CustomerID]*billing.Redemption)
	if len(ids) == 0 {
		return held, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanRedemption, `SELECT `+redemptionColumns+` FROM redemption
		WHERE merchant_id = $1 AND customer_id `+v.tx.In(2)+` AND ended_at IS NULL`, v.merchant, sqldb.List(ints(ids)))
	for _, r := range list {
		held[r.CustomerID] = r
	}
	return held, err
}

// CountRedemptions tells how often a coupon was redeemed, and the number of the
// last time.
func (v *View) CountRedemptions(ctx context.Context, c billing.CouponID) (n, last int, err error) {
	var counted, seq int64
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM redemption WHERE merchant_id = $1 AND coupon_id = $2`,
		v.merchant, c).Scan(&counted, &seq)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, 0, nil
	}
	return int(counted), int(seq), err
}

// InsertRedemption puts a coupon into a customer's hands, which must be empty.
func (t *Tx) InsertRedemption(ctx context.Context, r *billing.Redemption) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO redemption (merchant_id, id, coupon_id, seq, customer_id, redeemed_at, ends_on, used, discounted,
			currency, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		t.merchant, r.ID, r.CouponID, int64(r.Seq), r.CustomerID, micros(r.RedeemedAt), r.EndsOn.String(), int64(r.Used),
		r.Discounted.Minor(), r.Discounted.Currency(), micros(r.EndedAt))
	if sqldb.IsUnique(err) {
		return billing.Errorf(billing.State, "a coupon is redeemed already")
	}
	return err
}

// UpdateRedemptions writes what redemptions have come to.
func (t *Tx) UpdateRedemptions(ctx context.Context, list []*billing.Redemption) error {
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = []any{int64(t.merchant), int64(r.ID), int64(r.Used), r.Discounted.Minor(), string(r.Discounted.Currency()), micros(r.EndedAt)}
	}
	_, err := t.tx.UpdateMany(ctx, "redemption", []string{"merchant_id", "id"}, []string{"used", "discounted", "currency", "ended_at"}, rows)
	return err
}

// DeleteRedemption takes a redemption back that has lowered nothing: it was for a
// subscription that did not come about.
func (t *Tx) DeleteRedemption(ctx context.Context, id billing.RedemptionID) error {
	_, err := t.tx.Exec(ctx, `DELETE FROM redemption WHERE merchant_id = $1 AND id = $2 AND used = 0`, t.merchant, id)
	return err
}
