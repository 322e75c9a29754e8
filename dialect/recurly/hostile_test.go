package recurly

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// TestHostile: each of these requests is answered with errors that can be read,
// and changes nothing.
func TestHostile(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", ann)
		sale := asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>500</amount_in_cents><account><account_code>ann</account_code></account></transaction>`)
		charge := asked(c, 201, "POST", "/accounts/ann/charges", `<charge><amount_in_cents>100</amount_in_cents></charge>`)
		asked(c, 201, "POST", "/accounts", `<account><account_code>bob</account_code></account>`)
		theirs := s.Another("other")
		ref := theirs.Customer("eve")
		before := dialecttest.Contents(t, s)

		bomb := `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">` + strings.Repeat(`<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">`, 10) + `]>`
		for _, h := range []struct {
			method, path, body string
			want               int
		}{
			{"PUT", "/accounts/ann/billing_info", bomb + `<billing_info><first_name>&b;</first_name></billing_info>`, 400},
			{"PUT", "/accounts/ann/billing_info", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><billing_info><first_name>&e;</first_name></billing_info>`, 400},
			{"PUT", "/accounts/ann/billing_info", `<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><billing_info/>`, 400},
			{"PUT", "/accounts/ann/billing_info", strings.Repeat("<a>", 1<<18), 400},
			{"PUT", "/accounts/ann/billing_info", strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000), 400},
			{"PUT", "/accounts/ann/billing_info", "<billing_info>" + strings.Repeat("x", 1<<20) + "</billing_info>", 400},
			{"PUT", "/accounts/ann/billing_info", "<subscription/>", 400}, {"PUT", "/accounts/ann/billing_info", "", 400}, {"PUT", "/accounts/ann/billing_info", "\x00\x01", 400},
			{"PUT", "/accounts/ann/billing_info", "{\"billing_info\": {}}", 400}, {"PUT", "/accounts/ann/billing_info", "<billing_info><first_name>\xff</first_name></billing_info>", 400},
			{"PUT", "/accounts/ann/billing_info", "<account><first_name>x</first_name></account>", 200}, // says nothing of billing information, and one is kept
			{"PUT", "/accounts/bob/billing_info", "<billing_info/>", 422}, {"PUT", "/accounts/bob/billing_info", "<billing_info><credit_card><number>" + strings.Repeat("4", 5000) + "</number></credit_card></billing_info>", 422},
			{"PUT", "/accounts/ann/billing_info", "<billing_info><first_name>" + strings.Repeat("x", 51) + "</first_name><country>USA</country><ip_address>x</ip_address><zip>" + strings.Repeat("1", 21) + "</zip></billing_info>", 422},
			{"PUT", "/accounts/%2E%2E/billing_info", goodInfo, 404}, {"PUT", "/accounts/%2e/billing_info", goodInfo, 404}, {"PUT", "/accounts/../billing_info", goodInfo, 404}, {"DELETE", "/accounts/x/../ann", "", 404}, {"PUT", "/accounts/%2F/billing_info", goodInfo, 404},
			{"PUT", "/accounts/ann%00/billing_info", goodInfo, 404}, {"PUT", "/accounts/ANN/billing_info", goodInfo, 404}, {"PUT", "/accounts/eve/billing_info", goodInfo, 404},
			{"PUT", fmt.Sprintf("/accounts/%d/billing_info", ref.ID), goodInfo, 404},
			{"POST", "/accounts", `<account><account_code>..</account_code></account>`, 422}, {"POST", "/accounts", `<account><account_code>a/../b</account_code></account>`, 422},
			{"POST", "/accounts", `<account><account_code>` + strings.Repeat("x", 51) + `</account_code></account>`, 422}, {"POST", "/accounts", "<account><account_code>a&#10;b</account_code></account>", 422},
			{"GET", "/v2/accounts", "", 404}, {"GET", "/v1/accounts", "", 404}, {"PATCH", "/accounts/ann", "<account/>", 405}, {"POST", "/accounts/ann", "<account/>", 405},
			{"DELETE", "/accounts", "", 405}, {"TRACE", "/accounts", "", 405},
			{"POST", "/accounts/bob/charges", `<charge><amount_in_cents>9999999999999</amount_in_cents></charge>`, 422}, {"POST", "/accounts/bob/charges", `<charge><amount_in_cents>-5</amount_in_cents></charge>`, 422},
			{"POST", "/accounts/bob/charges", `<charge><unit_amount_in_cents>9999999999</unit_amount_in_cents><quantity>1000000</quantity></charge>`, 422},
			{"POST", "/accounts/bob/charges", `<charge><amount_in_cents>1</amount_in_cents><end_date>1999-01-01</end_date></charge>`, 422},
			{"POST", "/accounts/bob/charges", `<charge><amount_in_cents>1</amount_in_cents><description>` + strings.Repeat("x", 256) + `</description></charge>`, 422},
			{"GET", "/accounts/bob/charges/" + within(charge, "id")[0], "", 404}, {"DELETE", "/accounts/bob/charges/" + within(charge, "id")[0], "", 404},
			{"DELETE", "/accounts/ann/charges/1", "", 404}, {"DELETE", "/accounts/ann/charges/" + strings.Repeat("f", 32), "", 404},
			{"GET", "/invoices/" + within(charge, "id")[0], "", 404}, {"DELETE", "/transactions/" + within(charge, "id")[0], "", 404},
			{"DELETE", "/transactions/" + within(sale, "id")[0] + "?action=steal", "", 422}, {"DELETE", "/transactions/" + within(sale, "id")[0] + "?amount_in_cents=-1", "", 422},
			{"DELETE", "/transactions/" + within(sale, "id")[0] + "?amount_in_cents=501", "", 422}, {"DELETE", "/transactions/" + within(sale, "id")[0] + "?amount=5.001", "", 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><quantity>0</quantity></subscription>`, 422}, {"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><quantity>1e9</quantity></subscription>`, 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><unit_amount_in_cents>-1</unit_amount_in_cents></subscription>`, 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><add_ons><add_on><add_on_code>none</add_on_code></add_on></add_ons></subscription>`, 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><add_ons>` + strings.Repeat(`<add_on><add_on_code>extra</add_on_code></add_on>`, 100) + `</add_ons></subscription>`, 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><account><account_code>bob</account_code></account></subscription>`, 422},
			{"POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code><trial_ends_at>9999-12-31</trial_ends_at></subscription>`, 422},
			{"POST", "/plans", `<plan><plan_code>x</plan_code><name>x</name><plan_interval_length>0</plan_interval_length></plan>`, 422},
			{"POST", "/plans", `<plan><plan_code>x</plan_code><name>x</name><trial_interval_length>99999</trial_interval_length></plan>`, 422},
			{"GET", "/transparent/results/" + strings.Repeat("0", 32), "", 404}, {"GET", "/transparent/results/..%2f..", "", 404},
			{"GET", "/accounts?page=-1&show=<script>", "", 200},
		} {
			r := ask(c, h.method, h.path, h.body)
			if r.Status != h.want {
				t.Errorf("%s %.80s %.80s: %d, want %d\n%.300s", h.method, h.path, h.body, r.Status, h.want, r.Body)
			}
			if r.Status >= 300 && h.method != "HEAD" && (!strings.Contains(r.Body, "<errors>") || strings.Index(r.Body, "<errors>") == 0 || !strings.Contains(r.Body, "</error>")) {
				t.Errorf("%s %.80s: no errors that can be read:\n%.300s", h.method, h.path, r.Body)
			}
			if strings.Contains(r.Body, "<script>") || strings.Contains(r.Body, "root:") {
				t.Errorf("%s %.80s: the answer has what was sent", h.method, h.path)
			}
		}
		if diff := cmp.Diff(before, dialecttest.Contents(t, s)); diff != "" {
			t.Errorf("they changed something (-before +after):\n%s", diff)
		}
	})
}

// TestStrangers: a merchant's key opens no other's books, and one that is no site
// none at all.
func TestStrangers(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", ann)
		other := s.Another("other")
		c.AdmitTo(other.Merchant, func(l *billing.Login) { l.Name = "api-other" })
		login := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("api-other:"+dialecttest.Password))}}
		if r := c.Ask("GET", "/accounts/ann", login, ""); r.Status != 403 {
			t.Errorf("no site: %d %s", r.Status, r.Body)
		}
		other.Configure(func(st *billing.Settings) { st.Dialects = map[string]json.RawMessage{Name: json.RawMessage(`{}`)} })
		for path, want := range map[string]int{"/accounts/ann": 404, "/accounts": 200, "/accounts/ann/billing_info": 404} {
			r := c.Ask("GET", path, login, "")
			if r.Status != want || strings.Contains(r.Body, "Lee") {
				t.Errorf("%s: %d %s", path, r.Status, r.Body)
			}
		}
		clerk := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("clerk:"+dialecttest.Password))}}
		c.Admit(func(l *billing.Login) { l.Name, l.Role = "clerk", billing.RoleClerk })
		if r := c.Ask("GET", "/accounts", clerk, ""); r.Status != 403 {
			t.Errorf("a clerk: %d", r.Status)
		}
		c.Admit(func(l *billing.Login) { l.Name, l.AllowRawData = "tokens", false })
		tokens := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("tokens:"+dialecttest.Password))}}
		if r := c.Ask("PUT", "/accounts/ann/billing_info", tokens, goodInfo); r.Status != 403 {
			t.Errorf("a login that may not send numbers: %d %s", r.Status, r.Body)
		}
		for i := range 25 {
			r := c.Ask("GET", "/accounts", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "guess-%d:", i))}}, "")
			if r.Status == 429 {
				asked(c, 200, "GET", "/accounts", "") // a key that came from here before is not held up
				return
			}
		}
		t.Error("keys can be guessed without end")
	})
}

// The canaries: a card number, a security code, an API key and a private key that
// travel every way and must be seen nowhere after.
const (
	canaryCard = "4012888888881881"
	canaryCode = "9173"
)

// TestCanary sends the canaries along every way, where they belong and where they
// do not, and looks for them in answers, log, books, events, kept forms, messages,
// and the bytes of the database.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	s := cashiertest.Open(t, "sqlite:"+filepath.Join(dir, "test.db"))
	c := open(t, s)
	r := hears(t, c, "")
	var heard bytes.Buffer
	say := func(method, path, body string) {
		t.Helper()
		got := ask(c, method, path, body)
		heard.WriteString(got.Body + fmt.Sprint(got.Header))
		if got.Status >= 500 {
			t.Errorf("%s %s: %d %s", method, path, got.Status, got.Body)
		}
	}
	const card = "<credit_card><number>" + canaryCard + "</number><verification_value>" + canaryCode + "</verification_value><month>3</month><year>2025</year></credit_card>"
	const info = "<billing_info><first_name>Ann</first_name><last_name>Lee</last_name>" + card + "</billing_info>"
	account := "<account><account_code>ann</account_code>" + info + "</account>"
	for _, h := range []struct{ method, path, body string }{
		{"POST", "/accounts", account}, {"POST", "/accounts", account}, {"PUT", "/accounts/ann", account}, {"PUT", "/accounts/ann/billing_info", info},
		{"PUT", "/accounts/ann/billing_info", strings.Replace(info, canaryCode, canaryCode+"1", 1)}, {"PUT", "/accounts/ann/billing_info", strings.Replace(info, canaryCard, canaryCard+"0", 1)},
		{"PUT", "/accounts/ann/billing_info", info + "x"}, {"PUT", "/accounts/ann/billing_info", "<x" + canaryCard + "/>"}, {"PUT", "/accounts/ann/billing_info", strings.Replace(info, "2025", canaryCard, 1)},
		{"POST", "/accounts/ann/subscription", "<subscription><plan_code>gold</plan_code>" + account + "</subscription>"},
		{"POST", "/accounts/ann/subscription", "<subscription><plan_code>gold</plan_code><coupon_code>" + canaryCard + "</coupon_code>" + account + "</subscription>"},
		{"POST", "/transactions", "<transaction><amount_in_cents>500</amount_in_cents>" + account + "</transaction>"},
		{"POST", "/transactions", "<transaction><amount_in_cents>" + canaryCard + "</amount_in_cents>" + account + "</transaction>"},
		{"GET", "/accounts/ann/billing_info?number=" + canaryCard + "&code=" + canaryCode, ""}, {"GET", "/accounts/" + canaryCard, ""}, {"GET", "/" + canaryCard, ""},
		{"GET", "/transactions?show=" + canaryCard, ""}, {"GET", "/accounts/ann/transactions", ""}, {"GET", "/accounts/ann/invoices", ""}, {"GET", "/plans/" + canaryCard, ""},
		{"DELETE", "/transactions/" + canaryCard + "?action=" + canaryCard, ""}, {"GET", "/accounts/ann?" + canaryCard, ""},
	} {
		say(h.method, h.path, h.body)
	}
	c.Ask("GET", "/accounts", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(canaryCard+":"))}}, "")
	free := cardPairs(canaryCard)
	free.Set("billing_info[credit_card][verification_value]", canaryCode)
	for _, kind := range []string{"billing_info", "subscription", "transaction"} {
		if code, _ := post(c, kind, protect(c, nil), free); code != 302 {
			t.Errorf("the form for %s: %d", kind, code)
		}
	}
	s.MoveTo("2020-02-02") // the renewal opens the vault
	r.told()
	heard.WriteString(strings.Join(r.bodies, ""))

	db := ""
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		must(t, err)
		db += string(data)
	}
	places := map[string]string{"the answers and messages": heard.String(), "the log": c.Log.String(), "the database": db,
		"the books": dialecttest.Contents(t, s) + dialecttest.Events(t, s)}
	for place, text := range places {
		for _, canary := range []string{canaryCard, testKey, testPrivateKey.Reveal(), base64.StdEncoding.EncodeToString([]byte(testKey + ":"))} {
			if strings.Contains(text, canary) {
				t.Errorf("%s have %s", place, canary)
			}
		}
		if regexp.MustCompile(`(^|[^0-9a-f])` + canaryCode + `([^0-9a-f]|$)`).MatchString(text) {
			t.Errorf("%s have the security code", place)
		}
	}
	for place, sign := range map[string]string{"the answers and messages": "1881", "the database": "4***********1881", "the log": "accounts/:account/billing_info", "the books": "claim"} {
		if !strings.Contains(places[place], sign) {
			t.Errorf("%s lack %s: the canary did not travel", place, sign)
		}
	}
}
