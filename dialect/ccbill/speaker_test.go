package ccbill_test

import (
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// TestStories tells the stories of all dialects in this tongue.
func TestStories(t *testing.T) {
	var desks sync.Map // of counters, because the stories are told on both engines at once
	dialecttest.Tell(t, func(t testing.TB, s *cashiertest.Shop) *dialecttest.Counter {
		d := opened(t, s)
		desks.Store(d.Counter, d)
		return d.Counter
	}, func(c *dialecttest.Counter) *dialecttest.Speaker {
		d, _ := desks.Load(c)
		return speaker(d.(*desk))
	})
}

// speaker says what can be said of a sale that exists. The rest is what this API
// leaves to pay forms, to the merchant's own pages, or to CCBill's people.
func speaker(d *desk) *dialecttest.Speaker {
	numbers := map[string]string{}
	const form, noAccount, whole = "customers and cards come from pay forms, or are brought in", "there is no account of a customer, only sales",
		"a sale charges its price and nothing else"
	return &dialecttest.Speaker{
		Given: func(_ testing.TB, name, number string) { numbers[name] = number },
		LetEnd: func(t testing.TB, name, _ string) {
			if got := d.manage("cancelSubscription", numbers[name]); got != code("1") {
				t.Errorf("cancelled: %s", got)
			}
		},
		Unsayable: map[string]string{
			"Plan": "the terms travel with each sale", "SignUp": form, "AddCard": form, "AddBank": form, "RenewCard": form, "Retire": form,
			"Subscribe": "a sale begins with a charge, now, and its rhythm is one of days", "Switch": "a sale is paid with its own card",
			"Freeze": "a sale can be extended, not frozen", "Pause": "a sale can be extended, not paused", "Resume": "a sale is never paused",
			"Cancel": "a cancellation takes effect at the end of what is paid", "Invoice": noAccount, "Fee": noAccount, "Credit": noAccount,
			"TakeCash": noAccount, "Charge": whole, "PayOut": whole, "Reverse": "a refund is of a sale, and ends it",
			"Deactivate": noAccount,
		},
	}
}
