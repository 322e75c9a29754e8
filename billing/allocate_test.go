package billing_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// line is an activity in a few words: "invoice 3 due 2024-01-15 open 1999 USD".
func line(t rapid.TB, words string) *billing.Activity {
	t.Helper()
	var kind, due, currency string
	var id int64
	var open int64
	if _, err := fmt.Sscanf(words, "%s %d due %s open %d %s", &kind, &id, &due, &open, &currency); err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	return &billing.Activity{
		MerchantID: 1, CustomerID: 2, ID: billing.ActivityID(id), Kind: billing.ActivityKind(kind), Due: day(t, due),
		Amount: billing.Minor(open, billing.Currency(currency)), Open: billing.Minor(open, billing.Currency(currency)),
		State: billing.Posted,
	}
}

func lines(t rapid.TB, words ...string) []*billing.Activity {
	t.Helper()
	var all []*billing.Activity
	for _, w := range words {
		all = append(all, line(t, w))
	}
	return all
}

// told is a list of matches as "source>target amount".
func told(matches []billing.Allocation) string {
	var words []string
	for _, m := range matches {
		words = append(words, fmt.Sprintf("%d>%d %d", m.Source, m.Target, m.Amount.Minor()))
	}
	return strings.Join(words, ", ")
}

func TestAllocateInOrder(t *testing.T) {
	debts := []string{
		"late-fee 11 due 2024-02-10 open 500 USD",
		"invoice 12 due 2024-03-15 open 1999 USD",
		"invoice 10 due 2024-01-15 open 1999 USD",
		"service-fee 13 due 2024-03-01 open 300 USD",
		"invoice 14 due 2024-02-15 open 1999 USD",
	}
	for _, c := range []struct {
		name    string
		order   billing.Balancing
		credits []string
		want    string
	}{
		{"nothing to give", billing.OldestFirst, nil, ""},
		{"oldest first", billing.OldestFirst, []string{"payment 20 due 2024-04-01 open 10000 USD"},
			"20>10 1999, 20>11 500, 20>14 1999, 20>13 300, 20>12 1999"},
		{"oldest first is the default", "", []string{"payment 20 due 2024-04-01 open 2499 USD"}, "20>10 1999, 20>11 500"},
		{"invoice first", billing.InvoiceFirst, []string{"payment 20 due 2024-04-01 open 10000 USD"},
			"20>10 1999, 20>11 500, 20>13 300, 20>14 1999, 20>12 1999"},
		{"in part", billing.OldestFirst, []string{"payment 20 due 2024-04-01 open 2000 USD"}, "20>10 1999, 20>11 1"},
		{"oldest credit first, whatever its date", billing.OldestFirst,
			[]string{"payment 22 due 2024-01-01 open 1000 USD", "credit 21 due 2024-06-01 open 1500 USD"},
			"21>10 1500, 22>10 499, 22>11 500, 22>14 1"},
		{"another currency", billing.OldestFirst, []string{"payment 20 due 2024-04-01 open 1999 EUR"}, ""},
		{"credits that are spent", billing.OldestFirst, []string{"payment 20 due 2024-04-01 open 0 USD"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			debits, credits := lines(t, debts...), lines(t, c.credits...)
			if got := told(billing.Allocate(debits, credits, c.order)); got != c.want {
				t.Errorf("matches\n\t%s\nwant\n\t%s", got, c.want)
			}
			if got := told(billing.Allocate(debits, credits, c.order)); got != "" {
				t.Errorf("the second time it matches %s", got)
			}
		})
	}
}

func TestEqualDueDatesGoById(t *testing.T) {
	debits := lines(t, "invoice 7 due 2024-01-15 open 10 USD", "invoice 5 due 2024-01-15 open 10 USD", "late-fee 6 due 2024-01-15 open 10 USD")
	credits := lines(t, "payment 9 due 2024-01-15 open 25 USD")
	if got := told(billing.Allocate(debits, credits, billing.OldestFirst)); got != "9>5 10, 9>6 10, 9>7 5" {
		t.Errorf("matches %s", got)
	}
}

// The oldest invoice of the rule is the oldest that is owed, and each currency
// has its own.
func TestInvoiceFirstTakesTheOldestThatIsOwed(t *testing.T) {
	for _, c := range []struct {
		name   string
		debits []string
		want   string
	}{
		{"an older one is paid", []string{
			"invoice 1 due 2024-01-15 open 0 USD", "late-fee 2 due 2024-01-20 open 5 USD", "invoice 3 due 2024-02-15 open 10 USD",
		}, "9>3 10, 9>2 5"},
		{"an older one is in another currency", []string{
			"invoice 1 due 2024-01-15 open 10 EUR", "late-fee 2 due 2024-01-20 open 5 USD", "invoice 3 due 2024-02-15 open 10 USD",
		}, "9>3 10, 9>2 5"},
		{"and the third comes after the fees", []string{
			"invoice 1 due 2024-01-15 open 0 USD", "late-fee 2 due 2024-04-20 open 5 USD", "invoice 3 due 2024-02-15 open 10 USD", "invoice 4 due 2024-03-15 open 10 USD",
		}, "9>3 10, 9>2 5, 9>4 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			credits := lines(t, "payment 9 due 2024-03-01 open 100 USD")
			if got := told(billing.Allocate(lines(t, c.debits...), credits, billing.InvoiceFirst)); got != c.want {
				t.Errorf("matches %s, want %s", got, c.want)
			}
		})
	}
}

// V3 of protocols/unipay.md: a down payment covers its invoice.
func TestDownPayment(t *testing.T) {
	invoice := line(t, "invoice 1 due 2024-05-01 open 1999 USD")
	payment := line(t, "payment 2 due 2024-05-01 open 1999 USD")
	matches := billing.Allocate([]*billing.Activity{invoice}, []*billing.Activity{payment}, billing.OldestFirst)
	want := billing.Allocation{
		MerchantID: 1, CustomerID: 2, Source: 2, Target: 1,
		SourceKind: billing.Payment, TargetKind: billing.Invoice, Amount: usd(1999),
	}
	if len(matches) != 1 || matches[0] != want {
		t.Fatalf("matches are %+v", matches)
	}
	if invoice.Open != usd(0) || payment.Open != usd(0) || invoice.Amount != usd(1999) {
		t.Errorf("left open: invoice %v, payment %v; amount %v", invoice.Open, payment.Open, invoice.Amount)
	}
}

func TestClaimedDebtsAreLeftToTheirClaim(t *testing.T) {
	claimed := line(t, "invoice 1 due 2024-01-15 open 1999 USD")
	claimed.ClaimedBy = 77
	free := line(t, "invoice 2 due 2024-02-15 open 1999 USD")
	payment := line(t, "payment 3 due 2024-02-15 open 5000 USD")
	debits := []*billing.Activity{claimed, free}
	if got := told(billing.Allocate(debits, []*billing.Activity{payment}, billing.OldestFirst)); got != "3>2 1999" {
		t.Errorf("matches %s", got)
	}
	if claimed.Open != usd(1999) {
		t.Errorf("the claimed debt is open with %v", claimed.Open)
	}
	// The claim's own money covers it.
	if m, ok := billing.Match(payment, claimed); !ok || m.Amount != usd(1999) || payment.Open != usd(5000-2*1999) {
		t.Errorf("match %+v, %v; left %v", m, ok, payment.Open)
	}
}

// What was declined or has no known outcome covers nothing and is not covered.
func TestOnlyWhatHappenedIsMatched(t *testing.T) {
	for state, want := range map[billing.ActivityState]bool{
		billing.Posted: true, billing.Pending: true, billing.Declined: false, billing.Unknown: false,
	} {
		payment, invoice := line(t, "claim 1 due 2024-01-15 open 100 USD"), line(t, "invoice 2 due 2024-01-15 open 100 USD")
		payment.State = state
		if _, ok := billing.Match(payment, invoice); ok != want {
			t.Errorf("a %s claim: matched %v", state, ok)
		}
		credit, refund := line(t, "credit 3 due 2024-01-15 open 100 USD"), line(t, "refund 4 due 2024-01-15 open 100 USD")
		refund.State = state
		if got := len(billing.Allocate([]*billing.Activity{refund}, []*billing.Activity{credit}, billing.OldestFirst)) == 1; got != want {
			t.Errorf("a %s refund: matched %v", state, got)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	for _, c := range []struct{ credit, debit string }{
		{"payment 1 due 2024-01-15 open 0 USD", "invoice 2 due 2024-01-15 open 100 USD"},
		{"payment 1 due 2024-01-15 open 100 USD", "invoice 2 due 2024-01-15 open 0 USD"},
		{"payment 1 due 2024-01-15 open 100 USD", "invoice 2 due 2024-01-15 open 100 CAD"},
		{"payment 1 due 2024-01-15 open -100 USD", "invoice 2 due 2024-01-15 open 100 USD"},
		{"payment 1 due 2024-01-15 open 100 USD", "invoice 2 due 2024-01-15 open -100 USD"},
	} {
		credit, debit := line(t, c.credit), line(t, c.debit)
		wasC, wasD := *credit, *debit
		if m, ok := billing.Match(credit, debit); ok || m != (billing.Allocation{}) {
			t.Errorf("%s with %s: %+v", c.credit, c.debit, m)
		}
		if *credit != wasC || *debit != wasD {
			t.Errorf("%s with %s: the refusal changed something", c.credit, c.debit)
		}
	}
}

// sheet is the list of a customer's open activities.
type sheet struct {
	debits, credits []*billing.Activity
	order           billing.Balancing
}

func sheets() *rapid.Generator[sheet] {
	return rapid.Custom(func(t *rapid.T) sheet {
		s := sheet{order: rapid.SampledFrom([]billing.Balancing{billing.OldestFirst, billing.InvoiceFirst}).Draw(t, "order")}
		debitKinds := []billing.ActivityKind{billing.Invoice, billing.Invoice, billing.Invoice, billing.LateFee, billing.ServiceFee, billing.Refund, billing.Chargeback}
		creditKinds := []billing.ActivityKind{billing.Payment, billing.Claim, billing.Credit, billing.WriteOff, billing.RefundReversal}
		ids := rapid.Permutation([]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}).Draw(t, "ids")
		one := func(kinds []billing.ActivityKind) *billing.Activity {
			c := rapid.SampledFrom([]billing.Currency{"USD", "USD", "EUR", "JPY"}).Draw(t, "currency")
			a := &billing.Activity{
				ID: billing.ActivityID(ids[0]), MerchantID: 1, CustomerID: 2,
				Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
				Open:  billing.Minor(rapid.Int64Range(0, 60).Draw(t, "open"), c),
				Due:   billing.Date{Year: 2024, Month: 1, Day: rapid.IntRange(1, 6).Draw(t, "due")},
				State: rapid.SampledFrom([]billing.ActivityState{billing.Posted, billing.Posted, billing.Posted, billing.Pending, billing.Declined, billing.Unknown}).Draw(t, "state"),
			}
			ids = ids[1:]
			return a
		}
		for range rapid.IntRange(0, 8).Draw(t, "debits") {
			d := one(debitKinds)
			if rapid.IntRange(0, 4).Draw(t, "claimed") == 0 {
				d.ClaimedBy = 99
			}
			s.debits = append(s.debits, d)
		}
		for range rapid.IntRange(0, 6).Draw(t, "credits") {
			s.credits = append(s.credits, one(creditKinds))
		}
		return s
	})
}

func counts(a *billing.Activity) bool {
	return a.State != billing.Declined && a.State != billing.Unknown && a.Open.Minor() > 0
}

// precedes tells by the wording of the rule whether debit a is covered before
// debit b, both of one currency and open at the outset.
func (s sheet) precedes(a, b *billing.Activity) bool {
	older := func(a, b *billing.Activity) bool { return a.Due.Before(b.Due) || a.Due == b.Due && a.ID < b.ID }
	if s.order == billing.InvoiceFirst {
		group := func(x *billing.Activity) int {
			if x.Kind != billing.Invoice {
				return 1
			}
			for _, d := range s.debits {
				if d.Kind == billing.Invoice && d.Open.Currency() == x.Open.Currency() && counts(d) && older(d, x) {
					return 2
				}
			}
			return 0
		}
		if ga, gb := group(a), group(b); ga != gb {
			return ga < gb
		}
	}
	return older(a, b)
}

// clone is a sheet to be changed.
func (s sheet) clone() sheet {
	c := sheet{order: s.order}
	for _, d := range s.debits {
		x := *d
		c.debits = append(c.debits, &x)
	}
	for _, d := range s.credits {
		x := *d
		c.credits = append(c.credits, &x)
	}
	return c
}

func TestAllocateConservesMoney(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := sheets().Draw(t, "sheet")
		after := before.clone()
		matches := billing.Allocate(after.debits, after.credits, after.order)
		from, to := map[billing.ActivityID]int64{}, map[billing.ActivityID]int64{}
		seen := map[[2]billing.ActivityID]bool{}
		for _, m := range matches {
			if m.Amount.Minor() <= 0 || m.MerchantID != 1 || m.CustomerID != 2 {
				t.Fatalf("match %+v", m)
			}
			if pair := [2]billing.ActivityID{m.Source, m.Target}; seen[pair] {
				t.Fatalf("%d and %d are matched twice", m.Source, m.Target)
			} else {
				seen[pair] = true
			}
			from[m.Source] += m.Amount.Minor()
			to[m.Target] += m.Amount.Minor()
		}
		check := func(name string, was, is []*billing.Activity, moved map[billing.ActivityID]int64) {
			for i, a := range is {
				if a.ID != was[i].ID {
					t.Fatalf("the list of %ss was put into another order", name)
				}
				if a.Open.Minor() < 0 || a.Open.Currency() != was[i].Open.Currency() {
					t.Fatalf("%s %d is open with %v", name, a.ID, a.Open)
				}
				if got := was[i].Open.Minor() - a.Open.Minor(); got != moved[a.ID] {
					t.Fatalf("%s %d went down by %d, its matches are %d", name, a.ID, got, moved[a.ID])
				}
				if moved[a.ID] > 0 && (!counts(was[i]) || a.ClaimedBy != 0) {
					t.Fatalf("%s %d was matched: %+v", name, a.ID, a)
				}
			}
		}
		check("debit", before.debits, after.debits, to)
		check("credit", before.credits, after.credits, from)
		for _, m := range matches {
			for _, d := range before.debits {
				if d.ID == m.Target && (d.Open.Currency() != m.Amount.Currency() || d.Kind != m.TargetKind) {
					t.Fatalf("match %+v of debit %+v", m, d)
				}
			}
			for _, c := range before.credits {
				if c.ID == m.Source && (c.Open.Currency() != m.Amount.Currency() || c.Kind != m.SourceKind) {
					t.Fatalf("match %+v of credit %+v", m, c)
				}
			}
		}
		if again := billing.Allocate(after.debits, after.credits, after.order); len(again) != 0 {
			t.Fatalf("the second time it matches %s", told(again))
		}
	})
}

// Nothing is left that could be matched, an earlier debit is full before a later
// one gets anything, and an older credit is spent before a newer one is touched.
func TestAllocateKeepsItsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := sheets().Draw(t, "sheet")
		after := before.clone()
		matches := billing.Allocate(after.debits, after.credits, after.order)
		same := func(a, b *billing.Activity) bool { return a.Open.Currency() == b.Open.Currency() }
		for _, c := range after.credits {
			for _, d := range after.debits {
				if counts(c) && counts(d) && same(c, d) && d.ClaimedBy == 0 {
					t.Fatalf("credit %d and debit %d are both left open: %s", c.ID, d.ID, told(matches))
				}
			}
		}
		for i, a := range before.debits {
			for j, b := range before.debits {
				got := b.Open.Minor() - after.debits[j].Open.Minor()
				if i != j && same(a, b) && counts(a) && counts(b) && a.ClaimedBy == 0 && before.precedes(a, b) && got > 0 && !after.debits[i].Open.IsZero() {
					t.Fatalf("debit %d got %d before %d was full: %s", b.ID, got, a.ID, told(matches))
				}
			}
		}
		for i, a := range before.credits {
			for j, b := range before.credits {
				gave := b.Open.Minor() - after.credits[j].Open.Minor()
				if same(a, b) && counts(a) && a.ID < b.ID && gave > 0 && !after.credits[i].Open.IsZero() {
					t.Fatalf("credit %d gave %d before %d was spent: %s", b.ID, gave, a.ID, told(matches))
				}
			}
		}
	})
}

// The lists may come in any order.
func TestAllocateLooksAtNoOrderOfItsInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sheets().Draw(t, "sheet")
		a, b := s.clone(), s.clone()
		b.debits = rapid.Permutation(b.debits).Draw(t, "debits")
		b.credits = rapid.Permutation(b.credits).Draw(t, "credits")
		if x, y := told(billing.Allocate(a.debits, a.credits, a.order)), told(billing.Allocate(b.debits, b.credits, b.order)); x != y {
			t.Fatalf("one order gives %s, another %s", x, y)
		}
	})
}
