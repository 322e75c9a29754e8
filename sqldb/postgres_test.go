package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestDeadlockIsRetried has two updates lock two rows in opposite order.
func TestDeadlockIsRetried(t *testing.T) {
	t.Parallel()
	db := sqldbtest.Open(t, sqldb.PostgreSQL)
	do(t, db, table, "INSERT INTO t VALUES (1, 0), (2, 0)")
	ctx := t.Context()
	var met sync.WaitGroup // both have locked their first row
	met.Add(2)
	runs := make([]int, 2)
	var wg sync.WaitGroup
	for i, order := range [][2]int{{1, 2}, {2, 1}} {
		wg.Go(func() {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				runs[i]++
				if _, err := tx.Exec(ctx, "UPDATE t SET n = n + 1 WHERE id = $1", order[0]); err != nil {
					return err
				}
				if runs[i] == 1 {
					met.Done()
					met.Wait()
				}
				if _, err := tx.Exec(ctx, "UPDATE t SET n = n + 1 WHERE id = $1", order[1]); err != nil {
					return errors.New("own words in place of the database's")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if runs[0]+runs[1] != 3 {
		t.Errorf("closures were run %d and %d times; want one of them twice", runs[0], runs[1])
	}
	if n := number(t, db, "SELECT sum(n) FROM t"); n != 4 {
		t.Errorf("sum %d", n)
	}
	if n := db.Stats().Retries; n != 1 {
		t.Errorf("%d retries counted", n)
	}
}

// TestRetriesEnd: a transaction that never gets through is given up, and one that fails for another reason is not
// repeated.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	db := sqldbtest.Open(t, sqldb.PostgreSQL)
	for state, want := range map[string]int{"40001": sqldb.Attempts, "40P01": sqldb.Attempts, "0A000": sqldb.Attempts, "23514": 1, "P0001": 1} {
		runs := 0
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			runs++
			_, err := tx.Exec(t.Context(), "DO $$BEGIN RAISE 'no' USING ERRCODE = '"+state+"'; END$$")
			return err
		})
		if err == nil || runs != want {
			t.Errorf("%s: %d runs, %v; want %d", state, runs, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		runs++
		_, err := tx.Exec(ctx, "DO $$BEGIN RAISE 'no' USING ERRCODE = '40001'; END$$")
		cancel()
		return err
	})
	if err == nil || runs != 1 {
		t.Errorf("with its context ended: %d runs, %v", runs, err)
	}
}

// TestPlanOfOldSchema: PostgreSQL refuses a prepared statement whose result has changed type. (A server that runs
// while another process migrates.)
func TestPlanOfOldSchema(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		db, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		do(t, db, table, "INSERT INTO t VALUES (1, 1)")
		read := func(tx *sqldb.Tx) error {
			var n int64
			return tx.QueryRow(ctx, "SELECT n FROM t WHERE id = $1", 1).Scan(&n)
		}
		for _, run := range []func(context.Context, func(*sqldb.Tx) error) error{db.Update, db.View} {
			if err := run(ctx, read); err != nil {
				t.Fatal(err)
			}
			other, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 1})
			if err != nil {
				t.Fatal(err)
			}
			do(t, other, "ALTER TABLE t ADD COLUMN m INTEGER", "UPDATE t SET m = n", "ALTER TABLE t DROP COLUMN n", "ALTER TABLE t RENAME COLUMN m TO n")
			if err := run(ctx, read); err != nil {
				t.Error(err)
			}
			do(t, other, "ALTER TABLE t ADD COLUMN m BIGINT", "UPDATE t SET m = n", "ALTER TABLE t DROP COLUMN n", "ALTER TABLE t RENAME COLUMN m TO n")
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := db.Stats().Retries; db.Engine() == sqldb.PostgreSQL && n == 0 {
			t.Error("nothing was retried: the test does not test")
		}
	})
}

// TestServerRestart: connections that died while they were idle must not fail updates.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	address := sqldbtest.Address(t, sqldb.PostgreSQL)
	ctx := t.Context()
	db, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 6})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do(t, db, table)
	killer := sqldbtest.Open(t, sqldb.PostgreSQL)
	u, _ := url.Parse(address)
	schema := u.Query().Get("search_path")

	var inside, leave sync.WaitGroup // fills the pool
	inside.Add(5)
	leave.Add(1)
	var wg sync.WaitGroup
	pids := make(chan int64, 5)
	for range 5 {
		wg.Go(func() {
			err := db.View(ctx, func(tx *sqldb.Tx) error {
				pid, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], "SELECT pg_backend_pid() FROM (SELECT count(*) FROM "+schema+".t) AS x")
				pids <- pid
				inside.Done()
				leave.Wait()
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	inside.Wait()
	leave.Done()
	wg.Wait()
	for range 5 {
		if n := number(t, killer, "SELECT CAST(pg_terminate_backend(CAST($1 AS INTEGER), 5000) AS INTEGER)", <-pids); n != 1 {
			t.Fatal("the connection is not ended")
		}
	}
	for i := range 6 {
		do(t, db, fmt.Sprintf("INSERT INTO t VALUES (%d, 0)", i))
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 6 {
		t.Errorf("%d rows", n)
	}
}

// TestConnectionLost: lost before COMMIT nothing is stored, lost during COMMIT nobody knows.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	db := sqldbtest.Open(t, sqldb.PostgreSQL)
	ctx := t.Context()
	do(t, db, table, "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$",
		"CREATE TABLE u (id BIGINT)",
		"CREATE CONSTRAINT TRIGGER cut_at_commit AFTER INSERT ON u DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()")
	runs := 0
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		runs++
		if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, 1)"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if err == nil || errors.Is(err, sqldb.ErrOutcomeUnknown) || runs != 1 {
		t.Errorf("before COMMIT: %d runs, %v", runs, err)
	}
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO u VALUES (1)")
		return err
	})
	if !errors.Is(err, sqldb.ErrOutcomeUnknown) {
		t.Errorf("during COMMIT: %v", err)
	}
	if n := number(t, db, "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u)"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	address := sqldbtest.Address(t, sqldb.PostgreSQL)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path") + "_own"
	opt := sqldb.Options{Schema: schema, MaxConns: 2}
	var wg sync.WaitGroup
	for range 4 { // made by several at once
		wg.Go(func() {
			db, err := sqldb.Open(t.Context(), address, opt)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db, err := sqldb.Open(t.Context(), address, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do(t, db, table)
	if n := number(t, db, "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 't'", schema); n != 1 {
		t.Error("the table is in another schema")
	}
	do(t, db, "DROP SCHEMA "+schema+" CASCADE")
	if _, err := sqldb.Open(t.Context(), address, sqldb.Options{Schema: `a"; DROP TABLE x`}); err == nil {
		t.Error("bad schema name accepted")
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	address := sqldbtest.Address(t, sqldb.PostgreSQL)
	for label, tc := range map[string]struct {
		address string
		opt     sqldb.Options
		conns   int
	}{
		"option":  {address, sqldb.Options{MaxConns: 3}, 3},
		"address": {address + "&pool_max_conns=2", sqldb.Options{}, 2},
		"both":    {address + "&pool_max_conns=2", sqldb.Options{MaxConns: 3}, 3},
		"neither": {address, sqldb.Options{}, 8},
	} {
		db, err := sqldb.Open(t.Context(), tc.address, tc.opt)
		if err != nil {
			t.Fatal(err)
		}
		// Each of conns views needs all the others to be running: fewer connections would never get there.
		var all, wg sync.WaitGroup
		all.Add(tc.conns)
		for range tc.conns {
			wg.Go(func() {
				if err := db.View(t.Context(), func(*sqldb.Tx) error { all.Done(); all.Wait(); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Errorf("%s: %v", label, err)
		}
	}
}

func TestPostgresAddresses(t *testing.T) {
	t.Parallel()
	address := sqldbtest.Address(t, sqldb.PostgreSQL)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	for label, tc := range map[string]struct{ address, says string }{
		"wrong password": {with(func(v *url.URL) { v.User = url.UserPassword(u.User.Username(), "s3cret/@") }), "password"},
		"no database":    {with(func(v *url.URL) { v.Path = "/nosuch" }), "createdb"},
		"no server":      {with(func(v *url.URL) { v.Host = "127.0.0.1:1"; v.User = url.UserPassword("u", "s3cret") }), "check that PostgreSQL runs"},
		"no schema":      {with(func(v *url.URL) { v.RawQuery += "&options=-c%20nosuch%3D1" }), ""},
	} {
		_, err := sqldb.Open(t.Context(), tc.address, sqldb.Options{})
		if err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", label, err)
		}
		if password, _ := u.User.Password(); err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error shows the password", label)
		}
	}
	// The other ways to send statements, for poolers that do not know prepared ones.
	for _, mode := range []string{"exec", "simple_protocol", "describe_exec", "cache_describe"} {
		db, err := sqldb.Open(t.Context(), address+"&default_query_exec_mode="+mode, sqldb.Options{MaxConns: 2})
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		do(t, db, recordTable)
		err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.InsertMany(t.Context(), "record", recordColumns, [][]any{records[0].values(), records[1].values()}); err != nil {
				return err
			}
			n, err := tx.Exec(t.Context(), "DELETE FROM record WHERE id "+tx.In(1)+" AND name = $2", sqldb.List([]id{1, 2}), name("Ann"))
			if n != 1 {
				t.Errorf("%s: %d rows", mode, n)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		do(t, db, "DROP TABLE record")
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
