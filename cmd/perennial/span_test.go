package main

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

func newYork(t interface{ Fatal(...any) }) *time.Location {
	zone, err := time.LoadLocation(demoZone)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]span{
		"1d":                {days: 1},
		"3w":                {days: 21},
		"2mo":               {months: 2},
		"1y":                {months: 12},
		"36h":               {rest: 36 * time.Hour},
		"1h30m":             {rest: 90 * time.Minute},
		"1 month":           {months: 1},
		"12 months":         {months: 12},
		"1 Year 6 Months":   {months: 18},
		"1mo2d3h4m5s":       {months: 1, days: 2, rest: 3*time.Hour + 4*time.Minute + 5*time.Second},
		"  2  weeks 1 day ": {days: 15},
	} {
		got, err := parseSpan(text)
		if err != nil || got != want {
			t.Errorf("parseSpan(%q) = %v, %v; want %v", text, got, err, want)
		}
		if got, err := parseSpan(strings.Fields(text)...); err != nil || got != want {
			t.Errorf("in words, parseSpan(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "1", "d", "-1d", "1.5h", "1d-", "1fortnight", "0d", "9999999999999999999d", "101y", "40000d",
		"1d 1", "1 d d", "999999999h", "100000000000mo"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("parseSpan(%q) = %v, want an error", text, got)
		}
	}
}

func TestSpanAfter(t *testing.T) {
	zone := newYork(t)
	for _, c := range []struct{ from, by, want string }{
		{"2020-01-31T09:00", "1mo", "2020-02-29T09:00:00-05:00"},
		{"2020-01-31T09:00", "2mo", "2020-03-31T09:00:00-04:00"},
		{"2020-02-29T09:00", "1y", "2021-02-28T09:00:00-05:00"},
		{"2020-03-07T12:00", "1d", "2020-03-08T12:00:00-04:00"},  // a day of 23 hours
		{"2020-03-07T12:00", "24h", "2020-03-08T13:00:00-04:00"}, // and what 24 hours are
		{"2020-10-31T12:00", "1d", "2020-11-01T12:00:00-05:00"},
		{"2020-03-07T02:30", "1d", "2020-03-08T01:30:00-05:00"}, // an hour that does not exist: the one before
		{"2020-01-31T09:00", "1mo1d", "2020-03-01T09:00:00-05:00"},
	} {
		from, err := parseMoment(c.from, zone)
		if err != nil {
			t.Fatal(err)
		}
		by, err := parseSpan(c.by)
		if err != nil {
			t.Fatal(err)
		}
		if got := by.after(from, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s and %s is %s, want %s", c.from, c.by, got, c.want)
		}
	}
}

// A span always leads forward, and months are the calendar's.
func TestSpanLeadsForward(t *testing.T) {
	zone := newYork(t)
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "from"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		by := span{
			months: rapid.IntRange(0, maxSpanMonths).Draw(t, "months"), days: rapid.IntRange(0, 400).Draw(t, "days"),
			rest: time.Duration(rapid.Int64Range(int64(2*time.Hour), int64(1000*time.Hour)).Draw(t, "rest")),
		}
		to := by.after(from, zone)
		if !to.After(from) {
			t.Fatalf("%v and %v is %v", from, by, to)
		}
		by.rest = 0
		if want := billing.DateOf(from.In(zone)).AddMonths(by.months).AddDays(by.days); billing.DateOf(by.after(from, zone).In(zone)) != want {
			t.Fatalf("%v and %v is on %v, want %v", from, by, by.after(from, zone), want)
		}
	})
}

func TestParseMoment(t *testing.T) {
	zone := newYork(t)
	for text, want := range map[string]string{
		"2020-02-01":                "2020-02-01T00:00:00-05:00",
		"2020-07-01":                "2020-07-01T00:00:00-04:00",
		"2020-02-01T10:00":          "2020-02-01T10:00:00-05:00",
		"2020-02-01 10:00:30":       "2020-02-01T10:00:30-05:00",
		"2020-02-01T10:00Z":         "2020-02-01T05:00:00-05:00",
		"2020-02-01T10:00:00+01:00": "2020-02-01T04:00:00-05:00",
	} {
		got, err := parseMoment(text, zone)
		if err != nil || got.In(zone).Format(time.RFC3339) != want {
			t.Errorf("parseMoment(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "2020-02-30", "2020-2-1", "01/02/2020", "2020-02-01T25:00", "2020-02-01T10", "10:00"} {
		if got, err := parseMoment(text, zone); err == nil {
			t.Errorf("parseMoment(%q) = %v, want an error", text, got)
		}
	}
}
