package cashier_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// clock sets the merchant's clock to an instant of its wall, and does what is due.
func (s *shop) clock(text string) {
	s.t.Helper()
	ctx := context.Background()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, s.Merchant.Zone)
	ok(s.t, err)
	_, err = s.Cashier.SetClock(ctx, s.Merchant.ID, billing.ClockFrozen, at)
	ok(s.t, err)
	_, err = s.Runner.Merchant(ctx, s.Merchant.ID)
	ok(s.t, err)
}

// change changes a subscription now, as a quote says that it will.
func (s *shop) change(customer, sub cashier.Ref, r cashier.ChangeRequest) *cashier.Changed {
	s.t.Helper()
	ctx := context.Background()
	r.Now = true
	before := s.Books(customer)
	q, err := s.Cashier.QuoteChange(ctx, s.Session(), customer, sub, r)
	ok(s.t, err)
	if after := s.Books(customer); after != before {
		s.t.Errorf("a quote has changed the books to\n%s", after)
	}
	done, err := s.Cashier.Change(ctx, s.Session(), customer, sub, r)
	ok(s.t, err)
	if done.Attempt == nil && !q.Due.IsZero() || done.Attempt != nil && done.Attempt.Amount != q.Due {
		s.t.Errorf("quoted %s, and asked for %+v", q.Due, done.Attempt)
	}
	if done.Invoice != nil && (done.Invoice.Amount != q.Total || done.Invoice.Tax != q.Tax) {
		s.t.Errorf("quoted %s, and invoiced %s", q.Total, done.Invoice.Amount)
	}
	return done
}

func toRuby() cashier.ChangeRequest { return cashier.ChangeRequest{Plan: planRef("ruby")} }

// The middle of the period of 29 days from 31 January to 29 February 2020.
const middle = "2020-02-14 12:00"

// TestChangeNow: half way from 10 to 20 credits 5 and charges 10; back again the
// surplus stays and pays for the next billing.
func TestChangeNow(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		customer, sub := s.subscribed("gold")
		s.clock(middle)
		up := s.change(customer, sub, toRuby())
		if up.Attempt.Amount != usd(500) || up.Subscription.PlanName != "RUBY" || up.Subscription.Amount != usd(2000) ||
			up.Subscription.NextDate.String() != "2020-02-29" {
			t.Errorf("changed %+v, %+v", up.Attempt, up.Subscription)
		}
		down := s.change(customer, sub, cashier.ChangeRequest{Plan: planRef("gold"), Words: cashier.Words{Credit: "unused", Charge: "rest"}})
		if down.Attempt != nil || down.Invoice.Amount != usd(500) {
			t.Errorf("changed back %+v, %+v", down.Attempt, down.Invoice)
		}
		s.MoveTo("2020-03-01")
		wantBooks(t, s.Shop, customer, `2019-12-31 invoice 10.00 open 0.00 posted due 2019-12-31
2019-12-31 payment 10.00 open 0.00 posted due 2019-12-31
2020-01-31 invoice 10.00 open 0.00 posted due 2020-01-31
2020-01-31 claim 10.00 open 0.00 posted due 2020-01-31
2020-02-14 invoice 10.00 open 0.00 posted due 2020-02-14
2020-02-14 payment 5.00 open 0.00 posted due 2020-02-14
2020-02-14 credit 5.00 open 0.00 posted due 2020-02-14
2020-02-14 invoice 5.00 open 0.00 posted due 2020-02-14
2020-02-14 credit 10.00 open 0.00 posted due 2020-02-14
2020-02-29 invoice 10.00 open 0.00 posted due 2020-02-29
2020-02-29 claim 5.00 open 0.00 posted due 2020-02-29
`)
		s.wantLines(customer, `plan "GOLD" 1 x 10.00 = 10.00
plan "GOLD" 1 x 10.00 = 10.00
credit "Remaining time" 1 x -5.00 = -5.00
proration "Rest of the period" 1 x 10.00 = 10.00
credit "unused" 1 x -10.00 = -10.00
proration "rest" 1 x 5.00 = 5.00
plan "GOLD" 1 x 10.00 = 10.00
`)
		if got := s.Subscription(sub); got.Composition.Running != nil || got.Amount != usd(1000) {
			t.Errorf("then %+v of %s", got.Composition, got.Amount)
		}
		s.clean()
	})
}

// TestChangeRhythm: another interval credits what is left and begins a period of its
// own, billed in full.
func TestChangeRhythm(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ok(t, s.Bank.SetTerms(context.Background(), s.Merchant.Code, sandbox.Terms{Amounts: sandbox.None}))
		customer, sub := s.subscribed("gold")
		s.clock(middle)
		done := s.change(customer, sub, cashier.ChangeRequest{Plan: planRef("year")})
		got := done.Subscription
		if done.Attempt.Amount != usd(9500) || done.Invoice.Period != 2 || got.NextDate.String() != "2021-02-14" || got.Issued != 3 ||
			got.PeriodFrom(s.Merchant) != s.Session().Now {
			t.Errorf("changed %+v, %+v, %+v", done.Attempt, done.Invoice, got)
		}
		s.clock("2021-02-15 12:00")
		if got := billed(s.Shop, customer); got != "12-31 10.00, 01-31 10.00, 02-14 100.00, 02-14 100.00" {
			t.Errorf("billed %s", got)
		}
		s.clean()
	})
}

// TestChangeInTrial: before anything is billed a change costs nothing.
func TestChangeInTrial(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		customer, sub := s.subscribed("trial")
		done := s.change(customer, sub, toRuby())
		if done.Attempt != nil || done.Invoice != nil || done.Subscription.NextDate.String() != "2020-01-14" {
			t.Errorf("changed %+v, %+v", done, done.Subscription)
		}
		s.MoveTo("2020-01-15")
		if got := billed(s.Shop, customer); got != "12-31 5.00, 01-14 20.00" {
			t.Errorf("billed %s", got)
		}
		s.clean()
	})
}

// TestChangeDeclined: what is not paid for is not changed.
func TestChangeDeclined(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("gold")
		bad := s.Card(customer, "", refuses)
		_, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, sub, nil, &bad)
		ok(t, err)
		before, lines := s.Subscription(sub), s.lines(customer)
		done := s.change(customer, sub, toRuby())
		after := s.Subscription(sub)
		if done.Attempt.State != billing.AttemptDeclined || done.Invoice != nil || after.PlanID != before.PlanID || after.Amount != before.Amount ||
			after.Composition.Running != nil {
			t.Errorf("changed %+v to %+v", done.Attempt, after)
		}
		s.wantLines(customer, lines)
		if down := s.change(customer, sub, cashier.ChangeRequest{Unit: pointer[int64](100)}); down.Invoice == nil || !down.Invoice.Open.IsZero() {
			t.Errorf("a change that costs nothing: %+v", down)
		}
		s.clean()
	})
}

// TestChangeUnknown: while nobody knows whether a change was paid for nothing else is
// changed; then it is as if the answer had come in time, even where the period was
// over before it came, and where the subscription is gone what was paid stays the
// customer's.
func TestChangeUnknown(t *testing.T) {
	for _, x := range []struct {
		name   string
		number string
		then   func(s *shop, customer, sub cashier.Ref)
		amount int64
		bills  string
	}{
		{"approved", visa, nil, 2000, "12-31 10.00, 01-31 10.00, 02-14 10.00"},
		{"declined", refuses, nil, 1000, "12-31 10.00, 01-31 10.00"},
		{"renewed before", visa, func(s *shop, _, _ cashier.Ref) { s.clock("2020-03-01 09:00") }, 2000,
			"12-31 10.00, 01-31 10.00, 02-14 10.00, 02-29 10.00"},
		{"ended before", visa, func(s *shop, customer, sub cashier.Ref) {
			_, _, err := s.Cashier.Terminate(context.Background(), s.Session(), customer, sub, cashier.TakeNone, "")
			ok(s.t, err)
		}, 1000, "12-31 10.00, 01-31 10.00"},
	} {
		t.Run(x.name, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				customer, sub := s.subscribed("gold")
				s.clock(middle)
				other := s.Card(customer, "", x.number)
				_, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, sub, nil, &other)
				ok(t, err)
				ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}))
				if done := s.change(customer, sub, toRuby()); done.Attempt.State != billing.AttemptUnknown || done.Subscription.Amount != usd(1000) {
					t.Fatalf("changed %+v", done.Attempt)
				}
				for _, now := range []bool{true, false} {
					r := toRuby()
					r.Now = now
					if _, err := s.Cashier.Change(ctx, s.Session(), customer, sub, r); billing.KindOf(err) != billing.InProgress {
						t.Errorf("changed twice: %v", err)
					}
				}
				if _, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakeFull, ""); billing.KindOf(err) != billing.InProgress {
					t.Errorf("terminated meanwhile: %v", err)
				}
				if _, err := s.Cashier.CancelAtEnd(ctx, s.Session(), customer, sub, ""); billing.KindOf(err) != billing.InProgress {
					t.Errorf("cancelled meanwhile: %v", err)
				}
				for what, do := range map[string]func() error{
					"paused": func() error {
						_, err := s.Cashier.Pause(ctx, s.Session(), customer, sub, billing.Date{}, "")
						return err
					},
					"frozen": func() error {
						_, err := s.Cashier.Freeze(ctx, s.Session(), customer, sub, cashier.FreezeRequest{From: s.Subscription(sub).NextDate, Length: 1})
						return err
					},
					"cancelled for later": func() error {
						_, err := s.Cashier.Cancel(ctx, s.Session(), customer, sub, s.Subscription(sub).NextDate, "")
						return err
					},
					"extended": func() error { _, err := s.Cashier.Extend(ctx, s.Session(), customer, sub, 3); return err },
					"repriced": func() error {
						_, err := s.Cashier.Reprice(ctx, s.Session(), customer, sub, func(*billing.Subscription) (billing.Money, error) { return usd(1), nil })
						return err
					},
				} {
					if err := do(); billing.KindOf(err) != billing.InProgress {
						t.Errorf("%s meanwhile: %v", what, err)
					}
				}
				if x.then != nil {
					x.then(s, customer, sub)
				}
				s.rescued()
				if got := s.Subscription(sub); got.Amount != usd(x.amount) {
					t.Errorf("then it costs %s", got.Amount)
				}
				if got := billed(s.Shop, customer); got != x.bills {
					t.Errorf("billed %s", got)
				}
				s.clean()
				if x.name == "ended before" {
					if got := s.open(customer); got != -500 {
						t.Errorf("%d are open", got)
					}
				}
			})
		})
	}
}

// TestChangeKnownLate: a change to another rhythm whose approval is known only weeks
// later has begun its period when it was asked for, and what fell due since is billed.
func TestChangeKnownLate(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("year", func(r *cashier.SignUpRequest) { r.Unit = pointer(int64(5000)) })
		s.clock("2020-01-10 12:00")
		ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}))
		r := cashier.ChangeRequest{Plan: planRef("gold"), Unit: pointer(int64(6000))}
		if done := s.change(customer, sub, r); done.Attempt.State != billing.AttemptUnknown {
			t.Fatalf("changed %+v", done.Attempt)
		}
		_, err := s.Cashier.SetClock(ctx, s.Merchant.ID, billing.ClockFrozen, time.Date(2020, 3, 20, 12, 0, 0, 0, time.UTC))
		ok(t, err)
		s.rescued()
		if got := billed(s.Shop, customer); got != "12-31 50.00, 01-10 60.00, 02-10 60.00, 03-10 60.00" {
			t.Errorf("billed %s", got)
		}
		s.clean()
	})
}

// open is what a customer owes, less what is the customer's.
func (s *shop) open(customer cashier.Ref) (sum int64) {
	s.t.Helper()
	for _, a := range s.Activities(customer) {
		sum += int64(a.Kind.Side()) * a.Open.Minor()
	}
	return sum
}

// TestChangeRefused: what cannot be changed, each for its reason.
func TestChangeRefused(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("gold")
		euro := &billing.Plan{Code: "euro", Cycle: billing.Monthly, Amount: billing.Minor(5, "EUR"), Tax: billing.Minor(0, "EUR"), Active: true}
		ok(t, s.Cashier.CreatePlan(ctx, s.Session(), "2001", euro))
		for name, x := range map[string]struct {
			r     cashier.ChangeRequest
			kind  billing.Kind
			field string
		}{
			"no such plan":   {cashier.ChangeRequest{Plan: planRef("lead")}, billing.NotFound, ""},
			"currency":       {cashier.ChangeRequest{Plan: planRef("euro")}, billing.State, "planId"},
			"quantity":       {cashier.ChangeRequest{Quantity: pointer(0)}, billing.Invalid, "quantity"},
			"unit":           {cashier.ChangeRequest{Unit: pointer[int64](-1)}, billing.Invalid, "unit"},
			"too much":       {cashier.ChangeRequest{Quantity: pointer(1000), Unit: pointer[int64](billing.MaxAmount)}, billing.Invalid, "quantity"},
			"no such add-on": {cashier.ChangeRequest{AddOns: &[]cashier.AddOnChoice{{Code: "x"}}}, billing.Invalid, "add_ons"},
		} {
			for _, now := range []bool{true, false} {
				x.r.Now = now
				if _, err := s.Cashier.Change(ctx, s.Session(), customer, sub, x.r); billing.KindOf(err) != x.kind || field(err) != x.field {
					t.Errorf("%s, now %t: %v of %q", name, now, err, field(err))
				}
			}
		}
		other := s.Customer("bob")
		plain := s.Subscribe(other, s.Plan("plain", billing.Monthly, 100), s.Card(other, "", visa), "2020-02-01")
		if _, err := s.Cashier.Change(ctx, s.Session(), other, plain, toRuby()); billing.KindOf(err) != billing.State {
			t.Errorf("of one amount: %v", err)
		}
		_, err := s.Cashier.CancelAtEnd(ctx, s.Session(), customer, sub, "")
		ok(t, err)
		for _, now := range []bool{true, false} {
			r := toRuby()
			r.Now = now
			if _, err := s.Cashier.Change(ctx, s.Session(), customer, sub, r); billing.KindOf(err) != billing.State {
				t.Errorf("of a cancelled one: %v", err)
			}
		}
		s.clean()
	})
}

// TestChangeLater: a change waits for the next billing and takes effect with it, in
// a jump as day by day; a later one takes its place, and one now does away with it.
func TestChangeLater(t *testing.T) {
	for _, daily := range []bool{false, true} {
		t.Run(fmt.Sprintf("daily %t", daily), func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				later := func(customer, sub cashier.Ref, r cashier.ChangeRequest) {
					t.Helper()
					done, err := s.Cashier.Change(ctx, s.Session(), customer, sub, r)
					if err != nil || done.Subscription.Change == nil || done.Subscription.Amount != usd(1000) {
						t.Fatalf("%+v, %v", done, err)
					}
				}
				ann, of := s.subscribed("gold", func(r *cashier.SignUpRequest) {
					r.AddOns = []cashier.AddOnChoice{{Code: "ip", Unit: pointer[int64](0)}}
				})
				later(ann, of, toRuby())
				later(ann, of, cashier.ChangeRequest{Quantity: pointer(3), AddOns: &[]cashier.AddOnChoice{}})
				bob, bobs := s.subscribed("gold")
				later(bob, bobs, toRuby())
				s.change(bob, bobs, cashier.ChangeRequest{})
				eve, eves := s.subscribed("gold")
				later(eve, eves, toRuby())
				_, err := s.Cashier.CancelAtEnd(ctx, s.Session(), eve, eves, "")
				ok(t, err)
				if s.Subscription(eves).Change != nil || s.Subscription(bobs).Change != nil {
					t.Error("a change waits on")
				}
				_, err = s.Cashier.Reactivate(ctx, s.Session(), eve, eves)
				ok(t, err)
				fay, fays := s.subscribed("gold")
				later(fay, fays, cashier.ChangeRequest{Plan: planRef("week")})
				walk(t, s.Shop, "2020-03-05", daily)
				for customer, want := range map[cashier.Ref]string{
					ann: "12-31 10.00, 01-31 30.00, 02-29 30.00",
					bob: "12-31 10.00, 12-31 10.00, 01-31 10.00, 02-29 10.00",
					eve: "12-31 10.00, 01-31 10.00, 02-29 10.00",
					fay: "12-31 10.00, 01-31 2.00, 02-14 2.00, 02-28 2.00",
				} {
					if got := billed(s.Shop, customer); got != want {
						t.Errorf("billed %s, want %s", got, want)
					}
				}
				if got := s.Subscription(of); got.Change != nil || len(got.Composition.AddOns) != 0 || got.Composition.Quantity != 3 {
					t.Errorf("then %+v", got.Composition)
				}
				s.clean()
			})
		})
	}
}

// TestChangeOfDiscounted: no more is credited than was invoiced.
func TestChangeOfDiscounted(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		s.coupon(billing.Coupon{Code: "half", Percent: 50, Lasts: billing.LastsForever})
		customer, sub := s.subscribed("gold", func(r *cashier.SignUpRequest) { r.Coupon = "half" })
		s.clock(middle)
		done := s.change(customer, sub, toRuby())
		if done.Invoice.Amount != usd(500) || done.Attempt.Amount != usd(250) {
			t.Errorf("changed %+v, %+v", done.Invoice, done.Attempt)
		}
		back := s.change(customer, sub, cashier.ChangeRequest{Unit: pointer[int64](0)})
		if back.Attempt != nil || s.open(customer) != -500 {
			t.Errorf("for nothing, %d are open", s.open(customer))
		}
		s.clean()
	})
}

// TestChangeTaxed: credit and charge bear the tax that the billings bear.
func TestChangeTaxed(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		customer, sub := s.subscribed("gold", func(r *cashier.SignUpRequest) { r.TaxRate = 8250 })
		s.clock(middle)
		done := s.change(customer, sub, toRuby())
		if done.Invoice.Amount != usd(1083) || done.Invoice.Tax != usd(83) || done.Attempt.Amount != usd(542) {
			t.Errorf("changed %+v, %+v", done.Invoice, done.Attempt)
		}
		if got := s.Balance(billing.TaxPayable); got != -83*3 {
			t.Errorf("%d of tax", got)
		}
		s.clean()
	})
}
