package store

import (
	"context"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const subscriptionColumns = `merchant_id, id, account_id, customer_id, code, plan_id, plan_name, payment_method_id, term, length,
	amount, tax, currency, cycle, first_date, first_invoicing, status, period, issued, last_date, next_date, COALESCE(next_at, 0),
	adjusted, note, created_at, updated_at, COALESCE(initial_amount, -1), anchors, access, COALESCE(signed_up_at, 0),
	taken_back, composition, pending_change`

func scanSubscription(r sqldb.Row) (*billing.Subscription, error) {
	var s billing.Subscription
	var length, amount, tax, period, issued, next, created, updated, initial, signedUp int64
	var c billing.Currency
	var dates [4]string
	var anchors, takenBack, composition, change string
	err := r.Scan(&s.MerchantID, &s.ID, &s.AccountID, &s.CustomerID, &s.Code, &s.PlanID, &s.PlanName, &s.PaymentMethodID, &s.Term,
		&length, &amount, &tax, &c, &s.Cycle, &dates[0], &dates[1], &s.Status, &period, &issued, &dates[2], &dates[3], &next,
		&s.Adjusted, &s.Note, &created, &updated, &initial, &anchors, &s.Access, &signedUp, &takenBack,
		&composition, &change)
	if err != nil {
		return nil, err
	}
	for i, d := range []*billing.Date{&s.FirstDate, &s.FirstInvoicing, &s.LastDate, &s.NextDate} {
		if *d, err = date(dates[i]); err != nil {
			return nil, err
		}
	}
	if anchors != "" {
		if s.Anchors, err = billing.ParseAnchors(anchors); err != nil {
			return nil, fmt.Errorf("store: dates of subscription %d: %w", s.ID, err)
		}
	}
	for _, j := range []kept{{takenBack, &s.TakenBack}, {composition, &s.Composition}, {change, &s.Change}} {
		if err := j.read(); err != nil {
			return nil, fmt.Errorf("store: subscription %d: %w", s.ID, err)
		}
	}
	if initial >= 0 {
		price := billing.Minor(initial, c)
		s.Initial = &price
	}
	s.SignedUpAt = instant(signedUp)
	s.Length, s.Period, s.Issued = int(length), int(period), int(issued)
	s.Amount, s.Tax = billing.Minor(amount, c), billing.Minor(tax, c)
	s.NextAt, s.CreatedAt, s.UpdatedAt = instant(next), instant(created), instant(updated)
	return &s, nil
}

// Subscription reads a subscription.
func (v *View) Subscription(ctx context.Context, id billing.SubscriptionID) (*billing.Subscription, error) {
	s, err := sqldb.One(ctx, v.tx, scanSubscription,
		`SELECT `+subscriptionColumns+` FROM subscription WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return s, notFound(err, "subscription")
}

// SubscriptionsByID reads several subscriptions, those that are gone among them.
func (v *View) SubscriptionsByID(ctx context.Context, ids []billing.SubscriptionID) (map[billing.SubscriptionID]*billing.Subscription, error) {
	list, err := sqldb.Query(ctx, v.tx, scanSubscription,
		`SELECT `+subscriptionColumns+` FROM subscription WHERE merchant_id = $1 AND id `+v.tx.In(2), v.merchant, sqldb.List(ints(ids)))
	found := make(map[billing.SubscriptionID]*billing.Subscription, len(list))
	for _, s := range list {
		found[s.ID] = s
	}
	return found, err
}

// LockSubscriptions reads subscriptions and keeps other writers of them
// waiting. Subscriptions are locked before customers.
func (t *Tx) LockSubscriptions(ctx context.Context, ids []billing.SubscriptionID) ([]*billing.Subscription, error) {
	return sqldb.Query(ctx, t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscription
		WHERE merchant_id = $1 AND id `+t.tx.In(2)+` ORDER BY id`+t.tx.ForUpdate(), t.merchant, sqldb.List(ints(ids)))
}

// LockLive locks and reads those of a customer's subscriptions that have not ended.
func (t *Tx) LockLive(ctx context.Context, c billing.CustomerID) ([]*billing.Subscription, error) {
	return sqldb.Query(ctx, t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscription
		WHERE merchant_id = $1 AND customer_id = $2 AND status NOT IN ('cancelled', 'expired', 'gone') ORDER BY id`+t.tx.ForUpdate(), t.merchant, c)
}

// LockSubscriptionOf locks and reads one subscription of a customer.
func (t *Tx) LockSubscriptionOf(ctx context.Context, c billing.CustomerID, id billing.SubscriptionID) (*billing.Subscription, error) {
	list, err := t.LockSubscriptions(ctx, []billing.SubscriptionID{id})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].CustomerID != c {
		return nil, billing.Errorf(billing.NotFound, "subscription not found")
	}
	return list[0], nil
}

// ClaimDue locks and reads subscriptions whose next event is due, those that
// another worker holds left out. until bounds the instant from which an event
// is taken up, latest the event's date.
func (t *Tx) ClaimDue(ctx context.Context, until time.Time, latest billing.Date, limit int) ([]*billing.Subscription, error) {
	return sqldb.Query(ctx, t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscription
		WHERE merchant_id = $1 AND next_at <= $2 AND next_date <= $3 ORDER BY next_at, id LIMIT $4`+t.tx.SkipLocked(),
		t.merchant, until.UnixMicro(), latest.String(), int64(limit))
}

// ClaimDueOf is ClaimDue of some subscriptions alone.
func (t *Tx) ClaimDueOf(ctx context.Context, ids []int64, until time.Time, latest billing.Date) ([]*billing.Subscription, error) {
	return sqldb.Query(ctx, t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscription
		WHERE merchant_id = $1 AND id `+t.tx.In(2)+` AND next_at <= $3 AND next_date <= $4 ORDER BY next_at, id`+t.tx.SkipLocked(),
		t.merchant, sqldb.List(ids), until.UnixMicro(), latest.String())
}

// SubscriptionFilter narrows a list of a customer's subscriptions.
type SubscriptionFilter struct {
	Plan                   billing.PlanID
	Status                 billing.SubscriptionStatus
	NextDate               billing.Date
	CreatedFrom, CreatedTo time.Time
	Page                   Page
}

// Subscriptions lists a customer's subscriptions by id.
func (v *View) Subscriptions(ctx context.Context, c billing.CustomerID, f SubscriptionFilter) ([]*billing.Subscription, error) {
	q := newSelect(v, "subscription", subscriptionColumns)
	q.equal("customer_id", c)
	q.compare("status", "<>", billing.Gone)
	if f.Plan != 0 {
		q.equal("plan_id", f.Plan)
	}
	if f.Status != "" {
		q.equal("status", f.Status)
	}
	if !f.NextDate.IsZero() {
		q.equal("next_date", f.NextDate.String())
	}
	q.between("created_at", f.CreatedFrom, f.CreatedTo)
	return sqldb.Query(ctx, v.tx, scanSubscription, q.paged(f.Page), q.args...)
}

// HasSubscription reports whether a customer has a subscription that has not ended.
func (v *View) HasSubscription(ctx context.Context, c billing.CustomerID) (has bool, err error) {
	err = v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM subscription
		WHERE merchant_id = $1 AND customer_id = $2 AND status NOT IN ('cancelled', 'expired', 'gone'))`, v.merchant, c).Scan(&has)
	return has, err
}

// PlanInUse reports whether a subscription to a plan has not ended.
func (v *View) PlanInUse(ctx context.Context, p billing.PlanID) (used bool, err error) {
	err = v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM subscription
		WHERE merchant_id = $1 AND plan_id = $2 AND status NOT IN ('cancelled', 'expired', 'gone'))`, v.merchant, p).Scan(&used)
	return used, err
}

// InsertSubscriptions writes new subscriptions; their ids are given.
func (t *Tx) InsertSubscriptions(ctx context.Context, list ...*billing.Subscription) error {
	rows := make([][]any, len(list))
	for i, s := range list {
		var initial any
		if s.Initial != nil {
			initial = s.Initial.Minor()
		}
		rows[i] = []any{int64(s.MerchantID), int64(s.ID), int64(s.AccountID), int64(s.CustomerID), s.Code, int64(s.PlanID),
			s.PlanName, int64(s.PaymentMethodID), string(s.Term), int64(s.Length), s.Amount.Minor(), s.Tax.Minor(),
			string(s.Amount.Currency()), string(s.Cycle), s.FirstDate.String(), s.FirstInvoicing.String(), string(s.Status),
			int64(s.Period), int64(s.Issued), s.LastDate.String(), s.NextDate.String(), micros(s.NextAt), s.Adjusted, s.Note,
			micros(s.CreatedAt), micros(s.UpdatedAt), initial, billing.AnchorsText(s.Anchors), string(s.Access), micros(s.SignedUpAt),
			toJSON(s.TakenBack), toJSON(s.Composition), toJSON(s.Change)}
	}
	return t.tx.InsertMany(ctx, "subscription", []string{"merchant_id", "id", "account_id", "customer_id", "code", "plan_id",
		"plan_name", "payment_method_id", "term", "length", "amount", "tax", "currency", "cycle", "first_date", "first_invoicing",
		"status", "period", "issued", "last_date", "next_date", "next_at", "adjusted", "note", "created_at", "updated_at",
		"initial_amount", "anchors", "access", "signed_up_at", "taken_back", "composition", "pending_change"}, rows)
}

// UpdateTerms writes what a subscription is for, its price and its dates, which
// only somebody's wish changes.
func (t *Tx) UpdateTerms(ctx context.Context, s *billing.Subscription) error {
	var initial any
	if s.Initial != nil {
		initial = s.Initial.Minor()
	}
	_, err := t.tx.Exec(ctx, `UPDATE subscription SET amount = $3, first_date = $4, first_invoicing = $5, anchors = $6, tax = $7,
			initial_amount = $8, plan_id = $9, plan_name = $10, cycle = $11, term = $12, length = $13, composition = $14, pending_change = $15
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, s.ID, s.Amount.Minor(), s.FirstDate.String(), s.FirstInvoicing.String(), billing.AnchorsText(s.Anchors), s.Tax.Minor(),
		initial, s.PlanID, s.PlanName, s.Cycle, s.Term, int64(s.Length), toJSON(s.Composition), toJSON(s.Change))
	return err
}

// UpdateSubscriptions writes what the course of time changes of subscriptions.
func (t *Tx) UpdateSubscriptions(ctx context.Context, list []*billing.Subscription) error {
	rows := make([][]any, len(list))
	for i, s := range list {
		rows[i] = []any{int64(t.merchant), int64(s.ID), int64(s.PaymentMethodID), string(s.Status), int64(s.Period), int64(s.Issued),
			s.LastDate.String(), s.NextDate.String(), micros(s.NextAt), s.Adjusted, s.Note, micros(s.UpdatedAt)}
	}
	_, err := t.tx.UpdateMany(ctx, "subscription", []string{"merchant_id", "id"}, []string{"payment_method_id", "status", "period",
		"issued", "last_date", "next_date", "next_at", "adjusted", "note", "updated_at"}, rows)
	return err
}

const adjustmentColumns = `merchant_id, id, subscription_id, kind, effective_date, end_date, length, note, state, created_at`

func scanAdjustment(r sqldb.Row) (billing.Adjustment, error) {
	var a billing.Adjustment
	var length, created int64
	var from, to string
	err := r.Scan(&a.MerchantID, &a.ID, &a.SubscriptionID, &a.Kind, &from, &to, &length, &a.Note, &a.State, &created)
	if err != nil {
		return a, err
	}
	if a.Effective, err = date(from); err != nil {
		return a, err
	}
	a.End, err = date(to)
	a.Length, a.CreatedAt = int(length), instant(created)
	return a, err
}

// Adjustments lists a subscription's adjustments by id, a page of them.
func (v *View) Adjustments(ctx context.Context, s billing.SubscriptionID, p Page) ([]billing.Adjustment, error) {
	q := newSelect(v, "adjustment", adjustmentColumns)
	q.equal("subscription_id", s)
	return sqldb.Query(ctx, v.tx, scanAdjustment, q.paged(p), q.args...)
}

// OpenAdjustments reads the adjustments of subscriptions that wait or hold.
func (v *View) OpenAdjustments(ctx context.Context, ids []billing.SubscriptionID) (map[billing.SubscriptionID][]billing.Adjustment, error) {
	open := make(map[billing.SubscriptionID][]billing.Adjustment)
	if len(ids) == 0 {
		return open, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanAdjustment, `SELECT `+adjustmentColumns+` FROM adjustment
		WHERE merchant_id = $1 AND subscription_id `+v.tx.In(2)+` AND state <> 'done' ORDER BY +id`, v.merchant, sqldb.List(ints(ids)))
	for _, a := range list {
		open[a.SubscriptionID] = append(open[a.SubscriptionID], a)
	}
	return open, err
}

// SaveAdjustments writes a subscription's adjustments; those without an id are
// new and get one.
func (t *Tx) SaveAdjustments(ctx context.Context, s *billing.Subscription, list []billing.Adjustment, now time.Time) error {
	for i := range list {
		a := &list[i]
		if a.ID != 0 {
			_, err := t.tx.Exec(ctx, `UPDATE adjustment SET state = $3, end_date = $4, effective_date = $5
				WHERE merchant_id = $1 AND id = $2`, t.merchant, a.ID, a.State, a.End.String(), a.Effective.String())
			if err != nil {
				return err
			}
			continue
		}
		a.MerchantID, a.ID, a.SubscriptionID, a.CreatedAt = t.merchant, billing.AdjustmentID(t.NewID()), s.ID, now
		_, err := t.tx.Exec(ctx, `INSERT INTO adjustment (`+adjustmentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			a.MerchantID, a.ID, a.SubscriptionID, a.Kind, a.Effective.String(), a.End.String(), int64(a.Length), a.Note, a.State,
			micros(a.CreatedAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// MethodsOfSubscriptions tells which payment method pays each subscription.
func (v *View) MethodsOfSubscriptions(ctx context.Context, ids []billing.SubscriptionID) (map[billing.SubscriptionID]billing.PaymentMethodID, error) {
	type pair struct {
		s billing.SubscriptionID
		m billing.PaymentMethodID
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (p pair, err error) { err = r.Scan(&p.s, &p.m); return p, err },
		`SELECT id, payment_method_id FROM subscription WHERE merchant_id = $1 AND id `+v.tx.In(2), v.merchant, sqldb.List(ints(ids)))
	methods := make(map[billing.SubscriptionID]billing.PaymentMethodID, len(list))
	for _, p := range list {
		methods[p.s] = p.m
	}
	return methods, err
}

// LockComplete locks and reads those of several subscriptions whose fixed term
// has issued its last invoice, that have not ended, and that end with what they
// owe.
func (t *Tx) LockComplete(ctx context.Context, ids []billing.SubscriptionID) ([]*billing.Subscription, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return sqldb.Query(ctx, t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscription
		WHERE merchant_id = $1 AND id `+t.tx.In(2)+` AND term = 'fixed' AND access = '' AND issued >= length AND status NOT IN ('cancelled', 'expired')
		ORDER BY id`+t.tx.ForUpdate(), t.merchant, sqldb.List(ints(ids)))
}
