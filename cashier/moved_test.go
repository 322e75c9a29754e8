package cashier_test

import (
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
)

// TestMovedSubscription goes on where another system stopped: it charges no
// enrolment fee and bills the next date, not the first.
func TestMovedSubscription(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(set *billing.Settings) { set.Fees.Enrollment = 500 })
		customer := s.Customer("customer1")
		plan, card := s.Plan("gym", billing.Monthly, 1999), s.Card(customer, "card1", visa)
		s.Subscribe(customer, plan, card, "2019-10-05", func(r *cashier.SubscribeRequest) { r.Billed = 3 })
		s.MoveTo("2020-01-10")
		wantBooks(t, s, customer, `2020-01-05 invoice 19.99 open 0.00 posted due 2020-01-05
2020-01-05 claim 19.99 open 0.00 posted due 2020-01-05
`)
	})
}
