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

// TestReplace: what is replaced ends when the charge is approved, whoever says
// so, and its open renewal is owed no more; while nobody knows, it is as it was
// and no second charge is made.
func TestReplace(t *testing.T) {
	for name, approved := range map[string]bool{"approved by hand": true, "declined by hand": false} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
				ctx := context.Background()
				s := openSeller(t, shop, visa)
				terms := monthly()
				terms.Recurring = 8000 // which the bank declines softly
				old := s.sell(terms).Subscription
				s.MoveTo("2020-01-11") // and it is owed
				replacing := func(r *cashier.SaleRequest) { r.Method, r.Replaces = old.PaymentMethodID, old.ID }
				effect := sandbox.CutBefore
				if approved {
					effect = sandbox.CutAfter
				}
				err := s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: effect, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 20})
				if err != nil {
					t.Fatal(err)
				}
				sold := s.sell(monthly(), replacing)
				if sold.Attempt.State != billing.AttemptUnknown {
					t.Fatalf("sold %+v", sold)
				}
				again := cashier.SaleRequest{Account: "2001", Terms: monthly()}
				replacing(&again)
				if _, err := s.Cashier.Sell(ctx, s.Session(), again); billing.KindOf(err) != billing.InProgress {
					t.Errorf("replaced twice at once: %v", err)
				}
				again.Terms.Initial = 0
				if _, err := s.Cashier.Sell(ctx, s.Session(), again); billing.KindOf(err) != billing.Invalid {
					t.Errorf("replaced for nothing: %v", err)
				}
				if sub := s.Subscription(cashier.Ref{ID: int64(old.ID)}); sub.Ended() {
					t.Errorf("meanwhile it is %s", sub.Status)
				}
				s.Wall.Forward(48 * time.Hour)
				v := cashier.Verdict{Approved: approved, Who: "Bob", Reason: "the bank said so by telephone"}
				if !approved {
					v.Code = "05"
				}
				if _, err := s.Cashier.SettleByHand(ctx, s.Merchant, sold.Attempt.ID, v); err != nil {
					t.Fatal(err)
				}
				sub := s.Subscription(cashier.Ref{ID: int64(old.ID)})
				if sub.Ended() != approved {
					t.Errorf("then it is %s", sub.Status)
				}
				var open int64
				for _, a := range s.Activities(cashier.Ref{ID: int64(sub.CustomerID)}) {
					open += a.Open.Minor()
				}
				if approved != (open == 0) {
					t.Errorf("%d are open", open)
				}
				s.Balanced()
				again.Terms = monthly()
				if _, err := s.Cashier.Sell(ctx, s.Session(), again); approved != (billing.KindOf(err) == billing.State) {
					t.Errorf("replaced once more: %v", err)
				}
				s.clean()
			})
		})
	}
}
