package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const planColumns = `merchant_id, id, account_id, code, name, cycle, amount, tax, currency, active, created_at, updated_at, offer`

func scanPlan(r sqldb.Row) (*billing.Plan, error) {
	var p billing.Plan
	var amount, tax, created, updated int64
	var c billing.Currency
	var offer string
	err := r.Scan(&p.MerchantID, &p.ID, &p.AccountID, &p.Code, &p.Name, &p.Cycle, &amount, &tax, &c, &p.Active, &created, &updated, &offer)
	if err == nil {
		err = kept{offer, &p.Offer}.read()
	}
	p.Amount, p.Tax = billing.Minor(amount, c), billing.Minor(tax, c)
	p.CreatedAt, p.UpdatedAt = instant(created), instant(updated)
	return &p, err
}

// Plan reads a plan.
func (v *View) Plan(ctx context.Context, id billing.PlanID) (*billing.Plan, error) {
	p, err := sqldb.One(ctx, v.tx, scanPlan, `SELECT `+planColumns+` FROM plan WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return p, notFound(err, "plan")
}

// PlanFilter narrows a list of plans. Times and amounts are inclusive bounds;
// zero values bound nothing.
type PlanFilter struct {
	Accounts               []billing.AccountID
	Name                   string // beginning, case aside
	Cycle                  billing.Cycle
	CreatedFrom, CreatedTo time.Time
	Amount                 *int64 // minor units
	AmountFrom, AmountTo   *int64
	Page                   Page
}

// Plans lists plans by id.
func (v *View) Plans(ctx context.Context, f PlanFilter) ([]*billing.Plan, error) {
	q := newSelect(v, "plan", planColumns)
	q.among("account_id", ints(f.Accounts))
	q.prefix(f.Name, "name")
	if f.Cycle != "" {
		q.equal("cycle", f.Cycle)
	}
	q.between("created_at", f.CreatedFrom, f.CreatedTo)
	if f.Amount != nil {
		q.equal("amount", *f.Amount)
	}
	if f.AmountFrom != nil {
		q.compare("amount", ">=", *f.AmountFrom)
	}
	if f.AmountTo != nil {
		q.compare("amount", "<=", *f.AmountTo)
	}
	return sqldb.Query(ctx, v.tx, scanPlan, q.paged(f.Page), q.args...)
}

// between bounds a column of instants: from inclusive, to exclusive.
func (q *query) between(column string, from, to time.Time) {
	if !from.IsZero() {
		q.compare(column, ">=", from.UnixMicro())
	}
	if !to.IsZero() {
		q.compare(column, "<", to.UnixMicro())
	}
}

// InsertPlan writes a new plan; its id is given.
func (t *Tx) InsertPlan(ctx context.Context, p *billing.Plan) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO plan (`+planColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		p.MerchantID, p.ID, p.AccountID, p.Code, p.Name, p.Cycle, p.Amount.Minor(), p.Tax.Minor(), p.Amount.Currency(), p.Active,
		micros(p.CreatedAt), micros(p.UpdatedAt), toJSON(p.Offer))
	return err
}

// UpdatePlan writes what may change of a plan.
func (t *Tx) UpdatePlan(ctx context.Context, p *billing.Plan) error {
	_, err := t.tx.Exec(ctx, `UPDATE plan SET name = $3, cycle = $4, amount = $5, tax = $6, active = $7, updated_at = $8, offer = $9
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, p.ID, p.Name, p.Cycle, p.Amount.Minor(), p.Tax.Minor(), p.Active, micros(p.UpdatedAt),
		toJSON(p.Offer))
	return err
}
