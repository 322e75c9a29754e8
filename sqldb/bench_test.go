package sqldb_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// bench runs body on each engine, durable, with 10,000 rows in table t.
func bench(b *testing.B, body func(b *testing.B, db *sqldb.DB)) {
	b.Helper()
	for _, e := range sqldbtest.Engines {
		b.Run(e.String(), func(b *testing.B) {
			db, err := sqldb.Open(b.Context(), sqldbtest.Address(b, e), sqldb.Options{MaxConns: 16})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			do(b, db, table)
			rows := make([][]any, 10_000)
			for i := range rows {
				rows[i] = []any{-i, 0}
			}
			err = db.Update(b.Context(), func(tx *sqldb.Tx) error { return tx.InsertMany(b.Context(), "t", []string{"id", "n"}, rows) })
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			body(b, db)
		})
	}
}

// BenchmarkUpdate stores one row for each update, from one caller and from 32.
func BenchmarkUpdate(b *testing.B) {
	for label, callers := range map[string]int{"alone": 1, "32 callers": 32} {
		b.Run(label, func(b *testing.B) {
			bench(b, func(b *testing.B, db *sqldb.DB) {
				before := db.Stats().Commits
				var last atomic.Int64
				insert := func() {
					err := db.Update(b.Context(), func(tx *sqldb.Tx) error {
						_, err := tx.Exec(b.Context(), "INSERT INTO t VALUES ($1, $2)", last.Add(1), 0)
						return err
					})
					if err != nil {
						b.Error(err)
					}
				}
				if callers == 1 {
					for b.Loop() {
						insert()
					}
				} else {
					b.SetParallelism(callers / runtime.GOMAXPROCS(0))
					b.RunParallel(func(p *testing.PB) {
						for p.Next() {
							insert()
						}
					})
				}
				b.ReportMetric(float64(b.N)/float64(db.Stats().Commits-before), "updates/commit")
			})
		})
	}
}

// BenchmarkView reads one row by its key for each view.
func BenchmarkView(b *testing.B) {
	bench(b, func(b *testing.B, db *sqldb.DB) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			err := db.View(b.Context(), func(tx *sqldb.Tx) error {
				var n int64
				return tx.QueryRow(b.Context(), "SELECT n FROM t WHERE id = $1", -(i % 10_000)).Scan(&n)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkQueryRow reads one row by its key, many times in one view.
func BenchmarkQueryRow(b *testing.B) {
	bench(b, func(b *testing.B, db *sqldb.DB) {
		b.ReportAllocs()
		err := db.View(b.Context(), func(tx *sqldb.Tx) error {
			for i := 0; b.Loop(); i++ {
				var n int64
				if err := tx.QueryRow(b.Context(), "SELECT n FROM t WHERE id = $1", -(i % 10_000)).Scan(&n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkBatch inserts 500 rows and changes 500 rows in one update.
func BenchmarkBatch(b *testing.B) {
	const size = 500
	bench(b, func(b *testing.B, db *sqldb.DB) {
		inserts, updates := make([][]any, size), make([][]any, size)
		next := 1
		for b.Loop() {
			for i := range size {
				inserts[i] = []any{next, next}
				updates[i] = []any{-(next % 10_000), next}
				next++
			}
			err := db.Update(b.Context(), func(tx *sqldb.Tx) error {
				if err := tx.InsertMany(b.Context(), "t", []string{"id", "n"}, inserts); err != nil {
					return err
				}
				_, err := tx.UpdateMany(b.Context(), "t", []string{"id"}, []string{"n"}, updates)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*2*size/b.Elapsed().Seconds(), "rows/s")
	})
}
