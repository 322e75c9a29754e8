package billing_test

import (
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// TestAskAgain holds the pauses to what operators are told of them.
func TestAskAgain(t *testing.T) {
	if got := billing.AskAgain(0); got != billing.AskAgain(1) || got < time.Second || got >= time.Minute {
		t.Errorf("the first pause is %s", got)
	}
	var waited time.Duration
	for asked := 1; asked <= 1000; asked++ {
		pause := billing.AskAgain(asked)
		if pause > 24*time.Hour || pause < billing.AskAgain(asked-1) {
			t.Fatalf("after %d askings the pause is %s", asked, pause)
		}
		if asked == billing.AsksBeforePerson && (waited < 20*time.Hour || waited > 24*time.Hour) {
			t.Errorf("a person is asked after %s", waited)
		}
		if asked == billing.AsksInVain && (waited < 29*24*time.Hour || waited > 32*24*time.Hour) {
			t.Errorf("asked for %s", waited)
		}
		waited += pause
	}
	if billing.AskAgain(1000) != 24*time.Hour {
		t.Error("the last pause is not a day")
	}
}

func TestContradicts(t *testing.T) {
	usd := func(n int64) billing.Money { return billing.Minor(n, "USD") }
	for _, tt := range []struct {
		said billing.AttemptState
		o    billing.Outcome
		want string
	}{
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptApproved}, ""},
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptApproved, Amount: usd(1000)}, ""},
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptApproved, Amount: usd(400)}, "approved for 4.00 USD"},
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptPending}, ""},
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptUnknown}, ""},
		{billing.AttemptApproved, billing.Outcome{State: billing.AttemptDeclined, Response: "51"}, "declined, 51 insufficient funds"},
		{billing.AttemptDeclined, billing.Outcome{State: billing.AttemptDeclined, Response: "51"}, ""},
		{billing.AttemptDeclined, billing.Outcome{State: billing.AttemptApproved}, "approved"},
		{billing.AttemptDeclined, billing.Outcome{State: billing.AttemptPending}, "pending"},
		{billing.AttemptDeclined, billing.Outcome{State: billing.AttemptUnknown}, ""},
	} {
		a := &billing.Attempt{State: tt.said, Amount: usd(1000)}
		if got := a.Contradicts(tt.o); got != tt.want {
			t.Errorf("%s by hand, %s by the processor: %q, want %q", tt.said, tt.o.State, got, tt.want)
		}
	}
}

// TestCheckSubscription refuses what no verb makes.
func TestCheckSubscription(t *testing.T) {
	good := billing.Subscription{Term: billing.Perpetual, Status: billing.Current, Cycle: billing.Monthly,
		Amount: billing.Minor(1000, "USD"), Tax: billing.Minor(0, "USD"), FirstDate: billing.Date{Year: 2020, Month: 1, Day: 1}}
	if err := good.Check(); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, harm := range map[string]func(*billing.Subscription){
		"term":         func(s *billing.Subscription) { s.Term = "some" },
		"length":       func(s *billing.Subscription) { s.Term = billing.Fixed },
		"status":       func(s *billing.Subscription) { s.Status = "" },
		"cycle":        func(s *billing.Subscription) { s.Cycle = "daily" },
		"no currency":  func(s *billing.Subscription) { s.Amount = billing.Minor(1000, "") },
		"bad currency": func(s *billing.Subscription) { s.Amount = billing.Minor(1000, "QQQ") },
		"first date":   func(s *billing.Subscription) { s.FirstDate = billing.Date{} },
		"amount":       func(s *billing.Subscription) { s.Amount = billing.Minor(-1, "USD") },
		"tax":          func(s *billing.Subscription) { s.Tax = billing.Minor(-1, "USD") },
		"period":       func(s *billing.Subscription) { s.Period = -1 },
	} {
		bad := good
		harm(&bad)
		if bad.Check() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
