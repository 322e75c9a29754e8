package sqldb_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

const up = "-- +goose Up\n"

// files makes a file system of names and texts.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

var history = files(
	"0001_first.sql", up+`CREATE TABLE account (
		id {{int}} NOT NULL PRIMARY KEY,
		name {{text}} NOT NULL,
		live {{bool}} NOT NULL DEFAULT TRUE,
		sealed {{bytes}}
	) {{strict}};
	INSERT INTO account (id, name) VALUES (1, 'b'), (2, 'A'), (3, 'ä'), (4, 'z');
-- +goose Down
	DROP TABLE account;`,
	"0002_once.sql", up+`INSERT INTO account (id, name) SELECT max(id) + 1, 'once' FROM account;
-- +goose Down
	DELETE FROM account WHERE name = 'once';`,
	"0003_more.sql", up+`ALTER TABLE account ADD COLUMN note {{text}};
	CREATE UNIQUE INDEX account_note ON account (note);
-- +goose Down
	DROP INDEX account_note;
	ALTER TABLE account DROP COLUMN note;`,
	"README.md", "not a migration {{",
)

const versions = "schema_version"

func checkVersion(t testing.TB, db *sqldb.DB, want int64) {
	t.Helper()
	got, err := db.Version(t.Context(), versions)
	if err != nil || got != want {
		t.Errorf("version %d, %v; want %d", got, err, want)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		checkVersion(t, db, 0)
		for range 2 { // the second changes nothing
			if err := db.Migrate(ctx, history, versions); err != nil {
				t.Fatal(err)
			}
			checkVersion(t, db, 3)
			if n := number(t, db, "SELECT count(*) FROM account WHERE name = 'once' AND id = 5 AND live AND note IS NULL"); n != 1 {
				t.Errorf("%d rows of the second migration", n)
			}
		}

		// The words mean the same: text is sorted by bytes, types are checked.
		err := db.View(ctx, func(tx *sqldb.Tx) error {
			got, err := sqldb.Query(ctx, tx, sqldb.Scalar[string], "SELECT name FROM account ORDER BY name")
			if d := cmp.Diff([]string{"A", "b", "once", "z", "ä"}, got); d != "" {
				t.Error(d)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO account (id, name) VALUES ($1, 'x')", "6x")
			return err
		})
		if err == nil {
			t.Error("text was stored in a column of numbers")
		}

		for _, step := range []int64{1, 3, 2, 0, 0, 3} {
			if err := db.MigrateTo(ctx, history, versions, step); err != nil {
				t.Fatalf("to %d: %v", step, err)
			}
			checkVersion(t, db, step)
		}

		// A binary of yesterday starts on the schema of today.
		yesterday := files("0001_first.sql", string(history["0001_first.sql"].Data))
		if err := db.Migrate(ctx, yesterday, versions); err != nil {
			t.Error(err)
		}
		checkVersion(t, db, 3)
		if err := db.MigrateTo(ctx, history, versions, -1); err == nil {
			t.Error("migrated to version -1")
		}
	})
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		bad := files("1_good.sql", up+"CREATE TABLE good (id {{int}});",
			"2_bad.sql", up+"CREATE TABLE bad (id {{int}}); INSERT INTO bad VALUES (1); INSERT INTO nosuch VALUES (1);")
		if err := db.Migrate(t.Context(), bad, versions); err == nil {
			t.Fatal("no error")
		}
		checkVersion(t, db, 1)
		do(t, db, "CREATE TABLE bad (id BIGINT)", "DROP TABLE good")
	})
}

func TestRefusedMigrations(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		for label, fsys := range map[string]fstest.MapFS{
			"unknown word":   files("1_a.sql", up+"CREATE TABLE a (id {{float}});"),
			"no name":        files("1.sql", up+"CREATE TABLE a (id BIGINT);"),
			"no number":      files("a.sql", up+"CREATE TABLE a (id BIGINT);"),
			"same number":    files("1_a.sql", up+"CREATE TABLE a (id BIGINT);", "01_b.sql", up+"CREATE TABLE b (id BIGINT);"),
			"no transaction": files("1_a.sql", "-- +goose NO TRANSACTION\n"+up+"CREATE TABLE a (id BIGINT);"),
			"none":           files("README", ""),
		} {
			if err := db.Migrate(ctx, fsys, versions); err == nil {
				t.Errorf("%s: accepted", label)
			}
		}
		checkVersion(t, db, 0)
		for _, name := range []string{"", "Versions", "a.b", `a"b`, "a; DROP TABLE b"} {
			if err := db.Migrate(ctx, history, name); err == nil {
				t.Errorf("table %q: accepted", name)
			}
			if _, err := db.Version(ctx, name); err == nil {
				t.Errorf("version of table %q: accepted", name)
			}
		}
	})
}

func TestMigrateReadOnly(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		db, err := sqldb.Open(ctx, address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db, err = sqldb.Open(ctx, address, sqldb.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Migrate(ctx, history, versions); !errors.Is(err, sqldb.ErrReadOnly) {
			t.Errorf("Migrate: %v", err)
		}
		checkVersion(t, db, 0)
	})
}

// TestMigrateAtOnce has several starters in this process, each with its own connections.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		const starters = 6
		errs := make(chan error, starters)
		for range starters {
			go func() {
				db, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 4})
				if err != nil {
					errs <- err
					return
				}
				errs <- errors.Join(db.Migrate(ctx, history, versions), db.Close())
			}()
		}
		for range starters {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		checkMigratedOnce(t, address)
	})
}

// TestMigrateInProcesses has several processes start at once.
func TestMigrateInProcesses(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		const starters = 3
		errs := make(chan error, starters)
		for range starters {
			cmd := child(t, "migrate", address)
			go func() {
				out, err := cmd.CombinedOutput()
				if err != nil {
					err = errors.Join(err, errors.New(string(out)))
				}
				errs <- err
			}()
		}
		for range starters {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		checkMigratedOnce(t, address)
	})
}

// TestMigrateTheSameDataAtOnce has two starters that have both begun a migration which the database would let them
// both do: adding a row.
func TestMigrateTheSameDataAtOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		const starters = 2
		dbs := make([]*sqldb.DB, starters+1)
		for i := range dbs {
			db, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 4})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			dbs[i] = db
		}
		holder := dbs[starters]
		if err := holder.MigrateTo(ctx, history, versions, 1); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, starters)
		err := holder.Update(ctx, func(tx *sqldb.Tx) error {
			if tx.Engine() == sqldb.PostgreSQL { // SQLite has its write lock already
				if _, err := tx.Exec(ctx, "LOCK TABLE account IN SHARE MODE"); err != nil {
					return err
				}
			}
			for _, db := range dbs[:starters] {
				go func() { errs <- db.Migrate(ctx, history, versions) }()
			}
			for waiting := int64(0); waiting < starters && tx.Engine() == sqldb.PostgreSQL; {
				var err error
				waiting, err = sqldb.One(ctx, tx, sqldb.Scalar[int64], "SELECT count(*) FROM pg_locks WHERE relation = CAST('account' AS regclass) AND NOT granted")
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range starters {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		checkMigratedOnce(t, address)
	})
}

func checkMigratedOnce(t *testing.T, address string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkVersion(t, db, 3)
	if n := number(t, db, "SELECT count(*) FROM account"); n != 5 {
		t.Errorf("%d rows: a migration was applied twice or not at all", n)
	}
}

// The test binary runs itself as another process, with its task in these variables.
const (
	childTask    = "SQLDB_TEST_CHILD"
	childAddress = "SQLDB_TEST_ADDRESS"
)

func child(t testing.TB, task, address string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), childTask+"="+task, childAddress+"="+address)
	return cmd
}

// TestChild is the other process; by itself it does nothing.
func TestChild(t *testing.T) {
	task, address := os.Getenv(childTask), os.Getenv(childAddress)
	if task == "" {
		t.SkipNow()
	}
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{MaxConns: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	switch {
	case task == "migrate":
		err = db.Migrate(t.Context(), history, versions)
	case task == "storm":
		err = stormUntilKilled(t, db)
	case strings.HasPrefix(task, "hold"):
		err = holdLock(t, db)
	}
	if err != nil {
		t.Fatal(err)
	}
}
