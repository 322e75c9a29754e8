package cashier_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// info is a request to pay with a card.
func info(number string) cashier.BillingInfoRequest {
	return cashier.BillingInfoRequest{
		MethodRequest: cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "0430",
			Holder: "Verena Test", Address: billing.Address{Street1: "123 Test St", City: "San Francisco"},
			Details: billing.MethodDetails{FirstName: "Verena", LastName: "Test", VATNumber: "DE123", IPAddress: "192.0.2.1"}},
		SecurityCode: billing.NewSecret("9173"),
	}
}

// setInfo gives a customer something to pay with.
func setInfo(t *testing.T, s *cashiertest.Shop, c cashier.Ref, r cashier.BillingInfoRequest) *cashier.BillingInfo {
	t.Helper()
	got, err := s.Cashier.SetBillingInfo(context.Background(), s.Session(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// paysWith reads what a customer's bills are paid with, nil if nothing.
func paysWith(t *testing.T, s *cashiertest.Shop, c cashier.Ref) (m *billing.PaymentMethod) {
	t.Helper()
	ctx := context.Background()
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		m, err = v.BillingInfo(ctx, billing.CustomerID(c.ID))
		return err
	})
	if billing.KindOf(err) == billing.NotFound {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// forgotten sees that nothing of a payment method is left.
func forgotten(t *testing.T, s *cashiertest.Shop, id billing.PaymentMethodID) {
	t.Helper()
	m := s.Method(cashier.Ref{ID: int64(id)})
	want := &billing.PaymentMethod{MerchantID: m.MerchantID, ID: id, AccountID: m.AccountID, CustomerID: m.CustomerID, Token: m.Token,
		Sealed: []byte{}, Fingerprint: []byte{}, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt}
	if diff := cmp.Diff(want, m, cmpopts.EquateEmpty()); diff != "" || !strings.HasPrefix(m.Token, "none-") {
		t.Errorf("of payment method %d there is left (-nothing +got):\n%s", id, diff)
	}
}

func TestSetBillingInfo(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := s.Customer("ann")
		first := setInfo(t, s, c, info("4111111111111111"))
		if first.Refused != nil || len(first.Attempts) != 1 || !first.Method.Active || first.Method.Details.VATNumber != "DE123" {
			t.Fatalf("%+v", first)
		}
		sub := s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(first.Method.ID)}, "2020-01-10")
		second := setInfo(t, s, c, info("4111111111111111")) // two equal ones are two looks
		wantJournal(t, s, "authorisation 1.00 00", "void 1.00 00", "authorisation 1.00 00", "void 1.00 00")
		if second.Method.ID == first.Method.ID || s.Subscription(sub).PaymentMethodID != second.Method.ID {
			t.Errorf("the subscription is paid with %d, want %d", s.Subscription(sub).PaymentMethodID, second.Method.ID)
		}
		forgotten(t, s, first.Method.ID)
		before := paysWith(t, s, c)
		bad := setInfo(t, s, c, info("4000000000000051"))
		if bad.Refused == nil || bad.Refused.Response != "14" || bad.Refused.Message != "invalid card number" || bad.Method.ID != second.Method.ID {
			t.Errorf("%+v", bad)
		}
		if diff := cmp.Diff(before, paysWith(t, s, c)); diff != "" {
			t.Errorf("a refusal changed what is stored (-before +after):\n%s", diff)
		}
		forgotten(t, s, bad.Refused.PaymentMethodID)
		s.MoveTo("2020-01-10")
		if got := s.Journal()[sandbox.LineCapture]; got != 1 {
			t.Errorf("%d captures", got)
		}
		s.Balanced()
	})
}

// TestBillingInfoCollects: with unpaid invoices the whole of what is open is charged
// in place of a look, oldest first, and a refusal leaves it open.
func TestBillingInfoCollects(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		first := setInfo(t, s, c, info("4111111111111111"))
		sub := s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(first.Method.ID)}, "2020-01-10")
		if err := s.Cashier.ClearBillingInfo(ctx, s.Session(), c); err != nil {
			t.Fatal(err)
		}
		if err := s.Cashier.ClearBillingInfo(ctx, s.Session(), c); billing.KindOf(err) != billing.NotFound {
			t.Errorf("cleared twice: %v", err)
		}
		forgotten(t, s, first.Method.ID)
		s.MoveTo("2020-02-11")
		const owed = "2020-01-10 invoice 20.00 open 20.00 posted due 2020-01-10\n2020-02-10 invoice 20.00 open 20.00 posted due 2020-02-10\n"
		if got := s.Books(c); got != owed {
			t.Fatalf("nothing to pay with:\n%s", got)
		}
		no := setInfo(t, s, c, info("4000000000000077"))
		if no.Refused == nil || no.Refused.Kind != billing.AskCharge || no.Refused.Amount != billing.Minor(4000, "USD") || no.Method != nil {
			t.Errorf("%+v", no)
		}
		yes := setInfo(t, s, c, info("4111111111111111"))
		if yes.Refused != nil || yes.Method == nil || s.Subscription(sub).PaymentMethodID != yes.Method.ID {
			t.Errorf("%+v", yes)
		}
		want := `2020-01-10 invoice 20.00 open 0.00 posted due 2020-01-10
2020-02-10 invoice 20.00 open 0.00 posted due 2020-02-10
2020-02-11 payment 40.00 open 0.00 declined due 2020-02-11
2020-02-11 decline 40.00 open 0.00 declined due 2020-02-11
2020-02-11 payment 40.00 open 0.00 posted due 2020-02-11
`
		if diff := cmp.Diff(want, s.Books(c)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.MoveTo("2020-03-10")
		if got := s.Journal()[sandbox.LineCapture]; got != 2 {
			t.Errorf("%d captures", got)
		}
		s.Balanced()
	})
}

// TestBillingInfoKeeps: what is declined may be stored all the same; what is kept
// may be changed without asking, but for its expiry date.
func TestBillingInfoKeeps(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := s.Customer("ann")
		r := info("4000000000000341")
		r.Keeps = func(a *billing.Attempt) bool { return strings.Contains(a.Message, "good to keep") }
		kept := setInfo(t, s, c, r)
		if kept.Refused == nil || kept.Method == nil || paysWith(t, s, c).ID != kept.Method.ID {
			t.Fatalf("%+v", kept)
		}
		good := setInfo(t, s, c, info("4111111111111111"))
		change := cashier.BillingInfoRequest{KeepCard: true, Change: func(m *billing.PaymentMethod) { m.Address.City, m.Details.VATNumber = "Oakland", "" }}
		moved := setInfo(t, s, c, change)
		if m := paysWith(t, s, c); len(moved.Attempts) != 0 || m.ID != good.Method.ID || m.Address.City != "Oakland" || m.Details.VATNumber != "" || !m.Vaulted() {
			t.Errorf("%+v", m)
		}
		wantJournal(t, s, "authorisation 1.00 05", "authorisation 1.00 00", "void 1.00 00")
		change.Change = func(m *billing.PaymentMethod) { m.Expiry = "0533" }
		longer := setInfo(t, s, c, change)
		if m := paysWith(t, s, c); len(longer.Attempts) != 1 || m.ID == good.Method.ID || m.Expiry != "0533" || m.Address.City != "Oakland" || m.Masked != good.Method.Masked {
			t.Errorf("%+v", m)
		}
		nothing := s.Customer("bob")
		if _, err := s.Cashier.SetBillingInfo(context.Background(), s.Session(), nothing, change); billing.KindOf(err) != billing.Missing {
			t.Errorf("nothing was kept: %v", err)
		}
	})
}

// TestBillingInfoEnrolls: a customer who comes into being with a card is not there
// if the card is refused, and the code is free.
func TestBillingInfoEnrolls(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		for _, tt := range []struct {
			number string
			good   bool
		}{{"4000000000000002", false}, {"4111111111111111", true}} {
			r := info(tt.number)
			r.Enroll, r.Account = &billing.Customer{Code: "new", FirstName: "Verena", Email: "v@example.com", Active: true}, s.Account.Code
			got := setInfo(t, s, cashier.Ref{}, r)
			if (got.Refused == nil) != tt.good || (got.Customer != nil) != tt.good {
				t.Errorf("%s: %+v", tt.number, got)
			}
			var list []*billing.Customer
			err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
				list, err = v.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: 10}})
				return err
			})
			if err != nil || (len(list) == 1) != tt.good {
				t.Errorf("%s: %d customers, %v", tt.number, len(list), err)
			}
			if !tt.good {
				err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
					_, err := s.Session().Customer(ctx, v, cashier.Ref{Code: "new", ID: int64(got.Refused.CustomerID)})
					return err
				})
				if billing.KindOf(err) != billing.NotFound {
					t.Errorf("it is there: %v", err)
				}
			}
		}
		r := info("4111111111111111")
		r.Enroll, r.Account = &billing.Customer{Code: "new", Active: true}, s.Account.Code
		if _, err := s.Cashier.SetBillingInfo(ctx, s.Session(), cashier.Ref{}, r); billing.KindOf(err) != billing.Duplicate {
			t.Errorf("twice: %v", err)
		}
	})
}

// TestBillingInfoDies: whatever the step at which the process dies, the customer
// pays once for what was open, with what was given, or not at all.
func TestBillingInfoDies(t *testing.T) {
	for _, tt := range []struct {
		step   string
		stored bool
	}{{"charge: intention committed", true}, {"charge: answered", true}, {"settle: committed", true}} {
		t.Run(tt.step, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				c := s.Customer("ann")
				first := setInfo(t, s, c, info("4111111111111111"))
				sub := s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(first.Method.ID)}, "2020-01-10")
				if err := s.Cashier.ClearBillingInfo(context.Background(), s.Session(), c); err != nil {
					t.Fatal(err)
				}
				s.MoveTo("2020-01-10")
				s.Cashier.Step = func(_ context.Context, name string) {
					if name == tt.step {
						panic("dies")
					}
				}
				func() {
					defer func() {
						if recover() == nil {
							t.Error("it did not die")
						}
					}()
					_, _ = s.Cashier.SetBillingInfo(context.Background(), s.Session(), c, info("4217651111111119"))
				}()
				s.Cashier.Step = func(context.Context, string) {}
				rescue(t, s, 2*time.Minute, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
				if got := s.Journal()[sandbox.LineCapture]; got != 1 {
					t.Errorf("%d captures", got)
				}
				m := paysWith(t, s, c)
				if (m != nil) != tt.stored || m != nil && s.Subscription(sub).PaymentMethodID != m.ID {
					t.Errorf("stored is %+v", m)
				}
				if s.Books(c) != `2020-01-10 invoice 20.00 open 0.00 posted due 2020-01-10
2020-01-10 payment 20.00 open 0.00 posted due 2020-01-10
` {
					t.Error(s.Books(c))
				}
				s.Balanced()
			})
		})
	}
}

// TestLateApproval: of two cards that were given, the later counts, in whichever
// order it becomes known that they are good.
func TestLateApproval(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		first := setInfo(t, s, c, info("4111111111111111"))
		sub := s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(first.Method.ID)}, "2020-01-10")
		if err := s.Cashier.ClearBillingInfo(ctx, s.Session(), c); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-10")
		lost := []sandbox.Fault{{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1}, {On: []string{"lookup"}, Do: sandbox.CutBefore, Count: 1}}
		if err := s.Bank.SetFaults(ctx, s.Merchant.Code, lost...); err != nil {
			t.Fatal(err)
		}
		unknown := setInfo(t, s, c, info("4217651111111119"))
		if unknown.Refused == nil || unknown.Refused.State != billing.AttemptUnknown || unknown.Method != nil {
			t.Fatalf("%+v", unknown)
		}
		later := setInfo(t, s, c, info("4111111111111111")) // what is open is being collected: a look
		if later.Refused != nil || later.Attempts[0].Kind != billing.AskAuthorize {
			t.Fatalf("%+v", later)
		}
		rescue(t, s, time.Hour)
		if m := paysWith(t, s, c); m.ID != later.Method.ID || s.Subscription(sub).PaymentMethodID != m.ID {
			t.Errorf("stored is %+v", m)
		}
		forgotten(t, s, unknown.Refused.PaymentMethodID)
		if s.Journal()[sandbox.LineCapture] != 1 {
			t.Error("not captured once")
		}
		s.Balanced()
	})
}

func TestStandings(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		card := setInfo(t, s, c, info("4111111111111111")).Method
		sub := s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(card.ID)}, "2020-01-10")
		s.MoveTo("2020-01-10")
		stand := func(to billing.Standing) *billing.Customer {
			t.Helper()
			got, err := s.Cashier.SetStanding(ctx, s.Session(), c, to)
			if err != nil || got.Standing != to || got.Active != (to == billing.StandingActive) {
				t.Fatalf("%+v, %v", got, err)
			}
			return got
		}
		stand(billing.StandingFraudulent)
		s.MoveTo("2020-02-10")
		if got := s.Journal()[sandbox.LineCapture]; got != 1 {
			t.Errorf("%d captures while it does not stand well", got)
		}
		stand(billing.StandingActive)
		s.MoveTo("2020-02-11")
		if got := s.Journal()[sandbox.LineCapture]; got != 2 {
			t.Errorf("%d captures when it does again", got)
		}
		for range 2 { // the second does nothing
			got, err := s.Cashier.CloseCustomer(ctx, s.Session(), c)
			if err != nil || got.Standing != billing.StandingClosed || got.Active {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		forgotten(t, s, card.ID)
		if got := s.Subscription(sub); got.Status != billing.Cancelled || !got.NextAt.IsZero() {
			t.Errorf("the subscription is %s", got.Status)
		}
		for range 2 {
			if got, err := s.Cashier.ReopenCustomer(ctx, s.Session(), c); err != nil || got.Standing != billing.StandingActive || !got.Active {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		s.MoveTo("2020-06-01")
		if got := s.Journal(); got[sandbox.LineCapture] != 2 || got[sandbox.LineRefund] != 0 {
			t.Errorf("%v", got)
		}
		if _, err := s.Cashier.SetStanding(ctx, s.Session(), c, billing.StandingGone); billing.KindOf(err) != billing.Invalid {
			t.Errorf("gone: %v", err)
		}
		got, err := s.Cashier.ModifyCustomer(ctx, s.Session(), c, func(c *billing.Customer) { c.Active = false })
		if err != nil || got.Standing != billing.StandingInactive {
			t.Errorf("%+v, %v", got, err)
		}
		s.Balanced()
	})
}

// TestPretendedCards: numbers that no card can have are kept and charged where the
// caller says so for a test merchant, and nowhere else.
func TestPretendedCards(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		if _, err := s.Cashier.SetBillingInfo(ctx, s.Session(), c, info("1")); billing.KindOf(err) != billing.Invalid {
			t.Errorf("nobody said so: %v", err)
		}
		for number, good := range map[string]bool{"1": true, "2": false} {
			r := info(number)
			r.Pretended = true
			if got := setInfo(t, s, c, r); (got.Refused == nil) != good {
				t.Errorf("%s: %+v", number, got)
			}
		}
		r := info("123")
		r.Pretended = true
		if _, err := s.Cashier.SetBillingInfo(ctx, s.Session(), c, r); billing.KindOf(err) != billing.Invalid {
			t.Errorf("three digits: %v", err)
		}
		live := s.Session()
		real := *live.Merchant
		real.Mode = billing.Live
		live.Merchant, r.Number = &real, billing.NewSecret("1")
		if _, err := s.Cashier.SetBillingInfo(ctx, live, c, r); billing.KindOf(err) != billing.Invalid {
			t.Errorf("a live merchant: %v", err)
		}
	})
}

// TestForgottenUnderWay: a claim whose request was lost, and whose card was forgotten
// meanwhile, is not sent again and stays unknown for nobody; the debt waits, and is
// paid with what comes next.
func TestForgottenUnderWay(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		first := setInfo(t, s, c, info("4111111111111111"))
		s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), cashier.Ref{ID: int64(first.Method.ID)}, "2020-01-10")
		if err := s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutBefore, Count: 1}); err != nil {
			t.Fatal(err)
		}
		s.MoveTo("2020-01-10")
		if err := s.Cashier.ClearBillingInfo(ctx, s.Session(), c); err != nil {
			t.Fatal(err)
		}
		rescue(t, s, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
		want := `2020-01-10 invoice 20.00 open 20.00 posted due 2020-01-10
2020-01-10 claim 20.00 open 0.00 declined due 2020-01-10
`
		if got := s.Books(c); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		proved(t, s)
		if got := setInfo(t, s, c, info("4111111111111111")); got.Refused != nil {
			t.Errorf("%+v", got.Refused)
		}
		if s.Journal()[sandbox.LineCapture] != 1 {
			t.Error("not captured once")
		}
		proved(t, s)
		gone := cashier.Ref{ID: int64(first.Method.ID)}
		_, err := s.Cashier.ModifyPaymentMethod(ctx, s.Session(), c, gone, func(m *billing.PaymentMethod) error { m.Active = true; return nil })
		if billing.KindOf(err) != billing.State {
			t.Errorf("what was forgotten is switched on: %v", err)
		}
	})
}
