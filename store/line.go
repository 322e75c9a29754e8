package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const lineColumns = `merchant_id, id, customer_id, COALESCE(subscription_id, 0), COALESCE(activity_id, 0), kind, code, description,
	quantity, unit_amount, amount, currency, COALESCE(from_at, 0), COALESCE(to_at, 0), created_at`

func scanLine(r sqldb.Row) (*billing.Line, error) {
	var l billing.Line
	var quantity, unit, amount, from, to, created int64
	var c billing.Currency
	err := r.Scan(&l.MerchantID, &l.ID, &l.CustomerID, &l.SubscriptionID, &l.ActivityID, &l.Kind, &l.Code, &l.Description,
		&quantity, &unit, &amount, &c, &from, &to, &created)
	l.Quantity, l.Unit, l.Amount = int(quantity), billing.Minor(unit, c), billing.Minor(amount, c)
	l.From, l.To, l.CreatedAt = instant(from), instant(to), instant(created)
	return &l, err
}

// Line reads a line.
func (v *View) Line(ctx context.Context, id billing.LineID) (*billing.Line, error) {
	l, err := sqldb.One(ctx, v.tx, scanLine, `SELECT `+lineColumns+` FROM line WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return l, notFound(err, "line")
}

// LineFilter narrows a list of a customer's lines; zero values narrow nothing.
type LineFilter struct {
	Kinds             []billing.LineKind
	Subscription      billing.SubscriptionID
	Waiting, Invoiced bool // neither or both: all
	Offset, Limit     int
}

// Lines lists a customer's lines, the newest first.
func (v *View) Lines(ctx context.Context, c billing.CustomerID, f LineFilter) ([]*billing.Line, error) {
	q := newSelect(v, "line", lineColumns)
	q.equal("customer_id", c)
	if f.Subscription != 0 {
		q.equal("subscription_id", f.Subscription)
	}
	if f.Waiting != f.Invoiced {
		presence := "IS NULL"
		if f.Invoiced {
			presence = "IS NOT NULL"
		}
		q.where = append(q.where, "activity_id "+presence)
	}
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = string(k)
		}
		q.arg(sqldb.List(kinds))
		q.where = append(q.where, "kind "+q.tx.In(len(q.args)))
	}
	return sqldb.Query(ctx, v.tx, scanLine, q.newest("id", f.Offset, f.Limit), q.args...)
}

// LinesOf reads the lines of invoices and credits, each group in the order in which
// they stand there.
func (v *View) LinesOf(ctx context.Context, ids []billing.ActivityID) (map[billing.ActivityID][]*billing.Line, error) {
	lines := make(map[billing.ActivityID][]*billing.Line, len(ids))
	if len(ids) == 0 {
		return lines, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanLine, `SELECT `+lineColumns+` FROM line
		WHERE merchant_id = $1 AND activity_id `+v.tx.In(2)+` ORDER BY +id`, v.merchant, sqldb.List(ints(ids)))
	for _, l := range list {
		lines[l.ActivityID] = append(lines[l.ActivityID], l)
	}
	return lines, err
}

// WaitingLines reads the lines of customers that wait for an invoice, by id. Who
// takes them along has locked the customers. The cost depends on what waits, as
// that of OpenActivities does on what is open.
func (v *View) WaitingLines(ctx context.Context, ids []billing.CustomerID) (map[billing.CustomerID][]billing.Line, error) {
	waiting := make(map[billing.CustomerID][]billing.Line)
	if len(ids) == 0 {
		return waiting, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanLine, `SELECT `+lineColumns+` FROM line
		WHERE merchant_id = $1 AND customer_id `+v.tx.In(2)+` AND activity_id IS NULL ORDER BY +id`, v.merchant, sqldb.List(ints(ids)))
	for _, l := range list {
		waiting[l.CustomerID] = append(waiting[l.CustomerID], *l)
	}
	return waiting, err
}

// InsertLines writes new lines; their ids are given.
func (t *Tx) InsertLines(ctx context.Context, list []*billing.Line) error {
	rows := make([][]any, len(list))
	for i, l := range list {
		rows[i] = []any{int64(t.merchant), int64(l.ID), int64(l.CustomerID), orNull(l.SubscriptionID), orNull(l.ActivityID), string(l.Kind),
			l.Code, l.Description, int64(l.Quantity), l.Unit.Minor(), l.Amount.Minor(), string(l.Amount.Currency()),
			micros(l.From), micros(l.To), micros(l.CreatedAt)}
	}
	return t.tx.InsertMany(ctx, "line", []string{"merchant_id", "id", "customer_id", "subscription_id", "activity_id", "kind", "code",
		"description", "quantity", "unit_amount", "amount", "currency", "from_at", "to_at", "created_at"}, rows)
}

// PlaceLines writes on which invoice lines that waited stand.
func (t *Tx) PlaceLines(ctx context.Context, list []*billing.Line) error {
	rows := make([][]any, len(list))
	for i, l := range list {
		rows[i] = []any{int64(t.merchant), int64(l.ID), int64(l.ActivityID)}
	}
	_, err := t.tx.UpdateMany(ctx, "line", []string{"merchant_id", "id"}, []string{"activity_id"}, rows)
	return err
}

// DeleteLine removes a line that waits. That it does is the caller's to have seen,
// under the customer's lock.
func (t *Tx) DeleteLine(ctx context.Context, id billing.LineID) error {
	_, err := t.tx.Exec(ctx, `DELETE FROM line WHERE merchant_id = $1 AND id = $2`, t.merchant, id)
	return err
}

// newest finishes a statement that lists the newest first, by a column of ids.
func (q *query) newest(id string, offset, limit int) string {
	text := "SELECT " + q.columns + " FROM " + q.table + " WHERE "
	for i, w := range q.where {
		if i > 0 {
			text += " AND "
		}
		text += w
	}
	text += " ORDER BY " + id + " DESC LIMIT " + q.arg(int64(limit))
	if offset > 0 {
		text += " OFFSET " + q.arg(int64(offset))
	}
	return text
}
