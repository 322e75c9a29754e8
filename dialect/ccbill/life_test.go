package ccbill_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/ccbill"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// TestLife charges, extends, cancels and refunds over HTTP, and shows the status
// after each; a sale that goes on is rebilled, and its merchant's receiver is told
// of the success and of the failure.
func TestLife(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		var mu sync.Mutex
		told := map[string][]url.Values{}
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			mu.Lock()
			defer mu.Unlock()
			event := r.URL.Query().Get("eventType")
			told[event] = append(told[event], form)
		}))
		t.Cleanup(receiver.Close)
		check(t, d.Cashier.AddEndpoint(ctx, d.Session(), &billing.Endpoint{Code: "site", Dialect: ccbill.Name, URL: receiver.URL,
			Settings: []byte(`{"format":"form"}`)}, billing.EndpointSecrets{}))
		courier, err := notify.New(notify.Options{Store: d.Store, Cashier: d.Cashier, Now: d.Wall.Now, Log: slog.New(slog.DiscardHandler),
			Forms: []*notify.Form{ccbill.Webhooks()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Keep: -1})
		check(t, err)

		number := d.sold(published)
		status := func(what, want string) {
			t.Helper()
			d.want(what, d.manage("viewSubscriptionStatus", number, "returnXML=1"), "<?xml version='1.0' standalone='yes'?>\n<results>\n"+want+"</results>\n")
		}
		const counts, sold = "  <chargebacksIssued>0</chargebacksIssued>\n", "  <recurringSubscription>1</recurringSubscription>\n  <refundsIssued>0</refundsIssued>\n  <signupDate>20191231070000</signupDate>\n"
		const rest = "  <timesRebilled>0</timesRebilled>\n  <voidsIssued>0</voidsIssued>\n"
		status("sold", counts+"  <nextBillingDate>20200130</nextBillingDate>\n"+sold+"  <subscriptionStatus>2</subscriptionStatus>\n"+rest)
		d.want("extended", d.manage("extendSubscription", number, "extendLength=3"), code("1"))
		status("extended", counts+"  <nextBillingDate>20200202</nextBillingDate>\n"+sold+"  <subscriptionStatus>2</subscriptionStatus>\n"+rest)
		d.want("cancelled", d.manage("cancelSubscription", number), code("1"))
		status("cancelled", "  <cancelDate>20191231070000</cancelDate>\n"+counts+"  <expirationDate>20200202235959</expirationDate>\n"+sold+"  <subscriptionStatus>1</subscriptionStatus>\n"+rest)
		d.MoveTo("2020-01-01")
		d.want("refunded", d.manage("refundTransaction", number), code("1"))
		body := d.manage("viewSubscriptionStatus", number)
		if !strings.HasSuffix(body, `","1","1","20191231070000","0","0","0"`+"\n") {
			t.Errorf("refunded: %s", body)
		}

		number = d.sold(published)
		d.MoveTo("2020-02-01")
		check(t, courier.Once(ctx))
		renewals := told["RenewalSuccess"]
		if len(renewals) != 1 || renewals[0].Get("subscriptionId") != number || renewals[0].Get("billedAmount") != "29.95" ||
			renewals[0].Get("renewalDate") != "2020-01-31" || renewals[0].Get("nextRenewalDate") != "2020-03-01" {
			t.Fatalf("told of renewals: %v", renewals)
		}
		fault := sandbox.Fault{On: []string{"charge"}, Do: sandbox.Decline, Response: "51", Count: 1}
		check(t, d.Bank.SetFaults(ctx, d.Merchant.Code, fault))
		d.MoveTo("2020-03-02")
		check(t, courier.Once(ctx))
		failures := told["RenewalFailure"]
		if len(failures) != 1 || failures[0].Get("subscriptionId") != number || failures[0].Get("failureCode") != "BE-113" || failures[0].Get("nextRetryDate") == "" {
			t.Fatalf("told of failures: %v", failures)
		}
		d.clean()
	})
}

// TestFiftyOverTheWire: of fifty charges at once of one consumer, over three
// subscriptions and two subaccounts, three get through; amounts in another
// currency are converted by the merchant's table, or refused.
func TestFiftyOverTheWire(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.Configure(func(s *billing.Settings) {
			s.Velocity = billing.Velocity{Rules: []billing.VelocityRule{{Name: "three a day", Count: 3, Window: "1d"}, {Name: "a hundred a week", Amount: 10000, Window: "7d"}},
				Rates: []billing.Rate{{Currency: "EUR", Millionths: 1_100_000}}}
		})
		originals := []string{published, "0102751901000023391", "0102751901000023392"}
		d.plant(originals[1], goodCard)
		d.plant(originals[2], goodCard)
		bodies := make([]string, 50)
		var wait sync.WaitGroup
		for i := range bodies {
			wait.Go(func() {
				bodies[i] = d.charge(originals[i%3], []string{"newClientSubacc=0000", "newClientSubacc=0005"}[i%2], "initialPrice=30.00")
			})
		}
		wait.Wait()
		approved := 0
		for _, body := range bodies {
			switch {
			case strings.HasPrefix(body, upgraded):
				approved++
			case body != code("-23"):
				t.Errorf("answered %s", body)
			}
		}
		if n := d.Journal()[sandbox.LineCapture]; approved != 3 || n != 3 {
			t.Errorf("%d approved, %d captures", approved, n)
		}
		d.clean()

		d.MoveTo("2020-01-01") // the window has slid, and 90.00 of the week are spent
		d.refused("9.20 euros are more than 10.00", "-24", func() string { return d.charge(published, "currencyCode=978", "initialPrice=9.20") })
		d.refused("pounds have no rate", "-7", func() string { return d.charge(published, "currencyCode=826") })
		d.sold(published, "currencyCode=978", "initialPrice=9.00")
		d.clean()
	})
}

// TestDeclinesOfBankAccounts: the verdicts that are about a bank account.
func TestDeclinesOfBankAccounts(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		const original = "0106751901000023391"
		d.plantWith(original, cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret("4099999992"), Routing: "021000021", Active: true})
		for verdict, want := range map[billing.ResponseCode]string{"R01": "31", "R02": "7", "R03": "7", "R04": "7", "R13": "8", "R08": "11", "R29": "11"} {
			fault := sandbox.Fault{On: []string{"charge"}, Do: sandbox.Decline, Response: verdict, Count: 1}
			check(t, d.Bank.SetFaults(context.Background(), d.Merchant.Code, fault))
			if body := d.charge(original); !strings.Contains(body, `","`+want+`","`) {
				t.Errorf("verdict %s: %s", verdict, body)
			}
		}
		d.clean()
	})
}
