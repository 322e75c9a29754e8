package billing

import (
	"fmt"
	"time"
)

// Date is a civil date of the Gregorian calendar: a day on the merchant's wall
// calendar, without time and zone. Dates compare with == and Before. The zero
// value is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads "2006-01-02" strictly: four, two and two digits, a real day.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return Date{}, fmt.Errorf("billing: not a date of the form 2006-01-02")
	}
	return DateOf(t), nil
}

// DateOf is the date that t shows in its own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Before reports whether d lies before e.
func (d Date) Before(e Date) bool {
	if d.Year != e.Year {
		return d.Year < e.Year
	}
	if d.Month != e.Month {
		return d.Month < e.Month
	}
	return d.Day < e.Day
}

// After reports whether d lies after e.
func (d Date) After(e Date) bool { return e.Before(d) }

// AddDays returns the date n days later, or earlier for a negative n.
func (d Date) AddDays(n int) Date { return DateOf(d.utc().AddDate(0, 0, n)) }

// AddMonths returns the same day n months later, or the last day of that month
// if it is shorter: 31 January plus one is 28 or 29 February. Count from the
// first date of a series, never from the date before: the day would be lost.
func (d Date) AddMonths(n int) Date {
	month := int(d.Month) - 1 + n
	year := d.Year + floorDiv(month, 12)
	m := time.Month(month-12*floorDiv(month, 12)) + 1
	return Date{year, m, min(d.Day, DaysIn(year, m))}
}

// DaysSince returns the number of days from e to d, negative if d is earlier.
func (d Date) DaysSince(e Date) int { return int(d.utc().Sub(e.utc()) / (24 * time.Hour)) }

// Start is the first instant of the day in a zone. Where the clocks skip
// midnight it is the first instant that has this date; where midnight comes
// twice it is the first of the two.
func (d Date) Start(zone *time.Location) time.Time {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
	// time.Date answers a skipped midnight with an instant of the day before or
	// after, and a doubled one with either of the two; both lie within a few
	// hours, so the start of the day is the first change of date around it.
	if DateOf(t) == d && DateOf(t.Add(-time.Second)).Before(d) {
		return t
	}
	before, within := t.Add(-6*time.Hour), t.Add(6*time.Hour)
	for within.Sub(before) > time.Second {
		half := before.Add(within.Sub(before) / 2).Truncate(time.Second)
		if DateOf(half).Before(d) {
			before = half
		} else {
			within = half
		}
	}
	return within
}

// String shows the date as "2006-01-02", and no date as "".
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// DaysIn is the number of days of a month.
func DaysIn(year int, m time.Month) int {
	return time.Date(year, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func (d Date) utc() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
