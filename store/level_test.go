package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// The laws by which programs of two versions work on one database while servers
// are replaced one by one, and by which the schema can be spread by merchant.

// versionTable is where migrations are noted in these tests.
const versionTable = "perennial_version"

// wholeTables are the tables of the installation as a whole. They are small, and
// stay together where the others are spread by merchant.
var wholeTables = map[string]bool{
	"merchant": true, "directory": true, "installation": true, "node": true, "compatible": true, "scrub": true, versionTable: true,
}

// levels are the numbers of the migrations, rising.
func levels(t *testing.T) []int64 {
	t.Helper()
	files, err := filepath.Glob("migration/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations:", err)
	}
	var list []int64
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

func migrateTo(t *testing.T, db *sqldb.DB, level int64) {
	t.Helper()
	if err := db.MigrateTo(t.Context(), os.DirFS("migration"), versionTable, level); err != nil {
		t.Fatal(err)
	}
}

// column is what another program may rely on of a column.
type column struct {
	table, name, kind string
	required          bool // NOT NULL
	filled            bool // has a default
}

// key is a primary key, unique index, index or foreign key.
type key struct {
	table, name, kind string // kind is primary, unique, index or foreign
	columns           string // with commas between
	to                string // of a foreign key: the table
}

// schema is what is in a database.
type schema struct {
	columns map[string]column // by table.name
	keys    []key
}

// read reads the schema.
func read(t *testing.T, db *sqldb.DB) schema {
	t.Helper()
	s := schema{columns: map[string]column{}}
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		columns, keys := liteColumns, liteKeys
		if db.Engine() == sqldb.PostgreSQL {
			columns, keys = pgColumns, pgKeys
		}
		list, err := columns(t.Context(), tx)
		if err != nil {
			return err
		}
		for _, c := range list {
			s.columns[c.table+"."+c.name] = c
		}
		s.keys, err = keys(t.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.columns) == 0 || len(s.keys) == 0 {
		t.Fatal("the schema was not read")
	}
	return s
}

func scanColumn(r sqldb.Row) (c column, err error) {
	err = r.Scan(&c.table, &c.name, &c.kind, &c.required, &c.filled)
	return c, err
}

func scanKey(r sqldb.Row) (k key, err error) {
	err = r.Scan(&k.table, &k.name, &k.kind, &k.columns, &k.to)
	return k, err
}

func pgColumns(ctx context.Context, tx *sqldb.Tx) ([]column, error) {
	return sqldb.Query(ctx, tx, scanColumn, `SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT),
		is_nullable = 'NO', column_default IS NOT NULL FROM information_schema.columns WHERE table_schema = current_schema()`)
}

func pgKeys(ctx context.Context, tx *sqldb.Tx) ([]key, error) {
	return sqldb.Query(ctx, tx, scanKey, `SELECT CAST(c.relname AS TEXT), CAST(i.relname AS TEXT),
			CASE WHEN x.indisprimary THEN 'primary' WHEN x.indisunique THEN 'unique' ELSE 'index' END,
			(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(CAST(x.indkey AS smallint[])) WITH ORDINALITY AS k(num, n)
				JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.num), ''
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
			JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = current_schema()
		UNION ALL
		SELECT CAST(c.relname AS TEXT), CAST(f.conname AS TEXT), 'foreign',
			(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY AS k(num, n)
				JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num), CAST(r.relname AS TEXT)
		FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid
			JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = current_schema() AND f.contype = 'f'`)
}

func liteColumns(ctx context.Context, tx *sqldb.Tx) ([]column, error) {
	return sqldb.Query(ctx, tx, scanColumn, `SELECT m.name, p.name, p.type, p."notnull" = 1 OR p.pk > 0, p.dflt_value IS NOT NULL
		FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
}

func liteKeys(ctx context.Context, tx *sqldb.Tx) ([]key, error) {
	return sqldb.Query(ctx, tx, scanKey, `SELECT m.name, 'primary key', 'primary',
			(SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_table_info(m.name) WHERE pk > 0 ORDER BY pk)), ''
		FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
		UNION ALL
		SELECT m.name, l.name, CASE WHEN l."unique" = 1 THEN 'unique' ELSE 'index' END,
			(SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)), ''
		FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND l.origin <> 'pk'
		UNION ALL
		SELECT m.name, 'foreign key', 'foreign', (SELECT group_concat("from", ',') FROM
			(SELECT "from" FROM pragma_foreign_key_list(m.name) g WHERE g.id = f.id ORDER BY g.seq)), f."table"
		FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.seq = 0`)
}

// TestLevelsExpand: no migration takes away, renames or tightens what the program
// of the level before relies on.
func TestLevelsExpand(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		var before schema
		for i, level := range levels(t) {
			migrateTo(t, db, level)
			after := read(t, db)
			if i > 0 {
				for _, fault := range tightened(before, after) {
					t.Errorf("level %d: %s", level, fault)
				}
			}
			before = after
		}
	})
}

// tightened lists what the program of an earlier schema would trip over.
func tightened(before, after schema) (faults []string) {
	tables := map[string]bool{}
	for name, was := range before.columns {
		tables[was.table] = true
		is, there := after.columns[name]
		switch {
		case !there:
			faults = append(faults, name+" is gone")
		case is.kind != was.kind:
			faults = append(faults, fmt.Sprintf("%s was %s and is %s", name, was.kind, is.kind))
		case is.required && !was.required:
			faults = append(faults, name+" must not be NULL any more")
		case was.filled && !is.filled:
			faults = append(faults, name+" has no default any more")
		}
	}
	for name, is := range after.columns {
		if _, there := before.columns[name]; !there && tables[is.table] && is.required && !is.filled {
			faults = append(faults, name+" is new, must not be NULL and has no default")
		}
	}
	for _, k := range after.keys {
		if k.kind != "index" && tables[k.table] && !slices.Contains(before.keys, k) {
			faults = append(faults, fmt.Sprintf("%s has a new %s key (%s)", k.table, k.kind, k.columns))
		}
	}
	slices.Sort(faults)
	return faults
}

// TestTightenedSees: the law above can fail.
func TestTightenedSees(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		make := func(statements ...string) schema {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				for _, q := range statements {
					if _, err := tx.Exec(t.Context(), q); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return read(t, db)
		}
		before := make(`CREATE TABLE a (id BIGINT PRIMARY KEY, b TEXT, c BIGINT NOT NULL DEFAULT 0)`)
		fine := make(`ALTER TABLE a ADD COLUMN d BIGINT`, `ALTER TABLE a ADD COLUMN e BIGINT NOT NULL DEFAULT 1`,
			`CREATE INDEX a_b ON a (b)`, `CREATE TABLE n (id BIGINT PRIMARY KEY, x BIGINT NOT NULL)`)
		if faults := tightened(before, fine); len(faults) != 0 {
			t.Errorf("what only adds is refused: %v", faults)
		}
		bad := make(`CREATE UNIQUE INDEX a_c ON a (c)`, `ALTER TABLE a DROP COLUMN d`, `ALTER TABLE n RENAME COLUMN x TO y`)
		want := []string{"a has a new unique key (c)", "a.d is gone", "n.x is gone", "n.y is new, must not be NULL and has no default"}
		if faults := tightened(fine, bad); !slices.Equal(faults, want) {
			t.Errorf("%q, want %q", faults, want)
		}
	})
}

// TestMerchantLeads: each primary key, unique key, index and foreign key of the
// tables that are spread leads with the merchant, and nothing that is not spread
// refers to what is. So each shard holds whole merchants, and each constraint is
// one shard's.
func TestMerchantLeads(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		all := levels(t)
		migrateTo(t, db, all[len(all)-1])
		s := read(t, db)
		primary := map[string]bool{}
		for _, k := range s.keys {
			first, _, _ := strings.Cut(k.columns, ",")
			if wholeTables[k.table] {
				if k.kind == "foreign" && !wholeTables[k.to] {
					t.Errorf("%s, which stays together, refers to %s, which is spread", k.table, k.to)
				}
				continue
			}
			if first != "merchant_id" {
				t.Errorf("%s %s of %s leads with %q", k.kind, k.name, k.table, first)
			}
			if k.kind == "foreign" && k.to != "merchant" && wholeTables[k.to] {
				t.Errorf("%s refers to %s", k.table, k.to)
			}
			primary[k.table] = primary[k.table] || k.kind == "primary"
		}
		for _, c := range s.columns {
			if !wholeTables[c.table] && !primary[c.table] {
				t.Errorf("%s has no primary key", c.table)
				primary[c.table] = true
			}
		}
		if n := len(slices.Collect(maps.Keys(primary))); n < 12 {
			t.Errorf("only %d tables were looked at", n)
		}
	})
}

// TestNewerSchema: a program runs on a schema that is newer than its own as long
// as that says so, and refuses one that has left it behind, or is older.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		s, err := store.Open(t.Context(), address, store.Options{Now: time.Now, MaxConns: 2, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		db, err := sqldb.Open(t.Context(), address, sqldb.Options{MaxConns: 2, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		all := levels(t)
		migrateTo(t, db, all[len(all)-2])
		if ready, err := s.Migrated(t.Context()); ready || err != nil {
			t.Errorf("on an older schema: %v, %v", ready, err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ready, err := s.Migrated(t.Context()); !ready || err != nil {
			t.Errorf("on its own schema: %v, %v", ready, err)
		}
		exec(t, db, `INSERT INTO `+versionTable+` (version_id, is_applied) VALUES (9999, TRUE)`)
		if ready, err := s.Migrated(t.Context()); !ready || err != nil {
			t.Errorf("on a newer schema: %v, %v", ready, err)
		}
		exec(t, db, `UPDATE compatible SET oldest = 9999`)
		if ready, err := s.Migrated(t.Context()); ready || !errors.Is(err, store.ErrTooNew) {
			t.Errorf("on a schema that has left it behind: %v, %v", ready, err)
		}
	})
}

func exec(t *testing.T, db *sqldb.DB, q string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(t.Context(), q); return err })
	if err != nil {
		t.Fatal(err)
	}
}
