package billing_test

import (
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // so that the test knows the zones on every machine

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// zoneNames are all names of the tz database, from testdata/zones.txt.
func zoneNames(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(text))
	if len(names) < 590 {
		t.Fatalf("only %d zones", len(names))
	}
	return names
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestStartOfOddDays(t *testing.T) {
	for _, c := range []struct {
		why, zone, date string
		want            string // UTC
	}{
		{"plain day west", "America/New_York", "2024-06-01", "2024-06-01T04:00:00Z"},
		{"plain day east", "Asia/Tokyo", "2024-06-01", "2024-05-31T15:00:00Z"},
		{"plain day of a quarter zone", "Asia/Kathmandu", "2024-06-01", "2024-05-31T18:15:00Z"},
		{"clocks change, but not at midnight", "America/New_York", "2024-03-10", "2024-03-10T05:00:00Z"},
		{"day after it", "America/New_York", "2024-03-11", "2024-03-11T04:00:00Z"},

		{"midnight skipped", "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"},
		{"midnight skipped", "Asia/Beirut", "2022-03-27", "2022-03-26T22:00:00Z"},
		{"midnight skipped", "Africa/Cairo", "2023-04-28", "2023-04-27T22:00:00Z"},
		{"midnight skipped", "America/Havana", "2024-03-10", "2024-03-10T05:00:00Z"},
		{"midnight skipped", "America/Asuncion", "2023-10-01", "2023-10-01T04:00:00Z"},
		{"midnight skipped", "America/Santiago", "2023-09-03", "2023-09-03T04:00:00Z"},
		{"midnight skipped", "Asia/Tehran", "2022-03-22", "2022-03-21T20:30:00Z"},
		{"clocks go on a minute past midnight", "Asia/Gaza", "2011-04-01", "2011-03-31T22:00:00Z"},

		{"midnight twice", "America/Havana", "2023-11-05", "2023-11-05T04:00:00Z"},
		{"clocks go back at 24:00 to 23:00", "America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"},
		{"clocks go back at 24:00 to 23:00", "Asia/Beirut", "2022-10-30", "2022-10-29T22:00:00Z"},
		{"a minute of the day, then an hour of the day before", "America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"},
		{"the same of spring is plain", "America/St_Johns", "2010-03-14", "2010-03-14T03:30:00Z"},
		{"day after the doubled minute", "America/St_Johns", "2010-11-08", "2010-11-08T03:30:00Z"},

		{"day before one that never was", "Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z"},
		{"day that never was", "Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},
		{"day after one that never was", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
		{"next day", "Pacific/Apia", "2012-01-01", "2011-12-31T10:00:00Z"},
		{"day that never was", "Pacific/Kwajalein", "1993-08-21", "1993-08-21T12:00:00Z"},
		{"day after one that never was", "Pacific/Kwajalein", "1993-08-22", "1993-08-21T12:00:00Z"},
		{"day that never was", "Pacific/Kiritimati", "1994-12-31", "1994-12-31T10:00:00Z"},
		{"day after one that never was", "Pacific/Kiritimati", "1995-01-01", "1994-12-31T10:00:00Z"},
		{"day that never was", "Pacific/Fakaofo", "2011-12-30", "2011-12-30T11:00:00Z"},
		{"day lived twice", "America/Juneau", "1867-10-18", "1867-10-17T08:57:41Z"},
	} {
		t.Run(c.zone+" "+c.date, func(t *testing.T) {
			want, err := time.Parse(time.RFC3339, c.want)
			if err != nil {
				t.Fatal(err)
			}
			got := day(t, c.date).Start(zone(t, c.zone))
			if !got.Equal(want) {
				t.Errorf("%s: starts %s, want %s", c.why, got.UTC().Format(time.RFC3339), c.want)
			}
		})
	}
}

// checkStart holds a start against its definition: there the calendar shows the
// date or a later one, and at no instant before does it. Between two changes of
// a zone's offset the calendar only goes forward, so of each such span the last
// second is asked.
func checkStart(t testing.TB, z *time.Location, d billing.Date) {
	t.Helper()
	start := d.Start(z)
	if shown := billing.DateOf(start.In(z)); shown.Before(d) {
		t.Errorf("%s %v starts at %s, where it is %v", z, d, start, shown)
	}
	last := start.Add(-time.Nanosecond)
	for last.After(start.Add(-72 * time.Hour)) {
		if shown := billing.DateOf(last.In(z)); !shown.Before(d) {
			t.Errorf("%s %v starts at %s, but at %s it was %v already", z, d, start, last, shown)
			return
		}
		begin, _ := last.In(z).ZoneBounds()
		if begin.IsZero() {
			return
		}
		if begin.After(last) {
			t.Fatalf("%s: the offset of %s begins at %s", z, last, begin)
		}
		last = begin.Add(-time.Nanosecond)
	}
}

// existed tells whether a zone's calendar ever showed a date, by looking at
// every quarter of an hour about it.
func existed(z *time.Location, d billing.Date) bool {
	at := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Add(-36 * time.Hour)
	for range 4 * 96 {
		if billing.DateOf(at.In(z)) == d {
			return true
		}
		at = at.Add(15 * time.Minute)
	}
	return false
}

// In every zone, about every change of its clocks since 1840 and up to 2040.
func TestStartInEveryZone(t *testing.T) {
	var checked, missing int
	for _, name := range zoneNames(t) {
		z := zone(t, name)
		until := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
		for at := time.Date(1840, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(until); {
			_, end := at.In(z).ZoneBounds()
			if end.IsZero() {
				break
			}
			if !end.After(at) { // see TestStartAtNewYear
				end = at.Add(24 * time.Hour)
			}
			at = end
			before := billing.DateOf(end.UTC()).AddDays(-3)
			for n := range 6 {
				d := before.AddDays(n)
				checked++
				checkStart(t, z, d)
				start, next := d.Start(z), d.AddDays(1).Start(z)
				switch {
				case next.Before(start):
					t.Errorf("%s: %v starts after the day that follows it", name, d)
				case billing.DateOf(start.In(z)) == d:
					if !start.Before(next) {
						t.Errorf("%s: %v starts with the day that follows it", name, d)
					}
				case existed(z, d):
					t.Errorf("%s: %v starts at %s, another day", name, d, start)
				default:
					missing++
					if !start.Equal(next) {
						t.Errorf("%s: %v never was, but does not start with the day that follows it", name, d)
					}
				}
			}
		}
	}
	if checked < 200_000 || missing == 0 {
		t.Errorf("only %d days were looked at, %d of them left out by their zone", checked, missing)
	}
}

// On 31 December of a leap year, package time names an end of the zone's offset
// that is past, where a zone's file has only a rule for the year: from 2038 on in
// the files of most systems, from 2007 on for New York in those that Go embeds.
// A search that went from end to end once went on for ever there.
func TestStartAtNewYear(t *testing.T) {
	for _, name := range zoneNames(t) {
		z := zone(t, name)
		for year := 2020; year <= 2060; year++ {
			d := billing.Date{Year: year, Month: time.December, Day: 29}
			for range 5 {
				checkStart(t, z, d)
				if billing.DateOf(d.Start(z).In(z)) != d && existed(z, d) {
					t.Errorf("%s: %v starts at %s", name, d, d.Start(z))
				}
				d = d.AddDays(1)
			}
		}
	}
}

// The same definition on any day, with the wall clock read minute for minute.
func TestStartMinuteByMinute(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "zone")
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		d := datesBetween(1900, 2100).Draw(t, "date")
		start := d.Start(z)
		if shown := billing.DateOf(start.In(z)); shown.Before(d) {
			t.Fatalf("%v starts at %s, where it is %v", d, start, shown)
		}
		for at := start.Add(-time.Second); at.After(start.Add(-30 * time.Hour)); at = at.Add(-time.Minute) {
			if shown := billing.DateOf(at.In(z)); !shown.Before(d) {
				t.Fatalf("%v starts at %s, but at %s it was %v already", d, start, at, shown)
			}
		}
		lived := existed(z, d)
		if lived != (billing.DateOf(start.In(z)) == d) {
			t.Fatalf("%v starts at %s; that it was a day there is %v", d, start, lived)
		}
		if next := d.AddDays(1).Start(z); next.Before(start) || lived && next.Equal(start) {
			t.Fatalf("%v starts %s, the next day %s", d, start, next)
		}
	})
}

func TestStartInFixedZones(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.IntRange(-24*3600+1, 24*3600-1).Draw(t, "offset")
		d := dates().Draw(t, "date")
		z := time.FixedZone("there", offset)
		if want := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, z); !d.Start(z).Equal(want) {
			t.Fatalf("%v starts %s, want %s", d, d.Start(z), want)
		}
	})
}

func TestMerchantsCalendar(t *testing.T) {
	m := &billing.Merchant{Zone: zone(t, "America/Havana")}
	start := m.Start(day(t, "2023-11-05"))
	if start.Location() != time.UTC {
		t.Errorf("instants are UTC, this one is %s", start.Location())
	}
	if got := m.Today(start); got != day(t, "2023-11-05") {
		t.Errorf("at its start the day is %v", got)
	}
	if got := m.Today(start.Add(-time.Nanosecond)); got != day(t, "2023-11-04") {
		t.Errorf("just before its start the day is %v", got)
	}
	// 00:30 comes twice on this day; it is the same day both times.
	if got := m.Today(start.Add(90 * time.Minute)); got != day(t, "2023-11-05") {
		t.Errorf("in the hour that comes again the day is %v", got)
	}
}

func BenchmarkStart(b *testing.B) {
	for _, name := range []string{"UTC", "America/New_York", "Europe/London", "Pacific/Apia"} {
		z := zone(b, name)
		b.Run(name, func(b *testing.B) {
			d := day(b, "2031-05-17")
			for b.Loop() {
				d.Start(z)
			}
		})
	}
}
