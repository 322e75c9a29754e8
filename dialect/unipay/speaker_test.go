package unipay

import (
	"strconv"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// TestStories tells the stories of all dialects in this tongue.
func TestStories(t *testing.T) {
	dialecttest.Tell(t, func(t testing.TB, s *cashiertest.Shop) *dialecttest.Counter { return open(t, s) }, speaker)
}

// code is a reference code for a name of a story.
func codeFor(name string) string { return strings.ReplaceAll(name, " ", "_") }

// speaker says everything: this tongue has words for all of it. Names become
// reference codes; the customer is ann.
func speaker(c *dialecttest.Counter) *dialecttest.Speaker {
	ask := func(t testing.TB, method, path string, fields ...string) {
		t.Helper()
		client{t, c}.ask(method, path, fields...)
	}
	const at = "customers/*ann"
	cents := func(n int64) string { return strconv.FormatInt(n, 10) }
	record := func(kind string, more ...string) func(testing.TB, string, int64) {
		return func(t testing.TB, name string, amount int64) {
			t.Helper()
			ask(t, "PUT", at+"/transactions", append([]string{"type", kind, "code", codeFor(name), "amount", cents(amount)}, more...)...)
		}
	}
	subscription := func(name string) string { return at + "/subscriptions/*" + codeFor(name) }
	return &dialecttest.Speaker{
		Plan: func(t testing.TB, p dialecttest.Plan) {
			ask(t, "PUT", "plans", "code", codeFor(p.Name), "accountId", "2001", "name", p.Name, "billingCycleType", string(cycles.wire(p.Cycle)),
				"amount", cents(p.Amount), "taxAmount", cents(p.Tax))
		},
		SignUp: func(t testing.TB) {
			ask(t, "PUT", "customers", "code", "ann", "accountId", "2001", "firstName", "Ann", "lastName", "Lee")
		},
		Given: func(testing.TB, string, string) {}, // it has a reference code
		AddCard: func(t testing.TB, k dialecttest.Card) {
			ask(t, "PUT", at+"/payment-options", "code", codeFor(k.Name), "type", string(instruments.wire(k.Instrument)),
				"accountNumber", k.Number, "accountAccessory", k.Expiry)
		},
		AddBank: func(t testing.TB, b dialecttest.Bank) {
			ask(t, "PUT", at+"/payment-options", "code", codeFor(b.Name), "type", "BC", "accountNumber", b.Number, "accountAccessory", b.Routing)
		},
		RenewCard: func(t testing.TB, name, expiry string) {
			ask(t, "POST", at+"/payment-options/*"+codeFor(name), "accountAccessory", expiry)
		},
		Retire: func(t testing.TB, name string) {
			ask(t, "POST", at+"/payment-options/*"+codeFor(name), "isActive", "false")
		},
		Subscribe: func(t testing.TB, s dialecttest.Subscription) {
			kind := []string{"type", "P"}
			if s.Length > 0 {
				kind = []string{"type", "F", "length", strconv.Itoa(s.Length)}
			}
			ask(t, "PUT", at+"/subscriptions", append(kind, "code", codeFor(s.Name), "planId", "*"+codeFor(s.Plan),
				"paymentOptionId", "*"+codeFor(s.Method), "firstBillingDate", s.First)...)
		},
		Switch: func(t testing.TB, name, method string) {
			ask(t, "POST", subscription(name), "paymentOptionId", "*"+codeFor(method))
		},
		Freeze: func(t testing.TB, name, from string, billings int) {
			ask(t, "GET", subscription(name)+"/~freeze", "effectiveDate", from, "length", strconv.Itoa(billings))
		},
		Pause: func(t testing.TB, name, from string) {
			ask(t, "GET", subscription(name)+"/~pause", "effectiveDate", from)
		},
		Resume: func(t testing.TB, name string) { ask(t, "GET", subscription(name)+"/~resume") },
		Cancel: func(t testing.TB, name, on string) { ask(t, "GET", subscription(name)+"/~cancel", "effectiveDate", on) },
		LetEnd: func(t testing.TB, name, last string) {
			ask(t, "GET", subscription(name)+"/~cancel", "effectiveDate", last)
		},

		Invoice:  record("RI"),
		Fee:      record("RF"),
		Credit:   record("RC"),
		TakeCash: record("AP", "accountType", "K"),
		Charge: func(t testing.TB, p dialecttest.Payment) {
			ask(t, "POST", at+"/transactions/~process", payment("AP", p)...)
		},
		PayOut: func(t testing.TB, p dialecttest.Payment) {
			ask(t, "POST", at+"/transactions/~process", payment("AR", p)...)
		},
		Reverse: func(t testing.TB, name string) { ask(t, "GET", at+"/transactions/*"+codeFor(name)+"/~reverse") },
		Deactivate: func(t testing.TB, inactive bool) {
			ask(t, "POST", at, "isActive", strconv.FormatBool(!inactive))
		},
	}
}

// payment is the fields of a ~process.
func payment(kind string, p dialecttest.Payment) []string {
	fields := []string{"type", kind, "code", codeFor(p.Name), "amount", strconv.FormatInt(p.Amount, 10)}
	if p.Method != "" {
		fields = append(fields, "paymentOptionId", "*"+codeFor(p.Method))
	} else {
		fields = append(fields, "accountType", string(instruments.wire(p.Card.Instrument)), "accountNumber", p.Card.Number,
			"accountAccessory", p.Card.Expiry)
	}
	var list []string
	for _, name := range p.Invoices {
		list = append(list, "*"+codeFor(name))
	}
	return append(fields, "invoiceList", strings.Join(list, ","))
}
