package sqldb

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// liteDB is an SQLite file: one connection that writes and a few that read.
type liteDB struct {
	db      *DB
	path    string
	options Options
	sql     *sql.DB // the readers' connections; each is taken out of it for good
	writer  *writer // nil if read-only

	slots chan struct{} // one for each reader that may exist

	mu     sync.Mutex
	idle   []*liteConn // the one used last is last, for its statements are still prepared
	closed bool
}

// busyTimeout is how long SQLite waits for a lock that another process holds, in milliseconds.
const busyTimeout = 10_000

// readers is the number of connections that read, per core and at least.
const (
	readersPerCore = 2
	readersAtLeast = 4
)

func openLite(ctx context.Context, d *DB, path string, opt Options) (*liteDB, error) {
	if err := checkFile(path, opt); err != nil {
		return nil, err
	}
	readers := max(readersPerCore*runtime.GOMAXPROCS(0), readersAtLeast)
	l := &liteDB{db: d, path: path, options: opt, slots: make(chan struct{}, readers)}
	if err := l.connect(ctx); err != nil {
		_ = l.close()
		return nil, l.openError(err)
	}
	return l, nil
}

// connect starts the writer first, for it is the one that may have to turn on write-ahead logging.
func (l *liteDB) connect(ctx context.Context) (err error) {
	if !l.options.ReadOnly {
		if l.writer, err = startWriter(ctx, l); err != nil {
			return err
		}
	}
	if l.sql, err = openDSN(liteDSN(l.path, l.options, reading)); err != nil {
		return err
	}
	return l.firstLook(ctx)
}

// openDSN makes a source of connections that keeps none: liteDB and writer keep their own, and a connection that they
// close may be in the middle of a transaction.
func openDSN(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(0)
	return db, nil
}

// firstLook reads the file, which SQLite does not do before the first statement.
func (l *liteDB) firstLook(ctx context.Context) error {
	c, err := l.reader(ctx)
	if err != nil {
		return err
	}
	defer l.putBack(c)
	r, err := c.query(ctx, "SELECT count(*) FROM sqlite_master", nil)
	if err != nil {
		return err
	}
	for r.Next() {
	}
	r.Close()
	return r.Err()
}

// checkFile finds the reasons for which a file cannot be opened, since SQLite's own words for them say little, and
// makes a missing one readable for its owner alone.
func checkFile(path string, opt Options) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("sqldb: %s is a folder: name a file in it, as in sqlite:%s", path, filepath.Join(path, "perennial.db"))
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqldb: cannot reach the database file: %w", err)
	case opt.ReadOnly:
		return fmt.Errorf("sqldb: there is no database file %s to read: check the path", path)
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("sqldb: the folder %s of the database file does not exist: make it with mkdir -p %s", dir, dir)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("sqldb: cannot make the database file: %w: let this user write to the folder, or name another file", err)
	}
	return f.Close()
}

// The kinds of connection to a file.
const (
	reading = iota
	writing
)

// liteDSN is the driver's name for a connection to a file.
func liteDSN(path string, opt Options, kind int) string {
	v := url.Values{}
	v.Set("_dqs", "0") // "x" is a column, as on PostgreSQL, never a string
	v.Set("_busy_timeout", fmt.Sprint(busyTimeout))
	v.Add("_pragma", "case_sensitive_like(1)") // as on PostgreSQL
	if kind == reading {
		// The read-only transactions of database/sql do not keep SQLite from writing; this does.
		v.Set("_query_only", "1")
		v.Set("mode", "rw")
		if opt.ReadOnly {
			v.Set("mode", "ro")
		}
		return liteURI(path, v)
	}
	v.Set("mode", "rwc")
	v.Set("_txlock", "immediate") // for goose; the writer begins its own
	v.Set("_journal_mode", "WAL")
	v.Set("_foreign_keys", "1")
	v.Set("_synchronous", "FULL")
	if opt.Volatile {
		v.Set("_synchronous", "OFF")
	}
	v.Add("_pragma", "wal_autocheckpoint(10000)") // pages; the default of 1000 costs batches a third of their speed
	return liteURI(path, v)
}

func liteURI(path string, v url.Values) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + v.Encode()
}

// openError says what to do about the errors of the first contact with a file.
func (l *liteDB) openError(err error) error {
	switch code := liteCode(err); {
	case code == liteNotADB:
		return fmt.Errorf("sqldb: %s is not an SQLite database: check the path", l.path)
	case code&0xff == liteBusy:
		return fmt.Errorf("%w: %s: stop that process or wait, then try again", ErrBusy, l.path)
	}
	return fmt.Errorf("sqldb: cannot open %s: %w", l.path, err)
}

// close waits for updates and views, in this order: an update may contain a view.
func (l *liteDB) close() error {
	var errs []error
	if l.writer != nil {
		errs = append(errs, l.writer.stop())
	}
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again || l.sql == nil {
		return errors.Join(errs...)
	}
	for range cap(l.slots) {
		l.slots <- struct{}{}
	}
	for _, c := range l.idle {
		errs = append(errs, c.close())
	}
	for range cap(l.slots) { // who comes now gets ErrClosed
		<-l.slots
	}
	return errors.Join(append(errs, l.sql.Close())...)
}

func (l *liteDB) view(ctx context.Context, fn func(*Tx) error) error {
	c, err := l.reader(ctx)
	if err != nil {
		return err
	}
	t := &Tx{db: l.db, engine: SQLite, run: c}
	defer func() { // after a panic as well
		t.end()
		if _, err := c.exec(context.Background(), "ROLLBACK", nil); err != nil {
			c.broken = true
		}
		l.putBack(c)
	}()
	if _, err := c.exec(context.Background(), "BEGIN DEFERRED", nil); err != nil {
		c.broken = true
		return fmt.Errorf("sqldb: begin reading: %w", err)
	}
	return t.outcome(fn(t))
}

// reader takes a reading connection out of the pool, or makes one.
func (l *liteDB) reader(ctx context.Context) (*liteConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("sqldb: waiting for a reading connection: %w", ctx.Err())
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.slots
		return nil, ErrClosed
	}
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, nil
	}
	l.mu.Unlock()
	c, err := newLiteConn(ctx, l.sql)
	if err != nil {
		<-l.slots
		return nil, fmt.Errorf("sqldb: open a reading connection: %w", err)
	}
	return c, nil
}

func (l *liteDB) putBack(c *liteConn) {
	if c.broken {
		_ = c.close()
	} else {
		l.mu.Lock()
		l.idle = append(l.idle, c)
		l.mu.Unlock()
	}
	<-l.slots
}

// liteConn is one connection with the statements prepared on it: preparing anew each time makes a point query 2.8
// times as slow.
type liteConn struct {
	conn   *sql.Conn
	broken bool // not to be used again

	prepared map[string]*list.Element // by text; of *liteStmt
	recent   *list.List               // the one used last is first
}

// maxPrepared bounds the statements prepared on one connection; the one not used for longest goes first.
const maxPrepared = 256

type liteStmt struct {
	q      string
	stmt   *sql.Stmt
	params int
}

func newLiteConn(ctx context.Context, db *sql.DB) (*liteConn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &liteConn{conn: conn, prepared: map[string]*list.Element{}, recent: list.New()}, nil
}

func (c *liteConn) close() error {
	var errs []error
	for e := c.recent.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(*liteStmt).stmt.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

// prepare returns the prepared form of q. No result is open meanwhile (see Tx.busy), so any statement may be dropped.
func (c *liteConn) prepare(q string) (*liteStmt, error) {
	if e, ok := c.prepared[q]; ok {
		c.recent.MoveToFront(e)
		return e.Value.(*liteStmt), nil
	}
	text, params, err := rewrite(q)
	if err != nil {
		return nil, err
	}
	stmt, err := c.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	s := &liteStmt{q: q, stmt: stmt, params: params}
	c.prepared[q] = c.recent.PushFront(s)
	if c.recent.Len() > maxPrepared {
		last := c.recent.Remove(c.recent.Back()).(*liteStmt)
		delete(c.prepared, last.q)
		if err := last.stmt.Close(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ready is prepare with a check that the driver leaves out: it ignores surplus arguments.
func (c *liteConn) ready(ctx context.Context, q string, args []any) (*liteStmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := c.prepare(q)
	if err != nil {
		return nil, err
	}
	if s.params != len(args) {
		return nil, fmt.Errorf("expected %d arguments, got %d", s.params, len(args))
	}
	return s, nil
}

func (c *liteConn) exec(ctx context.Context, q string, args []any) (int64, error) {
	s, err := c.ready(ctx, q, args)
	if err != nil {
		return 0, err
	}
	res, err := s.stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *liteConn) query(ctx context.Context, q string, args []any) (rows, error) {
	s, err := c.ready(ctx, q, args)
	if err != nil {
		return nil, err
	}
	r, err := s.stmt.QueryContext(ctx, args...) //nolint:rowserrcheck // the caller's
	if err != nil {
		return nil, err
	}
	return liteRows{r}, nil
}

// liteRows are sql.Rows whose Close says nothing: what it could say, Err says.
type liteRows struct{ *sql.Rows }

func (r liteRows) Close() { _ = r.Rows.Close() }
