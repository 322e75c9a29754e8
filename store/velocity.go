package store

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const consumerColumns = `COALESCE(first_at, 0), COALESCE(trusted_at, 0), trust_percent, COALESCE(trust_until, 0), trust_reason, trust_by`

func scanConsumer(r sqldb.Row) (*billing.Consumer, error) {
	var first, trusted, until int64
	var t billing.Trust
	err := r.Scan(&first, &trusted, &t.Percent, &until, &t.Reason, &t.By)
	c := &billing.Consumer{FirstAt: instant(first)}
	if trusted != 0 {
		t.At, t.Until = instant(trusted), instant(until)
		c.Trust = &t
	}
	return c, err
}

// LockConsumer reads a consumer and keeps other charges of the same consumer
// waiting until the transaction ends. Consumers are locked after customers, and
// before codes and idempotency keys are taken.
func (t *Tx) LockConsumer(ctx context.Context, fingerprint []byte, at time.Time) (*billing.Consumer, error) {
	return sqldb.One(ctx, t.tx, scanConsumer, `INSERT INTO velocity_consumer (merchant_id, fingerprint, first_at, last_at)
		VALUES ($1, $2, $3, $3)
		ON CONFLICT (merchant_id, fingerprint) DO UPDATE SET
			first_at = COALESCE(velocity_consumer.first_at, excluded.first_at), last_at = excluded.last_at
		RETURNING `+consumerColumns, t.merchant, fingerprint, at.UnixMicro())
}

// Consumer reads a consumer; one that was never seen is empty.
func (v *View) Consumer(ctx context.Context, fingerprint []byte) (*billing.Consumer, error) {
	c, err := sqldb.One(ctx, v.tx, scanConsumer,
		`SELECT `+consumerColumns+` FROM velocity_consumer WHERE merchant_id = $1 AND fingerprint = $2`, v.merchant, fingerprint)
	if errors.Is(err, sqldb.ErrNoRows) {
		return &billing.Consumer{}, nil
	}
	return c, err
}

// CountedSince lists the charges of a consumer after an instant, the oldest
// first.
func (v *View) CountedSince(ctx context.Context, fingerprint []byte, after time.Time) ([]billing.Counted, error) {
	return sqldb.Query(ctx, v.tx, scanCounted, `SELECT c.at, a.account_id, a.instrument, c.renewal, a.amount, a.currency, a.expiry,
			a.state, a.response
		FROM velocity_charge c JOIN attempt a ON a.merchant_id = c.merchant_id AND a.id = c.attempt_id
		WHERE c.merchant_id = $1 AND c.fingerprint = $2 AND c.at > $3 ORDER BY c.at, c.attempt_id`, v.merchant, fingerprint, after.UnixMicro())
}

func scanCounted(r sqldb.Row) (k billing.Counted, err error) {
	var at, amount int64
	var c billing.Currency
	var i billing.Instrument
	err = r.Scan(&at, &k.AccountID, &i, &k.Renewal, &amount, &c, &k.Expiry, &k.State, &k.Response)
	k.At, k.Bank, k.Amount = instant(at), i.IsBank(), billing.Minor(amount, c)
	return k, err
}

// Purchases counts the charges of a consumer that were approved, most at most.
func (v *View) Purchases(ctx context.Context, fingerprint []byte, most int) (n int64, err error) {
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*) FROM (
			SELECT 1 FROM velocity_charge c JOIN attempt a ON a.merchant_id = c.merchant_id AND a.id = c.attempt_id
			WHERE c.merchant_id = $1 AND c.fingerprint = $2 AND NOT c.renewal AND a.state = 'approved' LIMIT $3) AS bought`,
		v.merchant, fingerprint, int64(most)).Scan(&n)
	return n, err
}

// CountedCharge is a charge that counts against the limits of a consumer.
type CountedCharge struct {
	Fingerprint []byte
	AttemptID   billing.AttemptID
	At          time.Time
	Renewal     bool
}

// InsertCounted writes charges that count; their attempts are there.
func (t *Tx) InsertCounted(ctx context.Context, list []CountedCharge) error {
	rows := make([][]any, len(list))
	for i, c := range list {
		rows[i] = []any{int64(t.merchant), c.Fingerprint, c.At.UnixMicro(), int64(c.AttemptID), c.Renewal}
	}
	return t.tx.InsertMany(ctx, "velocity_charge", []string{"merchant_id", "fingerprint", "at", "attempt_id", "renewal"}, rows)
}

// PastOf tells when a customer last paid anything, and whether a payment that
// was made with the given payment method was taken back: charged back, voided,
// refunded or returned, here or before a subscription that it pays came here.
// Charges that were counted for the consumer, under
// whatever customers, are looked at as well.
func (v *View) PastOf(ctx context.Context, c billing.CustomerID, m billing.PaymentMethodID, fingerprint []byte) (lastPaid time.Time, takenBack bool, err error) {
	var own, counted int64
	var ownBack, countedBack bool
	err = v.tx.QueryRow(ctx, `SELECT
			COALESCE((SELECT MAX(created_at) FROM activity WHERE merchant_id = $1 AND customer_id = $2
				AND kind IN ('payment', 'claim') AND state = 'posted'), 0),
			COALESCE((SELECT MAX(c.at) FROM velocity_charge c JOIN attempt a ON a.merchant_id = c.merchant_id AND a.id = c.attempt_id
				WHERE c.merchant_id = $1 AND c.fingerprint = $4 AND a.state = 'approved'), 0),
			EXISTS (SELECT 1 FROM activity r
				JOIN activity p ON p.merchant_id = r.merchant_id AND p.id = r.adjusts
				JOIN attempt a ON a.merchant_id = p.merchant_id AND a.id = p.attempt_id
				WHERE r.merchant_id = $1 AND r.customer_id = $2 AND r.state = 'posted'
					AND r.kind IN ('chargeback', 'void', 'refund', 'decline') AND a.payment_method_id = $3)
			OR EXISTS (SELECT 1 FROM subscription s
				WHERE s.merchant_id = $1 AND s.customer_id = $2 AND s.payment_method_id = $3 AND s.taken_back <> ''),
			EXISTS (SELECT 1 FROM velocity_charge c
				JOIN attempt a ON a.merchant_id = c.merchant_id AND a.id = c.attempt_id
				JOIN activity p ON p.merchant_id = a.merchant_id AND p.id = a.activity_id
				JOIN activity r ON r.merchant_id = p.merchant_id AND r.id = p.adjusted_by
				WHERE c.merchant_id = $1 AND c.fingerprint = $4 AND r.state = 'posted'
					AND r.kind IN ('chargeback', 'void', 'refund', 'decline'))`,
		v.merchant, c, m, fingerprint).Scan(&own, &counted, &ownBack, &countedBack)
	return instant(max(own, counted)), ownBack || countedBack, err
}

// TrustedConsumer is a consumer with trust, for people.
type TrustedConsumer struct {
	billing.Trust
	CustomerID billing.CustomerID // for whom it was given
	Masked     string             // the number
}

// SaveTrust gives trust to a consumer, in place of any that it has.
func (t *Tx) SaveTrust(ctx context.Context, fingerprint []byte, c TrustedConsumer) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO velocity_consumer (merchant_id, fingerprint, trusted_at, trust_percent, trust_until,
			trust_reason, trust_by, customer_id, masked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (merchant_id, fingerprint) DO UPDATE SET trusted_at = excluded.trusted_at, trust_percent = excluded.trust_percent,
			trust_until = excluded.trust_until, trust_reason = excluded.trust_reason, trust_by = excluded.trust_by,
			customer_id = excluded.customer_id, masked = excluded.masked`,
		t.merchant, fingerprint, micros(c.At), c.Percent, micros(c.Until), c.Reason, c.By, orNull(c.CustomerID), c.Masked)
	return err
}

// EndTrust takes trust back; had tells whether there was any.
func (t *Tx) EndTrust(ctx context.Context, fingerprint []byte) (had bool, err error) {
	n, err := t.tx.Exec(ctx, `UPDATE velocity_consumer SET trusted_at = NULL, trust_percent = 0, trust_until = NULL,
			trust_reason = '', trust_by = '' WHERE merchant_id = $1 AND fingerprint = $2 AND trusted_at IS NOT NULL`, t.merchant, fingerprint)
	return n > 0, err
}

// Trusted lists the consumers with trust, in the order in which it was given.
func (v *View) Trusted(ctx context.Context, limit int) ([]TrustedConsumer, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (c TrustedConsumer, err error) {
		var at, until int64
		err = r.Scan(&at, &c.Percent, &until, &c.Reason, &c.By, &c.CustomerID, &c.Masked)
		c.At, c.Until = instant(at), instant(until)
		return c, err
	}, `SELECT trusted_at, trust_percent, COALESCE(trust_until, 0), trust_reason, trust_by, COALESCE(customer_id, 0), masked
		FROM velocity_consumer WHERE merchant_id = $1 AND trusted_at IS NOT NULL ORDER BY trusted_at LIMIT $2`, v.merchant, int64(limit))
}

// Refusal is a charge that velocity controls refused.
type Refusal struct {
	ID         int64
	At         time.Time // by the merchant's clock
	AccountID  billing.AccountID
	CustomerID billing.CustomerID
	Amount     billing.Money
	Masked     string
	Login      string // who asked
	billing.VelocityRefusal
}

const refusalColumns = `merchant_id, id, at, account_id, customer_id, rule, kind, detail, amount, currency, masked, login`

// InsertRefusal writes a refusal down and gives it its id.
func (t *Tx) InsertRefusal(ctx context.Context, r *Refusal) error {
	r.ID = t.NewID()
	_, err := t.tx.Exec(ctx, `INSERT INTO velocity_refusal (`+refusalColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		t.merchant, r.ID, r.At.UnixMicro(), r.AccountID, r.CustomerID, r.Rule, r.Kind, r.Detail, r.Amount.Minor(),
		string(r.Amount.Currency()), r.Masked, r.Login)
	return err
}

// Refusals lists the latest refusals, the latest first.
func (v *View) Refusals(ctx context.Context, limit int) ([]Refusal, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (f Refusal, err error) {
		var merchant, at, amount int64
		var c billing.Currency
		err = r.Scan(&merchant, &f.ID, &at, &f.AccountID, &f.CustomerID, &f.Rule, &f.Kind, &f.Detail, &amount, &c, &f.Masked, &f.Login)
		f.At, f.Amount = instant(at), billing.Minor(amount, c)
		return f, err
	}, `SELECT `+refusalColumns+` FROM velocity_refusal WHERE merchant_id = $1 ORDER BY id DESC LIMIT $2`, v.merchant, int64(limit))
}
