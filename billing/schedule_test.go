package billing_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// The table of protocols/billing-circle.md 9, and the edges of rounding.
func TestTaxOf(t *testing.T) {
	for _, tt := range []struct {
		amount int64
		rate   int
		want   int64
	}{{2900, 8250, 239}, {4400, 8250, 363}, {2701, 8250, 223}, {1999, 8004, 160}, {100, 500, 1}, {100, 499, 0}, {0, 8250, 0}, {-100, 8250, 0},
		{2900, 0, 0}, {billing.MaxAmount, billing.MaxTaxRate, billing.MaxAmount}} {
		if got := billing.TaxOf(billing.Minor(tt.amount, "USD"), tt.rate); got.Minor() != tt.want {
			t.Errorf("%d at %d: %d, want %d", tt.amount, tt.rate, got.Minor(), tt.want)
		}
	}
}

// schedule is one of n bills, 0 for no end, that is not held.
func schedule(cycle billing.Cycle, first billing.Date, n int, amount int64) *billing.Subscription {
	s := &billing.Subscription{Cycle: cycle, FirstDate: first, Amount: billing.Minor(amount, "USD"), Tax: billing.Minor(0, "USD"),
		Status: billing.Unbilled, Term: billing.Perpetual, Composition: &billing.Composition{}}
	if n > 0 {
		s.Term, s.Length = billing.Fixed, n
	}
	s.Schedule(nil)
	return s
}

// bills takes a schedule through all that is due by a day.
func bills(s *billing.Subscription, adjustments []billing.Adjustment, until billing.Date) (list []string) {
	for !s.NextDate.IsZero() && !s.NextDate.After(until) {
		if due := s.Advance(adjustments); due != nil {
			list = append(list, due.Date.String()+" "+s.Share().Decimal())
		}
	}
	return list
}

// The table of protocols/billing-circle.md 9.
func TestInstallments(t *testing.T) {
	for _, tt := range []struct {
		total int64
		n     int
		want  string
	}{
		{10000, 3, "33.34 33.33 33.33"}, {100000, 7, "142.90 142.85 142.85 142.85 142.85 142.85 142.85"},
		{1000, 4, "2.50 2.50 2.50 2.50"}, {5, 4, "0.02 0.01 0.01 0.01"},
	} {
		s := schedule(billing.Monthly, day(t, "2009-09-01"), 0, 0)
		if err := s.Spread(tt.total, tt.n); err != nil {
			t.Fatal(err)
		}
		if next := s.NextShare().Decimal(); next != strings.Fields(tt.want)[0] {
			t.Errorf("%d in %d begins with %s", tt.total, tt.n, next)
		}
		var got []string
		for _, b := range bills(s, nil, day(t, "2019-01-01")) {
			got = append(got, strings.Fields(b)[1])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%d in %d: %s, want %s", tt.total, tt.n, got, tt.want)
		}
		if !s.Complete() {
			t.Error("not complete")
		}
	}
	for _, tt := range []struct {
		total int64
		n     int
	}{{3, 4}, {0, 1}, {billing.MaxAmount + 1, 2}} {
		s := schedule(billing.Monthly, day(t, "2009-09-01"), 0, 0)
		if err := s.Spread(tt.total, tt.n); err == nil {
			t.Errorf("%d in %d was taken", tt.total, tt.n)
		}
	}
}

// Whatever is changed in between, the bills add up to the total that was agreed
// on last, and none is of nothing.
func TestInstallmentsAddUp(t *testing.T) {
	first := day(t, "2009-09-01")
	rapid.Check(t, func(t *rapid.T) {
		s := schedule(billing.Weekly, first, 0, 0)
		total, n := rapid.Int64Range(50, 100_000).Draw(t, "total"), rapid.IntRange(2, 50).Draw(t, "n")
		if err := s.Spread(total, n); err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for s.Schedule(nil); !s.NextDate.IsZero(); {
			next := s.NextShare()
			if s.Advance(nil) == nil || s.Share() != next || next.Sign() <= 0 {
				t.Fatalf("bill %d of %d is %s, was to be %s", s.Issued, n, s.Share(), next)
			}
			sum += s.Share().Minor()
			if !s.Complete() && rapid.IntRange(0, 9).Draw(t, "change") == 0 {
				total2, n2 := rapid.Int64Range(1, 100_000).Draw(t, "total"), rapid.IntRange(1, 60).Draw(t, "n")
				was := *s
				if s.Spread(total2, n2) == nil {
					total, n = total2, n2
				} else if s.Amount != was.Amount || s.Length != was.Length {
					t.Fatal("what was refused has changed the schedule")
				}
				s.Schedule(nil)
			}
		}
		if sum != total || s.Issued != n {
			t.Fatalf("%d bills came to %d, want %d of %d", s.Issued, sum, n, total)
		}
	})
}

// A schedule that waits to be confirmed begins with one bill, whatever it missed;
// one that was held goes on without what it missed.
func TestHoldAndRelease(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		cycle                   billing.Cycle
		first                   string
		n                       int
		confirmed, held, resume string
		want                    string
	}{
		{"confirmed in time", billing.Monthly, "2009-09-01", 0, "2009-08-28", "", "", "09-01 10-01 11-01 12-01"},
		{"confirmed on its day", billing.Monthly, "2009-09-01", 0, "2009-09-01", "", "", "09-01 10-01 11-01 12-01"},
		{"confirmed late", billing.Monthly, "2009-09-01", 0, "2009-09-20", "", "", "09-01 10-01 11-01 12-01"},
		{"confirmed very late, one bill", billing.Monthly, "2009-09-01", 0, "2009-11-15", "", "", "11-01 12-01"},
		{"confirmed late on a date", billing.Monthly, "2009-09-01", 0, "2009-11-01", "", "", "11-01 12-01"},
		{"a single one", billing.Monthly, "2009-09-01", 1, "2009-11-15", "", "", "09-01"},
		{"three bills, late", billing.Weekly, "2009-09-01", 3, "2009-09-10", "", "", "09-08 09-15 09-22"},
		{"held and resumed", billing.Monthly, "2009-09-01", 0, "2009-08-28", "2009-09-15", "2009-11-15", "09-01 12-01"},
		{"held and resumed on a date", billing.Monthly, "2009-09-01", 0, "2009-08-28", "2009-09-15", "2009-11-01", "09-01 11-01 12-01"},
		{"held between two dates", billing.Monthly, "2009-09-01", 0, "2009-08-28", "2009-09-15", "2009-09-20", "09-01 10-01 11-01 12-01"},
		{"a count is kept", billing.Weekly, "2009-09-01", 3, "2009-08-28", "2009-09-02", "2009-09-20", "09-01 09-22 09-29"},
		{"held before its first", billing.Monthly, "2009-09-01", 0, "2009-08-28", "2009-08-29", "2009-10-15", "10-01 11-01 12-01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := schedule(tt.cycle, day(t, tt.first), tt.n, 2900)
			a := s.Hold(day(t, "2009-08-27"), nil, "")
			if !s.NextDate.IsZero() || s.Status != billing.Paused {
				t.Fatalf("not held: %s, next %s", s.Status, s.NextDate)
			}
			s.Release(day(t, tt.confirmed), a)
			var got []string
			if tt.held != "" {
				got = bills(s, a, day(t, tt.held))
				a = s.Hold(day(t, tt.held), a, "")
				if again := s.Hold(day(t, tt.held), a, ""); len(again) != len(a) || !s.NextDate.IsZero() {
					t.Fatal("held twice")
				}
				s.Release(day(t, tt.resume), a)
			}
			got = append(got, bills(s, a, day(t, "2009-12-31"))...)
			for i := range got {
				got[i] = got[i][5:10]
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("billed on %s, want %s", got, tt.want)
			}
		})
	}
}

func TestStartAndEndDate(t *testing.T) {
	s := schedule(billing.Monthly, day(t, "2009-09-01"), 3, 2900)
	if s.EndDate() != day(t, "2009-11-01") || s.StartDate() != day(t, "2009-09-01") {
		t.Errorf("from %s to %s", s.StartDate(), s.EndDate())
	}
	bills(s, nil, day(t, "2009-09-30"))
	s.MoveNext(day(t, "2009-10-15"), nil)
	if s.EndDate() != day(t, "2009-11-15") || s.StartDate() != day(t, "2009-10-15") || s.NextDate != day(t, "2009-10-15") {
		t.Errorf("moved: from %s to %s, next %s", s.StartDate(), s.EndDate(), s.NextDate)
	}
	bills(s, nil, day(t, "2009-12-31"))
	if s.EndDate() != day(t, "2009-11-15") || !s.Complete() {
		t.Errorf("over: to %s", s.EndDate())
	}
	if endless := schedule(billing.Weekly, day(t, "2009-09-01"), 0, 2900); !endless.EndDate().IsZero() {
		t.Errorf("without end: %s", endless.EndDate())
	}
	fresh := schedule(billing.Weekly, day(t, "2009-09-01"), 2, 2900)
	fresh.MoveNext(day(t, "2009-09-03"), nil)
	if fresh.StartDate() != day(t, "2009-09-03") || fresh.EndDate() != day(t, "2009-09-10") {
		t.Errorf("moved before its first: from %s to %s", fresh.StartDate(), fresh.EndDate())
	}
}
