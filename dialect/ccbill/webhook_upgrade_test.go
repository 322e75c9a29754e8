package ccbill

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
)

// TestWebhookOfUpgrades: an upgrade is told as one, and the end of what it has
// replaced beside it; one that is declined as a failure, and no end.
func TestWebhookOfUpgrades(t *testing.T) {
	events := regexp.MustCompile(`"(?:subscriptionId|originalSubscriptionId|eventType|reason|source)":"[^"]*"`)
	cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
		s := openSite(t, shop)
		s.card = s.Card(s.Customer("ann"), "card", "4111111111111111")
		old := s.sell(billing.Terms{Currency: "USD", Initial: 500, InitialDays: 10, Recurring: 1999, RecurringDays: 30, Rebills: billing.Endless})
		s.told()
		upgrade := func(price int64) {
			s.sell(billing.Terms{Currency: "USD", Initial: price, InitialDays: 30}, func(r *cashier.SaleRequest) {
				r.Method, r.Replaces, r.Previous = old.Subscription.PaymentMethodID, old.Subscription.ID, old.Number
			})
		}
		upgrade(8000)
		text := "declined:\n"
		for _, e := range events.FindAllString(s.told(), -1) {
			text += e + "\n"
		}
		upgrade(2000)
		text += "approved:\n"
		for _, e := range events.FindAllString(s.told(), -1) {
			text += e + "\n"
		}
		const want = `declined:
"originalSubscriptionId":"{n1}"
"source":"API"
"eventType":"UpgradeFailure"
approved:
"subscriptionId":"{n1}"
"reason":"Upgraded"
"source":"api"
"eventType":"Cancellation"
"subscriptionId":"{n1}"
"eventType":"Expiration"
"subscriptionId":"{n4}"
"originalSubscriptionId":"{n1}"
"source":"API"
"eventType":"UpgradeSuccess"
`
		if diff := cmp.Diff(want, text); diff != "" {
			t.Error(diff)
		}
	})
}
