package billrun_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// populate gives a shop customers whose cards are due on a day.
func populate(s *cashiertest.Shop, customers int, first string) {
	plan := s.Plan("standard_monthly", billing.Monthly, 1999)
	for i := range customers {
		customer := s.Customer(fmt.Sprint("c", i))
		s.Subscribe(customer, plan, s.Card(customer, fmt.Sprint("card", i), visa), first)
	}
}

// TestManyMerchants has one pass bill many merchants with a little work each:
// each customer is charged once, also when two passes run at once.
func TestManyMerchants(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		const merchants, customers = 12, 4
		var shops []*cashiertest.Shop
		for i := range merchants {
			shop := s.Another(fmt.Sprint("m", i))
			populate(shop, customers, "2020-01-01")
			shop.SetClock("2020-01-02")
			shops = append(shops, shop)
		}
		sums := make(chan billrun.Summary)
		for range 2 {
			go func() {
				sum, err := s.Runner.Once(context.Background())
				if err != nil {
					t.Error(err)
				}
				sums <- sum
			}()
		}
		sum := <-sums
		sum.Add(<-sums)
		if sum.Invoices != merchants*customers || sum.Collected != merchants*customers {
			t.Errorf("%d invoices, %d collected", sum.Invoices, sum.Collected)
		}
		for _, shop := range shops {
			if n := shop.Journal()[sandbox.LineCapture]; n != customers {
				t.Errorf("merchant %s: %d captures", shop.Merchant.Code, n)
			}
			shop.Balanced()
		}
		due, err := s.Store.MerchantsDue(context.Background(), s.Wall.Now())
		if err != nil || len(due) > 0 {
			t.Errorf("after the pass %v are due (%v)", due, err)
		}
	})
}

// slowBank keeps charges of one merchant until it is released.
type slowBank struct {
	http.RoundTripper
	merchant string
	asked    chan struct{} // told of each charge that is kept
	released chan struct{}
}

func (b *slowBank) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/merchants/"+b.merchant+"/") {
		select {
		case b.asked <- struct{}{}:
		default:
		}
		select {
		case <-b.released:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return b.RoundTripper.RoundTrip(r)
}

// TestSlowBankOfOneMerchant has the bank of one merchant not answer while all
// that it may have under way is under way. Another merchant's work is done
// meanwhile, also what falls due later. When the run is stopped it waits for the
// answers and writes them down.
func TestSlowBankOfOneMerchant(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, slow *cashiertest.Shop) {
		const inFlight, many, few = 32, 40, 3
		bank := &slowBank{RoundTripper: slow.Line.RoundTripper, merchant: slow.Merchant.Code,
			asked: make(chan struct{}, many), released: make(chan struct{})}
		slow.Line.RoundTripper = bank
		other := slow.Another("other")
		populate(other, few, "2020-01-01")
		populate(slow, many, "2020-01-01")
		slow.SetClock("2020-01-01")
		collected := make(chan int, 1000)
		runner := billrun.New(billrun.Options{Store: slow.Store, Cashier: slow.Cashier, Now: slow.Wall.Now, Log: slog.New(slog.DiscardHandler),
			InFlight: inFlight, Poll: time.Millisecond, Progress: func(p billrun.Progress) {
				if p.Merchant.Code == "other" {
					collected <- p.Step.Collected
				}
			}})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- runner.Run(ctx) }()
		for range inFlight * 9 / 10 {
			<-bank.asked
		}
		for _, day := range []string{"2020-01-01", "2020-02-01"} {
			other.SetClock(day)
			for n := 0; n < few; {
				n += <-collected
			}
		}
		stop()
		close(bank.released)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		slow.Wall.Forward(time.Hour) // should a machine have been so slow that leases or deadlines passed
		for range 3 {
			if _, err := slow.Runner.Once(context.Background()); err != nil {
				t.Fatal(err)
			}
			slow.Wall.Forward(time.Hour)
		}
		if n := slow.Journal()[sandbox.LineCapture]; n != many {
			t.Errorf("%d captures of the slow bank's merchant", n)
		}
		if n := other.Journal()[sandbox.LineCapture]; n != 2*few {
			t.Errorf("%d captures of the other merchant", n)
		}
		slow.Balanced()
		other.Balanced()
	})
}

// TestMerchantsDue leads merchants through random weeks with work in every queue,
// and compares the merchants that are found with what the queues of each and its
// clock say.
func TestMerchantsDue(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		dice := rand.New(rand.NewPCG(3, 2020))
		var shops []*cashiertest.Shop
		days := make([]billing.Date, 4)
		for i := range days {
			shop := s.Another(fmt.Sprint("m", i))
			shop.Configure(func(set *billing.Settings) {
				set.Fees = billing.Fees{Late: 300, LateAfterDays: 2}
				set.WriteOffAfterDays = 20
			})
			populate(shop, 2, "2020-01-02")
			poor := shop.Plan("poor", billing.Weekly, 8000)
			customer := shop.Customer("poor")
			shop.Subscribe(customer, poor, shop.BankAccount(customer, "account"), "2020-01-03")
			shops = append(shops, shop)
			days[i] = billing.Date{Year: 2020, Month: 1, Day: 1}
		}
		live := &billing.Merchant{Code: "live", Name: "Live", Mode: billing.Live, Zone: time.UTC, Currency: "USD", Clock: billing.Clock{Mode: billing.ClockReal}}
		if err := s.Cashier.NewMerchant(ctx, live); err != nil {
			t.Fatal(err)
		}
		ids := []billing.MerchantID{live.ID, s.Merchant.ID}
		for _, shop := range shops {
			ids = append(ids, shop.Merchant.ID)
		}
		seen := make(map[string]int)
		for range 60 {
			i := dice.IntN(len(shops))
			shop := shops[i]
			switch dice.IntN(6) {
			case 0, 1:
				days[i] = days[i].AddDays(1 + dice.IntN(5))
				mode := []billing.ClockMode{billing.ClockFrozen, billing.ClockRunning}[i%2]
				if _, err := s.Cashier.SetClock(ctx, shop.Merchant.ID, mode, shop.Merchant.Start(days[i]).Add(9*time.Hour)); err != nil {
					t.Fatal(err)
				}
			case 2:
				faults(t, shop, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter}, sandbox.Fault{On: []string{"lookup"}, Do: sandbox.CutBefore})
			case 3:
				faults(t, shop)
				s.Wall.Forward(3 * time.Hour)
			case 4, 5:
				if _, err := s.Runner.Merchant(ctx, shop.Merchant.ID); err != nil {
					t.Fatal(err)
				}
			}
			wall := s.Wall.Now()
			found, err := s.Store.MerchantsDue(ctx, wall)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				var work store.Work
				var m *billing.Merchant
				if err := s.Store.View(ctx, id, func(v *store.View) (err error) {
					if m, err = v.Merchant(ctx); err != nil {
						return err
					}
					work, err = v.Work(ctx)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				want := false
				for name, at := range map[string]time.Time{"subscription": work.Subscription, "pending": work.Pending, "collect": work.Collect,
					"age": work.Age, "notices": work.Notices} {
					if !at.IsZero() && !at.After(m.Now(wall)) {
						want = true
						seen[name]++
						seen[string(m.Clock.Mode)]++
					}
				}
				if !work.Lease.IsZero() && !work.Lease.After(wall) {
					want = true
					seen["lease"]++
				}
				if slices.Contains(found, m.ID) != want {
					t.Fatalf("merchant %s found: %t, its clock %s, its work %+v", m.Code, !want, m.Now(wall), work)
				}
			}
		}
		for _, name := range []string{"subscription", "pending", "collect", "age", "notices", "lease", "real", "frozen", "running"} {
			if seen[name] == 0 {
				t.Errorf("no %s was ever due", name)
			}
		}
	})
}
