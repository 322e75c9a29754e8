package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// Due are the options of the bench of that name.
type Due struct {
	Site
	Subscriptions int // in all, default 10,000,000
	Smallest      int // with which that is compared, default 10,000
	Due           int // of them in each round, default 1,000
	Rounds        int // of each side, default 9
}

// Run measures how due subscriptions are found among all of a merchant, claimed
// and moved on to their next date, in batches as a billing run does it, against
// the same in a small set. They lie scattered among the others. Nothing is
// invoiced, which would hide it.
func (d Due) Run(ctx context.Context) (*Report, error) {
	numbers := []number{{&d.Subscriptions, 10_000_000}, {&d.Smallest, 10_000}, {&d.Due, 1000}, {&d.Rounds, 9}}
	if err := fill(numbers); err != nil {
		return nil, err
	}
	if d.Due > d.Smallest || d.Smallest > d.Subscriptions {
		return nil, errors.New("bench: there must be at least as many subscriptions as are due, and the smallest number must be the smaller one")
	}
	report := &Report{Bench: "due, " + grouped(int64(d.Subscriptions)), Unit: "subscriptions"}
	report.Work = fmt.Sprintf("%s due subscriptions found among %s, claimed and moved on, %d rounds",
		grouped(int64(d.Due)), grouped(int64(d.Subscriptions)), d.Rounds)
	report.Against = "the same among " + grouped(int64(d.Smallest))
	return d.on(ctx, report, func(g *ground) error {
		large, err := d.side(ctx, g, "large", d.Subscriptions)
		if err != nil {
			return err
		}
		small, err := d.side(ctx, g, "small", d.Smallest)
		if err != nil {
			return err
		}
		if report.Machine, err = d.look(ctx, g, small.db); err != nil {
			return err
		}
		err = d.take(ctx, report, turns{
			rounds:  d.Rounds,
			ours:    func(ctx context.Context, k int) (int64, error) { return d.round(ctx, large, k) },
			against: func(ctx context.Context, k int) (int64, error) { return d.round(ctx, small, k) },
			warm:    func(ctx context.Context) error { return errors.Join(large.analyze(ctx), small.analyze(ctx)) },
		})
		report.ratioBar(769) // 1 / 1.3
		return err
	})
}

// side builds a shop of one merchant with some customers, and copies the
// subscription of each until there are enough.
func (d Due) side(ctx context.Context, g *ground, name string, subscriptions int) (*planted, error) {
	p, err := d.openShop(ctx, g, name, setup{})
	if err != nil {
		return nil, err
	}
	row, err := d.plant(ctx, p, plantation{subscriptions: owners, due: owners, merchants: 1, keep: true})
	if err != nil {
		return nil, err
	}
	if err := p.unconstrain(ctx); err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, p.address, sqldb.Options{MaxConns: 1, Volatile: true}) // for the planting alone
	if err != nil {
		return nil, fmt.Errorf("bench: plant: %w", err)
	}
	err = errors.Join(d.copySubscriptions(ctx, db, row, subscriptions), db.Close())
	if err != nil {
		return nil, fmt.Errorf("bench: plant: %w", err)
	}
	d.say("planted %s subscriptions", grouped(int64(subscriptions)))
	return row, errors.Join(g.settle(), p.analyze(ctx))
}

// owners is how many customers have subscriptions, and copies how many are copied
// in one transaction.
const (
	owners = 1000
	copies = 100_000
)

// copySubscriptions copies the planted subscriptions, which are the patterns, and
// then removes these: they are no part of what is searched. The indexes are taken
// away before and built anew afterwards.
func (d Due) copySubscriptions(ctx context.Context, db *sqldb.DB, row *planted, subscriptions int) error {
	merchant, pattern := row.markets[0].merchant, row.due[0][0].subscription
	var indexes []string
	err := db.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if indexes, err = takeIndexes(ctx, tx, "subscription"); err != nil {
			return err
		}
		return run(ctx, tx, []statement{
			{"CREATE TABLE bench_owner (owner INTEGER PRIMARY KEY, customer_id BIGINT NOT NULL, payment_method_id BIGINT NOT NULL)", nil},
			{`INSERT INTO bench_owner (owner, customer_id, payment_method_id)
				SELECT ROW_NUMBER() OVER (ORDER BY id) - 1, customer_id, payment_method_id FROM subscription WHERE merchant_id = $1`,
				[]any{merchant.ID}},
		})
	})
	for from := 0; err == nil && from < subscriptions; from += copies {
		err = db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, copySubscriptions, merchant.ID, from, min(from+copies, subscriptions), subscriptions/d.Due, d.Due, owners,
				pattern, earlierID, firstDay.String(), merchant.Start(firstDay).UnixMicro(), merchant.Start(otherDay).UnixMicro())
			return err
		})
		if done := from + copies; err == nil && done%1_000_000 == 0 {
			d.say("planted %s of %s subscriptions", grouped(int64(done)), grouped(int64(subscriptions)))
		}
	}
	if err != nil {
		return err
	}
	last := []statement{
		{"DELETE FROM subscription WHERE merchant_id = $1 AND id >= $2", []any{merchant.ID, pattern}},
		{"DROP TABLE bench_owner", nil},
	}
	for _, index := range indexes {
		last = append(last, statement{index, nil})
	}
	return db.Update(ctx, func(tx *sqldb.Tx) error { return run(ctx, tx, last) })
}

// takeIndexes drops the indexes of a table, but for its keys, and returns the
// statements that make them again.
func takeIndexes(ctx context.Context, tx *sqldb.Tx, table string) (again []string, err error) {
	q := `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1 AND indexdef NOT LIKE '%UNIQUE%'`
	if tx.Engine() == sqldb.SQLite {
		q = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL AND sql NOT LIKE '%UNIQUE%'`
	}
	var drop []statement
	_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (none struct{}, err error) {
		var name, text string
		if err = r.Scan(&name, &text); err == nil {
			again, drop = append(again, text), append(drop, statement{"DROP INDEX " + name, nil})
		}
		return none, err
	}, q, table)
	if err != nil {
		return nil, err
	}
	return again, run(ctx, tx, drop)
}

// settle has what was planted without waiting for the disk reach it, so that this
// is no part of what is measured.
func (g *ground) settle() error {
	files, err := filepath.Glob(filepath.Join(g.folder, "*"))
	for _, name := range files {
		err = errors.Join(err, syncFile(name))
	}
	return err
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// copySubscriptions makes subscriptions numbered from $2 up to $3. One in $4 is
// due on the first day, until there are $5 of them; the others are due on one of
// nineteen days of another life. The owner is one of the merchant's first $6
// customers; what all have in common is copied from the subscription $7.
const copySubscriptions = `WITH RECURSIVE n (i) AS (SELECT CAST($2 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $3)
	INSERT INTO subscription (merchant_id, id, account_id, customer_id, code, plan_id, plan_name, payment_method_id, term, length,
		amount, tax, currency, cycle, first_date, first_invoicing, status, period, issued, last_date, next_date, next_at, adjusted,
		note, created_at, updated_at)
	SELECT s.merchant_id, $8 + n.i, s.account_id, o.customer_id, '', s.plan_id, s.plan_name, o.payment_method_id, s.term, s.length,
		s.amount, s.tax, s.currency, s.cycle, n.day, s.first_invoicing, s.status, s.period, s.issued, s.last_date, n.day, n.at, s.adjusted,
		s.note, s.created_at, s.updated_at
	FROM (SELECT i, CASE WHEN i % $4 = 0 AND i / $4 < $5 THEN $9 ELSE '2090-01-' || CAST(10 + i % 19 AS TEXT) END AS day,
			CASE WHEN i % $4 = 0 AND i / $4 < $5 THEN $10 ELSE $11 + (9 + i % 19) * 86400000000 END AS at FROM n) AS n
		JOIN bench_owner o ON o.owner = n.i % $6 JOIN subscription s ON s.merchant_id = $1 AND s.id = $7`

// unconstrain takes the foreign keys off PostgreSQL's table of subscriptions,
// which would take most of the time of the planting and are not asked when a
// subscription is claimed.
func (p *shop) unconstrain(ctx context.Context) error {
	if p.db.Engine() != sqldb.PostgreSQL {
		return nil
	}
	return p.db.Update(ctx, func(tx *sqldb.Tx) error {
		names, err := sqldb.Query(ctx, tx, sqldb.Scalar[string],
			"SELECT CAST(conname AS TEXT) FROM pg_constraint WHERE conrelid = CAST('subscription' AS regclass) AND contype = 'f'")
		for _, name := range names {
			if _, err := tx.Exec(ctx, "ALTER TABLE subscription DROP CONSTRAINT "+name); err != nil {
				return err
			}
		}
		return err
	})
}

// round takes all that is due on the day of round k past it.
func (d Due) round(ctx context.Context, p *planted, k int) (int64, error) {
	merchant, day := p.markets[0].merchant, billingDay(k)
	at := merchant.Start(day)
	claimed := 0
	took, err := d.timed(func() error {
		for {
			var n int
			err := p.store.Update(ctx, merchant.ID, func(tx *store.Tx) (err error) {
				n, err = moveOn(ctx, tx, merchant, day, at, p.store.BatchSize())
				return err
			})
			if err != nil || n == 0 {
				return err
			}
			claimed += n
		}
	})
	if err != nil {
		return 0, fmt.Errorf("bench: claim what is due: %w", err)
	}
	if claimed != d.Due {
		return 0, fmt.Errorf("bench: %d subscriptions were claimed where %d were due", claimed, d.Due)
	}
	return rate(claimed, took), nil
}

// moveOn claims a batch of due subscriptions and moves them on to their next
// date; none if nothing is due.
func moveOn(ctx context.Context, tx *store.Tx, m *billing.Merchant, day billing.Date, at time.Time, limit int) (int, error) {
	work, err := tx.Work(ctx)
	if err != nil || work.Subscription.IsZero() || work.Subscription.After(at) {
		return 0, err
	}
	subs, err := tx.ClaimDue(ctx, at, day, limit)
	if err != nil {
		return 0, err
	}
	for _, s := range subs {
		s.Advance(nil)
		s.NextAt, s.UpdatedAt = m.Start(s.NextDate), at
	}
	return len(subs), tx.UpdateSubscriptions(ctx, subs)
}
