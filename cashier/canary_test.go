package cashier_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// TestCanary: number and security code that were given to pay with are in no row, log
// line, error, event or answer, whatever went wrong on the way.
func TestCanary(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		var log bytes.Buffer
		s.Cashier.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		var said strings.Builder
		code := billing.NewSecret("9173")
		c := s.Customer("ann")
		numbers := []string{"4217651111111119", "4000000000000051", "4000000000006058", "4000000000006082", "4217651111111118"}
		for _, number := range numbers {
			for _, trouble := range []sandbox.Trouble{"", sandbox.MalformedAfter, sandbox.CutMidway, sandbox.ErrorBefore} {
				if trouble != "" {
					f := sandbox.Fault{On: []string{"authorize", "void", "charge"}, Do: trouble, Count: 1}
					if err := s.Bank.SetFaults(ctx, s.Merchant.Code, f); err != nil {
						t.Fatal(err)
					}
				}
				r := info(number)
				r.SecurityCode = code
				if number == "4000000000006058" || number == "4000000000006082" {
					if trouble != "" {
						continue // the card is trouble enough
					}
					s.Line.Down.Store(true) // and would keep the test waiting
				}
				got, err := s.Cashier.SetBillingInfo(ctx, s.Session(), c, r)
				fmt.Fprintf(&said, "%+v %v\n", got, err)
				if got != nil {
					for _, a := range got.Attempts {
						fmt.Fprintf(&said, "%+v\n", *a)
					}
				}
				v, err := s.Cashier.Verify(ctx, s.Session(), c, cashier.VerifyRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(number),
					Expiry: "0430", SecurityCode: code, Amount: dollar})
				fmt.Fprintf(&said, "%+v %v\n", v, err)
				s.Line.Down.Store(false)
			}
		}
		err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
			list, err := v.Attempts(ctx, store.Page{Limit: 1000})
			for _, a := range list {
				fmt.Fprintf(&said, "%+v\n", *a)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{"the log": log.String(), "what was said": said.String()}
		if file, ok := strings.CutPrefix(s.Address, "sqlite:"); ok {
			file, _, _ = strings.Cut(file, "?")
			for _, name := range []string{file, file + "-wal"} {
				if text, err := os.ReadFile(name); err == nil {
					texts[name] = string(text)
				}
			}
		}
		alone := regexp.MustCompile(`(^|[^0-9])9173([^0-9]|$)`)
		for where, text := range texts {
			if alone.MatchString(text) {
				t.Errorf("the security code is in %s", where)
			}
			for _, number := range numbers {
				if strings.Contains(text, number) {
					t.Errorf("%s is in %s", number, where)
				}
			}
		}
		for _, number := range numbers { // by rows, on the other engine
			if places := kept(t, s, number); len(places) > 0 {
				t.Errorf("%s is in %v", number, places)
			}
		}
	})
}

// TestRefundKeeps: all of a payment is given back and what it paid for stays paid.
func TestRefundKeeps(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		card := s.Card(c, "", "4111111111111111")
		s.Subscribe(c, s.Plan("gold", billing.Monthly, 2000), card, "2020-01-10")
		s.MoveTo("2020-01-12")
		var pay billing.ActivityID
		for _, a := range s.Activities(c) {
			if a.Kind == billing.Claim {
				pay = a.ID
			}
		}
		r := cashier.RefundRequest{By: billing.AskRefund, Keeps: true}
		if _, err := s.Cashier.Refund(ctx, s.Session(), pay, r); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.Refund(ctx, s.Session(), pay, r); billing.KindOf(err) != billing.State {
			t.Errorf("twice: %v", err)
		}
		s.MoveTo("2020-02-01")
		want := `2020-01-10 invoice 20.00 open 0.00 posted due 2020-01-10
2020-01-10 claim 20.00 open 0.00 posted due 2020-01-10
2020-01-12 refund 20.00 open 0.00 posted due 2020-01-12
2020-01-12 credit 20.00 open 0.00 posted due 2020-01-12
`
		if got := s.Books(c); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		s.Balanced()
		proved(t, s)
	})
}
