package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// AboutRow reports whether an error of a transaction is about what its rows
// hold: they cannot be read, or the rules cannot make sense of them. Such a
// transaction fails again as long as nobody mends the rows. It is false for
// errors of the database, which may pass, and for what a processor did.
func AboutRow(err error) bool {
	return err != nil && billing.KindOf(err) != billing.Unavailable && !sqldb.IsFailure(err)
}

// Queue is one of the queues that are kept in the rows themselves.
type Queue int

// The queues.
const (
	SubscriptionQueue Queue = iota // the next event of subscriptions, by the merchant's clock
	CollectQueue                   // debts to be claimed, by the merchant's clock
	AgeQueue                       // debts that grow by age, by the merchant's clock
	LeaseQueue                     // attempts whose lease runs out, by the world's clock
	PendingQueue                   // attempts in clearing to be asked about, by the merchant's clock
)

// Noun is what is in the queue.
func (q Queue) Noun() billing.ParkedNoun {
	switch q {
	case SubscriptionQueue:
		return billing.ParkedSubscription
	case CollectQueue:
		return billing.ParkedDebt
	case AgeQueue:
		return billing.ParkedAge
	case LeaseQueue, PendingQueue:
		return billing.ParkedAttempt
	}
	panic("store: no such queue")
}

// kept is where a queue is kept: the table, and the column with the instant.
func (q Queue) kept() (table, column string) {
	switch q {
	case SubscriptionQueue:
		return "subscription", "next_at"
	case CollectQueue:
		return "activity", "collect_at"
	case AgeQueue:
		return "activity", "age_at"
	case LeaseQueue:
		return "attempt", "lease_until"
	case PendingQueue:
		return "attempt", "check_at"
	}
	panic("store: no such queue")
}

// Waiting is a row in a queue, read without looking at the rest of it.
type Waiting struct {
	ID       int64
	Customer billing.CustomerID
	At       time.Time // when it is due
}

// Waiting lists the first rows of a queue that are due by an instant, in the
// order in which they are taken. latest bounds the date of subscriptions' events
// and is not looked at for the others.
func (v *View) Waiting(ctx context.Context, q Queue, until time.Time, latest billing.Date, limit int) ([]Waiting, error) {
	table, column := q.kept()
	args, more := []any{v.merchant, until.UnixMicro(), int64(limit)}, ""
	switch q {
	case SubscriptionQueue:
		args, more = append(args, latest.String()), " AND next_date <= $4"
	case CollectQueue:
		more = " AND claimed_by IS NULL"
	case PendingQueue:
		more = " AND lease_until IS NULL"
	case AgeQueue, LeaseQueue:
	}
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (w Waiting, err error) {
		var at int64
		err = r.Scan(&w.ID, &w.Customer, &at)
		w.At = instant(at)
		return w, err
	}, `SELECT id, customer_id, `+column+` FROM `+table+` WHERE merchant_id = $1 AND `+column+` <= $2`+more+
		` ORDER BY `+column+`, id LIMIT $3`, args...)
}

// Park takes a row out of its queue and notes why. It reports false, and does
// nothing, if the row has moved on meanwhile. It reads nothing else of the row.
func (t *Tx) Park(ctx context.Context, q Queue, w Waiting, reason string, at time.Time) (bool, error) {
	table, column := q.kept()
	if table == "activity" {
		if err := t.lockRow(ctx, w.Customer); err != nil {
			return false, err
		}
	}
	set := column + " = NULL"
	if table == "attempt" {
		set = "check_at = NULL, lease_until = NULL"
	}
	n, err := t.tx.Exec(ctx, `UPDATE `+table+` SET `+set+` WHERE merchant_id = $1 AND id = $2 AND `+column+` = $3`,
		t.merchant, w.ID, w.At.UnixMicro())
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.InsertParked(ctx, billing.Parked{Noun: q.Noun(), ID: w.ID, CustomerID: w.Customer, Reason: reason, Due: w.At, Since: at})
}

// lockRow keeps other writers of a customer's account waiting, without reading
// the customer.
func (t *Tx) lockRow(ctx context.Context, c billing.CustomerID) error {
	_, err := sqldb.Query(ctx, t.tx, sqldb.Scalar[int64],
		`SELECT id FROM customer WHERE merchant_id = $1 AND id = $2`+t.tx.ForUpdate(), t.merchant, c)
	return err
}

// InsertParked notes work that its writer has taken out of its queue. Work that
// is parked already stays so from when it was.
func (t *Tx) InsertParked(ctx context.Context, list ...billing.Parked) error {
	for _, p := range list {
		_, err := t.tx.Exec(ctx, `INSERT INTO parked (merchant_id, noun, object_id, customer_id, reason, due_at, since, tries)
				VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
			ON CONFLICT (merchant_id, noun, object_id) DO UPDATE SET customer_id = excluded.customer_id, reason = excluded.reason,
				due_at = CASE WHEN parked.released_at IS NULL THEN parked.due_at ELSE excluded.due_at END,
				since = CASE WHEN parked.released_at IS NULL THEN parked.since ELSE excluded.since END,
				tries = parked.tries + 1, released_at = NULL`,
			t.merchant, p.Noun, p.ID, orNull(p.CustomerID), p.Reason, p.Due.UnixMicro(), p.Since.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// parkedFrom is the parked work that still waits: what was paid, ended or
// settled otherwise meanwhile needs nobody.
const parkedFrom = `FROM parked p
	LEFT JOIN customer c ON c.merchant_id = p.merchant_id AND c.id = p.customer_id
	LEFT JOIN subscription s ON p.noun = 'subscription' AND s.merchant_id = p.merchant_id AND s.id = p.object_id
	LEFT JOIN activity d ON p.noun IN ('debt', 'age') AND d.merchant_id = p.merchant_id AND d.id = p.object_id
	LEFT JOIN attempt a ON p.noun = 'attempt' AND a.merchant_id = p.merchant_id AND a.id = p.object_id
	WHERE p.merchant_id = $1 AND p.released_at IS NULL AND (s.next_at IS NULL AND s.next_date <> '' OR d.open > 0
		OR a.state NOT IN ('approved', 'declined'))`

// Parked lists the parked work that still waits, the oldest first.
func (v *View) Parked(ctx context.Context) ([]billing.Parked, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (billing.Parked, error) {
		p := billing.Parked{MerchantID: v.merchant}
		var due, since, tries int64
		err := r.Scan(&p.Noun, &p.ID, &p.CustomerID, &p.Code, &p.Customer, &p.Reason, &due, &since, &tries)
		p.Due, p.Since, p.Tries = instant(due), instant(since), int(tries)
		return p, err
	}, `SELECT p.noun, p.object_id, COALESCE(p.customer_id, 0), COALESCE(s.code, d.code, ''), COALESCE(c.code, ''), p.reason, p.due_at,
		p.since, p.tries `+parkedFrom+` ORDER BY p.since, p.noun, p.object_id`, v.merchant)
}

// Unpark notes that parked work is in its queue again, put there by the writer.
func (t *Tx) Unpark(ctx context.Context, n billing.ParkedNoun, ids []int64, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := t.tx.Exec(ctx, `UPDATE parked SET released_at = $4
		WHERE merchant_id = $1 AND noun = $2 AND object_id `+t.tx.In(3)+` AND released_at IS NULL`,
		t.merchant, n, sqldb.List(ids), at.UnixMicro())
	return err
}

// Release puts parked work back into its queue: what was due is due now, by the
// merchant's clock, or for an attempt by the world's. Growth by age keeps its
// day, because the day decides what grows. It reads nothing else of the row, and
// does nothing to what has moved on by itself.
func (t *Tx) Release(ctx context.Context, p billing.Parked, at, wall time.Time) error {
	if err := t.Unpark(ctx, p.Noun, []int64{p.ID}, at); err != nil {
		return err
	}
	due := p.Due
	if due.Before(at) {
		due = at
	}
	args := []any{t.merchant, p.ID, due.UnixMicro()}
	var q string
	switch p.Noun {
	case billing.ParkedSubscription:
		q = `UPDATE subscription SET next_at = $3 WHERE merchant_id = $1 AND id = $2 AND next_at IS NULL AND next_date <> ''`
	case billing.ParkedDebt, billing.ParkedAge:
		if err := t.lockRow(ctx, p.CustomerID); err != nil {
			return err
		}
		q = `UPDATE activity SET collect_at = $3 WHERE merchant_id = $1 AND id = $2 AND collect_at IS NULL AND claimed_by IS NULL AND open > 0`
		if p.Noun == billing.ParkedAge {
			args[2] = p.Due.UnixMicro()
			q = `UPDATE activity SET age_at = $3 WHERE merchant_id = $1 AND id = $2 AND age_at IS NULL AND open > 0`
		}
	case billing.ParkedAttempt:
		args = append(args, wall.UnixMicro())
		q = `UPDATE attempt SET check_at = CASE WHEN state = 'pending' THEN CAST($3 AS BIGINT) END,
				lease_until = CASE WHEN state = 'pending' THEN NULL ELSE CAST($4 AS BIGINT) END
			WHERE merchant_id = $1 AND id = $2 AND check_at IS NULL AND lease_until IS NULL AND state NOT IN ('approved', 'declined')`
	}
	_, err := t.tx.Exec(ctx, q, args...)
	return err
}
