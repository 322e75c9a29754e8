package sqldb_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestErrorsHideThePassword opens addresses that are wrong in many ways.
func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://u:s3cret@127.0.0.1:1/db",
		"postgres://u:s3cret@127.0.0.1:1/db?sslmode=nosuch",
		"postgres://u:s3cret@127.0.0.1:port/db",
		"postgres://u:s3cret@@127.0.0.1:1/db",
		"postgres://u:x/s3cret@127.0.0.1:1/db",
		"postgres://u:x?s3cret@127.0.0.1:1/db",
		"postgres://u:x#s3cret@127.0.0.1:1/db",
		"postgres://u:p@s3cret@127.0.0.1:1/db",
		"postgres://u:12/s3cret@127.0.0.1:1/db",
		"postgres://u:12?s3cret@127.0.0.1:1/db",
		"postgres://u:12?a=s3cret@127.0.0.1:1/db",
		"postgres://u:12#s3cret@127.0.0.1:1/db",
		"postgres://u@127.0.0.1:1/db?password=a&s3cret",
		"postgres://u:s3cret",
		"postgres://u:s3cret/db",
		"postgres://u:%zzs3cret@127.0.0.1:1/db",
		"postgres://u:s3cret%40x@127.0.0.1:1/db?connect_timeout=x",
		"postgres://u:s3cret x@127.0.0.1:1/db?connect_timeout=x",
		"postgres://u@127.0.0.1:1/db?password=s3cret&sslmode=nosuch",
		"postgres://u@127.0.0.1:1/db?pass%77ord=s3cret&sslmode=nosuch",
		"postgres://u@127.0.0.1:1/db?password=s3cret%20x&pool_max_conns=0",
		"postgres://u:s3cret@127.0.0.1:1/db?pool_max_conns=many",
		"postgresql://u:s3cret@[::1/db",
		"postgres:u:s3cret@127.0.0.1/db",
		"postgre://u:s3cret@127.0.0.1/db",
		"mysql://u:s3cret@127.0.0.1/db",
		"s3cret://u",
		"u:s3cret@127.0.0.1/db",
		"s3cret",
		"",
	} {
		_, err := sqldb.Open(t.Context(), address, sqldb.Options{})
		if err == nil {
			t.Errorf("%s was opened", address)
		} else if strings.Contains(err.Error(), "s3cret") && !strings.HasPrefix(address, "s3cret:") {
			t.Errorf("%s: %v", address, err)
		} else if !strings.HasPrefix(err.Error(), "sqldb: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("This is not a database. ", 99)), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, says := range map[string]string{
		"sqlite:" + dir: "is a folder",
		"sqlite:" + filepath.Join(dir, "no", "x.db"): "mkdir -p",
		"sqlite:" + text:                        "not an SQLite database",
		"sqlite:" + filepath.Join(text, "x.db"): "",
		"sqlite::memory:":                       "must be a file",
		"sqlite:":                               "names no file",
		"sqlite://":                             "names no file",
	} {
		_, err := sqldb.Open(t.Context(), address, sqldb.Options{})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", address, err, says)
		}
	}
	if _, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, "x.db"), sqldb.Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "no database file") {
		t.Errorf("read-only: %v", err)
	}

	// Names that mean something in the driver's own form of address.
	for _, name := range []string{"plain.db", "a b.db", "100%.db", "q?mode=memory.db", "h#ash.db", "ä&b=c.db", "%41.db"} {
		path := filepath.Join(dir, name)
		for _, address := range []string{"sqlite:" + path, "sqlite://" + path} {
			db, err := sqldb.Open(t.Context(), address, sqldb.Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			do(t, db, "CREATE TABLE IF NOT EXISTS t (id BIGINT)")
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 8 {
		t.Errorf("%v, %v", files, err)
	}
}

// TestPragmas looks at what durability and integrity rest on.
func TestPragmas(t *testing.T) {
	t.Parallel()
	for label, tc := range map[string]struct {
		opt  sqldb.Options
		sync int64
	}{"durable": {sqldb.Options{}, 2}, "volatile": {sqldb.Options{Volatile: true}, 0}} {
		db, err := sqldb.Open(t.Context(), sqldbtest.Address(t, sqldb.SQLite), tc.opt)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
			mode, err := sqldb.One(t.Context(), tx, sqldb.Scalar[string], "PRAGMA journal_mode")
			if err != nil || mode != "wal" {
				t.Errorf("%s: journal_mode %s, %v", label, mode, err)
			}
			for pragma, want := range map[string]int64{"synchronous": tc.sync, "foreign_keys": 1, "busy_timeout": 10_000, "wal_autocheckpoint": 10_000} {
				got, err := sqldb.One(t.Context(), tx, sqldb.Scalar[int64], "PRAGMA "+pragma)
				if err != nil || got != want {
					t.Errorf("%s: %s = %d, %v; want %d", label, pragma, got, err, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
