package billrun_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// stopping is a context that ends when it has been asked so many times.
type stopping struct {
	context.Context
	left *atomic.Int64
	stop context.CancelFunc
}

func (c stopping) Err() error {
	c.count()
	return c.Context.Err()
}

func (c stopping) Done() <-chan struct{} {
	c.count()
	return c.Context.Done()
}

func (c stopping) count() {
	if c.left.Add(-1) == 0 {
		c.stop()
	}
}

// stopAfter is a context that ends at the nth question about it.
func stopAfter(n int64) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	c := stopping{ctx, new(atomic.Int64), stop}
	c.left.Store(n)
	return c
}

// TestStoppedAtAnyPoint stops runs at many points, in the middle of transactions
// too, and lets the next run finish: whatever the stopped one had not committed
// was not sent, so the bank captures each invoice once.
func TestStoppedAtAnyPoint(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("standard_monthly", billing.Monthly, 1999)
		const customers, months = 7, 40
		for i := range customers {
			customer := s.Customer(fmt.Sprint("c", i))
			s.Subscribe(customer, plan, s.Card(customer, fmt.Sprint("card", i), visa), "2020-02-01")
		}
		s.Runner.Batch = 3
		first := billing.Date{Year: 2020, Month: 2, Day: 1}
		stopped := 0
		for month := range months {
			day := first.AddMonths(month)
			s.MoveTo(day.AddDays(-1).String()) // so that the stopped run has that day's work alone
			s.SetClock(day.String())
			ctx := stopAfter(int64(1 + 3*month))
			if _, err := s.Runner.Merchant(ctx, s.Merchant.ID); err != nil {
				stopped++
				s.Wall.Forward(time.Hour) // a lease of which it is not known whether it was committed runs out
			}
			// PostgreSQL keeps the rows of a connection that was cut until it has noticed.
			for patience, end := context.WithTimeout(context.Background(), time.Minute); ; {
				if _, err := s.Runner.Merchant(context.Background(), s.Merchant.ID); err != nil {
					t.Fatal(err)
				}
				if due, err := s.Store.MerchantsDue(context.Background(), s.Wall.Now()); err != nil {
					t.Fatal(err)
				} else if len(due) == 0 || patience.Err() != nil {
					end()
					break
				}
			}
			if n := s.Journal()[sandbox.LineCapture]; n != customers*(month+1) {
				t.Fatalf("month %d, stopped at question %d: %d captures, want %d", month, 1+3*month, n, customers*(month+1))
			}
		}
		if stopped < months/2 {
			t.Errorf("only %d runs of %d were stopped in the middle", stopped, months)
		}
		s.Balanced()
	})
}
