package billingcircle_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// desk is a counter of the company acme and its twin acme-test, whose clocks stand
// at noon of 27 August 2009 in New York (9).
type desk struct {
	*dialecttest.Counter
	t    testing.TB
	twin *billing.Merchant
}

var s3cret = sync.OnceValue(func() string {
	h, err := cashier.HashPassword(billing.NewSecret("s3cret"))
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

// opened puts a listener before a shop whose merchant is acme.
func opened(t testing.TB, s *cashiertest.Shop) *desk {
	t.Helper()
	d := &desk{t: t}
	d.Counter = dialecttest.Serve(t, s, func(c *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
		return "/", billingcircle.New(billingcircle.Options{Cashier: s.Cashier, Wake: func() { c.Wakes.Add(1) }, Log: log})
	})
	d.twin = d.company("acme-test", `{}`)
	d.Merchant = d.company("acme", `{"test_twin":"acme-test"}`)
	return d
}

// company makes a merchant with an admin and a clerk, and has the shop be its.
func (d *desk) company(code, settings string) *billing.Merchant {
	d.t.Helper()
	ctx := context.Background()
	zone, err := time.LoadLocation("America/New_York")
	check(d.t, err)
	m := &billing.Merchant{Code: code, Name: code, Mode: billing.Test, Zone: zone, Currency: "USD",
		Clock:    billing.Clock{Mode: billing.ClockFrozen, At: time.Date(2009, 8, 27, 16, 0, 0, 0, time.UTC), Set: d.Wall.Now()},
		Settings: billing.Settings{Dialects: map[string]json.RawMessage{billingcircle.Name: json.RawMessage(settings)}}}
	check(d.t, d.Cashier.NewMerchant(ctx, m))
	a := &billing.Account{Code: "main", Name: "Main", CreatedAt: m.CreatedAt}
	check(d.t, d.Store.Update(ctx, m.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, a) }))
	d.Account = a
	for name, role := range map[string]billing.Role{"api": billing.RoleAdmin, "clerk": billing.RoleClerk} {
		d.AdmitTo(m, func(l *billing.Login) { l.Name, l.Role, l.PasswordHash = code+"/"+name, role, s3cret() })
	}
	check(d.t, d.Bank.SetTerms(ctx, code, sandbox.Terms{Amounts: sandbox.AuthorizeNet}))
	return m
}

// open is a desk on each engine.
func open(t *testing.T, body func(t *testing.T, d *desk)) {
	t.Helper()
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) { body(t, opened(t, s)) })
}

const (
	form = "application/x-www-form-urlencoded"
	auth = "companyid=acme&username=api&password=s3cret"
)

// post sends a body to a path and returns the answer, whose status must be 200.
func (d *desk) post(path, kind, body string) string {
	d.t.Helper()
	reply := d.Ask("POST", path, http.Header{"Authorization": {"none"}, "Content-Type": {kind}}, body)
	if reply.Status != 200 || reply.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		d.t.Fatalf("status %d, %s: %s", reply.Status, reply.Header.Get("Content-Type"), reply.Body)
	}
	return reply.Body
}

// ask sends a method with the admin's login; fields are "name=value", not encoded.
func (d *desk) ask(method string, fields ...string) string {
	d.t.Helper()
	return d.askOf("acme", method, fields...)
}

// askOf is ask of another company.
func (d *desk) askOf(company, method string, fields ...string) string {
	d.t.Helper()
	body := "companyid=" + company + "&username=api&password=s3cret&method=" + method
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		body += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	return d.post(billingcircle.Path, form, body)
}

// want asks, and compares the answer.
func (d *desk) want(want, method string, fields ...string) {
	d.t.Helper()
	if got := d.ask(method, fields...); got != want {
		d.t.Errorf("%s %q:\n got %s\nwant %s", method, fields, got, want)
	}
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

// john is the client of the test vectors.
var john = strings.Split("c_firstname=John c_lastname=Doe c_city=Long_Beach c_state=CA c_zip=90802 c_country=US c_email=john@fake.com c_chargemethod=cc "+
	"c_ccname=John_Doe c_ccexpmonth=09 c_ccexpyear=2013", " ")

// client makes an active client with a card, and returns its id.
func (d *desk) client(key, card string, more ...string) string {
	d.t.Helper()
	who := append(append([]string{"c_merchantid=" + key, "c_ccnumber=" + card}, john...), more...)
	if card == "" { // it is paid otherwise
		who = slices.DeleteFunc(who, func(f string) bool { return strings.HasPrefix(f, "c_cc") || f == "c_chargemethod=cc" })
	}
	answer := d.ask("createclient", who...)
	id, ok := strings.CutPrefix(answer, "1,1,Success,")
	if !ok {
		d.t.Fatalf("no client: %s", answer)
	}
	d.want(answer, "confirmclient", "c_clientid="+id)
	return id
}

// scheduled makes a confirmed schedule, and returns its id.
func (d *desk) scheduled(client string, fields ...string) string {
	d.t.Helper()
	fields = append([]string{"c_clientid=" + client}, fields...)
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "s_title=") }) {
		fields = append(fields, "s_title=Service")
	}
	answer := d.ask("createschedule", fields...)
	id, ok := strings.CutPrefix(answer, "1,1,Success,")
	if !ok {
		d.t.Fatalf("no schedule: %s", answer)
	}
	d.want(answer, "confirmschedule", "c_clientid="+client, "s_scheduleid="+id)
	return id
}

func TestExchanges(t *testing.T) {
	for _, file := range dialecttest.Archives(t, "testdata/exchanges") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			open(t, func(t *testing.T, d *desk) {
				dialecttest.Exchanges(t, d.Counter, file)
				d.clean()
			})
		})
	}
}
