package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const billColumns = `merchant_id, activity_id, customer_id, COALESCE(number, 0), created_at`

func scanBill(r sqldb.Row) (*billing.Bill, error) {
	var b billing.Bill
	var created int64
	err := r.Scan(&b.MerchantID, &b.ActivityID, &b.CustomerID, &b.Number, &created)
	b.CreatedAt = instant(created)
	return &b, err
}

// Bill reads what an invoice says beside its amount.
func (v *View) Bill(ctx context.Context, invoice billing.ActivityID) (*billing.Bill, error) {
	b, err := sqldb.One(ctx, v.tx, scanBill, `SELECT `+billColumns+` FROM bill WHERE merchant_id = $1 AND activity_id = $2`, v.merchant, invoice)
	return b, notFound(err, "invoice")
}

// BillsByID reads the bills of several invoices; those that have none are left out.
func (v *View) BillsByID(ctx context.Context, invoices []billing.ActivityID) (map[billing.ActivityID]*billing.Bill, error) {
	bills := make(map[billing.ActivityID]*billing.Bill, len(invoices))
	if len(invoices) == 0 {
		return bills, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanBill, `SELECT `+billColumns+` FROM bill WHERE merchant_id = $1 AND activity_id `+v.tx.In(2),
		v.merchant, sqldb.List(ints(invoices)))
	for _, b := range list {
		bills[b.ActivityID] = b
	}
	return bills, err
}

// BillByNumber finds the invoice of a number.
func (v *View) BillByNumber(ctx context.Context, number int64) (*billing.Bill, error) {
	b, err := sqldb.One(ctx, v.tx, scanBill, `SELECT `+billColumns+` FROM bill WHERE merchant_id = $1 AND number = $2`, v.merchant, number)
	return b, notFound(err, "invoice")
}

// Bills lists a customer's bills, the newest first.
func (v *View) Bills(ctx context.Context, c billing.CustomerID, offset, limit int) ([]*billing.Bill, error) {
	q := newSelect(v, "bill", billColumns)
	q.equal("customer_id", c)
	return sqldb.Query(ctx, v.tx, scanBill, q.newest("activity_id", offset, limit), q.args...)
}

// CountBills counts a customer's bills.
func (v *View) CountBills(ctx context.Context, c billing.CustomerID) (n int64, err error) {
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*) FROM bill WHERE merchant_id = $1 AND customer_id = $2`, v.merchant, c).Scan(&n)
	return n, err
}

// InsertBills writes new bills. They have no number yet: see NumberBills.
func (t *Tx) InsertBills(ctx context.Context, list []*billing.Bill) error {
	rows := make([][]any, len(list))
	for i, b := range list {
		rows[i] = []any{int64(t.merchant), int64(b.ActivityID), int64(b.CustomerID), micros(b.CreatedAt)}
	}
	return t.tx.InsertMany(ctx, "bill", []string{"merchant_id", "activity_id", "customer_id", "created_at"}, rows)
}

// Unnumbered reports whether the merchant has bills without a number.
func (v *View) Unnumbered(ctx context.Context) (some bool, err error) {
	err = v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM bill WHERE merchant_id = $1 AND number IS NULL)`, v.merchant).Scan(&some)
	return some, err
}

// billNumbers is the counter of bills.
const billNumbers = "bill"

// NumberBills gives up to limit bills that have no number the next ones, in the
// order of their ids, the first of all being first. Who makes bills waits for
// nobody; who numbers them waits for others who do, so that no number is given
// twice and none is left out.
func (t *Tx) NumberBills(ctx context.Context, first int64, limit int) (numbered int, err error) {
	var last int64
	err = t.tx.QueryRow(ctx, `INSERT INTO counter (merchant_id, name, last) VALUES ($1, $2, $3)
		ON CONFLICT (merchant_id, name) DO UPDATE SET last = counter.last RETURNING last`, t.merchant, billNumbers, first-1).Scan(&last)
	if err != nil {
		return 0, err
	}
	ids, err := sqldb.Query(ctx, t.tx, sqldb.Scalar[int64], `SELECT activity_id FROM bill
		WHERE merchant_id = $1 AND number IS NULL ORDER BY activity_id LIMIT $2`, t.merchant, int64(limit))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	rows := make([][]any, len(ids))
	for i, id := range ids {
		last++
		rows[i] = []any{int64(t.merchant), id, last}
	}
	if _, err := t.tx.UpdateMany(ctx, "bill", []string{"merchant_id", "activity_id"}, []string{"number"}, rows); err != nil {
		return 0, err
	}
	_, err = t.tx.Exec(ctx, `UPDATE counter SET last = $3 WHERE merchant_id = $1 AND name = $2`, t.merchant, billNumbers, last)
	return len(ids), err
}
