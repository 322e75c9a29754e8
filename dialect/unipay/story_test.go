package unipay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// client asks in JSON, with forms for parameters, and expects to be served.
type client struct {
	t testing.TB
	c *dialecttest.Counter
}

// answered is an answered object: texts, and objects inside.
type answered = map[string]any

// ask sends name and value pairs and returns the answered object.
func (c client) ask(method, path string, fields ...string) answered {
	c.t.Helper()
	var o answered
	c.decode(c.send(method, path, nil, fields...), &o)
	return o
}

// list returns the answered list.
func (c client) list(path string) (list []answered) {
	c.t.Helper()
	c.decode(c.send("GET", path, nil), &list)
	return list
}

func (c client) send(method, path string, h http.Header, fields ...string) dialecttest.Reply {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	header := http.Header{}
	for name, values := range h {
		header[name] = values
	}
	if method == "GET" {
		if len(form) > 0 {
			path += "?" + form.Encode()
		}
		return c.c.Ask(method, Prefix+path, header, "")
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.c.Ask(method, Prefix+path, header, form.Encode())
}

func (c client) decode(r dialecttest.Reply, into any) {
	c.t.Helper()
	if r.Status != 200 {
		c.t.Fatalf("%d %s", r.Status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		c.t.Fatal(err)
	}
}

// signUp makes plan, customer, card and bank account; subscribe is for what is
// given to the subscription, nothing for none.
func (c client) signUp(amount, card string, subscribe ...string) {
	c.t.Helper()
	c.ask("PUT", "plans", "code", "plan", "accountId", "2001", "name", "Plan", "amount", amount)
	c.ask("PUT", "customers", "code", "ann", "accountId", "2001", "firstName", "Ann", "lastName", "Lee")
	c.ask("PUT", "customers/*ann/payment-options", "code", "card", "type", "VC", "accountNumber", card, "accountAccessory", "0430")
	c.ask("PUT", "customers/*ann/payment-options", "code", "bank", "type", "BC", "accountNumber", "4099999992", "accountAccessory", "021000021")
	if len(subscribe) > 0 {
		c.ask("PUT", "customers/*ann/subscriptions", append([]string{"code", "sub", "planId", "*plan"}, subscribe...)...)
	}
}

// account shows a customer's transactions, a line each: day, type, amount,
// balance, due date and response code.
func (c client) account() string {
	c.t.Helper()
	var b strings.Builder
	for _, o := range c.list("customers/*ann/transactions?limit=1000") {
		code := "-"
		if p, ok := o["processingInfo"].(answered); ok {
			code = p["responseCode"].(string)
		}
		fmt.Fprintf(&b, "%.10s %s %s open %s due %.10s %s\n", o["createDate"], o["type"], o["amount"], o["balance"], o["dueDate"], code)
	}
	return b.String()
}

func (c client) wantAccount(what, want string) {
	c.t.Helper()
	if diff := cmp.Diff(strings.TrimLeft(want, "\n"), c.account()); diff != "" {
		c.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func tell(t *testing.T, body func(client)) {
	t.Helper()
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) { body(client{t, open(t, s)}) })
}

const visa = "4111111111111111"

// TestTwelveMonths: a year is billed on its dates and collected, moved to day by
// day or in one jump, from the first of the month and from its last.
func TestTwelveMonths(t *testing.T) {
	for _, tt := range []struct {
		first string
		want  []string
	}{
		{"2020-01-01", []string{"2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01",
			"2020-07-01", "2020-08-01", "2020-09-01", "2020-10-01", "2020-11-01", "2020-12-01"}},
		{"2020-01-31", []string{"2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30", "2020-05-31", "2020-06-30",
			"2020-07-31", "2020-08-31", "2020-09-30", "2020-10-31", "2020-11-30", "2020-12-31"}},
	} {
		for _, way := range []struct {
			name, option string
			jump         bool
		}{{"card in steps", "card", false}, {"card in one jump", "card", true}, {"bank in one jump", "bank", true}} {
			t.Run(tt.first+" "+way.name, func(t *testing.T) {
				tell(t, func(c client) { year(c, tt.first, way.option, way.jump, tt.want) })
			})
		}
	}
}

func year(c client, first, option string, jump bool, want []string) {
	c.t.Helper()
	c.signUp("1999", visa, "type", "F", "length", "12", "firstBillingDate", first, "paymentOptionId", "*"+option)
	if !jump {
		for day := (billing.Date{Year: 2020, Month: 1, Day: 1}); day.Year < 2021; day = day.AddDays(9) {
			c.c.MoveTo(day.String())
		}
	}
	c.c.MoveTo("2021-01-05")
	var invoices, claims []string
	for _, o := range c.list("customers/*ann/transactions?limit=1000") {
		if o["balance"] != "0" {
			c.t.Errorf("%s of %s is open by %s", o["type"], o["createDate"], o["balance"])
		}
		switch o["type"] {
		case "RI":
			invoices = append(invoices, o["dueDate"].(string)[:10])
		case "AC":
			claims = append(claims, o["createDate"].(string)[:10])
			if p := o["processingInfo"].(answered); p["responseCode"] != "A01" {
				c.t.Errorf("a claim is %s", p["responseCode"])
			}
		default:
			c.t.Errorf("there is a %s", o["type"])
		}
	}
	if !slices.Equal(invoices, want) || !slices.Equal(claims, want) {
		c.t.Errorf("invoices %v, claims %v", invoices, claims)
	}
	sub := c.ask("GET", "customers/*ann/subscriptions/*sub")
	if sub["status"] != "E" || sub["nextBillingDate"] != nil || sub["lastBillingDate"] != want[11] {
		c.t.Errorf("in the end the subscription is %v", sub)
	}
	c.c.Balanced()
}

// TestRetries: a soft decline is tried again on the third, seventh and
// fourteenth day, and then left to the next billing.
func TestRetries(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("8000", visa, "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.c.MoveTo("2020-01-31")
		c.wantAccount("January", `
2020-01-01 RI 8000 open 8000 due 2020-01-01 -
2020-01-01 AC 8000 open 0 due 2020-01-01 D03
2020-01-01 AD 8000 open 0 due 2020-01-01 D03
2020-01-04 AC 8000 open 0 due 2020-01-04 D03
2020-01-04 AD 8000 open 0 due 2020-01-04 D03
2020-01-08 AC 8000 open 0 due 2020-01-08 D03
2020-01-08 AD 8000 open 0 due 2020-01-08 D03
2020-01-15 AC 8000 open 0 due 2020-01-15 D03
2020-01-15 AD 8000 open 0 due 2020-01-15 D03
`)
		if sub := c.ask("GET", "customers/*ann/subscriptions/*sub"); sub["status"] != "C" {
			t.Errorf("a declined subscription stays current, but is %s", sub["status"])
		}
		c.c.MoveTo("2020-02-01")
		if last := c.list("customers/*ann/transactions?type=AC&createDateFrom=2020-02-01"); len(last) != 1 || last[0]["amount"] != "16000" {
			t.Errorf("in February the claim takes both months along, but is %v", last)
		}
	})
}

// TestRetryThatWorks: the second retry is approved and covers the invoice.
func TestRetryThatWorks(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", "4000000000006017", "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.c.MoveTo("2020-01-20")
		c.wantAccount("with the third try", `
2020-01-01 RI 1999 open 0 due 2020-01-01 -
2020-01-01 AC 1999 open 0 due 2020-01-01 D03
2020-01-01 AD 1999 open 0 due 2020-01-01 D03
2020-01-04 AC 1999 open 0 due 2020-01-04 D03
2020-01-04 AD 1999 open 0 due 2020-01-04 D03
2020-01-08 AC 1999 open 0 due 2020-01-08 A01
`)
	})
}

// TestReplacedCard: a hard decline is not tried again, until the subscription
// gets another payment option; that wakes the run, which collects the debt.
func TestReplacedCard(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", "4000000000009979", "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.c.MoveTo("2020-01-20")
		declined := `
2020-01-01 RI 1999 open 1999 due 2020-01-01 -
2020-01-01 AC 1999 open 0 due 2020-01-01 D10
2020-01-01 AD 1999 open 0 due 2020-01-01 D10
`
		c.wantAccount("a stolen card is not tried again", declined)
		c.ask("PUT", "customers/*ann/payment-options", "code", "new", "type", "VC", "accountNumber", visa, "accountAccessory", "0430")
		before := c.c.Wakes.Load()
		c.ask("POST", "customers/*ann/subscriptions/*sub", "paymentOptionId", "*new")
		if c.c.Wakes.Load() != before+1 {
			t.Error("the run was not woken")
		}
		c.c.MoveTo("2020-01-20")
		c.wantAccount("with the new card", strings.Replace(declined, "open 1999", "open 0", 1)+"2020-01-20 AC 1999 open 0 due 2020-01-20 A01\n")
	})
}

// TestNewExpiry: an expired card gets a new date by ~modify, which collects.
func TestNewExpiry(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", "4000000000006033", "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.c.MoveTo("2020-02-20")
		c.wantAccount("good once, then expired", `
2020-01-01 RI 1999 open 0 due 2020-01-01 -
2020-01-01 AC 1999 open 0 due 2020-01-01 A01
2020-02-01 RI 1999 open 1999 due 2020-02-01 -
2020-02-01 AC 1999 open 0 due 2020-02-01 D16
2020-02-01 AD 1999 open 0 due 2020-02-01 D16
`)
		before := c.c.Wakes.Load()
		c.ask("POST", "customers/*ann/payment-options/*card", "accountAccessory", "0432")
		if c.c.Wakes.Load() != before+1 {
			t.Error("the run was not woken")
		}
		c.c.MoveTo("2020-02-20")
		if tried := c.list("customers/*ann/transactions?type=AC&createDateFrom=2020-02-20"); len(tried) != 1 {
			t.Errorf("%d claims after the change", len(tried))
		}
	})
}

// TestUnknownOutcome: when the line is cut, process says so with E09 and no
// balance, a replay says the same, nothing can be done with the payment
// meanwhile, and a later load tells what became of it.
func TestUnknownOutcome(t *testing.T) {
	for _, tt := range []struct {
		do      sandbox.Trouble
		balance string
		code    string
		want    string
	}{
		{sandbox.CutAfter, "0", "A01", `
2019-12-31 RI 1999 open 0 due 2019-12-31 -
2019-12-31 AP 1999 open 0 due 2019-12-31 A01
`},
		{sandbox.CutBefore, "1999", "E02", `
2019-12-31 RI 1999 open 1999 due 2019-12-31 -
2019-12-31 AP 1999 open 0 due 2019-12-31 E02
2019-12-31 AD 1999 open 0 due 2019-12-31 E02
`},
	} {
		t.Run(string(tt.do), func(t *testing.T) {
			tell(t, func(c client) {
				ctx := context.Background()
				c.signUp("1999", visa)
				c.ask("PUT", "customers/*ann/transactions", "code", "invoice", "type", "RI", "amount", "1999")
				err := c.c.Bank.SetFaults(ctx, c.c.Merchant.Code,
					sandbox.Fault{On: []string{"charge"}, Do: tt.do}, sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1})
				if err != nil {
					t.Fatal(err)
				}
				key := http.Header{"Idempotency-Key": {"order-7"}}
				pay := []string{"code", "payment", "amount", "1999", "accountNumber", visa, "accountAccessory", "0430", "invoiceList", "*invoice"}
				first := c.send("POST", "customers/*ann/transactions/~process", key, pay...)
				var o answered
				c.decode(first, &o)
				info := o["processingInfo"].(answered)
				if o["type"] != "AP" || o["balance"] != "0" || info["responseCode"] != "E09" || info["responseMessage"] != clearing || info["approvalCode"] != nil {
					t.Errorf("the answer is %s", first.Body)
				}
				again := c.send("POST", "customers/*ann/transactions/~process", key, pay...)
				if again.Body != first.Body || again.Header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("a replay says %s %v", again.Body, again.Header)
				}
				wantFailure(t, "reverse", c.send("GET", "customers/*ann/transactions/*payment/~reverse", nil), "V21", 400)
				wantFailure(t, "pay the same invoice", c.send("POST", "customers/*ann/transactions/~process", nil,
					"amount", "1999", "paymentOptionId", "*bank", "invoiceList", "*invoice"), "V21", 400)
				for range 6 {
					c.c.Wall.Forward(time.Hour)
					if _, err := c.c.Runner.Merchant(ctx, c.c.Merchant.ID); err != nil {
						t.Fatal(err)
					}
				}
				if after := c.ask("GET", "customers/*ann/transactions/*invoice"); after["balance"] != tt.balance {
					t.Errorf("the invoice is open by %s", after["balance"])
				}
				c.wantAccount("when it is cleared up", tt.want)
				if !strings.Contains(c.c.Log.String(), `"outcome":"E09"`) {
					t.Error("the log does not show E09")
				}
			})
		})
	}
}

// TestUnknownReversal: a reversal whose outcome nobody tells is answered as a
// payment is then, cannot be repeated, and turns up later under the same id.
func TestUnknownReversal(t *testing.T) {
	tell(t, func(c client) {
		ctx := context.Background()
		c.signUp("1999", visa)
		c.ask("POST", "customers/*ann/transactions/~process", "code", "payment", "amount", "1999", "paymentOptionId", "*card")
		err := c.c.Bank.SetFaults(ctx, c.c.Merchant.Code,
			sandbox.Fault{On: []string{"void"}, Do: sandbox.CutAfter}, sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		unknown := c.ask("GET", "customers/*ann/transactions/*payment/~reverse")
		if unknown["type"] != "AV" || unknown["balance"] != "0" || unknown["amount"] != "1999" {
			t.Errorf("no word came: %v", unknown)
		}
		if info, _ := unknown["processingInfo"].(answered); info["responseCode"] != "E09" {
			t.Errorf("no word came: %v", unknown["processingInfo"])
		}
		wantFailure(t, "not in the account yet", c.send("GET", "customers/*ann/transactions/"+fmt.Sprint(unknown["id"])+"/~load", nil), "V24", 404)
		wantFailure(t, "repeated", c.send("GET", "customers/*ann/transactions/*payment/~reverse", nil), "V21", 400)
		for range 6 {
			c.c.Wall.Forward(time.Hour)
			if _, err := c.c.Runner.Merchant(ctx, c.c.Merchant.ID); err != nil {
				t.Fatal(err)
			}
		}
		if later := c.ask("GET", "customers/*ann/transactions/"+fmt.Sprint(unknown["id"])+"/~load"); later["id"] != unknown["id"] || later["type"] != "AV" {
			t.Errorf("later: %v", later)
		}
		c.wantAccount("later", `
2019-12-31 AP 1999 open 0 due 2019-12-31 A01
2019-12-31 AV 1999 open 0 due 2019-12-31 A03
`)
	})
}

// TestChargeback: what the bank takes back shows as AG with Z02, and the debt is
// open again.
func TestChargeback(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", "4000000000000267")
		c.ask("PUT", "customers/*ann/transactions", "code", "invoice", "type", "RI", "amount", "1999")
		c.ask("POST", "customers/*ann/transactions/~process", "code", "payment", "amount", "1999", "paymentOptionId", "*card")
		c.c.MoveTo("2020-01-05")
		c.wantAccount("charged back", `
2019-12-31 RI 1999 open 1999 due 2019-12-31 -
2019-12-31 AP 1999 open 0 due 2019-12-31 A01
2020-01-04 AG 1999 open 0 due 2020-01-04 Z02
`)
		c.c.MoveTo("2020-01-10")
		c.wantAccount("given back", `
2019-12-31 RI 1999 open 0 due 2019-12-31 -
2019-12-31 AP 1999 open 0 due 2019-12-31 A01
2020-01-04 AG 1999 open 0 due 2020-01-04 Z02
2020-01-07 AS 1999 open 0 due 2020-01-07 -
`)
	})
}

// TestDeclinedPayOut: money that the processor does not pay out is an answer
// like a declined payment.
func TestDeclinedPayOut(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", visa)
		fault := sandbox.Fault{On: []string{"credit"}, Do: sandbox.Decline, Response: "05"}
		if err := c.c.Bank.SetFaults(context.Background(), c.c.Merchant.Code, fault); err != nil {
			t.Fatal(err)
		}
		paid := c.ask("POST", "customers/*ann/transactions/~process", "type", "AR", "amount", "1999", "paymentOptionId", "*card")
		if info := paid["processingInfo"].(answered); paid["type"] != "AR" || paid["balance"] != "0" || info["responseCode"] != "D01" {
			t.Errorf("the answer is %v", paid)
		}
		c.wantAccount("nothing paid out", "2019-12-31 AR 1999 open 0 due 2019-12-31 D01\n")
	})
}

// TestTokens: a token stands for the number in a payment and in a payment
// option of another customer, and no answer has the number.
func TestTokens(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", visa)
		token := c.ask("GET", "customers/*ann/payment-options/*card")["tokenCode"].(string)
		paid := c.ask("POST", "customers/*ann/transactions/~process", "amount", "1999", "token", token)
		if info := paid["processingInfo"].(answered); info["responseCode"] != "A01" || info["token"] != token || info["accountNumber"] != "4***********1111" {
			t.Errorf("paid by token: %v", paid)
		}
		c.ask("PUT", "customers", "code", "bob", "accountId", "2001", "firstName", "Bob", "lastName", "Lee")
		option := c.ask("PUT", "customers/*bob/payment-options", "type", "VC", "token", token)
		if option["accountNumber"] != "4***********1111" || option["accountAccessory"] != "0430" || option["holderName"] != "Bob Lee" || option["tokenCode"] == token {
			t.Errorf("the option by token is %v", option)
		}
		if n := c.c.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("%d captures", n)
		}
	})
}
