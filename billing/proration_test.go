package billing_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// TestProrate: what is left of a period, to the second and the cent.
func TestProrate(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		why          string
		whole        int64
		from, to, at string
		want         int64
	}{
		{"half of 10", 1000, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-16T00:00:00Z", 500},
		{"half of 20", 2000, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-16T00:00:00Z", 1000},
		{"half of a leap February", 2900, "2012-02-01T00:00:00Z", "2012-03-01T00:00:00Z", "2012-02-15T12:00:00Z", 1450},
		{"half a cent is a cent", 1, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-16T00:00:00Z", 1},
		{"a second more is none", 1, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-16T00:00:01Z", 0},
		{"parts of a second do not count", 1, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-16T00:00:00.999999Z", 1},
		{"all of it at the beginning", 1999, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-04-01T00:00:00Z", 1999},
		{"all of it before", 1999, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-03-01T00:00:00Z", 1999},
		{"nothing at the end", 1999, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-05-01T00:00:00Z", 0},
		{"nothing after it", 1999, "2011-04-01T00:00:00Z", "2011-05-01T00:00:00Z", "2011-06-01T00:00:00Z", 0},
		{"nothing of no period", 1999, "2011-04-01T00:00:00Z", "2011-04-01T00:00:00Z", "2011-03-01T00:00:00Z", 0},
		{"a day of 23 hours", 2300, "2011-03-13T05:00:00Z", "2011-03-14T04:00:00Z", "2011-03-14T03:00:00Z", 100},
	} {
		got, err := billing.Prorate(usd(c.whole), at(c.from), at(c.to), at(c.at))
		if err != nil || got != usd(c.want) {
			t.Errorf("%s: %v, %v, want %d", c.why, got, err, c.want)
		}
	}
}

// TestProrateEverywhere: over the periods of every zone and rhythm, month ends,
// leap days and changes of the clock among them, what is left lies between nothing
// and the whole, never grows as time goes by, and errs from the exact share by no
// more than half a cent, upwards where it is just that.
func TestProrateEverywhere(t *testing.T) {
	zones := zoneNames(t)
	rhythms := append([]billing.Cycle{billing.Months(2), billing.Months(5)}, cycles...)
	rapid.Check(t, func(r *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(r, "zone"))
		first := billing.Date{Year: rapid.IntRange(2009, 2030).Draw(r, "year"), Month: time.January, Day: 1}.AddDays(rapid.IntRange(0, 365).Draw(r, "day"))
		cycle := rapid.SampledFrom(rhythms).Draw(r, "cycle")
		k := rapid.IntRange(0, 30).Draw(r, "k")
		from, to := cycle.Date(first, k).Start(z), cycle.Date(first, k+1).Start(z)
		whole := usd(rapid.Int64Range(0, billing.MaxAmount).Draw(r, "whole"))
		length := to.Unix() - from.Unix()
		passed := rapid.Int64Range(0, length).Draw(r, "passed")
		at := from.Add(time.Duration(passed)*time.Second + time.Duration(rapid.IntRange(0, 999).Draw(r, "ms"))*time.Millisecond)
		left, err := billing.Prorate(whole, from, to, at)
		if err != nil {
			r.Fatal(err)
		}
		if left.Minor() < 0 || left.Minor() > whole.Minor() {
			r.Fatalf("%v is left of %v", left, whole)
		}
		// Twice the error, in cents times the period's length: -length < error <= length.
		twice := 2 * (left.Minor()*length - whole.Minor()*(length-passed))
		if twice <= -length || twice > length {
			r.Fatalf("%v is left of %v after %d of %d seconds", left, whole, passed, length)
		}
		later, err := billing.Prorate(whole, from, to, at.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(r, "later"))*time.Second))
		if err != nil || later.Minor() > left.Minor() {
			r.Fatalf("%v is left, and later %v, %v", left, later, err)
		}
	})
}

func TestMonths(t *testing.T) {
	for n := 1; n <= billing.MaxMonths; n++ {
		c := billing.Months(n)
		if got, err := billing.ParseCycle(string(c)); err != nil || got != c {
			t.Errorf("%d months: %v, %v", n, got, err)
		}
		if got, unit := c.Length(); got != n || unit != billing.InMonths {
			t.Errorf("%s is %d %s", c, got, unit)
		}
		if got, want := c.Date(day(t, "2024-01-31"), 1), day(t, "2024-01-31").AddMonths(n); got != want {
			t.Errorf("%s after 2024-01-31 is %v, want %v", c, got, want)
		}
		if k, ok := c.Index(day(t, "2024-01-31"), day(t, "2024-01-31").AddMonths(7*n)); !ok || k != 7 {
			t.Errorf("%s: the seventh has index %d, %v", c, k, ok)
		}
	}
	for _, name := range []string{"1-months", "3-months", "6-months", "12-months", "0-months", "121-months", "02-months", "+2-months", "-months", "2 months", "2-month"} {
		if c, err := billing.ParseCycle(name); err == nil {
			t.Errorf("%q was read as %s", name, c)
		}
	}
	for c, want := range map[billing.Cycle]int{billing.Weekly: 7, billing.Days(10): 10, billing.Semimonthly: 0} {
		if n, unit := c.Length(); n != want || unit != billing.InDays {
			t.Errorf("%s is %d %s", c, n, unit)
		}
	}
}
