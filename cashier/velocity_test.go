package cashier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// threeADay is three charges of a consumer a day, on all accounts together.
func threeADay(change ...func(*billing.Velocity)) func(*billing.Settings) {
	return func(s *billing.Settings) {
		s.Velocity = billing.Velocity{Rules: []billing.VelocityRule{{Name: "three-a-day", Count: 3, Window: "1d"}}}
		for _, f := range change {
			f(&s.Velocity)
		}
	}
}

// tryCharge charges and tells which rule refused, "" if none did.
func tryCharge(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, r cashier.ChargeRequest) string {
	t.Helper()
	_, err := s.Cashier.Charge(context.Background(), s.Session(), customer, r)
	return refusedBy(t, err)
}

func refusedBy(t *testing.T, err error) string {
	t.Helper()
	var refusal *billing.VelocityRefusal
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &refusal) || billing.KindOf(err) != billing.Limited:
		t.Errorf("not a refusal of kind limited: %v", err)
		return "?"
	}
	return refusal.Rule
}

func stored(amount int64, method cashier.Ref) cashier.ChargeRequest {
	return cashier.ChargeRequest{Amount: amount, Method: method}
}

// shoppers are three customers in two accounts, all with one card.
func shoppers(t *testing.T, s *cashiertest.Shop) (customers, cards []cashier.Ref) {
	t.Helper()
	ctx := context.Background()
	second := &billing.Account{Code: "0001", Name: "Second", CreatedAt: s.Session().Now}
	if err := s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, second) }); err != nil {
		t.Fatal(err)
	}
	plan := s.Plan("gym", billing.Monthly, 1999)
	for i, account := range []string{"2001", "2001", "0001"} {
		c := &billing.Customer{Code: fmt.Sprintf("c%d", i), FirstName: "John", LastName: "Smith", Active: true}
		if err := s.Cashier.Enroll(ctx, s.Session(), account, c); err != nil {
			t.Fatal(err)
		}
		customer := cashier.Ref{ID: int64(c.ID)}
		card := s.Card(customer, fmt.Sprintf("card%d", i), visa)
		if account == "2001" {
			s.Subscribe(customer, plan, card, "2020-06-01")
		}
		customers, cards = append(customers, customer), append(cards, card)
	}
	return customers, cards
}

// refusals lists the log, the latest first, as rule, kind and amount.
func refusals(t *testing.T, s *cashiertest.Shop) []string {
	t.Helper()
	ctx := context.Background()
	var list []store.Refusal
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Refusals(ctx, 1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range list {
		if strings.Contains(fmt.Sprint(r), visa) {
			t.Error("the log of refusals has a card number")
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s", r.Rule, r.Kind, r.Amount, r.Masked))
	}
	return lines
}

// TestFiftyAtOnce charges one card fifty times at once, over three customers in
// two accounts: exactly three get through, and each refusal is written down.
func TestFiftyAtOnce(t *testing.T) {
	for name, limit := range map[string]func(*billing.Settings){
		"count": threeADay(),
		"amount": threeADay(func(v *billing.Velocity) {
			v.Rules = []billing.VelocityRule{{Name: "hundred-a-week", Amount: 10000, Window: "7d"}} // three of 30.00
		}),
	} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				s.Configure(limit)
				customers, cards := shoppers(t, s)
				session := s.Session()
				var wait sync.WaitGroup
				outcomes := make([]string, 50)
				for i := range outcomes {
					wait.Go(func() {
						_, err := s.Cashier.Charge(context.Background(), session, customers[i%3], stored(3000, cards[i%3]))
						outcomes[i] = refusedBy(t, err)
					})
				}
				wait.Wait()
				through := 0
				for _, o := range outcomes {
					if o == "" {
						through++
					}
				}
				if through != 3 || s.Journal()[sandbox.LineCapture] != 3 {
					t.Errorf("%d got through, the bank captured %d", through, s.Journal()[sandbox.LineCapture])
				}
				if n := len(refusals(t, s)); n != 47 {
					t.Errorf("%d refusals are written down", n)
				}
				s.Balanced()
			})
		})
	}
}

// TestFiftySalesAtOnce is TestFiftyAtOnce with sales: each enrols its buyer anew,
// in one of two accounts, and a refused one leaves nobody behind.
func TestFiftySalesAtOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(threeADay())
		_, cards := shoppers(t, s)
		session := s.Session()
		var wait sync.WaitGroup
		outcomes := make([]string, 50)
		for i := range outcomes {
			wait.Go(func() {
				_, err := s.Cashier.Sell(context.Background(), session, cashier.SaleRequest{Account: []string{"2001", "0001"}[i%2],
					Method: billing.PaymentMethodID(cards[i%3].ID), Terms: billing.Terms{Currency: "USD", Initial: 500, InitialDays: 30}})
				outcomes[i] = refusedBy(t, err)
			})
		}
		wait.Wait()
		through := 0
		for _, o := range outcomes {
			if o == "" {
				through++
			}
		}
		var customers []*billing.Customer
		err := session.Books.View(context.Background(), func(v *store.View) (err error) {
			customers, err = v.Customers(context.Background(), store.CustomerFilter{Page: store.Page{Limit: 100}})
			return err
		})
		if err != nil || through != 3 || len(customers) != 3+3 || len(refusals(t, s)) != 47 {
			t.Errorf("%d sales, %d customers, %d refusals: %v", through, len(customers), len(refusals(t, s)), err)
		}
		s.Balanced()
	})
}

// TestOthersAreFree charges two cards at once: neither waits for, nor counts
// against, the other.
func TestOthersAreFree(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(threeADay())
		customer := s.Customer("customer1")
		first, second := s.Card(customer, "card1", visa), s.Card(customer, "card2", "4000000000000002")
		for range 3 {
			charge(t, s, customer, stored(100, first))
		}
		if got := tryCharge(t, s, customer, byCard(100)); got != "three-a-day" {
			t.Errorf("the same number in the clear: %q", got)
		}
		charge(t, s, customer, stored(100, second))
	})
}

// TestWindowSlides lets the next charge through when the first is a day old, by
// the merchant's clock.
func TestWindowSlides(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(threeADay())
		customer := s.Customer("customer1")
		card := s.Card(customer, "card1", visa)
		for range 3 {
			charge(t, s, customer, stored(100, card))
		}
		s.Wall.Forward(48 * time.Hour) // the world's time is not the merchant's
		if got := tryCharge(t, s, customer, stored(100, card)); got != "three-a-day" {
			t.Fatalf("refused by %q", got)
		}
		s.SetClock("2020-01-01") // the same hour of the next day: a whole window on
		charge(t, s, customer, stored(100, card))
		want := []string{"three-a-day count 1.00 USD 4***********1111"}
		if diff := cmp.Diff(want, refusals(t, s)); diff != "" {
			t.Errorf("refusals (-want +got):\n%s", diff)
		}
	})
}

// TestDeclinedDoesNotCount leaves declined charges out, unless the rule counts
// attempts.
func TestDeclinedDoesNotCount(t *testing.T) {
	for attempts, want := range map[bool]string{false: "", true: "three-a-day"} {
		t.Run(fmt.Sprint(attempts), func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Attempts = attempts }))
				customer := s.Customer("customer1")
				for range 3 {
					if r := charge(t, s, customer, byCard(8000)); r.Attempt.State != billing.AttemptDeclined {
						t.Fatalf("the bank said %s", r.Attempt.State)
					}
				}
				if got := tryCharge(t, s, customer, byCard(100)); got != want {
					t.Errorf("refused by %q, want %q", got, want)
				}
			})
		})
	}
}

// TestReplayCountsOnce repeats an idempotent charge: it is counted once, and a
// replay is answered even at the limit.
func TestReplayCountsOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Count = 2 }))
		customer := s.Customer("customer1")
		keyed := func(key string) cashier.ChargeRequest {
			return byCard(100, func(r *cashier.ChargeRequest) { r.Key = key })
		}
		for range 5 {
			charge(t, s, customer, keyed("a"))
		}
		charge(t, s, customer, keyed("b"))
		if got := tryCharge(t, s, customer, keyed("c")); got != "three-a-day" {
			t.Errorf("refused by %q", got)
		}
		if r := charge(t, s, customer, keyed("b")); !r.Replayed {
			t.Error("not a replay")
		}
		s.SetClock("2020-01-02")
		if r := charge(t, s, customer, keyed("c")); r.Replayed {
			t.Error("the refused charge was kept under its key")
		}
	})
}

// TestCrashCountsOnce loses the process between the intention and the outcome of
// a charge: it counts while nobody knows, and once when it is known.
func TestCrashCountsOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Count = 2 }))
		customer := s.Customer("customer1")
		card := s.Card(customer, "card1", visa)
		died := errors.New("died")
		s.Cashier.Step = func(_ context.Context, name string) {
			if name == "charge: intention committed" {
				panic(died)
			}
		}
		func() {
			defer func() {
				if recover() != died {
					t.Error("the process lives")
				}
			}()
			_, _ = s.Cashier.Charge(ctx, s.Session(), customer, stored(100, card)) // it does not return
		}()
		s.Cashier.Step = func(context.Context, string) {}
		charge(t, s, customer, stored(100, card))
		if got := tryCharge(t, s, customer, stored(100, card)); got != "three-a-day" {
			t.Errorf("while nobody knows: refused by %q", got)
		}
		s.Wall.Forward(time.Hour)
		if _, err := s.Runner.Merchant(ctx, s.Merchant.ID); err != nil {
			t.Fatal(err)
		}
		if n := s.Journal()[sandbox.LineCapture]; n != 2 {
			t.Errorf("%d captures after the rescue", n)
		}
		if got := tryCharge(t, s, customer, stored(100, card)); got != "three-a-day" {
			t.Errorf("when it is known: refused by %q", got)
		}
		standing := standingOf(t, s, customer)
		if len(standing) != 1 || len(standing[0].Uses) != 1 || standing[0].Uses[0].Count != 2 || standing[0].Uses[0].Limit != 2 {
			t.Errorf("standing %+v", standing)
		}
	})
}

func standingOf(t *testing.T, s *cashiertest.Shop, customer cashier.Ref) (list []cashier.Standing) {
	t.Helper()
	ctx := context.Background()
	session := s.Session()
	err := session.Books.View(ctx, func(v *store.View) (err error) {
		list, err = session.Standing(ctx, v, customer, session.Now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTrusted lets a trusted consumer pass until the trust ends, on every
// customer with the card.
func TestTrusted(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Window = "30d" }))
		customers, cards := shoppers(t, s)
		for range 3 {
			charge(t, s, customers[0], stored(100, cards[0]))
		}
		session := s.Session()
		n, err := s.Cashier.Trust(ctx, session, customers[0], cashier.Ref{}, billing.Trust{Percent: 200, Until: session.Now.AddDate(0, 0, 2), Reason: "a friend"})
		if err != nil || n != 1 {
			t.Fatalf("%d trusted: %v", n, err)
		}
		for range 3 {
			charge(t, s, customers[2], stored(100, cards[2]))
		}
		if got := tryCharge(t, s, customers[1], stored(100, cards[1])); got != "three-a-day" {
			t.Errorf("the seventh: refused by %q", got)
		}
		if _, err := s.Cashier.Trust(ctx, session, customers[1], cashier.Ref{}, billing.Trust{Until: session.Now.AddDate(0, 0, 2), Reason: "a good friend"}); err != nil {
			t.Fatal(err)
		}
		charge(t, s, customers[1], stored(100, cards[1]))
		s.SetClock("2020-01-03")
		if got := tryCharge(t, s, customers[1], stored(100, cards[1])); got != "three-a-day" {
			t.Errorf("after the trust: refused by %q", got)
		}
		if n, err := s.Cashier.Distrust(ctx, s.Session(), customers[0], cashier.Ref{}, billing.Act{Who: "clerk"}); err != nil || n != 1 {
			t.Errorf("%d were trusted: %v", n, err)
		}
		if n, err := s.Cashier.Distrust(ctx, s.Session(), customers[0], cashier.Ref{}, billing.Act{Who: "clerk"}); err != nil || n != 0 {
			t.Errorf("%d were still trusted: %v", n, err)
		}
		var acts []billing.Act
		if err := s.Session().Books.View(ctx, func(v *store.View) (err error) { acts, err = v.Acts(ctx, store.Page{Limit: 10}); return err }); err != nil || len(acts) != 3 {
			t.Errorf("acts %v: %v", acts, err)
		}
		for _, bad := range []billing.Trust{{Reason: ""}, {Reason: "x", Percent: -1}, {Reason: "x", Until: session.Now}} {
			if _, err := s.Cashier.Trust(ctx, s.Session(), customers[0], cashier.Ref{}, bad); err == nil {
				t.Errorf("%+v was given", bad)
			}
		}
		s.Configure(func(set *billing.Settings) { set.Velocity.Guards.MaxTrust = "30d" })
		if _, err := s.Cashier.Trust(ctx, s.Session(), customers[0], cashier.Ref{}, billing.Trust{Reason: "x"}); err == nil {
			t.Error("trust without an end was given")
		}
	})
}

// TestGuardsSeeThePast has the guards that ask the books ask them.
func TestGuardsSeeThePast(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		s.Configure(func(set *billing.Settings) {
			set.Velocity.Guards = billing.Guards{TakenBack: true, MinAge: "1d", MaxIdle: "10d", Duplicates: "1m"}
		})
		customer := s.Customer("customer1")
		card := s.Card(customer, "card1", visa)
		if got := tryCharge(t, s, customer, stored(100, card)); got != "guards.min_age" {
			t.Errorf("a new card: %q", got)
		}
		s.SetClock("2020-01-02")
		r := charge(t, s, customer, stored(100, card))
		if got := tryCharge(t, s, customer, stored(100, card)); got != "guards.duplicates" {
			t.Errorf("the same again: %q", got)
		}
		s.SetClock("2020-01-13")
		if got := tryCharge(t, s, customer, stored(100, card)); got != "guards.max_idle" {
			t.Errorf("eleven days later: %q", got)
		}
		s.SetClock("2020-01-13")
		s.Configure(func(set *billing.Settings) { set.Velocity.Guards.MaxIdle = "" })
		if _, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(r.Activity.ID)}, ""); err != nil {
			t.Fatal(err)
		}
		if got := tryCharge(t, s, customer, stored(100, card)); got != "guards.taken_back" {
			t.Errorf("after a refund: %q", got)
		}
	})
}

// TestRenewalsAreNeverRefused bills a subscription on a card that is at its
// limit. A rule that counts renewals leaves less room for purchases.
func TestRenewalsAreNeverRefused(t *testing.T) {
	for counts, want := range map[bool]string{false: "", true: "three-a-day"} {
		t.Run(fmt.Sprint(counts), func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Renewals = counts }))
				customer := s.Customer("customer1")
				card := s.Card(customer, "card1", visa)
				s.Subscribe(customer, s.Plan("gym", billing.Monthly, 1999), card, "2020-01-01")
				s.MoveTo("2020-01-01")
				charge(t, s, customer, stored(100, card))
				charge(t, s, customer, stored(100, card))
				if got := tryCharge(t, s, customer, stored(100, card)); got != want {
					t.Errorf("refused by %q, want %q", got, want)
				}
				if want == "" {
					if got := tryCharge(t, s, customer, stored(100, card)); got != "three-a-day" {
						t.Errorf("the fourth: refused by %q", got)
					}
				}
				s.MoveTo("2020-02-01")
				charge(t, s, customer, stored(100, card))
				if n := s.Journal()[sandbox.LineCapture]; n < 5 {
					t.Errorf("%d captures: a renewal was refused", n)
				}
				s.Balanced()
			})
		})
	}
}

// TestTakenBackElsewhere refunds a charge of one customer: the same card under
// another customer is held back too.
func TestTakenBackElsewhere(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(set *billing.Settings) { set.Velocity.Guards = billing.Guards{TakenBack: true} })
		customers, cards := shoppers(t, s)
		r := charge(t, s, customers[0], stored(100, cards[0]))
		charge(t, s, customers[2], stored(100, cards[2]))
		if _, err := s.Cashier.Reverse(context.Background(), s.Session(), customers[0], cashier.Ref{ID: int64(r.Activity.ID)}, ""); err != nil {
			t.Fatal(err)
		}
		if got := tryCharge(t, s, customers[2], stored(100, cards[2])); got != "guards.taken_back" {
			t.Errorf("refused by %q", got)
		}
	})
}

// TestNoControlsLeaveNoTrace charges for a merchant without controls: nothing is
// written for them.
func TestNoControlsLeaveNoTrace(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(threeADay(func(v *billing.Velocity) { v.Rules[0].Disabled = true }))
		customer := s.Customer("customer1")
		for range 4 {
			charge(t, s, customer, byCard(100))
		}
		s.Configure(threeADay())
		charge(t, s, customer, byCard(100)) // a rule counts from the day on which there is one
	})
}
