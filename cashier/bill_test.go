package cashier_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

func (s *shop) charge(customer cashier.Ref, amount int64, text string) *billing.Line {
	s.t.Helper()
	l, err := s.Cashier.AddCharge(context.Background(), s.Session(), customer, cashier.LineRequest{Amount: amount, Description: text})
	ok(s.t, err)
	return l
}

func (s *shop) credit(customer cashier.Ref, amount int64, text string) *billing.Line {
	s.t.Helper()
	l, err := s.Cashier.GiveCredit(context.Background(), s.Session(), customer, cashier.LineRequest{Amount: amount, Description: text})
	ok(s.t, err)
	return l
}

// numbers are the numbers of a customer's bills, the newest first.
func (s *shop) numbers(customer cashier.Ref) (list []int64) {
	s.t.Helper()
	ctx := context.Background()
	ok(s.t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		bills, err := v.Bills(ctx, billing.CustomerID(customer.ID), 0, 100)
		list = nil
		for _, b := range bills {
			list = append(list, b.Number)
		}
		return err
	}))
	return list
}

// TestRenewal: a billing takes along what waits, lowers by the coupon, bears tax,
// uses credits first, and leaves the same books in a jump as day by day.
func TestRenewal(t *testing.T) {
	for _, daily := range []bool{false, true} {
		t.Run(fmt.Sprintf("daily %t", daily), func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				s.coupon(billing.Coupon{Code: "months", Name: "Two months", Percent: 50, Lasts: billing.LastsMonths, Months: 2})
				customer, sub := s.subscribed("gold", func(r *cashier.SignUpRequest) { r.TaxRate, r.Coupon = 10000, "months" })
				s.charge(customer, 300, "an hour")
				adjust := func(amount int64) error {
					_, err := s.Cashier.AddAdjustment(ctx, s.Session(), customer, sub, cashier.LineRequest{Amount: amount, Description: "adjusted"})
					return err
				}
				ok(t, adjust(-199))
				ok(t, adjust(-201))
				if err := adjust(-601); billing.KindOf(err) != billing.Invalid || field(err) != "adjustment" {
					t.Errorf("below nought: %v", err)
				}
				s.credit(customer, 100, "sorry")
				s.wantLines(customer, `plan "GOLD" 1 x 10.00 = 10.00
discount "Two months" 1 x -5.00 = -5.00
charge "an hour" 1 x 3.00 = 3.00 waits
adjustment "adjusted" 1 x -1.99 = -1.99 waits
adjustment "adjusted" 1 x -2.01 = -2.01 waits
credit "sorry" 1 x -1.00 = -1.00
`)
				walk(t, s.Shop, "2020-04-01", daily)
				wantBooks(t, s.Shop, customer, `2019-12-31 invoice 5.50 open 0.00 posted due 2019-12-31
2019-12-31 payment 5.50 open 0.00 posted due 2019-12-31
2019-12-31 credit 1.00 open 0.00 posted due 2019-12-31
2020-01-31 invoice 2.75 open 0.00 posted due 2020-01-31
2020-01-31 claim 1.75 open 0.00 posted due 2020-01-31
2020-02-29 invoice 11.00 open 0.00 posted due 2020-02-29
2020-02-29 claim 11.00 open 0.00 posted due 2020-02-29
2020-03-31 invoice 11.00 open 0.00 posted due 2020-03-31
2020-03-31 claim 11.00 open 0.00 posted due 2020-03-31
`)
				if diff := cmp.Diff([]int64{1003, 1002, 1001, 1000}, s.numbers(customer)); diff != "" {
					// The sign-up's was numbered with the first of the run's.
					t.Errorf("numbers (-want +got):\n%s", diff)
				}
				s.clean()
			})
		})
	}
}

// TestDiscountOfAdjusted: what adjustments have lowered already is discounted to
// nought and no further.
func TestDiscountOfAdjusted(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, sub := s.subscribed("gold")
		s.coupon(billing.Coupon{Code: "half", Amount: usd(900), Lasts: billing.LastsOnce})
		_, err := s.Cashier.Redeem(ctx, s.Session(), customer, "half")
		ok(t, err)
		_, err = s.Cashier.AddAdjustment(ctx, s.Session(), customer, sub, cashier.LineRequest{Amount: -400})
		ok(t, err)
		s.MoveTo("2020-03-01")
		if got := billed(s.Shop, customer); got != "12-31 10.00, 01-31 0.00, 02-29 10.00" {
			t.Errorf("billed %s", got)
		}
		s.clean()
	})
}

// TestLines: charges wait, and can be removed; a credit covers at once, and can be
// taken back while it has covered nothing.
func TestLines(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer := s.Customer("ann")
		for name, x := range map[string]struct {
			r     cashier.LineRequest
			field string
		}{
			"nothing":        {cashier.LineRequest{}, "amount"},
			"negative":       {cashier.LineRequest{Amount: -5}, "amount"},
			"too much":       {cashier.LineRequest{Amount: billing.MaxAmount + 1}, "amount"},
			"too many":       {cashier.LineRequest{Amount: 5, Quantity: billing.MaxQuantity + 1}, "quantity"},
			"product":        {cashier.LineRequest{Unit: pointer[int64](billing.MaxAmount), Quantity: 2}, "amount"},
			"end before":     {cashier.LineRequest{Amount: 5, From: s.Session().Now, To: s.Session().Now.Add(-1)}, "end_date"},
			"long":           {cashier.LineRequest{Amount: 5, Description: string(make([]byte, 1001))}, "description"},
			"negative count": {cashier.LineRequest{Amount: 5, Quantity: -1}, "quantity"},
		} {
			_, err := s.Cashier.AddCharge(ctx, s.Session(), customer, x.r)
			_, no := s.Cashier.GiveCredit(ctx, s.Session(), customer, x.r)
			if billing.KindOf(err) != billing.Invalid || field(err) != x.field || billing.KindOf(no) != billing.Invalid {
				t.Errorf("%s: %v, %v", name, err, no)
			}
		}
		one := s.charge(customer, 100, "one")
		three, err := s.Cashier.AddCharge(ctx, s.Session(), customer, cashier.LineRequest{Unit: pointer[int64](33), Quantity: 3, Description: "three"})
		if err != nil || three.Amount != usd(99) {
			t.Fatalf("%+v, %v", three, err)
		}
		ok(t, s.Cashier.RemoveLine(ctx, s.Session(), customer, one.ID))
		if err := s.Cashier.RemoveLine(ctx, s.Session(), customer, one.ID); billing.KindOf(err) != billing.NotFound {
			t.Errorf("removed twice: %v", err)
		}
		if err := s.Cashier.RemoveLine(ctx, s.Session(), s.Customer("bob"), three.ID); billing.KindOf(err) != billing.NotFound {
			t.Errorf("removed another's: %v", err)
		}
		gift := s.credit(customer, 50, "gift")
		if gift.Amount != usd(-50) || s.open(customer) != -50 {
			t.Errorf("given %+v", gift)
		}
		ok(t, s.Cashier.RemoveLine(ctx, s.Session(), customer, gift.ID))
		used := s.credit(customer, 60, "used")
		record(t, s.Shop, customer, billing.Invoice, 10)
		if err := s.Cashier.RemoveLine(ctx, s.Session(), customer, used.ID); billing.KindOf(err) != billing.State {
			t.Errorf("removed what is used: %v", err)
		}
		s.wantLines(customer, "charge \"three\" 3 x 0.33 = 0.99 waits\ncredit \"used\" 1 x -0.60 = -0.60\n")
		if got := s.open(customer); got != -50 {
			t.Errorf("%d are open", got)
		}
		s.clean()
	})
}

// TestInvoiceNow: what waits is invoiced and collected; without anything to collect
// it with, or where that is declined, the invoice stays open.
func TestInvoiceNow(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, card := s.someone("ann", visa)
		bad := s.Card(customer, "", refuses)
		if _, err := s.Cashier.InvoiceNow(ctx, s.Session(), customer, cashier.InvoiceRequest{Method: card}); billing.KindOf(err) != billing.State {
			t.Errorf("of nothing: %v", err)
		}
		s.charge(customer, 100, "one")
		s.charge(customer, 250, "two")
		invoice := func(method cashier.Ref) *cashier.Invoiced {
			t.Helper()
			done, err := s.Cashier.InvoiceNow(ctx, s.Session(), customer, cashier.InvoiceRequest{Method: method})
			ok(t, err)
			return done
		}
		paid := invoice(card)
		if paid.Attempt.State != billing.AttemptApproved || !paid.Invoice.Open.IsZero() || paid.Invoice.Amount != usd(350) {
			t.Errorf("collected: %+v, %+v", paid.Attempt, paid.Invoice)
		}
		s.charge(customer, 70, "three")
		s.credit(customer, 20, "less")
		no := invoice(bad)
		if no.Attempt.State != billing.AttemptDeclined || no.Attempt.Amount != usd(50) || no.Invoice.Open != usd(50) || no.Invoice.ClaimedBy != 0 {
			t.Errorf("declined: %+v, %+v", no.Attempt, no.Invoice)
		}
		s.charge(customer, 30, "four")
		if open := invoice(cashier.Ref{}); open.Attempt != nil || open.Invoice.Open != usd(30) {
			t.Errorf("without a card: %+v", open)
		}
		s.coupon(billing.Coupon{Code: "half", Percent: 50, Lasts: billing.LastsOnce})
		_, err := s.Cashier.Redeem(ctx, s.Session(), customer, "half")
		ok(t, err)
		s.charge(customer, 11, "five")
		if less := invoice(card); less.Invoice.Amount != usd(5) || less.Attempt.Amount != usd(5) {
			t.Errorf("with a coupon: %+v, %+v", less.Invoice, less.Attempt)
		}
		s.credit(customer, 500, "all")
		s.charge(customer, 10, "six")
		if covered := invoice(card); covered.Attempt != nil || !covered.Invoice.Open.IsZero() {
			t.Errorf("covered: %+v, %+v", covered.Attempt, covered.Invoice)
		}
		s.clean()
	})
}

// TestInvoiceNowDies: wherever the process dies, what waited stands on one invoice,
// which is collected once.
func TestInvoiceNowDies(t *testing.T) {
	for _, step := range []string{"charge: intention committed", "charge: answered", "settle: committed"} {
		t.Run(step, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				customer, card := s.someone("ann", visa)
				s.charge(customer, 100, "one")
				s.dying(step, func() { _, _ = s.Cashier.InvoiceNow(ctx, s.Session(), customer, cashier.InvoiceRequest{Method: card}) })
				s.rescued()
				if _, err := s.Cashier.InvoiceNow(ctx, s.Session(), customer, cashier.InvoiceRequest{Method: card}); billing.KindOf(err) != billing.State {
					t.Errorf("again: %v", err)
				}
				if got := billed(s.Shop, customer); got != "12-31 1.00" || s.Journal()[sandbox.LineCapture] != 1 {
					t.Errorf("billed %s, and the bank has %v", got, s.Journal())
				}
				s.clean()
			})
		})
	}
}

// TestPurchase: charge, invoice and payment are there together, or not at all; a
// credit does not pay for it.
func TestPurchase(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		buy := func(number string) *cashier.Purchased {
			t.Helper()
			done, err := s.Cashier.Purchase(ctx, s.Session(), cashier.PurchaseRequest{Party: newcomer(number).Party,
				Line: cashier.LineRequest{Amount: 700, Description: "a book"}})
			ok(t, err)
			return done
		}
		no := buy(refuses)
		if no.Attempt.State != billing.AttemptDeclined || no.Invoice != nil {
			t.Fatalf("declined: %+v", no)
		}
		s.nothing(no.Customer.ID)
		yes := buy(visa)
		customer := cashier.Ref{ID: int64(yes.Customer.ID)}
		if yes.Invoice.Amount != usd(700) || !yes.Invoice.Open.IsZero() {
			t.Errorf("bought %+v", yes.Invoice)
		}
		s.wantLines(customer, "charge \"a book\" 1 x 7.00 = 7.00\n")
		s.credit(customer, 1000, "gift")
		again, err := s.Cashier.Purchase(ctx, s.Session(), cashier.PurchaseRequest{Line: cashier.LineRequest{Amount: 100},
			Party: cashier.Party{Customer: customer, Method: cashier.Ref{ID: int64(yes.Attempt.PaymentMethodID)}}})
		if err != nil || again.Attempt.Amount != usd(100) || s.open(customer) != -1000 {
			t.Errorf("with a credit: %+v, %v, %d open", again, err, s.open(customer))
		}
		if _, err := s.Cashier.Purchase(ctx, s.Session(), cashier.PurchaseRequest{Party: cashier.Party{Customer: customer}, Line: cashier.LineRequest{Amount: 1}}); field(err) != "paymentOptionId" {
			t.Errorf("with nothing: %v", err)
		}
		s.clean()
	})
}

// TestNumberBills: many who make bills and number them at once leave numbers without
// gaps, none twice, in the order of the bills of each customer.
func TestNumberBills(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		s.Configure(func(o *billing.Settings) { o.FirstBillNumber = 7 })
		const makers, each = 6, 5
		session := s.Session()
		var all []int64
		var customers []cashier.Ref
		for i := range makers {
			customers = append(customers, s.Customer(fmt.Sprint("c", i)))
		}
		var group sync.WaitGroup
		for _, c := range customers {
			group.Go(func() {
				for range each {
					if _, err := s.Cashier.AddCharge(ctx, session, c, cashier.LineRequest{Amount: 1}); err != nil {
						t.Error(err)
					}
					if _, err := s.Cashier.InvoiceNow(ctx, session, c, cashier.InvoiceRequest{}); err != nil {
						t.Error(err)
					}
					if err := s.Cashier.NumberBills(ctx, session.Merchant); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		for _, c := range customers {
			list := s.numbers(c)
			if !slices.IsSortedFunc(list, func(a, b int64) int { return int(b - a) }) || len(list) != each {
				t.Errorf("numbers %v", list)
			}
			all = append(all, list...)
		}
		slices.Sort(all)
		for i, n := range all {
			if n != int64(7+i) {
				t.Fatalf("numbers %v", all)
			}
		}
		s.clean()
	})
}
