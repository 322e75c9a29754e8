package cashier_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// dollar is the amount with which cards are looked at.
const dollar = 100

// journal is what the bank has done, a line each.
func journal(t *testing.T, s *cashiertest.Shop) []string {
	t.Helper()
	lines, err := s.Bank.Journal(context.Background(), s.Merchant.Code)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, l := range lines {
		list = append(list, string(l.Kind)+" "+l.Amount.Decimal()+" "+string(l.Response))
	}
	return list
}

// wantJournal compares what the bank has done.
func wantJournal(t *testing.T, s *cashiertest.Shop, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, journal(t, s)); diff != "" {
		t.Errorf("the bank's journal (-want +got):\n%s", diff)
	}
}

// rescue lets some time pass and everything be asked about that nobody answered.
func rescue(t *testing.T, s *cashiertest.Shop, passes ...time.Duration) {
	t.Helper()
	for _, d := range passes {
		s.Wall.Forward(d)
		if _, err := s.Runner.Merchant(context.Background(), s.Merchant.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// attempts reads all of a shop's attempts.
func attempts(t *testing.T, s *cashiertest.Shop) (list []*billing.Attempt) {
	t.Helper()
	ctx := context.Background()
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Attempts(ctx, store.Page{Limit: 1000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestVerify(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		card := s.Card(c, "", "4111111111111111")
		bad := s.Card(c, "", "4000000000000002")
		account := s.BankAccount(c, "")
		v, err := s.Cashier.Verify(ctx, s.Session(), c, cashier.VerifyRequest{Method: card, Amount: dollar, SecurityCode: billing.NewSecret("9173")})
		if err != nil || !v.Good() || v.Void == nil || v.Void.State != billing.AttemptApproved || v.Void.Parent != v.Attempt.ID {
			t.Fatalf("%+v, %v", v, err)
		}
		no, err := s.Cashier.Verify(ctx, s.Session(), c, cashier.VerifyRequest{Method: bad, Amount: dollar})
		if err != nil || no.Good() || no.Void != nil || no.Attempt.Response != "05" {
			t.Fatalf("%+v, %v", no, err)
		}
		_, err = s.Cashier.Verify(ctx, s.Session(), c, cashier.VerifyRequest{Method: account, Amount: dollar})
		if billing.KindOf(err) != billing.State {
			t.Errorf("a bank account: %v", err)
		}
		raw := cashier.VerifyRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret("4111111111111111"), Expiry: "0430", Amount: 10}
		if v, err := s.Cashier.Verify(ctx, s.Session(), c, raw); err != nil || !v.Good() {
			t.Errorf("a number that came along: %+v, %v", v, err)
		}
		wantJournal(t, s, "authorisation 1.00 00", "void 1.00 00", "authorisation 1.00 05", "authorisation 0.10 00", "void 0.10 00")
		if books := s.Books(c); books != "" {
			t.Errorf("the customer's account:\n%s", books)
		}
		s.Balanced()
		rescue(t, s, time.Hour)
		wantJournal(t, s, "authorisation 1.00 00", "void 1.00 00", "authorisation 1.00 05", "authorisation 0.10 00", "void 0.10 00")
	})
}

// TestVerifyDies: wherever the process dies, nothing stays held at the bank, and
// nothing is let go of twice.
func TestVerifyDies(t *testing.T) {
	for _, tt := range []struct {
		step    string
		journal []string
	}{
		{"verify: intention committed", nil},
		{"verify: answered", []string{"authorisation 1.00 00", "void 1.00 00"}},
		{"settle: committed", []string{"authorisation 1.00 00", "void 1.00 00"}},
		{"verify: void answered", []string{"authorisation 1.00 00", "void 1.00 00"}},
	} {
		t.Run(tt.step, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				c := s.Customer("ann")
				card := s.Card(c, "", "4111111111111111")
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
					_, _ = s.Cashier.Verify(context.Background(), s.Session(), c, cashier.VerifyRequest{Method: card, Amount: dollar})
				}()
				s.Cashier.Step = func(context.Context, string) {}
				rescue(t, s, 2*time.Minute, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
				wantJournal(t, s, tt.journal...)
				for _, a := range attempts(t, s) {
					if !a.Final() || !a.LeaseUntil.IsZero() {
						t.Errorf("%s %s is %s", a.Kind, a.Reference, a.State)
					}
				}
			})
		})
	}
}

// TestVerifyTrouble: an answer that does not come is not good, and what turns out
// to be held is let go of; a void that the bank refuses, or does not hear, is asked
// for again, and the card is good all the same.
func TestVerifyTrouble(t *testing.T) {
	cut := sandbox.Fault{On: []string{"lookup"}, Do: sandbox.CutBefore, Count: 1}
	for _, tt := range []struct {
		name    string
		faults  []sandbox.Fault
		good    bool
		journal []string
	}{
		{"lost answer", []sandbox.Fault{{On: []string{"authorize"}, Do: sandbox.CutAfter, Count: 1}}, true, []string{"authorisation 1.00 00", "void 1.00 00"}},
		{"lost answer, and nobody knows", []sandbox.Fault{{On: []string{"authorize"}, Do: sandbox.CutAfter, Count: 1}, cut}, false,
			[]string{"authorisation 1.00 00", "void 1.00 00"}},
		{"never arrived", []sandbox.Fault{{On: []string{"authorize"}, Do: sandbox.CutBefore, Count: 1}}, false, nil},
		{"declined void", []sandbox.Fault{{On: []string{"void"}, Do: sandbox.Decline, Response: "96", Count: 2}}, true,
			[]string{"authorisation 1.00 00", "void 1.00 96", "void 1.00 96", "void 1.00 00"}},
		{"void never arrived", []sandbox.Fault{{On: []string{"void"}, Do: sandbox.CutBefore, Count: 2}}, true, []string{"authorisation 1.00 00", "void 1.00 00"}},
		{"void not heard of", []sandbox.Fault{{On: []string{"void"}, Do: sandbox.CutAfter, Count: 1}, cut}, true, []string{"authorisation 1.00 00", "void 1.00 00"}},
		{"void refused to be looked at", []sandbox.Fault{{On: []string{"void"}, Do: sandbox.ErrorBefore, Count: 3}}, true,
			[]string{"authorisation 1.00 00", "void 1.00 00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				c := s.Customer("ann")
				card := s.Card(c, "", "4111111111111111")
				if err := s.Bank.SetFaults(ctx, s.Merchant.Code, tt.faults...); err != nil {
					t.Fatal(err)
				}
				v, err := s.Cashier.Verify(ctx, s.Session(), c, cashier.VerifyRequest{Method: card, Amount: dollar})
				if err != nil || v.Good() != tt.good {
					t.Fatalf("%+v, %v", v.Attempt, err)
				}
				rescue(t, s, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
				wantJournal(t, s, tt.journal...)
				for _, a := range attempts(t, s) {
					if !a.Final() {
						t.Errorf("%s is %s", a.Kind, a.State)
					}
				}
				s.Balanced()
			})
		})
	}
}
