package billrun_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

func unknownAttempts(t *testing.T, s *cashiertest.Shop, unsettled bool) (list []*billing.Attempt) {
	t.Helper()
	err := s.Store.View(context.Background(), s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.UnknownAttempts(context.Background(), unsettled, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func attemptOf(t *testing.T, s *cashiertest.Shop, id billing.AttemptID) (a *billing.Attempt) {
	t.Helper()
	err := s.Store.View(context.Background(), s.Merchant.ID, func(v *store.View) (err error) {
		a, err = v.Attempt(context.Background(), id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// silent has the bank take a charge and then say nothing of it, ever.
func silent(t *testing.T, s *cashiertest.Shop) {
	t.Helper()
	faults(t, s, sandbox.Fault{On: []string{"charge", "void", "refund", "credit"}, Do: sandbox.CutAfter},
		sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorAfter})
}

// faultsOf are the faults of the books that are no notes.
func faultsOf(t *testing.T, s *cashiertest.Shop) (list []audit.Fault) {
	t.Helper()
	all, err := audit.Books(context.Background(), s.Store, s.Merchant.ID, s.Wall.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if !f.Note {
			list = append(list, f)
		}
	}
	return list
}

var verdicts = map[string]cashier.Verdict{
	"approved": {Approved: true, Who: "Eve", Reason: "on the bank's statement of 2 January"},
	"declined": {Who: "Eve", Reason: "not on any statement"},
}

// TestPersonSettles has a bank that tells nothing for a day: the attempt is listed
// for a person, no other claim is made for its debt, and the person's word does
// what the bank's would have done, once.
func TestPersonSettles(t *testing.T) {
	for name, verdict := range verdicts {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				customer := s.Customer("c1")
				s.Subscribe(customer, s.Plan("p", billing.Yearly, 1000), s.Card(customer, "", visa), "2020-01-01")
				silent(t, s)
				s.MoveTo("2020-01-01")
				if n := len(unknownAttempts(t, s, true)); n != 0 {
					t.Errorf("%d are a person's at once", n)
				}
				for range 30 {
					s.Wall.Forward(time.Hour)
					s.MoveTo("2020-01-05")
				}
				list := unknownAttempts(t, s, true)
				if len(list) != 1 {
					t.Fatalf("%d attempts wait for a person", len(list))
				}
				id := list[0].ID
				m := s.Session().Merchant
				for want, v := range map[string]cashier.Verdict{
					"reason": {Who: "Eve"}, "code": {Who: "Eve", Reason: "seen", Approved: true, Code: "51"}, "known": {Who: "Eve", Reason: "seen", Code: "QQ"},
				} {
					if _, err := s.Cashier.SettleByHand(ctx, m, id, v); err == nil {
						t.Errorf("settled without a good %s", want)
					}
				}
				if _, err := s.Cashier.SettleByHand(ctx, m, id, verdict); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Cashier.SettleByHand(ctx, m, id, verdicts["approved"]); billing.KindOf(err) != billing.State {
					t.Errorf("settled twice: %v", err)
				}
				if n := len(unknownAttempts(t, s, true)); n != 0 {
					t.Errorf("%d still wait for a person", n)
				}
				debt := s.Activities(customer)[0]
				if verdict.Approved {
					wantCash(t, s, 1000, 0)
					if debt.Open.Sign() != 0 || debt.ClaimedBy != 0 {
						t.Errorf("the debt is open by %s", debt.Open.Decimal())
					}
				} else {
					wantCash(t, s, 0, 0)
					if debt.Open.Minor() != 1000 || debt.Tries != 1 || debt.CollectAt.IsZero() {
						t.Errorf("the debt has %s open, %d tries, next at %s", debt.Open.Decimal(), debt.Tries, debt.CollectAt)
					}
				}
				var acts []billing.Act
				err := s.Store.View(ctx, m.ID, func(v *store.View) (err error) {
					acts, err = v.ActsOn(ctx, "attempt", int64(id))
					return err
				})
				if err != nil || len(acts) != 1 || acts[0].Who != "Eve" || acts[0].Reason != verdict.Reason || acts[0].Act != "settled as "+name {
					t.Errorf("the audit trail says %v, %v", acts, err)
				}
				right(t, s)

				// The bank, which has captured it, speaks again.
				faults(t, s)
				s.Wall.Forward(49 * time.Hour)
				if _, err := s.Runner.Merchant(ctx, m.ID); err != nil {
					t.Fatal(err)
				}
				a := attemptOf(t, s, id)
				if a.SettledBy != "Eve" || !a.LeaseUntil.IsZero() || string(a.State) != name {
					t.Errorf("after the bank has spoken: %s by %q, asked again at %s", a.State, a.SettledBy, a.LeaseUntil)
				}
				if verdict.Approved {
					if a.Contradiction != "" {
						t.Errorf("the bank agrees, and yet: %s", a.Contradiction)
					}
					right(t, s)
					return
				}
				if list := faultsOf(t, s); a.Contradiction != "approved" || len(list) != 1 || !strings.Contains(list[0].Text, "settled as declined by Eve") {
					t.Errorf("the bank says %q, and the audit %v", a.Contradiction, list)
				}
				if err := s.Cashier.Resolve(ctx, m, id, billing.Act{Who: "Eve", Reason: "paid back at the bank"}); err != nil {
					t.Fatal(err)
				}
				right(t, s)
			})
		})
	}
}

// TestPersonSettlesReversal settles a void, a refund and a credit of which the
// bank tells nothing.
func TestPersonSettlesReversal(t *testing.T) {
	for name, verdict := range verdicts {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				customer := s.Customer("c1")
				first, second := charge(t, s, customer, byCard(1000, visa)), charge(t, s, customer, byCard(2000, visa))
				silent(t, s)
				reverse := func(r *cashier.Receipt) {
					if _, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(r.Activity.ID)}, ""); err == nil {
						t.Error("reversed, although nobody said so")
					}
				}
				reverse(first)
				s.SetClock("2020-01-03")
				reverse(second)
				out := byCard(400, visa)
				out.Credit = true
				charge(t, s, customer, out)
				reverse(first) // which is claimed
				list := unknownAttempts(t, s, false)
				if len(list) != 3 {
					t.Fatalf("%d attempts are unknown", len(list))
				}
				for _, a := range list {
					if _, err := s.Cashier.SettleByHand(ctx, s.Merchant, a.ID, verdict); err != nil {
						t.Fatalf("%s: %v", a.Kind, err)
					}
				}
				if verdict.Approved {
					wantCash(t, s, -400, 0)
				} else {
					wantCash(t, s, 3000, 0)
				}
				right(t, s)
			})
		})
	}
}

// TestSettledOnce has a person and the bank's late answer settle the same attempt
// at once, many times over: one of them does it, and the books hold it once.
func TestSettledOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		byHand := 0
		cash := int64(0)
		for i := range 20 {
			customer := s.Customer(fmt.Sprintf("c%d", i))
			silent(t, s)
			charge(t, s, customer, byCard(1000, visa))
			a := unknownAttempts(t, s, false)[0]
			m := s.Session().Merchant
			var hands [2]error
			var both sync.WaitGroup
			for j := range hands {
				both.Go(func() { _, hands[j] = s.Cashier.SettleByHand(ctx, m, a.ID, verdicts["declined"]) })
			}
			for range 2 {
				late := *a
				both.Go(func() {
					_, err := s.Cashier.Settle(ctx, m, m.Now(s.Wall.Now()), []cashier.Answer{{Attempt: &late, Outcome: billing.Outcome{State: billing.AttemptApproved, Response: "00"}}})
					if err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			now := attemptOf(t, s, a.ID)
			won := 0
			for _, err := range hands {
				if err == nil {
					won++
				} else if billing.KindOf(err) != billing.State {
					t.Error(err)
				}
			}
			switch {
			case won > 1:
				t.Errorf("settled by hand %d times", won)
			case won == 1:
				byHand++
				if now.State != billing.AttemptDeclined || now.SettledBy != "Eve" || now.Contradiction == "" && now.LeaseUntil.IsZero() {
					t.Errorf("after the person: %s, %q, %q", now.State, now.SettledBy, now.Contradiction)
				}
			default:
				cash += 1000
				if now.State != billing.AttemptApproved || now.SettledBy != "" {
					t.Errorf("after the bank: %s by %q", now.State, now.SettledBy)
				}
			}
			// Whoever was first has the last word.
			faults(t, s)
		}
		wantCash(t, s, cash, 0)
		t.Logf("a person was first %d times of 20", byHand)
		for _, f := range faultsOf(t, s) {
			if !strings.Contains(f.Text, "settled as declined by Eve, and the processor says: approved") {
				t.Error(f)
			}
		}
	})
}

// TestIncredibleAnswer is a person's at once.
func TestIncredibleAnswer(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("c1")
		silent(t, s)
		charge(t, s, customer, byCard(1000, visa))
		a := unknownAttempts(t, s, false)[0]
		m := s.Session().Merchant
		_, err := s.Cashier.Settle(context.Background(), m, m.Now(s.Wall.Now()),
			[]cashier.Answer{{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptUnknown, Incredible: true, Message: "another amount"}}})
		if err != nil {
			t.Fatal(err)
		}
		if list := unknownAttempts(t, s, true); len(list) != 1 || list[0].Message != "another amount" {
			t.Errorf("a person's: %v", list)
		}
		right(t, s)
	})
}

// TestLateAnswers has the bank answer a day late: a decline begins the retries, an
// approval covers the debt, a return opens it again, as if they had come in time.
func TestLateAnswers(t *testing.T) {
	for name, number := range map[string]string{"approved": visa, "declined": "4000000000009995"} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				customer := s.Customer("c1")
				s.Subscribe(customer, s.Plan("p", billing.Yearly, 1000), s.Card(customer, "", number), "2020-01-01")
				silent(t, s)
				s.MoveTo("2020-01-01")
				clear(t, s, 20)
				faults(t, s)
				s.SetClock("2020-01-02")
				clear(t, s, 24)
				debt := s.Activities(customer)[0]
				switch name {
				case "approved":
					wantCash(t, s, 1000, 0)
				case "declined":
					if again := s.Merchant.Start(day(t, "2020-01-05")); debt.Tries != 1 || !debt.CollectAt.Equal(again) {
						t.Errorf("%d tries, next at %s", debt.Tries, debt.CollectAt)
					}
					s.MoveTo("2020-01-05")
					if n := s.Activities(customer)[0].Tries; n != 2 {
						t.Errorf("%d tries", n)
					}
				}
				right(t, s)
			})
		})
	}
}
