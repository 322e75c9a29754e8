package billrun_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

const visa = "4111111111111111"

// dates lists the due dates of the invoices in a customer's account.
func dates(s *cashiertest.Shop, customer cashier.Ref) []string {
	var list []string
	for _, a := range s.Activities(customer) {
		if a.Kind == billing.Invoice {
			list = append(list, a.Due.String())
		}
	}
	return list
}

// TestYear bills a year by bank account in one jump and by daily steps: twelve
// invoices on the right days, twelve claims settled, the same books.
func TestYear(t *testing.T) {
	for _, first := range []string{"2020-01-01", "2020-01-31"} {
		t.Run(first, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				plan := s.Plan("standard_monthly", billing.Monthly, 1999)
				customer := s.Customer("customer1")
				s.Subscribe(customer, plan, s.BankAccount(customer, "account1"), first)
				sum := s.MoveTo("2020-12-31")
				if sum.Invoices != 12 {
					t.Errorf("one jump made %d invoices", sum.Invoices)
				}
				s.MoveTo("2021-01-10")
				jumped := s.Books(customer)
				first, _ := billing.ParseDate(first)
				var want []string
				for k := range 12 {
					want = append(want, billing.Monthly.Date(first, k).String())
				}
				if diff := cmp.Diff(want, dates(s, customer)[:12]); diff != "" {
					t.Errorf("invoice dates (-want +got):\n%s", diff)
				}
				if n := s.Journal()[sandbox.LineSettlement]; n < 12 {
					t.Errorf("%d claims settled", n)
				}
				s.Balanced()

				daily := cashiertest.Open(t, anotherAddress(t, s))
				plan = daily.Plan("standard_monthly", billing.Monthly, 1999)
				customer = daily.Customer("customer1")
				daily.Subscribe(customer, plan, daily.BankAccount(customer, "account1"), first.String())
				for day := (billing.Date{Year: 2020, Month: 1, Day: 1}); day.Before(billing.Date{Year: 2021, Month: 1, Day: 11}); day = day.AddDays(1) {
					daily.MoveTo(day.String())
				}
				if diff := cmp.Diff(jumped, daily.Books(customer)); diff != "" {
					t.Errorf("daily steps and one jump differ (-jump +daily):\n%s", diff)
				}
			})
		})
	}
}

// TestRetries declines a renewal and follows the documented schedule: 3, 7 and
// 14 days after, then not again until the next billing, whose claim covers both.
func TestRetries(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("poor", billing.Monthly, 8000) // 80.00: insufficient funds at the sandbox bank
		customer := s.Customer("customer1")
		s.Subscribe(customer, plan, s.Card(customer, "card1", visa), "2020-01-10")
		s.MoveTo("2020-02-08")
		want := `2020-01-10 invoice 80.00 open 80.00 posted due 2020-01-10
2020-01-10 claim 80.00 open 0.00 declined due 2020-01-10
2020-01-10 decline 80.00 open 0.00 declined due 2020-01-10
2020-01-13 claim 80.00 open 0.00 declined due 2020-01-13
2020-01-13 decline 80.00 open 0.00 declined due 2020-01-13
2020-01-17 claim 80.00 open 0.00 declined due 2020-01-17
2020-01-17 decline 80.00 open 0.00 declined due 2020-01-17
2020-01-24 claim 80.00 open 0.00 declined due 2020-01-24
2020-01-24 decline 80.00 open 0.00 declined due 2020-01-24
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.MoveTo("2020-02-10") // 160.00 is approved at the sandbox bank
		want += `2020-02-10 invoice 80.00 open 0.00 posted due 2020-02-10
2020-02-10 claim 160.00 open 0.00 posted due 2020-02-10
`
		if diff := cmp.Diff(strings.Replace(want, "open 80.00", "open 0.00", 1), s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// TestNewCardCollects lets a card be declined for good; another card pays what
// is open, without waiting for the next billing.
func TestNewCardCollects(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		plan := s.Plan("lost", billing.Monthly, 11000) // 110.00: lost card at the sandbox bank
		customer := s.Customer("customer1")
		card := s.Card(customer, "card1", visa)
		sub := s.Subscribe(customer, plan, card, "2020-01-10")
		s.MoveTo("2020-01-30")
		if n := len(s.Activities(customer)); n != 3 {
			t.Fatalf("a hard decline was tried again:\n%s", s.Books(customer))
		}
		if err := s.Bank.SetFaults(ctx, "demo"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.Record(ctx, s.Session(), customer, cashier.RecordRequest{Kind: billing.Credit, Amount: 1000}); err != nil {
			t.Fatal(err) // what remains, 100.00, is answered with 82; then a credit more makes it good
		}
		if _, err := s.Cashier.Record(ctx, s.Session(), customer, cashier.RecordRequest{Kind: billing.Credit, Amount: 4000}); err != nil {
			t.Fatal(err)
		}
		fresh := s.Card(customer, "card2", "5499740000000057")
		if _, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, sub, nil, &fresh); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-31")
		got := s.Books(customer)
		if !strings.Contains(got, "claim 60.00 open 0.00 posted") || strings.Contains(got, "open 60.00") {
			t.Errorf("the new card did not pay the debt:\n%s", got)
		}
		s.Balanced()
	})
}

// TestFreezeAndTerm freezes three of twelve payments: the term moves back, the
// subscription ends when its twelfth invoice is paid, and not before.
func TestFreezeAndTerm(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		plan := s.Plan("gym", billing.Monthly, 4999)
		customer := s.Customer("customer1")
		sub := s.Subscribe(customer, plan, s.BankAccount(customer, "account1"), "2020-01-01", func(r *cashier.SubscribeRequest) {
			r.Term, r.Length = billing.Fixed, 12
		})
		s.MoveTo("2020-03-15")
		if _, err := s.Cashier.Freeze(ctx, s.Session(), customer, sub, cashier.FreezeRequest{From: billing.Date{Year: 2020, Month: 4, Day: 2}, Length: 3}); billing.KindOf(err) != billing.State {
			t.Errorf("a freeze from a date that is no billing date: %v", err)
		}
		if _, err := s.Cashier.Freeze(ctx, s.Session(), customer, sub, cashier.FreezeRequest{From: billing.Date{Year: 2020, Month: 4, Day: 1}, Length: 3}); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-05-15")
		if st := s.Subscription(sub).Status; st != billing.Frozen {
			t.Errorf("status %s while frozen", st)
		}
		s.MoveTo("2021-03-02")
		if st := s.Subscription(sub).Status; st != billing.Current {
			t.Errorf("status %s while the last claim is in clearing:\n%s", st, s.Books(customer))
		}
		s.MoveTo("2021-06-01")
		if st := s.Subscription(sub).Status; st != billing.Expired {
			t.Errorf("status %s after the term", st)
		}
		want := []string{"2020-01-01", "2020-02-01", "2020-03-01", "2020-07-01", "2020-08-01", "2020-09-01", "2020-10-01", "2020-11-01",
			"2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01"}
		if diff := cmp.Diff(want, dates(s, customer)); diff != "" {
			t.Errorf("invoice dates (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// TestReturnedClaim has a bank account's claim come back after three days: the
// invoice is open again and is claimed on the days of the schedule.
func TestReturnedClaim(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("poor", billing.Monthly, 8000)
		customer := s.Customer("customer1")
		s.Subscribe(customer, plan, s.BankAccount(customer, "account1"), "2020-01-10")
		s.MoveTo("2020-01-11")
		if got := s.Balance("transit:sandbox"); got != 8000 {
			t.Errorf("%d in transit while the claim is in clearing", got)
		}
		s.MoveTo("2020-01-16")
		want := `2020-01-10 invoice 80.00 open 0.00 posted due 2020-01-10
2020-01-10 claim 80.00 open 0.00 declined due 2020-01-10
2020-01-13 decline 80.00 open 0.00 posted due 2020-01-13
2020-01-16 claim 80.00 open 0.00 pending due 2020-01-16
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// TestPrepaymentIsUsedFirst pays in advance by cash: no claim is made while the
// money lasts.
func TestPrepaymentIsUsedFirst(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		plan := s.Plan("standard_monthly", billing.Monthly, 1999)
		customer := s.Customer("customer1")
		s.Subscribe(customer, plan, s.Card(customer, "card1", visa), "2020-01-01")
		if _, err := s.Cashier.Record(ctx, s.Session(), customer, cashier.RecordRequest{Kind: billing.Payment, Instrument: billing.Cash, Amount: 5000}); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-03-02")
		want := `2019-12-31 payment 50.00 open 0.00 posted due 2019-12-31
2020-01-01 invoice 19.99 open 0.00 posted due 2020-01-01
2020-02-01 invoice 19.99 open 0.00 posted due 2020-02-01
2020-03-01 invoice 19.99 open 0.00 posted due 2020-03-01
2020-03-01 claim 9.97 open 0.00 posted due 2020-03-01
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// TestFees turns on every fee that a run can charge.
func TestFees(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(set *billing.Settings) {
			set.RetryDays = []int{3}
			set.Fees = billing.Fees{SoftDecline: 100, HardDecline: 200, Late: 300, LateAfterDays: 10}
			set.WriteOffAfterDays = 25
		})
		plan := s.Plan("poor", billing.Yearly, 8000)
		customer := s.Customer("customer1")
		s.Subscribe(customer, plan, s.Card(customer, "card1", visa), "2020-01-01")
		s.MoveTo("2020-03-01")
		want := `2020-01-01 invoice 80.00 open 0.00 posted due 2020-01-01
2020-01-01 claim 80.00 open 0.00 declined due 2020-01-01
2020-01-01 decline 80.00 open 0.00 declined due 2020-01-01
2020-01-01 service-fee 1.00 open 0.00 posted due 2020-01-01
2020-01-04 claim 81.00 open 0.00 declined due 2020-01-04
2020-01-04 decline 81.00 open 0.00 declined due 2020-01-04
2020-01-04 service-fee 2.00 open 0.00 posted due 2020-01-04
2020-01-11 late-fee 3.00 open 0.00 posted due 2020-01-11
2020-01-26 write-off 80.00 open 0.00 posted due 2020-01-26
2020-01-26 write-off 1.00 open 0.00 posted due 2020-01-26
2020-01-29 write-off 2.00 open 0.00 posted due 2020-01-29
2020-02-05 write-off 3.00 open 0.00 posted due 2020-02-05
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// TestTwoRunsAtOnce has two runs share the due subscriptions: each is billed
// and captured once.
func TestTwoRunsAtOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("standard_monthly", billing.Monthly, 1999)
		const many = 120
		for i := range many {
			customer := s.Customer(fmt.Sprintf("c%d", i))
			s.Subscribe(customer, plan, s.Card(customer, fmt.Sprintf("card%d", i), visa), "2020-01-01")
		}
		s.SetClock("2020-01-02")
		done := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := s.Runner.Merchant(context.Background(), s.Merchant.ID)
				done <- err
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := s.Journal()[sandbox.LineCapture]; n != many {
			t.Errorf("%d captures of %d", n, many)
		}
		s.Balanced()
	})
}

// TestUnknownIsNotChargedAgain has the bank's line cut after the capture: the
// debt stays claimed while nobody knows, whatever happens, and the look-up
// settles it.
func TestUnknownIsNotChargedAgain(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		plan := s.Plan("standard_monthly", billing.Monthly, 1999)
		customer := s.Customer("customer1")
		sub := s.Subscribe(customer, plan, s.Card(customer, "card1", visa), "2020-01-01")
		if err := s.Bank.SetFaults(ctx, "demo", sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter}, sandbox.Fault{On: []string{"lookup"}, Do: sandbox.CutBefore}); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-02")
		fresh := s.Card(customer, "card2", "5499740000000057")
		if _, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, sub, nil, &fresh); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-20")
		if !strings.Contains(s.Books(customer), "claim 19.99 open 0.00 unknown") {
			t.Fatalf("no claim stands as unknown:\n%s", s.Books(customer))
		}
		if err := s.Bank.SetFaults(ctx, "demo"); err != nil {
			t.Fatal(err)
		}
		s.Wall.Forward(time.Hour)
		s.MoveTo("2020-01-21")
		want := `2020-01-01 invoice 19.99 open 0.00 posted due 2020-01-01
2020-01-01 claim 19.99 open 0.00 posted due 2020-01-01
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		if n := s.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("%d captures", n)
		}
		s.Balanced()
	})
}

// TestBankOutOfReach has the bank's line down on billing day: that is no
// decline, no try of the schedule is used up, and the claim goes out when the
// line is back.
func TestBankOutOfReach(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("standard_monthly", billing.Monthly, 1999)
		customer := s.Customer("customer1")
		s.Subscribe(customer, plan, s.Card(customer, "card1", visa), "2020-01-01")
		s.Wall.Forward(123 * time.Nanosecond) // the world's clock is finer than the books
		s.Line.Down.Store(true)
		s.MoveTo("2020-01-01")
		want := "2020-01-01 invoice 19.99 open 19.99 posted due 2020-01-01\n"
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("while the line is down (-want +got):\n%s", diff)
		}
		s.Line.Down.Store(false)
		s.MoveTo("2020-01-02")
		want = `2020-01-01 invoice 19.99 open 0.00 posted due 2020-01-01
2020-01-01 claim 19.99 open 0.00 posted due 2020-01-01
`
		if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
			t.Errorf("books (-want +got):\n%s", diff)
		}
		s.Balanced()
	})
}

// anotherAddress is an empty database on the engine of a shop.
func anotherAddress(t *testing.T, s *cashiertest.Shop) string {
	t.Helper()
	return sqldbtest.Address(t, s.Store.Engine())
}
