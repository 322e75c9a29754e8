package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const attemptColumns = `merchant_id, id, account_id, customer_id, COALESCE(subscription_id, 0), COALESCE(payment_method_id, 0),
	activity_id, COALESCE(parent_id, 0), kind, claim, processor, reference, amount, tax, currency, instrument, masked, expiry,
	routing, token, payer, details, state, response, message, approval_code, processor_id, created_at, COALESCE(answered_at, 0),
	COALESCE(check_at, 0), COALESCE(lease_until, 0), checks, unseen, COALESCE(unsettled_at, 0), settled_by, contradiction`

func scanAttempt(r sqldb.Row) (*billing.Attempt, error) {
	var a billing.Attempt
	var amount, tax, created, answered, check, lease, checks, unseen, unsettled int64
	var c billing.Currency
	var payer, details string
	err := r.Scan(&a.MerchantID, &a.ID, &a.AccountID, &a.CustomerID, &a.SubscriptionID, &a.PaymentMethodID, &a.ActivityID, &a.Parent,
		&a.Kind, &a.Claim, &a.Processor, &a.Reference, &amount, &tax, &c, &a.Instrument, &a.Masked, &a.Expiry, &a.Routing, &a.Token,
		&payer, &details, &a.State, &a.Response, &a.Message, &a.ApprovalCode, &a.ProcessorID, &created, &answered, &check, &lease, &checks, &unseen,
		&unsettled, &a.SettledBy, &a.Contradiction)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(payer), &a.Payer); err != nil {
		return nil, fmt.Errorf("store: payer of attempt %d: %w", a.ID, err)
	}
	if details != "" {
		if err := json.Unmarshal([]byte(details), &a.Details); err != nil {
			return nil, fmt.Errorf("store: details of attempt %d: %w", a.ID, err)
		}
	}
	a.Amount, a.Tax, a.Checks, a.Unseen = billing.Minor(amount, c), billing.Minor(tax, c), int(checks), int(unseen)
	a.CreatedAt, a.AnsweredAt, a.CheckAt, a.LeaseUntil = instant(created), instant(answered), instant(check), instant(lease)
	a.UnsettledAt = instant(unsettled)
	return &a, nil
}

// Attempt reads an attempt.
func (v *View) Attempt(ctx context.Context, id billing.AttemptID) (*billing.Attempt, error) {
	a, err := sqldb.One(ctx, v.tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return a, notFound(err, "attempt")
}

// AttemptsByID reads several attempts.
func (v *View) AttemptsByID(ctx context.Context, ids []billing.AttemptID) (map[billing.AttemptID]*billing.Attempt, error) {
	return v.attempts(ctx, ids, "")
}

// LockAttempts reads attempts and keeps other writers of them waiting.
func (t *Tx) LockAttempts(ctx context.Context, ids []billing.AttemptID) (map[billing.AttemptID]*billing.Attempt, error) {
	return t.attempts(ctx, ids, t.tx.ForUpdate())
}

func (v *View) attempts(ctx context.Context, ids []billing.AttemptID, lock string) (map[billing.AttemptID]*billing.Attempt, error) {
	found := make(map[billing.AttemptID]*billing.Attempt, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt
		WHERE merchant_id = $1 AND id `+v.tx.In(2)+` ORDER BY id`+lock, v.merchant, sqldb.List(ints(ids)))
	for _, a := range list {
		found[a.ID] = a
	}
	return found, err
}

// LockCurrent keeps other writers of attempts waiting and returns copies of them,
// by id, brought up to what the books know of them by now. What an attempt asks
// for never changes, so only what was learnt of it is read. What is not in the
// books is left out.
func (t *Tx) LockCurrent(ctx context.Context, list []*billing.Attempt) (map[billing.AttemptID]*billing.Attempt, error) {
	asked := make(map[billing.AttemptID]*billing.Attempt, len(list))
	for _, a := range list {
		asked[a.ID] = a
	}
	ask := t.askLockCurrent(list)
	current := make(map[billing.AttemptID]*billing.Attempt, len(list))
	_, err := sqldb.Query(ctx, t.tx, func(r sqldb.Row) (id billing.AttemptID, err error) {
		var a billing.Attempt
		var answered, check, lease, checks, unseen, unsettled int64
		err = r.Scan(&id, &a.State, &a.Response, &a.Message, &a.ApprovalCode, &a.ProcessorID, &answered, &check, &lease, &checks, &unseen,
			&unsettled, &a.SettledBy, &a.Contradiction)
		if err != nil {
			return id, err
		}
		known := *asked[id]
		known.State, known.Response, known.Message, known.ApprovalCode = a.State, a.Response, a.Message, a.ApprovalCode
		known.ProcessorID, known.Checks, known.Unseen = a.ProcessorID, int(checks), int(unseen)
		known.AnsweredAt, known.CheckAt, known.LeaseUntil = instant(answered), instant(check), instant(lease)
		known.UnsettledAt, known.SettledBy, known.Contradiction = instant(unsettled), a.SettledBy, a.Contradiction
		current[id] = &known
		return id, nil
	}, ask.Query, ask.Args...)
	return current, err
}

// UnknownAttempts lists the attempts whose outcome is not known, by when they are
// asked about; unsettled narrows them to those of which a person must say it.
func (v *View) UnknownAttempts(ctx context.Context, unsettled bool, limit int) ([]*billing.Attempt, error) {
	which := `lease_until IS NOT NULL AND state IN ('sending', 'unknown') ORDER BY lease_until, id`
	if unsettled {
		which = `unsettled_at IS NOT NULL ORDER BY unsettled_at, id`
	}
	return sqldb.Query(ctx, v.tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt
		WHERE merchant_id = $1 AND `+which+` LIMIT $2`, v.merchant, int64(limit))
}

func (t *Tx) askLockCurrent(list []*billing.Attempt) sqldb.Ask {
	ids := make([]int64, len(list))
	for i, a := range list {
		ids[i] = int64(a.ID)
	}
	return sqldb.Ask{Query: `SELECT id, state, response, message, approval_code, processor_id, COALESCE(answered_at, 0),
			COALESCE(check_at, 0), COALESCE(lease_until, 0), checks, unseen, COALESCE(unsettled_at, 0), settled_by, contradiction
		FROM attempt WHERE merchant_id = $1 AND id ` + t.tx.In(2) + ` ORDER BY id` + t.tx.ForUpdate(), Args: []any{t.merchant, sqldb.List(ids)}}
}

// AttemptByReference finds an attempt by the reference that its processor knows.
func (v *View) AttemptByReference(ctx context.Context, reference string) (*billing.Attempt, error) {
	a, err := sqldb.One(ctx, v.tx, scanAttempt,
		`SELECT `+attemptColumns+` FROM attempt WHERE merchant_id = $1 AND reference = $2`, v.merchant, reference)
	return a, notFound(err, "attempt")
}

// GivenBack is how much of what a charge took was refunded, in minor units, or
// is perhaps being refunded.
func (v *View) GivenBack(ctx context.Context, charge billing.AttemptID) (minor int64, err error) {
	err = v.tx.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM attempt
		WHERE merchant_id = $1 AND parent_id = $2 AND kind = 'refund' AND state <> 'declined'`, v.merchant, charge).Scan(&minor)
	return minor, err
}

// ClaimAbandoned takes over attempts whose worker has not come back: their lease
// ran out by the world's clock. Each gets a new lease.
func (t *Tx) ClaimAbandoned(ctx context.Context, wall, lease time.Time, limit int) ([]*billing.Attempt, error) {
	return t.lease(ctx, lease, `lease_until <= $2 ORDER BY lease_until, id LIMIT $3`, wall, int64(limit))
}

// ClaimPending takes pending claims that are to be asked about by the
// merchant's clock, and puts a lease on them meanwhile.
func (t *Tx) ClaimPending(ctx context.Context, at, lease time.Time, limit int) ([]*billing.Attempt, error) {
	return t.lease(ctx, lease, `check_at <= $2 AND lease_until IS NULL ORDER BY check_at, id LIMIT $3`, at, int64(limit))
}

// ClaimAttempts is ClaimAbandoned or ClaimPending of some attempts alone, by the
// queue in which they are.
func (t *Tx) ClaimAttempts(ctx context.Context, q Queue, ids []int64, until, lease time.Time) ([]*billing.Attempt, error) {
	which := `check_at <= $2 AND lease_until IS NULL`
	if q == LeaseQueue {
		which = `lease_until <= $2`
	}
	return t.lease(ctx, lease, which+` AND id `+t.tx.In(3)+` ORDER BY id`, until, sqldb.List(ids))
}

// lease locks and reads attempts whose condition and order are given, $2 being
// an instant and $3 whatever bounds them, and puts a lease on them.
func (t *Tx) lease(ctx context.Context, lease time.Time, which string, at time.Time, bound any) ([]*billing.Attempt, error) {
	list, err := sqldb.Query(ctx, t.tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt
		WHERE merchant_id = $1 AND `+which+t.tx.SkipLocked(), t.merchant, at.UnixMicro(), bound)
	if err != nil {
		return nil, err
	}
	rows := make([][]any, len(list))
	for i, a := range list {
		a.LeaseUntil = lease
		rows[i] = []any{int64(t.merchant), int64(a.ID), lease.UnixMicro()}
	}
	_, err = t.tx.UpdateMany(ctx, "attempt", []string{"merchant_id", "id"}, []string{"lease_until"}, rows)
	return list, err
}

// InsertAttempts writes new attempts; their ids are given. This is the only
// place where an attempt comes into being.
func (t *Tx) InsertAttempts(ctx context.Context, list []*billing.Attempt) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		payer, err := json.Marshal(a.Payer)
		if err != nil {
			return fmt.Errorf("store: payer: %w", err)
		}
		rows[i] = []any{int64(a.MerchantID), int64(a.ID), int64(a.AccountID), int64(a.CustomerID), orNull(a.SubscriptionID),
			orNull(a.PaymentMethodID), int64(a.ActivityID), orNull(a.Parent), string(a.Kind), a.Claim, a.Processor, a.Reference,
			a.Amount.Minor(), a.Tax.Minor(), string(a.Amount.Currency()), string(a.Instrument), a.Masked, a.Expiry, a.Routing,
			a.Token, string(payer), a.Details.JSON(), string(a.State), string(a.Response), a.Message, a.ApprovalCode, a.ProcessorID,
			micros(a.CreatedAt), micros(a.AnsweredAt), micros(a.CheckAt), micros(a.LeaseUntil), int64(a.Checks), int64(a.Unseen)}
	}
	return t.tx.InsertMany(ctx, "attempt", []string{"merchant_id", "id", "account_id", "customer_id", "subscription_id",
		"payment_method_id", "activity_id", "parent_id", "kind", "claim", "processor", "reference", "amount", "tax", "currency",
		"instrument", "masked", "expiry", "routing", "token", "payer", "details", "state", "response", "message", "approval_code",
		"processor_id", "created_at", "answered_at", "check_at", "lease_until", "checks", "unseen"}, rows)
}

// UpdateAttempts writes what was learnt of attempts.
func (t *Tx) UpdateAttempts(ctx context.Context, list []*billing.Attempt) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		rows[i] = []any{int64(t.merchant), int64(a.ID), string(a.State), string(a.Response), a.Message, a.ApprovalCode, a.ProcessorID,
			micros(a.AnsweredAt), micros(a.CheckAt), micros(a.LeaseUntil), int64(a.Checks), int64(a.Unseen), micros(a.UnsettledAt),
			a.SettledBy, a.Contradiction}
	}
	_, err := t.tx.UpdateMany(ctx, "attempt", []string{"merchant_id", "id"}, []string{"state", "response", "message",
		"approval_code", "processor_id", "answered_at", "check_at", "lease_until", "checks", "unseen", "unsettled_at", "settled_by",
		"contradiction"}, rows)
	return err
}
