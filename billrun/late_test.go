package billrun_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// What is told here was found by the simulator (package simulate), which also
// finds the shortest story that ends badly. These are those stories.

func faults(t *testing.T, s *cashiertest.Shop, list ...sandbox.Fault) {
	t.Helper()
	if err := s.Bank.SetFaults(context.Background(), s.Merchant.Code, list...); err != nil {
		t.Fatal(err)
	}
}

// clear lets leases run out and has the run ask after every attempt, hour by hour.
func clear(t *testing.T, s *cashiertest.Shop, hours int) {
	t.Helper()
	for range hours {
		s.Wall.Forward(time.Hour)
		if _, err := s.Runner.Merchant(context.Background(), s.Merchant.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// wantCash compares our books with what the bank holds for the merchant.
func wantCash(t *testing.T, s *cashiertest.Shop, cash, transit int64) {
	t.Helper()
	if n := s.Balance("cash:sandbox"); n != cash {
		t.Errorf("cash is %d, not %d", n, cash)
	}
	if n := s.Balance("transit:sandbox"); n != transit {
		t.Errorf("in transit is %d, not %d", n, transit)
	}
	s.Balanced()
}

func byAccount(amount int64, number string) cashier.ChargeRequest {
	return cashier.ChargeRequest{Amount: amount, Instrument: billing.Checking, Number: billing.NewSecret(number), Routing: "021000021"}
}

func byCard(amount int64, number string) cashier.ChargeRequest {
	return cashier.ChargeRequest{Amount: amount, Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "0430"}
}

func charge(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, r cashier.ChargeRequest) *cashier.Receipt {
	t.Helper()
	receipt, err := s.Cashier.Charge(context.Background(), s.Session(), customer, r)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// TestChangeAfterBillingDate changes a subscription while the run is two days
// late: what had fallen due is billed all the same.
func TestChangeAfterBillingDate(t *testing.T) {
	changes := map[string]func(*cashiertest.Shop, cashier.Ref, cashier.Ref) error{
		"cancel": func(s *cashiertest.Shop, c, sub cashier.Ref) error {
			_, err := s.Cashier.Cancel(context.Background(), s.Session(), c, sub, billing.Date{}, "")
			return err
		},
		"pause": func(s *cashiertest.Shop, c, sub cashier.Ref) error {
			_, err := s.Cashier.Pause(context.Background(), s.Session(), c, sub, billing.Date{}, "")
			return err
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				customer := s.Customer("customer1")
				sub := s.Subscribe(customer, s.Plan("p", billing.Monthly, 1999), s.Card(customer, "card1", visa), "2020-01-10")
				s.SetClock("2020-03-12")
				if err := change(s, customer, sub); err != nil {
					t.Fatal(err)
				}
				s.MoveTo("2020-05-01")
				if got := dates(s, customer); len(got) != 3 || got[0] != "2020-01-10" || got[2] != "2020-03-10" {
					t.Errorf("billed for %v", got)
				}
				wantCash(t, s, 3*1999, 0)
			})
		})
	}
}

// TestClearingOutlastsIgnorance asks about a claim in clearing when the bank is
// busy, or has not seen it five days running: it settles once, when it settles.
func TestClearingOutlastsIgnorance(t *testing.T) {
	for _, do := range []sandbox.Trouble{sandbox.InProgress, sandbox.Unseen, sandbox.ErrorAfter} {
		t.Run(string(do), func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				customer := s.Customer("customer1")
				s.Subscribe(customer, s.Plan("p", billing.Yearly, 1999), s.BankAccount(customer, "a"), "2020-01-10")
				s.MoveTo("2020-01-10")
				wantCash(t, s, 0, 1999)
				faults(t, s, sandbox.Fault{On: []string{sandbox.OnLookup}, Do: do})
				for _, day := range []string{"2020-01-14", "2020-01-15", "2020-01-16", "2020-01-17", "2020-01-18"} {
					s.MoveTo(day)
					clear(t, s, 1)
					wantCash(t, s, 0, 1999)
				}
				faults(t, s)
				s.MoveTo("2020-01-25")
				clear(t, s, 2)
				wantCash(t, s, 1999, 0)
			})
		})
	}
}

// TestReturnWhileVoided lets a claim's settlement day come while nobody knows yet
// whether its void was done: the void decides.
func TestReturnWhileVoided(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		paid := charge(t, s, customer, byAccount(1999, "4099999992"))
		faults(t, s, sandbox.Fault{On: []string{"void"}, Do: sandbox.ErrorAfter, Count: 1},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorAfter, Count: 1})
		_, err := s.Cashier.Reverse(context.Background(), s.Session(), customer, cashier.Ref{ID: int64(paid.Activity.ID)}, "")
		if billing.KindOf(err) != billing.OutcomeUnknown {
			t.Fatalf("reverse: %v", err)
		}
		s.MoveTo("2020-01-20")
		clear(t, s, 2)
		wantCash(t, s, 0, 0)
		for _, a := range s.Activities(customer) {
			if a.Kind != billing.Claim && a.Kind != billing.Void || a.State != billing.Posted || a.Open.Sign() != 0 {
				t.Errorf("%s is %s with %s open", a.Kind, a.State, a.Open.Decimal())
			}
		}
	})
}

// TestNoticeBeforeOutcome has a chargeback come while the charge's own answer is
// not written down: it waits, and stops nothing.
func TestNoticeBeforeOutcome(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		s.Cashier.Step = func(ctx context.Context, name string) {
			if name == "charge: answered" {
				s.Cashier.Step = func(context.Context, string) {}
				s.MoveTo("2020-01-10")
			}
		}
		charge(t, s, customer, byCard(1999, "4000000000000259"))
		wantCash(t, s, 1999, 0)
		s.MoveTo("2020-01-12")
		wantCash(t, s, 0, 0)
	})
}

// TestDebtOutlivesPayment lets a payment that would have covered a debt come to
// nothing: the run goes on with the debt as if nobody had tried.
func TestDebtOutlivesPayment(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		s.Subscribe(customer, s.Plan("p", billing.Yearly, 8000), s.Card(customer, "card1", visa), "2020-01-10")
		s.MoveTo("2020-01-10") // no funds; again on the 13th
		debt := s.Activities(customer)[0]
		r := byCard(8000, "4000000000009995")
		r.Invoices = []cashier.Ref{{ID: int64(debt.ID)}}
		if got := charge(t, s, customer, r); got.Attempt.State != billing.AttemptDeclined {
			t.Fatalf("the payment is %s", got.Attempt.State)
		}
		s.MoveTo("2020-01-13")
		if n := s.Journal()[sandbox.LineAuthorisation]; n != 0 {
			t.Errorf("%d good authorisations", n)
		}
		claims := 0
		for _, a := range s.Activities(customer) {
			if a.Kind == billing.Claim {
				claims++
			}
		}
		if claims != 2 {
			t.Errorf("claimed %d times by the 13th", claims)
		}
	})
}

// TestReturnedPrepayment covers an invoice with a bank debit that comes back: the
// subscription's own card is claimed.
func TestReturnedPrepayment(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		s.Subscribe(customer, s.Plan("p", billing.Yearly, 1999), s.Card(customer, "card1", visa), "2020-01-01")
		charge(t, s, customer, byAccount(5000, "9000000108"))
		s.MoveTo("2020-01-01")
		wantCash(t, s, 0, 5000)
		s.MoveTo("2020-01-10")
		wantCash(t, s, 1999, 0)
	})
}

// TestTooLateToSend has a worker stand still between intention and sending until
// rescue has given the charge up: it is not sent any more.
func TestTooLateToSend(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		s.Cashier.Step = func(_ context.Context, name string) {
			if name == "charge: intention committed" {
				s.Cashier.Step = func(context.Context, string) {}
				clear(t, s, 8)
			}
		}
		if got := charge(t, s, customer, byCard(1999, visa)); got.Attempt.State != billing.AttemptDeclined {
			t.Errorf("the attempt is %s", got.Attempt.State)
		}
		if n := s.Journal()[sandbox.LineCapture]; n != 0 {
			t.Errorf("captured %d times", n)
		}
		wantCash(t, s, 0, 0)
	})
}

// TestRefusalOfSecondSending loses a claim on its way, has its worker die, and
// the bank refuse the second sending: that proves nothing of the first.
func TestRefusalOfSecondSending(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		s.Subscribe(customer, s.Plan("p", billing.Yearly, 1999), s.Card(customer, "card1", visa), "2020-01-01")
		faults(t, s, sandbox.Fault{On: []string{"charge"}, Do: sandbox.Late, Count: 1, Lookups: -1},
			sandbox.Fault{On: []string{"charge"}, Do: sandbox.ErrorBefore})
		type death struct{}
		s.Cashier.Step = func(_ context.Context, name string) {
			if name == "send: answered" {
				panic(death{})
			}
		}
		s.SetClock("2020-01-01")
		worker := billrun.New(billrun.Options{Store: s.Store, Cashier: s.Cashier, Now: s.Wall.Now, Log: slog.New(slog.DiscardHandler), InFlight: 1})
		func() {
			defer func() {
				if _, ok := recover().(death); !ok {
					t.Error("the worker did not die")
				}
			}()
			_, _ = worker.Merchant(ctx, s.Merchant.ID)
		}()
		s.Cashier.Step = func(context.Context, string) {}
		clear(t, s, 1) // refused
		if _, err := s.Bank.Deliver(ctx); err != nil {
			t.Fatal(err)
		}
		faults(t, s)
		clear(t, s, 8)
		s.MoveTo("2020-01-05")
		if n := s.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("captured %d times", n)
		}
		wantCash(t, s, 1999, 0)
	})
}

// TestPatienceCountsAnswers gives a charge up when the bank has said three times
// that it has not seen it, not when it could not be asked.
func TestPatienceCountsAnswers(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		faults(t, s, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorAfter, Count: 5},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.Unseen, Count: 2})
		charge(t, s, customer, byCard(1999, visa))
		clear(t, s, 40)
		wantCash(t, s, 1999, 0)
	})
}

// TestFeeIsCoveredAtOnce charges fees to a customer who has a credit.
func TestFeeIsCoveredAtOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(x *billing.Settings) { x.Fees.Enrollment, x.Fees.Freeze = 500, 200 })
		customer := s.Customer("customer1")
		charge(t, s, customer, byCard(1999, visa))
		sub := s.Subscribe(customer, s.Plan("p", billing.Monthly, 1000), s.Card(customer, "card1", visa), "2020-02-01")
		from, _ := billing.ParseDate("2020-02-01")
		if _, err := s.Cashier.Freeze(context.Background(), s.Session(), customer, sub, cashier.FreezeRequest{From: from, Length: 1}); err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Activities(customer) {
			if want := map[billing.ActivityKind]int64{billing.Payment: 1999 - 700}[a.Kind]; a.Open.Minor() != want {
				t.Errorf("%s has %s open", a.Kind, a.Open.Decimal())
			}
		}
	})
}

// TestChargebackReversedAfterVoid has the bank charge back, give back, and then
// take a void that was asked for earlier: in the end nobody holds anything.
func TestChargebackReversedAfterVoid(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		paid := charge(t, s, customer, byCard(1999, "4000000000000267"))
		s.Cashier.Step = func(ctx context.Context, name string) {
			if name != "reverse: chosen" {
				return
			}
			s.Cashier.Step = func(context.Context, string) {}
			driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(s.Bank))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := driver.Notices(ctx, s.Merchant.Code, 0, time.Date(2020, 1, 20, 0, 0, 0, 0, time.UTC)); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(paid.Activity.ID)}, ""); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-20")
		wantCash(t, s, 0, 0)
	})
}
