package cashier_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

const visa = "4111111111111111"

// byCard asks to charge a card that comes with the request.
func byCard(amount int64, change ...func(*cashier.ChargeRequest)) cashier.ChargeRequest {
	r := cashier.ChargeRequest{Amount: amount, Instrument: billing.VisaCredit, Number: billing.NewSecret(visa), Expiry: "0422",
		SecurityCode: billing.NewSecret("999")}
	for _, f := range change {
		f(&r)
	}
	return r
}

func charge(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, r cashier.ChargeRequest) *cashier.Receipt {
	t.Helper()
	receipt, err := s.Cashier.Charge(context.Background(), s.Session(), customer, r)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func record(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, kind billing.ActivityKind, amount int64) *billing.Activity {
	t.Helper()
	a, err := s.Cashier.Record(context.Background(), s.Session(), customer, cashier.RecordRequest{Kind: kind, Amount: amount})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantBooks(t *testing.T, s *cashiertest.Shop, customer cashier.Ref, want string) {
	t.Helper()
	if diff := cmp.Diff(want, s.Books(customer)); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	s.Balanced()
}

// TestDownPayment is the published walk-through's end: an invoice and a payment
// by card cover each other.
func TestDownPayment(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		record(t, s, customer, billing.Invoice, 1999)
		receipt := charge(t, s, customer, byCard(1999))
		if receipt.Attempt.Response != billing.Approved || receipt.Attempt.ApprovalCode == "" {
			t.Errorf("response %q, approval %q", receipt.Attempt.Response, receipt.Attempt.ApprovalCode)
		}
		wantBooks(t, s, customer, `2019-12-31 invoice 19.99 open 0.00 posted due 2019-12-31
2019-12-31 payment 19.99 open 0.00 posted due 2019-12-31
`)
		if n := s.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("%d captures", n)
		}
	})
}

// TestDeclinedCharge leaves the debt as it was: a decline is an outcome.
func TestDeclinedCharge(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		record(t, s, customer, billing.Invoice, 8000)
		receipt := charge(t, s, customer, byCard(8000))
		if receipt.Attempt.State != billing.AttemptDeclined || receipt.Attempt.Response != "51" {
			t.Errorf("attempt %s with %s", receipt.Attempt.State, receipt.Attempt.Response)
		}
		wantBooks(t, s, customer, `2019-12-31 invoice 80.00 open 80.00 posted due 2019-12-31
2019-12-31 payment 80.00 open 0.00 declined due 2019-12-31
2019-12-31 decline 80.00 open 0.00 declined due 2019-12-31
`)
	})
}

// TestPartialApproval books what was approved, not what was asked.
func TestPartialApproval(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		record(t, s, customer, billing.Invoice, 15500)
		charge(t, s, customer, byCard(15500))
		wantBooks(t, s, customer, `2019-12-31 invoice 155.00 open 10.00 posted due 2019-12-31
2019-12-31 payment 145.00 open 0.00 posted due 2019-12-31
`)
	})
}

// TestKeyReplays sends one idempotency key many times at once: one capture, one
// payment, and everybody who is answered is told of it.
func TestKeyReplays(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		session := s.Session()
		var wait sync.WaitGroup
		var mu sync.Mutex
		seen := map[billing.ActivityID]int{}
		for range 20 {
			wait.Go(func() {
				r, err := s.Cashier.Charge(context.Background(), session, customer, byCard(1999, func(r *cashier.ChargeRequest) { r.Key = "k1" }))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					seen[r.Activity.ID]++
				case billing.KindOf(err) != billing.InProgress:
					t.Errorf("charge: %v", err)
				}
			})
		}
		wait.Wait()
		again := charge(t, s, customer, byCard(1999, func(r *cashier.ChargeRequest) { r.Key = "k1" }))
		seen[again.Activity.ID]++
		if !again.Replayed || len(seen) != 1 {
			t.Errorf("replayed %v; payments by key: %v", again.Replayed, seen)
		}
		if n := s.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("%d captures for one key", n)
		}
		_, err := s.Cashier.Charge(context.Background(), session, customer, byCard(2000, func(r *cashier.ChargeRequest) { r.Key = "k1" }))
		if billing.KindOf(err) != billing.Conflict {
			t.Errorf("the key with another amount: %v", err)
		}
	})
}

// TestCodeIsReservedBeforeTheAct sends one code many times at once: the bank is
// asked once.
func TestCodeIsReservedBeforeTheAct(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		session := s.Session()
		var wait sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for range 10 {
			wait.Go(func() {
				_, err := s.Cashier.Charge(context.Background(), session, customer, byCard(1999, func(r *cashier.ChargeRequest) { r.Code = "pay1" }))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if billing.KindOf(err) != billing.Duplicate {
					t.Errorf("charge: %v", err)
				}
			})
		}
		wait.Wait()
		if n := s.Journal()[sandbox.LineCapture]; n != 1 || made != 1 {
			t.Errorf("%d captures, %d charges made", n, made)
		}
	})
}

// TestReverse takes things back: an invoice in the books, a payment by a void on
// its day and by a refund after it, and nothing twice.
func TestReverse(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		invoice := record(t, s, customer, billing.Invoice, 1999)
		pay := charge(t, s, customer, byCard(1999))
		reverse := func(id billing.ActivityID) error {
			_, err := s.Cashier.Reverse(ctx, s.Session(), customer, cashier.Ref{ID: int64(id)}, "")
			return err
		}
		if err := reverse(pay.Activity.ID); err != nil {
			t.Fatal(err)
		}
		if err := reverse(pay.Activity.ID); billing.KindOf(err) != billing.State {
			t.Errorf("a second reversal: %v", err)
		}
		wantBooks(t, s, customer, `2019-12-31 invoice 19.99 open 19.99 posted due 2019-12-31
2019-12-31 payment 19.99 open 0.00 posted due 2019-12-31
2019-12-31 void 19.99 open 0.00 posted due 2019-12-31
`)
		pay = charge(t, s, customer, byCard(1999))
		s.MoveTo("2020-01-02")
		if err := reverse(pay.Activity.ID); err != nil {
			t.Fatal(err)
		}
		if err := reverse(invoice.ID); err != nil {
			t.Fatal(err)
		}
		if err := reverse(invoice.ID); billing.KindOf(err) != billing.State {
			t.Errorf("a second reversal of the invoice: %v", err)
		}
		wantBooks(t, s, customer, `2019-12-31 invoice 19.99 open 0.00 posted due 2019-12-31
2019-12-31 payment 19.99 open 0.00 posted due 2019-12-31
2019-12-31 void 19.99 open 0.00 posted due 2019-12-31
2019-12-31 payment 19.99 open 0.00 posted due 2019-12-31
2020-01-02 refund 19.99 open 0.00 posted due 2020-01-02
2020-01-02 invoice-reversal 19.99 open 0.00 posted due 2020-01-02
`)
		journal := s.Journal()
		if journal[sandbox.LineVoid] != 1 || journal[sandbox.LineRefund] != 1 {
			t.Errorf("the bank's journal: %v", journal)
		}
		for _, l := range []billing.Ledger{billing.Receivable, billing.Revenue, "cash:sandbox"} {
			if n := s.Balance(l); n != 0 {
				t.Errorf("%s holds %d after everything was taken back", l, n)
			}
		}
	})
}

// TestReverseTwiceAtOnce has many ask to take one payment back: it is paid back
// once.
func TestReverseTwiceAtOnce(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		pay := charge(t, s, customer, byCard(1999))
		s.MoveTo("2020-01-02")
		session := s.Session()
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				_, err := s.Cashier.Reverse(context.Background(), session, customer, cashier.Ref{ID: int64(pay.Activity.ID)}, "")
				if err != nil && billing.KindOf(err) != billing.State {
					t.Errorf("reverse: %v", err)
				}
			})
		}
		wait.Wait()
		if n := s.Journal()[sandbox.LineRefund]; n != 1 {
			t.Errorf("%d refunds", n)
		}
		s.Balanced()
	})
}

// TestChargeback has the cardholder's bank take a payment back: the invoice is
// open again, the fee is charged, and nothing is claimed by itself.
func TestChargeback(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(set *billing.Settings) { set.Fees.Chargeback = 1500 })
		customer := s.Customer("customer1")
		record(t, s, customer, billing.Invoice, 16500)
		charge(t, s, customer, byCard(16500))
		s.MoveTo("2020-01-20")
		wantBooks(t, s, customer, `2019-12-31 invoice 165.00 open 165.00 posted due 2019-12-31
2019-12-31 payment 165.00 open 0.00 posted due 2019-12-31
2020-01-04 chargeback 165.00 open 0.00 posted due 2020-01-04
2020-01-04 service-fee 15.00 open 15.00 posted due 2020-01-04
`)
		if n := s.Balance("cash:sandbox"); n != 0 {
			t.Errorf("%d of the cash is left", n)
		}
		if note := s.Activities(customer)[2].Note; note != "" {
			t.Errorf("the bank gave no reason, but the note says %q", note)
		}
	})
}

// TestNoticeOfChange has the bank change a stored account number.
func TestNoticeOfChange(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("customer1")
		account := s.BankAccount(customer, "account1")
		charge(t, s, customer, cashier.ChargeRequest{Amount: 17000, Method: account})
		before := s.Method(account)
		s.MoveTo("2020-01-20")
		after := s.Method(account)
		if after.Masked == before.Masked && after.Routing == before.Routing {
			t.Errorf("the stored account did not change: %s %s", after.Masked, after.Routing)
		}
		charge(t, s, customer, cashier.ChargeRequest{Amount: 1999, Method: account}) // opens the new number
		s.Balanced()
	})
}

// TestUnknownCharge has the line cut after the capture and the bank silent when
// asked: the payment stands as unknown and is not declined; once the bank
// answers it is what it was.
func TestUnknownCharge(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		invoice := record(t, s, customer, billing.Invoice, 1999)
		if err := s.Bank.SetFaults(ctx, "demo", sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter},
			sandbox.Fault{On: []string{"lookup"}, Do: sandbox.ErrorBefore}); err != nil {
			t.Fatal(err)
		}
		named := func(r *cashier.ChargeRequest) { r.Invoices = []cashier.Ref{{ID: int64(invoice.ID)}} }
		receipt := charge(t, s, customer, byCard(1999, named))
		if receipt.Activity.State != billing.Unknown {
			t.Fatalf("state %s", receipt.Activity.State)
		}
		if _, err := s.Cashier.Charge(ctx, s.Session(), customer, byCard(1999, named)); billing.KindOf(err) != billing.State {
			t.Errorf("a second charge for the same invoice: %v", err)
		}
		if err := s.Bank.SetFaults(ctx, "demo"); err != nil {
			t.Fatal(err)
		}
		s.Wall.Forward(time.Hour)
		s.MoveTo("2019-12-31")
		wantBooks(t, s, customer, `2019-12-31 invoice 19.99 open 0.00 posted due 2019-12-31
2019-12-31 payment 19.99 open 0.00 posted due 2019-12-31
`)
	})
}

// TestNeverSent has the line cut before the bank has seen anything: once the
// bank has said so several times, the charge is declined as never sent.
func TestNeverSent(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("customer1")
		if err := s.Bank.SetFaults(ctx, "demo", sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutBefore}); err != nil {
			t.Fatal(err)
		}
		receipt := charge(t, s, customer, byCard(1999))
		if receipt.Activity.State != billing.Unknown {
			t.Fatalf("state %s right after the line was cut", receipt.Activity.State)
		}
		if err := s.Bank.SetFaults(ctx, "demo"); err != nil {
			t.Fatal(err)
		}
		for range 5 { // four times the bank has not seen it
			s.Wall.Forward(time.Hour)
			s.MoveTo("2019-12-31")
		}
		wantBooks(t, s, customer, `2019-12-31 payment 19.99 open 0.00 declined due 2019-12-31
2019-12-31 decline 19.99 open 0.00 declined due 2019-12-31
`)
		if n := s.Journal()[sandbox.LineCapture]; n != 0 {
			t.Errorf("%d captures", n)
		}
	})
}

// TestStorm charges many customers at once and reverses some: the books stay
// balanced and agree with the bank.
func TestStorm(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		session := s.Session()
		var customers []cashier.Ref
		for i := range 5 {
			customers = append(customers, s.Customer(fmt.Sprintf("c%d", i)))
		}
		var wait sync.WaitGroup
		for i := range 60 {
			wait.Go(func() {
				ctx, c := context.Background(), customers[i%len(customers)]
				if i%3 == 0 {
					if _, err := s.Cashier.Record(ctx, session, c, cashier.RecordRequest{Kind: billing.Invoice, Amount: 1500}); err != nil {
						t.Error(err)
					}
					return
				}
				r, err := s.Cashier.Charge(ctx, session, c, byCard(1000))
				if err != nil {
					t.Error(err)
					return
				}
				if i%5 == 0 {
					if _, err := s.Cashier.Reverse(ctx, session, c, cashier.Ref{ID: int64(r.Activity.ID)}, ""); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		s.Balanced()
		journal := s.Journal()
		if cash := s.Balance("cash:sandbox"); cash != int64(1000*(journal[sandbox.LineCapture]-journal[sandbox.LineVoid])) {
			t.Errorf("cash %d, the bank's journal %v", cash, journal)
		}
	})
}
