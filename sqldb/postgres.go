package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
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
	connsAtLeast = 8
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

var (
	updating = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	viewing  = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
)

var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func openPG(ctx context.Context, d *DB, a address, opt Options) (*pgDB, error) {
	if opt.Schema != "" && !schemaForm.MatchString(opt.Schema) {
		return nil, fmt.Errorf("sqldb: schema %q: use small letters, digits and underscores, at most 63", opt.Schema)
	}
	config, err := pgxpool.ParseConfig(a.url)
	if err != nil { // not wrapped: it holds the address
		return nil, fmt.Errorf("sqldb: the PostgreSQL address cannot be read: %s: check it, "+
			"and write special characters of the password as %%40 for @, %%2F for /, %%3F for ?", a.redact(err.Error()))
	}
	if opt.MaxConns > 0 {
		config.MaxConns = int32(min(opt.MaxConns, 1<<20))
	} else if a.parsed == nil || !a.parsed.Query().Has("pool_max_conns") {
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
		return nil, errors.New("sqldb: PostgreSQL: " + a.redact(err.Error()))
	}
	p := &pgDB{db: d, pool: pool}
	if err := p.firstLook(ctx, opt); err != nil {
		pool.Close()
		return nil, pgOpenError(a, err)
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
	for range attempts { // IF NOT EXISTS is not safe against another process that does the same
		_, err = c.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+opt.Schema)
		if err == nil || sqlState(err) != pgUnique {
			break
		}
	}
	return err
}

// pgOpenError says what to do about the errors of the first contact with a server.
func pgOpenError(a address, err error) error {
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
			return &dbError{text: "sqldb: cannot open the PostgreSQL database: " + a.redact(err.Error()), err: err}
		}
	}
	return &dbError{text: "sqldb: cannot open the PostgreSQL database: " + a.redact(err.Error()) + ": " + advice, err: err}
}

func (p *pgDB) close() { p.pool.Close() }

func (p *pgDB) update(ctx context.Context, fn func(*Tx) error) error {
	if err := p.repeat(ctx, updating, fn); err != nil {
		return err
	}
	p.db.counts.updates.Add(1)
	p.db.counts.commits.Add(1)
	return nil
}

func (p *pgDB) view(ctx context.Context, fn func(*Tx) error) error {
	return p.repeat(ctx, viewing, fn)
}

// repeat runs fn in a transaction until PostgreSQL does not ask for another try.
func (p *pgDB) repeat(ctx context.Context, mode pgx.TxOptions, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		again, err := p.once(ctx, mode, fn)
		if err == nil || !again {
			return err
		}
		if try == attempts {
			return fmt.Errorf("sqldb: given up after %d attempts: %w", attempts, err)
		}
		if pause(ctx, try) != nil {
			return err
		}
		p.db.counts.retries.Add(1)
	}
}

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

// once runs fn in one transaction. again says that nothing was stored and another attempt may succeed.
func (p *pgDB) once(ctx context.Context, mode pgx.TxOptions, fn func(*Tx) error) (again bool, err error) {
	tx, err := p.pool.BeginTx(ctx, mode)
	if err != nil {
		return p.beginError(ctx, err)
	}
	t := &Tx{db: p.db, engine: PostgreSQL, run: pgRunner{tx}}
	ended := false
	defer func() { // after a panic as well
		t.end()
		if !ended {
			finish(ctx, tx.Rollback)
		}
	}()
	err = t.outcome(fn(t))
	if err != nil {
		// The closure may have put its own words in place of the database's error.
		return retryable(err) || retryable(t.err), err
	}
	ended = true
	return commitError(finish(ctx, tx.Commit))
}

// finish runs COMMIT or ROLLBACK under a deadline of its own.
func finish(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	return end(ctx)
}

// beginError judges the failure of BEGIN. A connection that was made earlier and has died since, as all do when the
// server restarts, is worth another attempt; one that cannot be made is not.
func (p *pgDB) beginError(ctx context.Context, err error) (again bool, _ error) {
	text := safeText(err)
	if err.Error() == "closed pool" {
		return false, ErrClosed
	}
	connecting := errors.As(err, new(*pgconn.ConnectError))
	return ctx.Err() == nil && !connecting, &dbError{text: "sqldb: begin: " + text, err: err}
}

// commitError judges the end of COMMIT. An ERROR undoes the transaction. A FATAL one ends the connection, and may come
// after the transaction was stored, while the server waited for its replicas.
func commitError(err error) (again bool, _ error) {
	if err == nil {
		return false, nil
	}
	pe := (*pgconn.PgError)(nil)
	if errors.As(err, &pe) && pe.SeverityUnlocalized == "ERROR" || errors.Is(err, pgx.ErrTxCommitRollback) {
		return retryable(err), &dbError{text: "sqldb: commit: " + safeText(err), err: err}
	}
	return false, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// pgRunner runs statements of a closure. It uses pgx itself rather than database/sql on top of it, which makes a
// point query a fifth slower; the results scan alike.
type pgRunner struct{ tx pgx.Tx }

func (r pgRunner) exec(ctx context.Context, q string, args []any) (int64, error) {
	tag, err := r.tx.Exec(ctx, q, args...)
	if err != nil {
		return 0, err
	}
	return tag.RowsAffected(), nil
}

func (r pgRunner) query(ctx context.Context, q string, args []any) (rows, error) {
	res, err := r.tx.Query(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	return res, nil
}
