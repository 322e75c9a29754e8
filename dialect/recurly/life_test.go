package recurly

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// asked sends a request and wants a status.
func asked(c *dialecttest.Counter, status int, method, path, body string) string {
	c.T.Helper()
	r := ask(c, method, path, body)
	if r.Status != status {
		c.T.Fatalf("%s %s: %d, want %d\n%s", method, path, r.Status, status, r.Body)
	}
	return r.Body
}

// within finds the texts of elements of a name.
func within(body, name string) (texts []string) {
	for _, m := range regexp.MustCompile(`<`+name+`[^>]*>([^<]*)</`+name+`>`).FindAllStringSubmatch(body, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// wants holds the texts of elements against what they should be.
func wants(t testing.TB, body, name string, want ...string) {
	t.Helper()
	if got := within(body, name); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s is %q, want %q in\n%s", name, got, want, body)
	}
}

const goodInfo = `<billing_info><first_name>Ann</first_name><last_name>Lee</last_name><credit_card><number>4111111111111111</number>` +
	`<verification_value>123</verification_value><month>12</month><year>2025</year></credit_card></billing_info>`

const ann = `<account><account_code>ann</account_code><first_name>Ann</first_name><last_name>Lee</last_name>` + goodInfo + `</account>`

// at moves the merchant's clock to an instant, and does all that falls due.
func at(c *dialecttest.Counter, when time.Time) {
	c.T.Helper()
	ctx := context.Background()
	_, err := c.Cashier.SetClock(ctx, c.Merchant.ID, billing.ClockFrozen, when)
	must(c.T, err)
	_, err = c.Runner.Merchant(ctx, c.Merchant.ID)
	must(c.T, err)
}

// TestHalfAPeriod is the documented example (7.4): half way from 10 to 20 a month
// gives a credit of 5, a charge of 10 and a payment of 5.
func TestHalfAPeriod(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/plans", `<plan><plan_code>silver</plan_code><name>Silver</name><unit_amount_in_cents>2000</unit_amount_in_cents></plan>`)
		body := asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		from, err := time.Parse(time.RFC3339, within(body, "current_period_started_at")[0])
		must(t, err)
		to, err := time.Parse(time.RFC3339, within(body, "current_period_ends_at")[0])
		must(t, err)
		at(c, from.Add(to.Sub(from)/2))
		body = asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>now</timeframe><plan_code>silver</plan_code></subscription>`)
		wants(t, body, "unit_amount_in_cents", "2000")
		wants(t, asked(c, 200, "GET", "/accounts/ann/credits", ""), "amount_in_cents", "-500")
		list := asked(c, 200, "GET", "/accounts/ann/invoices", "")
		wants(t, list, "total_in_cents", "500", "1000")
		invoice := asked(c, 200, "GET", "/invoices/"+within(list, "id")[0], "")
		wants(t, invoice, "description", words.Charge, words.Credit)
		wants(t, invoice, "amount_in_cents", "1000", "-500", "500")
		wants(t, invoice, "type", "charge", "credit")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", "0")
		s.Balanced()
	})
}

// TestChangeAtRenewal: a change waits, is shown, takes effect with the renewal,
// and one that is made at once clears it (7.4).
func TestChangeAtRenewal(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>renewal</timeframe><quantity>2</quantity></subscription>`)
		c.MoveTo("2020-01-31")
		body := asked(c, 200, "GET", "/accounts/ann/subscription", "")
		wants(t, body, "quantity", "2")
		wants(t, body, "total_amount_in_cents", "2000")
		wants(t, asked(c, 200, "GET", "/accounts/ann/invoices", ""), "total_in_cents", "2000", "1000")
		asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>renewal</timeframe><quantity>5</quantity></subscription>`)
		body = asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>now</timeframe><quantity>1</quantity></subscription>`)
		if strings.Contains(body, "pending_subscription") {
			t.Errorf("a change at once leaves the one that waits:\n%s", body)
		}
		asked(c, 200, "PUT", "/accounts/ann/subscription", `<subscription><timeframe>renewal</timeframe><quantity>3</quantity></subscription>`)
		body = asked(c, 200, "DELETE", "/accounts/ann/subscription", "")
		if strings.Contains(body, "pending_subscription") {
			t.Errorf("a canceled subscription keeps the change that waits:\n%s", body)
		}
		c.MoveTo("2020-03-01")
		asked(c, 404, "GET", "/accounts/ann/subscription", "")
		wants(t, asked(c, 200, "GET", "/accounts?show=non_subscribers", ""), "account_code", "ann")
	})
}

// TestRenewalWithoutBillingInfo: it goes past due, and the next PUT collects it,
// with one capture and no look at the card (6.4, 6.6).
func TestRenewalWithoutBillingInfo(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		asked(c, 200, "DELETE", "/accounts/ann/billing_info", "")
		wants(t, asked(c, 200, "GET", "/accounts?show=pastdue_subscribers", ""), "account_code")
		c.MoveTo("2020-02-03")
		wants(t, asked(c, 200, "GET", "/accounts/ann/subscription", ""), "state", "active")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", "1000")
		wants(t, asked(c, 200, "GET", "/accounts?show=pastdue_subscribers", ""), "account_code", "ann")
		before := s.Journal()
		declined := strings.Replace(goodInfo, "4111111111111111", "4000000000000002", 1)
		wants(t, asked(c, 422, "PUT", "/accounts/ann/billing_info", declined), "error", "was declined")
		asked(c, 404, "GET", "/accounts/ann/billing_info", "")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", "1000")
		asked(c, 200, "PUT", "/accounts/ann/billing_info", goodInfo)
		after := s.Journal()
		if after["capture"] != before["capture"]+1 || after["authorisation"] != before["authorisation"] {
			t.Errorf("the bank saw %v, and then %v", before, after)
		}
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", "0")
		wants(t, asked(c, 200, "GET", "/accounts?show=pastdue_subscribers", ""), "account_code")
		wants(t, asked(c, 200, "GET", "/accounts/ann/transactions?show=failed", ""), "status", "declined")
		c.MoveTo("2020-03-01")
		wants(t, asked(c, 200, "GET", "/accounts/ann/invoices", ""), "total_in_cents", "1000", "1000", "1000")
		s.Balanced()
	})
}

// TestForgottenAfterAYear: billing information goes a year after it was last
// updated or something was paid with it, on the day and not before (6.6).
func TestForgottenAfterAYear(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", ann)
		asked(c, 201, "POST", "/accounts", strings.Replace(ann, "<account_code>ann", "<account_code>bob", 1))
		c.MoveTo("2020-06-15")
		asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>100</amount_in_cents><account><account_code>bob</account_code></account></transaction>`)
		c.MoveTo("2020-12-30")
		asked(c, 200, "GET", "/accounts/ann/billing_info", "")
		c.MoveTo("2020-12-31")
		asked(c, 404, "GET", "/accounts/ann/billing_info", "")
		asked(c, 200, "GET", "/accounts/bob/billing_info", "")
		c.MoveTo("2021-06-14")
		asked(c, 200, "GET", "/accounts/bob/billing_info", "")
		c.MoveTo("2021-06-15")
		asked(c, 404, "GET", "/accounts/bob/billing_info", "")
	})
}

// TestRubyCounts is what one client's suite counts (6.4, 10.3): one transaction of
// nothing after billing information is stored, and with three sales four that are
// good.
func TestRubyCounts(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", ann)
		list := asked(c, 200, "GET", "/accounts/ann/transactions", "")
		wants(t, list, "amount_in_cents", "0")
		wants(t, list, "action", "authorization")
		wants(t, list, "status", "success")
		for _, amount := range []string{"100", "200", "300"} {
			asked(c, 201, "POST", "/transactions.xml", `<transaction><account><account-code>ann</account-code></account><amount-in-cents>`+amount+`</amount-in-cents></transaction>`)
		}
		list = asked(c, 200, "GET", "/accounts/ann/transactions", "")
		wants(t, list, "amount_in_cents", "300", "200", "100", "0")
		wants(t, list, "status", "success", "success", "success", "success")
		configure(c, `{"show_verification_amount": true}`)
		list = asked(c, 200, "GET", "/accounts/ann/transactions", "")
		wants(t, list, "amount_in_cents", "300", "200", "100", "100")
		wants(t, list, "status", "success", "success", "success", "void")
	})
}

// TestPages: lists are of twenty, the newest first, and count all (2.3).
func TestPages(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		for i := range 23 {
			asked(c, 201, "POST", "/accounts", fmt.Sprintf(`<account><account_code>a%02d</account_code></account>`, i))
		}
		body := asked(c, 200, "GET", "/accounts", "")
		codes := within(body, "account_code")
		if len(codes) != 20 || codes[0] != "a22" || codes[19] != "a03" {
			t.Errorf("the first page has %q", codes)
		}
		wants(t, body, "total_entries", "23")
		body = asked(c, 200, "GET", "/accounts?page=2", "")
		wants(t, body, "account_code", "a02", "a01", "a00")
		wants(t, body, "current_page", "2")
		wants(t, asked(c, 200, "GET", "/accounts?page=99999999999999999999", ""), "current_page", "1")
		for _, amount := range []string{"100", "200", "300"} {
			asked(c, 201, "POST", "/accounts/a00/credits", `<credit><amount_in_cents>`+amount+`</amount_in_cents></credit>`)
		}
		wants(t, asked(c, 200, "GET", "/accounts/a00/credits", ""), "amount_in_cents", "-300", "-200", "-100")
	})
}

// TestCreditsFirst is the documented example (7.8): of a credit of 10 a renewal of
// 25 uses all, and 15 are charged; one of 3 leaves 7 and charges nothing.
func TestCreditsFirst(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		for code, price := range map[string]string{"ann": "2500", "bob": "300"} {
			asked(c, 201, "POST", "/accounts/"+code+"/subscription", `<subscription><plan_code>gold</plan_code><unit_amount_in_cents>`+price+`</unit_amount_in_cents>`+
				strings.Replace(ann, "<account_code>ann", "<account_code>"+code, 1)+`</subscription>`)
			asked(c, 201, "POST", "/accounts/"+code+"/credits", `<credit><amount_in_cents>1000</amount_in_cents><description>given</description></credit>`)
		}
		c.MoveTo("2020-01-31")
		wants(t, asked(c, 200, "GET", "/accounts/ann/transactions", ""), "amount_in_cents", "1500", "2500")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", "0")
		wants(t, asked(c, 200, "GET", "/accounts/bob/transactions", ""), "amount_in_cents", "300")
		wants(t, asked(c, 200, "GET", "/accounts/bob", ""), "balance_in_cents", "-700")
		s.Balanced()
	})
}

// TestTrial: nothing is charged but the set-up fee, and the card is looked at; the
// renewal at its end is the first that is billed (7.2).
func TestTrial(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/plans", `<plan><plan_code>trial</plan_code><name>Trial</name><unit_amount_in_cents>1000</unit_amount_in_cents><trial_interval_length>7</trial_interval_length></plan>`)
		bad := strings.Replace(ann, "4111111111111111", "4000000000000077", 1)
		asked(c, 422, "POST", "/accounts/ann/subscription", `<subscription><plan_code>trial</plan_code>`+bad+`</subscription>`)
		asked(c, 404, "GET", "/accounts/ann", "")
		body := asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>trial</plan_code>`+ann+`</subscription>`)
		wants(t, body, "trial_ends_at", "2020-01-07T05:00:00Z")
		wants(t, asked(c, 200, "GET", "/accounts/ann/invoices", ""), "total_in_cents")
		if j := s.Journal(); j["capture"] != 0 || j["authorisation"] != 1 || j["void"] != 1 {
			t.Errorf("the bank saw %v", j)
		}
		c.MoveTo("2020-01-07")
		wants(t, asked(c, 200, "GET", "/accounts/ann/invoices", ""), "total_in_cents", "1000")
		asked(c, 201, "POST", "/accounts/net/subscription", `<subscription><plan_code>gold</plan_code><trial_ends_at>2020-09-01T12:00:00</trial_ends_at>`+
			strings.Replace(ann, "<account_code>ann", "<account_code>net", 1)+`</subscription>`)
		wants(t, asked(c, 200, "GET", "/accounts/net/subscription", ""), "trial_ends_at", "2020-09-01T12:00:00Z")
	})
}

// TestReopening: a closed account that buys is opened again, stays closed if that
// is refused, and always does where the site wants it so (5.3).
func TestReopening(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		asked(c, 200, "DELETE", "/accounts/ann", "")
		asked(c, 404, "GET", "/accounts/ann/subscription", "")
		asked(c, 422, "POST", "/accounts", `<account><account_code>ann</account_code></account>`)
		sale := func(account string) string {
			return `<transaction><amount_in_cents>100</amount_in_cents>` + account + `</transaction>`
		}
		configure(c, `{"keep_closed": true}`)
		asked(c, 422, "POST", "/transactions", sale(ann))
		configure(c, `{}`)
		asked(c, 422, "POST", "/transactions", sale(strings.Replace(ann, "4111111111111111", "4000000000000077", 1)))
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "state", "closed")
		asked(c, 201, "POST", "/transactions", sale(ann))
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "state", "active")
		asked(c, 200, "GET", "/accounts/ann/billing_info", "")
	})
}

// TestSwitches: what the site chooses is kept to (6.3, 6.7, 7.5, 3.2).
func TestSwitches(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", `<account><account_code>a</account_code><first_name>A</first_name><last_name>B</last_name></account>`)
		number := `<billing_info><country>us</country><credit_card><number>4111111111111111</number></credit_card></billing_info>`
		for switches, want := range map[string]string{
			`{"address_requirement": "zip"}`:        "zip",
			`{"address_requirement": "street_zip"}`: "address1|zip",
			`{"address_requirement": "full"}`:       "address1|city|state|zip",
			`{"cvv_required": true}`:                "verification_value",
		} {
			configure(c, switches)
			body := asked(c, 422, "PUT", "/accounts/a/billing_info", number)
			var fields []string
			for _, m := range regexp.MustCompile(`field="([^"]*)"`).FindAllStringSubmatch(body, -1) {
				fields = append(fields, m[1])
			}
			if strings.Join(fields, "|") != want {
				t.Errorf("%s: %q, want %s", switches, fields, want)
			}
		}
		configure(c, `{"no_subscription_status": 412, "messages": "2010"}`)
		asked(c, 412, "DELETE", "/accounts/a/subscription", "")
		asked(c, 404, "DELETE", "/accounts/a/subscription?refund=full", "")
		wants(t, asked(c, 422, "POST", "/accounts", `<account/>`), "error", "Account code can't be blank", "Account code is invalid")
		configure(c, `{"require_scheme": true}`)
		if r := c.Ask("GET", "/accounts", map[string][]string{"Authorization": {"dGVzdC1hcGkta2V5Og=="}}, ""); r.Status != 401 {
			t.Errorf("without the word Basic: %d", r.Status)
		}
		asked(c, 200, "PUT", "/accounts/a/billing_info", number)
		wants(t, asked(c, 200, "GET", "/accounts/a/billing_info", ""), "country", "US")
		if len(s.Journal()) == 0 {
			t.Error("nobody looked at the card")
		}
	})
	for _, bad := range []string{`[]`, `{"unknown": 1}`, `{"address_requirement": "some"}`, `{"no_subscription_status": 200}`, `{"messages": "2012"}`, `{"transparent_minutes": -1}`} {
		if err := CheckSettings([]byte(bad)); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestVoidAndRefund: a refund of all leaves the invoice paid, and nothing is
// collected again; a void opens it again; without an argument it is whichever can
// still be; a bank that refuses changes nothing (10.4).
func TestVoidAndRefund(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		sale := func(number string) (id, invoice string) {
			body := asked(c, 201, "POST", "/transactions", `<transaction><amount_in_cents>500</amount_in_cents>`+strings.Replace(ann, "4111111111111111", number, 1)+`</transaction>`)
			return within(body, "id")[0], within(body, "invoice_id")[0]
		}
		owes := func(what, want string) {
			t.Helper()
			wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "balance_in_cents", want)
		}
		id, invoice := sale("4111111111111111")
		c.MoveTo("2020-01-03")
		wants(t, asked(c, 422, "DELETE", "/transactions/"+id+"?action=void", ""), "error", "The transaction is settled and cannot be voided")
		wants(t, asked(c, 200, "DELETE", "/transactions/"+id, ""), "action", "credit")
		owes("after a refund", "0")
		wants(t, asked(c, 200, "GET", "/invoices/"+invoice, ""), "status", "closed")
		c.MoveTo("2020-01-20")
		wants(t, asked(c, 200, "GET", "/accounts/ann/transactions?show=payments", ""), "amount_in_cents", "500")

		id, invoice = sale("4000000000002024")
		wants(t, asked(c, 422, "DELETE", "/transactions/"+id+"?action=refund", ""), "error", "the processor refused to take the payment back")
		wants(t, asked(c, 200, "GET", "/transactions/"+id, ""), "refundable", "true")
		wants(t, asked(c, 200, "DELETE", "/transactions/"+id, ""), "status", "void")
		owes("after a void", "500")
		wants(t, asked(c, 200, "GET", "/invoices/"+invoice, ""), "status", "open")
		c.MoveTo("2020-03-20")
		wants(t, asked(c, 200, "GET", "/accounts/ann/transactions?show=payments", ""), "status", "void", "success")
		s.Balanced()
	})
}

// TestGatewayOutOfReach: what nobody judged is told as a time-out, and changes
// nothing (6.4).
func TestGatewayOutOfReach(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", `<account><account_code>ann</account_code></account>`)
		asked(c, 201, "POST", "/accounts", strings.Replace(ann, "<account_code>ann", "<account_code>bob", 1))
		asked(c, 200, "DELETE", "/accounts/bob", "")
		s.Line.Down.Store(true)
		for path, body := range map[string]string{
			"PUT /accounts/ann/billing_info":  goodInfo,
			"POST /accounts/ann/subscription": `<subscription><plan_code>gold</plan_code>` + ann + `</subscription>`,
			"POST /accounts/net/subscription": `<subscription><plan_code>gold</plan_code>` + strings.Replace(ann, "<account_code>ann", "<account_code>net", 1) + `</subscription>`,
			"POST /transactions":              `<transaction><amount_in_cents>500</amount_in_cents>` + strings.Replace(ann, "<account_code>ann", "<account_code>bob", 1) + `</transaction>`,
		} {
			method, path, _ := strings.Cut(path, " ")
			if got := asked(c, 422, method, path, body); !strings.Contains(got, `code="gateway_timeout"`) {
				t.Errorf("%s: %s", path, got)
			}
		}
		s.Line.Down.Store(false)
		asked(c, 404, "GET", "/accounts/ann/billing_info", "")
		asked(c, 404, "GET", "/accounts/net", "")
		asked(c, 201, "POST", "/accounts/ann/subscription", `<subscription><plan_code>gold</plan_code>`+ann+`</subscription>`)
		if n := s.Journal()["capture"]; n != 1 {
			t.Errorf("the bank saw %d captures", n)
		}
		s.Balanced()
	})
}

// TestNewExpiry: a new date of a kept card has it looked at again; the part of it
// that is not given stays.
func TestNewExpiry(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", ann)
		dated := func(inside string) string {
			return `<billing_info><credit_card>` + inside + `</credit_card></billing_info>`
		}
		body := asked(c, 200, "PUT", "/accounts/ann/billing_info", dated(`<year>2027</year>`))
		wants(t, body, "month", "12")
		wants(t, body, "year", "2027")
		body = asked(c, 200, "PUT", "/accounts/ann/billing_info", dated(`<month>3</month>`))
		wants(t, body, "month", "3")
		wants(t, body, "year", "2027")
		wants(t, body, "last_four", "1111")
		asked(c, 422, "PUT", "/accounts/ann/billing_info", dated(`<year>2018</year>`))
		if j := s.Journal(); j["authorisation"] != 3 || j["void"] != 3 || j["capture"] != 0 {
			t.Errorf("the bank saw %v", j)
		}
	})
}
