package billing_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// refused holds an error against its kind and field.
func refused(t testing.TB, err error, kind billing.Kind, field string) {
	t.Helper()
	if err == nil {
		t.Fatal("not refused")
	}
	if got := billing.KindOf(err); got != kind {
		t.Errorf("%v: kind %d, want %d", err, got, kind)
	}
	if e, ok := err.(*billing.Error); !ok || e.Field != field {
		t.Errorf("%v: field at fault is not %q", err, field)
	}
}

// V5 of protocols/unipay.md.
func TestCancelAtOnce(t *testing.T) {
	for _, on := range []string{"2024-03-20", "2024-03-19", "2024-01-01"} { // today, yesterday, long ago
		t.Run(on, func(t *testing.T) {
			c := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			c.walk(t, "2024-03-20")
			var err error
			if c.adjustments, err = c.CancelOn(day(t, on), day(t, "2024-03-20"), nil, "moved"); err != nil {
				t.Fatal(err)
			}
			c.stands(t, billing.Cancelled, "", "")
			want := billing.Adjustment{Kind: billing.Cancel, Effective: day(t, "2024-03-20"), Note: "moved", State: billing.Done}
			if len(c.adjustments) != 1 || c.adjustments[0] != want {
				t.Errorf("adjustments are %+v", c.adjustments)
			}
			if !c.NextDate.IsZero() || c.Adjusted {
				t.Errorf("next event %v, adjusted %v", c.NextDate, c.Adjusted)
			}
			c.walk(t, "2034-01-01")
			c.expect(t, "0 2024-01-15", "1 2024-02-15", "2 2024-03-15")
			_, err = c.CancelOn(day(t, "2024-03-21"), day(t, "2024-03-21"), c.adjustments, "")
			refused(t, err, billing.State, "")
		})
	}
}

func TestCancelLater(t *testing.T) {
	for _, c := range []struct {
		name, on string
		want     []string
	}{
		{"between two billings", "2024-03-20", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15"}},
		{"the day before a billing", "2024-04-14", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15"}},
		{"on a billing date, which is not billed", "2024-03-15", []string{"0 2024-01-15", "1 2024-02-15"}},
		{"the day after a billing", "2024-03-16", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			s.walk(t, "2024-02-01")
			var err error
			if s.adjustments, err = s.CancelOn(day(t, c.on), day(t, "2024-02-01"), nil, ""); err != nil {
				t.Fatal(err)
			}
			s.stands(t, billing.Current, "2024-02-15", billing.Cancel)
			_, err = s.CancelOn(day(t, "2024-05-01"), day(t, "2024-02-01"), s.adjustments, "")
			refused(t, err, billing.State, "")

			s.walkTo(t, day(t, c.on).AddDays(-1))
			if s.Status != billing.Current {
				t.Errorf("the day before it is %s", s.Status)
			}
			s.walk(t, c.on)
			s.stands(t, billing.Cancelled, "", "")
			s.walk(t, "2034-01-01")
			s.expect(t, c.want...)
		})
	}
}

// Once the invoice of the day is made it stays owed.
func TestCancelOnTheDayOfItsBilling(t *testing.T) {
	for _, c := range []struct {
		name   string
		billed bool
		want   []string
	}{
		{"before the run", false, nil},
		{"after the run", true, []string{"0 2024-01-15"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			today := day(t, "2024-01-15")
			if c.billed {
				s.walkTo(t, today)
			}
			var err error
			if s.adjustments, err = s.CancelOn(today, today, nil, ""); err != nil {
				t.Fatal(err)
			}
			s.stands(t, billing.Cancelled, "", "")
			s.walk(t, "2025-01-01")
			s.expect(t, c.want...)
		})
	}
}

// The run was late: what was due before the day of the cancellation is owed all
// the same, and the subscription ends when it has been billed.
func TestCancelWhileTheRunIsLate(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	today := day(t, "2024-03-15")
	var err error
	if s.adjustments, err = s.CancelOn(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Unbilled, "2024-01-15", billing.Cancel)
	s.walkTo(t, today)
	s.stands(t, billing.Cancelled, "", "")
	s.expect(t, "0 2024-01-15", "1 2024-02-15")
}

func TestCancelVoidsEverythingElse(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Weekly, "2024-01-01")}
	today := day(t, "2024-01-02")
	s.walkTo(t, today)
	var err error
	if s.adjustments, err = s.FreezeFrom(day(t, "2024-01-15"), today, 4, nil, ""); err != nil {
		t.Fatal(err)
	}
	if s.adjustments, err = s.PauseFrom(day(t, "2024-03-01"), today, s.adjustments, ""); err != nil {
		t.Fatal(err)
	}
	if s.adjustments, err = s.CancelOn(day(t, "2024-01-20"), today, s.adjustments, ""); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Current, "2024-01-08", billing.Freeze)
	s.walk(t, "2024-12-31")
	s.expect(t, "0 2024-01-01", "1 2024-01-08", "2 2024-01-15 frozen")
	s.stands(t, billing.Cancelled, "", "")
	for _, a := range s.adjustments {
		if a.State != billing.Done {
			t.Errorf("the %s is %s", a.Kind, a.State)
		}
	}
	if s.Adjusted {
		t.Error("the subscription says that an adjustment is in force")
	}
}

// A term whose last invoice is made but not paid can still be cancelled, now or
// on a date.
func TestCancelOfACompleteTerm(t *testing.T) {
	for _, c := range []struct {
		on    string
		until billing.SubscriptionStatus
	}{{"2024-02-01", billing.Cancelled}, {"2024-03-01", billing.Current}} {
		t.Run(c.on, func(t *testing.T) {
			s := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 1)}
			s.walk(t, "2024-02-01")
			var err error
			if s.adjustments, err = s.CancelOn(day(t, c.on), day(t, "2024-02-01"), nil, ""); err != nil {
				t.Fatal(err)
			}
			s.walk(t, "2024-02-29")
			if s.Status != c.until {
				t.Errorf("status is %s, want %s", s.Status, c.until)
			}
			s.walk(t, "2024-03-01")
			s.stands(t, billing.Cancelled, "", "")
			s.expect(t, "0 2024-01-15")
		})
	}
}

func TestFreezeRefused(t *testing.T) {
	const today = "2024-02-20"
	for _, c := range []struct {
		name   string
		on     string
		length int
		kind   billing.Kind
		field  string
	}{
		{"length nought", "2024-03-15", 0, billing.Invalid, "length"},
		{"length below nought", "2024-03-15", -1, billing.Invalid, "length"},
		{"length without measure", "2024-03-15", billing.MaxPeriods + 1, billing.Invalid, "length"},
		{"today", today, 1, billing.State, "effectiveDate"},
		{"in the past", "2024-02-15", 1, billing.State, "effectiveDate"},
		{"no billing date", "2024-03-16", 1, billing.State, "effectiveDate"},
		{"the day before one", "2024-03-14", 1, billing.State, "effectiveDate"},
		{"no date", "", 1, billing.State, "effectiveDate"},
		{"overlaps the beginning", "2024-04-15", 2, billing.State, "effectiveDate"},
		{"overlaps the end", "2024-06-15", 5, billing.State, "effectiveDate"},
		{"within", "2024-06-15", 1, billing.State, "effectiveDate"},
		{"around", "2024-04-15", 9, billing.State, "effectiveDate"},
		{"the same again", "2024-05-15", 2, billing.State, "effectiveDate"},
		{"on the day of the cancellation", "2025-01-15", 1, billing.State, "effectiveDate"},
		{"after the cancellation", "2025-02-15", 1, billing.State, "effectiveDate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			s.walk(t, today)
			var err error
			if s.adjustments, err = s.FreezeFrom(day(t, "2024-05-15"), day(t, today), 2, nil, ""); err != nil {
				t.Fatal(err)
			}
			if s.adjustments, err = s.CancelOn(day(t, "2025-01-15"), day(t, today), s.adjustments, ""); err != nil {
				t.Fatal(err)
			}
			before := *s.Subscription
			var on billing.Date
			if c.on != "" {
				on = day(t, c.on)
			}
			got, err := s.FreezeFrom(on, day(t, today), c.length, s.adjustments, "")
			refused(t, err, c.kind, c.field)
			if got != nil || !reflect.DeepEqual(*s.Subscription, before) {
				t.Errorf("the refusal changed something")
			}
		})
	}
}

// The refusal names a date that would be accepted.
func TestFreezeRefusedNamesADateThatServes(t *testing.T) {
	s := subscribed(t, billing.Monthly, "2024-01-15")
	today := day(t, "2024-06-20") // the run is months late
	_, err := s.FreezeFrom(day(t, "2024-07-16"), today, 1, nil, "")
	refused(t, err, billing.State, "effectiveDate")
	if !strings.Contains(err.Error(), "2024-07-15") {
		t.Errorf("the error is %q", err)
	}
	if _, err := s.FreezeFrom(day(t, "2024-07-15"), today, 1, nil, ""); err != nil {
		t.Errorf("the date that it names is refused: %v", err)
	}
}

func TestFreezeNextToAnother(t *testing.T) {
	s := subscribed(t, billing.Monthly, "2024-01-15")
	today := day(t, "2024-01-01")
	adjustments, err := s.FreezeFrom(day(t, "2024-04-15"), today, 2, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if adjustments, err = s.FreezeFrom(day(t, "2024-03-15"), today, 1, adjustments, ""); err != nil {
		t.Errorf("just before: %v", err)
	}
	if _, err = s.FreezeFrom(day(t, "2024-06-15"), today, 1, adjustments, ""); err != nil {
		t.Errorf("just after: %v", err)
	}
}

// A billing date after the term is no billing date of the subscription.
func TestFreezeWithinTheTerm(t *testing.T) {
	s := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 3)}
	today := day(t, "2024-01-20")
	s.walkTo(t, today)
	_, err := s.FreezeFrom(day(t, "2024-04-15"), today, 1, nil, "")
	refused(t, err, billing.State, "effectiveDate")
	if s.adjustments, err = s.FreezeFrom(day(t, "2024-03-15"), today, 2, nil, ""); err != nil {
		t.Fatalf("the last date of the term: %v", err)
	}
	// The freeze has moved the last billing to 15 May.
	_, err = s.FreezeFrom(day(t, "2024-06-15"), today, 1, s.adjustments, "")
	refused(t, err, billing.State, "effectiveDate")
	if s.adjustments, err = s.FreezeFrom(day(t, "2024-05-15"), today, 1, s.adjustments, ""); err != nil {
		t.Errorf("the last date of the moved term: %v", err)
	}
	s.walk(t, "2030-01-01")
	s.expect(t, "0 2024-01-15", "1 2024-02-15", "2 2024-03-15 frozen", "3 2024-04-15 frozen", "4 2024-05-15 frozen", "5 2024-06-15")
}

func TestFreezeEndsBeforeTheYear10000(t *testing.T) {
	s := subscribed(t, billing.Yearly, "9990-01-01")
	_, err := s.FreezeFrom(day(t, "9995-01-01"), day(t, "9989-01-01"), 10, nil, "")
	refused(t, err, billing.Invalid, "length")
}

func TestNoAdjustmentAfterTheEnd(t *testing.T) {
	today := day(t, "2024-06-01")
	next := day(t, "2024-06-15")
	complete := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 2)}
	complete.walkTo(t, today)
	expired := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 2)}
	expired.walkTo(t, today)
	expired.Expire()
	cancelled := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	cancelled.walkTo(t, today)
	var err error
	if cancelled.adjustments, err = cancelled.CancelOn(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		*course
	}{{"complete", complete}, {"expired", expired}, {"cancelled", cancelled}} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.FreezeFrom(next, today, 1, c.adjustments, "")
			refused(t, err, billing.State, "")
			_, err = c.PauseFrom(next, today, c.adjustments, "")
			refused(t, err, billing.State, "")
			refused(t, c.Resume(today, c.adjustments), billing.State, "")
			if c.name != "complete" {
				_, err = c.CancelOn(next, today, c.adjustments, "")
				refused(t, err, billing.State, "")
			}
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	for _, c := range []struct {
		name         string
		pause, start string // the day of asking, the day it begins
		resume       string
		want         []string
		then         string // next billing after the resumption
	}{
		{"over two billings", "2024-02-01", "2024-02-01", "2024-03-20", []string{"0 2024-01-15", "3 2024-04-15"}, "2024-04-15"},
		{"over none", "2024-02-01", "2024-02-01", "2024-02-10", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15", "3 2024-04-15"}, "2024-02-15"},
		{"begins on a billing date", "2024-02-01", "2024-02-15", "2024-02-16", []string{"0 2024-01-15", "2 2024-03-15", "3 2024-04-15"}, "2024-03-15"},
		{"begins the day after one", "2024-02-01", "2024-02-16", "2024-03-16", []string{"0 2024-01-15", "1 2024-02-15", "3 2024-04-15"}, "2024-04-15"},
		{"ends on a billing date, which is billed", "2024-02-01", "2024-02-01", "2024-03-15", []string{"0 2024-01-15", "2 2024-03-15", "3 2024-04-15"}, "2024-03-15"},
		{"ends the day after one, which is not", "2024-02-01", "2024-02-01", "2024-03-16", []string{"0 2024-01-15", "3 2024-04-15"}, "2024-04-15"},
		{"a mistake, made and mended on a billing date", "2024-02-15", "2024-02-15", "2024-02-15", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15", "3 2024-04-15"}, "2024-02-15"},
		{"withdrawn before it begins", "2024-02-01", "2024-03-01", "2024-02-29", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15", "3 2024-04-15"}, "2024-03-15"},
		{"a date in the past means today", "2024-02-20", "2024-01-01", "2024-03-01", []string{"0 2024-01-15", "1 2024-02-15", "2 2024-03-15", "3 2024-04-15"}, "2024-03-15"},
	} {
		// The billing run of a day comes before or after what is asked that day.
		for _, early := range []bool{false, true} {
			name, then := c.name+", run late in the day", c.then
			if early {
				name = c.name + ", run early in the day"
				if strings.HasPrefix(c.name, "a mistake") {
					then = "2024-03-15" // the day was billed before anybody made the mistake
				}
			}
			t.Run(name, func(t *testing.T) {
				s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
				asked, start, resumed := day(t, c.pause), day(t, c.start), day(t, c.resume)
				upTo := func(d billing.Date) {
					if !early {
						d = d.AddDays(-1)
					}
					s.walkTo(t, d)
				}
				upTo(asked)
				var err error
				if s.adjustments, err = s.PauseFrom(start, asked, nil, "away"); err != nil {
					t.Fatal(err)
				}
				_, err = s.PauseFrom(start, asked, s.adjustments, "")
				refused(t, err, billing.State, "")
				if begun := !start.After(asked); begun != (s.Status == billing.Paused) {
					t.Errorf("after the asking the status is %s", s.Status)
				}
				upTo(resumed)
				if s.Status == billing.Paused {
					s.stands(t, billing.Paused, "", "")
					if !s.NextDate.IsZero() {
						t.Errorf("while it is paused, something happens on %v", s.NextDate)
					}
				}
				if err := s.Resume(resumed, s.adjustments); err != nil {
					t.Fatal(err)
				}
				refused(t, s.Resume(resumed, s.adjustments), billing.State, "")
				s.stands(t, billing.Current, then, "")
				if a := s.adjustments[0]; a.State != billing.Done || a.End != resumed || a.Note != "away" {
					t.Errorf("the adjustment is %+v", a)
				}
				s.walk(t, "2024-05-01")
				s.expect(t, c.want...)
			})
		}
	}
}

func TestPauseBeforeTheFirstBilling(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	today := day(t, "2024-01-10")
	var err error
	if s.adjustments, err = s.PauseFrom(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	s.walk(t, "2024-03-01")
	if err := s.Resume(day(t, "2024-03-01"), s.adjustments); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Unbilled, "2024-03-15", "")
	s.walk(t, "2024-03-15")
	s.expect(t, "2 2024-03-15")
}

// protocols/unipay.md 6.7: what a pause skips does not count toward the term.
func TestPausedBillingsDoNotCountTowardTheTerm(t *testing.T) {
	s := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 3)}
	s.walk(t, "2024-02-01")
	var err error
	if s.adjustments, err = s.PauseFrom(day(t, "2024-02-01"), day(t, "2024-02-01"), nil, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(day(t, "2024-05-01"), s.adjustments); err != nil {
		t.Fatal(err)
	}
	s.walk(t, "2030-01-01")
	s.expect(t, "0 2024-01-15", "4 2024-05-15", "5 2024-06-15")
}

func TestCancelDuringAPause(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	today := day(t, "2024-02-01")
	s.walkTo(t, today)
	var err error
	if s.adjustments, err = s.PauseFrom(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	if s.adjustments, err = s.CancelOn(day(t, "2024-06-01"), today, s.adjustments, ""); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Paused, "", billing.Cancel)
	if s.NextDate != day(t, "2024-06-01") {
		t.Errorf("next event is on %v", s.NextDate)
	}
	s.walk(t, "2024-05-31")
	s.stands(t, billing.Paused, "", billing.Cancel)
	s.walk(t, "2024-06-01")
	s.stands(t, billing.Cancelled, "", "")
	refused(t, s.Resume(day(t, "2024-06-02"), s.adjustments), billing.State, "")
	s.expect(t, "0 2024-01-15")
}

// A pause within a freeze gives back what is left of the freeze.
func TestPauseDuringAFreeze(t *testing.T) {
	for _, c := range []struct {
		resume string
		status billing.SubscriptionStatus
		next   string
		freeze billing.AdjustmentState
	}{
		{"2024-02-20", billing.Frozen, "2024-05-15", billing.InForce},
		{"2024-04-01", billing.Frozen, "2024-05-15", billing.InForce},
		{"2024-05-01", billing.Frozen, "2024-05-15", billing.InForce},
		{"2024-05-20", billing.Current, "2024-06-15", billing.Done},
	} {
		t.Run(c.resume, func(t *testing.T) {
			s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			s.walk(t, "2024-02-01")
			var err error
			if s.adjustments, err = s.FreezeFrom(day(t, "2024-02-15"), day(t, "2024-02-01"), 3, nil, ""); err != nil {
				t.Fatal(err)
			}
			s.walk(t, "2024-02-16")
			if s.adjustments, err = s.PauseFrom(day(t, "2024-02-16"), day(t, "2024-02-16"), s.adjustments, ""); err != nil {
				t.Fatal(err)
			}
			s.stands(t, billing.Paused, "", "")
			s.walk(t, c.resume)
			if err := s.Resume(day(t, c.resume), s.adjustments); err != nil {
				t.Fatal(err)
			}
			s.stands(t, c.status, c.next, "")
			if got := s.adjustments[0].State; got != c.freeze {
				t.Errorf("the freeze is %s, want %s", got, c.freeze)
			}
		})
	}
}

// The freeze began and ended while the subscription was paused: it is not still
// to come.
func TestFreezeThatPassedDuringAPause(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	today := day(t, "2024-02-01")
	s.walkTo(t, today)
	var err error
	if s.adjustments, err = s.FreezeFrom(day(t, "2024-03-15"), today, 1, nil, ""); err != nil {
		t.Fatal(err)
	}
	if s.adjustments, err = s.PauseFrom(today, today, s.adjustments, ""); err != nil {
		t.Fatal(err)
	}
	s.walk(t, "2024-06-01")
	if err := s.Resume(day(t, "2024-06-01"), s.adjustments); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Current, "2024-06-15", "")
	if s.Adjusted {
		t.Error("the subscription says that an adjustment is in force")
	}
}

// A pause and its end were both asked for while the run was late.
func TestPauseThatNobodyCameToBegin(t *testing.T) {
	s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
	var err error
	if s.adjustments, err = s.PauseFrom(day(t, "2024-02-01"), day(t, "2024-02-01"), nil, ""); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Unbilled, "2024-01-15", billing.Pause)
	if err := s.Resume(day(t, "2024-04-01"), s.adjustments); err != nil {
		t.Fatal(err)
	}
	if s.adjustments, err = s.PauseFrom(day(t, "2024-05-01"), day(t, "2024-04-02"), s.adjustments, ""); err != nil {
		t.Fatalf("a second pause: %v", err)
	}
	s.walk(t, "2024-12-31")
	s.expect(t, "0 2024-01-15", "3 2024-04-15")
	s.stands(t, billing.Paused, "", "")
}
