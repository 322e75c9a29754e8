package cashier_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// TestCoupons: who may redeem what, how long it lasts, and what it has lowered.
func TestCoupons(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		until, err := billing.ParseDate("2020-01-15")
		ok(t, err)
		s.coupon(billing.Coupon{Code: "once", Percent: 10, Lasts: billing.LastsOnce, RedeemBy: until})
		s.coupon(billing.Coupon{Code: "ever", Amount: usd(300), Lasts: billing.LastsForever})
		s.coupon(billing.Coupon{Code: "month", Percent: 100, Lasts: billing.LastsMonths, Months: 1})
		if err := s.Cashier.DefineCoupon(ctx, s.Session(), &billing.Coupon{Code: "once", Percent: 5, Lasts: billing.LastsOnce}); billing.KindOf(err) != billing.Duplicate {
			t.Errorf("defined twice: %v", err)
		}
		redeem := func(customer cashier.Ref, code string, want billing.Kind) {
			t.Helper()
			_, err := s.Cashier.Redeem(ctx, s.Session(), customer, code)
			if want == 0 {
				ok(t, err)
			} else if billing.KindOf(err) != want {
				t.Errorf("%s: %v", code, err)
			}
		}
		ann, _ := s.subscribed("gold")
		bob, _ := s.subscribed("gold")
		eve, _ := s.subscribed("gold")
		redeem(ann, "none", billing.NotFound)
		redeem(ann, "once", 0)
		redeem(ann, "ever", billing.State)
		redeem(bob, "ever", 0)
		redeem(eve, "month", 0)
		if err := s.Cashier.TakeCouponAway(ctx, s.Session(), eve); err != nil {
			t.Error(err)
		}
		if err := s.Cashier.TakeCouponAway(ctx, s.Session(), eve); billing.KindOf(err) != billing.NotFound {
			t.Errorf("taken away twice: %v", err)
		}
		redeem(eve, "month", 0)
		s.MoveTo("2020-02-01")
		redeem(ann, "once", billing.State) // its last day is past
		redeem(ann, "ever", 0)
		redeem(eve, "ever", 0) // the month is over
		s.MoveTo("2020-03-01")
		for customer, want := range map[cashier.Ref]string{
			ann: "12-31 10.00, 01-31 9.00, 02-29 7.00",
			bob: "12-31 10.00, 01-31 7.00, 02-29 7.00",
			eve: "12-31 10.00, 01-31 10.00, 02-29 7.00",
		} {
			if got := billed(s.Shop, customer); got != want {
				t.Errorf("billed %s, want %s", got, want)
			}
		}
		k, err := s.Cashier.ModifyCoupon(ctx, s.Session(), "ever", func(k *billing.Coupon) { k.Active = false })
		if err != nil || k.Active {
			t.Errorf("modified %+v, %v", k, err)
		}
		redeem(s.Customer("late"), "ever", billing.State)
		if _, err := s.Cashier.ModifyCoupon(ctx, s.Session(), "ever", func(k *billing.Coupon) { k.Percent = 5 }); billing.KindOf(err) != billing.Invalid {
			t.Errorf("both: %v", err)
		}
		s.clean()
	})
}

// TestRedeemAtOnce: of many who redeem a coupon at once no more get it than may.
func TestRedeemAtOnce(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		s.coupon(billing.Coupon{Code: "three", Percent: 10, Lasts: billing.LastsOnce, MaxRedemptions: 3})
		const many = 8
		var customers []cashier.Ref
		for i := range many {
			customers = append(customers, s.Customer(fmt.Sprint("c", i)))
		}
		session := s.Session()
		errs := make(chan error)
		for _, c := range customers {
			go func() {
				_, err := s.Cashier.Redeem(ctx, session, c, "three")
				errs <- err
			}()
		}
		got := 0
		for range many {
			switch err := <-errs; billing.KindOf(err) {
			case billing.State:
			default:
				ok(t, err)
				got++
			}
		}
		if got != 3 {
			t.Errorf("%d redeemed it", got)
		}
		s.clean()
	})
}

// TestWithdrawPlan: a plan with subscriptions that live is not withdrawn; the code of
// one that was is free again.
func TestWithdrawPlan(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("gold")
		if _, err := s.Cashier.WithdrawPlan(ctx, s.Session(), planRef("gold")); billing.KindOf(err) != billing.State {
			t.Errorf("withdrawn: %v", err)
		}
		_, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakeNone, "")
		ok(t, err)
		p, err := s.Cashier.WithdrawPlan(ctx, s.Session(), planRef("gold"))
		if err != nil || p.Active {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := s.Cashier.WithdrawPlan(ctx, s.Session(), planRef("gold")); billing.KindOf(err) != billing.NotFound {
			t.Errorf("withdrawn twice: %v", err)
		}
		s.plan("gold", billing.Monthly, 1100, billing.Offer{})
		if err := s.Cashier.CreatePlan(ctx, s.Session(), "2001", &billing.Plan{Code: "bad", Offer: billing.Offer{Setup: -1}}); billing.KindOf(err) != billing.Invalid {
			t.Errorf("a bad offer: %v", err)
		}
		s.clean()
	})
}

// TestCouponLaidAside: while nobody knows whether a deal was paid for that a coupon for
// one invoice lowers, it lowers no other; if nothing comes of the deal the customer has
// it again.
func TestCouponLaidAside(t *testing.T) {
	for _, x := range []struct {
		name, number string
		later        int64 // what is asked for after all is known
	}{{"paid", visa, 1000}, {"declined", refuses, 500}} {
		t.Run(x.name, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				s.coupon(billing.Coupon{Code: "half", Percent: 50, Lasts: billing.LastsOnce})
				customer, card := s.someone("", visa)
				_, err := s.Cashier.Redeem(ctx, s.Session(), customer, "half")
				ok(t, err)
				ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}))
				r := cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: s.Card(customer, "", x.number)}, Plan: planRef("gold")}
				if done := s.signUp(r); done.Attempt.State != billing.AttemptUnknown || done.Attempt.Amount != usd(500) {
					t.Fatalf("signed up %+v", done.Attempt)
				}
				r.Method = card
				if done := s.signUp(r); done.Attempt.Amount != usd(1000) {
					t.Errorf("a second deal is lowered too: %s", done.Attempt.Amount)
				}
				s.rescued()
				if done := s.signUp(r); done.Attempt.Amount != usd(x.later) {
					t.Errorf("then %s", done.Attempt.Amount)
				}
				s.clean()
			})
		})
	}
}
