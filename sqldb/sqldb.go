// Package sqldb speaks one SQL text to two engines: SQLite, embedded in the process, and PostgreSQL. It is the only
// package that knows a database driver.
//
// All work happens inside a closure over a transaction, [DB.Update] to write and [DB.View] to read. The closure may
// be run more than once (PostgreSQL repeats it after a deadlock), so it must have no effect but its SQL: it reads no
// clock, sends nothing, and sets the variables around it rather than adding to them. It must not call Update itself.
//
// On SQLite there is one writer. It runs waiting closures one after the other inside a single transaction and answers
// their callers when that is committed, so that up to 64 callers share one fsync; each closure stands behind a
// savepoint, so that one that fails undoes only itself. On PostgreSQL each closure is a transaction of its own.
//
// # One text for both
//
// Write PostgreSQL's dialect with $1, $2 … for parameters, and nothing that SQLite lacks. The differences that remain
// have a name here: [Tx.In] and [List] for lists, [Tx.ForUpdate] and [Tx.SkipLocked] for row locks, [Tx.InsertMany]
// and [Tx.UpdateMany] for batches, and {{int}}, {{text}} … in migrations (see [DB.Migrate]). Beyond that:
//
//   - Values are integers, strings, bools, bytes and NULL; named types of these kinds are as good. There is no float
//     and no time: times are BIGINT microseconds since 1970 UTC, money is BIGINT minor units.
//   - Strings are UTF-8 without NUL. A nil []byte is NULL. An empty one is stored as empty, but may be read back as nil.
//   - A statement that fails spoils its transaction: every later one fails with the same error and nothing is
//     committed, even if the closure returns nil. To insert or else find, use ON CONFLICT DO NOTHING.
//   - PostgreSQL sorts NULLs last and SQLite first: say NULLS FIRST or NULLS LAST. LIKE minds the case on both.
//   - A parameter that stands alone in a SELECT list or a VALUES list of a CTE is text on PostgreSQL: CAST($1 AS BIGINT).
//   - Name the columns, never SELECT *: it breaks while another process migrates.
//   - An update sees the database as a serial order of closures on SQLite, but READ COMMITTED on PostgreSQL: lock what
//     you read and then decide on, with ForUpdate, or decide in the WHERE clause of the write.
//   - No deferred constraints: on SQLite they would fail at a COMMIT shared with others.
//
// Error texts name the statement, never an argument and never the password of an address.
package sqldb

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Engine says which database stands behind a [DB].
type Engine int

// The engines.
const (
	SQLite Engine = iota + 1
	PostgreSQL
)

// String returns "sqlite" or "postgres".
func (e Engine) String() string {
	switch e {
	case SQLite:
		return "sqlite"
	case PostgreSQL:
		return "postgres"
	}
	return fmt.Sprintf("Engine(%d)", int(e))
}

// Options say how to open a database. The zero value is right for a server.
type Options struct {
	// MaxConns limits the connections to PostgreSQL. 0 means pool_max_conns of the address, or else four per core
	// and at least twelve. SQLite has its own numbers: one writer and two readers per core, at least four.
	MaxConns int

	// Volatile lets SQLite commit without waiting for the disk (synchronous=OFF): a crash of the machine can lose
	// or destroy the database. For benchmarks, tests and scratch databases only. PostgreSQL ignores it.
	Volatile bool

	// Schema is the PostgreSQL schema to work in; it is made if missing. "" leaves the choice to the address
	// (search_path) and the server, which is usually "public". SQLite ignores it.
	Schema string

	// Saw is told the text of each statement before it is run, for tests that hold the statements against something;
	// it must be safe for concurrent use. Nil in production.
	Saw func(q string)

	// ReadOnly opens an existing database for [DB.View] alone; Update and Migrate return [ErrReadOnly].
	ReadOnly bool
}

// DB is an open database. Its methods may be called concurrently.
type DB struct {
	engine   Engine
	readOnly bool
	saw      func(string) // Options.Saw
	lite     *liteDB      // when engine is SQLite
	pg       *pgDB        // when engine is PostgreSQL
	bulk     bulkPlans
	counts   counters
}

type counters struct {
	updates, commits, retries atomic.Int64
}

// Stats counts what has happened since [Open].
type Stats struct {
	Updates int64 // closures of Update whose work was committed
	Commits int64 // commits that took; on SQLite several Updates share one
	Retries int64 // closures run again after a deadlock or the like (PostgreSQL)
}

// Open opens the database at an address, which is one of
//
//	sqlite:perennial.db                              a file; it is made if missing, its folder is not
//	postgres://user:password@host:5432/database     and all parameters that pgx knows, such as ?sslmode=verify-full
//
// An error says what to do about it and does not contain the password. Open connects, but changes nothing in the
// database beyond making the file or schema and turning on SQLite's write-ahead log.
func Open(ctx context.Context, address string, opt Options) (*DB, error) {
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	d := &DB{engine: a.engine, readOnly: opt.ReadOnly, saw: opt.Saw}
	if a.engine == SQLite {
		d.lite, err = openLite(ctx, d, a.path, opt)
	} else {
		d.pg, err = openPG(ctx, d, a, opt)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Close waits for the closures that are running, refuses all others with [ErrClosed], and closes the connections.
func (d *DB) Close() error {
	if d.engine == SQLite {
		return d.lite.close()
	}
	d.pg.close()
	return nil
}

// Engine says which database this is. Code that asks is code that has a second meaning: prefer the pairs of [Tx].
func (d *DB) Engine() Engine { return d.engine }

// MaxConns is how many connections to PostgreSQL there may be, 0 on SQLite.
func (d *DB) MaxConns() int {
	if d.engine == SQLite {
		return 0
	}
	return int(d.pg.pool.Config().MaxConns)
}

// Ping asks the database for a sign of life.
func (d *DB) Ping(ctx context.Context) error {
	return d.View(ctx, func(t *Tx) error {
		var one int64
		return t.QueryRow(ctx, "SELECT 1").Scan(&one)
	})
}

// Stats returns the counts since Open.
func (d *DB) Stats() Stats {
	return Stats{
		Updates: d.counts.updates.Load(),
		Commits: d.counts.commits.Load(),
		Retries: d.counts.retries.Load(),
	}
}

// Update runs fn in a read-write transaction and commits it. If fn returns an error, nothing is stored and Update
// returns that error. See the package comment for what fn may do; it may be run again.
//
// When Update returns nil the work is on disk. A ctx that ends while fn waits for its turn means that fn is not run;
// one that ends while fn runs makes its next statement fail; one that ends later changes nothing.
//
// Of the errors that are not fn's own, [ErrBusy] means that another process keeps SQLite's write lock, and
// [ErrOutcomeUnknown] that the connection was lost during COMMIT. A panic in fn undoes its work and goes on.
func (d *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if d.readOnly {
		return ErrReadOnly
	}
	if d.engine == SQLite {
		return d.lite.writer.update(ctx, fn)
	}
	return d.pg.update(ctx, fn)
}

// View runs fn in a transaction that sees one state of the database throughout, from fn's first statement on, and that
// refuses to write. Views do not wait for updates. fn may be run again.
func (d *DB) View(ctx context.Context, fn func(*Tx) error) error {
	if d.engine == SQLite {
		return d.lite.view(ctx, fn)
	}
	return d.pg.view(ctx, fn)
}
