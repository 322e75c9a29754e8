package unipay

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/store"
)

// stranger gives the installation a second merchant with a login of its own,
// api-other, and tells how to ask as it.
func stranger(t testing.TB, c *dialecttest.Counter) func(method, path string, fields ...string) answered {
	t.Helper()
	ctx := context.Background()
	m := &billing.Merchant{Code: "other", Name: "Other", Mode: billing.Test, Zone: time.UTC, Currency: "USD", Clock: c.Merchant.Clock}
	if err := c.Cashier.NewMerchant(ctx, m); err != nil {
		t.Fatal(err)
	}
	a := &billing.Account{Code: "2001", Name: "Main", CreatedAt: m.CreatedAt}
	if err := c.Store.Update(ctx, m.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, a) }); err != nil {
		t.Fatal(err)
	}
	c.AdmitTo(m, func(l *billing.Login) { l.Name = "api-other" })
	return func(method, path string, fields ...string) (o answered) {
		t.Helper()
		own := client{t, c}
		own.decode(own.send(method, path, basic("api-other", dialecttest.Password), fields...), &o)
		return o
	}
}

// TestHostile: each of these requests gets the failure that the protocol has for
// it and changes nothing, in the books, at the bank or for another merchant.
func TestHostile(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", visa, "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.ask("PUT", "customers/*ann/transactions", "code", "invoice", "type", "RI", "amount", "1999")
		theirs := stranger(t, c.c)
		ids := map[string]string{}
		keep := func(name string, o answered) { ids[name] = o["id"].(string) }
		keep("plan", theirs("PUT", "plans", "accountId", "2001", "name", "Plan", "amount", "1999"))
		keep("customer", theirs("PUT", "customers", "accountId", "2001", "firstName", "Eve", "lastName", "Lee"))
		at := "customers/" + ids["customer"]
		keep("option", theirs("PUT", at+"/payment-options", "type", "VC", "accountNumber", visa, "accountAccessory", "0430"))
		keep("sub", theirs("PUT", at+"/subscriptions", "planId", ids["plan"], "paymentOptionId", ids["option"], "type", "P"))
		keep("tx", theirs("PUT", at+"/transactions", "type", "RI", "amount", "1999"))
		token := theirs("GET", at+"/payment-options/"+ids["option"])["tokenCode"].(string)

		before := dialecttest.Contents(t, c.c.Shop)
		for _, tt := range hostilities(ids, token) {
			r := c.c.Ask(tt.method, Prefix+tt.url, tt.header, tt.body)
			if r.Status != tt.status || !strings.Contains(r.Body, tt.code) {
				t.Errorf("%s: %d %.200s, want %d with %s", tt.name, r.Status, r.Body, tt.status, tt.code)
			}
			if strings.Contains(r.Body, visa) {
				t.Errorf("%s: the answer has the card number", tt.name)
			}
		}
		if diff := cmp.Diff(before, dialecttest.Contents(t, c.c.Shop)); diff != "" {
			t.Errorf("something changed (-before +after):\n%s", diff)
		}
	})
}

type hostility struct {
	name, method, url string
	header            http.Header
	body              string
	code              string
	status            int
}

func hostilities(ids map[string]string, token string) []hostility {
	jsonType := http.Header{"Content-Type": {"application/json"}}
	xmlType := http.Header{"Content-Type": {"application/xml"}}
	at := "customers/" + ids["customer"]
	card := "&amount=1999&accountNumber=" + visa + "&accountAccessory=0430&accountType=VC"
	big := `{"accountId":"2001","firstName":"` + strings.Repeat("x", 10<<20) + `"}`
	list := []hostility{
		{"no password", "GET", "customers", http.Header{"Authorization": {"none"}}, "", "L01", 401},
		{"wrong password", "POST", "customers/*ann/transactions/~process?" + card, basic("api-demo", "wrong"), "", "L01", 401},
		{"a password with a colon", "GET", "customers", basic("api-demo", "demo:password"), "", "L01", 401},
		{"another name", "GET", "customers", basic("API-DEMO", "demo-password"), "", "L01", 401},

		{"their customer", "GET", at, nil, "", "V24", 404},
		{"their customer by code", "GET", "customers/*" + ids["customer"], nil, "", "V24", 404},
		{"change their customer", "POST", at + "?firstName=Mallory", nil, "", "V24", 404},
		{"their payment options", "GET", at + "/payment-options", nil, "", "V24", 404},
		{"their option for our customer", "GET", "customers/*ann/payment-options/" + ids["option"], nil, "", "V24", 404},
		{"pay with their option", "POST", "customers/*ann/transactions/~process?amount=1999&paymentOptionId=" + ids["option"], nil, "", "V24", 404},
		{"pay with their token", "POST", "customers/*ann/transactions/~process?amount=1999&token=" + token, nil, "", "V24", 404},
		{"keep their token", "PUT", "customers/*ann/payment-options?type=VC&token=" + token, nil, "", "V24", 404},
		{"their plan", "GET", "plans/" + ids["plan"], nil, "", "V24", 404},
		{"change their plan", "POST", "plans/" + ids["plan"] + "?amount=1", nil, "", "V24", 404},
		{"subscribe to their plan", "PUT", "customers/*ann/subscriptions?type=P&paymentOptionId=*card&planId=" + ids["plan"], nil, "", "V24", 404},
		{"subscribe with their option", "PUT", "customers/*ann/subscriptions?type=P&planId=*plan&paymentOptionId=" + ids["option"], nil, "", "V24", 404},
		{"subscribe their customer", "PUT", at + "/subscriptions?type=P&planId=*plan&paymentOptionId=*card", nil, "", "V24", 404},
		{"cancel their subscription", "GET", at + "/subscriptions/" + ids["sub"] + "/~cancel", nil, "", "V24", 404},
		{"cancel it as ours", "GET", "customers/*ann/subscriptions/" + ids["sub"] + "/~cancel", nil, "", "V24", 404},
		{"pay with their option from now on", "POST", "customers/*ann/subscriptions/*sub?paymentOptionId=" + ids["option"], nil, "", "V24", 404},
		{"reverse their invoice", "GET", "customers/*ann/transactions/" + ids["tx"] + "/~reverse", nil, "", "V24", 404},
		{"pay their invoice", "POST", "customers/*ann/transactions/~process?invoiceList=" + ids["tx"] + card, nil, "", "V24", 404},
		{"charge their customer", "POST", at + "/transactions/~process?" + card, nil, "", "V24", 404},
		{"their allocations", "GET", "customers/*ann/transactions/" + ids["tx"] + "/allocations", nil, "", "V24", 404},
		{"our allocations with theirs", "GET", "customers/*ann/transactions/*invoice/allocations?sourceId=" + ids["tx"], nil, "", "V24", 404},
		{"as their user", "GET", "users/api-other?password=" + dialecttest.Password + "x", nil, "", "L01", 401},

		{"an unknown plan", "PUT", "customers/*ann/subscriptions?type=P&paymentOptionId=*card&planId=*nope", nil, "", "V24", 404},
		{"a malformed date", "GET", "customers/*ann/subscriptions/*sub/~cancel?effectiveDate=tomorrow", nil, "", "F02", 400},
		{"a day that there is not", "GET", "customers/*ann/subscriptions/*sub/~cancel?effectiveDate=2020-02-30", nil, "", "F02", 400},
		{"a cancellation in a body that is not read", "GET", "customers/*ann/subscriptions/*sub/~cancel", jsonType, `{"effectiveDate":"2020-06-01"}`, "F03", 400},
		{"two dates", "GET", "customers/*ann/subscriptions/*sub/~cancel?effectiveDate=2020-06-01&effectiveDate=2020-07-01", nil, "", "F03", 400},
		{"ten megabytes", "PUT", "customers", waiting("application/json"), big, "F03", 413},
		{"ten megabytes of a form", "PUT", "customers", waiting("application/x-www-form-urlencoded"), "accountId=2001&firstName=" + strings.Repeat("x", 10<<20), "F03", 413},
		{"a bomb", "PUT", "customers", xmlType, bomb(), "F03", 400},
		{"an entity from a file", "PUT", "customers", xmlType,
			`<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><customer accountId="2001" firstName="&x;" lastName="x"/>`, "F03", 400},
		{"deep nesting", "PUT", "customers", jsonType, `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "F03", 400},
		{"a thousand fields", "PUT", "customers", nil, manyFields(1000), "F03", 400},
		{"a duplicate code", "PUT", "customers?code=ann&accountId=2001&firstName=A&lastName=B", nil, "", "V29", 409},
		{"a duplicate code of a payment", "POST", "customers/*ann/transactions/~process?code=invoice" + card, nil, "", "V29", 409},
		{"XML that says JSON", "PUT", "customers", jsonType, `<customer accountId="2001" firstName="A" lastName="B"/>`, "F03", 400},
		{"JSON that says XML", "PUT", "customers", xmlType, `{"accountId":"2001","firstName":"A","lastName":"B"}`, "F03", 400},
		{"a list for an object", "PUT", "customers", jsonType, `[{"accountId":"2001","firstName":"A","lastName":"B"}]`, "F03", 400},
		{"two documents", "PUT", "customers", jsonType, `{"accountId":"2001","firstName":"A","lastName":"B"}{}`, "F03", 400},
		{"no end", "POST", "customers/*ann/transactions/~process", jsonType, `{"amount":"1999","accountNumber":"` + visa, "F03", 400},
		{"an amount in a list", "PUT", "customers/*ann/transactions", jsonType, `{"type":"RI","amount":["1999"]}`, "F02", 400},
		{"an amount with an exponent", "PUT", "customers/*ann/transactions", jsonType, `{"type":"RI","amount":1e3}`, "F02", 400},
		{"an amount with a point", "PUT", "customers/*ann/transactions", jsonType, `{"type":"RI","amount":19.99}`, "F02", 400},
		{"a negative amount", "PUT", "customers/*ann/transactions", jsonType, `{"type":"RI","amount":-1999}`, "F02", 400},
		{"an amount past all bounds", "PUT", "customers/*ann/transactions", jsonType, `{"type":"RI","amount":99999999999999999999}`, "F02", 400},
		{"no number at all", "PUT", "customers/*ann/transactions?type=RI&amount=zero", nil, "", "F02", 400},
		{"a code with a quote", "GET", "customers/*ann'--", nil, "", "V24", 404},
		{"a code with a null", "GET", "customers/*ann%00", nil, "", "V24", 404},
		{"a text with a null", "PUT", "customers", jsonType, `{"accountId":"2001","firstName":"A\u0000","lastName":"B"}`, "F03", 400},
		{"broken UTF-8", "PUT", "customers", nil, "accountId=2001&firstName=A%ff&lastName=B", "F03", 400},
		{"a percent sign alone", "PUT", "customers", nil, "accountId=2001&firstName=%zz", "F03", 400},
		{"POST that must say process", "POST", "customers/*ann/transactions?" + card, nil, "", "U01", 405},
		{"DELETE", "DELETE", "customers/*ann", nil, "", "U01", 405},
	}
	return list
}

// waiting is the header of a client that asks before it sends a body. One that
// does not may find the line cut while it still sends, and never read the answer.
func waiting(contentType string) http.Header {
	return http.Header{"Content-Type": {contentType}, "Expect": {"100-continue"}}
}

// bomb is XML of a few hundred bytes that would be a billion of them.
func bomb() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE lolz [<!ENTITY l0 \"lol\">")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "<!ENTITY l%d %q>", i, strings.Repeat(fmt.Sprintf("&l%d;", i-1), 10))
	}
	b.WriteString(`]><customer accountId="2001" firstName="&l9;" lastName="x"/>`)
	return b.String()
}

func manyFields(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = "field" + strconv.Itoa(i) + "=x"
	}
	return strings.Join(pairs, "&")
}
