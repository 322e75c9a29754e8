package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// What follows reads the books from end to end, a page at a time, for those who
// prove them. Each page is one step down a primary key or an index and costs the
// same wherever it lies.

// ActivitiesAcross lists the activities of all customers by customer and id, at
// most limit, after one of them (0 and 0 for the beginning).
func (v *View) ActivitiesAcross(ctx context.Context, c billing.CustomerID, after billing.ActivityID, limit int) ([]*billing.Activity, error) {
	return sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND (customer_id, id) > ($2, $3) ORDER BY customer_id, id LIMIT $4`, v.merchant, c, after, int64(limit))
}

// EntriesOf reads the entries of several activities, each activity's in order.
func (v *View) EntriesOf(ctx context.Context, ids []billing.ActivityID) (map[billing.ActivityID][]billing.Entry, error) {
	found := make(map[billing.ActivityID][]billing.Entry, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanEntry, `SELECT `+entryColumns+` FROM entry
		WHERE merchant_id = $1 AND activity_id `+v.tx.In(2)+` ORDER BY activity_id, seq`, v.merchant, sqldb.List(ints(ids)))
	for _, e := range list {
		found[e.ActivityID] = append(found[e.ActivityID], e)
	}
	return found, err
}

const entryColumns = `merchant_id, activity_id, seq, ledger, COALESCE(customer_id, 0), amount, currency, posted_at`

func scanEntry(r sqldb.Row) (billing.Entry, error) {
	var e billing.Entry
	var seq, amount, posted int64
	var c billing.Currency
	err := r.Scan(&e.MerchantID, &e.ActivityID, &seq, &e.Ledger, &e.CustomerID, &amount, &c, &posted)
	e.Seq, e.Amount, e.PostedAt = int(seq), billing.Minor(amount, c), instant(posted)
	return e, err
}

// AllocationsFrom reads all allocations ever made of several credits, by id,
// those that were dissolved among them. See OpenActivities for "+id".
func (v *View) AllocationsFrom(ctx context.Context, sources []billing.ActivityID) ([]*billing.Allocation, error) {
	return v.allocations(ctx, "source_id", sources)
}

// AllocationsTo is AllocationsFrom for debits.
func (v *View) AllocationsTo(ctx context.Context, targets []billing.ActivityID) ([]*billing.Allocation, error) {
	return v.allocations(ctx, "target_id", targets)
}

func (v *View) allocations(ctx context.Context, side string, ids []billing.ActivityID) ([]*billing.Allocation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return sqldb.Query(ctx, v.tx, scanAllocation, `SELECT `+allocationColumns+` FROM allocation
		WHERE merchant_id = $1 AND `+side+` `+v.tx.In(2)+` ORDER BY +id`, v.merchant, sqldb.List(ints(ids)))
}

// Attempts lists the attempts of all customers by id.
func (v *View) Attempts(ctx context.Context, p Page) ([]*billing.Attempt, error) {
	q := newSelect(v, "attempt", attemptColumns)
	return sqldb.Query(ctx, v.tx, scanAttempt, q.paged(p), q.args...)
}

// SubscriptionsAcross lists the subscriptions of all customers by id.
func (v *View) SubscriptionsAcross(ctx context.Context, p Page) ([]*billing.Subscription, error) {
	q := newSelect(v, "subscription", subscriptionColumns)
	return sqldb.Query(ctx, v.tx, scanSubscription, q.paged(p), q.args...)
}

// InvoicedPeriods tells which billing dates of subscriptions have an invoice, by
// their index, rising.
func (v *View) InvoicedPeriods(ctx context.Context, ids []billing.SubscriptionID) (map[billing.SubscriptionID][]int, error) {
	type invoice struct {
		subscription billing.SubscriptionID
		period       int64
	}
	periods := make(map[billing.SubscriptionID][]int, len(ids))
	if len(ids) == 0 {
		return periods, nil
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (i invoice, err error) { err = r.Scan(&i.subscription, &i.period); return i, err },
		`SELECT subscription_id, period FROM activity
			WHERE merchant_id = $1 AND subscription_id `+v.tx.In(2)+` AND period IS NOT NULL ORDER BY subscription_id, period`,
		v.merchant, sqldb.List(ints(ids)))
	for _, i := range list {
		periods[i.subscription] = append(periods[i.subscription], int(i.period))
	}
	return periods, err
}

// AdjustmentsOf reads all adjustments of subscriptions, by id, those that are
// done among them. See OpenActivities for "+id".
func (v *View) AdjustmentsOf(ctx context.Context, ids []billing.SubscriptionID) (map[billing.SubscriptionID][]billing.Adjustment, error) {
	found := make(map[billing.SubscriptionID][]billing.Adjustment)
	if len(ids) == 0 {
		return found, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanAdjustment, `SELECT `+adjustmentColumns+` FROM adjustment
		WHERE merchant_id = $1 AND subscription_id `+v.tx.In(2)+` ORDER BY +id`, v.merchant, sqldb.List(ints(ids)))
	for _, a := range list {
		found[a.SubscriptionID] = append(found[a.SubscriptionID], a)
	}
	return found, err
}

// LedgerEntry is an entry with the attempt behind its activity, 0 if none.
type LedgerEntry struct {
	billing.Entry
	Attempt billing.AttemptID
}

// EntriesOn lists the entries on some ledgers by activity and sequence, at most
// limit, after one of them (0 and 0 for the beginning).
func (v *View) EntriesOn(ctx context.Context, ledgers []billing.Ledger, after billing.ActivityID, seq, limit int) ([]LedgerEntry, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (e LedgerEntry, err error) {
		var seq, amount int64
		var c billing.Currency
		err = r.Scan(&e.ActivityID, &seq, &e.Ledger, &amount, &c, &e.Attempt)
		e.MerchantID, e.Seq, e.Amount = v.merchant, int(seq), billing.Minor(amount, c)
		return e, err
	}, `SELECT e.activity_id, e.seq, e.ledger, e.amount, e.currency, COALESCE(a.attempt_id, 0)
		FROM entry e JOIN activity a ON a.merchant_id = e.merchant_id AND a.id = e.activity_id
		WHERE e.merchant_id = $1 AND e.ledger `+v.tx.In(2)+` AND (e.activity_id, e.seq) > ($3, $4)
		ORDER BY e.activity_id, e.seq LIMIT $5`, v.merchant, sqldb.List(ledgers), after, int64(seq), int64(limit))
}

// BillNumbers are a merchant's numbers of bills.
type BillNumbers struct {
	Count, First, Last int64 // of those that are given
	Counter            int64 // from which the next is counted
}

// BillNumbers tells which numbers bills have.
func (v *View) BillNumbers(ctx context.Context) (n BillNumbers, err error) {
	err = v.tx.QueryRow(ctx, `SELECT COUNT(number), COALESCE(MIN(number), 0), COALESCE(MAX(number), 0),
			COALESCE((SELECT last FROM counter WHERE merchant_id = $1 AND name = $2), 0)
		FROM bill WHERE merchant_id = $1`, v.merchant, billNumbers).Scan(&n.Count, &n.First, &n.Last, &n.Counter)
	return n, err
}

// StrayLines lists lines that stand on nothing and are of a kind that never waits.
func (v *View) StrayLines(ctx context.Context, limit int) ([]*billing.Line, error) {
	return sqldb.Query(ctx, v.tx, scanLine, `SELECT `+lineColumns+` FROM line
		WHERE merchant_id = $1 AND activity_id IS NULL AND kind NOT IN ('charge', 'adjustment') ORDER BY id LIMIT $2`, v.merchant, int64(limit))
}

// Misdiscounted is a customer whose redemptions of a coupon say another sum than the
// lines of its discounts, in minor units.
type Misdiscounted struct {
	Customer               billing.CustomerID
	ByRedemptions, ByLines int64
}

// Misdiscounted lists those of whom that is so, of one coupon.
func (v *View) Misdiscounted(ctx context.Context, c *billing.Coupon, limit int) ([]Misdiscounted, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (m Misdiscounted, err error) {
		err = r.Scan(&m.Customer, &m.ByRedemptions, &m.ByLines)
		return m, err
	}, `SELECT customer_id, said, discounted FROM (
			SELECT r.customer_id, CAST(SUM(r.discounted) AS BIGINT) AS said, CAST(COALESCE((SELECT -SUM(l.amount) FROM line l
				WHERE l.merchant_id = $1 AND l.customer_id = r.customer_id AND l.kind = 'discount' AND l.code = $3), 0) AS BIGINT) AS discounted
			FROM redemption r WHERE r.merchant_id = $1 AND r.coupon_id = $2 GROUP BY r.customer_id) AS sums
		WHERE said <> discounted ORDER BY customer_id LIMIT $4`, v.merchant, c.ID, c.Code, int64(limit))
}
