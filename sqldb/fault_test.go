package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestIsFailure tells what is about rows from what is about the database.
func TestIsFailure(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.Background()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'x'))")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		do := func(ctx context.Context, q string, args ...any) error {
			return db.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, q, args...)
				return err
			})
		}
		if err := do(ctx, "INSERT INTO t (id, name) VALUES (1, 'a')"); err != nil {
			t.Fatal(err)
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		own := errors.New("what was read makes no sense")
		for name, tt := range map[string]struct {
			err  error
			want bool
		}{
			"no error":             {nil, false},
			"check":                {do(ctx, "INSERT INTO t (id, name) VALUES (2, 'x')"), false},
			"unique":               {do(ctx, "INSERT INTO t (id, name) VALUES (1, 'b')"), false},
			"null":                 {do(ctx, "INSERT INTO t (id, name) VALUES (3, $1)", nil), false},
			"no such table":        {do(ctx, "INSERT INTO u (id) VALUES (1)"), true},
			"after the end":        {do(over, "INSERT INTO t (id, name) VALUES (4, 'a')"), true},
			"the closure's":        {db.Update(ctx, func(*sqldb.Tx) error { return own }), false},
			"the closure's, about": {fmt.Errorf("row 7: %w", own), false},
			"a column that does not fit": {db.View(ctx, func(tx *sqldb.Tx) error {
				var n int64
				return tx.QueryRow(ctx, "SELECT name FROM t").Scan(&n)
			}), false},
		} {
			if (tt.err == nil) != (name == "no error") {
				t.Errorf("%s: %v", name, tt.err)
			}
			if got := sqldb.IsFailure(tt.err); got != tt.want {
				t.Errorf("%s: %v: IsFailure is %v", name, tt.err, got)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := do(ctx, "INSERT INTO t (id, name) VALUES (5, 'a')"); !sqldb.IsFailure(err) {
			t.Errorf("closed: %v", err)
		}
	})
}
