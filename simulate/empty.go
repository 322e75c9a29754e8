package simulate

import (
	"context"
	"fmt"
	"strings"

	"github.com/perennial-billing/perennial/sqldb"
)

// truncateEvery is after how many stories the tables on PostgreSQL are made
// anew. Deleting what one story wrote costs less, and leaves dead rows behind.
const truncateEvery = 40

// empty takes everything out of both databases.
func (s *Stage) empty(ctx context.Context) error {
	s.stories++
	for _, db := range []*sqldb.DB{s.books, s.bank} {
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			tables, err := tables(ctx, tx)
			if err != nil {
				return err
			}
			if tx.Engine() == sqldb.PostgreSQL && s.stories%truncateEvery == 0 {
				_, err := tx.Exec(ctx, "TRUNCATE "+strings.Join(tables, ", "))
				return err
			}
			return clear(ctx, tx, tables)
		})
		if err != nil {
			return fmt.Errorf("simulate: empty the databases: %w", err)
		}
	}
	return nil
}

// clear deletes all rows of tables, in any order.
func clear(ctx context.Context, tx *sqldb.Tx, tables []string) error {
	unbound := "PRAGMA defer_foreign_keys = ON" // until all is gone
	if tx.Engine() == sqldb.PostgreSQL {
		unbound = "SET LOCAL session_replication_role = replica"
	}
	if _, err := tx.Exec(ctx, unbound); err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := tx.Exec(ctx, "DELETE FROM "+t); err != nil {
			return err
		}
	}
	return nil
}

// tables lists the tables of a database, but those in which its version is kept.
func tables(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	q := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\_version' ESCAPE '\' ORDER BY name`
	if tx.Engine() == sqldb.PostgreSQL {
		q = `SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '%\_version' ORDER BY tablename`
	}
	return sqldb.Query(ctx, tx, sqldb.Scalar[string], q)
}

// still keeps PostgreSQL from tidying up the tables by itself, and from making
// other plans when it has.
func (s *Stage) still(ctx context.Context) error {
	err := s.books.Update(ctx, func(tx *sqldb.Tx) error {
		tables, err := tables(ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+t+" SET (autovacuum_enabled = off)"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("simulate: the books: %w", err)
	}
	return nil
}
