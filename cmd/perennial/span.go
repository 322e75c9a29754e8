package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// span is how far a clock is moved: by months of the calendar, which differ in
// length, then by days of the calendar, of which two in a year have 23 and 25
// hours, then by time.
type span struct {
	months, days int
	rest         time.Duration
}

// maxSpan bounds each part of a span: a century.
const (
	maxSpanMonths = 1200
	maxSpanDays   = 36_525
)

// parseSpan reads "1d", "3w", "2mo", "1y", "36h", "1h30m", and the same in words,
// as in "2 months" or "1 year 6 months".
func parseSpan(words ...string) (span, error) {
	text := strings.ToLower(strings.Join(words, " "))
	rest := strings.TrimSpace(text)
	var s span
	if rest == "" {
		return s, fmt.Errorf("how far? as in 1d, 3w, 2mo, 1y, 36h, 1h30m")
	}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil {
			return span{}, badSpan(text)
		}
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		if !s.add(n, rest[:letters]) {
			return span{}, badSpan(text)
		}
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	if s.months > maxSpanMonths || s.days > maxSpanDays || s.rest > maxSpanDays*24*time.Hour {
		return span{}, fmt.Errorf("%q is more than a century", text)
	}
	if s == (span{}) {
		return span{}, fmt.Errorf("%q moves nothing", text)
	}
	return s, nil
}

func badSpan(text string) error {
	return fmt.Errorf("%q is no stretch of time: write 1d, 3w, 2mo, 1y, 36h, 1h30m, or words as in 2 months", text)
}

// add adds n units, and reports whether there is such a unit and so much of it.
func (s *span) add(n int, unit string) bool {
	if n > maxSpanDays*24*60 {
		return false
	}
	switch unit {
	case "s", "sec", "second", "seconds":
		s.rest += time.Duration(n) * time.Second
	case "m", "min", "minute", "minutes":
		s.rest += time.Duration(n) * time.Minute
	case "h", "hour", "hours":
		s.rest += time.Duration(n) * time.Hour
	case "d", "day", "days":
		s.days += n
	case "w", "week", "weeks":
		s.days += 7 * n
	case "mo", "month", "months":
		s.months += n
	case "y", "year", "years":
		s.months += 12 * n
	default:
		return false
	}
	return true
}

// after is the instant that lies a span after another on a zone's calendar: a
// month after 31 January is the last day of February, at the same hour.
func (s span) after(t time.Time, zone *time.Location) time.Time {
	if s.months == 0 && s.days == 0 {
		return t.Add(s.rest)
	}
	local := t.In(zone)
	d := billing.DateOf(local).AddMonths(s.months).AddDays(s.days)
	hour, minute, second := local.Clock()
	return time.Date(d.Year, d.Month, d.Day, hour, minute, second, local.Nanosecond(), zone).Add(s.rest)
}

// parseMoment reads a point in time on a merchant's clock: a date, which is the
// beginning of that day in the merchant's zone, or a date and a time of day, in
// that zone unless another is told.
func parseMoment(text string, zone *time.Location) (time.Time, error) {
	if d, err := billing.ParseDate(text); err == nil {
		return d.Start(zone), nil
	}
	normal := strings.Replace(text, " ", "T", 1)
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, normal); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, normal, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no point in time: write 2020-02-01, 2020-02-01T10:00 or 2020-02-01T10:00:00-05:00", text)
}

// showMoment writes a point in time for people.
func showMoment(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2 Jan 2006 15:04:05 MST")
}
