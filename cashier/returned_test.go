package cashier_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// TestMoneyOutComesBack has a refund and a credit accepted by the bank, counted as
// gone, and returned days later: the merchant has the money again and owes it.
func TestMoneyOutComesBack(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		paid := charge(t, s, customer, byCard(3000))
		s.SetClock("2020-01-03")
		faults := []sandbox.Fault{{On: []string{"refund", "credit"}, Do: sandbox.CutBefore}, {On: []string{sandbox.OnLookup}, Do: sandbox.ErrorAfter}}
		if err := s.Bank.SetFaults(ctx, s.Merchant.Code, faults...); err != nil {
			t.Fatal(err)
		}
		back, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(paid.Activity.ID)}, "")
		if billing.KindOf(err) != billing.OutcomeUnknown || back == nil || back.State != billing.Unknown || back.Kind != billing.Refund {
			t.Fatalf("reversed: %+v, %v", back, err)
		}
		charge(t, s, customer, byCard(500, payOut))
		settle := func(o billing.Outcome) {
			var list []*billing.Attempt
			err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
				list, err = v.Attempts(ctx, store.Page{Limit: 10})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			var answers []cashier.Answer
			for _, a := range list {
				if a.Kind != billing.AskCharge {
					answers = append(answers, cashier.Answer{Attempt: a, Outcome: o})
				}
			}
			for range 2 { // the second says nothing new
				if _, err := s.Cashier.Settle(ctx, s.Session().Merchant, s.Session().Now, answers); err != nil {
					t.Fatal(err)
				}
			}
			s.Balanced()
			found, err := audit.Books(ctx, s.Store, s.Merchant.ID, s.Wall.Now())
			for _, f := range found {
				if !f.Note {
					t.Error(f)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		settle(billing.Outcome{State: billing.AttemptPending, Response: "00", SettlesAt: s.Session().Now.AddDate(0, 0, 5)})
		if n := s.Balance("cash:sandbox"); n != -500 {
			t.Errorf("on its way out: cash is %d", n)
		}
		settle(billing.Outcome{State: billing.AttemptDeclined, Response: "R03"})
		if n := s.Balance("cash:sandbox"); n != 3000 {
			t.Errorf("returned: cash is %d", n)
		}
		if n := s.Balance(billing.Receivable); n != -3000 {
			t.Errorf("returned: the merchant owes %d", -n)
		}
		wantBooks(t, s, customer, `2019-12-31 payment 30.00 open 30.00 posted due 2019-12-31
2020-01-03 refund 30.00 open 0.00 posted due 2020-01-03
2020-01-03 refund 5.00 open 0.00 posted due 2020-01-03
2020-01-03 refund-reversal 30.00 open 0.00 posted due 2020-01-03
2020-01-03 refund-reversal 5.00 open 0.00 posted due 2020-01-03
`)
	})
}

// TestVoidedClaimAnsweredWithItsVoid has the outcome of a void become known at the
// same time as what the bank says of the claim that it took back: the claim is
// taken back once.
func TestVoidedClaimAnsweredWithItsVoid(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		account := s.BankAccount(customer, "account1")
		paid := charge(t, s, customer, cashier.ChargeRequest{Amount: 3000, Method: account})
		lost := []sandbox.Fault{{On: []string{"void"}, Do: sandbox.CutAfter, Count: 1}, {On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1}}
		if err := s.Bank.SetFaults(ctx, s.Merchant.Code, lost...); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(paid.Activity.ID)}, ""); billing.KindOf(err) != billing.OutcomeUnknown {
			t.Fatalf("reversed: %v", err)
		}
		s.SetClock("2020-01-02")
		session := s.Session()
		answers := map[billing.AttemptKind]cashier.Answer{}
		err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
			list, err := v.Attempts(ctx, store.Page{Limit: 10})
			for _, a := range list {
				answer, failure := s.Cashier.Rescue(ctx, session.Merchant, cashier.Order{Attempt: a, Ask: true}, session.Now)
				err = errors.Join(err, failure)
				answers[a.Kind] = answer
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		both := []cashier.Answer{answers[billing.AskVoid], answers[billing.AskCharge]}
		if both[0].Outcome.State != billing.AttemptApproved || both[1].Outcome.State != billing.AttemptDeclined {
			t.Fatalf("the bank says %v of the void, %v of the claim", both[0].Outcome, both[1].Outcome)
		}
		if _, err := s.Cashier.Settle(ctx, session.Merchant, session.Now, both); err != nil {
			t.Fatal(err)
		}
		s.Balanced()
		for _, ledger := range []billing.Ledger{"cash:sandbox", "transit:sandbox", billing.Receivable} {
			if n := s.Balance(ledger); n != 0 {
				t.Errorf("%s is %d", ledger, n)
			}
		}
	})
}

// TestSignUpReturned: the bank debit of a sign-up comes back: what was signed up for
// ends, nothing of its invoice is left to be claimed, and the run comes to its end.
func TestSignUpReturned(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		customer := s.Customer("ann")
		account := cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret("9000000101"), Routing: "021000021", Active: true}
		_, err := s.Cashier.GiveCredit(ctx, s.Session(), customer, cashier.LineRequest{Amount: 300})
		ok(t, err)
		done := s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Adopt: &account}, Plan: planRef("gold")})
		if done.Subscription == nil || done.Attempt.Amount != usd(700) {
			t.Fatalf("signed up %+v", done.Attempt)
		}
		s.SetClock("2020-01-20")
		_, err = s.Runner.Merchant(ctx, s.Merchant.ID)
		ok(t, err)
		if sub := s.Subscription(cashier.Ref{ID: int64(done.Subscription.ID)}); !sub.Ended() {
			t.Errorf("it is %s", sub.Status)
		}
		for _, a := range s.Activities(customer) {
			if a.Kind == billing.Invoice && (a.Open.Sign() != 0 || !a.CollectAt.IsZero()) {
				t.Errorf("%s is open, to be claimed at %s", a.Open, a.CollectAt)
			}
		}
		s.clean()
	})
}
