package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgDB is a PostgreSQL database.
type pgDB struct {
	db   *DB
	pool *pgxpool.Pool
}

// Defaults for the number of connections.
const (
	connsPerCore = 4
	connsAtLeast = 12 // commits that wait for the disk together share one wait
)

// A transaction that PostgreSQL wants repeated is run this often, with pauses between that are random, so that two in
// each other's way do not meet again, and at most this long, doubling up to it.
const (
	attempts   = 10
	firstPause = 4 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// endTimeout bounds COMMIT and ROLLBACK, which do not end with the caller's context: breaking off a COMMIT would leave
// its outcome unknown.
const endTimeout = 30 * time.Second

// How transactions begin.
const (
	beginUpdate = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
	beginView   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func openPG(ctx context.Context, d *DB, a address, opt Options) (*pgDB, error) {
	if opt.Schema != "" && !schemaForm.MatchString(opt.Schema) {
		return nil, fmt.Errorf("sqldb: schema %q: use small letters, digits and underscores, at most 63", opt.Schema)
	}
	config, err := pgxpool.ParseConfig(a.url)
	if err != nil {
		return nil, errPGAddress
	}
	if opt.MaxConns > 0 {
		config.MaxConns = int32(min(opt.MaxConns, 1<<20))
	} else if !strings.Contains(a.url, "pool_max_conns=") {
		config.MaxConns = int32(max(connsPerCore*runtime.GOMAXPROCS(0), connsAtLeast))
	}
	params := config.ConnConfig.RuntimeParams
	if opt.Schema != "" {
		params["search_path"] = opt.Schema
	}
	if opt.ReadOnly {
		params["default_transaction_read_only"] = "on"
	}
	if params["application_name"] == "" {
		params["application_name"] = "perennial"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, pgOpenError(err)
	}
	p := &pgDB{db: d, pool: pool}
	if err := p.firstLook(ctx, opt); err != nil {
		pool.Close()
		return nil, pgOpenError(err)
	}
	return p, nil
}

// firstLook connects and makes the schema.
func (p *pgDB) firstLook(ctx context.Context, opt Options) error {
	c, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	if e := c.Conn().PgConn().ParameterStatus("server_encoding"); e != "UTF8" {
		return fmt.Errorf("the database is encoded in %s: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", e)
	}
	if opt.Schema == "" || opt.ReadOnly {
		return nil
	}
	// A user who may use the schema need not be allowed to make one, and IF NOT EXISTS asks for that first.
	var exists bool
	err = c.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_namespace WHERE nspname = $1", opt.Schema).Scan(&exists)
	if err != nil || exists {
		return err
	}
	for range attempts { // IF NOT EXISTS is not safe against another process that does the same
		_, err = c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+opt.Schema)
		if err == nil || sqlState(err) != pgUnique {
			break
		}
	}
	return err
}

// pgOpenError says what to do about the errors of the first contact with a server.
func pgOpenError(err error) error {
	advice := "check that PostgreSQL runs and that the address names its host and port"
	switch sqlState(err) {
	case "28P01", "28000": // invalid password, invalid authorization
		advice = "check the user and the password, and the server's pg_hba.conf"
	case "3D000": // no such database
		advice = "make the database with createdb, or correct its name in the address"
	case "53300": // too many connections
		advice = "raise the server's max_connections or lower the connections of its clients"
	case "57P03": // cannot connect now
		advice = "the server is starting up or shutting down: try again in a moment"
	case "42501": // insufficient privilege
		advice = "let the user create in the database, or make the schema and give it to the user"
	case "":
		if isContext(err) || !errors.As(err, new(*pgconn.ConnectError)) {
			return &dbError{text: "sqldb: cannot open the PostgreSQL database: " + err.Error(), err: err}
		}
	}
	return &dbError{text: "sqldb: cannot open the PostgreSQL database: " + err.Error() + ": " + advice, err: err}
}

func (p *pgDB) close() { p.pool.Close() }

func (p *pgDB) update(ctx context.Context, fn func(*Tx) error) error {
	if err := p.repeat(ctx, beginUpdate, fn); err != nil {
		return err
	}
	p.db.counts.updates.Add(1)
	p.db.counts.commits.Add(1)
	return nil
}

func (p *pgDB) view(ctx context.Context, fn func(*Tx) error) error {
	return p.repeat(ctx, beginView, fn)
}

// repeat runs fn in a transaction until PostgreSQL does not ask for another try.
func (p *pgDB) repeat(ctx context.Context, begin string, fn func(*Tx) error) error {
	lost := false
	for try := 1; ; try++ {
		again, err := p.once(ctx, begin, fn)
		switch {
		case err == nil || again == never || ctx.Err() != nil:
			return err
		case again == reconnected && lost:
			return err
		case try == attempts:
			return fmt.Errorf("sqldb: given up after %d attempts: %w", attempts, err)
		}
		lost = lost || again == reconnected
		if pause(ctx, try) != nil {
			return err
		}
		p.db.counts.retries.Add(1)
	}
}

// another says whether a failed transaction, of which nothing was stored, should be run again.
type another int

const (
	never       another = iota
	soon                // PostgreSQL asks for it
	reconnected         // once: its connection had died before it began
)

// pause waits before attempt try+1.
func pause(ctx context.Context, try int) error {
	most := min(firstPause<<(try-1), lastPause)
	t := time.NewTimer(rand.N(most)) //nolint:gosec // spreads load, guards nothing
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once runs fn in one transaction.
func (p *pgDB) once(ctx context.Context, begin string, fn func(*Tx) error) (another, error) {
	c, err := p.pool.Acquire(ctx)
	if err != nil {
		if err.Error() == "closed pool" { // puddle.ErrClosedPool; that module is not ours to import
			return never, ErrClosed
		}
		return never, &dbError{text: "sqldb: connect: " + err.Error(), err: err}
	}
	defer c.Release() // which closes it if it is still in a transaction
	run := &pgTx{conn: c, begin: begin}
	t := &Tx{db: p.db, engine: PostgreSQL, run: run}
	ended := false
	defer func() { // after a panic as well
		t.end()
		if !ended {
			run.rollback(ctx)
		}
	}()
	err = t.outcome(fn(t))
	switch {
	case err == nil:
		ended = true
		return run.commit(ctx)
	case run.dead:
		p.pool.Reset() // the others have probably died with it
		return reconnected, err
	case retryable(err) || retryable(t.err): // fn may have put its own words in place of the database's
		return soon, err
	}
	return never, err
}

// pgTx runs the statements of a closure. It uses pgx itself rather than database/sql on top of it, which makes a point
// query a fifth slower; the results scan alike. BEGIN travels together with the first statement, which saves one of
// the three round trips of a transaction with one statement.
type pgTx struct {
	conn  *pgxpool.Conn
	begin string
	begun bool // BEGIN has been sent
	over  bool // and so has COMMIT
	dead  bool // and the connection turned out to be closed

	gathers bool       // writes of batches are kept for later
	later   []Ask      // those that were
	ahead   []answered // queries that were sent before they are made
}

func (r *pgTx) exec(ctx context.Context, q string, args []any) (int64, error) {
	r.ahead = nil
	if r.begun && len(r.later) == 0 && !r.over {
		tag, err := r.conn.Exec(ctx, q, args...)
		return tag.RowsAffected(), err
	}
	batch, err := r.send(ctx, Ask{q, args})
	if err != nil {
		return 0, err
	}
	tag, err := batch.Exec()
	if closeErr := batch.Close(); err == nil {
		err = closeErr
	}
	return tag.RowsAffected(), err
}

func (r *pgTx) query(ctx context.Context, q string, args []any) (rows, error) {
	if known := r.foreseen(q, args); known != nil {
		return known, nil
	}
	if r.begun && len(r.later) == 0 && !r.over {
		return r.conn.Query(ctx, q, args...)
	}
	batch, err := r.send(ctx, Ask{q, args})
	if err != nil {
		return nil, err
	}
	res, err := batch.Query()
	if err != nil {
		_ = batch.Close()
		return nil, err
	}
	return &firstRows{Rows: res, batch: batch}, nil
}

var errViewOver = errors.New("query in a View that was ended by Ahead")

// send sends BEGIN, if that has not been sent, the writes that were kept for later, and statements. The caller reads
// the results of its statements and closes the batch. An error among the writes comes from here.
func (r *pgTx) send(ctx context.Context, statements ...Ask) (pgx.BatchResults, error) {
	if r.over {
		return nil, errViewOver
	}
	first, later := !r.begun, r.later
	r.begun, r.later = true, nil
	var b pgx.Batch
	if first {
		b.Queue(r.begin)
	}
	for _, a := range append(later[:len(later):len(later)], statements...) {
		b.Queue(a.Query, a.Args...)
	}
	batch := r.conn.SendBatch(ctx, &b)
	if first {
		if _, err := batch.Exec(); err != nil {
			_ = batch.Close()
			r.dead = r.conn.Conn().IsClosed() && ctx.Err() == nil
			return nil, err
		}
	}
	for _, a := range later {
		if _, err := batch.Exec(); err != nil {
			_ = batch.Close()
			return nil, statementError(a.Query, err)
		}
	}
	return batch, nil
}

// firstRows are the rows of a first statement; with them ends the batch.
type firstRows struct {
	pgx.Rows
	batch    pgx.BatchResults
	closed   bool
	closeErr error
}

func (r *firstRows) Close() {
	r.Rows.Close()
	if !r.closed {
		r.closed = true
		r.closeErr = r.batch.Close()
	}
}

func (r *firstRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.closeErr
}

// commit ends the transaction and says what has become of it.
func (r *pgTx) commit(ctx context.Context) (another, error) {
	if r.over || !r.begun && len(r.later) == 0 { // no statement
		return never, nil
	}
	if err := ctx.Err(); err != nil && len(r.later) > 0 { // a statement would not be begun any more
		r.rollback(ctx)
		return never, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	tag, err := r.end(ctx)
	switch {
	case err == nil && tag.String() == "COMMIT":
		return never, nil
	case err == nil: // it was aborted, or the closure has ended it: neither can be
		return never, fmt.Errorf("sqldb: COMMIT was answered with %s", tag)
	}
	// An ERROR undoes the transaction. A FATAL one ends the connection, and may come after the transaction was stored,
	// while the server waited for its replicas.
	pe := (*pgconn.PgError)(nil)
	if !errors.As(err, &pe) || pe.SeverityUnlocalized != "ERROR" {
		return never, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	if written := (*dbError)(nil); !errors.As(err, &written) { // it is COMMIT that failed, and no write before it
		err = &dbError{text: "sqldb: commit: " + safeText(err), err: err}
	}
	r.rollback(ctx) // after a write that failed; COMMIT itself has ended it
	if retryable(err) {
		return soon, err
	}
	return never, err
}

// end sends COMMIT, behind the writes that were kept for later: if one of these fails, PostgreSQL passes over the rest.
func (r *pgTx) end(ctx context.Context) (pgconn.CommandTag, error) {
	if len(r.later) == 0 {
		return r.conn.Exec(ctx, "COMMIT")
	}
	batch, err := r.send(ctx, Ask{Query: "COMMIT"})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := batch.Exec()
	if closeErr := batch.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

// rollback ends the transaction. If that fails, giving the connection back to the pool closes it, which is as good.
func (r *pgTx) rollback(ctx context.Context) {
	if r.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, _ = r.conn.Exec(ctx, "ROLLBACK")
}
