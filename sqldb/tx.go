package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
)

// Row is one row of a result, to be scanned into pointers to the types of the arguments: integers, strings and bytes,
// named or not, and bool. NULL fits only *[]byte, a pointer to a pointer, and [Null].
type Row interface {
	Scan(dest ...any) error
}

// Tx is a transaction inside the closure that [DB.Update] or [DB.View] runs. It is for one goroutine, and its
// statements take turns: none may be started in the scan function of another.
//
// A Tx fails for good with its first failed statement, as a transaction of PostgreSQL does.
type Tx struct {
	db     *DB
	engine Engine
	run    runner
	cost   int   // statements run and rows written, so that group commit can keep its groups short
	haste  bool  // rows that others have locked are not waited for
	busy   bool  // a result is being read
	err    error // the first failure
}

// runner runs statements for a Tx; the arguments are normal.
type runner interface {
	exec(ctx context.Context, q string, args []any) (int64, error)
	query(ctx context.Context, q string, args []any) (rows, error)
}

// rows is what both pgx.Rows and (adapted) sql.Rows can do.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

var (
	errTxOver = errors.New("sqldb: transaction used after its closure has returned")
	errTxBusy = errors.New("sqldb: statement started while the rows of another one are being read")
)

// Engine says which engine runs the transaction.
func (t *Tx) Engine() Engine { return t.engine }

// Exec runs one statement and returns the number of rows it inserted, changed or deleted.
func (t *Tx) Exec(ctx context.Context, q string, args ...any) (rowsAffected int64, err error) {
	args, err = t.ready(q, args)
	if err != nil {
		return 0, err
	}
	t.cost++
	n, err := t.run.exec(ctx, q, args)
	if err != nil {
		return 0, t.fail(q, err)
	}
	return n, nil
}

// QueryRow prepares a query for the first row of its result. The query runs when Scan is called, not before, and each
// time; Scan returns [ErrNoRows] if there is none, which does not spoil the transaction.
func (t *Tx) QueryRow(ctx context.Context, q string, args ...any) Row {
	return &lazyRow{t: t, ctx: ctx, q: q, args: args}
}

type lazyRow struct {
	t    *Tx
	ctx  context.Context //nolint:containedctx // lives from QueryRow to Scan, as in sql.Row
	q    string
	args []any
}

func (r *lazyRow) Scan(dest ...any) error {
	c, err := r.t.open(r.ctx, r.q, r.args)
	if err != nil {
		return err
	}
	defer c.close()
	if !c.rows.Next() {
		if err := c.rows.Err(); err != nil {
			return r.t.fail(r.q, err)
		}
		return ErrNoRows
	}
	if err := c.Scan(dest...); err != nil {
		return err
	}
	c.rows.Close() // PostgreSQL tells some errors only at the end
	if err := c.rows.Err(); err != nil {
		return r.t.fail(r.q, err)
	}
	return nil
}

// Query runs a query and returns what scan makes of each row, nil if there are none. If scan returns an error, so
// does Query.
func Query[T any](ctx context.Context, t *Tx, scan func(Row) (T, error), q string, args ...any) ([]T, error) {
	c, err := t.open(ctx, q, args)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var all []T
	for c.rows.Next() {
		v, err := scan(c)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if err := c.rows.Err(); err != nil {
		return nil, t.fail(q, err)
	}
	return all, nil
}

// One runs a query and returns what scan makes of its first row, or [ErrNoRows].
func One[T any](ctx context.Context, t *Tx, scan func(Row) (T, error), q string, args ...any) (T, error) {
	v, err := scan(t.QueryRow(ctx, q, args...))
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// Scalar scans a result of one column, for [Query] and [One].
func Scalar[T any](r Row) (T, error) {
	var v T
	err := r.Scan(&v)
	return v, err
}

// Null makes a destination for Scan that takes NULL as the zero value. [OrNull] is its counterpart for arguments.
func Null[T any](dest *T) sql.Scanner { return nullable[T]{dest} }

type nullable[T any] struct{ dest *T }

func (n nullable[T]) Scan(src any) error {
	var v sql.Null[T]
	if err := v.Scan(src); err != nil {
		return err
	}
	*n.dest = v.V
	return nil
}

// In is the condition "is one of" for the list in parameter n: "id "+t.In(2) goes with List(ids) as second argument.
func (t *Tx) In(n int) string {
	if t.engine == PostgreSQL {
		return "= ANY($" + strconv.Itoa(n) + ")"
	}
	return "IN (SELECT value FROM json_each($" + strconv.Itoa(n) + "))"
}

// ForUpdate ends a SELECT in an Update that locks its rows against other updates. SQLite needs no such lock: an Update
// has the database to itself.
func (t *Tx) ForUpdate() string {
	switch {
	case t.engine != PostgreSQL:
		return ""
	case t.haste:
		return " FOR UPDATE NOWAIT"
	}
	return " FOR UPDATE"
}

// Hasten has the statements that end in [Tx.ForUpdate] from here on fail, and with them the transaction, where they
// would wait for rows that others have locked. On SQLite nobody has.
func (t *Tx) Hasten() { t.haste = true }

// SkipLocked is like [Tx.ForUpdate], but passes over rows that others have locked, so that many may claim due work.
// With LIMIT it belongs in a CTE of its own (WITH due AS MATERIALIZED …), not in an IN (SELECT …).
func (t *Tx) SkipLocked() string {
	if t.engine == PostgreSQL {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// ready says whether a statement may be run now, and makes its arguments normal.
func (t *Tx) ready(q string, args []any) ([]any, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.busy {
		return nil, t.fail(q, errTxBusy)
	}
	if t.db.saw != nil {
		t.db.saw(q)
	}
	args, err := normal(t.engine, args)
	if err != nil {
		return nil, t.fail(q, err)
	}
	return args, nil
}

// fail makes err safe to show, names the statement, and spoils the transaction.
func (t *Tx) fail(q string, err error) error {
	err = statementError(q, err)
	if t.err == nil {
		t.err = err
	}
	return err
}

// outcome is what a closure that returned err has come to.
func (t *Tx) outcome(err error) error {
	if err == nil {
		return t.err
	}
	return err
}

// end makes every later use of t fail.
func (t *Tx) end() { t.err = errTxOver }

// open runs a query; the cursor must be closed.
func (t *Tx) open(ctx context.Context, q string, args []any) (*cursor, error) {
	args, err := t.ready(q, args)
	if err != nil {
		return nil, err
	}
	t.cost++
	r, err := t.run.query(ctx, q, args)
	if err != nil {
		return nil, t.fail(q, err)
	}
	t.busy = true
	return &cursor{t: t, rows: r, q: q}, nil
}

// cursor stands on the rows of a result.
type cursor struct {
	t    *Tx
	rows rows
	q    string
}

// Scan implements Row.
func (c *cursor) Scan(dest ...any) error {
	if err := c.rows.Scan(dest...); err != nil {
		return c.t.fail(c.q, err)
	}
	return nil
}

func (c *cursor) close() {
	c.rows.Close()
	c.t.busy = false
}
