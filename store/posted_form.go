package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// PostedForm is what a browser's form that was posted straight here came to.
type PostedForm struct {
	Key       string // made by chance: who has it may ask
	Kind      string // what the form was for, in the dialect's words
	Proof     string // the merchant's signature under the form
	Status    int    // of the answer that is kept
	Content   string // the dialect's own; never a number of a card
	CreatedAt time.Time
}

const postedFormColumns = `key, kind, proof, status, content, created_at`

func scanPostedForm(r sqldb.Row) (*PostedForm, error) {
	var f PostedForm
	var status, created int64
	err := r.Scan(&f.Key, &f.Kind, &f.Proof, &status, &f.Content, &created)
	f.Status, f.CreatedAt = int(status), instant(created)
	return &f, err
}

// PostedForm reads what a form came to, if it was posted after an instant.
func (v *View) PostedForm(ctx context.Context, key string, after time.Time) (*PostedForm, error) {
	f, err := sqldb.One(ctx, v.tx, scanPostedForm, `SELECT `+postedFormColumns+` FROM posted_form
		WHERE merchant_id = $1 AND key = $2 AND created_at > $3`, v.merchant, key, micros(after))
	return f, notFound(err, "result")
}

// PostedForms lists what the forms under one signature came to.
func (v *View) PostedForms(ctx context.Context, proof string) ([]*PostedForm, error) {
	return sqldb.Query(ctx, v.tx, scanPostedForm, `SELECT `+postedFormColumns+` FROM posted_form
		WHERE merchant_id = $1 AND proof = $2 ORDER BY created_at, key LIMIT 100`, v.merchant, proof)
}

// InsertPostedForm keeps what a form came to, and removes what was posted before
// an instant.
func (t *Tx) InsertPostedForm(ctx context.Context, f *PostedForm, before time.Time) error {
	if _, err := t.tx.Exec(ctx, `DELETE FROM posted_form WHERE merchant_id = $1 AND created_at < $2`, t.merchant, micros(before)); err != nil {
		return err
	}
	_, err := t.tx.Exec(ctx, `INSERT INTO posted_form (merchant_id, key, kind, proof, status, content, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, t.merchant, f.Key, f.Kind, f.Proof, int64(f.Status), f.Content, micros(f.CreatedAt))
	return err
}
