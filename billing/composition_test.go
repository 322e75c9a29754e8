package billing_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

func newYork(t testing.TB) *billing.Merchant {
	return &billing.Merchant{ID: 1, Zone: zone(t, "America/New_York"), Currency: "USD"}
}

// composed is a subscription that began on a day, with its first period billed.
func composed(t testing.TB, cycle billing.Cycle, first string, c billing.Composition) *billing.Subscription {
	t.Helper()
	s := &billing.Subscription{ID: 5, PlanName: "Gold", Term: billing.Perpetual, Amount: usd(0), Tax: usd(0), Cycle: cycle,
		FirstDate: day(t, first), Status: billing.Unbilled}
	if err := s.Compose(c); err != nil {
		t.Fatal(err)
	}
	s.Schedule(nil)
	s.Advance(nil)
	return s
}

func pointer[T any](v T) *T { return &v }

func TestCompositionAmount(t *testing.T) {
	c := billing.Composition{Quantity: 3, Unit: 500, AddOns: []billing.AddOn{{Code: "a", Quantity: 2, Unit: 10}, {Code: "b", Quantity: 1, Unit: 7}}}
	if got, err := c.Amount("USD"); err != nil || got != usd(1527) {
		t.Errorf("%v, %v", got, err)
	}
	for name, bad := range map[string]billing.Composition{
		"quantity":        {Quantity: -1},
		"large quantity":  {Quantity: billing.MaxQuantity + 1},
		"negative unit":   {Quantity: 1, Unit: -1},
		"large unit":      {Quantity: 1, Unit: billing.MaxAmount + 1},
		"no add-on code":  {Quantity: 1, AddOns: []billing.AddOn{{Quantity: 1}}},
		"add-on twice":    {Quantity: 1, AddOns: []billing.AddOn{{Code: "a", Quantity: 1}, {Code: "a", Quantity: 1}}},
		"add-on quantity": {Quantity: 1, AddOns: []billing.AddOn{{Code: "a"}}},
		"add-on price":    {Quantity: 1, AddOns: []billing.AddOn{{Code: "a", Quantity: 1, Unit: -1}}},
		"tax":             {Quantity: 1, TaxRate: billing.MaxTaxRate + 1},
		"add-ons":         {Quantity: 1, AddOns: make([]billing.AddOn, billing.MaxAddOns+1)},
	} {
		if err := bad.Check(); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, large := range map[string]billing.Composition{
		"product":  {Quantity: billing.MaxQuantity, Unit: billing.MaxAmount},
		"sum":      {Quantity: 1, Unit: billing.MaxAmount, AddOns: []billing.AddOn{{Code: "a", Quantity: 1, Unit: 1}}},
		"overflow": {Quantity: math.MaxInt64, Unit: math.MaxInt64},
	} {
		if got, err := large.Amount("USD"); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestPriceLines: the lines say for what and from when to when, and add up to the
// amount.
func TestPriceLines(t *testing.T) {
	m := newYork(t)
	s := composed(t, billing.Monthly, "2011-01-31", billing.Composition{PlanCode: "gold", Quantity: 2, Unit: 500,
		AddOns: []billing.AddOn{{Code: "ip", Name: "Address", Quantity: 3, Unit: 10}, {Code: "x", Quantity: 1}}})
	lines := s.PriceLines(m, 1)
	want := []string{"plan gold Gold 2 x 5.00 USD = 10.00 USD", "add-on ip Address 3 x 0.10 USD = 0.30 USD", "add-on x x 1 x 0.00 USD = 0.00 USD"}
	var sum int64
	for i, l := range lines {
		got := strings.Join([]string{string(l.Kind), l.Code, l.Description}, " ")
		if got != strings.Join(strings.Fields(want[i])[:3], " ") || !strings.HasSuffix(want[i], l.Unit.String()+" = "+l.Amount.String()) {
			t.Errorf("line %d is %s %d x %s = %s", i, got, l.Quantity, l.Unit, l.Amount)
		}
		if l.From != m.Start(day(t, "2011-02-28")) || l.To != m.Start(day(t, "2011-03-31")) || l.SubscriptionID != 5 {
			t.Errorf("line %d is of %v to %v", i, l.From, l.To)
		}
		sum += l.Amount.Minor()
	}
	if usd(sum) != s.Amount {
		t.Errorf("the lines come to %d of %s", sum, s.Amount)
	}
	s.Composition.Began = m.Start(day(t, "2011-01-31")).Add(9 * time.Hour)
	if l := s.PriceLines(m, 0)[0]; l.From != s.Composition.Began {
		t.Errorf("the first period is of %v", l.From)
	}
	agreed := &billing.Subscription{PlanName: "Hosting", Amount: usd(2900), Tax: usd(0), Cycle: billing.Monthly, FirstDate: day(t, "2011-01-31"),
		Composition: &billing.Composition{TaxRate: 8250}}
	if lines := agreed.PriceLines(m, 0); len(lines) != 1 || lines[0].Amount != usd(2900) || lines[0].Description != "Hosting" {
		t.Errorf("an amount that was agreed on is %+v", lines)
	}
}

// TestSwitchTo: half way from 10 to 20, then on to 40, and to another rhythm.
func TestSwitchTo(t *testing.T) {
	m := newYork(t)
	s := composed(t, billing.Monthly, "2011-06-01", billing.Composition{PlanCode: "gold", Quantity: 1, Unit: 1000})
	half := m.Start(day(t, "2011-06-16"))
	sw, err := s.SwitchTo(&billing.Change{Quantity: pointer(2)}, m, half)
	if err != nil || sw.Credit != usd(500) || sw.Charge != usd(1000) || sw.Anew || s.Amount != usd(2000) {
		t.Fatalf("%+v, %v, then %s", sw, err, s.Amount)
	}
	quarter := half.Add(7*24*time.Hour + 12*time.Hour)
	sw, err = s.SwitchTo(&billing.Change{PlanID: 9, PlanCode: "ruby", PlanName: "Ruby", Unit: pointer[int64](2000)}, m, quarter)
	if err != nil || sw.Credit != usd(500) || sw.Charge != usd(1000) || s.PlanID != 9 || s.PlanName != "Ruby" || s.Composition.PlanCode != "ruby" {
		t.Fatalf("%+v, %v, then %+v", sw, err, s.Composition)
	}
	if s.BillingDate(1) != day(t, "2011-07-01") {
		t.Errorf("the period ends on %s", s.BillingDate(1))
	}
	sw, err = s.SwitchTo(&billing.Change{Cycle: billing.Yearly, Unit: pointer[int64](9000)}, m, quarter)
	if err != nil || sw.Credit != usd(1000) || sw.Charge != usd(0) || !sw.Anew {
		t.Fatalf("%+v, %v", sw, err)
	}
	if sw.To != m.Start(day(t, "2012-06-23")) || s.NextDate != day(t, "2011-06-23") {
		t.Errorf("the new period begins on %s and ends %v", s.NextDate, sw.To)
	}
	due := s.Advance(nil)
	if due == nil || due.Period != 1 || due.Date != day(t, "2011-06-23") || s.NextDate != day(t, "2012-06-23") || s.PeriodFrom(m) != quarter {
		t.Errorf("billed %+v, next on %s, from %v", due, s.NextDate, s.PeriodFrom(m))
	}
	if s.BillingDate(0) != day(t, "2011-06-01") {
		t.Errorf("the first date was %s", s.BillingDate(0))
	}
	text := billing.AnchorsText(s.Anchors)
	again, err := billing.ParseAnchors(text)
	if err != nil || billing.AnchorsText(again) != text || text != "0:2011-06-01/monthly 1:2011-06-23" {
		t.Errorf("kept as %q, %v", text, err)
	}
	if k, ok := s.Index(day(t, "2012-06-23")); !ok || k != 2 {
		t.Errorf("the next billing is %d, %v", k, ok)
	}
}

// TestSwitchInTrial: before the first billing nothing is credited or charged, and
// the trial stays as long as it was.
func TestSwitchInTrial(t *testing.T) {
	m := newYork(t)
	s := &billing.Subscription{Term: billing.Perpetual, Amount: usd(0), Cycle: billing.Monthly, FirstDate: day(t, "2011-06-30"), Status: billing.Unbilled}
	if err := s.Compose(billing.Composition{Quantity: 1, Unit: 1000, Trial: s.FirstDate}); err != nil {
		t.Fatal(err)
	}
	s.Schedule(nil)
	sw, err := s.SwitchTo(&billing.Change{Cycle: billing.Yearly, Unit: pointer[int64](9000)}, m, m.Start(day(t, "2011-06-10")))
	if err != nil || !sw.Credit.IsZero() || !sw.Charge.IsZero() || sw.Anew || s.Amount != usd(9000) {
		t.Errorf("%+v, %v, then %s", sw, err, s.Amount)
	}
	s.Schedule(nil)
	if s.NextDate != day(t, "2011-06-30") || s.BillingDate(1) != day(t, "2012-06-30") || len(s.Anchors) != 0 {
		t.Errorf("billed on %s and %s, anchors %v", s.NextDate, s.BillingDate(1), s.Anchors)
	}
}

// TestSwitchGivesNothingAway: whatever is changed however often within a period,
// what was credited never exceeds what was charged for it.
func TestSwitchGivesNothingAway(t *testing.T) {
	m := newYork(t)
	rapid.Check(t, func(r *rapid.T) {
		s := composed(t, billing.Monthly, "2011-10-31", billing.Composition{Quantity: 1, Unit: rapid.Int64Range(0, 100_000).Draw(r, "unit")})
		discount := rapid.Int64Range(0, s.Amount.Minor()).Draw(r, "discount")
		from := s.PeriodFrom(m)
		s.Composition.Running = &billing.Running{From: from, Value: s.Amount.Minor() - discount}
		paid, at, seconds := s.Amount.Minor()-discount, from, int64(s.PeriodTo(m).Sub(from)/time.Second)
		for range rapid.IntRange(1, 6).Draw(r, "changes") {
			at = at.Add(time.Duration(rapid.Int64Range(0, seconds/4).Draw(r, "later")) * time.Second)
			sw, err := s.SwitchTo(&billing.Change{Unit: pointer(rapid.Int64Range(0, 100_000).Draw(r, "unit"))}, m, at)
			if err != nil {
				r.Fatal(err)
			}
			paid += sw.Charge.Minor() - sw.Credit.Minor()
			if paid < 0 {
				r.Fatalf("%d were credited more than charged", -paid)
			}
		}
	})
}

// TestApply: a change that waits takes effect with the next billing, in its rhythm.
func TestApply(t *testing.T) {
	s := composed(t, billing.Monthly, "2011-01-31", billing.Composition{PlanCode: "gold", Quantity: 2, Unit: 500, AddOns: []billing.AddOn{{Code: "a", Quantity: 1, Unit: 5}}})
	s.Change = &billing.Change{Cycle: billing.Months(2), AddOns: &[]billing.AddOn{}}
	if err := s.Apply(s.Change); err != nil || s.Change != nil || s.Amount != usd(1000) || len(s.Composition.AddOns) != 0 {
		t.Fatalf("%v, then %+v of %s", err, s, s.Amount)
	}
	for k, want := range []string{"2011-01-31", "2011-02-28", "2011-04-28"} {
		if got := s.BillingDate(k); got != day(t, want) {
			t.Errorf("billing %d is on %s, want %s", k, got, want)
		}
	}
	s.Composition = nil
	if err := s.Apply(&billing.Change{}); billing.KindOf(err) != billing.State {
		t.Errorf("of one amount: %v", err)
	}
}

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		offer      billing.Offer
		from, want string
	}{
		{billing.Offer{}, "2011-01-31", ""},
		{billing.Offer{TrialLength: 14, TrialUnit: billing.InDays}, "2011-01-31", "2011-02-14"},
		{billing.Offer{TrialLength: 1, TrialUnit: billing.InMonths}, "2011-01-31", "2011-02-28"},
	} {
		if got := c.offer.TrialEnd(day(t, c.from)); got.String() != c.want {
			t.Errorf("%+v ends on %s, want %s", c.offer, got, c.want)
		}
	}
	for _, bad := range []billing.Offer{{Setup: -1}, {TrialLength: -1}, {TrialLength: 366, TrialUnit: "days"}, {TrialLength: 1, TrialUnit: "years"},
		{AddOns: []billing.AddOn{{Unit: 5}}}, {AddOns: []billing.AddOn{{Code: "a"}, {Code: "a"}}}} {
		if err := bad.Check(); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	o := billing.Offer{AddOns: []billing.AddOn{{Code: "a", Unit: 5}}, TrialLength: 120, TrialUnit: billing.InMonths}
	if err := o.Check(); err != nil || o.AddOn("a").Unit != 5 || o.AddOn("b") != nil {
		t.Errorf("%v, %v, %v", err, o.AddOn("a"), o.AddOn("b"))
	}
	if err := (&billing.Offer{TrialLength: 1}).Check(); billing.KindOf(err) != billing.Missing {
		t.Errorf("no unit: %v", err)
	}
}
