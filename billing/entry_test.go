package billing_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// totals are sums of entries by account and currency; those that are nought are
// left out.
type totals map[string]int64

func (s totals) add(entries []billing.Entry) {
	for _, e := range entries {
		key := string(e.Ledger) + " " + string(e.Amount.Currency())
		s[key] += e.Amount.Minor()
		if s[key] == 0 {
			delete(s, key)
		}
	}
}

// balanced holds the entries of one activity against what all entries promise.
func balanced(t rapid.TB, a *billing.Activity, entries []billing.Entry) {
	t.Helper()
	sum := map[billing.Currency]int64{}
	for i, e := range entries {
		sum[e.Amount.Currency()] += e.Amount.Minor()
		if e.Seq != i || e.ActivityID != a.ID || e.MerchantID != a.MerchantID || !e.PostedAt.Equal(a.CreatedAt) {
			t.Errorf("%s: entry %d is %+v", a.Kind, i, e)
		}
		if e.Amount.Currency() != a.Amount.Currency() {
			t.Errorf("%s: entry %d is in %s", a.Kind, i, e.Amount.Currency())
		}
		if want := (e.Ledger == billing.Receivable); want != (e.CustomerID == a.CustomerID) || !want && e.CustomerID != 0 {
			t.Errorf("%s: the entry on %s is of customer %d", a.Kind, e.Ledger, e.CustomerID)
		}
	}
	for c, n := range sum {
		if n != 0 {
			t.Errorf("%s in state %s: entries sum to %d %s", a.Kind, a.State, n, c)
		}
	}
}

func posted(kind billing.ActivityKind, i billing.Instrument, amount int64) *billing.Activity {
	return &billing.Activity{
		MerchantID: 1, CustomerID: 2, ID: 3, Kind: kind, Instrument: i, Amount: usd(amount), State: billing.Posted,
		CreatedAt: time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC),
	}
}

func instruments(t *testing.T) []billing.Instrument {
	t.Helper()
	all := []billing.Instrument{""}
	for _, v := range constants(t, "instrument.go", "Instrument") {
		all = append(all, billing.Instrument(v))
	}
	return all
}

// adjusts are the kinds of activity that a kind can take back.
func adjusts(k billing.ActivityKind, all []billing.ActivityKind) []billing.ActivityKind {
	switch k {
	case billing.Void, billing.Decline:
		return []billing.ActivityKind{billing.Payment, billing.Claim}
	}
	var of []billing.ActivityKind
	for _, o := range all {
		if o.Reversal() == k {
			of = append(of, o)
		}
	}
	return of
}

// Every kind, in every state, by every instrument, taking back everything that
// it can take back in every state: the entries sum to zero, and a reversal
// leaves no trace of both on any account.
func TestPostingsOfEveryKindInEveryState(t *testing.T) {
	all, reversals := kinds(t), 0
	for _, kind := range all {
		for _, state := range states(t) {
			for _, instrument := range instruments(t) {
				a := posted(kind, instrument, 10_00)
				a.State = state
				a.Tax = usd(82)
				of := adjusts(kind, all)
				if len(of) == 0 {
					balanced(t, a, billing.Postings(a, nil, "sandbox"))
					continue
				}
				for _, adjustedKind := range of {
					reversals++
					adjusted := posted(adjustedKind, instrument, 10_00)
					adjusted.ID, adjusted.Tax, adjusted.State = 33, usd(82), state
					a.State = billing.Posted
					entries := billing.Postings(a, adjusted, "sandbox")
					balanced(t, a, entries)
					both := totals{}
					both.add(billing.Postings(adjusted, nil, "sandbox"))
					both.add(entries)
					if len(both) != 0 {
						t.Errorf("%s of a %s %s by %q leaves %v", kind, state, adjustedKind, instrument, both)
					}
				}
			}
		}
	}
	if reversals == 0 {
		t.Error("no kind takes another back")
	}
}

func TestPostings(t *testing.T) {
	with := func(a *billing.Activity, change func(*billing.Activity)) *billing.Activity {
		change(a)
		return a
	}
	for _, c := range []struct {
		name string
		a    *billing.Activity
		want totals
	}{
		{"invoice", posted(billing.Invoice, "", 1999), totals{"receivable USD": 1999, "revenue USD": -1999}},
		{"invoice with tax", with(posted(billing.Invoice, "", 2150), func(a *billing.Activity) { a.Tax = usd(151) }),
			totals{"receivable USD": 2150, "revenue USD": -1999, "tax USD": -151}},
		{"fee", posted(billing.LateFee, "", 500), totals{"receivable USD": 500, "fees USD": -500}},
		{"fee with tax", with(posted(billing.ServiceFee, "", 540), func(a *billing.Activity) { a.Tax = usd(40) }),
			totals{"receivable USD": 540, "fees USD": -500, "tax USD": -40}},
		{"credit", posted(billing.Credit, "", 300), totals{"receivable USD": -300, "credits USD": 300}},
		{"write-off", posted(billing.WriteOff, "", 300), totals{"receivable USD": -300, "write-offs USD": 300}},
		{"card payment", posted(billing.Payment, billing.VisaCredit, 1999), totals{"receivable USD": -1999, "cash:sandbox USD": 1999}},
		{"claim in clearing", with(posted(billing.Claim, billing.Checking, 1999), func(a *billing.Activity) { a.State = billing.Pending }),
			totals{"receivable USD": -1999, "transit:sandbox USD": 1999}},
		{"declined payment", with(posted(billing.Payment, billing.VisaCredit, 1999), func(a *billing.Activity) { a.State = billing.Declined }), totals{}},
		{"payment without an answer", with(posted(billing.Payment, billing.VisaCredit, 1999), func(a *billing.Activity) { a.State = billing.Unknown }), totals{}},
		{"cash over the counter", posted(billing.Payment, billing.Cash, 700), totals{"receivable USD": -700, "cash:cash USD": 700}},
		{"cheque", posted(billing.Payment, billing.Check, 700), totals{"receivable USD": -700, "cash:check USD": 700}},
		{"taken elsewhere", posted(billing.Payment, billing.External, 700), totals{"receivable USD": -700, "cash:external USD": 700}},
		{"given away", posted(billing.Payment, billing.Allowance, 700), totals{"receivable USD": -700, "credits USD": 700}},
		{"settled for less", posted(billing.Payment, billing.Settlement, 700), totals{"receivable USD": -700, "write-offs USD": 700}},
		{"given up", posted(billing.Payment, billing.WrittenOff, 700), totals{"receivable USD": -700, "write-offs USD": 700}},
		{"moved into a payment plan", posted(billing.Payment, billing.PaymentPlan, 700), totals{"receivable USD": -700, "write-offs USD": 700}},
		{"refund", posted(billing.Refund, billing.VisaCredit, 700), totals{"receivable USD": 700, "cash:sandbox USD": -700}},
		{"refund in clearing", with(posted(billing.Refund, billing.Checking, 700), func(a *billing.Activity) { a.State = billing.Pending }),
			totals{"receivable USD": 700, "transit:sandbox USD": -700}},
		{"declined refund", with(posted(billing.Refund, billing.VisaCredit, 700), func(a *billing.Activity) { a.State = billing.Declined }), totals{}},
		{"refund without an answer", with(posted(billing.Refund, billing.VisaCredit, 700), func(a *billing.Activity) { a.State = billing.Unknown }), totals{}},
		{"chargeback", posted(billing.Chargeback, billing.VisaCredit, 700), totals{"receivable USD": 700, "cash:sandbox USD": -700}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries := billing.Postings(c.a, nil, "sandbox")
			balanced(t, c.a, entries)
			got := totals{}
			got.add(entries)
			if !maps.Equal(got, c.want) {
				t.Errorf("entries come to %v, want %v", got, c.want)
			}
		})
	}
}

// A claim or refund that is settled lies where it would lie had it been final
// at once.
func TestSettlement(t *testing.T) {
	for _, kind := range []billing.ActivityKind{billing.Claim, billing.Payment, billing.Refund} {
		pending, final := posted(kind, billing.Savings, 1999), posted(kind, billing.Savings, 1999)
		pending.State = billing.Pending
		settlement := billing.SettlementPostings(pending, "ach")
		balanced(t, pending, settlement)
		got, want := totals{}, totals{}
		got.add(billing.Postings(pending, nil, "ach"))
		got.add(settlement)
		want.add(billing.Postings(final, nil, "ach"))
		if !maps.Equal(got, want) {
			t.Errorf("%s comes to %v, want %v", kind, got, want)
		}
	}
}

// books are a customer's activities and the entries behind them, made as the
// cashier makes them.
type books struct {
	rows    []*billing.Activity
	entries map[billing.ActivityID][]billing.Entry
	byID    map[billing.ActivityID]*billing.Activity
}

func (b *books) record(t rapid.TB, a *billing.Activity, adjusted *billing.Activity) {
	t.Helper()
	a.MerchantID, a.CustomerID, a.ID = 1, 2, billing.ActivityID(len(b.rows)+1)
	entries := billing.Postings(a, adjusted, "bank")
	balanced(t, a, entries)
	if adjusted != nil {
		a.Adjusts, adjusted.AdjustedBy = adjusted.ID, a.ID
		if a.Kind == billing.Decline {
			adjusted.State = billing.Declined
		}
	}
	b.rows = append(b.rows, a)
	b.entries[a.ID] = entries
	b.byID[a.ID] = a
}

// owed is the signed sum of the activities: a payment that was declined after it
// was pending or posted counts, for its decline counts against it.
func (b *books) owed() totals {
	sum := totals{}
	happened := func(a *billing.Activity) bool {
		switch a.State {
		case billing.Posted, billing.Pending:
			return true
		case billing.Declined:
			return a.AdjustedBy != 0
		case billing.Unknown:
		}
		return false
	}
	for _, a := range b.rows {
		if !happened(a) {
			continue
		}
		key := "receivable " + string(a.Amount.Currency())
		sum[key] += int64(a.Kind.Side()) * a.Amount.Minor()
		if sum[key] == 0 {
			delete(sum, key)
		}
	}
	return sum
}

// A customer's life in any order: the receivable of the entries is the signed
// sum of the activities, and when everything was taken back nothing is left on
// any account.
func TestReceivableIsTheSumOfTheActivities(t *testing.T) {
	debts := []billing.ActivityKind{billing.Invoice, billing.ServiceFee, billing.LateFee, billing.AccessFee, billing.CollectionFee, billing.RecoveryFee}
	rapid.Check(t, func(t *rapid.T) {
		b := &books{entries: map[billing.ActivityID][]billing.Entry{}, byID: map[billing.ActivityID]*billing.Activity{}}
		for range rapid.IntRange(1, 20).Draw(t, "activities") {
			a := &billing.Activity{
				Amount: billing.Minor(rapid.Int64Range(1, billing.MaxAmount).Draw(t, "amount"), rapid.SampledFrom([]billing.Currency{"USD", "JPY"}).Draw(t, "currency")),
				State:  billing.Posted,
			}
			switch rapid.SampledFrom([]string{"debt", "credit", "write-off", "payment", "refund", "chargeback", "settle"}).Draw(t, "what") {
			case "debt":
				a.Kind = rapid.SampledFrom(debts).Draw(t, "kind")
				a.Tax = billing.Minor(rapid.Int64Range(0, a.Amount.Minor()).Draw(t, "tax"), a.Amount.Currency())
			case "credit":
				a.Kind = billing.Credit
			case "write-off":
				a.Kind = billing.WriteOff
			case "payment":
				a.Kind = rapid.SampledFrom([]billing.ActivityKind{billing.Payment, billing.Claim}).Draw(t, "kind")
				a.Instrument = rapid.SampledFrom([]billing.Instrument{billing.VisaCredit, billing.Checking, billing.Cash, billing.Allowance}).Draw(t, "instrument")
				a.State = rapid.SampledFrom([]billing.ActivityState{billing.Posted, billing.Pending, billing.Declined, billing.Unknown}).Draw(t, "state")
				b.record(t, a, nil)
				if a.State == billing.Declined { // recorded with its decline, protocols/unipay.md 4.6
					b.record(t, &billing.Activity{Kind: billing.Decline, Amount: a.Amount, Instrument: a.Instrument, State: billing.Posted}, a)
					if n := len(b.entries[a.ID]) + len(b.entries[a.AdjustedBy]); n != 0 {
						t.Fatalf("a payment that was declined at once has %d entries", n)
					}
				}
				continue
			case "refund":
				a.Kind, a.Instrument = billing.Refund, billing.VisaCredit
				a.State = rapid.SampledFrom([]billing.ActivityState{billing.Posted, billing.Pending, billing.Declined, billing.Unknown}).Draw(t, "state")
			case "chargeback":
				a.Kind, a.Instrument = billing.Chargeback, billing.VisaCredit
			case "settle":
				for _, p := range b.rows {
					if p.State == billing.Pending && p.AdjustedBy == 0 {
						b.entries[p.ID] = append(b.entries[p.ID], billing.SettlementPostings(p, "bank")...)
						p.State = billing.Posted
					}
				}
				continue
			}
			b.record(t, a, nil)
		}
		b.check(t)

		// Then everything is taken back.
		for _, a := range slices.Clone(b.rows) {
			if a.AdjustedBy != 0 || a.Adjusts != 0 || a.State == billing.Declined || a.State == billing.Unknown {
				continue
			}
			by := a.Kind.Reversal()
			switch a.Kind {
			case billing.Payment, billing.Claim:
				by = rapid.SampledFrom([]billing.ActivityKind{billing.Void, billing.Decline}).Draw(t, "taken back by")
			case billing.WriteOff:
				continue
			}
			b.record(t, &billing.Activity{Kind: by, Amount: a.Amount, State: billing.Posted}, a)
		}
		b.check(t)
		left := totals{}
		for id, entries := range b.entries {
			if b.byID[id].Kind != billing.WriteOff {
				left.add(entries)
			}
		}
		if len(left) != 0 {
			t.Fatalf("when all was taken back, %v is left", left)
		}
	})
}

func (b *books) check(t rapid.TB) {
	t.Helper()
	receivable := totals{}
	for _, entries := range b.entries {
		for _, e := range entries {
			if e.Ledger == billing.Receivable {
				receivable.add([]billing.Entry{e})
			}
		}
	}
	if owed := b.owed(); !maps.Equal(receivable, owed) {
		t.Fatalf("the entries say %v, the activities %v", receivable, owed)
	}
}
