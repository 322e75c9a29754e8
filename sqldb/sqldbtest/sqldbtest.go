// Package sqldbtest gives tests empty databases, one on each engine.
//
// The SQLite database is a file in the test's temporary folder. The PostgreSQL one is a schema of its own, dropped when
// the test ends, in the database that the environment variable PERENNIAL_TEST_POSTGRES names; scripts/with-postgres
// starts one and sets the variable. Without it, tests on PostgreSQL are skipped; the value "require" makes them fail
// instead, for a build server that shall not pass by skipping.
package sqldbtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
)

// Env is the environment variable with the address of a PostgreSQL database for tests.
const Env = "PERENNIAL_TEST_POSTGRES"

// Engines are the engines that Run and RunAddress visit.
var Engines = [...]sqldb.Engine{sqldb.SQLite, sqldb.PostgreSQL}

// Run runs body in two parallel subtests, "sqlite" and "postgres", each with an empty database that is closed and
// removed afterwards. As parallel subtests do, they begin when the function that called Run has returned.
func Run(t *testing.T, body func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	for _, e := range Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			body(t, Open(t, e))
		})
	}
}

// RunAddress is [Run] for tests that open the database themselves, several times or in another process: body gets the
// address for sqldb.Open.
func RunAddress(t *testing.T, body func(t *testing.T, address string)) {
	t.Helper()
	for _, e := range Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			body(t, Address(t, e))
		})
	}
}

// Open opens an empty database, which is closed and removed when t ends. The SQLite one is Volatile, since no test
// pulls the plug.
func Open(t testing.TB, e sqldb.Engine) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), Address(t, e), sqldb.Options{Volatile: true, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

// Address returns the address of an empty database, which is removed when t ends. It skips t if there is no
// PostgreSQL to be had. The address contains all that is needed: the schema is in its parameters.
func Address(t testing.TB, e sqldb.Engine) string {
	t.Helper()
	if e == sqldb.SQLite {
		return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
	server := os.Getenv(Env)
	switch server {
	case "":
		t.Skip("no PostgreSQL for tests: run `make test`, or `scripts/with-postgres go test ./...`")
	case "require":
		t.Fatal(Env + "=require, but no PostgreSQL is there: run under scripts/with-postgres")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not an address", Env) // the error would show the password
	}
	schema := fmt.Sprintf("test_%016x", rand.Uint64())
	inSchema(t, server, schema, "SELECT 1")
	t.Cleanup(func() {
		// Should a connection still be in a transaction here, dropping its tables would wait for it for ever.
		inSchema(t, server, schema, "SET LOCAL lock_timeout = '10s'", "DROP SCHEMA "+schema+" CASCADE")
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// inSchema runs statements in a schema, which sqldb makes if it is missing.
func inSchema(t testing.TB, server, schema string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, server, sqldb.Options{Schema: schema, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, q := range statements {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("schema for the test: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
