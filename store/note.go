package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const noteColumns = `merchant_id, id, customer_id, text, creator, created_at`

func scanNote(r sqldb.Row) (*billing.Note, error) {
	var n billing.Note
	var created int64
	err := r.Scan(&n.MerchantID, &n.ID, &n.CustomerID, &n.Text, &n.Creator, &created)
	n.CreatedAt = instant(created)
	return &n, err
}

// Notes lists what was written down about a customer, by id.
func (v *View) Notes(ctx context.Context, c billing.CustomerID, p Page) ([]*billing.Note, error) {
	q := newSelect(v, "note", noteColumns)
	q.equal("customer_id", c)
	return sqldb.Query(ctx, v.tx, scanNote, q.paged(p), q.args...)
}

// InsertNote writes a note; its id is given.
func (t *Tx) InsertNote(ctx context.Context, n *billing.Note) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO note (`+noteColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		n.MerchantID, n.ID, n.CustomerID, n.Text, n.Creator, micros(n.CreatedAt))
	return err
}
