package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/sqldb"
)

// together are the tables of the installation as a whole that are copied to each
// machine of a spread database, because what is spread refers to them or a
// merchant is found by them. installation, node, compatible and scrub stay where the
// programs connect.
var together = []string{"merchant", "directory"}

// alone are the tables that stay on the one machine.
var alone = []string{"installation", "node", "compatible", "scrub", versionTable}

// link is a foreign key.
type link struct{ table, name, text string }

// Spread lists the statements that spread the books by merchant over the machines
// of a Citus cluster, to be run once on its coordinator, by the owner of the
// tables, in the schema of the books. Tables that are spread already are left
// out, so after a migration it lists what that has added; nothing is nil.
func (s *Store) Spread(ctx context.Context) (statements []string, err error) {
	if s.db.Engine() != sqldb.PostgreSQL {
		return nil, errors.New("store: only books on PostgreSQL can be spread over several machines")
	}
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		tables, err := unspread(ctx, tx)
		if err != nil {
			return err
		}
		links, err := sqldb.Query(ctx, tx, func(r sqldb.Row) (l link, err error) { err = r.Scan(&l.table, &l.name, &l.text); return l, err },
			`SELECT CAST(c.relname AS TEXT), CAST(f.conname AS TEXT), pg_get_constraintdef(f.oid)
				FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE f.contype = 'f' AND n.nspname = current_schema() ORDER BY 1, 2`)
		if err != nil {
			return err
		}
		statements = spreading(tables, links)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: spread: %w", err)
	}
	return statements, nil
}

// How far it is known whether the books are spread.
const (
	perhapsSpread int32 = iota
	notSpread
	isSpread
)

// isSpread reports whether the books lie on several machines. They are spread
// while no server runs, so it is asked once.
func (s *Store) isSpread(ctx context.Context) (bool, error) {
	if s.db.Engine() == sqldb.SQLite {
		return false, nil
	}
	known := s.spread.Load()
	if known == perhapsSpread {
		known = notSpread
		err := s.db.View(ctx, func(tx *sqldb.Tx) error {
			var citus, moved bool
			err := tx.QueryRow(ctx, `SELECT to_regclass('pg_dist_partition') IS NOT NULL`).Scan(&citus)
			if err == nil && citus {
				err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass($1))`, first).Scan(&moved)
			}
			if moved {
				known = isSpread
			}
			return err
		})
		if err != nil {
			return false, fmt.Errorf("store: spread: %w", err)
		}
		s.spread.Store(known)
	}
	return known == isSpread, nil
}

// unspread lists the tables of the books that are on one machine.
func unspread(ctx context.Context, tx *sqldb.Tx) ([]string, error) {
	var citus bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass('pg_dist_partition') IS NOT NULL`).Scan(&citus); err != nil {
		return nil, err
	}
	but := ""
	if citus {
		but = ` AND NOT EXISTS (SELECT 1 FROM pg_dist_partition p WHERE p.logicalrelid = c.oid AND (p.partmethod = 'h' OR p.repmodel = 't'))`
	}
	return sqldb.Query(ctx, tx, sqldb.Scalar[string], `SELECT CAST(c.relname AS TEXT) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind = 'r'`+but+` ORDER BY 1`)
}

// spreading makes the statements. Foreign keys are taken off and put on again, so
// that the order of the tables does not matter.
func spreading(tables []string, links []link) (list []string) {
	moved := slices.DeleteFunc(slices.Clone(tables), func(t string) bool { return slices.Contains(alone, t) })
	if len(moved) == 0 {
		return nil
	}
	list = append(list, "BEGIN", "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
	var again []string
	for _, l := range links {
		if slices.Contains(moved, l.table) {
			list = append(list, "ALTER TABLE "+l.table+" DROP CONSTRAINT "+l.name)
			again = append(again, "ALTER TABLE "+l.table+" ADD CONSTRAINT "+l.name+" "+strings.TrimSpace(l.text))
		}
	}
	for _, t := range together {
		if slices.Contains(moved, t) {
			list = append(list, "SELECT create_reference_table('"+t+"')")
		}
	}
	for _, t := range moved {
		if slices.Contains(together, t) {
			continue
		}
		with := first
		if t == first {
			with = "none"
		}
		list = append(list, "SELECT create_distributed_table('"+t+"', 'merchant_id', colocate_with => '"+with+"')")
	}
	return append(append(list, again...), "COMMIT")
}

// first is the table beside which the parts of all others lie.
const first = "account"
