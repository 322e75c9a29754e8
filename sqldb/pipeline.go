package sqldb

import (
	"context"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Ask is a query with its arguments, for [Tx.Ahead].
type Ask struct {
	Query string
	Args  []any
}

// Ahead tells which queries will be made next, with the same text and arguments. PostgreSQL is sent all of them at once
// and its answers are kept until they are asked for, so that they cost one round trip together. They are run in the
// order given, each seeing what a statement at this point of the transaction would see, so Ahead is for queries between
// which nothing is written: what has not been asked for when something is written is forgotten. On SQLite, which has no
// way to go, it does nothing.
//
// If a View has no other queries than these, last ends its transaction with them, which saves a round trip more; any
// other query of it then fails.
func (t *Tx) Ahead(ctx context.Context, last bool, asks ...Ask) error {
	p, ok := t.run.(*pgTx)
	if !ok {
		return nil
	}
	for i := range asks {
		args, err := t.ready(asks[i].Query, asks[i].Args)
		if err != nil {
			return err
		}
		asks[i].Args = args
	}
	if q, err := p.askAhead(ctx, last && p.begin == beginView, asks); err != nil {
		return t.fail(q, err)
	}
	return nil
}

// Gather runs fn, in which InsertMany and UpdateMany do not wait for PostgreSQL: their statements travel with the next
// one that must be waited for, or with COMMIT, and it is that one which returns their errors. UpdateMany does not know
// how many rows it changes, and says 0. On SQLite fn is run, and that is all.
func (t *Tx) Gather(fn func() error) error {
	if p, ok := t.run.(*pgTx); ok {
		defer func(was bool) { p.gathers = was }(p.gathers)
		p.gathers = true
	}
	return fn()
}

// gathered keeps a write for later, if it may be.
func (t *Tx) gathered(q string, args []any) bool {
	p, ok := t.run.(*pgTx)
	if !ok || !p.gathers {
		return false
	}
	p.ahead = nil
	p.later = append(p.later, Ask{q, args})
	return true
}

// answered is what PostgreSQL said to a query that was sent ahead.
type answered struct {
	Ask
	fields []pgconn.FieldDescription
	rows   [][][]byte
}

// aheadRows are the rows of such an answer.
type aheadRows struct {
	answered
	conn *pgx.Conn
	row  int // of the next
}

func (r *aheadRows) Next() bool {
	r.row++
	return r.row <= len(r.rows)
}

func (r *aheadRows) Scan(dest ...any) error {
	return pgx.ScanRow(r.conn.TypeMap(), r.fields, r.rows[r.row-1], dest...)
}

func (r *aheadRows) Err() error { return nil }

func (r *aheadRows) Close() {}

// foreseen is the answer to a query that was sent ahead, nil if it was not.
func (r *pgTx) foreseen(q string, args []any) rows {
	for i, a := range r.ahead {
		if a.Query == q && reflect.DeepEqual(a.Args, args) {
			r.ahead = append(r.ahead[:i:i], r.ahead[i+1:]...)
			return &aheadRows{answered: a, conn: r.conn.Conn()}
		}
	}
	return nil
}

// askAhead sends queries and keeps their answers. It returns the query that failed with its error.
func (r *pgTx) askAhead(ctx context.Context, last bool, asks []Ask) (failed string, err error) {
	var tail []Ask
	if last {
		tail = []Ask{{Query: "COMMIT"}}
	}
	batch, err := r.send(ctx, append(asks[:len(asks):len(asks)], tail...)...)
	if err != nil {
		return asks[0].Query, err
	}
	r.ahead = nil
	for _, ask := range asks {
		a, err := readAhead(batch, ask)
		if err != nil {
			_ = batch.Close()
			return ask.Query, err
		}
		r.ahead = append(r.ahead, a)
	}
	r.over = last
	return asks[len(asks)-1].Query, batch.Close()
}

func readAhead(batch pgx.BatchResults, ask Ask) (answered, error) {
	a := answered{Ask: ask}
	result, err := batch.Query()
	if err != nil {
		return a, err
	}
	defer result.Close()
	a.fields = append(a.fields, result.FieldDescriptions()...)
	for result.Next() {
		row := make([][]byte, len(a.fields))
		for i, value := range result.RawValues() { // which the next row overwrites
			if value != nil {
				row[i] = append([]byte{}, value...)
			}
		}
		a.rows = append(a.rows, row)
	}
	result.Close()
	return a, result.Err()
}
