package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// openFile opens an SQLite database that is as durable as a server's.
func openFile(t testing.TB) (*sqldb.DB, string) {
	t.Helper()
	address := sqldbtest.Address(t, sqldb.SQLite)
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, address
}

// TestStorm has many callers whose closures succeed, fail, violate a key, panic or are cancelled, on both engines:
// exactly the work of those that were told of success is there. On SQLite they shared commits.
func TestStorm(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		db, err := sqldb.Open(t.Context(), address, sqldb.Options{MaxConns: 16})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		do(t, db, table)
		before := db.Stats()
		const workers, rounds = 48, 25
		var mu sync.Mutex
		stored := map[int]bool{}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for r := range rounds {
					n := w*rounds + r
					if stormy(t, db, n) == nil {
						mu.Lock()
						stored[n] = true
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		after := db.Stats()

		if want := workers * rounds / 5; len(stored) != want {
			t.Errorf("%d closures succeeded, want %d", len(stored), want)
		}
		var got []int64
		err = db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			got, err = sqldb.Query(t.Context(), tx, sqldb.Scalar[int64], "SELECT id FROM t ORDER BY id")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2*len(stored) { // two rows each
			t.Errorf("%d rows, want %d", len(got), 2*len(stored))
		}
		for _, n := range got {
			if !stored[int(n/2)] {
				t.Errorf("row %d is there, and its closure failed", n)
			}
		}
		updates, commits := after.Updates-before.Updates, after.Commits-before.Commits
		t.Logf("%d updates in %d commits", updates, commits)
		if updates != int64(len(stored)) {
			t.Errorf("%d updates counted", updates)
		}
		if db.Engine() == sqldb.SQLite && commits*2 > updates {
			t.Errorf("%d updates took %d commits", updates, commits)
		}
	})
}

var errOwn = errors.New("own")

// stormy runs a closure that writes two rows and then succeeds or ends badly, by n.
func stormy(t *testing.T, db *sqldb.DB, n int) (err error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return db.Update(ctx, func(tx *sqldb.Tx) error {
		for i := range 2 {
			if _, err := tx.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", 2*n+i, n); err != nil {
				t.Error(err)
				return err
			}
		}
		switch n % 5 {
		case 1:
			return errOwn
		case 2:
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES ($1, 0)", 2*n)
			return err
		case 3:
			panic("boom")
		case 4:
			cancel()
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (-1, 0)")
			return err
		}
		return nil
	})
}

// TestFailedCommitFailsAll uses a deferred constraint, the only way to have COMMIT refused. (Which is why the package
// comment forbids them.)
func TestFailedCommitFailsAll(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE p (id BIGINT PRIMARY KEY)",
			"CREATE TABLE c (id BIGINT PRIMARY KEY, p BIGINT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
		insert := func(p int) error {
			return db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO c VALUES (1, $1)", p)
				return err
			})
		}
		if err := insert(5); err == nil || !strings.Contains(err.Error(), "commit") {
			t.Errorf("commit: %v", err)
		}
		if n := number(t, db, "SELECT count(*) FROM c"); n != 0 {
			t.Errorf("%d rows stored", n)
		}
		do(t, db, "INSERT INTO p VALUES (5)")
		if err := insert(5); err != nil {
			t.Error(err)
		}
	})
}

// TestLostTransaction: some failures make SQLite roll back everything. The writer must notice, and go on with others.
func TestLostTransaction(t *testing.T) {
	t.Parallel()
	db, _ := openFile(t)
	do(t, db, table, "INSERT INTO t VALUES (1, 1)")
	ctx := t.Context()
	for range 3 {
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, 2)"); err != nil {
				return err
			}
			_, _ = tx.Exec(ctx, "INSERT OR ROLLBACK INTO t VALUES (1, 1)")
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (3, 3)") // would be committed by itself
			return err
		})
		if !sqldb.IsUnique(err) {
			t.Errorf("%v; want the failure of the statement", err)
		}
		if n := number(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	}
	do(t, db, "INSERT INTO t VALUES (2, 2)")
}

// TestFullDisk: updates fail while the disk is full, and work again when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	db, _ := openFile(t)
	do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, body BLOB)")
	limit := func(pages int) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := sqldb.One(t.Context(), tx, sqldb.Scalar[int64], fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(100)
	const workers = 16
	stored := make(chan bool, workers*4)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := range 4 {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES ($1, $2)", w*4+r, make([]byte, 20_000))
					return err
				})
				if err != nil && !strings.Contains(err.Error(), "full") {
					t.Error(err)
				}
				stored <- err == nil
			}
		})
	}
	wg.Wait()
	close(stored)
	want := int64(0)
	for ok := range stored {
		if ok {
			want++
		}
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != want || n == 0 || n == workers*4 {
		t.Errorf("%d rows, and %d updates succeeded", n, want)
	}
	limit(1_000_000)
	do(t, db, "INSERT INTO t VALUES (-1, zeroblob(20000))")
	if s := number(t, db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); s != 0 {
		t.Error("the file is damaged")
	}
}

// TestLeavingTheQueue: who waits behind a long update may give up, and its closure is not run later.
func TestLeavingTheQueue(t *testing.T) {
	t.Parallel()
	db, _ := openFile(t)
	do(t, db, table)
	inside, release := make(chan struct{}), make(chan struct{})
	long := make(chan error, 1)
	go func() {
		long <- db.Update(t.Context(), func(tx *sqldb.Tx) error {
			close(inside)
			<-release
			_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (1, 1)")
			return err
		})
	}()
	<-inside
	const others = 8
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, others)
	for range others {
		go func() {
			left <- db.Update(ctx, func(*sqldb.Tx) error { t.Error("closure was run"); return nil })
		}()
	}
	cancel()
	for range others {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
	}
	close(release)
	if err := <-long; err != nil {
		t.Error(err)
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// TestLeavingWhileTheLockIsAwaited: so may who is first in the queue while another process has the lock.
func TestLeavingWhileTheLockIsAwaited(t *testing.T) {
	t.Parallel()
	db, address := openFile(t)
	do(t, db, table)
	other, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = other.Update(t.Context(), func(*sqldb.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			left <- db.Update(ctx, func(*sqldb.Tx) error { t.Error("closure was run"); return nil })
		}()
		for range 100 { // meanwhile it gets to where it waits
			number(t, db, "SELECT count(*) FROM t")
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, db, "INSERT INTO t VALUES (1, 1)")
}

// TestCloseWaits: Close lets the closures that run end, and updates be committed.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		db, err := sqldb.Open(ctx, address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, db, table)
		closing := make(chan struct{})
		inside := make(chan struct{}, 2)
		ended := make(chan error, 2)
		work := func(run func(context.Context, func(*sqldb.Tx) error) error, q string) {
			ended <- run(ctx, func(tx *sqldb.Tx) error {
				inside <- struct{}{}
				<-closing
				for range 100 {
					if _, err := tx.Exec(ctx, q); err != nil {
						return err
					}
				}
				return nil
			})
		}
		go work(db.Update, "INSERT INTO t SELECT count(*), 0 FROM t")
		go work(db.View, "SELECT n FROM t")
		<-inside
		<-inside
		closed := make(chan error, 1)
		go func() { close(closing); closed <- db.Close() }()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		db, err = sqldb.Open(ctx, address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if n := number(t, db, "SELECT count(*) FROM t"); n != 100 {
			t.Errorf("%d rows", n)
		}
	})
}

// TestStatementOfUpdateIsNotInterrupted: SQLite answers the interruption of a write by rolling back the transaction,
// which belongs to others as well.
func TestStatementOfUpdateIsNotInterrupted(t *testing.T) {
	t.Parallel()
	db, _ := openFile(t)
	do(t, db, table)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	go func() { <-started; cancel() }()
	const rows = 30_000 // long enough for cancel to fall into it
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		close(started)
		n, err := tx.Exec(ctx, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < $1) INSERT INTO t SELECT x, 0 FROM c", rows)
		if errors.Is(err, context.Canceled) {
			return err // cancelled before it began
		}
		if n != rows {
			t.Errorf("%d rows, %v", n, err)
		}
		return err
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	do(t, db, "INSERT INTO t VALUES (-1, 0)")
}

// TestKilledProcess kills a process that writes as fast as it can: what it was told was stored is there, and nothing
// is there by half.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		do(t, db, table)
		cmd := child(t, "storm", address)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := map[int64]bool{}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if n, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "stored "), 10, 64); err == nil {
				told[n] = true
			}
			if len(told) == 500 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		if len(told) < 500 {
			t.Fatalf("the process stored %d", len(told))
		}
		err = db.View(t.Context(), func(tx *sqldb.Tx) error {
			got, err := sqldb.Query(t.Context(), tx, sqldb.Scalar[int64], "SELECT id FROM t")
			there := map[int64]bool{}
			for _, n := range got {
				there[n] = true
			}
			for n := range told {
				if !there[n] || !there[-n] {
					t.Errorf("%d was stored and is not there", n)
				}
			}
			for n := range there {
				if !there[-n] {
					t.Errorf("%d is there by half", n)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func stormUntilKilled(t *testing.T, db *sqldb.DB) error {
	const workers = 16
	lines := make(chan int)
	for w := range workers {
		go func() {
			for n := w + 1; ; n += workers {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES ($1, 0)", n); err != nil {
						return err
					}
					_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES ($1, 0)", -n)
					return err
				})
				if err != nil {
					return
				}
				lines <- n
			}
		}()
	}
	for n := range lines {
		if _, err := fmt.Printf("stored %d\n", n); err != nil {
			return err
		}
	}
	return nil
}

// TestOtherProcessWrites: a second process, such as the command line beside a server, takes turns with this one.
func TestOtherProcessWrites(t *testing.T) {
	t.Parallel()
	db, address := openFile(t)
	do(t, db, table)
	cmd := child(t, "hold", address)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "holding" {
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 0 { // readers do not wait
		t.Errorf("%d rows", n)
	}
	insert := func() error {
		return db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (1, 1)")
			return err
		})
	}
	if !testing.Short() { // takes the ten seconds that it waits
		err := insert()
		if !errors.Is(err, sqldb.ErrBusy) || !strings.Contains(err.Error(), filepath.Base(strings.TrimPrefix(address, "sqlite:"))) {
			t.Errorf("while the other process holds the lock: %v", err)
		}
	}
	inserted := make(chan error, 1)
	go func() { inserted <- insert() }()
	if err := stdin.Close(); err != nil { // lets go
		t.Fatal(err)
	}
	if err := <-inserted; err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := number(t, db, "SELECT sum(id) FROM t"); n != 3 {
		t.Errorf("sum %d", n)
	}
}

// holdLock writes a row and keeps the transaction open until its standard input ends.
func holdLock(t *testing.T, db *sqldb.DB) error {
	return db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (2, 2)"); err != nil {
			return err
		}
		fmt.Println("holding")
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		}
		return nil
	})
}
