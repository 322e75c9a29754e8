// Package cashiertest opens a whole shop for tests: empty books on an engine, a
// vault, the sandbox bank with a journal of its own, a cashier, a billing run,
// and a test merchant whose clock stands until it is moved.
package cashiertest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones do not depend on the machine

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// Shop is everything a test of verbs needs.
type Shop struct {
	T        testing.TB
	Store    *store.Store
	Vault    *vault.Vault
	Bank     *sandbox.Bank
	Cashier  *cashier.Cashier
	Runner   *billrun.Runner
	Wall     *Wall
	Line     *Line // to the bank
	Merchant *billing.Merchant
	Account  *billing.Account
	Address  string // of the books
}

// Wall is the world's clock of a test: it stands until it is moved.
type Wall struct {
	mu sync.Mutex
	at time.Time
}

// Now is the time.
func (w *Wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// Forward moves the clock.
func (w *Wall) Forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// Line is the line to the bank. While it is down nothing can be sent.
type Line struct {
	Down atomic.Bool
	http.RoundTripper
}

// RoundTrip carries a request to the bank, or cannot dial.
func (l *Line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.Down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return l.RoundTripper.RoundTrip(r)
}

// Run runs body on an empty shop on each engine, in parallel.
func Run(t *testing.T, body func(t *testing.T, s *Shop)) {
	t.Helper()
	sqldbtest.RunAddress(t, func(t *testing.T, address string) { body(t, Open(t, address)) })
}

// Open opens a shop on an empty database. Its merchant is "demo", in New York,
// with account 2001, and its clock stands at nine on 31 December 2019.
func Open(t testing.TB, address string) *Shop {
	t.Helper()
	ctx := context.Background()
	s := &Shop{T: t, Address: address, Wall: &Wall{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}}
	var err error
	openStore := func(address string) (st *store.Store, err error) {
		st, err = store.Open(ctx, address, store.Options{Now: s.Wall.Now, MaxConns: 8, Volatile: true})
		if err == nil {
			err = st.Migrate(ctx)
		}
		return st, err
	}
	s.check(books.place(address, func(address string) error {
		st, err := openStore(address)
		if err != nil {
			return err
		}
		return st.Close()
	}))
	s.Store, err = openStore(address)
	s.check(err)
	t.Cleanup(func() { s.check(s.Store.Close()) })
	key, err := vault.NewMasterKey()
	s.check(err)
	s.Vault, err = vault.New(key)
	s.check(err)
	openBank := func(address string) (*sandbox.Bank, *sqldb.DB, error) {
		db, err := sqldb.Open(ctx, address, sqldb.Options{Volatile: true})
		if err != nil {
			return nil, nil, err
		}
		b, err := sandbox.New(ctx, db, sandbox.Options{})
		return b, db, err
	}
	bankAddress := sqldbtest.Address(t, sqldb.SQLite)
	s.check(bank.place(bankAddress, func(address string) error {
		_, db, err := openBank(address)
		if err != nil {
			return err
		}
		return db.Close()
	}))
	var bankDB *sqldb.DB
	s.Bank, bankDB, err = openBank(bankAddress)
	s.check(err)
	t.Cleanup(func() { s.check(bankDB.Close()) })
	s.Line = &Line{RoundTripper: sandbox.Embedded(s.Bank)}
	driver, err := sandbox.NewDriver("http://bank", s.Line)
	s.check(err)
	account, err := processor.New(driver, processor.Options{Timeout: 5 * time.Second})
	s.check(err)
	s.Cashier = cashier.New(cashier.Options{Store: s.Store, Vault: s.Vault, Now: s.Wall.Now, Log: slog.New(slog.DiscardHandler),
		Processor: func(*billing.Merchant) (*processor.Account, error) { return account, nil }})
	s.Runner = billrun.New(billrun.Options{Store: s.Store, Cashier: s.Cashier, Now: s.Wall.Now, Log: slog.New(slog.DiscardHandler)})
	s.openMerchant(ctx, "demo")
	return s
}

// Another opens a merchant of another code beside this one: the same books, bank
// and billing run.
func (s *Shop) Another(code string) *Shop {
	s.T.Helper()
	o := *s
	o.openMerchant(context.Background(), code)
	return &o
}

func (s *Shop) openMerchant(ctx context.Context, code string) {
	s.T.Helper()
	zone, err := time.LoadLocation("America/New_York")
	s.check(err)
	s.Merchant = &billing.Merchant{Code: code, Name: "Demo", Mode: billing.Test, Zone: zone, Currency: "USD",
		Clock: billing.Clock{Mode: billing.ClockFrozen, At: time.Date(2019, 12, 31, 14, 0, 0, 0, time.UTC), Set: s.Wall.Now()}}
	s.check(s.Cashier.NewMerchant(ctx, s.Merchant))
	s.Account = &billing.Account{Code: "2001", Name: "Main", CreatedAt: s.Merchant.CreatedAt}
	s.check(s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, s.Account) }))
}

func (s *Shop) check(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// Session is a session of the operator at the merchant's present.
func (s *Shop) Session() *cashier.Session {
	s.T.Helper()
	ctx := context.Background()
	m, err := s.Store.MerchantByCode(ctx, s.Merchant.Code)
	s.check(err)
	s.Merchant = m
	return s.Cashier.System(m)
}

// Configure changes the merchant's settings.
func (s *Shop) Configure(change func(*billing.Settings)) {
	s.T.Helper()
	ctx := context.Background()
	s.check(s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
		m, err := tx.Merchant(ctx)
		if err != nil {
			return err
		}
		change(&m.Settings)
		return tx.UpdateMerchant(ctx, m)
	}))
}

// MoveTo moves the merchant's clock to nine in the morning of a day and does
// all that has become due.
func (s *Shop) MoveTo(day string) billrun.Summary {
	s.T.Helper()
	ctx := context.Background()
	s.SetClock(day)
	sum, err := s.Runner.Merchant(ctx, s.Merchant.ID)
	s.check(err)
	return sum
}

// SetClock moves the merchant's clock to nine in the morning of a day.
func (s *Shop) SetClock(day string) {
	s.T.Helper()
	d, err := billing.ParseDate(day)
	s.check(err)
	_, err = s.Cashier.SetClock(context.Background(), s.Merchant.ID, billing.ClockFrozen, s.Merchant.Start(d).Add(9*time.Hour))
	s.check(err)
}

// Customer enrols a customer.
func (s *Shop) Customer(code string) cashier.Ref {
	s.T.Helper()
	c := &billing.Customer{Code: code, FirstName: "John", LastName: "Smith", Active: true}
	s.check(s.Cashier.Enroll(context.Background(), s.Session(), s.Account.Code, c))
	return cashier.Ref{ID: int64(c.ID)}
}

// Card gives a customer a card.
func (s *Shop) Card(customer cashier.Ref, code, number string) cashier.Ref {
	s.T.Helper()
	return s.method(customer, cashier.MethodRequest{Code: code, Instrument: billing.VisaCredit, Number: billing.NewSecret(number),
		Expiry: "0430", Active: true})
}

// BankAccount gives a customer the sandbox bank's checking account.
func (s *Shop) BankAccount(customer cashier.Ref, code string) cashier.Ref {
	s.T.Helper()
	return s.method(customer, cashier.MethodRequest{Code: code, Instrument: billing.Checking, Number: billing.NewSecret("4099999992"),
		Routing: "021000021", Active: true})
}

func (s *Shop) method(customer cashier.Ref, r cashier.MethodRequest) cashier.Ref {
	s.T.Helper()
	m, err := s.Cashier.AddPaymentMethod(context.Background(), s.Session(), customer, r)
	s.check(err)
	return cashier.Ref{ID: int64(m.ID)}
}

// Plan makes a plan.
func (s *Shop) Plan(code string, cycle billing.Cycle, amount int64) cashier.Ref {
	s.T.Helper()
	p := &billing.Plan{Code: code, Name: code, Cycle: cycle, Amount: billing.Minor(amount, "USD"), Tax: billing.Minor(0, "USD"), Active: true}
	s.check(s.Cashier.CreatePlan(context.Background(), s.Session(), s.Account.Code, p))
	return cashier.Ref{ID: int64(p.ID)}
}

// Subscribe subscribes a customer from a day on.
func (s *Shop) Subscribe(customer, plan, method cashier.Ref, first string, change ...func(*cashier.SubscribeRequest)) cashier.Ref {
	s.T.Helper()
	d, err := billing.ParseDate(first)
	s.check(err)
	r := cashier.SubscribeRequest{Plan: plan, PaymentMethod: method, Term: billing.Perpetual, FirstDate: d}
	for _, f := range change {
		f(&r)
	}
	sub, err := s.Cashier.Subscribe(context.Background(), s.Session(), customer, r)
	s.check(err)
	return cashier.Ref{ID: int64(sub.ID)}
}

// Subscription reads a subscription.
func (s *Shop) Subscription(r cashier.Ref) (sub *billing.Subscription) {
	s.T.Helper()
	ctx := context.Background()
	s.check(s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		sub, err = v.Subscription(ctx, billing.SubscriptionID(r.ID))
		return err
	}))
	return sub
}

// Activities lists a customer's account.
func (s *Shop) Activities(customer cashier.Ref) (list []*billing.Activity) {
	s.T.Helper()
	ctx := context.Background()
	s.check(s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Activities(ctx, billing.CustomerID(customer.ID), store.ActivityFilter{Page: store.Page{Limit: 10000}})
		return err
	}))
	return list
}

// Account shows a customer's account as text, a line an activity: when it was
// made, kind, amount, what is open, state and due date.
func (s *Shop) Books(customer cashier.Ref) string {
	s.T.Helper()
	var b strings.Builder
	for _, a := range s.Activities(customer) {
		b.WriteString(strings.Join([]string{a.CreatedAt.In(s.Merchant.Zone).Format(time.DateOnly), string(a.Kind), a.Amount.Decimal(),
			"open", a.Open.Decimal(), string(a.State), "due", a.Due.String()}, " ") + "\n")
	}
	return b.String()
}

// Journal counts the lines of the bank's journal by kind, good ones only.
func (s *Shop) Journal() map[sandbox.LineKind]int {
	s.T.Helper()
	lines, err := s.Bank.Journal(context.Background(), s.Merchant.Code)
	s.check(err)
	count := make(map[sandbox.LineKind]int)
	for _, l := range lines {
		if l.Good() {
			count[l.Kind]++
		}
	}
	return count
}

// Balanced checks the merchant's books: entries sum to zero in all, and the
// receivable is what the customers owe less what is unallocated.
func (s *Shop) Balanced() {
	s.T.Helper()
	ctx := context.Background()
	var balances []store.Balance
	s.check(s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		balances, err = v.Balances(ctx)
		return err
	}))
	sum := map[billing.Currency]int64{}
	for _, b := range balances {
		sum[b.Amount.Currency()] += b.Amount.Minor()
	}
	for c, n := range sum {
		if n != 0 {
			s.T.Errorf("the entries in %s sum to %d", c, n)
		}
	}
}

// Balance is what an account of the books holds, in minor units.
func (s *Shop) Balance(l billing.Ledger) int64 {
	s.T.Helper()
	ctx := context.Background()
	var balances []store.Balance
	s.check(s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		balances, err = v.Balances(ctx)
		return err
	}))
	i := slices.IndexFunc(balances, func(b store.Balance) bool { return b.Ledger == l })
	if i < 0 {
		return 0
	}
	return balances[i].Amount.Minor()
}

// Method reads a payment method.
func (s *Shop) Method(r cashier.Ref) (m *billing.PaymentMethod) {
	s.T.Helper()
	ctx := context.Background()
	s.check(s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		m, err = v.PaymentMethod(ctx, billing.PaymentMethodID(r.ID))
		return err
	}))
	return m
}
