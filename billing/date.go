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
func (d Date) DaysSince(e Date) int {
	// By seconds, because a time.Duration ends after 292 years.
	return int((d.utc().Unix() - e.utc().Unix()) / (24 * 60 * 60))
}

// Start is the first instant at which the calendar of a zone shows this date or
// a later one. Where the clocks skip midnight it is the first instant that has
// this date; where midnight comes twice it is the first of the two; a day that
// the zone left out, as Samoa did 30 December 2011, starts with the day after
// it. So a later date never starts earlier.
func (d Date) Start(zone *time.Location) time.Time {
	// time.Date is of no help with a midnight that does not exist or comes
	// twice, so the zone's own changes are followed. At a whole day before the
	// start by UTC the date has begun nowhere; from there the wall clock runs
	// evenly as far as the next change of the offset.
	at := d.utc().AddDate(0, 0, -1).In(zone)
	for {
		_, offset := at.Zone()
		begin := d.utc().Add(-time.Duration(offset) * time.Second).In(zone)
		if begin.Before(at) {
			begin = at // the change has carried the wall clock into the date or past it
		}
		_, end := at.ZoneBounds()
		if !end.After(at) && !end.IsZero() {
			// Beyond the changes that a zone's file lists, package time ends each
			// year after 365 days: on 31 December of a leap year the end is past.
			end = at.Add(time.Hour)
		}
		if end.IsZero() || begin.Before(end) {
			return begin
		}
		at = end
	}
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
