package billrun_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// atOnce has several do something at the same moment.
func atOnce(list ...func()) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for _, do := range list {
		all.Go(func() {
			<-start
			do()
		})
	}
	close(start)
	all.Wait()
}

// attemptsFor are the attempts of a customer that were made for an activity.
func attemptsFor(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, of func(*billing.Attempt) bool) (list []*billing.Attempt) {
	t.Helper()
	err := s.Store.View(context.Background(), s.Merchant.ID, func(v *store.View) error {
		all, err := v.Attempts(context.Background(), store.Page{Limit: 10000})
		for _, a := range all {
			if int64(a.CustomerID) == customer.ID && of(a) {
				list = append(list, a)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func naming(id billing.ActivityID) func(*billing.Attempt) bool {
	return func(a *billing.Attempt) bool { return slices.Contains(a.Details.Targets, id) }
}

// TestOneAttemptForADebt has many writers go for one debt at the same moment, while
// the bank takes the money and tells nothing: runs that bill and collect, and
// requests that name the debt. One attempt is made, and as long as nobody knows
// what became of it no other is, whatever comes.
func TestOneAttemptForADebt(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		plan := s.Plan("p", billing.Yearly, 1000)
		var customers []cashier.Ref
		for i := range 8 {
			c := s.Customer(fmt.Sprintf("c%d", i))
			s.Subscribe(c, plan, s.Card(c, "", visa), "2020-01-10")
			customers = append(customers, c)
		}
		s.Line.Down.Store(true)
		s.MoveTo("2020-01-10") // the invoices are made, and the claims come to nothing
		s.Line.Down.Store(false)
		silent(t, s)
		s.SetClock("2020-01-11")
		session := s.Session()
		var writers []func()
		for range 3 {
			run := billrun.New(billrun.Options{Store: s.Store, Cashier: s.Cashier, Now: s.Wall.Now, Log: slog.New(slog.DiscardHandler)})
			writers = append(writers, func() {
				if _, err := run.Merchant(ctx, s.Merchant.ID); err != nil {
					t.Error(err)
				}
			})
		}
		for _, c := range customers {
			r := byCard(1000, visa)
			r.Invoices = []cashier.Ref{{ID: int64(s.Activities(c)[0].ID)}}
			for range 2 {
				writers = append(writers, func() {
					if _, err := s.Cashier.Charge(ctx, session, c, r); err != nil && billing.KindOf(err) != billing.State {
						t.Error(err)
					}
				})
			}
		}
		atOnce(writers...)
		for range 30 { // and nobody tries again for a day
			clear(t, s, 1)
		}
		s.MoveTo("2020-01-20")
		for _, c := range customers {
			debt := s.Activities(c)[0]
			live := attemptsFor(t, s, c, func(a *billing.Attempt) bool { return naming(debt.ID)(a) && a.State != billing.AttemptDeclined })
			if len(live) != 1 || debt.ClaimedBy != live[0].ID {
				t.Errorf("%d attempts for one debt, which is held by %d", len(live), debt.ClaimedBy)
			}
		}
		if n := s.Journal()[sandbox.LineCapture]; n != len(customers) {
			t.Errorf("%d captures for %d debts", n, len(customers))
		}
		right(t, s)
		faults(t, s)
		clear(t, s, 48)
		wantCash(t, s, int64(1000*len(customers)), 0)
		right(t, s)
	})
}

// TestOneReversal has many take the same payment back at the same moment, while
// the bank tells nothing.
func TestOneReversal(t *testing.T) {
	for name, days := range map[string]int{"void": 0, "refund": 2} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				customer := s.Customer("c1")
				paid := charge(t, s, customer, byCard(1000, visa))
				s.SetClock(s.Session().Today().AddDays(days).String())
				silent(t, s)
				session := s.Session()
				var writers []func()
				for range 8 {
					writers = append(writers, func() {
						_, err := s.Cashier.Reverse(ctx, session, customer, cashier.Ref{ID: int64(paid.Activity.ID)}, "")
						if k := billing.KindOf(err); err == nil || k == billing.Internal {
							t.Errorf("reversed: %v", err)
						}
					})
				}
				atOnce(writers...)
				if n := len(attemptsFor(t, s, customer, naming(paid.Activity.ID))); n != 1 {
					t.Errorf("%d attempts to take one payment back", n)
				}
				clear(t, s, 24)
				faults(t, s)
				clear(t, s, 24)
				wantCash(t, s, 0, 0)
				right(t, s)
			})
		})
	}
}

// TestOnePayout has many pay out under one key, or one code, at the same moment.
func TestOnePayout(t *testing.T) {
	for name, mark := range map[string]func(*cashier.ChargeRequest){
		"key":  func(r *cashier.ChargeRequest) { r.Key = "once" },
		"code": func(r *cashier.ChargeRequest) { r.Code = "once" },
	} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				customer := s.Customer("c1")
				silent(t, s)
				session := s.Session()
				var writers []func()
				for range 8 {
					r := byCard(700, visa)
					r.Credit = true
					mark(&r)
					writers = append(writers, func() { _, _ = s.Cashier.Charge(context.Background(), session, customer, r) })
				}
				atOnce(writers...)
				if n := len(attemptsFor(t, s, customer, func(a *billing.Attempt) bool { return a.Kind == billing.AskCredit })); n != 1 {
					t.Errorf("%d attempts to pay out", n)
				}
				faults(t, s)
				s.Wall.Forward(time.Hour)
				clear(t, s, 4)
				wantCash(t, s, -700, 0)
				right(t, s)
			})
		})
	}
}
