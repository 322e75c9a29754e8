package cashier_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// personal are the words of a customer that must be nowhere when it is erased.
var personal = []string{
	"wilhelmina", "Wilhelmina", "Quackenbush", "quack@example.com", "Zymurgy Lane", "+1-555-0199", "Xylophone Inc", "4217651111111119", "4***********1119",
	"1119", "0533", "DE999888777", "203.0.113.77", "prefers to be called Billie", "gift for aunt Agatha", "order-ux-77", "INV-Q-1", "portal-hash-q",
	"extra-q-value", "told of Quackenbush", "sub-code-q", "note of the schedule", "line for Billie",
}

// kept are the parts of the books in which a word is found. On SQLite it reads the
// files, on PostgreSQL the rows.
func kept(t *testing.T, s *cashiertest.Shop, word string) (places []string) {
	t.Helper()
	ctx := context.Background()
	if file, ok := strings.CutPrefix(s.Address, "sqlite:"); ok {
		file, _, _ = strings.Cut(file, "?")
		for _, name := range []string{file, file + "-wal", file + "-shm"} {
			text, err := os.ReadFile(name)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte(word)) {
				places = append(places, name)
			}
		}
		return places
	}
	db, err := sqldb.Open(ctx, s.Address, sqldb.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		tables, err := sqldb.Query(ctx, tx, sqldb.Scalar[string],
			`SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1`)
		if err != nil {
			return err
		}
		for _, name := range tables {
			var n int64
			q := `SELECT COUNT(*) FROM ` + name + ` x WHERE CAST(x AS TEXT) LIKE $1`
			if name == "delivery" { // bytes are shown in hexadecimal digits
				q = `SELECT COUNT(*) FROM delivery x WHERE CAST(x AS TEXT) LIKE $1 OR CAST(body AS TEXT) LIKE '%' || encode(CAST($2 AS bytea), 'hex') || '%'`
				if err := tx.QueryRow(ctx, q, "%"+word+"%", []byte(word)).Scan(&n); err != nil {
					return err
				}
			} else if err := tx.QueryRow(ctx, q, "%"+word+"%").Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				places = append(places, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// livedIn makes a customer of whom every kind of thing is known.
func livedIn(t *testing.T, s *cashiertest.Shop) (c, sub cashier.Ref) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	who := &billing.Customer{Code: "wilhelmina", FirstName: "Wilhelmina", LastName: "Quackenbush", Organization: "Xylophone Inc", Email: "quack@example.com",
		Phone: "+1-555-0199", Active: true, Address: billing.Address{Street1: "12 Zymurgy Lane"},
		Profile: billing.Profile{Username: "wilhelmina", Password: "portal-hash-q", Shipping: billing.Address{Street1: "Zymurgy Lane"}}}
	must(s.Cashier.Enroll(ctx, s.Session(), s.Account.Code, who))
	c = cashier.Ref{ID: int64(who.ID)}
	r := cashier.BillingInfoRequest{MethodRequest: cashier.MethodRequest{Code: "wilhelmina-card", Instrument: billing.VisaCredit,
		Number: billing.NewSecret("4217651111111119"), Expiry: "0533", Holder: "Wilhelmina Quackenbush", Email: "quack@example.com", Phone: "+1-555-0199",
		Address: billing.Address{Street1: "12 Zymurgy Lane"},
		Details: billing.MethodDetails{FirstName: "Wilhelmina", VATNumber: "DE999888777", IPAddress: "203.0.113.77"}},
		Extra: map[string]string{"why": "extra-q-value"}}
	card := setInfo(t, s, c, r).Method
	account := s.BankAccount(c, "order-ux-77-account")
	sub = s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(card.ID)}, "2020-01-10", func(r *cashier.SubscribeRequest) {
		r.Code, r.Note = "sub-code-q", "note of the schedule"
	})
	pay := func(m cashier.Ref, amount int64, code string) *cashier.Receipt {
		t.Helper()
		got, err := s.Cashier.Charge(ctx, s.Session(), c, cashier.ChargeRequest{Amount: amount, Method: m, Code: code, Note: "gift for aunt Agatha",
			Key: code, InvoiceRaw: "INV-Q-1", Extra: map[string]string{"why": "extra-q-value"}, Payer: billing.Payer{Holder: "Wilhelmina Quackenbush"}})
		must(err)
		return got
	}
	one := pay(cashier.Ref{ID: int64(card.ID)}, 600, "order-ux-77")
	pay(cashier.Ref{ID: int64(card.ID)}, 8000, "order-ux-77-b") // declined
	pay(account, 700, "order-ux-77-c")
	_, err := s.Cashier.Refund(ctx, s.Session(), one.Activity.ID, cashier.RefundRequest{By: billing.AskRefund, Amount: 100, Note: "gift for aunt Agatha"})
	must(err)
	_, err = s.Cashier.AddNote(ctx, s.Session(), c, "prefers to be called Billie")
	must(err)
	_, err = s.Cashier.Record(ctx, s.Session(), c, cashier.RecordRequest{Kind: billing.Invoice, Amount: 1500, Code: "order-ux-77-d", Note: "gift for aunt Agatha"})
	must(err)
	must(s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
		e := &billing.Endpoint{MerchantID: s.Merchant.ID, ID: billing.EndpointID(tx.NewID()), Code: fmt.Sprint(tx.NewID()), Dialect: "x", URL: "https://example.com/", CreatedAt: s.Wall.Now(), UpdatedAt: s.Wall.Now()}
		if err := tx.InsertEndpoint(ctx, e); err != nil {
			return err
		}
		if err := tx.InsertLines(ctx, []*billing.Line{{MerchantID: s.Merchant.ID, ID: billing.LineID(tx.NewID()), CustomerID: who.ID, Kind: billing.LineCharge,
			Description: "line for Billie", Quantity: 1, Unit: billing.Minor(1, "USD"), Amount: billing.Minor(1, "USD"), CreatedAt: s.Session().Now}}); err != nil {
			return err
		}
		return tx.InsertDeliveries(ctx, []*billing.Delivery{{MerchantID: s.Merchant.ID, EndpointID: e.ID, CustomerID: who.ID, Key: "k", Kind: "x", State: billing.DeliveryWaiting,
			Query: "name=Quackenbush", ContentType: "text/plain", Body: []byte("told of Quackenbush"), NextAt: s.Wall.Now(), CreatedAt: s.Wall.Now()}})
	}))
	s.MoveTo("2020-02-10")
	return c, sub
}

// books are the balances of the ledgers and the amounts of all activities.
func books(t *testing.T, s *cashiertest.Shop, customers ...cashier.Ref) string {
	t.Helper()
	ctx := context.Background()
	var b strings.Builder
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		balances, err := v.Balances(ctx)
		for _, x := range balances {
			fmt.Fprintln(&b, x.Ledger, x.Amount)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range customers {
		b.WriteString(s.Books(c))
	}
	return b.String()
}

// proved has the audit find nothing.
func proved(t *testing.T, s *cashiertest.Shop) {
	t.Helper()
	faults, err := audit.Books(context.Background(), s.Store, s.Merchant.ID, s.Wall.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if !f.Note {
			t.Errorf("%v", f)
		}
	}
}

// TestErase: of an erased person no word is left in any table, nor on SQLite in the
// files, and the books are as they were.
func TestErase(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		s.Configure(func(c *billing.Settings) {
			c.Velocity.Rules = []billing.VelocityRule{{Name: "many", Window: "24h", Count: 1000}}
		})
		other := s.Customer("other")
		setInfo(t, s, other, info("4111111111111111"))
		c, sub := livedIn(t, s)
		for _, word := range personal {
			if word != "4217651111111119" && len(kept(t, s, word)) == 0 {
				t.Errorf("%q was not there in the first place", word)
			}
		}
		proved(t, s)
		before := books(t, s, c)
		if err := s.Cashier.Erase(ctx, s.Session(), c); err != nil {
			t.Fatal(err)
		}
		if done, err := s.Store.Scrub(ctx); err != nil || done != (s.Store.Engine() == sqldb.SQLite) {
			t.Fatalf("scrub: %t, %v", done, err)
		}
		for _, word := range personal {
			if places := kept(t, s, word); len(places) > 0 {
				t.Errorf("%q is still in %v", word, places)
			}
		}
		if diff := cmp.Diff(before, books(t, s, c)); diff != "" {
			t.Errorf("the books (-before +after):\n%s", diff)
		}
		for _, verb := range []func() error{
			func() error { return s.Cashier.Erase(ctx, s.Session(), c) },
			func() error {
				_, err := s.Cashier.AddNote(ctx, s.Session(), cashier.Ref{Code: "wilhelmina"}, "x")
				return err
			},
			func() error { _, err := s.Cashier.CancelAtEnd(ctx, s.Session(), c, sub, ""); return err },
		} {
			if err := verb(); billing.KindOf(err) != billing.NotFound {
				t.Errorf("it is found: %v", err)
			}
		}
		if list, n := transactions(t, s, store.TransactionFilter{}); n != 1 || len(list) != 1 {
			t.Errorf("transactions are listed: %v", list)
		}
		again := s.Customer("wilhelmina") // the code is free
		s.Card(again, "order-ux-77", "4217651111111119")
		s.MoveTo("2020-06-01")
		s.Balanced()
		proved(t, s)
		if got := books(t, s, c); !strings.Contains(got, "invoice 20.00") || strings.Count(got, "invoice") != strings.Count(before, "invoice") {
			t.Errorf("something was billed after all:\n%s", got)
		}
	})
}

// TestEraseWaits: who has a payment under way is not erased before its outcome is
// known.
func TestEraseWaits(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		card := s.Card(c, "", "4000000000006058") // the bank acts and says nothing
		s.Line.Down.Store(false)
		_ = card
		s.Cashier.Step = func(_ context.Context, name string) {
			if name == "charge: intention committed" {
				panic("dies")
			}
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Cashier.Charge(ctx, s.Session(), c, cashier.ChargeRequest{Amount: 600, Method: s.Card(c, "", "4111111111111111")})
		}()
		s.Cashier.Step = func(context.Context, string) {}
		if err := s.Cashier.Erase(ctx, s.Session(), c); billing.KindOf(err) != billing.InProgress {
			t.Errorf("erased under way: %v", err)
		}
		rescue(t, s, 3e11)
		if err := s.Cashier.Erase(ctx, s.Session(), c); err != nil {
			t.Error(err)
		}
	})
}

// TestEraseSubscription: a subscription is out of every answer, and its customer and
// the books stay.
func TestEraseSubscription(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c, sub := livedIn(t, s)
		cash := s.Balance("cash:sandbox")
		if err := s.Cashier.EraseSubscription(ctx, s.Session(), c, sub); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.Scrub(ctx); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"sub-code-q", "note of the schedule"} {
			if places := kept(t, s, word); len(places) > 0 {
				t.Errorf("%q is still in %v", word, places)
			}
		}
		if err := s.Cashier.EraseSubscription(ctx, s.Session(), c, sub); billing.KindOf(err) != billing.NotFound {
			t.Errorf("twice: %v", err)
		}
		list, _ := transactions(t, s, store.TransactionFilter{Customer: billing.CustomerID(c.ID), Show: store.ShowPayments})
		for _, l := range list {
			if strings.HasPrefix(l, "charge 20.00") {
				t.Errorf("its log is told: %s", l)
			}
		}
		if s.Balance("cash:sandbox") != cash {
			t.Error("the books have changed")
		}
		s.MoveTo("2020-06-01")
		s.Balanced()
		proved(t, s)
	})
}
