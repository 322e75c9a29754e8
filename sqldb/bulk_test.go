package sqldb_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

func allRecords(t testing.TB, db *sqldb.DB) []record {
	t.Helper()
	var got []record
	err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		got, err = sqldb.Query(t.Context(), tx, scanRecord, "SELECT "+strings.Join(recordColumns, ", ")+" FROM record ORDER BY id")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestInsertManyAndUpdateMany(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, recordTable)
		ctx := t.Context()
		const many = 1000
		want := make([]record, many)
		rows := make([][]any, many)
		for i := range want {
			want[i] = records[i%len(records)]
			want[i].ID = id(i + 1)
			want[i].Big = int64(i) << 40
			rows[i] = want[i].values()
		}
		err := db.Update(ctx, func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "record", recordColumns, rows) })
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, allRecords(t, db)); d != "" {
			t.Fatal(d)
		}

		// Change every other one, by a key of two columns, with NULLs among the new values; one key is not there.
		var changes [][]any
		for i := 0; i < many; i += 2 {
			want[i].Note, want[i].Due, want[i].Flag, want[i].Seal, want[i].Bytes = name(fmt.Sprint(i)), 0, !want[i].Flag, seal{byte(i)}, nil
			if i%4 == 0 {
				want[i].Note, want[i].Due, want[i].Bytes = "", int64(-i), []byte("b")
			}
			x := want[i]
			changes = append(changes, []any{x.ID, x.Big, sqldb.OrNull(x.Note), sqldb.OrNull(x.Due), x.Flag, x.Seal, x.Bytes})
		}
		changes = append(changes, []any{id(1), 5, "no such key", 1, true, seal{1}, nil}, []any{nil, nil, "no key", 1, true, seal{1}, nil})
		err = db.Update(ctx, func(tx *sqldb.Tx) error {
			n, err := tx.UpdateMany(ctx, "record", []string{"id", "big"}, []string{"note", "due", "flag", "seal", "bytes"}, changes)
			if n != many/2 {
				t.Errorf("%d rows changed", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, allRecords(t, db)); d != "" {
			t.Error(d)
		}
	})
}

func TestBatchesOfNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.InsertMany(t.Context(), "nosuch", []string{"a"}, nil); err != nil {
				return err
			}
			n, err := tx.UpdateMany(t.Context(), "nosuch", []string{"a"}, []string{"b"}, nil)
			if n != 0 {
				t.Errorf("%d rows changed", n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	const secret = "4111111111111111"
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, body TEXT)")
		ctx := t.Context()
		cols := []string{"id", "n", "body"}
		for label, rows := range map[string][][]any{
			"same key":         {{1, 1, secret}, {2, 2, nil}, {1, 3, nil}},
			"NULL":             {{1, 1, secret}, {2, nil, secret}},
			"short row":        {{1, 1, secret}, {2, 2}},
			"long row":         {{1, 1, secret}, {2, 2, secret, 4}},
			"no database type": {{1, 1, secret}, {2, 2, 1.5}},
			"not text":         {{1, 1, secret}, {2, 2, secret + "\xff"}},
		} {
			err := db.Update(ctx, func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "t", cols, rows) })
			if err == nil {
				t.Errorf("%s: accepted", label)
			} else if strings.Contains(err.Error(), "4111") {
				t.Errorf("%s: the error shows a value: %v", label, err)
			}
			if label == "same key" && sqldb.UniqueKey(err) != "t(id)" {
				t.Errorf("%s: UniqueKey %q of %v", label, sqldb.UniqueKey(err), err)
			}
		}
		for label, fn := range map[string]func(tx *sqldb.Tx) error{
			"no such table":  func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "nosuch", cols, [][]any{{1, 1, nil}}) },
			"no such column": func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "t", []string{"id", "x"}, [][]any{{1, 1}}) },
		} {
			if err := db.Update(ctx, fn); err == nil {
				t.Errorf("%s: accepted", label)
			}
		}
		if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
			t.Errorf("%d rows stored", n)
		}
	})
}

// TestBatchOfSameValues has batches in which columns are the same in all rows: some, all but one, all, NULL, and keys.
func TestBatchOfSameValues(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, "CREATE TABLE t (a BIGINT, b TEXT, c BYTEA, d BOOLEAN)")
		ctx := t.Context()
		cols := []string{"a", "b", "c", "d"}
		const many = 100
		row := func(i int, varied string) []any {
			r := []any{7, "same", []byte("same"), true}
			for c, v := range []any{i, fmt.Sprint(i), []byte(fmt.Sprint(i)), i%2 == 0} {
				switch varied[c] {
				case 'x':
					r[c] = v
				case '0':
					r[c] = nil
				}
			}
			return r
		}
		for _, varied := range []string{"    ", "0000", "x   ", "   x", " 0x0", "xxxx", "00 0"} {
			for _, n := range []int{1, 2, many} {
				var rows [][]any
				for i := range n {
					rows = append(rows, row(i, varied))
				}
				var updated int64
				err := db.Update(ctx, func(tx *sqldb.Tx) (err error) {
					if _, err = tx.Exec(ctx, "DELETE FROM t"); err != nil {
						return err
					}
					if err = tx.InsertMany(ctx, "t", cols, rows); err != nil {
						return err
					}
					updated, err = tx.UpdateMany(ctx, "t", cols[:2], cols[2:], rows)
					return err
				})
				if err != nil {
					t.Fatalf("%q: %v", varied, err)
				}
				if got := number(t, db, "SELECT count(*) FROM t"); got != int64(n) {
					t.Errorf("%q: %d rows inserted, not %d", varied, got, n)
				}
				if varied[0] == 'x' && updated != int64(n) { // the key is unique
					t.Errorf("%q: %d rows updated, not %d", varied, updated, n)
				}
				if varied[1] == 'x' && number(t, db, "SELECT count(DISTINCT b) FROM t") != int64(n) {
					t.Errorf("%q: not all values of %d rows are there", varied, n)
				}
			}
		}
	})
}

// TestBatchAfterMigration: what was learnt about a table must not outlive a change of it.
func TestBatchAfterMigration(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		insert := func(v any) error {
			return db.Update(ctx, func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "t", []string{"v"}, [][]any{{v}}) })
		}
		if err := db.MigrateTo(ctx, files("1_a.sql", up+"CREATE TABLE t (v {{int}});"), "versions", 1); err != nil {
			t.Fatal(err)
		}
		if err := insert(1); err != nil {
			t.Fatal(err)
		}
		if sqldb.Plans(db) != 1 {
			t.Errorf("%d plans", sqldb.Plans(db))
		}
		more := files("1_a.sql", up+"CREATE TABLE t (v {{int}});", "2_b.sql", up+"DROP TABLE t; CREATE TABLE t (v {{text}});")
		if err := db.Migrate(ctx, more, "versions"); err != nil {
			t.Fatal(err)
		}
		if err := insert("text"); err != nil {
			t.Error(err)
		}
	})
}

// TestBatchesAgree compares the two engines, and rows one by one, on random batches.
func TestBatchesAgree(t *testing.T) {
	t.Parallel()
	var dbs []*sqldb.DB
	for _, e := range sqldbtest.Engines {
		db := sqldbtest.Open(t, e) // skips without PostgreSQL
		do(t, db, recordTable)
		dbs = append(dbs, db)
	}
	text := rapid.StringOf(rapid.RuneFrom([]rune("abc'\"\\{},%€\u2028NULL ")))
	one := rapid.Custom(func(t *rapid.T) record {
		return record{
			Big: rapid.Int64().Draw(t, "big"), Small: small(rapid.Uint8().Draw(t, "small")), Name: name(text.Draw(t, "name")),
			Text: text.Draw(t, "text"), Flag: rapid.Bool().Draw(t, "flag"), Seal: append(seal{1}, rapid.SliceOf(rapid.Byte()).Draw(t, "seal")...),
			Note: name(text.Draw(t, "note")), Due: rapid.Int64Range(-3, 3).Draw(t, "due"),
		}
	})
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.SliceOfN(one, 1, 20).Draw(rt, "first")
		second := rapid.SliceOfN(one, len(first), len(first)).Draw(rt, "second")
		var inserts, updates [][]any
		for i := range first {
			first[i].ID, second[i].ID = id(i), id(i)
			inserts, updates = append(inserts, first[i].values()), append(updates, second[i].values())
		}
		for _, db := range dbs {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if _, err := tx.Exec(ctx, "DELETE FROM record"); err != nil {
					return err
				}
				if err := tx.InsertMany(ctx, "record", recordColumns, inserts); err != nil {
					return err
				}
				n, err := tx.UpdateMany(ctx, "record", recordColumns[:1], recordColumns[1:], updates)
				if err == nil && n != int64(len(updates)) {
					err = errors.New("not all rows changed")
				}
				return err
			})
			if err != nil {
				rt.Fatal(db.Engine(), err)
			}
			if d := cmp.Diff(second, allRecords(t, db)); d != "" {
				rt.Fatal(db.Engine(), d)
			}
		}
	})
}
