package cashier_test

import (
	"context"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

func payOut(r *cashier.ChargeRequest) { r.Credit = true }

// TestDeclinedPayOut leaves a line that says so and moves nothing: what is paid
// to a customer is declined like what is charged.
func TestDeclinedPayOut(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		fault := sandbox.Fault{On: []string{string(billing.AskCredit)}, Do: sandbox.Decline, Response: "05"}
		if err := s.Bank.SetFaults(context.Background(), s.Merchant.Code, fault); err != nil {
			t.Fatal(err)
		}
		receipt := charge(t, s, customer, byCard(1999, payOut))
		if receipt.Attempt.State != billing.AttemptDeclined {
			t.Errorf("the attempt is %s", receipt.Attempt.State)
		}
		wantBooks(t, s, customer, "2019-12-31 refund 19.99 open 0.00 declined due 2019-12-31\n")
		if n := s.Balance(billing.Receivable); n != 0 {
			t.Errorf("receivable %d", n)
		}
	})
}

// TestPayOutNamesNoInvoice: else the invoice would stay claimed by it for ever.
func TestPayOutNamesNoInvoice(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		invoice := record(t, s, customer, billing.Invoice, 1999)
		r := byCard(1999, payOut, func(r *cashier.ChargeRequest) { r.Invoices = []cashier.Ref{{ID: int64(invoice.ID)}} })
		if _, err := s.Cashier.Charge(context.Background(), s.Session(), customer, r); billing.KindOf(err) != billing.State {
			t.Errorf("charged: %v", err)
		}
	})
}

// TestUnknownPayOut stands as unknown until Rescue has asked, and is then posted
// once or declined.
func TestUnknownPayOut(t *testing.T) {
	for _, tt := range []struct {
		do   sandbox.Trouble
		want string
		sum  int64
	}{
		{sandbox.CutAfter, "2019-12-31 refund 19.99 open 19.99 posted due 2019-12-31\n", 1999},
		{sandbox.CutBefore, "2019-12-31 refund 19.99 open 0.00 declined due 2019-12-31\n", 0},
	} {
		t.Run(string(tt.do), func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				customer := s.Customer("customer1")
				faults := []sandbox.Fault{
					{On: []string{string(billing.AskCredit)}, Do: tt.do},
					{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1},
				}
				if err := s.Bank.SetFaults(ctx, s.Merchant.Code, faults...); err != nil {
					t.Fatal(err)
				}
				receipt := charge(t, s, customer, byCard(1999, payOut))
				if receipt.Activity.State != billing.Unknown {
					t.Errorf("the activity is %s", receipt.Activity.State)
				}
				wantBooks(t, s, customer, "2019-12-31 refund 19.99 open 0.00 unknown due 2019-12-31\n")
				for range 6 {
					s.Wall.Forward(time.Hour)
					if _, err := s.Runner.Merchant(ctx, s.Merchant.ID); err != nil {
						t.Fatal(err)
					}
				}
				wantBooks(t, s, customer, tt.want)
				if n := s.Balance(billing.Receivable); n != tt.sum {
					t.Errorf("receivable %d, want %d", n, tt.sum)
				}
			})
		})
	}
}
