package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

const table = "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"

func TestFailedUpdateLeavesNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table)
		ctx := t.Context()
		own := errors.New("own")
		insert := func(tx *sqldb.Tx) {
			if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, 1)"); err != nil {
				t.Error(err)
			}
		}
		if err := db.Update(ctx, func(tx *sqldb.Tx) error { insert(tx); return own }); !errors.Is(err, own) {
			t.Errorf("own error: %v", err)
		}

		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = db.Update(ctx, func(tx *sqldb.Tx) error { insert(tx); panic("boom") })
			t.Error("the panic has ended")
		}()

		done := make(chan struct{})
		go func() { // as t.FailNow does
			defer close(done)
			_ = db.Update(ctx, func(tx *sqldb.Tx) error { insert(tx); runtime.Goexit(); return nil })
		}()
		<-done

		func() {
			defer func() { _ = recover() }()
			_ = db.View(ctx, func(tx *sqldb.Tx) error { panic("boom") })
		}()

		if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows stored", n)
		}
		do(t, db, "INSERT INTO t VALUES (1, 1)")
	})
}

// TestFailedStatementSpoils: PostgreSQL aborts a transaction with its first error, so SQLite must not go on either.
func TestFailedStatementSpoils(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 1)")
		ctx := t.Context()
		spoil := map[string]func(tx *sqldb.Tx) error{
			"exec": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, 1)")
				return err
			},
			"row": func(tx *sqldb.Tx) error {
				var n int64
				return tx.QueryRow(ctx, "INSERT INTO t VALUES (1, 1) RETURNING n").Scan(&n)
			},
			"query": func(tx *sqldb.Tx) error {
				_, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "SELECT nosuch FROM t")
				return err
			},
			"batch": func(tx *sqldb.Tx) error {
				return tx.InsertMany(ctx, "t", []string{"id", "n"}, [][]any{{8, 8}, {1, 1}})
			},
			"argument": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO t VALUES ($1, $1)", struct{}{})
				return err
			},
		}
		for label, fn := range spoil {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, 2)"); err != nil {
					return err
				}
				first := fn(tx)
				if first == nil {
					t.Errorf("%s: no error", label)
				}
				if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (3, 3)"); err == nil || !errors.Is(first, err) && !strings.Contains(first.Error(), err.Error()) {
					t.Errorf("%s: the next statement: %v; want %v", label, err, first)
				}
				return nil // swallowed
			})
			if err == nil {
				t.Errorf("%s: the update was committed", label)
			}
		}
		if n := number(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table)
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			var n int64
			if err := tx.QueryRow(ctx, "SELECT n FROM t WHERE id = $1", 1).Scan(&n); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("QueryRow: %v", err)
			}
			if _, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], "SELECT n FROM t"); !errors.Is(err, sqldb.ErrNoRows) {
				t.Errorf("One: %v", err)
			}
			if all, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "SELECT n FROM t"); err != nil || all != nil {
				t.Errorf("Query: %v, %v", all, err)
			}
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, 1)") // none of these has spoilt tx
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestScanFunctionsErrorIsReturned(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
		ctx := t.Context()
		own := errors.New("own")
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			calls := 0
			_, err := sqldb.Query(ctx, tx, func(sqldb.Row) (int64, error) {
				calls++
				if calls == 2 {
					return 0, own
				}
				return 0, nil
			}, "SELECT id FROM t")
			if !errors.Is(err, own) || calls != 2 {
				t.Errorf("%d calls, %v", calls, err)
			}
			all, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "SELECT id FROM t ORDER BY id") // tx still works
			if d := cmp.Diff([]int64{1, 2, 3}, all); err != nil || d != "" {
				t.Error(err, d)
			}
			_, err = sqldb.Query(ctx, tx, func(sqldb.Row) (int64, error) {
				_, err := tx.Exec(ctx, "SELECT 1")
				return 0, err
			}, "SELECT id FROM t")
			if err == nil {
				t.Error("a statement was run inside another one")
			}
			return nil
		})
		if err == nil {
			t.Error("the spoilt transaction has ended well")
		}
	})
}

func TestUseAfterEnd(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table)
		ctx := t.Context()
		var kept *sqldb.Tx
		keep := func(tx *sqldb.Tx) error { kept = tx; return nil }
		for label, run := range map[string]func(context.Context, func(*sqldb.Tx) error) error{"Update": db.Update, "View": db.View} {
			if err := run(ctx, keep); err != nil {
				t.Fatal(err)
			}
			if _, err := kept.Exec(ctx, "INSERT INTO t VALUES (1, 1)"); err == nil {
				t.Errorf("%s: statement run after the end", label)
			}
		}
	})
}

func TestViewRefusesToWrite(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 1)")
		ctx := t.Context()
		for label, fn := range map[string]func(tx *sqldb.Tx) error{
			"insert": func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, 2)"); return err },
			"update": func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, "UPDATE t SET n = 2"); return err },
			"delete": func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, "DELETE FROM t"); return err },
			"returning": func(tx *sqldb.Tx) error {
				_, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "INSERT INTO t VALUES (2, 2) RETURNING n")
				return err
			},
			"batch": func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "t", []string{"id", "n"}, [][]any{{2, 2}}) },
			"table": func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, "CREATE TABLE u (id BIGINT)"); return err },
			"index": func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, "CREATE INDEX t_n ON t (n)"); return err },
		} {
			if err := db.View(ctx, fn); err == nil {
				t.Errorf("%s: not refused", label)
			}
		}
		if n := number(t, db, "SELECT sum(n) FROM t"); n != 1 {
			t.Errorf("sum %d", n)
		}
	})
}

// TestViewSeesOneState: a view neither waits for an update nor sees it, from its first statement to its last.
func TestViewSeesOneState(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 1)")
		ctx := t.Context()
		sum := func(tx *sqldb.Tx) int64 {
			var n int64
			if err := tx.QueryRow(ctx, "SELECT sum(n) FROM t").Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		err := db.View(ctx, func(view *sqldb.Tx) error {
			if n := sum(view); n != 1 {
				t.Errorf("before: %d", n)
			}
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE t SET n = 2")
				if err != nil {
					return err
				}
				// While the update is open, others read the state before it.
				return db.View(ctx, func(other *sqldb.Tx) error {
					if n := sum(other); n != 1 {
						t.Errorf("during: %d", n)
					}
					return nil
				})
			})
			if err != nil {
				return err
			}
			if n := sum(view); n != 1 {
				t.Errorf("after, in the view begun before: %d", n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := number(t, db, "SELECT sum(n) FROM t"); n != 2 {
			t.Errorf("after: %d", n)
		}
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		never := func(*sqldb.Tx) error { t.Error("closure was run"); return nil }
		if err := db.Update(over, never); !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v", err)
		}
		if err := db.View(over, never); !errors.Is(err, context.Canceled) {
			t.Errorf("View: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, 1)"); err != nil {
				return err
			}
			cancel()
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, 2)")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("statement: %v", err)
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Update cancelled half-way: %v", err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		err = db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (3, 3)")
			cancel() // too late
			return err
		})
		if err != nil {
			t.Errorf("Update cancelled after its last statement: %v", err)
		}
		if n := number(t, db, "SELECT sum(n) FROM t"); n != 3 {
			t.Errorf("sum %d", n)
		}
	})
}

// TestLongQueryIsCancelled: a query that would run for ages must end with its context in a View.
func TestLongQueryIsCancelled(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		go func() { <-started; cancel() }()
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			close(started)
			var n int64
			return tx.QueryRow(ctx, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000000000) SELECT count(*) FROM c").Scan(&n)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("View: %v", err)
		}
		if n := number(t, db, "SELECT 1"); n != 1 { // the connection, or another one, is fit for use
			t.Error(n)
		}
	})
}

func TestForUpdate(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)")
		ctx := t.Context()
		claim := func(tx *sqldb.Tx) ([]int64, error) {
			return sqldb.Query(ctx, tx, sqldb.Scalar[int64], "WITH due AS MATERIALIZED (SELECT id FROM t WHERE n = 0 ORDER BY id LIMIT 2"+tx.SkipLocked()+")"+
				" UPDATE t SET n = 1 FROM due WHERE due.id = t.id RETURNING t.id")
		}
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			first, err := claim(tx)
			if err != nil || len(first) != 2 {
				t.Errorf("first claim: %v, %v", first, err)
			}
			if tx.Engine() == sqldb.SQLite {
				return nil // there is no second transaction
			}
			return db.Update(ctx, func(tx *sqldb.Tx) error {
				second, err := claim(tx)
				if d := cmp.Diff([]int64{3}, second); err != nil || d != "" {
					t.Error(err, d)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}

		// Each reads a balance and then writes it: without the lock, updates would be lost.
		do(t, db, "UPDATE t SET n = 0")
		const workers, rounds = 8, 25
		errs := make(chan error, workers)
		for range workers {
			go func() {
				for range rounds {
					err := db.Update(ctx, func(tx *sqldb.Tx) error {
						n, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], "SELECT n FROM t WHERE id = 1"+tx.ForUpdate())
						if err != nil {
							return err
						}
						_, err = tx.Exec(ctx, "UPDATE t SET n = $1 WHERE id = 1", n+1)
						return err
					})
					if err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range workers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := number(t, db, "SELECT n FROM t WHERE id = 1"); n != workers*rounds {
			t.Errorf("counted to %d", n)
		}
	})
}

func TestStatementCacheIsBounded(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		for pass := range 2 {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				for i := range 3 * sqldb.MaxPrepared {
					n, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], fmt.Sprintf("SELECT CAST($1 AS BIGINT) + %d", i), 1)
					if err != nil || n != int64(i+1) {
						t.Errorf("pass %d, %d: %d, %v", pass, i, n, err)
						return err
					}
				}
				if tx.Engine() == sqldb.SQLite && sqldb.Prepared(tx) != sqldb.MaxPrepared {
					t.Errorf("%d statements are prepared", sqldb.Prepared(tx))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
