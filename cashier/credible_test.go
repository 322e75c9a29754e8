package cashier

import (
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// TestCredible believes a look-up that tells of as much as was asked, or less,
// and nothing else.
func TestCredible(t *testing.T) {
	a := &billing.Attempt{Amount: billing.Minor(1999, "USD")}
	for _, tt := range []struct {
		amount billing.Money
		want   billing.AttemptState
	}{
		{billing.Money{}, billing.AttemptApproved},
		{billing.Minor(1999, "USD"), billing.AttemptApproved},
		{billing.Minor(999, "USD"), billing.AttemptApproved},
		{billing.Minor(2000, "USD"), billing.AttemptUnknown},
		{billing.Minor(1999, "EUR"), billing.AttemptUnknown},
	} {
		got := credible(a, billing.Outcome{State: billing.AttemptApproved, Amount: tt.amount})
		if got.State != tt.want {
			t.Errorf("a look-up of %s for %s is taken as %s", tt.amount, a.Amount, got.State)
		}
	}
}
