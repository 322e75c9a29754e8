package store

import (
	"context"
	"runtime"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Work says what waits in a merchant's books, by queue: when the first of each
// is due by the merchant's clock, and when the first lease runs out by the
// world's. Zero is nothing. The rows themselves are the queue.
type Work struct {
	Subscription time.Time // the next event of a subscription
	Pending      time.Time // a pending claim is to be asked about
	Collect      time.Time // a debt is to be claimed
	Age          time.Time // a debt grows by age
	Forget       time.Time // a card or account is perhaps to be forgotten
	Notices      time.Time // the processor is to be asked for notices
	Lease        time.Time // an attempt is abandoned, by the world's clock
	Busy         bool      // a claim is in a worker's hands, perhaps a dead one's: sent, or being asked about
}

// First is the earliest of what is due by the merchant's clock, zero if none.
func (w Work) First() time.Time {
	var first time.Time
	for _, t := range []time.Time{w.Subscription, w.Pending, w.Collect, w.Age, w.Forget, w.Notices} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Work looks at the head of each queue. Each look is one step down an index,
// however many rows wait.
func (v *View) Work(ctx context.Context) (Work, error) {
	var us [7]int64
	var busy bool
	err := v.tx.QueryRow(ctx, `SELECT
			COALESCE((SELECT MIN(next_at) FROM subscription WHERE merchant_id = $1 AND next_at IS NOT NULL), 0),
			COALESCE((SELECT MIN(check_at) FROM attempt WHERE merchant_id = $1 AND check_at IS NOT NULL AND lease_until IS NULL), 0),
			COALESCE((SELECT MIN(collect_at) FROM activity WHERE merchant_id = $1 AND collect_at IS NOT NULL AND claimed_by IS NULL), 0),
			COALESCE((SELECT MIN(age_at) FROM activity WHERE merchant_id = $1 AND age_at IS NOT NULL), 0),
			COALESCE((SELECT notices_at FROM merchant WHERE id = $1), 0),
			COALESCE((SELECT MIN(lease_until) FROM attempt WHERE merchant_id = $1 AND lease_until IS NOT NULL), 0),
			COALESCE((SELECT MIN(forget_at) FROM payment_method WHERE merchant_id = $1 AND forget_at IS NOT NULL), 0),
			EXISTS (SELECT 1 FROM attempt WHERE merchant_id = $1 AND lease_until IS NOT NULL
				AND (state = 'sending' AND claim OR state = 'pending'))`,
		v.merchant).Scan(&us[0], &us[1], &us[2], &us[3], &us[4], &us[5], &us[6], &busy)
	return Work{Subscription: instant(us[0]), Pending: instant(us[1]), Collect: instant(us[2]), Age: instant(us[3]),
		Notices: instant(us[4]), Lease: instant(us[5]), Forget: instant(us[6]), Busy: busy}, err
}

// Backlog counts what waits, for operators.
type Backlog struct {
	Due     int64     // subscriptions whose event is due
	Unknown int64     // attempts whose outcome nobody has told us
	Oldest  time.Time // when the oldest due event fell due

	Parked    int64 // work that is out of its queue until somebody mends it
	Unsettled int64 // attempts whose outcome a person must say
}

// Backlog counts the merchant's waiting work at an instant of its clock.
func (v *View) Backlog(ctx context.Context, at time.Time) (b Backlog, err error) {
	var oldest int64
	err = v.tx.QueryRow(ctx, `SELECT
			(SELECT COUNT(*) FROM subscription WHERE merchant_id = $1 AND next_at <= $2),
			(SELECT COUNT(*) FROM attempt WHERE merchant_id = $1 AND lease_until IS NOT NULL AND state IN ('sending', 'unknown')),
			COALESCE((SELECT MIN(next_at) FROM subscription WHERE merchant_id = $1 AND next_at <= $2), 0),
			(SELECT COUNT(*) `+parkedFrom+`),
			(SELECT COUNT(*) FROM attempt WHERE merchant_id = $1 AND unsettled_at IS NOT NULL)`,
		v.merchant, at.UnixMicro()).Scan(&b.Due, &b.Unknown, &oldest, &b.Parked, &b.Unsettled)
	b.Oldest = instant(oldest)
	return b, err
}

// MerchantsDue finds the merchants that may have work at an instant of the
// world's clock: something of theirs is due by their own clock, or a lease has
// run out. It looks at the head of each queue and holds no lock. Whether there
// is work is decided by Work and by the merchant's clock; this must not miss it.
//
// On books that are spread over several machines it names every merchant: there a
// subquery cannot be asked for each row of a table that lies on all of them, and
// the looks at the queues are shared out as the merchants are.
func (s *Store) MerchantsDue(ctx context.Context, wall time.Time) (ids []billing.MerchantID, err error) {
	spread, err := s.isSpread(ctx)
	if err != nil {
		return nil, err
	}
	if spread {
		return s.MerchantIDs(ctx)
	}
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		ids, err = sqldb.Query(ctx, tx, sqldb.Scalar[billing.MerchantID], merchantsDue, wall.UnixMicro())
		return err
	})
	return ids, err
}

// merchantsDue takes the world's time. Each subquery is one step down an index
// of one merchant's, so that the statement can be split by merchant; the second
// line is billing.Clock.
const merchantsDue = `SELECT id FROM (SELECT id, notices_at, CAST($1 AS BIGINT) AS wall,
		CASE clock_mode WHEN 'frozen' THEN clock_at WHEN 'running' THEN clock_at + (CAST($1 AS BIGINT) - clock_set) ELSE CAST($1 AS BIGINT) END AS now
		FROM merchant) AS m
	WHERE notices_at <= now
	OR (SELECT MIN(next_at) FROM subscription WHERE merchant_id = m.id AND next_at IS NOT NULL) <= now
	OR (SELECT MIN(lease_until) FROM attempt WHERE merchant_id = m.id AND lease_until IS NOT NULL) <= wall
	OR (SELECT MIN(check_at) FROM attempt WHERE merchant_id = m.id AND check_at IS NOT NULL AND lease_until IS NULL) <= now
	OR (SELECT MIN(collect_at) FROM activity WHERE merchant_id = m.id AND collect_at IS NOT NULL AND claimed_by IS NULL) <= now
	OR (SELECT MIN(age_at) FROM activity WHERE merchant_id = m.id AND age_at IS NOT NULL) <= now
	OR (SELECT MIN(forget_at) FROM payment_method WHERE merchant_id = m.id AND forget_at IS NOT NULL) <= now
	ORDER BY id`

// MerchantIDs lists the merchants of the installation.
func (s *Store) MerchantIDs(ctx context.Context) (ids []billing.MerchantID, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		ids, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (id billing.MerchantID, err error) { err = r.Scan(&id); return id, err },
			`SELECT id FROM merchant ORDER BY id`)
		return err
	})
	return ids, err
}

// BatchSize is how many rows a billing run does best to write in one
// transaction: few on SQLite, whose one writer the API waits for, many on
// PostgreSQL.
func (s *Store) BatchSize() int {
	if s.db.Engine() == sqldb.SQLite {
		return 50
	}
	return 500
}

// Desks is how many transactions of billing runs there should be at once. Those
// that wait for the disk together share one wait, on both engines. On PostgreSQL
// it is two thirds of the connections, so that the API finds one; on SQLite few
// enough that the API does not wait for long.
func (s *Store) Desks() int {
	if s.db.Engine() == sqldb.SQLite {
		return 8
	}
	return max(s.db.MaxConns()*2/3, 1)
}

// Clerks is how many transactions of one kind of request it is best to have at
// once while more of the same kind wait, which then go together: on PostgreSQL as
// many as there are cores here, on SQLite a few, which share their wait for the
// disk.
func (s *Store) Clerks() int {
	if s.db.Engine() == sqldb.SQLite {
		return 4
	}
	return max(runtime.GOMAXPROCS(0), 2)
}
