package cashier_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// TestChargesTogether has many charges of one merchant come at once, good ones and
// such as cannot be written down: the good ones go through, each once, and each
// bad one gets its own error.
func TestChargesTogether(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		const rounds, each = 6, 12
		good := 0
		for round := range rounds {
			var all sync.WaitGroup
			var mu sync.Mutex
			paid, kinds := 0, map[billing.Kind]int{}
			try := func(customer cashier.Ref, r cashier.ChargeRequest) {
				session := s.Session()
				all.Go(func() {
					_, err := s.Cashier.Charge(context.Background(), session, customer, r)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						paid++
					} else {
						kinds[billing.KindOf(err)]++
					}
				})
			}
			for i := range each {
				name := fmt.Sprintf("c%d-%d", round, i)
				customer := s.Customer(name)
				card := s.Card(customer, name, visa)
				try(customer, cashier.ChargeRequest{Amount: 100, Method: card, Code: name})
				switch i % 4 {
				case 0: // a code twice
					try(customer, cashier.ChargeRequest{Amount: 100, Method: card, Code: name})
				case 1: // somebody else's card
					try(s.Customer(name+"x"), cashier.ChargeRequest{Amount: 100, Method: card})
				case 2: // nobody
					try(cashier.Ref{ID: 4711}, byCard(100))
				}
			}
			all.Wait()
			good += each
			if paid != each || kinds[billing.Duplicate] != each/4 || kinds[billing.NotFound] != each/2 {
				t.Fatalf("round %d: %d paid, %v", round, paid, kinds)
			}
		}
		if n := s.Journal()[sandbox.LineCapture]; n != good {
			t.Errorf("%d captures of %d", n, good)
		}
		s.Balanced()
	})
}

// TestChargesPassALockedCustomer has somebody hold a customer's account while
// charges come: all but that customer's go through meanwhile, also those that came
// together with it.
func TestChargesPassALockedCustomer(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		if s.Store.Engine() == sqldb.SQLite {
			t.Skip("one writer: nobody holds a row while others write")
		}
		ctx := context.Background()
		const many = 16
		held := s.Customer("held")
		locked, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
				_, err := tx.LockCustomers(ctx, []billing.CustomerID{billing.CustomerID(held.ID)})
				close(locked)
				<-release
				return err
			})
		}()
		<-locked
		results, session := make(chan error, 1), s.Session()
		go func() {
			_, err := s.Cashier.Charge(ctx, session, held, byCard(100))
			results <- err
		}()
		var all sync.WaitGroup
		for i := range many {
			customer, session := s.Customer(fmt.Sprint("free", i)), s.Session()
			all.Go(func() {
				if _, err := s.Cashier.Charge(ctx, session, customer, byCard(100)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		select {
		case err := <-results:
			t.Errorf("the customer's whose account is held did not wait: %v", err)
		default:
		}
		close(release)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if err := <-results; err != nil {
			t.Error(err)
		}
		if n := s.Journal()[sandbox.LineCapture]; n != many+1 {
			t.Errorf("%d captures", n)
		}
		s.Balanced()
	})
}
