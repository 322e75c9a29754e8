package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const activityColumns = `merchant_id, id, account_id, customer_id, code, kind, instrument, amount, tax, open, currency, state, due,
	COALESCE(subscription_id, 0), COALESCE(period, -1), COALESCE(attempt_id, 0), masked, note, creator, COALESCE(adjusted_by, 0),
	COALESCE(adjusts, 0), invoice_list, COALESCE(collect_at, 0), tries, declined_on, COALESCE(claimed_by, 0), COALESCE(age_at, 0),
	created_at`

func scanActivity(r sqldb.Row) (*billing.Activity, error) {
	var a billing.Activity
	var amount, tax, open, period, collect, tries, age, created int64
	var c billing.Currency
	var due, declined string
	err := r.Scan(&a.MerchantID, &a.ID, &a.AccountID, &a.CustomerID, &a.Code, &a.Kind, &a.Instrument, &amount, &tax, &open, &c,
		&a.State, &due, &a.SubscriptionID, &period, &a.AttemptID, &a.Masked, &a.Note, &a.Creator, &a.AdjustedBy, &a.Adjusts,
		&a.InvoiceList, &collect, &tries, &declined, &a.ClaimedBy, &age, &created)
	if err != nil {
		return nil, err
	}
	if a.Due, err = date(due); err != nil {
		return nil, err
	}
	if a.DeclinedOn, err = date(declined); err != nil {
		return nil, err
	}
	a.Amount, a.Tax, a.Open = billing.Minor(amount, c), billing.Minor(tax, c), billing.Minor(open, c)
	a.Period, a.Tries = int(period), int(tries)
	a.CollectAt, a.AgeAt, a.CreatedAt = instant(collect), instant(age), instant(created)
	return &a, nil
}

// Activity reads an activity.
func (v *View) Activity(ctx context.Context, id billing.ActivityID) (*billing.Activity, error) {
	a, err := sqldb.One(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return a, notFound(err, "transaction")
}

// ActivitiesByID reads several activities.
func (v *View) ActivitiesByID(ctx context.Context, ids []billing.ActivityID) ([]*billing.Activity, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND id `+v.tx.In(2)+` ORDER BY id`, v.merchant, sqldb.List(ints(ids)))
}

// OpenActivities reads what is open in the accounts of customers. The cost
// depends on what is open, not on the customers' age: "+id" keeps SQLite from
// walking the merchant's whole history just because that is in the order of ids.
func (v *View) OpenActivities(ctx context.Context, ids []billing.CustomerID) ([]*billing.Activity, error) {
	ask := v.askOpenActivities(ids)
	return sqldb.Query(ctx, v.tx, scanActivity, ask.Query, ask.Args...)
}

func (v *View) askOpenActivities(ids []billing.CustomerID) sqldb.Ask {
	return sqldb.Ask{Query: `SELECT ` + activityColumns + ` FROM activity
		WHERE merchant_id = $1 AND customer_id ` + v.tx.In(2) + ` AND open > 0 ORDER BY +id`, Args: []any{v.merchant, sqldb.List(ints(ids))}}
}

// CollectableCustomers finds customers with a debt that is to be claimed.
func (v *View) CollectableCustomers(ctx context.Context, at time.Time, limit int) ([]billing.CustomerID, error) {
	return sqldb.Query(ctx, v.tx, scanCustomerID, `SELECT customer_id FROM activity
		WHERE merchant_id = $1 AND collect_at <= $2 AND claimed_by IS NULL ORDER BY collect_at, id LIMIT $3`,
		v.merchant, at.UnixMicro(), int64(limit))
}

// AgingCustomers finds customers with a debt that grows by age.
func (v *View) AgingCustomers(ctx context.Context, at time.Time, limit int) ([]billing.CustomerID, error) {
	return sqldb.Query(ctx, v.tx, scanCustomerID, `SELECT customer_id FROM activity
		WHERE merchant_id = $1 AND age_at <= $2 ORDER BY age_at, id LIMIT $3`, v.merchant, at.UnixMicro(), int64(limit))
}

func scanCustomerID(r sqldb.Row) (id billing.CustomerID, err error) {
	err = r.Scan(&id)
	return id, err
}

// ActivityFilter narrows a list of a customer's activities.
type ActivityFilter struct {
	CreatedFrom, CreatedTo time.Time
	Kind                   billing.ActivityKind
	Page                   Page
}

// Activities lists a customer's activities by id.
func (v *View) Activities(ctx context.Context, c billing.CustomerID, f ActivityFilter) ([]*billing.Activity, error) {
	q := newSelect(v, "activity", activityColumns)
	q.equal("customer_id", c)
	if f.Kind != "" {
		q.equal("kind", f.Kind)
	}
	q.between("created_at", f.CreatedFrom, f.CreatedTo)
	return sqldb.Query(ctx, v.tx, scanActivity, q.paged(f.Page), q.args...)
}

// InsertActivities writes new activities; their ids are given.
func (t *Tx) InsertActivities(ctx context.Context, list []*billing.Activity) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		var period any
		if a.Period >= 0 {
			period = int64(a.Period)
		}
		rows[i] = []any{int64(a.MerchantID), int64(a.ID), int64(a.AccountID), int64(a.CustomerID), a.Code, string(a.Kind),
			string(a.Instrument), a.Amount.Minor(), a.Tax.Minor(), a.Open.Minor(), string(a.Amount.Currency()), string(a.State),
			a.Due.String(), orNull(a.SubscriptionID), period, orNull(a.AttemptID), a.Masked, a.Note, a.Creator, orNull(a.AdjustedBy),
			orNull(a.Adjusts), a.InvoiceList, micros(a.CollectAt), int64(a.Tries), a.DeclinedOn.String(), orNull(a.ClaimedBy),
			micros(a.AgeAt), micros(a.CreatedAt)}
	}
	return t.tx.InsertMany(ctx, "activity", []string{"merchant_id", "id", "account_id", "customer_id", "code", "kind", "instrument",
		"amount", "tax", "open", "currency", "state", "due", "subscription_id", "period", "attempt_id", "masked", "note", "creator",
		"adjusted_by", "adjusts", "invoice_list", "collect_at", "tries", "declined_on", "claimed_by", "age_at", "created_at"}, rows)
}

// UpdateActivities writes what may change of activities: what is open, how
// certain they are, and when they are next claimed or grow. The amount changes
// only of a payment that stood as unknown and turns out to be approved in part.
func (t *Tx) UpdateActivities(ctx context.Context, list []*billing.Activity) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		rows[i] = []any{int64(t.merchant), int64(a.ID), a.Amount.Minor(), a.Open.Minor(), string(a.State), orNull(a.AdjustedBy), micros(a.CollectAt),
			int64(a.Tries), a.DeclinedOn.String(), orNull(a.ClaimedBy), micros(a.AgeAt)}
	}
	_, err := t.tx.UpdateMany(ctx, "activity", []string{"merchant_id", "id"}, []string{"amount", "open", "state", "adjusted_by", "collect_at",
		"tries", "declined_on", "claimed_by", "age_at"}, rows)
	return err
}

// Unsettled tells which of several subscriptions still have an open debt, or a
// debt that only a pending claim covers.
func (v *View) Unsettled(ctx context.Context, subs []*billing.Subscription) (map[billing.SubscriptionID]bool, error) {
	ids := make([]int64, len(subs))
	for i, s := range subs {
		ids[i] = int64(s.ID)
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (id billing.SubscriptionID, err error) { err = r.Scan(&id); return id, err },
		`SELECT s.id FROM subscription s WHERE s.merchant_id = $1 AND s.id `+v.tx.In(2)+`
			AND EXISTS (SELECT 1 FROM activity d WHERE d.merchant_id = $1 AND d.subscription_id = s.id AND d.period IS NOT NULL
				AND (d.open > 0 OR EXISTS (SELECT 1 FROM allocation m JOIN activity p ON p.merchant_id = m.merchant_id AND p.id = m.source_id
					WHERE m.merchant_id = $1 AND m.target_id = d.id AND m.ended_at IS NULL AND p.state = 'pending')))`,
		v.merchant, sqldb.List(ids))
	open := make(map[billing.SubscriptionID]bool, len(list))
	for _, id := range list {
		open[id] = true
	}
	return open, err
}

// CoveredSubscriptions finds the subscriptions whose invoices credits cover.
func (v *View) CoveredSubscriptions(ctx context.Context, credits []billing.ActivityID) ([]billing.SubscriptionID, error) {
	if len(credits) == 0 {
		return nil, nil
	}
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (id billing.SubscriptionID, err error) { err = r.Scan(&id); return id, err },
		`SELECT DISTINCT d.subscription_id FROM allocation m JOIN activity d ON d.merchant_id = m.merchant_id AND d.id = m.target_id
			WHERE m.merchant_id = $1 AND m.source_id `+v.tx.In(2)+` AND m.ended_at IS NULL AND d.subscription_id IS NOT NULL`,
		v.merchant, sqldb.List(ints(credits)))
}

// CountActivities counts the merchant's activities of a kind since an instant.
func (v *View) CountActivities(ctx context.Context, k billing.ActivityKind, since time.Time) (n int64, err error) {
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*) FROM activity WHERE merchant_id = $1 AND kind = $2 AND created_at > $3`,
		v.merchant, k, since.UnixMicro()).Scan(&n)
	return n, err
}

// PaidFor finds the payments through processors that hold what a subscription was
// invoiced for from a billing date on, and how much of each does, by id.
func (v *View) PaidFor(ctx context.Context, s *billing.Subscription, from billing.Date) ([]billing.Paid, error) {
	type part struct {
		id     billing.ActivityID
		amount int64
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (p part, err error) { err = r.Scan(&p.id, &p.amount); return p, err },
		`SELECT p.id, SUM(m.amount) FROM activity d
			JOIN allocation m ON m.merchant_id = d.merchant_id AND m.target_id = d.id AND m.ended_at IS NULL
			JOIN activity p ON p.merchant_id = m.merchant_id AND p.id = m.source_id
			WHERE d.merchant_id = $1 AND d.customer_id = $2 AND d.subscription_id = $3 AND d.kind = 'invoice' AND d.due >= $4
				AND p.attempt_id IS NOT NULL AND p.kind IN ('payment', 'claim')
			GROUP BY p.id ORDER BY p.id`, v.merchant, s.CustomerID, s.ID, from.String())
	if err != nil {
		return nil, err
	}
	ids := make([]billing.ActivityID, len(list))
	for i, p := range list {
		ids[i] = p.id
	}
	payments, err := v.ActivitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	paid := make([]billing.Paid, len(payments))
	for i, p := range payments { // both are by id
		paid[i] = billing.Paid{Payment: p, Amount: billing.Minor(list[i].amount, p.Amount.Currency())}
	}
	return paid, nil
}
