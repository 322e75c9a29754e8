package store

import (
	"context"
	"slices"

	"github.com/perennial-billing/perennial/sqldb"
)

// The nouns of small numbers that count a merchant's objects from a number on, for
// wires whose clients keep them in narrow columns. A reference of them has the
// object's name here for its code, and the number for its object.
const (
	ClientNumber      Noun = "client_number"      // of customers, by id
	ScheduleNumber    Noun = "schedule_number"    // of subscriptions, by id
	BillNumber        Noun = "bill_number"        // of debts, by id
	TransactionNumber Noun = "transaction_number" // of what moves money, by what it covers
)

const countedNouns = `noun IN ('client_number', 'schedule_number', 'bill_number')`

// Count tells the small numbers of objects, by the names under which they are
// numbered. One that has none gets the next, in the order of the names, from first
// on. Only who gives a number waits for others who do.
func (t *Tx) Count(ctx context.Context, n Noun, names []string, first int64) (map[string]int64, error) {
	numbers, err := t.Counted(ctx, n, names)
	if err != nil || len(numbers) == len(names) {
		return numbers, err
	}
	var last int64
	err = t.tx.QueryRow(ctx, `INSERT INTO counter (merchant_id, name, last) VALUES ($1, $2, $3)
		ON CONFLICT (merchant_id, name) DO UPDATE SET last = counter.last RETURNING last`, t.merchant, n, first-1).Scan(&last)
	if err != nil {
		return nil, err
	}
	if numbers, err = t.Counted(ctx, n, names); err != nil { // by who had the counter before
		return nil, err
	}
	var rows [][]any
	for _, name := range names {
		if _, ok := numbers[name]; !ok {
			last++
			numbers[name] = last
			rows = append(rows, []any{t.merchant, string(n), int64(0), name, last})
		}
	}
	if err := t.tx.InsertMany(ctx, "reference", []string{"merchant_id", "noun", "scope", "code", "object_id"}, rows); err != nil {
		return nil, err
	}
	_, err = t.tx.Exec(ctx, `UPDATE counter SET last = $3 WHERE merchant_id = $1 AND name = $2`, t.merchant, n, last)
	return numbers, err
}

// Counted tells the small numbers that objects have; those that have none are left
// out.
func (v *View) Counted(ctx context.Context, n Noun, names []string) (map[string]int64, error) {
	numbers := make(map[string]int64, len(names))
	type pair struct {
		name   string
		number int64
	}
	for part := range slices.Chunk(names, 500) {
		list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (p pair, err error) { err = r.Scan(&p.name, &p.number); return p, err },
			`SELECT code, object_id FROM reference WHERE merchant_id = $1 AND noun = $2 AND scope = 0 AND code `+v.tx.In(3),
			v.merchant, n, sqldb.List(part))
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			numbers[p.name] = p.number
		}
	}
	return numbers, nil
}

// ByCount finds the name of the customer, subscription or debt that has a small
// number.
func (v *View) ByCount(ctx context.Context, n Noun, number int64) (name string, err error) {
	err = v.tx.QueryRow(ctx, `SELECT code FROM reference WHERE merchant_id = $1 AND noun = $2 AND object_id = $3 AND `+countedNouns,
		v.merchant, n, number).Scan(&name)
	return name, notFound(err, string(n))
}

// Uncount frees an object of its small number, which nothing else will get.
func (t *Tx) Uncount(ctx context.Context, n Noun, names []string) error {
	_, err := t.tx.Exec(ctx, `DELETE FROM reference WHERE merchant_id = $1 AND noun = $2 AND scope = 0 AND code `+t.tx.In(3),
		t.merchant, n, sqldb.List(names))
	return err
}
