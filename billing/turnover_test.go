package billing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// bill is a debt of an amount with so much tax in it.
func bill(id billing.ActivityID, amount, tax int64) *billing.Activity {
	return &billing.Activity{ID: id, Kind: billing.Invoice, Amount: billing.Minor(amount, "USD"), Tax: billing.Minor(tax, "USD"),
		Open: billing.Minor(0, "USD"), SubscriptionID: billing.SubscriptionID(id * 10)}
}

func covers(debt billing.ActivityID, amount int64) billing.Allocation {
	return billing.Allocation{Source: 1, Target: debt, Amount: billing.Minor(amount, "USD")}
}

func TestApportion(t *testing.T) {
	debts := map[billing.ActivityID]*billing.Activity{2: bill(2, 3139, 239), 3: bill(3, 1000, 0), 4: {ID: 4, Kind: billing.Refund}}
	type part struct {
		debt          billing.ActivityID
		subtotal, tax int64
	}
	for _, tt := range []struct {
		name    string
		amount  int64
		covered []billing.Allocation
		want    []part
	}{
		{"one bill", 3139, []billing.Allocation{covers(2, 3139)}, []part{{2, 2900, 239}}},
		{"given back", -3139, []billing.Allocation{covers(2, 3139)}, []part{{2, -2900, -239}}},
		{"two bills", 4139, []billing.Allocation{covers(2, 3139), covers(3, 1000)}, []part{{2, 2900, 239}, {3, 1000, 0}}},
		{"a part given back", -1000, []billing.Allocation{covers(2, 3139), covers(3, 1000)}, []part{{2, -924, -76}}},
		{"more than was owed", 1500, []billing.Allocation{covers(3, 1000)}, []part{{3, 1000, 0}, {0, 500, 0}}},
		{"for no bill", 700, nil, []part{{0, 700, 0}}},
		{"what took it back is none", 700, []billing.Allocation{covers(4, 700), covers(9, 700)}, []part{{0, 700, 0}}},
	} {
		var got []part
		for _, p := range billing.Apportion(billing.Turnover{Subtotal: tt.amount}, tt.covered, debts) {
			got = append(got, part{p.Debt, p.Subtotal, p.Tax})
			if p.Debt != 0 && p.Subscription != billing.SubscriptionID(p.Debt*10) {
				t.Errorf("%s: of subscription %d", tt.name, p.Subscription)
			}
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(part{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Whatever is covered, the parts add up to what was moved, and so do the groups.
func TestTurnoverAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		debts := map[billing.ActivityID]*billing.Activity{}
		var covered []billing.Allocation
		for i := range rapid.IntRange(0, 5).Draw(t, "bills") {
			amount := rapid.Int64Range(1, 10_000).Draw(t, "amount")
			id := billing.ActivityID(i + 2)
			debts[id] = bill(id, amount, rapid.Int64Range(0, amount).Draw(t, "tax"))
			covered = append(covered, covers(id, rapid.Int64Range(1, amount).Draw(t, "covered")))
		}
		moved := rapid.Int64Range(-20_000, 20_000).Draw(t, "moved")
		parts := billing.Apportion(billing.Turnover{Subtotal: moved}, covered, debts)
		sum := int64(0)
		for _, p := range parts {
			sum += p.Total()
			if p.Total() == 0 || (p.Total() < 0) != (moved < 0) || (p.Tax < 0) != (p.Total() < 0) && p.Tax != 0 {
				t.Fatalf("a part of %+v in %d", p, moved)
			}
		}
		grouped := int64(0)
		for _, g := range billing.GroupTurnover(parts, func(t billing.Turnover) int64 { return int64(t.Debt) % 2 }) {
			grouped += g.Total()
		}
		if sum != moved || grouped != moved {
			t.Fatalf("parts add up to %d and groups to %d, want %d", sum, grouped, moved)
		}
	})
}

func TestGroupTurnover(t *testing.T) {
	list := []billing.Turnover{{Debt: 2, Subtotal: 10, Tax: 1}, {Debt: 1, Subtotal: 5}, {Debt: 2, Subtotal: -4, Tax: -1}}
	want := []billing.TurnoverGroup[int64]{{Key: 1, Count: 1, Subtotal: 5}, {Key: 2, Count: 2, Subtotal: 6}}
	if diff := cmp.Diff(want, billing.GroupTurnover(list, func(t billing.Turnover) int64 { return int64(t.Debt) })); diff != "" {
		t.Error(diff)
	}
}

func TestBillState(t *testing.T) {
	open := func(f func(*billing.Activity)) *billing.Activity {
		a := bill(1, 1000, 0)
		a.Open = a.Amount
		if f != nil {
			f(a)
		}
		return a
	}
	tries := func(a *billing.Activity) { a.Tries = 2 }
	for _, tt := range []struct {
		name              string
		bill              *billing.Activity
		clearing, givenUp bool
		want              billing.BillState
	}{
		{"paid", bill(1, 1000, 0), false, false, billing.BillPaid},
		{"in clearing", bill(1, 1000, 0), true, false, billing.BillOutstanding},
		{"written off", bill(1, 1000, 0), false, true, billing.BillClosed},
		{"taken back", func() *billing.Activity { a := bill(1, 1000, 0); a.AdjustedBy = 3; return a }(), false, false, billing.BillClosed},
		{"made", open(nil), false, false, billing.BillOutstanding},
		{"being claimed", open(func(a *billing.Activity) { a.ClaimedBy = 7 }), false, false, billing.BillOutstanding},
		{"refused", open(tries), false, false, billing.BillDeclined},
		{"refused, being claimed again", open(func(a *billing.Activity) { a.Tries, a.ClaimedBy = 1, 7 }), false, false, billing.BillResubmitted},
		{"refused, in clearing again", func() *billing.Activity { a := bill(1, 1000, 0); a.Tries = 1; return a }(), true, false, billing.BillResubmitted},
	} {
		if got := tt.bill.BillState(tt.clearing, tt.givenUp); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
