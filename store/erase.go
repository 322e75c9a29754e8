package store

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// belongs are the ids of all that is a customer's, $2, beside itself.
const belongs = `SELECT id FROM payment_method WHERE merchant_id = $1 AND customer_id = $2
	UNION ALL SELECT id FROM subscription WHERE merchant_id = $1 AND customer_id = $2
	UNION ALL SELECT id FROM activity WHERE merchant_id = $1 AND customer_id = $2
	UNION ALL SELECT id FROM attempt WHERE merchant_id = $1 AND customer_id = $2`

// erasures are the statements that erase a customer, $2 of merchant $1, but for what
// the columns of JSON hold. What is left is what the books need: ids, kinds, dates,
// amounts, states, and the processor's references.
var erasures = []string{
	`DELETE FROM velocity_charge WHERE merchant_id = $1 AND attempt_id IN (SELECT id FROM attempt WHERE merchant_id = $1 AND customer_id = $2)`,
	`DELETE FROM velocity_refusal WHERE merchant_id = $1 AND customer_id = $2`,
	`DELETE FROM velocity_consumer WHERE merchant_id = $1 AND (customer_id = $2 OR fingerprint IN (
		SELECT fingerprint FROM payment_method WHERE merchant_id = $1 AND customer_id = $2)) AND NOT EXISTS (
		SELECT 1 FROM velocity_charge v WHERE v.merchant_id = $1 AND v.fingerprint = velocity_consumer.fingerprint)`,
	`UPDATE velocity_consumer SET customer_id = NULL, masked = '' WHERE merchant_id = $1 AND customer_id = $2`,
	`DELETE FROM idempotency WHERE merchant_id = $1 AND object_id IN (SELECT id FROM attempt WHERE merchant_id = $1 AND customer_id = $2)`,
	`DELETE FROM reference WHERE merchant_id = $1 AND (object_id = $2 OR object_id IN (` + belongs + `))`,
	`DELETE FROM note WHERE merchant_id = $1 AND customer_id = $2`,
	`DELETE FROM line WHERE merchant_id = $1 AND customer_id = $2 AND activity_id IS NULL`,
	`UPDATE line SET description = '' WHERE merchant_id = $1 AND customer_id = $2`,
	`UPDATE activity SET code = '', masked = '', note = '', invoice_list = '' WHERE merchant_id = $1 AND customer_id = $2`,
	`UPDATE adjustment SET note = '' WHERE merchant_id = $1 AND subscription_id IN (
		SELECT id FROM subscription WHERE merchant_id = $1 AND customer_id = $2)`,
	`UPDATE subscription SET code = '', note = '', status = 'gone', next_date = '', next_at = NULL, pending_change = '', plan_name = '', composition = ''
		WHERE merchant_id = $1 AND customer_id = $2`,
	`UPDATE parked SET reason = '' WHERE merchant_id = $1 AND customer_id = $2`,
	`UPDATE event SET waiting = NULL WHERE merchant_id = $1 AND customer_id = $2 AND waiting`,
}

// EraseCustomer takes everything that is a person's out of the books of a customer,
// who is locked: what is left are the ledgers and what they rest on. The customer's
// own row and the payment methods are their writers'. wall is the world's time.
func (t *Tx) EraseCustomer(ctx context.Context, c billing.CustomerID, wall time.Time) error {
	for _, q := range erasures {
		if _, err := t.tx.Exec(ctx, q, t.merchant, c); err != nil {
			return err
		}
	}
	if err := t.EraseDeliveries(ctx, c, wall); err != nil {
		return err
	}
	if err := t.eraseAttempts(ctx, `customer_id = $2`, int64(c)); err != nil {
		return err
	}
	return t.wantScrub(ctx, wall)
}

// EraseSubscription takes what was said of a subscription out of the books, and has
// no answer tell of it any more.
func (t *Tx) EraseSubscription(ctx context.Context, id billing.SubscriptionID, wall time.Time) error {
	for _, q := range []string{
		`DELETE FROM reference WHERE merchant_id = $1 AND (object_id = $2
			OR object_id IN (SELECT id FROM activity WHERE merchant_id = $1 AND subscription_id = $2)
			OR object_id IN (SELECT id FROM attempt WHERE merchant_id = $1 AND subscription_id = $2))`,
		`DELETE FROM line WHERE merchant_id = $1 AND subscription_id = $2 AND activity_id IS NULL`,
		`UPDATE line SET description = '' WHERE merchant_id = $1 AND subscription_id = $2`,
		`UPDATE activity SET code = '', note = '', invoice_list = '' WHERE merchant_id = $1 AND subscription_id = $2`,
		`UPDATE adjustment SET note = '' WHERE merchant_id = $1 AND subscription_id = $2`,
		`UPDATE subscription SET code = '', note = '', status = 'gone', next_date = '', next_at = NULL, pending_change = '', plan_name = '', composition = ''
			WHERE merchant_id = $1 AND id = $2`,
	} {
		if _, err := t.tx.Exec(ctx, q, t.merchant, id); err != nil {
			return err
		}
	}
	return t.wantScrub(ctx, wall)
}

// eraseAttempts takes out of attempts what was said of who pays, and with what.
func (t *Tx) eraseAttempts(ctx context.Context, which string, of int64) error {
	list, err := sqldb.Query(ctx, t.tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt WHERE merchant_id = $1 AND `+which, t.merchant, of)
	if err != nil {
		return err
	}
	rows := make([][]any, len(list))
	for i, a := range list {
		a.Details.Erase()
		rows[i] = []any{int64(t.merchant), int64(a.ID), "", "", "", "", "{}", a.Details.JSON()}
	}
	_, err = t.tx.UpdateMany(ctx, "attempt", []string{"merchant_id", "id"}, []string{"masked", "expiry", "routing", "token", "payer", "details"}, rows)
	return err
}

// UnderWayOf reports whether a payment of a customer has no outcome yet, or none that
// is known.
func (v *View) UnderWayOf(ctx context.Context, c billing.CustomerID) (busy bool, err error) {
	err = v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM attempt WHERE merchant_id = $1 AND customer_id = $2 AND lease_until IS NOT NULL
		AND state IN ('sending', 'unknown') AND activity_id <> 0)`, v.merchant, c).Scan(&busy)
	return busy, err
}

// wantScrub notes that bytes of who was erased are still in the file.
func (t *Tx) wantScrub(ctx context.Context, wall time.Time) error {
	if t.tx.Engine() != sqldb.SQLite {
		return nil
	}
	_, err := t.tx.Exec(ctx, `INSERT INTO scrub (id, wanted_at) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET wanted_at = excluded.wanted_at`, wall.UnixMicro())
	return err
}

// Scrub has the bytes of who was erased leave the database's files, and reports
// whether there was somebody. See sqldb.DB.Scrub for what it takes.
func (s *Store) Scrub(ctx context.Context) (bool, error) {
	if s.db.Engine() != sqldb.SQLite {
		return false, nil
	}
	var wanted int64
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT wanted_at FROM scrub WHERE id = 1`).Scan(&wanted)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.db.Scrub(ctx); err != nil {
		return false, err
	}
	return true, s.db.Update(ctx, func(tx *sqldb.Tx) error { // unless somebody was erased meanwhile
		_, err := tx.Exec(ctx, `DELETE FROM scrub WHERE id = 1 AND wanted_at = $1`, wanted)
		return err
	})
}
