package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const actColumns = `merchant_id, id, act, noun, object_id, who, reason, done_at`

func scanAct(r sqldb.Row) (billing.Act, error) {
	var a billing.Act
	var done int64
	err := r.Scan(&a.MerchantID, &a.ID, &a.Act, &a.Noun, &a.Object, &a.Who, &a.Reason, &done)
	a.At = instant(done)
	return a, err
}

// InsertAct writes down what a person did, in the transaction of the deed.
func (t *Tx) InsertAct(ctx context.Context, a billing.Act) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO operator_act (`+actColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		t.merchant, t.NewID(), a.Act, a.Noun, a.Object, a.Who, a.Reason, a.At.UnixMicro())
	return err
}

// Acts lists what people did by hand, by id.
func (v *View) Acts(ctx context.Context, p Page) ([]billing.Act, error) {
	q := newSelect(v, "operator_act", actColumns)
	return sqldb.Query(ctx, v.tx, scanAct, q.paged(p), q.args...)
}

// ActsOn lists what people did to one object, by id.
func (v *View) ActsOn(ctx context.Context, noun string, object int64) ([]billing.Act, error) {
	return sqldb.Query(ctx, v.tx, scanAct, `SELECT `+actColumns+` FROM operator_act
		WHERE merchant_id = $1 AND noun = $2 AND object_id = $3 ORDER BY id`, v.merchant, noun, object)
}
