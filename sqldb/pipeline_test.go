package sqldb_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

var errMistaken = errors.New("given up")

const recordByID = "SELECT id, big, small, name, body, flag, seal, note, due, bytes FROM record WHERE id = $1"

func rowsOf(list []record) [][]any {
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = r.values()
	}
	return rows
}

// TestAhead asks ahead and gets, in any order, what asking would have got.
func TestAhead(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, recordTable)
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error { return tx.InsertMany(ctx, "record", recordColumns, rowsOf(records)) })
		if err != nil {
			t.Fatal(err)
		}
		for _, last := range []bool{false, true} {
			err := db.View(ctx, func(tx *sqldb.Tx) error {
				err := tx.Ahead(ctx, last, sqldb.Ask{Query: recordByID, Args: []any{records[0].ID}},
					sqldb.Ask{Query: recordByID, Args: []any{records[1].ID}}, sqldb.Ask{Query: recordByID, Args: []any{int64(77)}})
				if err != nil {
					return err
				}
				for _, want := range []record{records[1], records[0]} {
					got, err := sqldb.One(ctx, tx, scanRecord, recordByID, want.ID)
					if err != nil {
						return err
					}
					if d := cmp.Diff(want, got); d != "" {
						t.Error(d)
					}
				}
				if _, err := sqldb.One(ctx, tx, scanRecord, recordByID, int64(77)); !errors.Is(err, sqldb.ErrNoRows) {
					t.Errorf("of a row that is not there: %v", err)
				}
				_, err = sqldb.One(ctx, tx, scanRecord, recordByID, records[2].ID) // of which nothing was said
				if last && db.Engine() == sqldb.PostgreSQL {
					if err == nil {
						t.Error("a view goes on after its last query")
					}
					return nil
				}
				return err
			})
			if err != nil && !last {
				t.Error(err)
			}
		}
	})
}

// TestAheadIsForgottenByWriting reads what was written after it was asked ahead.
func TestAheadIsForgottenByWriting(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, table, "INSERT INTO t VALUES (1, 1)")
		ctx := t.Context()
		const q = "SELECT n FROM t WHERE id = $1"
		write := map[string]func(tx *sqldb.Tx) error{
			"at once": func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE t SET n = n + 1 WHERE id = 1")
				return err
			},
			"later": func(tx *sqldb.Tx) error {
				return tx.Gather(func() error {
					_, err := tx.UpdateMany(ctx, "t", []string{"id"}, []string{"n"}, [][]any{{int64(1), int64(3)}})
					return err
				})
			},
		}
		for i, how := range []string{"at once", "later"} {
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				if err := tx.Ahead(ctx, true, sqldb.Ask{Query: q, Args: []any{1}}); err != nil {
					return err
				}
				if err := write[how](tx); err != nil {
					return err
				}
				n, err := sqldb.One(ctx, tx, sqldb.Scalar[int64], q, 1)
				if n != int64(i+2) {
					t.Errorf("%s: read %d, want %d", how, n, i+2)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestGather writes everything or nothing, and tells of a write that fails in the
// middle whatever comes after it.
func TestGather(t *testing.T) {
	t.Parallel()
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		do(t, db, recordTable, table)
		ctx := t.Context()
		insert := func(tx *sqldb.Tx, id, n int64) error {
			return tx.InsertMany(ctx, "t", []string{"id", "n"}, [][]any{{id, n}})
		}
		gather := func(then func(tx *sqldb.Tx) error, ids ...int64) error {
			return db.Update(ctx, func(tx *sqldb.Tx) error {
				err := tx.Gather(func() error {
					for _, id := range ids {
						if err := insert(tx, id, id); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
				return then(tx)
			})
		}
		nothing := func(*sqldb.Tx) error { return nil }
		read := func(tx *sqldb.Tx) error {
			_, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], "SELECT id FROM t")
			return err
		}
		if err := gather(nothing, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		if err := gather(read, 4, 5); err != nil {
			t.Fatal(err)
		}
		for name, then := range map[string]func(*sqldb.Tx) error{"at the end": nothing, "at a query": read} {
			err := gather(then, 6, 1, 7)
			if !sqldb.IsUnique(err) || errors.Is(err, sqldb.ErrOutcomeUnknown) || sqldb.IsFailure(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := gather(func(*sqldb.Tx) error { return errMistaken }, 8); !errors.Is(err, errMistaken) {
			t.Error(err)
		}
		if n := number(t, db, "SELECT count(*) FROM t"); n != 5 {
			t.Errorf("%d rows, want those of the two that succeeded", n)
		}
	})
}
