package billing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
)

// TestPractices judges a merchant with nothing and one with everything.
func TestPractices(t *testing.T) {
	tell := func(f billing.PracticeFacts) (marks string, whys map[int]string) {
		whys = make(map[int]string)
		for i, p := range billing.Practices(f) {
			if p.Number != i+1 || p.What == "" || p.Why == "" {
				t.Errorf("practice %d: %+v", i+1, p)
			}
			marks += map[billing.PracticeState]string{billing.Fulfilled: "+", billing.Unfulfilled: "-", billing.Unseen: "?"}[p.State]
			whys[p.Number] = p.Why
		}
		return marks, whys
	}
	machine := &billing.Login{Name: "m", Role: billing.RoleAPI}
	bare := billing.PracticeFacts{Accounts: []string{"1", "2"}, Logins: []*billing.Login{machine}, Trusted: []billing.Trust{{}}}
	marks, whys := tell(bare)
	if want := "-----?????--?---"; marks != want {
		t.Errorf("nothing is %s, want %s", marks, want)
	}
	for n, want := range map[int]string{1: "account 1, 2", 15: "1 of 1", 16: "login m"} {
		if !strings.Contains(whys[n], want) {
			t.Errorf("practice %d: %s", n, whys[n])
		}
	}
	full := billing.PracticeFacts{
		Accounts: []string{"1", "2"},
		Velocity: billing.Velocity{
			Rules: []billing.VelocityRule{
				{Name: "a", Count: 1, Window: "1d"}, {Name: "b", Amount: 1, Window: "1d", Account: "1"},
				{Name: "c", Amount: 1, Window: "1d", Account: "2"}, {Name: "d", Count: 1, Window: "1d", FirstPurchases: 3},
			},
			Guards: billing.Guards{MaxCharge: 1, TakenBack: true, MinAge: "1d", MaxIdle: "1d", Duplicates: "1m", AfterHardDecline: "1d",
				SoftRetries: 1, MaxTrust: "1d"},
		},
		Logins: []*billing.Login{
			{Role: billing.RoleAPI, AllowedIPs: []string{"192.0.2.1", "192.0.2.0/24", "2001:db8::/48"}},
			{Role: billing.RoleAPI, Disabled: true}, {Role: billing.RoleClerk},
		},
	}
	if marks, _ = tell(full); marks != "+++++?????++?-++" {
		t.Errorf("everything is %s", marks)
	}
	// A rule for cards alone, for newcomers, or switched off covers nobody else.
	for i, change := range []func(*billing.VelocityRule){
		func(r *billing.VelocityRule) { r.Type = billing.TypeCard },
		func(r *billing.VelocityRule) { r.FirstDays = 1 },
		func(r *billing.VelocityRule) { r.Disabled = true },
	} {
		full.Velocity.Rules[2] = billing.VelocityRule{Name: "c", Amount: 1, Window: "1d", Account: "2"}
		change(&full.Velocity.Rules[2])
		_, whys := tell(full)
		if diff := cmp.Diff("missing for account 2", whys[1]); diff != "" {
			t.Error(fmt.Sprint(i), diff)
		}
	}
	full.Logins[0].AllowedIPs = []string{"10.0.0.0/8"}
	if marks, _ = tell(full); marks[15] != '-' {
		t.Errorf("a wide prefix: %s", marks)
	}
}
