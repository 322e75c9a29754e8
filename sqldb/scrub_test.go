package sqldb_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestScrub: what was overwritten and deleted is in the files until they are written
// anew, also where pages were split, and what is left is whole.
func TestScrub(t *testing.T) {
	ctx := context.Background()
	address := sqldbtest.Address(t, sqldb.SQLite)
	db, err := sqldb.Open(ctx, address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(q string, args ...any) {
		t.Helper()
		if err := db.Update(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(ctx, q, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	found := func(word string) (n int) {
		t.Helper()
		file, _, _ := strings.Cut(strings.TrimPrefix(address, "sqlite:"), "?")
		for _, name := range []string{file, file + "-wal", file + "-shm"} {
			text, err := os.ReadFile(name)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			n += bytes.Count(text, []byte(word))
		}
		return n
	}
	do("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
	for i := range 500 {
		do("INSERT INTO person (id, name) VALUES ($1, $2)", int64(i*7919%500), "quackenbush "+strings.Repeat("x", i%300))
	}
	do("UPDATE person SET name = 'nobody' WHERE id % 2 = 0")
	do("DELETE FROM person WHERE id % 2 = 1")
	if found("quackenbush") == 0 {
		t.Fatal("nothing is left to be scrubbed")
	}
	if err := db.Scrub(ctx); err != nil {
		t.Fatal(err)
	}
	if n := found("quackenbush"); n != 0 {
		t.Errorf("it is there %d times", n)
	}
	do("INSERT INTO person (id, name) VALUES (1, 'somebody')")
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		n, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], "SELECT COUNT(*) FROM person")
		if n != 251 {
			t.Errorf("%d rows are left", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
