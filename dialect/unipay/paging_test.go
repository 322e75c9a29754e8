package unipay

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// TestLongHistory pages through a customer's 20,000 transactions. Each is seen
// once, by afterId as by offset, and the database finds a page by afterId with
// one step down an index, however far in the list the page lies.
func TestLongHistory(t *testing.T) {
	const rows, page = 20_000, 1000
	tell(t, func(c client) {
		c.ask("PUT", "customers", "code", "ann", "accountId", "2001", "firstName", "Ann", "lastName", "Lee")
		fill(c.t, c.c.Shop, rows)
		seen := map[string]bool{}
		after := "0"
		for pages := 0; ; pages++ {
			list := c.list(fmt.Sprintf("customers/*ann/transactions?limit=%d&afterId=%s", page, after))
			if len(list) == 0 {
				if pages != rows/page {
					t.Errorf("%d pages", pages)
				}
				break
			}
			for _, o := range list {
				id := o["id"].(string)
				if seen[id] {
					t.Fatalf("%s came twice", id)
				}
				seen[id] = true
				after = id
			}
		}
		if len(seen) != rows {
			t.Errorf("%d of %d transactions", len(seen), rows)
		}
		last := c.list(fmt.Sprintf("customers/*ann/transactions?limit=%d&offset=%d", page, rows-1))
		if len(last) != 1 || last[0]["id"] != after {
			t.Errorf("the last by offset is %v", last)
		}
		if rare := c.list("customers/*ann/transactions?note=the+only+one"); len(rare) != 1 {
			t.Errorf("%d rows by a filter that no index has", len(rare))
		}
		if c.c.Store.Engine() == sqldb.SQLite {
			plan(c)
		}
	})
}

// fill writes settled invoices into a customer's account, past the verbs.
func fill(t testing.TB, s *cashiertest.Shop, n int) {
	t.Helper()
	ctx := context.Background()
	err := s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
		session := s.Session()
		owner, err := session.Customer(ctx, &tx.View, cashier.Ref{Code: "ann"})
		if err != nil {
			return err
		}
		list := make([]*billing.Activity, n)
		for i := range list {
			list[i] = &billing.Activity{
				MerchantID: s.Merchant.ID, ID: billing.ActivityID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID,
				Kind: billing.Invoice, Amount: billing.Minor(1, "USD"), Tax: billing.Minor(0, "USD"), Open: billing.Minor(0, "USD"),
				State: billing.Posted, Due: session.Today(), Period: -1, Creator: billing.System, CreatedAt: session.Now,
			}
		}
		list[n/2].Note = "the only one"
		return tx.InsertActivities(ctx, list)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// plan asks the engine how it would find such a page: by the customer's index
// from the id on, already in order, and nothing sorted or scanned.
func plan(c client) {
	c.t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, c.c.Address, sqldb.Options{ReadOnly: true})
	if err != nil {
		c.t.Fatal(err)
	}
	var steps []string
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		steps, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (step string, err error) {
			var id, parent, unused int64
			err = r.Scan(&id, &parent, &unused, &step)
			return step, err
		}, `EXPLAIN QUERY PLAN SELECT id, amount, note FROM activity
			WHERE merchant_id = $1 AND customer_id = $2 AND id > $3 ORDER BY id LIMIT $4`, 1, 2, 3, 4)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	const want = "SEARCH activity USING INDEX activity_customer (merchant_id=? AND customer_id=? AND id>?)"
	if got := strings.Join(steps, "; "); got != want {
		c.t.Errorf("the plan is %q, want %q", got, want)
	}
	if err := db.Close(); err != nil {
		c.t.Error(err)
	}
}
