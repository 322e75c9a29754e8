package unipay

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// The canaries: a card number, a security code and a password that travel every
// action and must be seen nowhere after.
const (
	canaryCard = visa
	canaryCode = "9173"
)

// TestCanary sends the canaries through every action, where they belong and
// where they do not, in all three notations, and then looks for them in every
// answer, in the log, in the books and events, and in the bytes of the database
// files while their write-ahead log is still there.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	s := cashiertest.Open(t, "sqlite:"+filepath.Join(dir, "test.db"))
	c := client{t, open(t, s)}
	var heard strings.Builder
	say := func(method, path string, h http.Header, body string) {
		t.Helper()
		r := c.c.Ask(method, Prefix+path, h, body)
		heard.WriteString(r.Body + "\n")
		for name, values := range r.Header {
			heard.WriteString(name + ": " + strings.Join(values, ",") + "\n")
		}
		if r.Status >= 500 {
			t.Errorf("%s %s: %d %s", method, path, r.Status, r.Body)
		}
	}
	for _, round := range canaries() {
		for _, p := range round.places {
			say(round.method, p, round.header, round.body)
		}
	}
	s.MoveTo("2020-02-02") // the renewal opens the vault
	say("GET", "customers/*ann/transactions", nil, "")

	db := ""
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files of the database: %v %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		db += string(data)
	}
	places := map[string]string{
		"the answers": heard.String(), "the log": c.c.Log.String(), "the database": db,
		"the books": dialecttest.Contents(t, s) + dialecttest.Events(t, s),
	}
	for place, text := range places {
		for _, canary := range []string{canaryCard, base64.RawStdEncoding.EncodeToString([]byte(canaryCard)), dialecttest.Password} {
			if strings.Contains(text, canary) {
				t.Errorf("%s have %s", place, canary)
			}
		}
		if regexp.MustCompile(`(^|[^0-9])` + canaryCode + `([^0-9]|$)`).MatchString(text) {
			t.Errorf("%s have the security code", place)
		}
	}
	for _, p := range Patterns() {
		if !strings.Contains(c.c.Log.String(), `"route":"`+Prefix+p+`","status":200`) {
			t.Errorf("the canaries did not travel %s", p)
		}
	}
	// What was looked for would have been found, had it been there.
	for place, sign := range map[string]string{"the answers": "4***********1111", "the database": "4***********1111", "the log": `"outcome":"A01"`, "the books": "claim"} {
		if !strings.Contains(places[place], sign) {
			t.Errorf("%s lack %s: the canary did not travel", place, sign)
		}
	}
}

// flight is one request to some places.
type flight struct {
	method string
	header http.Header
	body   string
	places []string
}

func canaries() []flight {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	asJSON := http.Header{"Content-Type": {"application/json"}}
	asXML := http.Header{"Content-Type": {"application/xml"}, "Accept": {"application/xml"}}
	const number = "accountNumber=" + canaryCard + "&accountAccessory=0430&csc=" + canaryCode
	const password = "password=" + dialecttest.Password
	const at = "customers/*ann"
	const all = number + "&" + password
	process := []string{at + "/transactions/~process"}
	return []flight{
		{"PUT", form, "code=plan&accountId=2001&name=Plan&amount=1999&" + all, []string{"plans"}},
		{"PUT", form, "code=ann&accountId=2001&firstName=Ann&lastName=Lee&" + all, []string{"customers"}},
		{"PUT", form, "code=card&type=VC&" + all, []string{at + "/payment-options"}},
		{"PUT", asJSON, `{"type":"VC","accountNumber":` + canaryCard + `,"accountAccessory":"0430","csc":` + canaryCode + `}`, []string{at + "/payment-options"}},
		{"PUT", asXML, `<payment-option type="VC" accountNumber="` + canaryCard + `" accountAccessory="0430" csc="` + canaryCode + `"/>`, []string{at + "/payment-options"}},
		{"PUT", form, "code=sub&type=P&planId=*plan&paymentOptionId=*card&" + all, []string{at + "/subscriptions"}},
		{"PUT", form, "code=invoice&type=RI&amount=1999&" + all, []string{at + "/transactions"}},
		{"POST", form, "code=paid&amount=1999&accountType=VC&" + all, process},
		{"POST", form, "amount=8000&accountType=VC&" + number, process},
		{"POST", asJSON, `{"amount":"1999","accountData":"%B` + canaryCard + `^LEE/ANN^3004101?","csc":"` + canaryCode + `"}`, process},
		{"POST", asXML, `<transaction amount="1999" accountData=";` + canaryCard + `=3004101?" csc="` + canaryCode + `"/>`, process},
		{"POST", form, "amount=1999&type=AR&accountType=VC&" + number, process},
		{"POST", form, all, []string{at, at + "/payment-options/*card", at + "/subscriptions/*sub", "plans/*plan"}},
		{"GET", nil, "", []string{
			"customers?" + all, at + "?" + all, at + "/payment-options?" + all, at + "/payment-options/*card?" + all,
			at + "/subscriptions?" + all, at + "/subscriptions/*sub?" + all, "plans?" + all, "plans/*plan?" + all,
			at + "/payment-options?csc=" + canaryCode + "&" + password, at + "/transactions?" + all, at + "/transactions?csc=" + canaryCode, at + "/transactions/*paid?" + all,
			at + "/transactions/*paid/allocations?" + all, at + "/subscriptions/*sub/adjustments?" + all,
			at + "/subscriptions/*sub/~freeze?effectiveDate=2020-03-01&length=1&" + all, at + "/subscriptions/*sub/~pause?effectiveDate=2020-06-01&" + all,
			at + "/subscriptions/*sub/~resume?" + all, at + "/subscriptions/*sub/~cancel?effectiveDate=2020-07-01&" + all,
			at + "/transactions/*paid/~reverse?" + all, "users/" + dialecttest.User + "?" + all,
		}},

		// Where they do not belong.
		{"GET", nil, "", []string{
			"customers/" + canaryCard, "plans/*" + canaryCard, canaryCard, "users/" + canaryCard + "?" + password, "customers/~" + canaryCard,
			"customers?limit=" + canaryCard + "0000", "customers?" + canaryCard + "=1&" + canaryCard + "=2",
			at + "/transactions?createDateFrom=" + canaryCard, "users/" + dialecttest.User + "?password=" + canaryCard,
		}},
		{"GET", basic(canaryCard, dialecttest.Password+"?"), "", []string{"customers"}},
		{canaryCard, nil, "", []string{"customers"}},
		{"PUT", form, canaryCard + "=" + canaryCode, []string{"customers"}},
		{"PUT", asJSON, `{"` + canaryCard + `":"` + canaryCode + `","` + canaryCard + `":"x"}`, []string{"customers"}},
		{"PUT", asJSON, `{"accountNumber":"` + canaryCard + `","csc":`, []string{at + "/payment-options"}},
		{"PUT", asXML, `<payment-option type="VC" accountNumber="` + canaryCard + `" csc="` + canaryCode, []string{at + "/payment-options"}},
		{"PUT", asXML, `<x` + canaryCard + `/>`, []string{at + "/payment-options"}},
		{"POST", form, "amount=" + canaryCard + "&accountAccessory=" + canaryCard + "&accountType=" + canaryCard + "&accountNumber=" + canaryCard, process},
		{"POST", form, "amount=1999&accountType=VC&accountAccessory=0430&accountNumber=" + canaryCard + "1", process},
		{"POST", form, "amount=1999&accountType=BC&accountAccessory=021000021&accountNumber=" + canaryCard + "99999", process},
		{"POST", form, "amount=1999&accountData=" + canaryCard, process},
		{"POST", http.Header{"Content-Type": {"application/" + canaryCard}}, canaryCard, process},
		{"POST", http.Header{"Idempotency-Key": {canaryCard + " "}, "Content-Type": {"application/x-www-form-urlencoded"}}, "amount=1&" + number + " " + canaryCode, process},
	}
}
