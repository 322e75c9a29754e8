package store

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// MerchantSecret reads what is sealed under a name, nil if nothing is.
func (v *View) MerchantSecret(ctx context.Context, name string) (sealed []byte, err error) {
	err = v.tx.QueryRow(ctx, `SELECT sealed FROM merchant_secret WHERE merchant_id = $1 AND name = $2`, v.merchant, name).Scan(&sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return sealed, err
}

// PutMerchantSecret keeps what is sealed under a name, in place of what was.
func (t *Tx) PutMerchantSecret(ctx context.Context, name string, sealed []byte, at time.Time) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO merchant_secret (merchant_id, name, sealed, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (merchant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`,
		t.merchant, name, sealed, micros(at))
	return err
}
