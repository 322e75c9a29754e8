package cashier_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// monthly are terms of a first phase of ten days and rebills without end.
func monthly() billing.Terms {
	return billing.Terms{Currency: "USD", Initial: 500, InitialDays: 10, Recurring: 1999, RecurringDays: 30, Rebills: billing.Endless}
}

// seller is a shop with somebody whose card is known.
type seller struct {
	*cashiertest.Shop
	t    *testing.T
	card cashier.Ref
	next int
}

func openSeller(t *testing.T, s *cashiertest.Shop, number string) *seller {
	return &seller{Shop: s, t: t, card: s.Card(s.Customer("ann"), "card", number)}
}

func (s *seller) sell(terms billing.Terms, change ...func(*cashier.SaleRequest)) *cashier.Sold {
	s.t.Helper()
	r := cashier.SaleRequest{Account: "2001", Method: billing.PaymentMethodID(s.card.ID), Terms: terms, Number: func() string {
		s.next++
		return fmt.Sprintf("%019d", s.next)
	}}
	for _, f := range change {
		f(&r)
	}
	sold, err := s.Cashier.Sell(context.Background(), s.Session(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return sold
}

// clean lets the auditor look, with the bank's journal at hand.
func (s *seller) clean() {
	s.t.Helper()
	s.Balanced()
	faults, err := audit.Books(context.Background(), s.Store, s.Merchant.ID, s.Wall.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range faults {
		if !f.Note {
			s.t.Error(f)
		}
	}
}

func (s *seller) wantBuyer(sub *billing.Subscription, want string) {
	s.t.Helper()
	wantBooks(s.t, s.Shop, cashier.Ref{ID: int64(sub.CustomerID)}, want)
}

// payment is the first payment of a subscription.
func (s *seller) payment(sub *billing.Subscription) *billing.Activity {
	s.t.Helper()
	for _, a := range s.Activities(cashier.Ref{ID: int64(sub.CustomerID)}) {
		if a.Kind == billing.Payment || a.Kind == billing.Claim {
			return a
		}
	}
	s.t.Fatal("no payment")
	return nil
}

// TestSell: the first price is charged at once, the phases are billed by the
// run, and a sale that is cancelled lives out what is paid.
func TestSell(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		ctx := context.Background()
		s := openSeller(t, shop, visa)
		sold := s.sell(monthly())
		sub := sold.Subscription
		if sub == nil || sold.Number != "1" || sub.CreatedAt != s.Merchant.CreatedAt || sub.Period != 1 || sub.Issued != 1 {
			t.Fatalf("sold %+v", sold)
		}
		s.wantBuyer(sub, `2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
`)
		s.MoveTo("2020-02-15")
		after := `2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
2020-01-10 invoice 19.99 open 0.00 posted due 2020-01-10
2020-01-10 claim 19.99 open 0.00 posted due 2020-01-10
2020-02-09 invoice 19.99 open 0.00 posted due 2020-02-09
2020-02-09 claim 19.99 open 0.00 posted due 2020-02-09
`
		s.wantBuyer(sub, after)
		owner, ref := cashier.Ref{ID: int64(sub.CustomerID)}, cashier.Ref{ID: int64(sub.ID)}
		if _, err := s.Cashier.Extend(ctx, s.Session(), owner, ref, 6); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.CancelAtEnd(ctx, s.Session(), owner, ref, ""); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-03-16") // the 10th and six days
		if got := s.Subscription(ref); got.Status != billing.Current {
			t.Errorf("on the last day it is %s", got.Status)
		}
		s.MoveTo("2020-03-17")
		if got := s.Subscription(ref); got.Status != billing.Cancelled {
			t.Errorf("after the last day it is %s", got.Status)
		}
		s.wantBuyer(sub, after)
		s.clean()
	})
}

// TestSalesStandApart: two sales of one buyer are claimed each for itself.
func TestSalesStandApart(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSeller(t, shop, visa)
		first, second := s.sell(monthly()), s.sell(monthly())
		if first.Number == second.Number || first.Subscription.CustomerID == second.Subscription.CustomerID {
			t.Errorf("%+v and %+v", first, second)
		}
		s.MoveTo("2020-01-15")
		if n := s.Journal()[sandbox.LineCapture]; n != 4 {
			t.Errorf("%d captures", n)
		}
		s.clean()
	})
}

// TestSaleDeclined leaves a declined payment, and a number for it.
func TestSaleDeclined(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSeller(t, shop, "4000000000009979")
		sold := s.sell(monthly())
		if sold.Subscription != nil || sold.Attempt.State != billing.AttemptDeclined || sold.Number == "" {
			t.Fatalf("sold %+v", sold)
		}
		var found map[store.Noun]int64
		err := s.Store.View(context.Background(), s.Merchant.ID, func(v *store.View) (err error) {
			found, err = v.Numbered(context.Background(), sold.Number)
			return err
		})
		if err != nil || found[store.AttemptNumber] != int64(sold.Attempt.ID) {
			t.Errorf("the number stands for %v: %v", found, err)
		}
		s.clean()
	})
}

// TestSaleUnknown: the subscription is there when the bank's answer is known at
// last, as of the day on which it was sold.
func TestSaleUnknown(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		ctx := context.Background()
		s := openSeller(t, shop, visa)
		err := s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		sold := s.sell(monthly())
		if sold.Subscription != nil || sold.Attempt.State != billing.AttemptUnknown {
			t.Fatalf("sold %+v", sold)
		}
		s.SetClock("2020-01-02")
		s.Wall.Forward(time.Hour)
		if _, err := s.Runner.Merchant(ctx, s.Merchant.ID); err != nil {
			t.Fatal(err)
		}
		ref := cashier.Ref{ID: int64(sold.Attempt.Details.Sale.SubscriptionID)}
		if sub := s.Subscription(ref); sub.FirstDate.String() != "2019-12-31" || sub.NextDate.String() != "2020-01-10" {
			t.Errorf("sold %+v", sub)
		}
		s.clean()
	})
}

// TestSaleInPart: what the bank has not approved of a first price is claimed by the
// next run.
func TestSaleInPart(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSeller(t, shop, visa)
		terms := monthly()
		terms.Initial = 15500
		sold := s.sell(terms)
		if sold.Subscription == nil || s.payment(sold.Subscription).Amount.Minor() != 14500 {
			t.Fatalf("sold %+v", sold)
		}
		_, err := s.Runner.Merchant(context.Background(), s.Merchant.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.wantBuyer(sold.Subscription, `2019-12-31 payment 145.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 155.00 open 0.00 posted due 2019-12-31
2019-12-31 claim 10.00 open 0.00 posted due 2019-12-31
`)
		s.clean()
	})
}

// TestSaleFree asks nobody, and the run bills the second phase.
func TestSaleFree(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSeller(t, shop, visa)
		terms := monthly()
		terms.Initial, terms.Rebills = 0, 1
		sold := s.sell(terms)
		s.MoveTo("2020-03-15")
		s.wantBuyer(sold.Subscription, `2019-12-31 invoice 0.00 open 0.00 posted due 2019-12-31
2020-01-10 invoice 19.99 open 0.00 posted due 2020-01-10
2020-01-10 claim 19.99 open 0.00 posted due 2020-01-10
`)
		if sub := s.Subscription(cashier.Ref{ID: int64(sold.Subscription.ID)}); sub.Status != billing.Expired {
			t.Errorf("it is %s", sub.Status)
		}
		s.clean()
	})
}

// TestRefundEndsSale: a refund ends what was paid for at once, and nothing of it
// is owed any more; one in part leaves the rest paid.
func TestRefundEndsSale(t *testing.T) {
	for name, tt := range map[string]struct {
		on     string
		r      cashier.RefundRequest
		again  bool // a second refund is possible
		refund string
	}{
		"void": {"2019-12-31", cashier.RefundRequest{Ends: true}, false, `2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
2019-12-31 void 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice-reversal 5.00 open 0.00 posted due 2019-12-31
`},
		"refund": {"2020-01-05", cashier.RefundRequest{Ends: true}, false, `2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
2020-01-05 refund 5.00 open 0.00 posted due 2020-01-05
2020-01-05 invoice-reversal 5.00 open 0.00 posted due 2020-01-05
`},
		"part": {"2019-12-31", cashier.RefundRequest{Ends: true, Amount: 200, By: billing.AskRefund}, true, `2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
2019-12-31 refund 2.00 open 0.00 posted due 2019-12-31
2019-12-31 credit 2.00 open 0.00 posted due 2019-12-31
`},
	} {
		t.Run(name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
				ctx := context.Background()
				s := openSeller(t, shop, visa)
				sold := s.sell(monthly())
				s.MoveTo(tt.on)
				pay := s.payment(sold.Subscription)
				if _, err := s.Cashier.Refund(ctx, s.Session(), pay.ID, tt.r); err != nil {
					t.Fatal(err)
				}
				s.wantBuyer(sold.Subscription, tt.refund)
				if sub := s.Subscription(cashier.Ref{ID: int64(sold.Subscription.ID)}); sub.Status != billing.Cancelled || !sub.NextAt.IsZero() {
					t.Errorf("it is %s", sub.Status)
				}
				over := tt.r
				over.Amount = 301
				if _, err := s.Cashier.Refund(ctx, s.Session(), pay.ID, over); err == nil {
					t.Error("more is given back than was paid")
				}
				_, err := s.Cashier.Refund(ctx, s.Session(), pay.ID, cashier.RefundRequest{By: billing.AskRefund})
				if (err == nil) != tt.again {
					t.Errorf("once more: %v", err)
				}
				s.MoveTo("2020-03-01")
				if n := s.Journal()[sandbox.LineCapture]; n != 1 {
					t.Errorf("%d captures", n)
				}
				s.clean()
			})
		})
	}
}

// TestPlant brings in what another system sold, which goes on here.
func TestPlant(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		ctx := context.Background()
		s := openSeller(t, shop, visa)
		date := func(text string) billing.Date {
			d, err := billing.ParseDate(text)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		r := cashier.PlantRequest{Number: "0102751901000023384", Code: "old", Method: s.card, Terms: monthly(),
			Past: billing.Past{SignedUp: date("2019-11-01"), Rebilled: 1, Next: date("2020-01-02")}}
		ann := cashier.Ref{Code: "ann"}
		sub, err := s.Cashier.Plant(ctx, s.Session(), ann, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.Plant(ctx, s.Session(), ann, r); billing.KindOf(err) != billing.State {
			t.Errorf("planted twice: %v", err)
		}
		other := s.Customer("bob")
		r.Method = s.Card(other, "bobs", visa)
		if _, err := s.Cashier.Plant(ctx, s.Session(), other, r); billing.KindOf(err) != billing.Duplicate {
			t.Errorf("planted twice: %v", err)
		}
		s.MoveTo("2020-02-03")
		s.wantBuyer(sub, `2020-01-02 invoice 19.99 open 0.00 posted due 2020-01-02
2020-01-02 claim 19.99 open 0.00 posted due 2020-01-02
2020-02-01 invoice 19.99 open 0.00 posted due 2020-02-01
2020-02-01 claim 19.99 open 0.00 posted due 2020-02-01
`)
		s.clean()

		r.Number, r.Code, r.CancelledAt = "1071776966", "", s.Session().Now
		r.Past = billing.Past{SignedUp: date("2019-11-01"), Cancelled: true}
		dead, err := s.Cashier.Plant(ctx, s.Session(), other, r)
		if err != nil || dead.Status != billing.Cancelled || !dead.NextAt.IsZero() {
			t.Errorf("what ended elsewhere is %+v: %v", dead, err)
		}
		s.clean()
	})
}

// TestSaleLapses: access that is not paid for ends when the last retry was
// declined, and nothing is owed for it.
func TestSaleLapses(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSeller(t, shop, visa)
		terms := monthly()
		terms.Recurring = 8000 // which the bank declines softly
		sub := s.sell(terms).Subscription
		s.MoveTo("2020-01-23")
		if got := s.Subscription(cashier.Ref{ID: int64(sub.ID)}); got.Ended() {
			t.Errorf("between retries it is %s", got.Status)
		}
		s.MoveTo("2020-06-01")
		if got := s.Subscription(cashier.Ref{ID: int64(sub.ID)}); got.Status != billing.Cancelled || got.Issued != 2 {
			t.Errorf("it is %s after %d billings", got.Status, got.Issued)
		}
		for _, a := range s.Activities(cashier.Ref{ID: int64(sub.CustomerID)}) {
			if !a.Open.IsZero() {
				t.Errorf("%s of %s is open", a.Kind, a.Amount)
			}
		}
		s.clean()
	})
}
