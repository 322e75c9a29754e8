package billing_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// day reads a date that a test wrote down.
func day(t rapid.TB, s string) billing.Date {
	t.Helper()
	d, err := billing.ParseDate(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return d
}

// dates draws real dates from year 1 to 9999, half of them at the end of a
// month or about a leap day.
func dates() *rapid.Generator[billing.Date] {
	return datesBetween(1, 9999)
}

func datesBetween(first, last int) *rapid.Generator[billing.Date] {
	return rapid.Custom(func(t *rapid.T) billing.Date {
		year := rapid.IntRange(first, last).Draw(t, "year")
		month := time.Month(rapid.IntRange(1, 12).Draw(t, "month"))
		if rapid.Bool().Draw(t, "edge") {
			back := rapid.IntRange(0, 3).Draw(t, "back")
			return billing.Date{Year: year, Month: month, Day: billing.DaysIn(year, month) - back}
		}
		return billing.Date{Year: year, Month: month, Day: rapid.IntRange(1, billing.DaysIn(year, month)).Draw(t, "day")}
	})
}

func TestParseDateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dates().Draw(t, "date")
		back, err := billing.ParseDate(d.String())
		if err != nil || back != d {
			t.Fatalf("%v shows as %q and reads as %v, %v", d, d.String(), back, err)
		}
	})
}

func TestParseDateRefuses(t *testing.T) {
	for _, s := range []string{
		"", "2024", "2024-01", "2024-1-1", "2024-01-1", "24-01-01", "2024/01/01", "01-01-2024", "2024-01-01T00:00:00Z",
		"2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "2024-04-31", "2023-02-29", "1900-02-29", "2100-02-29",
		"0000-01-01", "-001-01-01", "+024-01-01", "20240101", " 2024-01-01", "2024-01-01 ", "10000-01-01", "2024-01-01.5",
		"٢٠٢٤-01-01",
	} {
		if d, err := billing.ParseDate(s); err == nil {
			t.Errorf("%q was read as %v", s, d)
		} else if !d.IsZero() {
			t.Errorf("%q: %v came with the error", s, d)
		}
	}
}

// Whatever text is read, it is read as it stands there.
func TestParseDateReadsNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9+ -]{4}-[0-9 ]{1,3}-[0-9 ]{1,3}`).Draw(t, "text")
		if d, err := billing.ParseDate(s); err == nil && d.String() != s {
			t.Fatalf("%q was read as %v", s, d)
		}
	})
}

func TestNoDate(t *testing.T) {
	var none billing.Date
	if !none.IsZero() || none.String() != "" {
		t.Errorf("no date: IsZero %v, %q", none.IsZero(), none.String())
	}
	if d := day(t, "0001-01-01"); d.IsZero() || !none.Before(d) {
		t.Errorf("the first day of the calendar is no date, or does not come after none")
	}
}

func TestDateOfIsTheDateThatIsShown(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		zone *time.Location
		want string
	}{
		{time.UTC, "2024-02-29"},
		{time.FixedZone("east", 3600), "2024-03-01"},
		{time.FixedZone("west", -24*3600+1), "2024-02-28"},
	} {
		if got := billing.DateOf(at.In(c.zone)); got != day(t, c.want) {
			t.Errorf("in %s it is %v, want %s", c.zone, got, c.want)
		}
	}
}

func TestDatesAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := dates().Draw(t, "a"), dates().Draw(t, "b")
		before, after, same := a.Before(b), a.After(b), a == b
		if n := count(before, after, same); n != 1 {
			t.Fatalf("%v and %v: before %v, after %v, same %v", a, b, before, after, same)
		}
		if days := a.DaysSince(b); (days < 0) != before || (days > 0) != after {
			t.Fatalf("%v lies %d days after %v; before %v, after %v", a, days, b, before, after)
		}
		if (a.String() < b.String()) != before {
			t.Fatalf("%v and %v are ordered otherwise as text", a, b)
		}
	})
}

func count(truths ...bool) (n int) {
	for _, b := range truths {
		if b {
			n++
		}
	}
	return n
}

func TestAddDaysAndDaysSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := datesBetween(1000, 8000).Draw(t, "date")
		n := rapid.IntRange(-365_000, 365_000).Draw(t, "days")
		e := d.AddDays(n)
		if got := e.DaysSince(d); got != n {
			t.Fatalf("%v and %d days is %v, which lies %d days after", d, n, e, got)
		}
		if back := e.AddDays(-n); back != d {
			t.Fatalf("%v and %d days and back is %v", d, n, back)
		}
		if e.Day < 1 || e.Day > billing.DaysIn(e.Year, e.Month) {
			t.Fatalf("%v is no day", e)
		}
	})
}

// A calendar that is counted by hand, day for day, over two turns of the
// Gregorian cycle of 400 years.
func TestCalendarDayByDay(t *testing.T) {
	year, month, dayOf := 1599, 12, 31
	d := billing.Date{Year: year, Month: time.December, Day: 31}
	first := d
	for n := 0; year < 2400; n++ {
		want := billing.Date{Year: year, Month: time.Month(month), Day: dayOf}
		if d != want {
			t.Fatalf("day %d is %v, want %v", n, d, want)
		}
		if got := d.DaysSince(first); got != n {
			t.Fatalf("%v lies %d days after %v, want %d", d, got, first, n)
		}
		d = d.AddDays(1)
		if dayOf++; dayOf > daysByHand(year, month) {
			dayOf = 1
			if month++; month > 12 {
				month = 1
				year++
			}
		}
	}
}

func daysByHand(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			return 29
		}
		return 28
	}
	return 31
}

func TestDaysIn(t *testing.T) {
	for year := 1; year <= 9999; year++ {
		for m := time.January; m <= time.December; m++ {
			if got, want := billing.DaysIn(year, m), daysByHand(year, int(m)); got != want {
				t.Fatalf("%d of %d has %d days, want %d", m, year, got, want)
			}
		}
	}
}

// A time.Duration ends after 292 years; the days between two dates do not.
func TestDaysSinceOverCenturies(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     int
	}{
		{"2024-01-01", "2024-01-01", 0},
		{"2000-01-01", "2400-01-01", 146_097},
		{"2000-01-01", "1600-01-01", -146_097},
		{"2026-01-01", "9999-12-31", 2_912_442},
		{"0001-01-01", "9999-12-31", 3_652_058},
		{"9999-12-31", "0001-01-01", -3_652_058},
	} {
		if got := day(t, c.to).DaysSince(day(t, c.from)); got != c.want {
			t.Errorf("%s lies %d days after %s, want %d", c.to, got, c.from, c.want)
		}
	}
}

func TestAddMonths(t *testing.T) {
	for _, c := range []struct {
		from string
		n    int
		want string
	}{
		{"2024-01-31", 1, "2024-02-29"},
		{"2023-01-31", 1, "2023-02-28"},
		{"2024-01-31", 2, "2024-03-31"},
		{"2024-01-31", 3, "2024-04-30"},
		{"2024-01-31", 13, "2025-02-28"},
		{"2024-01-30", 1, "2024-02-29"},
		{"2024-01-29", 1, "2024-02-29"},
		{"2024-01-28", 1, "2024-02-28"},
		{"2024-02-29", 12, "2025-02-28"},
		{"2024-02-29", 48, "2028-02-29"},
		{"2024-02-29", -12, "2023-02-28"},
		{"2024-12-31", 1, "2025-01-31"},
		{"2024-12-15", 1, "2025-01-15"},
		{"2024-01-15", -1, "2023-12-15"},
		{"2024-03-31", -1, "2024-02-29"},
		{"2024-03-31", -13, "2023-02-28"},
		{"2024-05-31", 0, "2024-05-31"},
		{"2024-01-31", 1200, "2124-01-31"},
		{"1999-08-31", 6, "2000-02-29"},
		{"1899-11-30", 3, "1900-02-28"},
	} {
		if got := day(t, c.from).AddMonths(c.n); got != day(t, c.want) {
			t.Errorf("%s and %d months is %v, want %s", c.from, c.n, got, c.want)
		}
	}
}

func TestAddMonthsClampsAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := datesBetween(1000, 8000).Draw(t, "date")
		n := rapid.IntRange(-12_000, 12_000).Draw(t, "months")
		e := d.AddMonths(n)
		if got := (e.Year-d.Year)*12 + int(e.Month) - int(d.Month); got != n {
			t.Fatalf("%v and %d months is %v, %d months away", d, n, e, got)
		}
		if want := min(d.Day, daysByHand(e.Year, int(e.Month))); e.Day != want {
			t.Fatalf("%v and %d months is %v, want day %d", d, n, e, want)
		}
	})
}

// The order of dates survives any number of months, if only weakly: two dates
// at a month's end may fall together.
func TestAddMonthsKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := datesBetween(1900, 2100).Draw(t, "date")
		e := d.AddDays(rapid.IntRange(0, 70).Draw(t, "days"))
		n := rapid.IntRange(-600, 600).Draw(t, "months")
		if d.AddMonths(n).After(e.AddMonths(n)) {
			t.Fatalf("%v <= %v, but %d months on %v > %v", d, e, n, d.AddMonths(n), e.AddMonths(n))
		}
	})
}
