package dialecttest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/sqldb"
)

// tables are all tables of the books.
var tables = []string{"merchant", "directory", "account", "login", "reference", "customer", "payment_method", "plan", "subscription",
	"adjustment", "attempt", "activity", "allocation", "entry", "event", "idempotency"}

// Contents tells how many rows each table of the books has, for all merchants,
// how many lines the bank's journal has, and what the books say: whatever was
// refused leaves it as it was.
func Contents(t testing.TB, s *cashiertest.Shop) string {
	t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, s.Address, sqldb.Options{ReadOnly: true, MaxConns: 1})
	check(t, err)
	var b strings.Builder
	check(t, db.View(ctx, func(tx *sqldb.Tx) error {
		b.Reset()
		for _, table := range tables {
			var n int64
			if err := tx.QueryRow(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %d\n", table, n)
		}
		return nil
	}))
	check(t, db.Close())
	lines, err := s.Bank.Journal(ctx, s.Merchant.Code)
	check(t, err)
	fmt.Fprintf(&b, "journal %d\n", len(lines))
	return b.String() + Books(t, s)
}
