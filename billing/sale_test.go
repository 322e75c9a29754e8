package billing_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// sold is a subscription on terms, its first price paid on a day.
func sold(t rapid.TB, terms billing.Terms, on string) *course {
	t.Helper()
	terms.Currency = "USD"
	if err := terms.Check(); err != nil {
		t.Fatal(err)
	}
	c := &course{Subscription: &billing.Subscription{}}
	terms.Begin(c.Subscription, day(t, on))
	return c
}

// lapse is the day on which the subscription's access is over.
func (c *course) lapse(t rapid.TB) billing.Date {
	t.Helper()
	for range 10_000 {
		on := c.NextDate
		c.Advance(c.adjustments)
		if c.Ended() || c.NextDate.IsZero() {
			return on
		}
	}
	t.Fatal("no end")
	return billing.Date{}
}

func TestTermsAreBilledInPhases(t *testing.T) {
	c := sold(t, billing.Terms{Initial: 500, InitialDays: 3, Recurring: 2995, RecurringDays: 30, Rebills: 2}, "2021-06-04")
	c.walk(t, "2021-06-04")
	c.expect(t, "0 2021-06-04")
	c.stands(t, billing.Current, "2021-06-07", "")
	c.walk(t, "2021-08-05")
	c.expect(t, "0 2021-06-04", "1 2021-06-07", "2 2021-07-07")
	for k, want := range []int64{500, 2995, 2995} {
		if p, err := c.Price(k); err != nil || p != usd(want) {
			t.Errorf("billing %d costs %v (%v)", k, p, err)
		}
	}
	c.stands(t, billing.Current, "", "") // it is all paid, and access runs to the end of the last day
	if got := c.LastDay(nil); got != day(t, "2021-08-06") || c.NextDate != got.AddDays(1) {
		t.Errorf("the last day is %v, the next event on %v", got, c.NextDate)
	}
	c.walk(t, "2021-08-06")
	c.stands(t, billing.Current, "", "")
	c.walk(t, "2021-08-07")
	c.stands(t, billing.Expired, "", "")
}

func TestSingleSales(t *testing.T) {
	once := sold(t, billing.Terms{Initial: 500}, "2021-06-04")
	once.walk(t, "2022-06-04")
	once.expect(t, "0 2021-06-04")
	if once.Access != billing.AnyAccess || !once.NextDate.IsZero() || !once.Complete() {
		t.Errorf("a single charge is %+v", once.Subscription)
	}
	month := sold(t, billing.Terms{Initial: 500, InitialDays: 30}, "2021-06-04")
	month.walk(t, "2021-07-04")
	month.expect(t, "0 2021-06-04")
	month.stands(t, billing.Current, "", "")
	month.walk(t, "2021-07-05")
	month.stands(t, billing.Expired, "", "")
	life := sold(t, billing.Terms{Initial: 500, InitialDays: 30, Lifetime: true}, "2021-06-04")
	life.walk(t, "2121-07-05")
	life.expect(t, "0 2021-06-04")
	life.stands(t, billing.Current, "", "")
	if got := life.LastDay(nil); !got.IsZero() {
		t.Errorf("a lifetime ends on %v", got)
	}
}

func TestTermsRefused(t *testing.T) {
	for field, terms := range map[string]billing.Terms{
		"initial":        {},
		"recurring":      {Initial: 1, InitialDays: 1, Rebills: 1, RecurringDays: 30},
		"initial_days":   {Initial: 1, Rebills: 1, Recurring: 1, RecurringDays: 30},
		"lifetime":       {Initial: 1, InitialDays: 1, Rebills: 1, Recurring: 1, RecurringDays: 30, Lifetime: true},
		"rebills":        {Initial: 1, Rebills: -2},
		"recurring_days": {Initial: 1, RecurringDays: 366},
	} {
		err, _ := terms.Check().(*billing.Error)
		if err == nil || err.Field != field {
			t.Errorf("%+v: %v", terms, err)
		}
	}
}

func TestCancelAtEnd(t *testing.T) {
	c := sold(t, billing.Terms{Initial: 500, InitialDays: 30, Recurring: 500, RecurringDays: 30, Rebills: billing.Endless}, "2021-01-01")
	c.walk(t, "2021-02-10")
	var err error
	if c.adjustments, err = c.CancelAtEnd(day(t, "2021-02-10"), c.adjustments, ""); err != nil {
		t.Fatal(err)
	}
	last := day(t, "2021-03-02")
	if got := c.LastDay(c.adjustments); got != last {
		t.Errorf("the last day is %v", got)
	}
	c.walkTo(t, last)
	c.expect(t, "0 2021-01-01", "1 2021-01-31")
	c.stands(t, billing.Current, "", billing.Cancel)
	if _, err := c.CancelAtEnd(last, c.adjustments, ""); err == nil {
		t.Error("cancelled twice")
	}
	if err := c.Extend(6, c.adjustments); err != nil || c.LastDay(c.adjustments) != last.AddDays(6) {
		t.Errorf("extended to %v: %v", c.LastDay(c.adjustments), err)
	}
	c.walkTo(t, last.AddDays(6))
	c.stands(t, billing.Current, "", billing.Cancel)
	c.walkTo(t, last.AddDays(7))
	c.stands(t, billing.Cancelled, "", "")
	c.expect(t, "0 2021-01-01", "1 2021-01-31")
	if got := c.LastDay(c.adjustments); got != last.AddDays(6) {
		t.Errorf("afterwards the last day is %v", got)
	}
}

func TestEndNow(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		c := sold(t, billing.Terms{Initial: 500, InitialDays: 30, Recurring: 500, RecurringDays: 30, Rebills: 5}, "2021-01-01")
		c.walk(t, "2021-01-10")
		today := day(t, "2021-01-10")
		if cancelled {
			c.adjustments, _ = c.CancelAtEnd(today, c.adjustments, "")
		}
		var err error
		if c.adjustments, err = c.EndNow(today, c.adjustments, ""); err != nil || len(c.adjustments) != 1 {
			t.Fatalf("%v: %v", c.adjustments, err)
		}
		c.stands(t, billing.Cancelled, "", "")
		if got := c.LastDay(c.adjustments); got != today || !c.NextDate.IsZero() {
			t.Errorf("the last day is %v, the next event on %v", got, c.NextDate)
		}
		if _, err := c.EndNow(today, c.adjustments, ""); err == nil {
			t.Error("ended twice")
		}
	}
}

// Ended at once while billings before are still to be made, and again before anybody
// has made them: it has ended on the first day.
func TestEndNowTwice(t *testing.T) {
	c := sold(t, billing.Terms{Initial: 500, InitialDays: 30, Recurring: 500, RecurringDays: 30, Rebills: 5}, "2021-01-01")
	c.walk(t, "2021-01-10")
	first := day(t, "2021-02-03")
	for _, on := range []billing.Date{first, day(t, "2021-02-20")} {
		var err error
		if c.adjustments, err = c.EndNow(on, c.adjustments, ""); err != nil || len(c.adjustments) != 1 {
			t.Fatalf("%v: %v", c.adjustments, err)
		}
	}
	c.walk(t, "2021-04-01")
	c.stands(t, billing.Cancelled, "", "")
	c.expect(t, "0 2021-01-01", "1 2021-01-31")
	if got := c.LastDay(c.adjustments); got != first {
		t.Errorf("the last day is %v", got)
	}
}

// An extension moves what is to come and nothing of what has been, as often as
// it is given, and dates and billings are each other's inverse.
func TestExtensionsShiftWhatIsToCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		s.steps = nil
		c := s.begin()
		var shift int
		plain := s.begin()
		for range rapid.IntRange(0, 5).Draw(t, "extensions") {
			k := rapid.IntRange(0, 5).Draw(t, "billings")
			for range k {
				c.Advance(nil)
				plain.Advance(nil)
			}
			var past []billing.Date
			for k := range c.Period {
				past = append(past, c.BillingDate(k))
			}
			days := rapid.IntRange(1, 40).Draw(t, "days")
			due := c.BillingDate(c.Period)
			if err := c.Extend(days, nil); err != nil {
				if !c.Complete() {
					t.Fatal(err)
				}
				break
			}
			shift += days
			if got := c.BillingDate(c.Period); got != due.AddDays(days) || c.NextDate != got {
				t.Fatalf("billing %d of %v is extended by %d to %v, the next event is on %v", c.Period, due, days, got, c.NextDate)
			}
			for k, was := range past {
				if c.BillingDate(k) != was {
					t.Fatalf("billing %d moved from %v to %v", k, was, c.BillingDate(k))
				}
			}
		}
		seen := billing.Date{}
		for k := range c.Period + 30 {
			d := c.BillingDate(k)
			if !seen.IsZero() && !d.After(seen) {
				t.Fatalf("billing %d is on %v, the one before on %v", k, d, seen)
			}
			seen = d
			if got, ok := c.Index(d); !ok || got != k {
				t.Fatalf("%v is billing %d (%v), not %d", d, got, ok, k)
			}
		}
		if got, want := c.BillingDate(c.Period), plain.BillingDate(plain.Period); shift == 0 && got != want {
			t.Fatalf("nothing was extended, and %v is %v", want, got)
		}
		again, err := billing.ParseAnchors(billing.AnchorsText(c.Anchors))
		if err != nil || !slices.Equal(again, c.Anchors) {
			t.Fatalf("%v is read as %v: %v", c.Anchors, again, err)
		}
	})
}

// What access does to a subscription is that it ends later: the invoices are the
// same, and the end is the day after the last day that is paid.
func TestAccessChangesNoInvoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		with := s
		with.Access = billing.PaidAccess
		c, accepted := s.tell(t, always, nil)
		p, same := with.tell(t, always, nil)
		if fmt.Sprint(accepted) == fmt.Sprint(same) && !slices.Equal(c.invoices, p.invoices) {
			t.Fatalf("accepted %v\nwithout %v\nwith %v", accepted, c.invoices, p.invoices)
		}
		if p.Complete() && !p.Ended() && len(p.adjustments) == 0 && p.NextDate != p.PaidThrough().AddDays(1) {
			t.Fatalf("paid through %v, the next event is on %v", p.PaidThrough(), p.NextDate)
		}
		late, _ := with.tell(t, never, nil)
		if !slices.Equal(late.invoices, p.invoices) {
			t.Fatalf("accepted %v\nday by day %v\nin one jump %v", same, p.invoices, late.invoices)
		}
	})
}

// Any terms that are right give a series that begins on its day, goes on after
// the first phase, and ends if it should.
func TestTermsBeginRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := billing.Terms{Currency: "USD",
			Initial:       rapid.Int64Range(0, 5000).Draw(t, "initial"),
			InitialDays:   rapid.IntRange(0, 60).Draw(t, "initial days"),
			Recurring:     rapid.Int64Range(0, 5000).Draw(t, "recurring"),
			RecurringDays: rapid.IntRange(0, 60).Draw(t, "recurring days"),
			Rebills:       rapid.IntRange(-1, 6).Draw(t, "rebills"),
			Lifetime:      rapid.Bool().Draw(t, "lifetime"),
		}
		if terms.Check() != nil {
			return
		}
		first := datesBetween(2020, 2030).Draw(t, "first")
		c := &course{Subscription: &billing.Subscription{}}
		terms.Begin(c.Subscription, first)
		if c.NextDate != first {
			t.Fatalf("the first event is on %v", c.NextDate)
		}
		c.walkTo(t, first.AddDays(1000))
		want := 1 + terms.Rebills
		if terms.Rebills == billing.Endless {
			want = 1 + (1000-terms.InitialDays)/terms.RecurringDays + 1
		}
		if len(c.invoices) != want {
			t.Fatalf("%d invoices: %v", len(c.invoices), c.invoices)
		}
		if want > 1 && c.invoices[1] != fmt.Sprintf("1 %v", first.AddDays(terms.InitialDays)) {
			t.Fatalf("the first phase ends with %s", c.invoices[1])
		}
		ends := terms.Rebills != billing.Endless && !terms.Lifetime && terms.InitialDays > 0
		if ended := c.Status == billing.Expired; ended != ends {
			t.Fatalf("after 1000 days it is %s", c.Status)
		}
		again := *c.Subscription
		if c.Schedule(nil); !reflect.DeepEqual(again, *c.Subscription) {
			t.Fatal("scheduling again changes something")
		}
	})
}
