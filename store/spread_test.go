package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// TestSpread: what is listed spreads every table that is not of the installation,
// puts every foreign key on again, and the part of it that plain PostgreSQL knows
// can be run.
func TestSpread(t *testing.T) {
	t.Parallel()
	address := sqldbtest.Address(t, sqldb.PostgreSQL)
	s, err := store.Open(t.Context(), address, store.Options{Now: time.Now, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.Spread(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := read(t, db)
	err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, q := range list {
			if strings.HasPrefix(q, "ALTER TABLE") {
				if _, err := tx.Exec(t.Context(), q); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := read(t, db)
	for _, k := range before.keys {
		if !slices.Contains(after.keys, k) {
			t.Errorf("%s key %s of %s is gone", k.kind, k.name, k.table)
		}
	}
	all := strings.Join(list, "\n")
	for _, c := range before.columns {
		spread := strings.Contains(all, "create_distributed_table('"+c.table+"', 'merchant_id'")
		copied := strings.Contains(all, "create_reference_table('"+c.table+"')")
		if want := !wholeTables[c.table]; spread != want || copied != (c.table == "merchant" || c.table == "directory") {
			t.Errorf("%s: spread %v, copied %v", c.table, spread, copied)
		}
	}
	if !slices.IsSortedFunc(list, func(a, b string) int { return strings.Index(all, a) - strings.Index(all, b) }) ||
		strings.Index(all, "('account'") > strings.Index(all, "colocate_with => 'account'") {
		t.Error("account is not the first to be spread")
	}
}
