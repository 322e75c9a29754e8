package recurly

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/notify"
)

// receiver is a shop that is told of events.
type receiver struct {
	*dialecttest.Counter
	courier *notify.Courier
	refuse  int // status in place of 200
	bodies  []string
	login   string
	kind    string
}

// hears puts a receiver behind an endpoint of this form.
func hears(t *testing.T, c *dialecttest.Counter, settings string) *receiver {
	t.Helper()
	r := &receiver{Counter: c}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		user, password, _ := q.BasicAuth()
		r.bodies, r.login, r.kind = append(r.bodies, string(body)), user+":"+password, q.Header.Get("Content-Type")
		if r.refuse != 0 {
			w.WriteHeader(r.refuse)
		}
	}))
	t.Cleanup(server.Close)
	e := &billing.Endpoint{Code: "shop", Dialect: Name, URL: server.URL + "/push", Login: "push", Settings: []byte(settings)}
	must(t, c.Cashier.AddEndpoint(context.Background(), c.Session(), e, billing.EndpointSecrets{Password: billing.NewSecret("secret")}))
	var err error
	r.courier, err = notify.New(notify.Options{Store: c.Store, Cashier: c.Cashier, Now: c.Wall.Now, Log: slog.New(slog.DiscardHandler),
		Forms: []*notify.Form{Push()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Poll: 10 * time.Millisecond, Keep: -1})
	must(t, err)
	return r
}

var rootPattern = regexp.MustCompile(`\n<([a-z_]+)_notification>\n`)

// told has everything told, and lists the messages by what they are.
func (r *receiver) told() (names []string) {
	r.T.Helper()
	r.bodies = nil
	must(r.T, r.courier.Once(context.Background()))
	for _, b := range r.bodies {
		if m := rootPattern.FindStringSubmatch(b); m != nil {
			names = append(names, m[1])
		} else {
			r.T.Errorf("no notification:\n%s", b)
		}
	}
	return names
}

// TestPushStory: each thing that happens is told once, in the order in which it
// happened (14).
func TestPushStory(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		r := hears(t, c, "")
		wants := func(what string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, r.told()); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", what, diff, strings.Join(r.bodies, ""))
			}
		}
		asked(c, 201, "POST", "/accounts", `<account><account_code>bob</account_code></account>`)
		wants("a new account", "new_account")
		asked(c, 422, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+strings.Replace(ann, "4111111111111111", "4000000000000002", 1)+`</subscription>`)
		r.told() // of a stranger whose card was refused
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		wants("a sign-up", "new_account", "new_subscription", "successful_payment", "billing_info_updated")
		if r.login != "push:secret" || r.kind != "application/xml; charset=utf-8" {
			t.Errorf("told as %s, in %s", r.login, r.kind)
		}
		asked(c, 200, "PUT", "/accounts/ann", `<account><email>ann@example.com</email></account>`)
		wants("new data", "updated_account")
		asked(c, 200, "PUT", "/accounts/ann", `<account><email>ann@example.com</email></account>`)
		wants("the same data")
		asked(c, 200, "PUT", "/accounts/ann/billing_info", `<billing_info><zip>1</zip></billing_info>`)
		wants("a new address", "billing_info_updated")
		asked(c, 200, "PUT", "/accounts/ann/billing_info", goodInfo)
		wants("a new card", "billing_info_updated")
		asked(c, 422, "PUT", "/accounts/ann/billing_info", strings.Replace(goodInfo, "4111111111111111", "4000000000000002", 1))
		wants("a card that is refused")
		asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>now</timeframe><quantity>2</quantity></subscription>`)
		wants("a change", "updated_subscription", "successful_payment")
		asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>renewal</timeframe><quantity>1</quantity></subscription>`)
		wants("a change that waits")
		asked(c, 200, "DELETE", "/accounts/ann/subscription", "")
		wants("a cancellation", "canceled_subscription")
		asked(c, 200, "POST", "/accounts/ann/subscription/reactivate", "")
		wants("a reactivation", "reactivated_account")
		c.MoveTo("2020-01-31")
		wants("a renewal", "renewed_subscription", "successful_payment")
		asked(c, 201, "POST", "/accounts/ann/credits", `<credit><amount_in_cents>5000</amount_in_cents></credit>`)
		c.MoveTo("2020-02-29")
		wants("a renewal out of credit", "renewed_subscription")
		sale := asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>9900</amount_in_cents>`+ann+`</transaction>`)
		wants("a sale", "successful_payment", "billing_info_updated")
		asked(c, 200, "DELETE", "/transactions/"+within(sale, "id")[0]+"?action=refund&amount_in_cents=100", "")
		wants("a refund", "successful_refund")
		sale = asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>300</amount_in_cents><account><account_code>ann</account_code></account></transaction>`)
		r.told()
		asked(c, 200, "DELETE", "/transactions/"+within(sale, "id")[0]+"?action=void", "")
		wants("a void", "void_payment")
		asked(c, 200, "DELETE", "/accounts/ann", "")
		wants("a closing", "expired_subscription", "canceled_account")
		asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>100</amount_in_cents>`+ann+`</transaction>`)
		wants("a reopening", "new_account", "successful_payment", "billing_info_updated")
	})
}

// TestPastDuePush: a renewal that is declined, and what a new card then collects.
func TestPastDuePush(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		r := hears(t, c, `{"events": ["failed_payment_notification", "successful_payment", "billing_info_updated", "renewed_subscription"]}`)
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+strings.Replace(ann, "4111111111111111", "4000000000006009", 1)+`</subscription>`)
		if got := r.told(); strings.Join(got, " ") != "successful_payment billing_info_updated" {
			t.Errorf("a sign-up: %v", got)
		}
		c.MoveTo("2020-01-31")
		if got := r.told(); strings.Join(got, " ") != "failed_payment" {
			t.Errorf("a renewal that is declined: %v", got)
		}
		wants(t, r.bodies[0], "status", "declined")
		asked(c, 200, "PUT", "/accounts/ann/billing_info", goodInfo)
		if got := r.told(); strings.Join(got, " ") != "successful_payment billing_info_updated" {
			t.Errorf("a new card: %v", got)
		}
	})
}

// TestPushBodies holds the documents against what receivers parse.
func TestPushBodies(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		r := hears(t, c, "")
		asked(c, 201, "POST", "/accounts/verena@test.com/subscription", `<subscription><plan_code>gold</plan_code>`+
			`<account><account_code>verena@test.com</account_code><email>verena@test.com</email><first_name>Verena</first_name><last_name>Test</last_name>`+goodInfo+`</account></subscription>`)
		r.told()
		const account = `  <account>
    <account_code>verena@test.com</account_code>
    <username></username>
    <email>verena@test.com</email>
    <first_name>Verena</first_name>
    <last_name>Test</last_name>
    <company_name></company_name>
  </account>
`
		got := map[string]string{}
		hex := regexp.MustCompile(`\b[0-9a-f]{32}\b`)
		for _, b := range r.bodies {
			got[rootPattern.FindStringSubmatch(b)[1]] = hex.ReplaceAllString(b, "ID")
		}
		for name, inside := range map[string]string{
			"new_account": "", "billing_info_updated": "",
			"new_subscription": `  <subscription>
    <plan>
      <plan_code>gold</plan_code>
      <name>Gold plan</name>
    </plan>
    <state>active</state>
    <quantity type="integer">1</quantity>
    <total_amount_in_cents type="integer">1000</total_amount_in_cents>
    <unit_amount_in_cents type="integer">1000</unit_amount_in_cents>
    <activated_at type="datetime">2019-12-31T14:00:00Z</activated_at>
    <canceled_at nil="true" type="datetime"></canceled_at>
    <expires_at nil="true" type="datetime"></expires_at>
    <current_period_started_at type="datetime">2019-12-31T14:00:00Z</current_period_started_at>
    <current_period_ends_at type="datetime">2020-01-31T05:00:00Z</current_period_ends_at>
    <trial_started_at nil="true" type="datetime"></trial_started_at>
    <trial_ends_at nil="true" type="datetime"></trial_ends_at>
  </subscription>
`,
			"successful_payment": `  <transaction>
    <id>ID</id>
    <invoice_id>ID</invoice_id>
    <action>purchase</action>
    <date type="datetime">2019-12-31T14:00:00Z</date>
    <amount_in_cents type="integer">1000</amount_in_cents>
    <status>success</status>
    <message>Test Gateway: Successful test transaction</message>
    <reference>sb-1</reference>
    <cvv_result code="M">Match</cvv_result>
    <avs_result code="D">Street address and postal code match.</avs_result>
    <avs_result_street></avs_result_street>
    <avs_result_postal></avs_result_postal>
    <test type="boolean">true</test>
    <voidable type="boolean">true</voidable>
    <refundable type="boolean">true</refundable>
  </transaction>
`,
		} {
			want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + name + "_notification>\n" + account + inside + "</" + name + "_notification>\n"
			if diff := cmp.Diff(want, got[name]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// TestPushPolicy: ten tries, the n-th again after 10 + n^4 seconds; redirects are
// failures; what comes after waits until the first is taken.
func TestPushPolicy(t *testing.T) {
	p := Push().Policy
	if len(p.Pauses) != 9 || p.Pauses[0] != 11*time.Second || p.Pauses[1] != 26*time.Second || p.Pauses[8] != 6571*time.Second ||
		p.Timeout != 30*time.Second || p.Redirects != 0 || p.Lifetime != 31*24*time.Hour {
		t.Errorf("the policy is %+v", p)
	}
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		r := hears(t, c, "")
		r.refuse = http.StatusFound
		asked(c, 201, "POST", "/accounts", `<account><account_code>a</account_code></account>`)
		asked(c, 201, "POST", "/accounts", `<account><account_code>b</account_code></account>`)
		if got := r.told(); len(got) != 1 {
			t.Errorf("while the first is not taken: %v", got)
		}
		r.refuse = 0
		c.Wall.Forward(10 * time.Second)
		if got := r.told(); len(got) != 0 {
			t.Errorf("before the pause has passed: %v", got)
		}
		c.Wall.Forward(time.Second)
		if got := r.told(); len(got) != 2 || within(r.bodies[0], "account_code")[0] != "a" {
			t.Errorf("after it: %v", got)
		}
	})
	for _, bad := range []string{`[]`, `{"events": ["nothing"]}`, `{"url": ""}`} {
		if err := Push().Check([]byte(bad)); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := Push().Check(nil); err != nil {
		t.Error(err)
	}
}
