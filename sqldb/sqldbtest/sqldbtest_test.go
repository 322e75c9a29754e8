package sqldbtest_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestSchemaIsDropped: nothing of a test stays on the server.
func TestSchemaIsDropped(t *testing.T) {
	var schema string
	t.Run("a test", func(t *testing.T) {
		db := sqldbtest.Open(t, sqldb.PostgreSQL)
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.QueryRow(t.Context(), "SELECT CAST(current_schema() AS TEXT)").Scan(&schema); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), "CREATE TABLE t (id BIGINT)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if schema == "" {
		t.Skip("no PostgreSQL")
	}
	db := sqldbtest.Open(t, sqldb.PostgreSQL)
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		var n int64
		err := tx.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema).Scan(&n)
		if n != 0 {
			t.Errorf("schema %s is still there", schema)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAddressesAreApart: each test has a database of its own.
func TestAddressesAreApart(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		seen[sqldbtest.Address(t, sqldb.SQLite)] = true
	}
	if os.Getenv(sqldbtest.Env) == "" {
		t.Skip("no PostgreSQL")
	}
	for range 3 {
		address := sqldbtest.Address(t, sqldb.PostgreSQL)
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(u.Query().Get("search_path"), "test_") {
			t.Errorf("%v: no schema in the address", err)
		}
		seen[address] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d of 6 addresses are different", len(seen))
	}
}
