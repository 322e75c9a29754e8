package billing_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// step is something that a client asks for on a day.
type step struct {
	kind   billing.AdjustmentKind // or "resume"
	asked  billing.Date
	on     billing.Date
	length int
}

const resume billing.AdjustmentKind = "resume"

func (s step) String() string {
	return fmt.Sprintf("%v: %s on %v for %d", s.asked, s.kind, s.on, s.length)
}

// from is the day on which a cancellation or pause begins: a date that has come
// means the day of asking.
func (s step) from() billing.Date {
	if s.on.Before(s.asked) {
		return s.asked
	}
	return s.on
}

// ask puts a step to a subscription and reports whether it was accepted.
func (c *course) ask(s step) bool {
	var err error
	next := c.adjustments
	switch s.kind {
	case billing.Cancel:
		next, err = c.CancelOn(s.on, s.asked, slices.Clone(c.adjustments), "")
	case billing.Pause:
		next, err = c.PauseFrom(s.on, s.asked, slices.Clone(c.adjustments), "")
	case billing.Freeze:
		next, err = c.FreezeFrom(s.on, s.asked, s.length, slices.Clone(c.adjustments), "")
	case resume:
		err = c.Resume(s.asked, c.adjustments)
	}
	if err == nil {
		c.adjustments = next
	}
	return err == nil
}

// story is a subscription, the day on which it was made, and what was asked for
// since, in order.
type story struct {
	billing.Subscription
	made  billing.Date
	until billing.Date
	steps []step
}

func stories() *rapid.Generator[story] {
	return rapid.Custom(func(t *rapid.T) story {
		var s story
		s.Cycle = rapid.SampledFrom(cycles).Draw(t, "cycle")
		s.FirstDate = datesBetween(2020, 2030).Draw(t, "first")
		s.made = s.FirstDate.AddDays(-rapid.IntRange(-60, 20).Draw(t, "lead")) // a first billing date may lie in the past
		s.Term, s.Status = billing.Perpetual, billing.Unbilled
		if rapid.Bool().Draw(t, "fixed") {
			s.Term, s.Length = billing.Fixed, rapid.IntRange(1, 14).Draw(t, "term")
		}
		s.until = s.Cycle.Date(s.FirstDate, 20)
		span := s.until.DaysSince(s.made)
		asked := s.made
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			asked = asked.AddDays(rapid.IntRange(0, span/8).Draw(t, "wait"))
			st := step{
				kind:   rapid.SampledFrom([]billing.AdjustmentKind{billing.Pause, resume, billing.Freeze, billing.Freeze, billing.Cancel}).Draw(t, "what"),
				asked:  asked,
				on:     s.Cycle.Date(s.FirstDate, rapid.IntRange(0, 20).Draw(t, "billing")),
				length: rapid.IntRange(1, 4).Draw(t, "length"),
			}
			if st.kind != billing.Freeze && rapid.Bool().Draw(t, "any day") {
				st.on = asked.AddDays(rapid.IntRange(-5, span/6).Draw(t, "ahead"))
			}
			s.steps = append(s.steps, st)
		}
		return s
	})
}

// begin is the subscription as it was made.
func (s story) begin() *course {
	c := &course{Subscription: new(billing.Subscription)}
	*c.Subscription = s.Subscription
	c.Schedule(nil)
	return c
}

// tell asks for everything in its time. Before the steps of a day the billing
// run has taken what awake says of the days before; at the end it takes all. It
// returns the subscription and which steps were accepted.
func (s story) tell(t rapid.TB, awake func(billing.Date) bool, each func(*course)) (*course, []step) {
	t.Helper()
	c := s.begin()
	var accepted []step
	todo := s.steps
	for d := s.made; !d.After(s.until); d = d.AddDays(1) {
		for len(todo) > 0 && todo[0].asked == d {
			complete := c.Complete()
			if c.ask(todo[0]) && !complete {
				accepted = append(accepted, todo[0])
			}
			todo = todo[1:]
			if each != nil {
				each(c)
			}
		}
		if awake(d) {
			c.walkTo(t, d)
		}
	}
	c.walkTo(t, s.until)
	return c, accepted
}

func always(billing.Date) bool { return true }
func never(billing.Date) bool  { return false }

// invoices are the invoices that should come of accepted steps, by the rule for
// one billing date at a time: no state is carried from one to the next but the
// count of a fixed term.
func (s story) invoices(accepted []step, until billing.Date) []string {
	type span struct{ from, to billing.Date } // to is zero while nobody has resumed
	var pauses []span
	var frozen [][2]int
	var cancelled billing.Date
	for _, st := range accepted {
		switch st.kind {
		case billing.Cancel:
			cancelled = st.from()
		case billing.Pause:
			pauses = append(pauses, span{from: st.from()})
		case resume:
			pauses[len(pauses)-1].to = st.asked
		case billing.Freeze:
			k, _ := s.Cycle.Index(s.FirstDate, st.on)
			frozen = append(frozen, [2]int{k, k + st.length})
		}
	}
	var invoices []string
	issued := 0
	for k := 0; s.Term == billing.Perpetual || issued < s.Length; k++ {
		d := s.Cycle.Date(s.FirstDate, k)
		if d.After(until) || !cancelled.IsZero() && !d.Before(cancelled) {
			break
		}
		if slices.ContainsFunc(pauses, func(p span) bool { return !d.Before(p.from) && (p.to.IsZero() || d.Before(p.to)) }) {
			continue
		}
		line := fmt.Sprintf("%d %v", k, d)
		if slices.ContainsFunc(frozen, func(f [2]int) bool { return k >= f[0] && k < f[1] }) {
			line += " frozen"
		} else {
			issued++
		}
		invoices = append(invoices, line)
	}
	return invoices
}

// The rule for one billing date at a time and the walk from event to event give
// the same invoices, whatever was asked for.
func TestWalkGivesTheInvoicesOfTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		c, accepted := s.tell(t, always, nil)
		c.expect(t, s.invoices(accepted, s.until)...)
		counted := 0
		for _, line := range c.invoices {
			if !strings.HasSuffix(line, "frozen") {
				counted++
			}
		}
		if counted != c.Issued {
			t.Fatalf("%d invoices count, the subscription says %d", counted, c.Issued)
		}
	})
}

// When the billing run woke up changes no invoice, no date and no standing.
func TestWhenTheRunWokeUpChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		daily, accepted := s.tell(t, always, nil)
		one, _ := s.tell(t, never, nil)
		nap := rapid.IntRange(2, 200).Draw(t, "nap")
		some, _ := s.tell(t, func(d billing.Date) bool { return d.DaysSince(s.made)%nap == 0 }, nil)
		for _, other := range []struct {
			name string
			*course
		}{{"one jump", one}, {"naps", some}} {
			if !slices.Equal(other.invoices, daily.invoices) {
				t.Fatalf("accepted %v\nday by day %v\nin %s %v", accepted, daily.invoices, other.name, other.invoices)
			}
			if daily.Ended() {
				// A late run may have skipped billings of a pause that ended
				// after the cancellation: to a billing that never comes.
				other.Period = daily.Period
			}
			if !reflect.DeepEqual(other.Subscription, daily.Subscription) {
				t.Fatalf("accepted %v\nday by day %+v\nin %s %+v", accepted, *daily.Subscription, other.name, *other.Subscription)
			}
			if a, b := other.NextBilling(other.adjustments), daily.NextBilling(daily.adjustments); a != b {
				t.Fatalf("accepted %v: next billing day by day %v, in %s %v", accepted, b, other.name, a)
			}
		}
	})
}

// NextBilling is what the rule says of the future, and what Advance then does.
func TestNextBillingComesTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		far := s.Cycle.Date(s.FirstDate, 60)
		var accepted []step
		c := s.begin()
		for _, st := range s.steps {
			c.walkTo(t, st.asked.AddDays(-1))
			complete := c.Complete()
			if c.ask(st) && !complete {
				accepted = append(accepted, st)
			}
			before, kept := *c.Subscription, slices.Clone(c.adjustments)
			promised := c.NextBilling(c.adjustments)
			if !reflect.DeepEqual(*c.Subscription, before) || !slices.Equal(c.adjustments, kept) {
				t.Fatal("asking for the next billing changed something")
			}
			var want billing.Date
			for _, line := range s.invoices(accepted, far)[len(c.invoices):] {
				if period, date, _ := strings.Cut(line, " "); !strings.HasSuffix(line, "frozen") {
					_ = period
					want, _ = billing.ParseDate(date)
					break
				}
			}
			if promised != want {
				t.Fatalf("accepted %v: next billing is %v, the rule says %v", accepted, promised, want)
			}
			ahead := &course{Subscription: &before, adjustments: kept}
			var came billing.Date
			for came.IsZero() && !ahead.NextDate.IsZero() {
				if due := ahead.Advance(ahead.adjustments); due != nil && !due.Frozen {
					came = due.Date
				}
			}
			if came != promised {
				t.Fatalf("accepted %v: next billing is %v, what came is %v", accepted, promised, came)
			}
		}
	})
}

// A fixed term that is left alone long enough issues as many invoices as it has
// payments, freezes and finished pauses notwithstanding; no period is billed
// twice and none goes back.
func TestFixedTermIssuesItsLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Filter(func(s story) bool { return s.Term == billing.Fixed }).Draw(t, "story")
		s.steps = slices.DeleteFunc(s.steps, func(st step) bool { return st.kind == billing.Cancel })
		s.steps = append(s.steps, step{kind: resume, asked: s.until})
		c, _ := s.tell(t, always, nil)
		c.walkTo(t, s.Cycle.Date(s.FirstDate, 100))
		if !c.Complete() || c.Issued != s.Length {
			t.Fatalf("%d of %d payments issued: %v", c.Issued, s.Length, c.invoices)
		}
		last := -1
		for _, line := range c.invoices {
			var k int
			var date string
			if _, err := fmt.Sscanf(line, "%d %s", &k, &date); err != nil {
				t.Fatal(err)
			}
			if k <= last {
				t.Fatalf("period %d comes after %d", k, last)
			}
			if want := s.Cycle.Date(s.FirstDate, k).String(); date != want {
				t.Fatalf("period %d is billed for %s, want %s", k, date, want)
			}
			last = k
		}
		c.Expire()
		if c.walkTo(t, s.Cycle.Date(s.FirstDate, 200)); c.Issued != s.Length {
			t.Fatalf("an expired term went on to %d", c.Issued)
		}
	})
}

// What the subscription says of itself fits together after every step.
func TestStandingIsConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		s.tell(t, always, func(c *course) {
			waits := slices.ContainsFunc(c.adjustments, func(a billing.Adjustment) bool { return a.State != billing.Done })
			inForce := func(kind billing.AdjustmentKind) bool {
				return slices.ContainsFunc(c.adjustments, func(a billing.Adjustment) bool { return a.Kind == kind && a.State == billing.InForce })
			}
			switch {
			case c.Adjusted != waits:
				t.Fatalf("adjusted is %v of %+v", c.Adjusted, c.adjustments)
			case c.Ended() && (waits || !c.NextDate.IsZero()):
				t.Fatalf("ended, with %+v, next %v", c.adjustments, c.NextDate)
			case (c.Status == billing.Paused) != inForce(billing.Pause):
				t.Fatalf("status is %s of %+v", c.Status, c.adjustments)
			case c.Status == billing.Frozen && !inForce(billing.Freeze):
				t.Fatalf("frozen by %+v", c.adjustments)
			case c.Status == billing.Unbilled && c.Issued > 0 || c.Status == billing.Current && c.Issued == 0:
				t.Fatalf("status is %s after %d invoices", c.Status, c.Issued)
			case c.LastDate.IsZero() != (c.Issued == 0):
				t.Fatalf("last invoicing %v after %d invoices", c.LastDate, c.Issued)
			case c.Term == billing.Fixed && c.Issued > c.Length:
				t.Fatalf("%d invoices of a term of %d", c.Issued, c.Length)
			}
		})
	})
}

// Where invoices go out before their billing dates the same holds as far as it
// can: nothing dated on or after a cancellation that is known goes out, every
// invoice goes out on its day or, after a pause, later, and a term is full.
func TestEarlyInvoices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories().Draw(t, "story")
		s.FirstInvoicing = s.FirstDate.AddDays(-rapid.IntRange(0, 6).Draw(t, "early"))
		c := s.begin()
		todo := s.steps
		var cancelled billing.Date
		for d := s.made; !d.After(s.until); d = d.AddDays(1) {
			for len(todo) > 0 && todo[0].asked == d {
				if st := todo[0]; c.ask(st) && st.kind == billing.Cancel {
					cancelled = st.from()
				}
				todo = todo[1:]
			}
			n := len(c.invoices)
			promised := c.NextBilling(c.adjustments)
			c.walkTo(t, d)
			for i, line := range c.invoices[n:] {
				var k int
				var date string
				if _, err := fmt.Sscanf(line, "%d %s", &k, &date); err != nil {
					t.Fatal(err)
				}
				if c.InvoicingDate(k).After(d) {
					t.Fatalf("invoice %s went out on %v, before %v", line, d, c.InvoicingDate(k))
				}
				if !cancelled.IsZero() && !day(t, date).Before(cancelled) {
					t.Fatalf("invoice %s went out though the end on %v was known", line, cancelled)
				}
				if i == 0 && !strings.HasSuffix(line, "frozen") && day(t, date) != promised {
					t.Fatalf("invoice %s went out, promised was %v", line, promised)
				}
			}
		}
		if s.Term == billing.Fixed && c.Issued > s.Length {
			t.Fatalf("%d invoices of a term of %d", c.Issued, s.Length)
		}
	})
}
