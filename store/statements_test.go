package store_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// record has TestOldStatements write the list of the newest level.
var record = flag.Bool("record-statements", false, "write testdata/statements-NNNN.txt of the newest migration")

// recorder collects the statements of a store, each once, in one line.
type recorder struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (r *recorder) saw(q string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[strings.Join(strings.Fields(q), " ")] = true
}

// list is what was recorded, without what is not the store's own: the version
// table's, and the question for the types of columns.
func (r *recorder) list() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := range r.seen {
		if !strings.Contains(q, versionTable) && !strings.Contains(q, "pg_attribute") && q != "SELECT 1" && q != "" {
			all = append(all, q)
		}
	}
	slices.Sort(all)
	return all
}

// recorded are the statements that the store makes: each of its methods is
// called with one of each thing, and with nothing.
func recorded(t *testing.T, address string) []string {
	t.Helper()
	ctx := t.Context()
	r := &recorder{seen: map[string]bool{}}
	s, err := store.Open(ctx, address, store.Options{Now: time.Now, MaxConns: 4, Volatile: true, Saw: r.saw})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	m := filler{full: true}.value(reflect.TypeFor[*billing.Merchant]()).Interface().(*billing.Merchant)
	m.Mode, m.Clock.Mode = billing.Test, billing.ClockReal
	if err := s.CreateMerchant(ctx, m); err != nil {
		t.Fatal(err)
	}
	for _, f := range []filler{{ctx: ctx, full: true}, {ctx: ctx}} {
		for name := range methods(reflect.TypeOf(s)) {
			f.call(reflect.ValueOf(s).MethodByName(name))
		}
		for name := range methods(reflect.TypeFor[*store.Tx]()) { // a View's are among them
			err := s.Update(ctx, m.ID, func(tx *store.Tx) error {
				f.call(reflect.ValueOf(tx).MethodByName(name))
				return errUndo
			})
			if !errors.Is(err, errUndo) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	return r.list()
}

var errUndo = errors.New("undone")

// methods lists the methods of a type that make statements.
func methods(of reflect.Type) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range of.NumMethod() {
			switch name := of.Method(i).Name; name {
			case "Close", "Migrate", "Migrated", "Ping", "View", "Update", "Reader":
			default:
				if !yield(name) {
					return
				}
			}
		}
	}
}

// filler makes arguments.
type filler struct {
	ctx  context.Context //nolint:containedctx // of one call
	full bool            // lists of one and structs that are filled in, rather than empty ones
}

// call calls a method. What becomes of it does not matter.
func (f filler) call(method reflect.Value) {
	defer func() { _ = recover() }() // for values that no caller would hand in
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = f.value(method.Type().In(i))
	}
	if method.Type().IsVariadic() {
		method.CallSlice(args)
		return
	}
	method.Call(args)
}

func (f filler) value(of reflect.Type) reflect.Value {
	switch of {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(f.ctx)
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.UnixMicro(1577836800000000).UTC())
	case reflect.TypeFor[*time.Location]():
		return reflect.ValueOf(time.UTC)
	case reflect.TypeFor[billing.Money]():
		return reflect.ValueOf(billing.Minor(1, "USD"))
	case reflect.TypeFor[func(store.Sight) bool]():
		return reflect.ValueOf(func(store.Sight) bool { return true })
	}
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
		v.Elem().Set(f.value(of.Elem()))
	case reflect.Struct:
		for i := range of.NumField() {
			if f.full && v.Field(i).CanSet() {
				v.Field(i).Set(f.value(of.Field(i).Type))
			}
		}
	case reflect.Slice:
		if f.full {
			v.Set(reflect.Append(v, f.value(of.Elem())))
		}
	default:
	}
	return v
}

// newest is the number of the newest migration, as in its file's name.
func newest(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("migration/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations:", err)
	}
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	return number
}

// TestOldStatements: the statements of the programs of earlier levels can be run
// on the newest schema. testdata/statements-NNNN.txt has those of the last program
// whose newest migration was NNNN; a release adds its own with
//
//	go test ./store -run TestOldStatements -record-statements
func TestOldStatements(t *testing.T) {
	if *record {
		t.Run("record", recordStatements)
	}
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		all := levels(t)
		migrateTo(t, db, all[len(all)-1])
		files, err := filepath.Glob("testdata/statements-*.txt")
		if err != nil || len(files) == 0 {
			t.Fatal("no lists:", err)
		}
		prepared := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				q, ours := strings.CutPrefix(strings.TrimSpace(line), db.Engine().String()+": ")
				if !ours {
					continue
				}
				if err := prepare(t.Context(), db, q); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				prepared++
			}
		}
		if prepared < 80 {
			t.Errorf("only %d statements", prepared)
		}
	})
}

// prepare has the engine read a statement against the schema, and not run it.
func prepare(ctx context.Context, db *sqldb.DB, q string) error {
	if db.Engine() == sqldb.SQLite {
		params := 0
		for _, found := range parameter.FindAllStringSubmatch(q, -1) {
			params = max(params, atoi(found[1]))
		}
		return db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := sqldb.Query(ctx, tx, func(sqldb.Row) (struct{}, error) { return struct{}{}, nil }, "EXPLAIN "+q, make([]any, params)...)
			return err
		})
	}
	return db.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, "PREPARE old AS "+q); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DEALLOCATE old")
		return err
	})
}

var parameter = regexp.MustCompile(`\$(\d+)`)

func atoi(digits string) (n int) {
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}

func recordStatements(t *testing.T) {
	var lines []string
	for _, e := range sqldbtest.Engines {
		for _, q := range recorded(t, sqldbtest.Address(t, e)) {
			lines = append(lines, e.String()+": "+q+"\n")
		}
	}
	if err := os.WriteFile("testdata/statements-"+newest(t)+".txt", []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// acrossMerchants are the statements that are of no one merchant, by a piece that
// tells each, with the reason.
var acrossMerchants = map[string]string{
	"FROM merchant ORDER BY id":                   "lists the merchants, who are in one place",
	"FROM merchant WHERE code = $1":               "finds a merchant",
	"INSERT INTO merchant":                        "makes a merchant",
	"FROM directory":                              "finds out who asks, before the merchant is known",
	"INSERT INTO directory":                       "takes a name in the installation",
	"node":                                        "the processes at work",
	"installation":                                "which books these are",
	"FROM pg_control_system()":                    "where the database is",
	"SELECT DISTINCT merchant_id FROM endpoint":   "finds the merchants who are told of events",
	"SELECT DISTINCT e.merchant_id FROM endpoint": "finds the merchants for whom something is to be delivered",
	"FROM merchant) AS m":                         "finds the merchants with work; on books that are spread all of them are named instead",
	"pg_class":                                    "how the tables lie",
	"pg_dist_partition":                           "whether the tables are spread",
	"FROM compatible":                             "which programs the schema is for",
	"scrub":                                       "whether the files still hold bytes of who was erased",
}

// spread are the tables that are spread by merchant, where a statement names them.
var spread = regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO) (\w+)`)

// narrowed is a condition, or a first column, by which a statement is of one
// merchant.
var narrowed = regexp.MustCompile(`merchant_id = (?:\$1\b|\w+\.merchant_id)|\(merchant_id,|UPDATE merchant |FROM merchant WHERE id = \$1`)

// TestStatementsNameTheMerchant: each statement says whose rows it means, once for
// each table that it names, so that on a database that is spread by merchant it
// is one shard's; but for those that are of the installation as a whole.
func TestStatementsNameTheMerchant(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		list := recorded(t, address)
		if len(list) < 100 {
			t.Errorf("only %d statements", len(list))
		}
		for _, q := range list {
			whole := false
			for piece := range acrossMerchants {
				whole = whole || strings.Contains(q, piece)
			}
			if whole {
				continue
			}
			tables := 0
			for _, found := range spread.FindAllStringSubmatch(q, -1) {
				if !wholeTables[found[1]] && found[1] != "json_each" && found[1] != "SKIP" {
					tables++
				}
			}
			if n := len(narrowed.FindAllString(q, -1)); n < tables || n == 0 {
				t.Errorf("%d conditions on the merchant for %d tables: %s", n, tables, q)
			}
		}
	})
}

// TestStatementsAreCalm: no statement that writes has the database make up values,
// which a distributed one refuses, because each of its parts would make up others.
func TestStatementsAreCalm(t *testing.T) {
	volatile := regexp.MustCompile(`(?i)\b(now|random|clock_timestamp|gen_random_uuid|nextval|statement_timestamp)\s*\(`)
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		for _, q := range recorded(t, address) {
			if !strings.HasPrefix(q, "SELECT") && volatile.MatchString(q) {
				t.Error(q)
			}
		}
	})
}
