package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// A group is the closures that share one transaction and one fsync. It takes no further member when it has this many,
// or when its members have together run this many statements (a row of a batch counts as one): 5 to 10 ms of
// work, which is what the callers at the front of the group wait for those behind.
const (
	groupMembers = 64
	groupCost    = 500
)

// writer is the only connection of this process that writes to an SQLite file. It lends the connection to one waiting
// closure after the other. A closure runs in the goroutine of its caller, so that its panic, its stack and a test's
// FailNow are where they belong; the writer's own goroutine begins, commits and undoes.
type writer struct {
	lite *liteDB
	sql  *sql.DB
	conn *liteConn // nil after it broke, until the next group

	queue   chan *turn    // unbuffered: who waits in it may still leave
	quit    chan struct{} // closed by stop
	once    sync.Once
	stopped chan struct{} // closed when the goroutine has ended
}

// turn is one call of Update. Its channels are used in this order.
type turn struct {
	ctx   context.Context //nolint:containedctx // lives for the call of Update that made the turn
	begin chan start      // unbuffered, so that either the closure runs or its caller has left
	done  chan error      // what the closure came to
	end   chan error      // what Update returns
	own   error           // the closure's failure, kept until the group has ended
}

// start tells a closure to begin, or why it cannot.
type start struct {
	tx  *Tx
	err error
}

// errAborted stands for a closure that ended in a panic or by runtime.Goexit.
var errAborted = errors.New("sqldb: closure did not return")

func startWriter(ctx context.Context, l *liteDB) (*writer, error) {
	db, err := openDSN(liteDSN(l.path, l.options, writing))
	if err != nil {
		return nil, err
	}
	conn, err := newLiteConn(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	w := &writer{
		lite: l, sql: db, conn: conn,
		queue: make(chan *turn), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.serve()
	return w, nil
}

// stop ends the goroutine after the group that is running, and closes the connection.
func (w *writer) stop() error {
	w.once.Do(func() { close(w.quit) })
	<-w.stopped
	err := w.drop()
	return errors.Join(err, w.sql.Close())
}

// drop closes the connection; the next group opens another one.
func (w *writer) drop() error {
	if w.conn == nil {
		return nil
	}
	err := w.conn.close()
	w.conn = nil
	return err
}

// update is DB.Update: it waits for its turn, runs fn, and waits for the commit.
func (w *writer) update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sqldb: %w", err)
	}
	u := &turn{ctx: ctx, begin: make(chan start), done: make(chan error, 1), end: make(chan error, 1)}
	select {
	case <-w.quit:
		return ErrClosed
	case w.queue <- u:
	case <-ctx.Done():
		return fmt.Errorf("sqldb: waiting to write: %w", ctx.Err())
	}
	select {
	case s := <-u.begin:
		if s.err != nil {
			return s.err
		}
		u.run(s.tx, fn)
		return <-u.end
	case <-ctx.Done():
		return fmt.Errorf("sqldb: waiting to write: %w", ctx.Err())
	}
}

// run runs fn and gives the connection back, also when fn panics.
func (u *turn) run(t *Tx, fn func(*Tx) error) {
	err := errAborted
	defer func() {
		t.end()
		u.done <- err
	}()
	err = t.outcome(fn(t))
}

// refuse tells u's caller, unless it has left, why its closure cannot run.
func (u *turn) refuse(err error) {
	select {
	case u.begin <- start{err: err}:
	case <-u.ctx.Done():
	}
}

// serve is the writer's goroutine.
func (w *writer) serve() {
	defer close(w.stopped)
	for {
		select {
		case <-w.quit:
			return
		case u := <-w.queue:
			w.group(u)
		}
	}
}

// next is the next closure that waits already, or nil.
func (w *writer) next() *turn {
	select {
	case u := <-w.queue:
		return u
	default:
		return nil
	}
}

// group runs first, and whoever waits meanwhile, in one transaction, and answers when that has ended. Even a closure
// that has failed is answered only then, since it may have failed on what an earlier one wrote.
func (w *writer) group(first *turn) {
	if err := w.beginGroup(); err != nil {
		w.refuse(first, err)
		return
	}
	members := make([]*turn, 0, groupMembers)
	kept, cost := 0, 0
	for u := first; u != nil; u = w.next() {
		t, err := w.lend(u)
		if t != nil {
			members = append(members, u)
			cost += t.cost
		}
		if err != nil { // the transaction is gone, and with it the work of all
			_ = w.drop()
			w.answerLost(members, u.own, err)
			return
		}
		if t != nil && u.own == nil {
			kept++
		}
		if len(members) == groupMembers || cost >= groupCost {
			break
		}
	}
	w.answer(members, w.endGroup(kept))
}

// beginGroup begins the transaction of a group. The write lock is taken at once: a transaction that reads first and
// writes later could find the database changed in between, and fail.
func (w *writer) beginGroup() error {
	if w.conn == nil {
		conn, err := newLiteConn(context.Background(), w.sql)
		if err != nil {
			return w.lite.openError(err)
		}
		w.conn = conn
	}
	err := w.exec("BEGIN IMMEDIATE")
	switch {
	case err == nil:
		return nil
	case liteCode(err)&0xff == liteBusy:
		return fmt.Errorf("%w: %s, for more than %d s: stop that process or try again", ErrBusy, w.lite.path, busyTimeout/1000)
	}
	_ = w.drop()
	return fmt.Errorf("sqldb: begin: %w", err)
}

// lend lets u run its closure behind a savepoint, and undoes its work if it fails. It returns u's transaction, or nil
// if u was not run because its context ended first; and an error if the group cannot go on.
func (w *writer) lend(u *turn) (*Tx, error) {
	if u.ctx.Err() != nil {
		return nil, nil
	}
	if err := w.exec("SAVEPOINT member"); err != nil {
		u.refuse(fmt.Errorf("sqldb: begin: %w", err))
		return nil, err
	}
	t := &Tx{db: w.lite.db, engine: SQLite, run: lentConn{w.conn}}
	select {
	case u.begin <- start{tx: t}:
		u.own = <-u.done
	case <-u.ctx.Done():
		return nil, w.exec("RELEASE member")
	}
	if u.own == nil {
		return t, w.exec("RELEASE member")
	}
	if err := w.exec("ROLLBACK TO member"); err != nil {
		return t, err
	}
	return t, w.exec("RELEASE member")
}

// endGroup commits the work of the closures that are kept.
func (w *writer) endGroup(kept int) error {
	if kept == 0 {
		if err := w.exec("ROLLBACK"); err != nil {
			_ = w.drop()
		}
		return nil
	}
	if err := w.exec("COMMIT"); err != nil {
		_ = w.drop() // which rolls back
		return fmt.Errorf("sqldb: commit: %w", err)
	}
	counts := &w.lite.db.counts
	counts.commits.Add(1)
	counts.updates.Add(int64(kept))
	return nil
}

// answer tells the members of a group how it ended: each its own failure, or all the failure of the group.
func (w *writer) answer(members []*turn, err error) {
	for _, u := range members {
		if err != nil {
			u.end <- err
		} else {
			u.end <- u.own
		}
	}
}

// answerLost tells the members of a group that SQLite has rolled back their transaction when the last of them failed, as
// it does when the disk is full. own is that failure. The others get its text alone, for it must not look like theirs.
func (w *writer) answerLost(members []*turn, own, err error) {
	lost := fmt.Errorf("sqldb: the transaction shared with other updates was lost: %w", err)
	if own != nil {
		lost = fmt.Errorf("sqldb: the transaction shared with other updates was lost when one of them failed: %v", own) //nolint:errorlint // on purpose
		last := len(members) - 1
		members[last].end <- own
		members = members[:last]
	}
	w.answer(members, lost)
}

// refuse tells first, and whoever else waits now, that no transaction can be begun. Each of them would wait as long as
// first has.
func (w *writer) refuse(first *turn, err error) {
	n := 0
	for u := first; u != nil && n < groupMembers; u = w.next() {
		u.refuse(err)
		n++
	}
}

func (w *writer) exec(q string) error {
	_, err := w.conn.exec(context.Background(), q, nil)
	return err
}

// lentConn runs statements of a closure on the writer's connection. A statement is not begun when its context has
// ended, but once begun it is not interrupted: SQLite answers the interruption of a write by rolling back the whole
// transaction, and that belongs to the other members of the group as well.
type lentConn struct{ conn *liteConn }

func (l lentConn) exec(ctx context.Context, q string, args []any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return l.conn.exec(context.Background(), q, args)
}

func (l lentConn) query(ctx context.Context, q string, args []any) (rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.conn.query(context.Background(), q, args)
}
