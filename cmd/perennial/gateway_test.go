package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// testProcess is the surroundings of commands that run inside the test.
func testProcess(t *testing.T) *process {
	return &process{stdin: strings.NewReader(""), stdout: t.Output(), stderr: t.Output(), now: time.Now,
		lookupEnv: func(string) (string, bool) { return "", false }}
}

// testPlace is a place with empty books on an engine, and a master key.
func testPlace(t *testing.T, e sqldb.Engine) place {
	t.Helper()
	l := place{Data: t.TempDir()}
	if e == sqldb.PostgreSQL {
		l.DB, l.BankDB = sqldbtest.Address(t, e), sqldbtest.Address(t, e)
	}
	if _, err := createMasterKey(l); err != nil {
		t.Fatal(err)
	}
	return l
}

// testGateway puts a server together on a place, with the demo merchant, and
// runs it until the test ends.
func testGateway(t *testing.T, l place, clock string) *gateway {
	t.Helper()
	ctx := context.Background()
	o := (&demoCommand{Listen: "127.0.0.1:0", ProcessorTimeout: defaultTimeout}).serving()
	o.Billing = false // the tests say when
	p := testProcess(t)
	g, err := p.newGateway(ctx, l, o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.plant(ctx, p, clock); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

// onEngines runs a test on a place of each engine.
func onEngines(t *testing.T, body func(t *testing.T, l place)) {
	t.Helper()
	for _, e := range sqldbtest.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			body(t, testPlace(t, e))
		})
	}
}

// subscribe makes a customer with a card and a monthly subscription from a date.
func subscribe(t *testing.T, c *core, code, card, first string) *billing.Subscription {
	t.Helper()
	ctx := context.Background()
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	s := c.cashier.System(m)
	owner := &billing.Customer{Code: code, FirstName: "John", LastName: "Smith", Active: true}
	if err := c.cashier.Enroll(ctx, s, demoAccount, owner); err != nil {
		t.Fatal(err)
	}
	ref := cashier.Ref{ID: int64(owner.ID)}
	method, err := c.cashier.AddPaymentMethod(ctx, s, ref, cashier.MethodRequest{
		Code: code + "-card", Instrument: "visa-credit", Number: billing.NewSecret(card), Expiry: "1230", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	date, err := billing.ParseDate(first)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := c.cashier.Subscribe(ctx, s, ref, cashier.SubscribeRequest{
		Code: code + "-monthly", Plan: cashier.Ref{Code: "standard_monthly"}, PaymentMethod: cashier.Ref{ID: int64(method.ID)},
		Term: billing.Perpetual, FirstDate: date,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// advance moves the demo's clock as the command does.
func advance(t *testing.T, l place, by string) string {
	t.Helper()
	var out bytes.Buffer
	p := testProcess(t)
	p.stdout = &out
	command := clockAdvanceCommand{moving: moving{place: l, Wait: patience}, Merchant: demoMerchant, By: []string{by}}
	if err := command.Run(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// billingDates are the due dates of a customer's invoices.
func billingDates(t *testing.T, c *core, owner billing.CustomerID) (dates []string) {
	t.Helper()
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	err = c.store.View(context.Background(), m.ID, func(v *store.View) error {
		list, err := v.Activities(context.Background(), owner, store.ActivityFilter{Kind: billing.Invoice, Page: store.Page{Limit: 100}})
		for _, a := range list {
			dates = append(dates, a.Due.String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dates
}

// captures counts the captures of the demo in the bank's journal, and sums them.
func captures(t *testing.T, l place) (n int, minor int64) {
	t.Helper()
	bank, books, err := openBank(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	lines, err := bank.Journal(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		if lines[i].Kind == sandbox.LineCapture && lines[i].Good() {
			n++
			minor += lines[i].Amount.Minor()
		}
	}
	return n, minor
}

// A year in one jump leaves the invoices of a year of days.
func TestYearInAJump(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ clock, first, want string }{
		{"2019-12-31", "2020-01-01", "2020-01-01 2020-02-01 2020-03-01 2020-04-01 2020-05-01 2020-06-01 " +
			"2020-07-01 2020-08-01 2020-09-01 2020-10-01 2020-11-01 2020-12-01"},
		{"2020-01-30", "2020-01-31", "2020-01-31 2020-02-29 2020-03-31 2020-04-30 2020-05-31 2020-06-30 " +
			"2020-07-31 2020-08-31 2020-09-30 2020-10-31 2020-11-30 2020-12-31"},
	} {
		t.Run(c.first, func(t *testing.T) {
			t.Parallel()
			onEngines(t, func(t *testing.T, l place) {
				g := testGateway(t, l, c.clock)
				sub := subscribe(t, g.core, "john", "4111111111111111", c.first)
				out := advance(t, l, "1y")
				if diff := cmp.Diff(strings.Fields(c.want), billingDates(t, g.core, sub.CustomerID)); diff != "" {
					t.Errorf("billing dates (-want +got):\n%s", diff)
				}
				if n, minor := captures(t, l); n != 12 || minor != 12*1999 {
					t.Errorf("the bank captured %d times, %d in all", n, minor)
				}
				proveBooks(t, l)
				for _, line := range []string{"invoices 12", "collected 12 239.88 USD", "declined 0"} {
					if !strings.Contains(strings.Join(strings.Fields(out), " "), line) {
						t.Errorf("the command does not tell %q:\n%s", line, out)
					}
				}
			})
		})
	}
}

func TestYearOfDays(t *testing.T) {
	t.Parallel()
	l := testPlace(t, sqldb.SQLite)
	g := testGateway(t, l, "2019-12-31")
	sub := subscribe(t, g.core, "john", "4111111111111111", "2020-01-01")
	for range 60 {
		advance(t, l, "1d")
	}
	if diff := cmp.Diff([]string{"2020-01-01", "2020-02-01"}, billingDates(t, g.core, sub.CustomerID)); diff != "" {
		t.Errorf("billing dates (-want +got):\n%s", diff)
	}
	if n, _ := captures(t, l); n != 2 {
		t.Errorf("the bank captured %d times", n)
	}
}

// A server's run and a command's share the work of a jump: the bank sees the same
// at the same times of the merchant's clock as if there were one worker, and the
// command tells all of it, whoever did it.
func TestAdvanceBesideARun(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, l place) {
		alone := testPlace(t, sqldb.SQLite)
		want, _ := yearOfMany(t, alone, false)
		got, out := yearOfMany(t, l, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what the bank saw (-alone +beside a server):\n%s", diff)
		}
		proveBooks(t, l)
		if want := "invoices 120"; !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("the command does not tell %q:\n%s", want, out)
		}
	})
}

// yearOfMany bills ten customers, one of whom never pays and one who pays late,
// for a year in one jump, and returns what the bank saw and what the command
// told. If a server is beside it, that looks for work all the time.
func yearOfMany(t *testing.T, l place, beside bool) (seen []string, told string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	g := testGateway(t, l, "2019-12-31")
	cards := []string{"4000000000000002", "4000000000006017", "4111111111111111"}
	for i := range 10 {
		subscribe(t, g.core, fmt.Sprint("customer", i), cards[min(i, len(cards)-1)], "2020-01-01")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for beside && ctx.Err() == nil {
			if _, err := g.runner.Once(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	told = advance(t, l, "12mo")
	stop()
	<-ended
	lines, err := g.bank.Journal(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		seen = append(seen, fmt.Sprint(line.At.Format(time.DateOnly), " ", line.Kind, " ", line.Masked, " ", line.Amount, " ", line.Response))
	}
	slices.Sort(seen)
	return seen, told
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	l := testPlace(t, sqldb.SQLite)
	g := testGateway(t, l, "2019-12-31")
	subscribe(t, g.core, "john", "4111111111111111", "2020-01-01")
	subscribe(t, g.core, "jane", "4000000000000002", "2020-01-01")
	command := clockAdvanceCommand{moving: moving{place: l, Skip: true}, Merchant: demoMerchant, By: []string{"2d"}}
	if err := command.Run(context.Background(), testProcess(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.runner.Once(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := get(t, g.address+"/metrics")
	for _, want := range []string{
		`perennial_charges_total{kind="charge",outcome="approved"} 1`,
		`perennial_charges_total{kind="charge",outcome="declined"} 1`,
		`perennial_run_total{merchant="demo",what="invoices"} 2`,
		`perennial_run_total{merchant="demo",what="claims"} 2`,
		`perennial_processor_act_duration_seconds_count{act="charge",outcome="approved",processor="sandbox"} 1`,
		`perennial_due_subscriptions{merchant="demo"} 0`,
		`perennial_unknown_attempts{merchant="demo"} 0`,
		`perennial_queue_age_seconds{merchant="demo"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("the metrics do not hold %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "perennial_") {
				t.Log(line)
			}
		}
	}
}
