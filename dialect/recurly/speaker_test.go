package recurly

import (
	"strconv"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// TestStories tells the stories of all dialects in this tongue.
func TestStories(t *testing.T) {
	dialecttest.Tell(t, openBare, speaker)
}

// speaker says what can be said of an account that has one card and one
// subscription.
func speaker(c *dialecttest.Counter) *dialecttest.Speaker {
	credits, subscribed := map[string]string{}, map[string]string{}
	const whole, cards = "a sale is an invoice and its payment in one", "this API knows cards alone"
	ok := func(t testing.TB, method, path, body string) string {
		t.Helper()
		r := ask(c, method, path, body)
		if r.Status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, r.Status, r.Body)
		}
		return r.Body
	}
	return &dialecttest.Speaker{
		Plan: func(t testing.TB, p dialecttest.Plan) {
			if p.Tax != 0 {
				t.Skip("a plan of this API has no tax")
			}
			length, unit := p.Cycle.Length()
			ok(t, "POST", "/plans", "<plan><plan_code>"+p.Name+"</plan_code><name>"+p.Name+"</name><unit_amount_in_cents>"+strconv.FormatInt(p.Amount, 10)+
				"</unit_amount_in_cents><plan_interval_length>"+strconv.Itoa(length)+"</plan_interval_length><plan_interval_unit>"+unit+"</plan_interval_unit></plan>")
		},
		SignUp: func(t testing.TB) {
			ok(t, "POST", "/accounts", "<account><account_code>ann</account_code><first_name>Ann</first_name><last_name>Lee</last_name></account>")
		},
		AddCard: func(t testing.TB, k dialecttest.Card) {
			if k.Number != "4111111111111111" {
				t.Skip("a card is looked at before it is kept, and this one is declined then, or counts the looks")
			}
			ok(t, "PUT", "/accounts/ann/billing_info", "<billing_info><credit_card><number>"+k.Number+"</number><month>"+k.Expiry[:2]+
				"</month><year>20"+k.Expiry[2:]+"</year></credit_card></billing_info>")
		},
		RenewCard: func(t testing.TB, _, expiry string) {
			ok(t, "PUT", "/accounts/ann/billing_info", "<billing_info><credit_card><month>"+expiry[:2]+"</month><year>20"+expiry[2:]+"</year></credit_card></billing_info>")
		},
		Subscribe: func(t testing.TB, s dialecttest.Subscription) {
			if s.Length != 0 || len(subscribed) > 0 {
				t.Skip("an account has one subscription, without end")
			}
			subscribed[s.Name] = s.Plan
			first, err := billing.ParseDate(s.First)
			must(t, err)
			ok(t, "POST", "/accounts/ann/subscription", "<subscription><plan_code>"+s.Plan+"</plan_code><trial_ends_at>"+
				c.Merchant.Start(first).Format("2006-01-02T15:04:05Z")+"</trial_ends_at><account><account_code>ann</account_code></account></subscription>")
		},
		Cancel: func(t testing.TB, _, on string) {
			if on != "" {
				t.Skip("a subscription ends at once or with what is paid, not on a day")
			}
			ok(t, "DELETE", "/accounts/ann/subscription?refund=none", "")
		},
		LetEnd: func(t testing.TB, _, _ string) { ok(t, "DELETE", "/accounts/ann/subscription", "") },
		Credit: func(t testing.TB, name string, amount int64) {
			body := ok(t, "POST", "/accounts/ann/credits", "<credit><amount_in_cents>"+strconv.FormatInt(amount, 10)+"</amount_in_cents><description>"+name+"</description></credit>")
			credits[name] = strings.Join(within(body, "id"), "")
		},
		Reverse: func(t testing.TB, name string) {
			if credits[name] == "" {
				t.Skip("only a credit is taken back by itself")
			}
			ok(t, "DELETE", "/accounts/ann/credits/"+credits[name], "")
		},
		Unsayable: map[string]string{
			"Given": "a sale of another system has a rhythm of days, and a number", "AddBank": cards,
			"Retire": "billing information is cleared for good, not put aside", "Switch": "everything is paid with the card that was given last",
			"Freeze": "there is no word for it", "Pause": "there is no word for it", "Resume": "there is no word for it",
			"Invoice": "an invoice is made of what waits, and collected", "Fee": "there is no word for it", "TakeCash": cards,
			"Charge": whole, "PayOut": "money is given back of a payment alone", "Deactivate": "an account is closed, which ends its subscription",
		},
	}
}
