package billing_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

var cycles = []billing.Cycle{billing.Weekly, billing.Semimonthly, billing.Monthly, billing.Quarterly, billing.HalfYearly, billing.Yearly, billing.Days(10), billing.Days(30), billing.Days(365)}

func TestParseCycle(t *testing.T) {
	for _, c := range cycles {
		if got, err := billing.ParseCycle(string(c)); err != nil || got != c {
			t.Errorf("%s: %v, %v", c, got, err)
		}
	}
	for _, s := range []string{"", "daily", "Monthly", "monthly ", "M", "annual", "halfyearly", "0-days", "-1-days", "+1-days", "030-days", "366-days", "days", "-days", "30 days", "30-day", "3x-days"} {
		if c, err := billing.ParseCycle(s); err == nil {
			t.Errorf("%q was read as %s", s, c)
		}
	}
}

func TestCycleSeries(t *testing.T) {
	for _, c := range []struct {
		name  string
		cycle billing.Cycle
		first string
		want  string
	}{
		{"last of the month", billing.Monthly, "2023-01-31",
			"2023-01-31 2023-02-28 2023-03-31 2023-04-30 2023-05-31 2023-06-30 2023-07-31 2023-08-31 2023-09-30 2023-10-31 2023-11-30 2023-12-31 2024-01-31 2024-02-29 2024-03-31"},
		{"30th", billing.Monthly, "2023-12-30", "2023-12-30 2024-01-30 2024-02-29 2024-03-30"},
		{"29th", billing.Monthly, "2023-01-29", "2023-01-29 2023-02-28 2023-03-29 2023-04-29"},
		{"begun on a short month's last day, it stays there", billing.Monthly, "2023-02-28", "2023-02-28 2023-03-28 2023-04-28"},
		{"over the year's end", billing.Monthly, "2023-11-15", "2023-11-15 2023-12-15 2024-01-15 2024-02-15"},
		{"leap day every year", billing.Yearly, "2024-02-29", "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29 2029-02-28"},
		{"leap day over a century that has none", billing.Yearly, "2096-02-29", "2096-02-29 2097-02-28 2098-02-28 2099-02-28 2100-02-28 2101-02-28 2102-02-28 2103-02-28 2104-02-29"},
		{"quarters of 30 November", billing.Quarterly, "2023-11-30", "2023-11-30 2024-02-29 2024-05-30 2024-08-30 2024-11-30 2025-02-28"},
		{"quarters of 31 January", billing.Quarterly, "2024-01-31", "2024-01-31 2024-04-30 2024-07-31 2024-10-31 2025-01-31"},
		{"half-years of 31 August", billing.HalfYearly, "2023-08-31", "2023-08-31 2024-02-29 2024-08-31 2025-02-28"},
		{"every half a month from the first half", billing.Semimonthly, "2009-09-01", "2009-09-01 2009-09-15 2009-10-01 2009-10-15"},
		{"every half a month from the second half", billing.Semimonthly, "2009-09-20", "2009-09-20 2009-10-06 2009-10-20 2009-11-06"},
		{"every half a month, 14 with 28", billing.Semimonthly, "2010-01-14", "2010-01-14 2010-01-28 2010-02-14 2010-02-28 2010-03-14"},
		{"every half a month, 28 with 14", billing.Semimonthly, "2010-01-28", "2010-01-28 2010-02-14 2010-02-28 2010-03-14"},
		{"every half a month, 15 with 1", billing.Semimonthly, "2009-12-15", "2009-12-15 2010-01-01 2010-01-15"},
		{"the dates of protocols/billing-circle.md 9, monthly", billing.Monthly, "2009-08-28", "2009-08-28 2009-09-28 2009-10-28"},
		{"quarterly", billing.Quarterly, "2009-11-28", "2009-11-28 2010-02-28 2010-05-28"},
		{"weekly", billing.Weekly, "2009-08-31", "2009-08-31 2009-09-07 2009-09-14"},
		{"yearly", billing.Yearly, "2012-02-29", "2012-02-29 2013-02-28 2014-02-28 2015-02-28 2016-02-29"},
		{"weeks over a leap day", billing.Weekly, "2024-02-21", "2024-02-21 2024-02-28 2024-03-06 2024-03-13"},
		{"weeks over the year's end", billing.Weekly, "2024-12-30", "2024-12-30 2025-01-06"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k, want := range strings.Fields(c.want) {
				if got := c.cycle.Date(day(t, c.first), k); got != day(t, want) {
					t.Errorf("date %d is %v, want %s", k, got, want)
				}
			}
		})
	}
}

// Every first date of a leap year and a plain one, ten years on: the dates rise,
// Index is the inverse of Date, and no day between two dates has an index.
func TestCycleOverTenYearsFromEveryDay(t *testing.T) {
	for _, cycle := range cycles {
		t.Run(string(cycle), func(t *testing.T) {
			steps := map[billing.Cycle]int{billing.Weekly: 522, billing.Semimonthly: 240, billing.Monthly: 120, billing.Quarterly: 40, billing.HalfYearly: 20, billing.Yearly: 10}[cycle]
			for first := day(t, "2023-01-01"); first.Year < 2025; first = first.AddDays(1) {
				if k, ok := cycle.Index(first, first.AddDays(-1)); ok {
					t.Fatalf("the day before %v has index %d", first, k)
				}
				before := first
				for k := range steps {
					d := cycle.Date(first, k)
					if got, ok := cycle.Index(first, d); !ok || got != k {
						t.Fatalf("date %d from %v is %v, whose index is %d, %v", k, first, d, got, ok)
					}
					if k == 0 {
						if d != first {
							t.Fatalf("date 0 from %v is %v", first, d)
						}
						continue
					}
					checkStep(t, cycle, before, d)
					if got, ok := cycle.Index(first, d.AddDays(-1)); ok {
						t.Fatalf("the day before %v has index %d in the series from %v", d, got, first)
					}
					before = d
				}
			}
		})
	}
}

// checkStep holds a step of a series against the length that its name promises.
func checkStep(t testing.TB, cycle billing.Cycle, before, d billing.Date) {
	t.Helper()
	days := d.DaysSince(before)
	months := (d.Year-before.Year)*12 + int(d.Month) - int(before.Month)
	want := map[billing.Cycle]int{billing.Monthly: 1, billing.Quarterly: 3, billing.HalfYearly: 6, billing.Yearly: 12}[cycle]
	if cycle == billing.Weekly {
		if days != 7 {
			t.Fatalf("a week from %v to %v has %d days", before, d, days)
		}
		return
	}
	if cycle == billing.Semimonthly {
		if months < 0 || months > 1 || days < 10 || days > 17 {
			t.Fatalf("half a month from %v to %v has %d days", before, d, days)
		}
		return
	}
	if months != want || days <= 0 {
		t.Fatalf("the step from %v to %v is of %d months and %d days, want %d months", before, d, months, days, want)
	}
}

func TestIndexIsTheInverseOfDate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := rapid.SampledFrom(cycles).Draw(t, "cycle")
		first := datesBetween(1900, 2200).Draw(t, "first")
		k := rapid.IntRange(0, billing.MaxPeriods).Draw(t, "k")
		d := cycle.Date(first, k)
		if got, ok := cycle.Index(first, d); !ok || got != k {
			t.Fatalf("date %d of %s from %v is %v, whose index is %d, %v", k, cycle, first, d, got, ok)
		}
	})
}

func TestIndexFindsNothingBeside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := rapid.SampledFrom(cycles).Draw(t, "cycle")
		first := datesBetween(1900, 2200).Draw(t, "first")
		d := first.AddDays(rapid.IntRange(-4000, 4000).Draw(t, "days"))
		k, ok := cycle.Index(first, d)
		if ok && (k < 0 || cycle.Date(first, k) != d) {
			t.Fatalf("%v has index %d of %s from %v, which is %v", d, k, cycle, first, cycle.Date(first, k))
		}
		if ok {
			return
		}
		for k := 0; ; k++ {
			at := cycle.Date(first, k)
			if at == d {
				t.Fatalf("%v is date %d of %s from %v, and Index does not find it", d, k, cycle, first)
			}
			if at.After(d) {
				return
			}
		}
	})
}

func TestIndexOfADateCenturiesAway(t *testing.T) {
	first := day(t, "2026-01-31")
	for _, c := range []struct {
		cycle billing.Cycle
		k     int
	}{{billing.Weekly, 100_000}, {billing.Monthly, 12 * 7000}, {billing.Quarterly, 4 * 7000}, {billing.HalfYearly, 2 * 7000}, {billing.Yearly, 7000}} {
		if got, ok := c.cycle.Index(first, c.cycle.Date(first, c.k)); !ok || got != c.k {
			t.Errorf("%s: index %d, %v; want %d", c.cycle, got, ok, c.k)
		}
	}
}

// Two series with one rhythm keep their order: an invoice that goes out before
// its billing date does so in every period.
func TestCyclesKeepTheOrderOfTheirFirstDates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := rapid.SampledFrom(cycles).Draw(t, "cycle")
		invoicing := datesBetween(1990, 2060).Draw(t, "invoicing")
		firstBilling := invoicing.AddDays(rapid.IntRange(0, 40).Draw(t, "lead"))
		k := rapid.IntRange(0, 1000).Draw(t, "k")
		if cycle.Date(invoicing, k).After(cycle.Date(firstBilling, k)) {
			t.Fatalf("invoice %d goes out on %v, after its billing date %v", k, cycle.Date(invoicing, k), cycle.Date(firstBilling, k))
		}
	})
}

// Two days a month, 14 days apart and on 28 days at most, in turn: whatever day
// of 1 to 28 a series begins on.
func TestSemimonthlyHasTwoDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := datesBetween(1990, 2060).Draw(t, "first")
		first.Day = min(first.Day, 28)
		k := rapid.IntRange(0, billing.MaxPeriods).Draw(t, "k")
		a, b, c := billing.Semimonthly.Date(first, k), billing.Semimonthly.Date(first, k+1), billing.Semimonthly.Date(first, k+2)
		if a.AddMonths(1) != c || max(a.Day, b.Day)-min(a.Day, b.Day) != 14 || max(a.Day, b.Day) > 28 || !b.After(a) || !c.After(b) {
			t.Fatalf("dates %d to %d from %v are %v, %v and %v", k, k+2, first, a, b, c)
		}
	})
}

func TestUnknownCyclePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a cycle without a rule gave a date")
		}
	}()
	billing.Cycle("daily").Date(billing.Date{Year: 2024, Month: time.May, Day: 1}, 1)
}
