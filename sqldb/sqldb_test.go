package sqldb_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// do runs statements in one Update.
func do(t testing.TB, db *sqldb.DB, statements ...string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, q := range statements {
			if db.Engine() == sqldb.SQLite {
				q = strings.NewReplacer("BYTEA", "BLOB").Replace(q)
			}
			if _, err := tx.Exec(t.Context(), q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// number runs a query for one number in a View.
func number(t testing.TB, db *sqldb.DB, q string, args ...any) int64 {
	t.Helper()
	var n int64
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), q, args...).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type (
	id    int64
	name  string
	flag  bool // as argument only
	seal  []byte
	small uint8
)

// String must not be taken for the value: pgx would.
func (i id) String() string { return "id" }

type record struct {
	ID    id
	Big   int64
	Small small
	Name  name
	Text  string
	Flag  bool
	Seal  seal
	Note  name
	Due   int64
	Bytes []byte
}

func scanRecord(r sqldb.Row) (record, error) {
	var x record
	err := r.Scan(&x.ID, &x.Big, &x.Small, &x.Name, &x.Text, &x.Flag, &x.Seal, sqldb.Null(&x.Note), sqldb.Null(&x.Due), &x.Bytes)
	return x, err
}

const recordTable = "CREATE TABLE record (id BIGINT PRIMARY KEY, big BIGINT NOT NULL, small BIGINT NOT NULL, name TEXT NOT NULL," +
	" body TEXT NOT NULL, flag BOOLEAN NOT NULL, seal BYTEA NOT NULL, note TEXT, due BIGINT, bytes BYTEA)"

var recordColumns = []string{"id", "big", "small", "name", "body", "flag", "seal", "note", "due", "bytes"}

var records = []record{
	{1, math.MaxInt64, 255, "Ann", "line\nline", true, seal{0, 1, 255}, "n", 7, []byte("x")},
	{2, math.MinInt64, 0, "", "", false, seal("'; DROP TABLE record; --"), "", 0, nil},
	{math.MaxInt64, 0, 9, "Ærøskøbing €", `"'\$1?<&>` + "\u2028", true, seal{0}, "", -1, []byte{0}},
}

func (x record) values() []any {
	return []any{x.ID, x.Big, x.Small, x.Name, x.Text, flag(x.Flag), x.Seal, sqldb.OrNull(x.Note), sqldb.OrNull(x.Due), x.Bytes}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, recordTable)
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			for _, x := range records {
				n, err := tx.Exec(ctx, "INSERT INTO record VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", x.values()...)
				if err != nil || n != 1 {
					t.Errorf("insert: %d rows, %v", n, err)
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			got, err := sqldb.Query(ctx, tx, scanRecord, "SELECT "+strings.Join(recordColumns, ", ")+" FROM record ORDER BY id")
			if err != nil {
				return err
			}
			if d := cmp.Diff(records, got); d != "" {
				t.Error(d)
			}
			one, err := sqldb.One(ctx, tx, scanRecord, "SELECT "+strings.Join(recordColumns, ", ")+" FROM record WHERE name = $1 AND flag = $2", name("Ann"), flag(true))
			if err != nil || one.ID != 1 {
				t.Errorf("by name: %v, %v", one, err)
			}
			nulls, err := sqldb.Query(ctx, tx, sqldb.Scalar[id], "SELECT id FROM record WHERE note IS NULL AND due IS NULL AND bytes IS NULL")
			if d := cmp.Diff([]id{2}, nulls); err != nil || d != "" {
				t.Error(err, d)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestOneText runs what the store is built of, in the same words on both engines.
func TestOneText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, q string
		args    []any
		want    []string
	}{
		{"parameters by number", "SELECT CAST($2 AS TEXT) || CAST($1 AS TEXT) || CAST($2 AS TEXT)", []any{"a", "b"}, []string{"bab"}},
		{"like minds the case", "SELECT name FROM t WHERE name LIKE $1 ORDER BY id", []any{"b%"}, []string{"bob"}},
		{"row values", "SELECT name FROM t WHERE (m, id) > ($1, $2) ORDER BY m, id LIMIT $3", []any{1, 2, 2}, []string{"Bea", "cy"}},
		{"window", "SELECT name FROM (SELECT name, row_number() OVER (PARTITION BY m ORDER BY id DESC) AS n FROM t) AS x WHERE n = 1 ORDER BY name", nil, []string{"bob", "cy"}},
		{"nulls last", "SELECT name FROM t ORDER BY at NULLS LAST, id", nil, []string{"Bea", "ann", "bob", "cy"}},
		{"bool column", "SELECT name FROM t WHERE live AND NOT m = 1", nil, []string{"Bea"}},
		{"quoted name is a column", `SELECT "name" FROM t WHERE "id" = $1 AND "m" = $1`, []any{1}, []string{"ann"}},
		{"null-safe", "SELECT name FROM t WHERE at IS NOT DISTINCT FROM $1 ORDER BY id", []any{int64(5)}, []string{"Bea"}},
		{"filter", "SELECT CAST(count(*) FILTER (WHERE live) AS TEXT) FROM t", nil, []string{"2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
				do(t, db, "CREATE TABLE t (m BIGINT, id BIGINT, name TEXT, at BIGINT, live BOOLEAN, PRIMARY KEY (m, id))",
					"INSERT INTO t VALUES (1, 1, 'ann', NULL, TRUE), (1, 2, 'bob', NULL, FALSE), (2, 1, 'Bea', 5, TRUE), (2, 2, 'cy', NULL, FALSE)")
				err := db.View(t.Context(), func(tx *sqldb.Tx) error {
					got, err := sqldb.Query(t.Context(), tx, sqldb.Scalar[string], tc.q, tc.args...)
					if d := cmp.Diff(tc.want, got); d != "" {
						t.Error(d)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestWritesOfOneText(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)", "CREATE TABLE u (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)",
			"INSERT INTO u VALUES (1, 100), (2, 200)")
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			upsert := "INSERT INTO t (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n WHERE t.n < $3"
			for i, want := range []int64{1, 1, 0} {
				n, err := tx.Exec(ctx, upsert, 1, 5, 10)
				if err != nil || n != want {
					t.Errorf("upsert %d: %d rows, %v; want %d", i, n, err, want)
				}
			}
			n, err := tx.Exec(ctx, "INSERT INTO t (id, n) VALUES (1, 0) ON CONFLICT DO NOTHING")
			if err != nil || n != 0 {
				t.Errorf("insert or nothing: %d rows, %v", n, err)
			}
			got, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "INSERT INTO t (id, n) VALUES (2, 1), (3, 2) RETURNING n * 10")
			if d := cmp.Diff([]int64{10, 20}, got); err != nil || d != "" {
				t.Error(err, d)
			}
			n, err = tx.Exec(ctx, "UPDATE t SET n = u.n FROM u WHERE u.id = t.id AND t.n >= $1", 0)
			if err != nil || n != 2 {
				t.Errorf("update from: %d rows, %v", n, err)
			}
			n, err = tx.Exec(ctx, "DELETE FROM t WHERE id > $1", 1)
			if err != nil || n != 2 {
				t.Errorf("delete: %d rows, %v", n, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := number(t, db, "SELECT sum(n) FROM t"); n != 100 {
			t.Errorf("sum %d", n)
		}
	})
}

func TestRefusedArguments(t *testing.T) {
	t.Parallel()
	const secret = "4111111111111111"
	pan := secret
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
		for label, args := range map[string][]any{
			"time":            {1, time.Unix(0, 0)},
			"fraction":        {1, 4111111111111111.5},
			"pointer":         {1, &pan},
			"struct":          {1, struct{ PAN string }{secret}},
			"beyond 63 bits":  {uint64(math.MaxUint64), secret},
			"invalid UTF-8":   {1, secret + "\xff"},
			"NUL":             {1, secret + "\x00"},
			"invalid in list": {1, sqldb.List([]string{secret + "\xff"})},
			"too few":         {1},
			"too many":        {1, secret, secret},
		} {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO t (id, body) VALUES ($1, $2)", args...)
				return err
			})
			if err == nil {
				t.Errorf("%s: accepted", label)
			} else if strings.Contains(err.Error(), "4111") {
				t.Errorf("%s: the error shows the value: %v", label, err)
			}
		}
		if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows stored", n)
		}
	})
}

func TestErrorsShowNoValues(t *testing.T) {
	t.Parallel()
	const secret = "4111111111111111"
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT UNIQUE CHECK (length(body) < 17))")
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (1, $1)", secret)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for label, fn := range map[string]func(tx *sqldb.Tx) error{
			"unique": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, $1)", secret)
				return err
			},
			"check": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO t VALUES (2, $1)", secret+secret)
				return err
			},
			"scan": func(tx *sqldb.Tx) error {
				var b bool
				return tx.QueryRow(ctx, "SELECT body FROM t WHERE id = 1").Scan(&b)
			},
			"argument of the wrong type": func(tx *sqldb.Tx) error {
				if tx.Engine() == sqldb.SQLite {
					return errors.New("SQLite compares anything with anything")
				}
				var b int64
				return tx.QueryRow(ctx, "SELECT id FROM t WHERE id = $1", secret+"x").Scan(&b)
			},
			"number for a text": func(tx *sqldb.Tx) error {
				if tx.Engine() == sqldb.SQLite {
					return errors.New("SQLite compares anything with anything")
				}
				var b int64
				return tx.QueryRow(ctx, "SELECT id FROM t WHERE body = $1", 4111111111111111).Scan(&b)
			},
			"number for a text, later": func(tx *sqldb.Tx) error {
				if tx.Engine() == sqldb.SQLite {
					return errors.New("SQLite compares anything with anything")
				}
				if _, err := tx.Exec(ctx, "DELETE FROM t WHERE id = 2"); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "DELETE FROM t WHERE body = $1", 4111111111111111)
				return err
			},
			"cast": func(tx *sqldb.Tx) error {
				if tx.Engine() == sqldb.SQLite {
					return errors.New("SQLite casts anything to anything")
				}
				var b int64
				return tx.QueryRow(ctx, "SELECT CAST(CAST($1 AS TEXT) AS BIGINT)", secret+"x").Scan(&b)
			},
			"range": func(tx *sqldb.Tx) error {
				if tx.Engine() == sqldb.SQLite {
					return errors.New("SQLite casts anything to anything")
				}
				var b int64
				return tx.QueryRow(ctx, "SELECT CAST(CAST($1 AS TEXT) AS BIGINT)", secret+secret).Scan(&b)
			},
		} {
			err := db.Update(ctx, fn)
			if err == nil {
				t.Errorf("%s: no error", label)
			} else if strings.Contains(err.Error(), "4111") {
				t.Errorf("%s: the error shows the value: %v", label, err)
			}
		}
	})
}

func TestIn(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
		bodies := []string{"plain", `q"uote`, `back\slash`, "it's", "<&>", "", "€\u2028\x01", "[1]"}
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			for i, b := range bodies {
				if _, err := tx.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", math.MaxInt64-int64(i), b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			for label, tc := range map[string]struct {
				q    string
				list any
				want int64
			}{
				"ints":        {"id " + tx.In(2), sqldb.List([]int64{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - 1, 5}), 2},
				"named ints":  {"id " + tx.In(2), sqldb.List([]id{math.MaxInt64 - 2}), 1},
				"texts":       {"body " + tx.In(2), sqldb.List(bodies), int64(len(bodies))},
				"named texts": {"body " + tx.In(2), sqldb.List([]name{"plain", "PLAIN", `q"uote`}), 2},
				"no ints":     {"id " + tx.In(2), sqldb.List([]int64{}), 0},
				"nil texts":   {"body " + tx.In(2), sqldb.List[string](nil), 0},
				"not in":      {"NOT (body " + tx.In(2) + ")", sqldb.List([]string{"plain"}), int64(len(bodies)) - 1},
				"not in none": {"NOT (id " + tx.In(2) + ")", sqldb.List([]int64{}), int64(len(bodies))},
			} {
				var n int64
				if err := tx.QueryRow(ctx, "SELECT count(*) FROM t WHERE id > $1 AND "+tc.q, 5, tc.list).Scan(&n); err != nil || n != tc.want {
					t.Errorf("%s: %d, %v; want %d", label, n, err, tc.want)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnique(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, `CREATE TABLE thing (m BIGINT, id BIGINT, "order" BIGINT, mail TEXT, code TEXT, parent BIGINT, PRIMARY KEY (m, id))`,
			`CREATE UNIQUE INDEX thing_order ON thing (m, "order")`,
			"CREATE UNIQUE INDEX thing_code ON thing (code) WHERE code <> ''",
			"CREATE UNIQUE INDEX thing_mail ON thing (lower(mail))",
			"CREATE TABLE child (m BIGINT, id BIGINT, FOREIGN KEY (m, id) REFERENCES thing (m, id))",
			"CREATE TABLE one (id BIGINT PRIMARY KEY)", "INSERT INTO one VALUES (1)",
			"INSERT INTO thing VALUES (1, 1, 1, 'Ann@x', 'c', NULL)")
		for _, tc := range []struct{ q, key string }{
			{"INSERT INTO thing VALUES (1, 1, 2, 'b', '', NULL)", "thing(m,id)"},
			{"INSERT INTO thing VALUES (1, 2, 1, 'b', '', NULL)", "thing(m,order)"},
			{"INSERT INTO thing VALUES (1, 2, 2, 'ann@X', '', NULL)", "thing_mail"},
			{"INSERT INTO thing VALUES (2, 2, 2, 'b)=(c', 'c', NULL)", "thing(code)"},
			{"INSERT INTO one VALUES (1)", "one(id)"},
			{"INSERT INTO child VALUES (9, 9)", ""},
			{"INSERT INTO nosuch VALUES (1)", ""},
		} {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), tc.q)
				return err
			})
			if err == nil || sqldb.IsUnique(err) != (tc.key != "") || sqldb.UniqueKey(err) != tc.key {
				t.Errorf("%s: %v: IsUnique %t, UniqueKey %q; want %q", tc.q, err, sqldb.IsUnique(err), sqldb.UniqueKey(err), tc.key)
			}
		}
		if sqldb.IsUnique(nil) || sqldb.UniqueKey(nil) != "" || sqldb.IsUnique(errors.New("UNIQUE constraint failed: a.b")) {
			t.Error("a plain error passes for a unique violation")
		}
	})
}

func TestOpenAndCloseAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := t.Context()
		db, err := sqldb.Open(ctx, address, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY)", "INSERT INTO t VALUES (7)")
		if err := db.Ping(ctx); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		nothing := func(*sqldb.Tx) error { t.Error("closure was run after Close"); return nil }
		if err := db.Update(ctx, nothing); !errors.Is(err, sqldb.ErrClosed) {
			t.Errorf("Update after Close: %v", err)
		}
		if err := db.View(ctx, nothing); !errors.Is(err, sqldb.ErrClosed) {
			t.Errorf("View after Close: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}

		db, err = sqldb.Open(ctx, address, sqldb.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if n := number(t, db, "SELECT id FROM t"); n != 7 {
			t.Errorf("read %d", n)
		}
		if err := db.Update(ctx, nothing); !errors.Is(err, sqldb.ErrReadOnly) {
			t.Errorf("Update of a read-only database: %v", err)
		}
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM t")
			return err
		})
		if err == nil {
			t.Error("View of a read-only database has written")
		}
	})
}

func TestEngineNames(t *testing.T) {
	t.Parallel()
	for e, want := range map[sqldb.Engine]string{sqldb.SQLite: "sqlite", sqldb.PostgreSQL: "postgres", 0: "Engine(0)"} {
		if e.String() != want {
			t.Errorf("%d: %s", int(e), e)
		}
	}
}
