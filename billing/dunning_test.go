package billing_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

const (
	soft = billing.ResponseCode("51")
	hard = billing.ResponseCode("R02")
)

// merchant has a calendar in which days do not begin at 00:00 UTC.
func merchant(t rapid.TB, s billing.Settings) *billing.Merchant {
	t.Helper()
	z, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	return &billing.Merchant{Zone: z, Currency: "USD", Settings: s}
}

// decline is a declined claim and when the debt is claimed next, "" for never.
type decline struct {
	on   string
	code billing.ResponseCode
	next string
}

func TestRetrySchedule(t *testing.T) {
	for _, c := range []struct {
		name     string
		days     []int
		declines []decline
	}{
		{"3, 7 and 14 days after the first decline by default", nil, []decline{
			{"2024-05-01", soft, "2024-05-04"}, {"2024-05-04", soft, "2024-05-08"}, {"2024-05-08", soft, "2024-05-15"}, {"2024-05-15", soft, ""},
		}},
		{"never for a hard decline", nil, []decline{{"2024-05-01", hard, ""}}},
		{"a hard decline ends the schedule", nil, []decline{{"2024-05-01", soft, "2024-05-04"}, {"2024-05-04", hard, ""}}},
		{"and a soft one after it takes its place", nil, []decline{{"2024-05-01", hard, ""}, {"2024-05-03", soft, "2024-05-08"}}},
		{"days of the merchant's choice", []int{1, 30}, []decline{
			{"2024-01-31", soft, "2024-02-01"}, {"2024-02-01", soft, "2024-03-01"}, {"2024-03-01", soft, ""},
		}},
		{"one day", []int{5}, []decline{{"2024-05-01", soft, "2024-05-06"}, {"2024-05-06", soft, ""}}},
		{"none", []int{0}, []decline{{"2024-05-01", soft, ""}, {"2024-06-01", soft, ""}}},
		{"a late run keeps the days of the first decline", nil, []decline{
			{"2024-05-01", soft, "2024-05-04"}, {"2024-05-06", soft, "2024-05-08"}, {"2024-05-09", soft, "2024-05-15"},
		}},
		{"and where it missed one, goes on the day after", nil, []decline{
			{"2024-05-01", soft, "2024-05-04"}, {"2024-05-10", soft, "2024-05-11"}, {"2024-05-11", soft, "2024-05-15"}, {"2024-05-15", soft, ""},
		}},
		{"missed to the very day", nil, []decline{{"2024-05-01", soft, "2024-05-04"}, {"2024-05-08", soft, "2024-05-09"}}},
		{"after everything was missed, two more tries", nil, []decline{
			{"2024-05-01", soft, "2024-05-04"}, {"2024-08-01", soft, "2024-08-02"}, {"2024-08-02", soft, "2024-08-03"}, {"2024-08-03", soft, ""},
		}},
		{"a code that nobody listed is soft", nil, []decline{{"2024-05-01", "5Z", "2024-05-04"}}},
		{"a return that nobody listed is hard", nil, []decline{{"2024-05-01", "R61", ""}}},
		{"over the change of the clocks", []int{3}, []decline{{"2024-03-08", soft, "2024-03-11"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := merchant(t, billing.Settings{RetryDays: c.days})
			debt := &billing.Activity{Kind: billing.Invoice, CollectAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
			for i, d := range c.declines {
				again := debt.Declined(m, day(t, d.on), d.code)
				if again != (d.next != "") {
					t.Errorf("decline %d: again is %v", i, again)
				}
				var want time.Time
				if d.next != "" {
					want = m.Start(day(t, d.next))
				}
				if !debt.CollectAt.Equal(want) {
					t.Errorf("decline %d: next claim %v, want %v", i, debt.CollectAt, want)
				}
				if debt.Tries != i+1 || debt.DeclinedOn != day(t, c.declines[0].on) {
					t.Errorf("decline %d: %d tries, first declined %v", i, debt.Tries, debt.DeclinedOn)
				}
			}
		})
	}
}

func TestRenewedBeginsTheScheduleAnew(t *testing.T) {
	m := merchant(t, billing.Settings{})
	debt := &billing.Activity{Kind: billing.Invoice}
	debt.Declined(m, day(t, "2024-05-01"), hard)
	at := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	debt.Renewed(at)
	if debt.Tries != 0 || !debt.DeclinedOn.IsZero() || !debt.CollectAt.Equal(at) {
		t.Fatalf("renewed: %d tries, declined %v, next %v", debt.Tries, debt.DeclinedOn, debt.CollectAt)
	}
	if !debt.Declined(m, day(t, "2024-06-01"), soft) {
		t.Error("not tried again")
	}
	if want := m.Start(day(t, "2024-06-04")); !debt.CollectAt.Equal(want) || debt.DeclinedOn != day(t, "2024-06-01") {
		t.Errorf("next claim %v, first decline %v", debt.CollectAt, debt.DeclinedOn)
	}
}

// However late each claim is, a debt is tried as often as the schedule has days
// and never twice on one day.
func TestRetriesAreBoundedAndApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var days []int
		for range rapid.IntRange(1, 6).Draw(t, "retries") {
			last := 0
			if len(days) > 0 {
				last = days[len(days)-1]
			}
			days = append(days, last+rapid.IntRange(1, 20).Draw(t, "gap"))
		}
		m := merchant(t, billing.Settings{RetryDays: days})
		if err := m.Settings.Check(); err != nil {
			t.Fatal(err)
		}
		debt := &billing.Activity{Kind: billing.Invoice}
		on := billing.Date{Year: 2024, Month: 2, Day: 25}
		first := on
		for n := range days {
			if !debt.Declined(m, on, soft) {
				t.Fatalf("given up after %d of %d retries", n, len(days))
			}
			next := m.Today(debt.CollectAt)
			if !next.After(on) {
				t.Fatalf("declined on %v, claimed again on %v", on, next)
			}
			if due := first.AddDays(days[n]); due.After(on) && next != due {
				t.Fatalf("retry %d is due on %v and made on %v", n, due, next)
			}
			if !debt.CollectAt.Equal(m.Start(next)) {
				t.Fatalf("claimed at %v, not at the start of a day", debt.CollectAt)
			}
			on = next.AddDays(rapid.IntRange(0, 30).Draw(t, "late"))
		}
		if debt.Declined(m, on, soft) || !debt.CollectAt.IsZero() {
			t.Fatalf("a retry more than the %d of the schedule", len(days))
		}
	})
}

func TestAgeing(t *testing.T) {
	fees := func(late int64, after, writeOff int) billing.Settings {
		return billing.Settings{Fees: billing.Fees{Late: late, LateAfterDays: after}, WriteOffAfterDays: writeOff}
	}
	for _, c := range []struct {
		name     string
		settings billing.Settings
		kind     billing.ActivityKind
		want     []string // days and what they bring
	}{
		{"nothing by default", billing.Settings{}, billing.Invoice, nil},
		{"late fee", fees(500, 10, 0), billing.Invoice, []string{"2024-05-11 late"}},
		{"no late fee without an amount", fees(0, 10, 0), billing.Invoice, nil},
		{"write-off", fees(0, 0, 90), billing.Invoice, []string{"2024-07-30 old"}},
		{"late fee, then write-off", fees(500, 10, 90), billing.Invoice, []string{"2024-05-11 late", "2024-07-30 old"}},
		{"both on a day is only a write-off", fees(500, 90, 90), billing.Invoice, []string{"2024-07-30 old"}},
		{"written off before it is late", fees(500, 100, 90), billing.Invoice, []string{"2024-07-30 old"}},
		{"the next day", fees(500, 1, 2), billing.Invoice, []string{"2024-05-02 late", "2024-05-03 old"}},
		{"a service fee grows late", fees(500, 10, 0), billing.ServiceFee, []string{"2024-05-11 late"}},
		{"a late fee bears no late fee", fees(500, 10, 0), billing.LateFee, nil},
		{"but is written off", fees(500, 10, 90), billing.LateFee, []string{"2024-07-30 old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := merchant(t, c.settings)
			debt := &billing.Activity{Kind: c.kind, Due: day(t, "2024-05-01")}
			var got []string
			from := day(t, "2024-04-20")
			for debt.Age(m, from); !debt.AgeAt.IsZero(); debt.Age(m, from) {
				last := from
				from = m.Today(debt.AgeAt)
				if !debt.AgeAt.Equal(m.Start(from)) {
					t.Errorf("it grows at %v, not at the start of a day", debt.AgeAt)
				}
				if before := from.AddDays(-1); before.After(last) && debt.GrowthOn(m, before) != billing.NoGrowth {
					t.Errorf("the day before %v brings %d", from, debt.GrowthOn(m, before))
				}
				growth := debt.GrowthOn(m, from)
				got = append(got, from.String()+map[billing.Growth]string{billing.NoGrowth: " nothing", billing.GrowsLate: " late", billing.GrowsOld: " old"}[growth])
				if growth == billing.GrowsOld {
					break // nothing is left of it
				}
				if len(got) > 5 {
					t.Fatalf("no end: %v", got)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("it grew %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("it grew %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestGrowthAfterItsDay(t *testing.T) {
	m := merchant(t, billing.Settings{Fees: billing.Fees{Late: 500, LateAfterDays: 10}, WriteOffAfterDays: 90})
	debt := &billing.Activity{Kind: billing.Invoice, Due: day(t, "2024-05-01")}
	for _, c := range []struct {
		on   string
		want billing.Growth
	}{
		{"2024-05-01", billing.NoGrowth}, {"2024-05-10", billing.NoGrowth}, {"2024-05-11", billing.GrowsLate},
		{"2024-05-12", billing.NoGrowth}, // once, on its day
		{"2024-07-29", billing.NoGrowth}, {"2024-07-30", billing.GrowsOld}, {"2024-08-15", billing.GrowsOld},
	} {
		if got := debt.GrowthOn(m, day(t, c.on)); got != c.want {
			t.Errorf("on %s: %d, want %d", c.on, got, c.want)
		}
	}
}

func TestWhatHasNoDueDateDoesNotAge(t *testing.T) {
	m := merchant(t, billing.Settings{Fees: billing.Fees{Late: 500, LateAfterDays: 10}, WriteOffAfterDays: 90})
	debt := &billing.Activity{Kind: billing.Invoice, AgeAt: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	debt.Age(m, day(t, "2024-05-01"))
	if !debt.AgeAt.IsZero() {
		t.Errorf("it grows at %v", debt.AgeAt)
	}
	if g := debt.GrowthOn(m, day(t, "2024-05-01")); g != billing.NoGrowth {
		t.Errorf("growth %d", g)
	}
}
