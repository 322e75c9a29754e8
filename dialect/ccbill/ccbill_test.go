package ccbill_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/ccbill"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/store"
)

// The cards of the sandbox bank, and the original of the published request.
const (
	goodCard  = "4111111111111111"
	stolen    = "4000000000009979"
	published = "0102751901000023384"
)

// desk is a counter of the account 900000, whose clock stands at seven in the
// morning of 31 December 2019 in Arizona.
type desk struct {
	*dialecttest.Counter
	t testing.TB
}

var testpass = sync.OnceValue(func() string {
	h, err := cashier.HashPassword(billing.NewSecret("testpass"))
	if err != nil {
		panic(err)
	}
	return h
})

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened puts a listener before a shop whose merchant is the account 900000 with
// the subaccounts 0000 and 0005 and the Data Link user testuser.
func opened(t testing.TB, s *cashiertest.Shop) *desk {
	t.Helper()
	d := &desk{t: t}
	d.Counter = dialecttest.Serve(t, s, func(_ *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
		return "/", ccbill.New(ccbill.Options{Cashier: s.Cashier, Log: log})
	})
	d.account("900000")
	d.admit("testuser")
	return d
}

// account makes a merchant and has the shop be its.
func (d *desk) account(code string) {
	d.t.Helper()
	ctx := context.Background()
	zone, err := time.LoadLocation("America/Phoenix")
	check(d.t, err)
	m := &billing.Merchant{Code: code, Name: "Test", Mode: billing.Test, Zone: zone, Currency: "USD", Clock: d.Merchant.Clock,
		Settings: billing.Settings{Dialects: map[string]json.RawMessage{"ccbill": json.RawMessage(`{}`)}}}
	check(d.t, d.Cashier.NewMerchant(ctx, m))
	for _, sub := range []string{"0000", "0005"} {
		a := &billing.Account{Code: sub, Name: sub, CreatedAt: m.CreatedAt}
		check(d.t, d.Store.Update(ctx, m.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, a) }))
		if sub == "0000" {
			d.Account = a
		}
	}
	d.Merchant = m
}

// admit makes a Data Link user.
func (d *desk) admit(name string, change ...func(*billing.Login)) {
	d.t.Helper()
	d.AdmitTo(d.Merchant, append([]func(*billing.Login){func(l *billing.Login) {
		l.Name, l.PasswordHash, l.AllowRawData = d.Merchant.Code+"/"+name, testpass(), false
	}}, change...)...)
}

// choose sets the merchant's switches of this wire.
func (d *desk) choose(text string) {
	d.t.Helper()
	check(d.t, ccbill.CheckSettings(json.RawMessage(text)))
	d.Configure(func(s *billing.Settings) { s.Dialects = map[string]json.RawMessage{"ccbill": json.RawMessage(text)} })
}

// plant brings in a single sale of 30 days, made in 0000 on the day before.
func (d *desk) plant(number, card string, change ...func(*cashier.PlantRequest)) *billing.Subscription {
	d.t.Helper()
	return d.plantWith(number, cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(card), Expiry: "0430", Active: true}, change...)
}

func (d *desk) plantWith(number string, m cashier.MethodRequest, change ...func(*cashier.PlantRequest)) *billing.Subscription {
	d.t.Helper()
	ctx := context.Background()
	customer := &billing.Customer{FirstName: "Ann", LastName: "Lee", Email: "ann@example.com", Active: true}
	check(d.t, d.Cashier.Enroll(ctx, d.Session(), d.Account.Code, customer))
	ref := cashier.Ref{ID: int64(customer.ID)}
	method, err := d.Cashier.AddPaymentMethod(ctx, d.Session(), ref, m)
	check(d.t, err)
	r := cashier.PlantRequest{Number: number, Method: cashier.Ref{ID: int64(method.ID)},
		Terms: billing.Terms{Currency: "USD", Initial: 2995, InitialDays: 30},
		Past:  billing.Past{SignedUp: d.Session().Today().AddDays(-1)}}
	for _, f := range change {
		f(&r)
	}
	sub, err := d.Cashier.Plant(ctx, d.Session(), ref, r)
	check(d.t, err)
	return sub
}

// ask sends a query to a script and returns the body, whose status must be 200.
func (d *desk) ask(path, query string) string {
	d.t.Helper()
	reply := d.Ask("GET", path+"?"+query, http.Header{"Authorization": {"none"}}, "")
	if reply.Status != 200 {
		d.t.Fatalf("status %d: %s", reply.Status, reply.Body)
	}
	return reply.Body
}

const login = "clientAccnum=900000&username=testuser&password=testpass"

// offer is a charge for a previous transaction, with changes: "name=value" for
// another value, "name=" for none.
func offer(previous string, change ...string) string {
	v := url.Values{"clientAccnum": {"900000"}, "username": {"testuser"}, "password": {"testpass"}, "action": {"chargeByPreviousTransactionId"},
		"newClientAccnum": {"900000"}, "newClientSubacc": {"0005"}, "sharedAuthentication": {"1"}, "initialPrice": {"5.00"}, "initialPeriod": {"30"},
		"recurringPrice": {"29.95"}, "recurringPeriod": {"30"}, "rebills": {"99"}, "subscriptionId": {previous}, "currencyCode": {"840"}}
	for _, c := range change {
		name, value, _ := strings.Cut(c, "=")
		v.Set(name, value)
	}
	return v.Encode()
}

func (d *desk) charge(previous string, change ...string) string {
	d.t.Helper()
	return d.ask(ccbill.ChargingPath, offer(previous, change...))
}

// sold charges, and returns the number of the new subscription.
func (d *desk) sold(previous string, change ...string) string {
	d.t.Helper()
	body := d.charge(previous, change...)
	number, ok := strings.CutPrefix(body, "\"approved\",\"subscriptionId\"\n\"1\",\"")
	if !ok {
		d.t.Fatalf("not sold: %s", body)
	}
	return strings.TrimSuffix(number, "\"\n")
}

// manage asks the management script for an action.
func (d *desk) manage(action, number string, more ...string) string {
	d.t.Helper()
	return d.ask(ccbill.ManagementPath, strings.Join(append([]string{login, "action=" + action, "subscriptionId=" + number}, more...), "&"))
}

// clean lets the auditor look at the books.
func (d *desk) clean() {
	d.t.Helper()
	d.Balanced()
	faults, err := audit.Books(context.Background(), d.Store, d.Merchant.ID, d.Wall.Now())
	check(d.t, err)
	for _, f := range faults {
		if !f.Note {
			d.t.Error(f)
		}
	}
}

func code(r string) string { return "\"results\"\n\"" + r + "\"\n" }

// open is a desk on each engine, with the published original planted.
func open(t *testing.T, body func(t *testing.T, d *desk)) {
	t.Helper()
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		d := opened(t, s)
		d.plant(published, goodCard)
		body(t, d)
	})
}

func TestExchanges(t *testing.T) {
	for _, file := range dialecttest.Archives(t, "testdata/exchanges") {
		t.Run(file, func(t *testing.T) {
			open(t, func(t *testing.T, d *desk) {
				d.plant("0102751901000023385", stolen)
				dialecttest.Exchanges(t, d.Counter, file)
				d.clean()
			})
		})
	}
}

// TestBytes: the published requests are answered with the bytes of 3.4.
func TestBytes(t *testing.T) {
	const first = "clientAccnum=900000&username=testuser&password=testpass&action=chargeByPreviousTransactionId&newClientAccnum=900000" +
		"&newClientSubacc=0005&sharedAuthentication=1&initialPrice=5.00&initialPeriod=30&recurringPrice=29.95&recurringPeriod=30&rebills=99"
	open(t, func(t *testing.T, d *desk) {
		d.plant("0102751901000023385", stolen)
		for _, tt := range []struct{ query, before, after string }{
			{"&subscriptionId=" + published + "&currencyCode=840", "\"approved\",\"subscriptionId\"\n\"1\",\"", "\"\n"},
			{"&subscriptionId=" + published + "¤cyCode=840", "\"approved\",\"subscriptionId\"\n\"1\",\"", "\"\n"}, // as it is spread
			{"&subscriptionId=" + published + "&returnXML=1",
				"<?xml version='1.0' standalone='yes'?>\n<results>\n  <approved>1</approved>\n  <subscriptionId>", "</subscriptionId>\n</results>\n"},
			{"&subscriptionId=0102751901000023385&currencyCode=840", "\"approved\",\"denialId\",\"declineCode\",\"declineText\"\n\"0\",\"",
				"\",\"38\",\"Refused by issuing bank\"\n"},
			{"&subscriptionId=0102751901000023385&returnXML=1", "<?xml version='1.0' standalone='yes'?>\n<results>\n  <approved>0</approved>\n  <denialId>",
				"</denialId>\n  <declineCode>38</declineCode>\n  <declineText>Refused by issuing bank</declineText>\n</results>\n"},
			{"&subscriptionId=x", "\"results\"\n\"-2\"\n", ""},
			{"&subscriptionId=x&returnXML=1", "<?xml version='1.0' standalone='yes'?>\n<results>-2</results>\n", ""},
		} {
			body := d.ask(ccbill.ChargingPath, first+tt.query)
			number, ok := strings.CutPrefix(body, tt.before)
			number, end := strings.CutSuffix(number, tt.after)
			if !ok || !end || tt.after != "" && (len(number) != 19 || number[:10] != "0119365202") {
				t.Errorf("%s:\n%q", tt.query, body)
			}
		}
		d.clean()
	})
}
