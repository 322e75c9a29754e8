package cashier_test

import (
	"context"
	"slices"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// TestTerminate: what is given back of what the running period was paid with, and
// that the subscription is over and owes nothing.
func TestTerminate(t *testing.T) {
	for _, x := range []struct {
		name    string
		how     cashier.Takeback
		at      string
		prepare func(s *shop, customer, sub cashier.Ref)
		back    []int64 // refunds and voids, by the time of the refund
		open    int64
	}{
		{"nothing", cashier.TakeNone, middle, nil, nil, 0},
		{"half", cashier.TakePartial, middle, nil, []int64{500}, 0},
		{"all", cashier.TakeFull, middle, nil, []int64{1000}, 0},
		{"all of a payment of the day", cashier.TakeFull, "2019-12-31 12:00", nil, []int64{1000}, 0},
		{"what is left of the day's", cashier.TakePartial, "2019-12-31 12:00", nil, []int64{996}, 0},
		{"two payments, half", cashier.TakePartial, "2020-02-21 18:00", upgrade, []int64{500}, 0},
		{"two payments, all", cashier.TakeFull, "2020-02-21 18:00", upgrade, []int64{500, 1000}, 0},
		{"paid by a credit", cashier.TakeFull, middle, func(s *shop, customer, _ cashier.Ref) {
			_, err := s.Cashier.GiveCredit(context.Background(), s.Session(), customer, cashier.LineRequest{Amount: 400})
			ok(s.t, err)
		}, []int64{600}, 0},
		{"all of it by a credit", cashier.TakeFull, middle, func(s *shop, customer, _ cashier.Ref) {
			_, err := s.Cashier.GiveCredit(context.Background(), s.Session(), customer, cashier.LineRequest{Amount: 1400})
			ok(s.t, err)
		}, nil, -400},
	} {
		t.Run(x.name, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				customer, sub := s.subscribed("gold")
				if x.prepare != nil {
					x.prepare(s, customer, sub)
				}
				s.clock(x.at)
				ended, back, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, x.how, "bye")
				if err != nil || ended.Status != billing.Cancelled || len(back) != len(x.back) {
					t.Fatalf("%+v, %d given back, %v", ended, len(back), err)
				}
				for i, a := range back {
					if a.Amount != usd(x.back[i]) {
						t.Errorf("%s of %s, want %d", a.Kind, a.Amount, x.back[i])
					}
				}
				if got := s.open(customer); got != x.open {
					t.Errorf("%d are open\n%s", got, s.Books(customer))
				}
				for range 2 {
					if _, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, x.how, ""); billing.KindOf(err) != billing.State {
						t.Errorf("twice: %v", err)
					}
				}
				s.MoveTo("2020-04-01")
				s.clean()
			})
		})
	}
}

// upgrade changes from gold to ruby in the middle of the period, which 5.00 are paid
// for.
func upgrade(s *shop, customer, sub cashier.Ref) {
	s.clock(middle)
	s.change(customer, sub, toRuby())
}

// TestTerminateRefused: a bank that refuses to give money back leaves the
// subscription as it was. What it gave back of another payment before is not given
// back again.
func TestTerminateRefused(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, bad := s.someone("ann", noRefunds)
		sub := cashier.Ref{ID: int64(s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: bad}, Plan: planRef("gold")}).Subscription.ID)}
		s.clock("2020-02-01 09:00")
		good := s.Card(customer, "", visa)
		_, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, sub, nil, &good)
		ok(t, err)
		upgrade(s, customer, sub)
		s.clock("2020-02-21 18:00")
		before := s.Subscription(sub)
		for i := range 2 {
			_, back, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakeFull, "")
			if billing.KindOf(err) != billing.State || len(back) != 1-i {
				t.Fatalf("%d given back, %v", len(back), err)
			}
			after := s.Subscription(sub)
			if after.Status != before.Status || after.NextAt != before.NextAt || after.Amount != before.Amount {
				t.Errorf("then %+v", after)
			}
		}
		if got := s.Journal()[sandbox.LineRefund]; got != 1 {
			t.Errorf("%d refunds", got)
		}
		s.clean()
	})
}

// TestTerminateUnknown: while nobody knows whether money was given back the
// subscription is as it was; the outcome ends it, or not.
func TestTerminateUnknown(t *testing.T) {
	for name, effect := range map[string]sandbox.Trouble{"given back": sandbox.CutAfter, "never arrived": sandbox.CutBefore} {
		t.Run(name, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				customer, sub := s.subscribed("gold")
				s.clock(middle)
				ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"refund"}, Do: effect, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}))
				_, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakePartial, "")
				if billing.KindOf(err) != billing.OutcomeUnknown || s.Subscription(sub).Ended() {
					t.Fatalf("%v", err)
				}
				if _, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakePartial, ""); billing.KindOf(err) != billing.InProgress {
					t.Errorf("twice: %v", err)
				}
				s.rescued()
				done := effect == sandbox.CutAfter
				if s.Subscription(sub).Ended() != done || s.Journal()[sandbox.LineRefund] == 1 != done || s.open(customer) != 0 {
					t.Errorf("then %+v\n%s", s.Subscription(sub), s.Books(customer))
				}
				s.clean()
			})
		})
	}
}

// TestTerminatedAndChanged: the outcome of what ends a subscription and of a change of
// it become known in one batch, in either order. It has ended, and what was paid for
// the change is on the books.
func TestTerminatedAndChanged(t *testing.T) {
	for _, first := range []billing.AttemptKind{billing.AskRefund, billing.AskCharge} {
		t.Run(string(first)+" first", func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				customer, sub := s.subscribed("gold")
				s.clock(middle)
				lost := []sandbox.Fault{{On: []string{"refund", "charge"}, Do: sandbox.CutAfter, Count: 2}, {On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}}
				ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, lost...))
				if _, _, err := s.Cashier.Terminate(ctx, s.Session(), customer, sub, cashier.TakePartial, ""); billing.KindOf(err) != billing.OutcomeUnknown {
					t.Fatal(err)
				}
				if got := s.change(customer, sub, toRuby()); got.Attempt == nil || got.Attempt.State != billing.AttemptUnknown {
					t.Fatalf("%+v", got)
				}
				session := s.Session()
				var answers []cashier.Answer
				ok(t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
					list, err := v.UnknownAttempts(ctx, false, 10)
					for _, a := range list {
						answer, failure := s.Cashier.Rescue(ctx, session.Merchant, cashier.Order{Attempt: a, Ask: true}, session.Now)
						ok(t, failure)
						answers = append(answers, answer)
					}
					return err
				}))
				slices.SortFunc(answers, func(a, b cashier.Answer) int {
					if a.Attempt.Kind == first {
						return -1
					}
					return 1
				})
				if len(answers) != 2 {
					t.Fatalf("%d answers", len(answers))
				}
				_, err := s.Cashier.Settle(ctx, session.Merchant, session.Now, answers)
				ok(t, err)
				if got := s.Subscription(sub); !got.Ended() || !got.NextAt.IsZero() {
					t.Errorf("it goes on: %+v", got)
				}
				s.clean()
			})
		})
	}
}

// TestCancelAtPeriodEnd: a cancelled subscription runs to the end of what is paid,
// unless it is taken back in time.
func TestCancelAtPeriodEnd(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("gold")
		cancel := func() {
			t.Helper()
			got, err := s.Cashier.CancelAtEnd(ctx, s.Session(), customer, sub, "")
			if err != nil || got.Ended() || got.NextAt != s.Merchant.Start(got.BillingDate(got.Period)) {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if _, err := s.Cashier.Reactivate(ctx, s.Session(), customer, sub); billing.KindOf(err) != billing.State {
			t.Errorf("reactivated what runs: %v", err)
		}
		cancel()
		_, err := s.Cashier.Reactivate(ctx, s.Session(), customer, sub)
		ok(t, err)
		s.clock("2020-01-31 09:00")
		cancel()
		s.clock("2020-02-28 23:59")
		if s.Subscription(sub).Ended() {
			t.Error("it has ended before its time")
		}
		s.clock("2020-02-29 00:00")
		if got := s.Subscription(sub); got.Status != billing.Cancelled {
			t.Errorf("then it is %s", got.Status)
		}
		if _, err := s.Cashier.Reactivate(ctx, s.Session(), customer, sub); billing.KindOf(err) != billing.State {
			t.Errorf("reactivated what is over: %v", err)
		}
		if got := billed(s.Shop, customer); got != "12-31 10.00, 01-31 10.00" {
			t.Errorf("billed %s", got)
		}
		want := "customer.created payment_method.added subscription.created invoice.issued payment.approved subscription.changed " +
			"subscription.reactivated invoice.issued payment.approved subscription.changed subscription.changed subscription.ended"
		if got := s.events(billing.CustomerID(customer.ID)); got != want {
			t.Errorf("told %s", got)
		}
		s.clean()
	})
}
