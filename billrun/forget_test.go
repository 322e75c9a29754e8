package billrun_test

import (
	"context"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// yearly has a merchant forget what nothing was paid with for a year.
func yearly(s *billing.Settings) { s.ForgetAfterMonths = 12 }

// TestForgetIdle: a card is forgotten on the day a year after it was given, and not
// the day before; one with which something was paid, a year after that.
func TestForgetIdle(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		kept := s.Card(s.Customer("of before"), "", "4111111111111111")
		s.Configure(yearly)
		idle, paying, lapsed := s.Customer("idle"), s.Customer("paying"), s.Customer("lapsed")
		idleCard, payingCard, lapsedCard := s.Card(idle, "", "4111111111111111"), s.Card(paying, "", "4111111111111111"), s.Card(lapsed, "", "4111111111111111")
		s.Subscribe(paying, s.Plan("yearly", billing.Yearly, 2000), payingCard, "2020-12-31") // just on the day
		s.MoveTo("2020-03-05")
		if _, err := s.Cashier.Charge(ctx, s.Session(), lapsed, cashier.ChargeRequest{Amount: 700, Method: lapsedCard}); err != nil {
			t.Fatal(err)
		}
		want := func(day string, vaulted ...bool) {
			t.Helper()
			s.MoveTo(day)
			for i, r := range []cashier.Ref{kept, idleCard, payingCard, lapsedCard} {
				if got := s.Method(r); got.Vaulted() != vaulted[i] || got.Active != vaulted[i] {
					t.Errorf("%s: card %d is kept: %t, want %t", day, i, got.Vaulted(), vaulted[i])
				}
			}
		}
		want("2020-12-30", true, true, true, true)
		want("2020-12-31", true, false, true, true)
		want("2021-03-04", true, false, true, true)
		want("2021-03-05", true, false, true, false)
		want("2023-03-05", true, false, true, false) // the run of years
		if n := s.Journal()[sandbox.LineCapture]; n != 4 {
			t.Errorf("%d captures", n)
		}
		s.Configure(func(c *billing.Settings) { c.ForgetAfterMonths = 0 })
		want("2026-01-01", true, false, true, false)
		s.Balanced()
	})
}

// TestForgetIdleJump: one jump of the clock and steps of a day forget the same.
func TestForgetIdleJump(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ends := make(map[bool]string)
		for _, jump := range []bool{true, false} {
			o := s.Another(map[bool]string{true: "jump", false: "steps"}[jump])
			o.Configure(yearly)
			c := o.Customer("ann")
			card := o.Card(c, "", "4111111111111111")
			o.Subscribe(c, o.Plan("gold", billing.Monthly, 2000), card, "2020-01-10", func(r *cashier.SubscribeRequest) {
				r.Term, r.Length = billing.Fixed, 2
			})
			if !jump {
				for d := (billing.Date{Year: 2020, Month: 1, Day: 1}); d.Before(billing.Date{Year: 2021, Month: 2, Day: 11}); d = d.AddDays(1) {
					o.MoveTo(d.String())
				}
			}
			o.MoveTo("2021-02-11")
			m := o.Method(card)
			if m.Vaulted() {
				t.Errorf("it is kept: %s", m.ForgetAt)
			}
			ends[jump] = o.Books(c) + m.UpdatedAt.String()
		}
		if ends[true] != ends[false] {
			t.Errorf("a jump leaves\n%s\nsteps leave\n%s", ends[true], ends[false])
		}
	})
}

func TestCloseMerchant(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		other := s.Another("other")
		others := other.Card(other.Customer("bob"), "", "4111111111111111")
		plan := s.Plan("gold", billing.Monthly, 2000)
		var cards, subs []cashier.Ref
		for _, code := range []string{"ann", "cat", "dan"} {
			c := s.Customer(code)
			card := s.Card(c, "", "4111111111111111")
			cards, subs = append(cards, card), append(subs, s.Subscribe(c, plan, card, "2020-01-10"))
		}
		s.MoveTo("2020-01-10")
		for range 2 {
			n, err := s.Cashier.CloseMerchant(ctx, s.Merchant, billing.Act{Who: "eve", Reason: "contract ended"})
			if err != nil || n != 3 {
				t.Fatalf("%d customers, %v", n, err)
			}
		}
		for i := range cards {
			if s.Method(cards[i]).Vaulted() || !s.Subscription(subs[i]).Ended() {
				t.Errorf("customer %d is not closed", i)
			}
		}
		s.MoveTo("2020-06-01")
		if n := s.Journal()[sandbox.LineCapture]; n != 3 {
			t.Errorf("%d captures", n)
		}
		if !other.Method(others).Vaulted() {
			t.Error("another merchant's card is gone")
		}
		s.Balanced()
	})
}
