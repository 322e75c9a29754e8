package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const allocationColumns = `merchant_id, id, customer_id, source_id, target_id, source_kind, target_kind, amount, currency, created_at,
	COALESCE(ended_at, 0)`

func scanAllocation(r sqldb.Row) (*billing.Allocation, error) {
	var a billing.Allocation
	var amount, created, ended int64
	var c billing.Currency
	err := r.Scan(&a.MerchantID, &a.ID, &a.CustomerID, &a.Source, &a.Target, &a.SourceKind, &a.TargetKind, &amount, &c, &created, &ended)
	a.Amount, a.CreatedAt, a.EndedAt = billing.Minor(amount, c), instant(created), instant(ended)
	return &a, err
}

// Allocations lists the allocations that hold and have an activity as source or
// target, by id. Zero source or target narrows nothing.
func (v *View) Allocations(ctx context.Context, of, source, target billing.ActivityID, p Page) ([]*billing.Allocation, error) {
	q := newSelect(v, "allocation", allocationColumns)
	q.where = append(q.where, "ended_at IS NULL")
	q.where = append(q.where, "id IN ("+allocationsOf(q.arg(of))+")")
	if source != 0 {
		q.equal("source_id", source)
	}
	if target != 0 {
		q.equal("target_id", target)
	}
	return sqldb.Query(ctx, v.tx, scanAllocation, q.paged(p), q.args...)
}

// InsertAllocations writes new allocations and gives them their ids.
func (t *Tx) InsertAllocations(ctx context.Context, list []billing.Allocation) error {
	rows := make([][]any, len(list))
	for i := range list {
		a := &list[i]
		a.ID = billing.AllocationID(t.NewID())
		rows[i] = []any{int64(a.MerchantID), int64(a.ID), int64(a.CustomerID), int64(a.Source), int64(a.Target), string(a.SourceKind),
			string(a.TargetKind), a.Amount.Minor(), string(a.Amount.Currency()), micros(a.CreatedAt)}
	}
	return t.tx.InsertMany(ctx, "allocation", []string{"merchant_id", "id", "customer_id", "source_id", "target_id", "source_kind",
		"target_kind", "amount", "currency", "created_at"}, rows)
}

// EndAllocations dissolves the allocations of an activity and returns them.
func (t *Tx) EndAllocations(ctx context.Context, of billing.ActivityID, at time.Time) ([]*billing.Allocation, error) {
	return sqldb.Query(ctx, t.tx, scanAllocation, `UPDATE allocation SET ended_at = $3
		WHERE merchant_id = $1 AND id IN (`+allocationsOf("$2")+`) AND ended_at IS NULL RETURNING `+allocationColumns,
		t.merchant, of, at.UnixMicro())
}

// allocationsOf finds the ids of the allocations of an activity by either index.
// "source OR target" would have SQLite look through all of the merchant's.
func allocationsOf(activity string) string {
	return "SELECT id FROM allocation WHERE merchant_id = $1 AND source_id = " + activity +
		" UNION ALL SELECT id FROM allocation WHERE merchant_id = $1 AND target_id = " + activity
}

// InsertEntries writes postings.
func (t *Tx) InsertEntries(ctx context.Context, list []billing.Entry) error {
	rows := make([][]any, len(list))
	for i, e := range list {
		rows[i] = []any{int64(e.MerchantID), int64(e.ActivityID), int64(e.Seq), string(e.Ledger), orNull(e.CustomerID), e.Amount.Minor(),
			string(e.Amount.Currency()), micros(e.PostedAt)}
	}
	return t.tx.InsertMany(ctx, "entry", []string{"merchant_id", "activity_id", "seq", "ledger", "customer_id", "amount", "currency",
		"posted_at"}, rows)
}

// Entries lists the postings of an activity in order.
func (v *View) Entries(ctx context.Context, of billing.ActivityID) ([]billing.Entry, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (billing.Entry, error) {
		var e billing.Entry
		var seq, amount, posted int64
		var c billing.Currency
		err := r.Scan(&e.MerchantID, &e.ActivityID, &seq, &e.Ledger, &e.CustomerID, &amount, &c, &posted)
		e.Seq, e.Amount, e.PostedAt = int(seq), billing.Minor(amount, c), instant(posted)
		return e, err
	}, `SELECT merchant_id, activity_id, seq, ledger, COALESCE(customer_id, 0), amount, currency, posted_at FROM entry
		WHERE merchant_id = $1 AND activity_id = $2 ORDER BY seq`, v.merchant, of)
}

const eventColumns = `merchant_id, id, kind, COALESCE(customer_id, 0), object_id, created_at`

func scanEvent(r sqldb.Row) (billing.Event, error) {
	var e billing.Event
	var created int64
	err := r.Scan(&e.MerchantID, &e.ID, &e.Kind, &e.CustomerID, &e.ObjectID, &created)
	e.CreatedAt = instant(created)
	return e, err
}

// InsertEvents writes to the outbox and gives the events their ids. They are
// marked to be told if the merchant has an endpoint.
func (t *Tx) InsertEvents(ctx context.Context, list []billing.Event) error {
	if len(list) == 0 {
		return nil
	}
	told, err := t.told(ctx)
	if err != nil {
		return err
	}
	columns := []string{"merchant_id", "id", "kind", "customer_id", "object_id", "created_at"}
	if told {
		columns = append(columns, "waiting")
	}
	rows := make([][]any, len(list))
	for i := range list {
		e := &list[i]
		e.ID = billing.EventID(t.NewID())
		rows[i] = append(rows[i], int64(t.merchant), int64(e.ID), string(e.Kind), orNull(e.CustomerID), e.ObjectID, micros(e.CreatedAt))
		if told {
			rows[i] = append(rows[i], true)
		}
	}
	return t.tx.InsertMany(ctx, "event", columns, rows)
}

// Events lists the outbox in order.
func (v *View) Events(ctx context.Context, p Page) ([]billing.Event, error) {
	q := newSelect(v, "event", eventColumns)
	return sqldb.Query(ctx, v.tx, scanEvent, q.paged(p), q.args...)
}

// Balance is what an account of the books holds.
type Balance struct {
	Ledger billing.Ledger
	Amount billing.Money
}

// Balances sums the merchant's entries by account and currency.
func (v *View) Balances(ctx context.Context) ([]Balance, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (Balance, error) {
		var b Balance
		var amount int64
		var c billing.Currency
		err := r.Scan(&b.Ledger, &c, &amount)
		b.Amount = billing.Minor(amount, c)
		return b, err
	}, `SELECT ledger, currency, CAST(SUM(amount) AS BIGINT) FROM entry WHERE merchant_id = $1
		GROUP BY ledger, currency ORDER BY ledger, currency`, v.merchant)
}
