package ccbill

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the wire's digest
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

var rewrite = flag.Bool("rewrite-webhooks", false, "write testdata/webhook_*.txt anew")

// golden holds a text against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the tests
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// full is a fact of which everything is known.
func full(event string) *fact {
	return &fact{
		event:    event,
		merchant: &billing.Merchant{Code: "900000", Currency: "USD"},
		account:  &billing.Account{Code: "0005"},
		customer: &billing.Customer{ID: 7, FirstName: "Jörg", LastName: "O'Brien & <Söhne>", Email: "joerg+1@example.com", Phone: "(515) 555-1212",
			Address: billing.Address{Street1: "123 Main St.", City: "Anywhere", State: "AZ", PostalCode: "85281", Country: "US"}},
		at:     time.Date(2020, 2, 29, 6, 59, 59, 0, time.UTC), // the evening before in Arizona
		number: "0120059601000000001", transaction: "0120059601000000002",
		original: origins{"0108113201000024660", "900000", "0000"}, source: "API", reason: "because", response: "51",
		terms:  price{billing.Terms{Currency: "USD", Initial: 1800, InitialDays: 30, Recurring: 2995, RecurringDays: 30, Rebills: billing.Endless}},
		amount: billing.Minor(2995, "USD"), next: billing.Date{Year: 2020, Month: 3, Day: 29}, retry: billing.Date{Year: 2020, Month: 3, Day: 3},
		renewal: billing.Date{Year: 2020, Month: 2, Day: 28}, instrument: billing.VisaCredit, masked: "4***********1111", expiry: "0430",
		fingerprint: []byte("0123456789abcdefghij"), extra: map[string]string{"token": "a b&c", "Member": "7"},
	}
}

// TestWebhookBodies holds every event of 8.2, with every field that can have a
// value, against the golden file, as JSON and as a form.
func TestWebhookBodies(t *testing.T) {
	var b strings.Builder
	for _, event := range slices.Sorted(func(yield func(string) bool) {
		for name := range webhookFields {
			if !yield(name) {
				return
			}
		}
	}) {
		pairs := full(event).pairs(billing.NewSecret("NaCl"))
		fmt.Fprintf(&b, "-- %s --\n?%s\n%s\n%s\n", event, full(event).query(), asJSON(pairs), asForm(pairs))
		var object map[string]string
		if err := json.Unmarshal(asJSON(pairs), &object); err != nil {
			t.Errorf("%s: %v", event, err)
		}
		values, err := url.ParseQuery(asForm(pairs))
		if err != nil {
			t.Errorf("%s: %v", event, err)
		}
		for name, value := range object {
			if values.Get(name) != value {
				t.Errorf("%s: %s is %q in JSON and %q in the form", event, name, value, values.Get(name))
			}
		}
	}
	golden(t, "webhook_bodies.txt", b.String())
}

// TestWebhookFields: each field of the table has a value or is said to have none,
// and each event of the protocol is in the table.
func TestWebhookFields(t *testing.T) {
	for event, names := range webhookFields {
		for i, name := range names {
			if webhookValues[name] == nil && !slices.Contains(notKept, name) && name != "dynamicPricingValidationDigest" {
				t.Errorf("%s: %s has no value", event, name)
			}
			if slices.Contains(names[i+1:], name) {
				t.Errorf("%s has %s twice", event, name)
			}
		}
	}
	for _, event := range strings.Split("NewSaleSuccess, NewSaleFailure, UpSaleSuccess, UpSaleFailure, CrossSaleSuccess, CrossSaleFailure, UpgradeSuccess, UpgradeFailure, RenewalSuccess, RenewalFailure, Cancellation, Expiration, BillingDateChange, UserReactivation, CustomerDataUpdate, Refund, Void, Chargeback, Return", ", ") {
		if webhookFields[event] == nil {
			t.Errorf("%s is missing", event)
		}
	}
}

// TestPriceDescription is the forms of 8.2.
func TestPriceDescription(t *testing.T) {
	for want, terms := range map[string]billing.Terms{
		"$18.00(USD) for 30 days then $18.00(USD) recurring every 30 days": {Currency: "USD", Initial: 1800, InitialDays: 30, Recurring: 1800, RecurringDays: 30, Rebills: 3},
		"$45.00(USD) for 90 days (non-recurring)":                          {Currency: "USD", Initial: 4500, InitialDays: 90},
		"¥500(JPY) (non-recurring)":                                        {Currency: "JPY", Initial: 500},
		"€99.00(EUR) for lifetime":                                         {Currency: "EUR", Initial: 9900, InitialDays: 30, Lifetime: true},
	} {
		if got := (price{terms}).describe(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestEndpointSettings holds settings of webhooks against their rules.
func TestEndpointSettings(t *testing.T) {
	for text, word := range map[string]string{
		"": "", "{}": "", `{"format":"form","events":["UpSaleSuccess","Refund"],"no_retry":true}`: "",
		`{"format":"xml"}`: "json or form", `{"events":["Sale"]}`: "names of: BillingDateChange", `{"formats":"json"}`: "must have the keys",
		`[]`: "must have the keys", `{"events":"all"}`: "must have the keys",
	} {
		err := Webhooks().Check(json.RawMessage(text))
		if word == "" && err != nil || word != "" && (err == nil || !strings.Contains(err.Error(), word)) {
			t.Errorf("%s: %v, want %q", text, err, word)
		}
	}
}

// site is a merchant of this wire, with a receiver.
type site struct {
	*cashiertest.Shop
	t       *testing.T
	courier *notify.Courier
	card    cashier.Ref
	next    int
	names   map[string]string // of numbers, in the order in which they came

	mu  sync.Mutex
	got []string
}

var ctx = context.Background()

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func openSite(t *testing.T, shop *cashiertest.Shop) *site {
	t.Helper()
	s := &site{Shop: shop, t: t, names: make(map[string]string)}
	zone, err := time.LoadLocation("America/Phoenix")
	s.must(err)
	s.Merchant = &billing.Merchant{Code: "900000", Name: "Site", Mode: billing.Test, Zone: zone, Currency: "USD",
		Clock: billing.Clock{Mode: billing.ClockFrozen, At: time.Date(2019, 12, 31, 16, 0, 0, 0, time.UTC), Set: s.Wall.Now()}}
	s.must(s.Cashier.NewMerchant(ctx, s.Merchant))
	for _, code := range []string{"0000", "0005"} {
		s.Account = &billing.Account{Code: code, Name: code, CreatedAt: s.Merchant.CreatedAt}
		s.must(s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, s.Account) }))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, r.Method+" "+r.URL.String()+"\n"+r.Header.Get("Content-Type")+"\n"+string(body)+"\n")
	}))
	t.Cleanup(server.Close)
	s.courier, err = notify.New(notify.Options{Store: s.Store, Cashier: s.Cashier, Now: s.Wall.Now, Log: slog.New(slog.NewTextHandler(&failing{t: t}, nil)),
		Forms: []*notify.Form{Webhooks()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, InFlight: 1, PerEndpoint: 1, Keep: -1})
	s.must(err)
	return s.endpoint(server.URL)
}

// failing fails the test with what is logged: nothing is to be.
type failing struct{ t *testing.T }

func (f *failing) Write(p []byte) (int, error) {
	f.t.Errorf("log: %s", bytes.TrimSpace(p))
	return len(p), nil
}

func (s *site) endpoint(url string) *site {
	s.t.Helper()
	s.must(s.Cashier.AddEndpoint(ctx, s.Session(), &billing.Endpoint{Code: "main", Dialect: Name, URL: url + "/hooks.php", AccountID: s.Account.ID},
		billing.EndpointSecrets{Salt: billing.NewSecret("NaCl")}))
	return s
}

func (s *site) sell(terms billing.Terms, change ...func(*cashier.SaleRequest)) *cashier.Sold {
	s.t.Helper()
	r := cashier.SaleRequest{Account: "0005", Method: billing.PaymentMethodID(s.card.ID), Terms: terms, Previous: "108113201000024660",
		Extra: map[string]string{"token": "7f"}, Number: func() string {
			s.next++
			return fmt.Sprintf("1193652020000%05d", s.next)
		}}
	for _, f := range change {
		f(&r)
	}
	sold, err := s.Cashier.Sell(ctx, s.Session(), r)
	s.must(err)
	return sold
}

var (
	numberForm  = regexp.MustCompile(`\b[0-9]{19}\b`)
	accountForm = regexp.MustCompile(`("paymentAccount":")[0-9a-f]{32}`)
	digestForm  = regexp.MustCompile(`"dynamicPricingValidationDigest":"([0-9a-f]{32})"`)
)

// told sends what is to be told and shows what came, with names for what is
// different each time.
func (s *site) told() string {
	s.t.Helper()
	s.must(s.courier.Once(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(s.got, "\n")
	s.got = nil
	for line := range strings.Lines(text) {
		s.checkDigest(line)
	}
	text = digestForm.ReplaceAllString(text, `"dynamicPricingValidationDigest":"{digest}"`)
	text = accountForm.ReplaceAllString(text, "${1}{account}")
	return numberForm.ReplaceAllStringFunc(text, func(n string) string {
		if s.names[n] == "" {
			s.names[n] = fmt.Sprintf("{n%d}", len(s.names)+1)
		}
		return s.names[n]
	})
}

// checkDigest does what a merchant does with a sale (8.3).
func (s *site) checkDigest(body string) {
	s.t.Helper()
	found := digestForm.FindStringSubmatch(body)
	if found == nil {
		return
	}
	var sale struct{ SubscriptionID, TransactionID string }
	s.must(json.Unmarshal([]byte(body), &sale))
	text := sale.SubscriptionID + "1NaCl"
	if sale.SubscriptionID == "" {
		text = sale.TransactionID + "0NaCl"
	}
	sum := md5.Sum([]byte(text)) //nolint:gosec // the wire's
	if found[1] != fmt.Sprintf("%x", sum) {
		s.t.Errorf("the digest of %s is wrong", body)
	}
}

// TestWebhookStory plays what happens to sales and shows what is told of it.
func TestWebhookStory(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSite(t, shop)
		var b strings.Builder
		tell := func(title string) { fmt.Fprintf(&b, "== %s\n%s\n", title, s.told()) }
		monthly := billing.Terms{Currency: "USD", Initial: 500, InitialDays: 10, Recurring: 1999, RecurringDays: 30, Rebills: billing.Endless}

		ann := &billing.Customer{FirstName: "Ann", LastName: "Lee", Email: "ann@example.com", Phone: "5555551212", Active: true,
			Address: billing.Address{Street1: "1 Main St", City: "Tempe", State: "AZ", PostalCode: "85281", Country: "US"}}
		s.must(s.Cashier.Enroll(ctx, s.Session(), "0005", ann))
		buyer := cashier.Ref{ID: int64(ann.ID)}
		s.card = s.Card(buyer, "card", "4111111111111111")
		_, err := s.Cashier.Plant(ctx, s.Session(), buyer, cashier.PlantRequest{Number: "108113201000024660", Method: s.card, Terms: monthly,
			Past: billing.Past{SignedUp: billing.Date{Year: 2019, Month: 12, Day: 30}}})
		s.must(err)
		tell("a sale that comes from elsewhere is none of ours")

		first := s.sell(monthly)
		tell("a sale by an earlier transaction")
		s.sell(billing.Terms{Currency: "USD", Initial: 8000, InitialDays: 30})
		tell("a sale that is declined")
		s.sell(billing.Terms{Currency: "USD", InitialDays: 3, Recurring: 1999, RecurringDays: 30, Rebills: 2})
		tell("a sale that is free at first")
		s.sell(monthly, func(r *cashier.SaleRequest) { r.Account = "0000" })
		tell("a sale of another subaccount, which has no endpoint")

		owner, sub := cashier.Ref{ID: int64(first.Subscription.CustomerID)}, cashier.Ref{ID: int64(first.Subscription.ID)}
		_, err = s.Cashier.Extend(ctx, s.Session(), owner, sub, 2)
		s.must(err)
		tell("an extension")
		_, err = s.Cashier.ModifyCustomer(ctx, s.Session(), owner, func(c *billing.Customer) { c.Email = "new@example.com" })
		s.must(err)
		tell("new data of a customer")
		_, err = s.Cashier.Reprice(ctx, s.Session(), owner, sub, func(*billing.Subscription) (billing.Money, error) { return billing.Minor(8000, "USD"), nil })
		s.must(err)
		s.MoveTo("2020-01-12")
		tell("renewals, of which one is declined")
		_, err = s.Cashier.Reprice(ctx, s.Session(), owner, sub, func(*billing.Subscription) (billing.Money, error) { return billing.Minor(1999, "USD"), nil })
		s.must(err)
		_, err = s.Cashier.CancelAtEnd(ctx, s.Session(), owner, sub, "")
		s.must(err)
		tell("a cancellation")
		s.MoveTo("2020-02-13")
		tell("a month later: what was cancelled ends, the other is renewed")

		lasting := billing.Terms{Currency: "USD", Initial: 2000, InitialDays: 30, Recurring: 1999, RecurringDays: 30, Rebills: billing.Endless}
		refund := func(sold *cashier.Sold, amount int64) {
			t.Helper()
			for _, a := range s.Activities(cashier.Ref{ID: int64(sold.Subscription.CustomerID)}) {
				if a.Kind == billing.Payment {
					_, err := s.Cashier.Refund(ctx, s.Session(), a.ID, cashier.RefundRequest{Amount: amount, Ends: true})
					s.must(err)
				}
			}
		}
		one, two, three := s.sell(lasting), s.sell(lasting), s.sell(billing.Terms{Currency: "USD", Initial: 16000, InitialDays: 30})
		_ = s.told()
		refund(one, 0)
		tell("a void")
		s.MoveTo("2020-02-14")
		refund(two, 500)
		tell("a refund of a part")
		s.MoveTo("2020-02-20")
		tell("a chargeback of " + s.names[Printed(three.Number)])

		s.card = s.BankAccount(buyer, "account")
		s.sell(billing.Terms{Currency: "USD", Initial: 8000, InitialDays: 30})
		tell("a sale on a bank account counts when it is accepted")
		s.MoveTo("2020-02-28")
		tell("and came back")
		s.sell(billing.Terms{Currency: "USD", Initial: 2000, InitialDays: 30})
		s.MoveTo("2020-03-10")
		tell("one that settles is told once")
		golden(t, "webhook_story.txt", b.String())
	})
}

// TestWebhookChoice: an endpoint is told of the events that it wants, as a form
// if it wants that, and once if it wants no more.
func TestWebhookChoice(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSite(t, shop)
		buyer := s.Customer("ann")
		s.card = s.Card(buyer, "card", "4111111111111111")
		var got []url.Values
		refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			s.mu.Lock()
			defer s.mu.Unlock()
			got = append(got, r.PostForm)
			w.WriteHeader(http.StatusInternalServerError)
		}))
		t.Cleanup(refusing.Close)
		s.must(s.Cashier.AddEndpoint(ctx, s.Session(), &billing.Endpoint{Code: "form", Dialect: Name, URL: refusing.URL,
			Settings: json.RawMessage(`{"format":"form","events":["UpSaleSuccess","Expiration"],"no_retry":true}`)}, billing.EndpointSecrets{}))
		s.courier, _ = notify.New(notify.Options{Store: s.Store, Cashier: s.Cashier, Now: s.Wall.Now, Log: slog.New(slog.DiscardHandler),
			Forms: []*notify.Form{Webhooks()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Keep: -1})
		s.sell(billing.Terms{Currency: "USD", Initial: 500, InitialDays: 3})
		s.sell(billing.Terms{Currency: "USD", Initial: 8000, InitialDays: 3})
		s.must(s.courier.Once(ctx))
		s.Wall.Forward(48 * time.Hour)
		s.must(s.courier.Once(ctx))
		if len(got) != 1 || got[0].Get("eventType") != "UpSaleSuccess" || got[0].Get("X-token") != "7f" || got[0].Get("dynamicPricingValidationDigest") != "" {
			t.Fatalf("received %v", got)
		}
		if len(s.got) != 2 {
			t.Errorf("the other endpoint received %d", len(s.got))
		}
		s.MoveTo("2020-01-04")
		s.must(s.courier.Once(ctx))
		if len(got) != 2 || got[1].Get("eventType") != "Expiration" {
			t.Errorf("received %v", got)
		}
	})
}
