package billing_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// subscribed is a subscription as the cashier makes it, on nobody's plan.
func subscribed(t rapid.TB, cycle billing.Cycle, first string) *billing.Subscription {
	t.Helper()
	s := &billing.Subscription{
		Term: billing.Perpetual, Cycle: cycle, FirstDate: day(t, first),
		Amount: usd(1999), Status: billing.Unbilled,
	}
	s.Schedule(nil)
	return s
}

// fixed gives a subscription a term.
func fixed(s *billing.Subscription, length int) *billing.Subscription {
	s.Term, s.Length = billing.Fixed, length
	return s
}

// invoicedFrom lets invoices go out before their billing dates.
func invoicedFrom(t rapid.TB, s *billing.Subscription, first string) *billing.Subscription {
	s.FirstInvoicing = day(t, first)
	s.Schedule(nil)
	return s
}

// course is a subscription with the adjustments that a store would keep beside
// it, and what Advance made of them.
type course struct {
	*billing.Subscription
	adjustments []billing.Adjustment
	invoices    []string // see walk
}

// walk takes every event up to and including a day, as a billing run does, and
// notes each invoice as "period billing-date", with "frozen" behind it if it is
// only for the fee of a frozen billing.
func (c *course) walk(t rapid.TB, until string) {
	t.Helper()
	c.walkTo(t, day(t, until))
}

func (c *course) walkTo(t rapid.TB, until billing.Date) {
	t.Helper()
	for steps := 0; !c.NextDate.IsZero() && !c.NextDate.After(until); steps++ {
		if steps > 100_000 {
			t.Fatalf("no end of events on %v", c.NextDate)
		}
		on := c.NextDate
		due := c.Advance(c.adjustments)
		if !c.NextDate.IsZero() && c.NextDate.Before(on) {
			t.Fatalf("the event after %v lies before it, on %v", on, c.NextDate)
		}
		if due == nil {
			continue
		}
		line := fmt.Sprintf("%d %v", due.Period, due.Date)
		if due.Frozen {
			line += " frozen"
		}
		c.invoices = append(c.invoices, line)
	}
}

// expect holds the invoices so far against a list.
func (c *course) expect(t rapid.TB, want ...string) {
	t.Helper()
	if got, wanted := strings.Join(c.invoices, ", "), strings.Join(want, ", "); got != wanted {
		t.Fatalf("invoices are\n\t%s\nwant\n\t%s", got, wanted)
	}
}

// stands holds status, next billing and pending adjustment against what is
// wanted; an empty next means none.
func (c *course) stands(t rapid.TB, status billing.SubscriptionStatus, next string, pending billing.AdjustmentKind) {
	t.Helper()
	if c.Status != status {
		t.Errorf("status is %s, want %s", c.Status, status)
	}
	if got := c.NextBilling(c.adjustments).String(); got != next {
		t.Errorf("next billing is %q, want %q", got, next)
	}
	if got := billing.PendingAdjustment(c.adjustments); got != pending {
		t.Errorf("pending adjustment is %q, want %q", got, pending)
	}
}

func TestPerpetualBillsOnEveryDate(t *testing.T) {
	c := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-31")}
	c.stands(t, billing.Unbilled, "2024-01-31", "")
	c.walk(t, "2024-01-30")
	c.expect(t)
	c.walk(t, "2024-01-31")
	c.expect(t, "0 2024-01-31")
	c.stands(t, billing.Current, "2024-02-29", "")
	if c.LastDate != day(t, "2024-01-31") || c.Issued != 1 || c.Period != 1 {
		t.Errorf("last %v, issued %d, period %d", c.LastDate, c.Issued, c.Period)
	}
	c.walk(t, "2024-05-30")
	c.expect(t, "0 2024-01-31", "1 2024-02-29", "2 2024-03-31", "3 2024-04-30")
	c.walk(t, "2024-05-30") // nothing more comes of asking twice
	c.expect(t, "0 2024-01-31", "1 2024-02-29", "2 2024-03-31", "3 2024-04-30")
}

// V2 of protocols/unipay.md: twelve payments, then the end.
func TestFixedTermOfTwelve(t *testing.T) {
	c := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-03-15"), 12)}
	c.walk(t, "2034-01-01")
	if len(c.invoices) != 12 || c.invoices[11] != "11 2025-02-15" {
		t.Fatalf("invoices: %v", c.invoices)
	}
	if !c.Complete() || c.Ended() || !c.NextDate.IsZero() {
		t.Errorf("after the last invoice: complete %v, ended %v, next event %v", c.Complete(), c.Ended(), c.NextDate)
	}
	c.stands(t, billing.Current, "", "")
	c.Expire()
	c.stands(t, billing.Expired, "", "")
	if !c.Ended() || !c.NextDate.IsZero() || !c.NextAt.IsZero() || c.Adjusted {
		t.Errorf("expired: ended %v, next %v %v, adjusted %v", c.Ended(), c.NextDate, c.NextAt, c.Adjusted)
	}
	if due := c.Advance(nil); due != nil || c.Period != 12 {
		t.Errorf("an expired subscription was advanced to %v, period %d", due, c.Period)
	}
}

func TestFixedTermOfOne(t *testing.T) {
	c := &course{Subscription: fixed(subscribed(t, billing.Yearly, "2024-02-29"), 1)}
	c.walk(t, "2040-01-01")
	c.expect(t, "0 2024-02-29")
}

// V4 of protocols/unipay.md: an existing subscription is frozen for the next
// three months, beginning with the next billing date.
func TestFreezeOfThree(t *testing.T) {
	c := &course{Subscription: subscribed(t, billing.Monthly, "2024-05-02")}
	c.walk(t, "2024-05-20")
	next := c.NextBilling(nil)
	var err error
	c.adjustments, err = c.FreezeFrom(next, day(t, "2024-05-20"), 3, nil, "holiday")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.adjustments) != 1 {
		t.Fatalf("%d adjustments", len(c.adjustments))
	}
	want := billing.Adjustment{
		Kind: billing.Freeze, Effective: day(t, "2024-06-02"), End: day(t, "2024-09-01"),
		Length: 3, Note: "holiday", State: billing.Waiting,
	}
	if c.adjustments[0] != want {
		t.Errorf("adjustment is %+v", c.adjustments[0])
	}
	c.stands(t, billing.Current, "2024-09-02", billing.Freeze)
	if !c.Adjusted {
		t.Error("the subscription does not say that it has an adjustment")
	}

	c.walk(t, "2024-06-01")
	c.stands(t, billing.Current, "2024-09-02", billing.Freeze)
	c.walk(t, "2024-06-02")
	c.stands(t, billing.Frozen, "2024-09-02", "")
	if c.adjustments[0].State != billing.InForce {
		t.Errorf("the freeze is %s", c.adjustments[0].State)
	}
	c.walk(t, "2024-09-01")
	c.stands(t, billing.Frozen, "2024-09-02", "")
	if c.Issued != 1 || c.LastDate != day(t, "2024-05-02") {
		t.Errorf("frozen billings counted: issued %d, last %v", c.Issued, c.LastDate)
	}
	c.walk(t, "2024-09-02")
	c.stands(t, billing.Current, "2024-10-02", "")
	if c.adjustments[0].State != billing.Done || c.Adjusted {
		t.Errorf("the freeze is %s, adjusted %v", c.adjustments[0].State, c.Adjusted)
	}
	c.expect(t, "0 2024-05-02", "1 2024-06-02 frozen", "2 2024-07-02 frozen", "3 2024-08-02 frozen", "4 2024-09-02")
}

// protocols/unipay.md 6.7: the term moves back by the frozen count.
func TestFrozenBillingsDoNotCountTowardTheTerm(t *testing.T) {
	c := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-31"), 4)}
	c.walk(t, "2024-01-31")
	var err error
	if c.adjustments, err = c.FreezeFrom(day(t, "2024-02-29"), day(t, "2024-02-01"), 3, nil, ""); err != nil {
		t.Fatal(err)
	}
	c.walk(t, "2030-01-01")
	c.expect(t, "0 2024-01-31", "1 2024-02-29 frozen", "2 2024-03-31 frozen", "3 2024-04-30 frozen",
		"4 2024-05-31", "5 2024-06-30", "6 2024-07-31")
	if c.Issued != 4 || !c.Complete() {
		t.Errorf("issued %d, complete %v", c.Issued, c.Complete())
	}
}

func TestFreezeBeforeTheFirstBilling(t *testing.T) {
	c := &course{Subscription: fixed(subscribed(t, billing.Weekly, "2024-01-08"), 2)}
	var err error
	if c.adjustments, err = c.FreezeFrom(day(t, "2024-01-08"), day(t, "2024-01-07"), 1, nil, ""); err != nil {
		t.Fatal(err)
	}
	c.stands(t, billing.Unbilled, "2024-01-15", billing.Freeze)
	c.walk(t, "2024-01-14")
	c.stands(t, billing.Frozen, "2024-01-15", "")
	c.walk(t, "2024-12-31")
	c.expect(t, "0 2024-01-08 frozen", "1 2024-01-15", "2 2024-01-22")
}

// NextBilling sees past freezes in whatever order the store returns them.
func TestNextBillingSeesPastAdjacentFreezes(t *testing.T) {
	c := &course{Subscription: subscribed(t, billing.Weekly, "2024-01-01")}
	today := day(t, "2023-12-25")
	for _, f := range []struct {
		on     string
		length int
	}{{"2024-01-29", 3}, {"2024-01-15", 2}, {"2024-01-01", 2}} {
		var err error
		if c.adjustments, err = c.FreezeFrom(day(t, f.on), today, f.length, c.adjustments, ""); err != nil {
			t.Fatal(err)
		}
	}
	c.stands(t, billing.Unbilled, "2024-02-19", billing.Freeze)
	c.walk(t, "2024-02-19")
	if got := c.invoices[len(c.invoices)-1]; got != "7 2024-02-19" {
		t.Errorf("the first invoice is %s", got)
	}
}

func TestPendingAdjustmentIsTheFirst(t *testing.T) {
	at := func(kind billing.AdjustmentKind, on string, state billing.AdjustmentState) billing.Adjustment {
		return billing.Adjustment{Kind: kind, Effective: day(t, on), State: state}
	}
	for _, c := range []struct {
		name        string
		adjustments []billing.Adjustment
		want        billing.AdjustmentKind
	}{
		{"none", nil, ""},
		{"one", []billing.Adjustment{at(billing.Cancel, "2024-05-01", billing.Waiting)}, billing.Cancel},
		{"the earlier, given last", []billing.Adjustment{
			at(billing.Cancel, "2024-05-01", billing.Waiting), at(billing.Freeze, "2024-04-01", billing.Waiting),
		}, billing.Freeze},
		{"not what holds or is over", []billing.Adjustment{
			at(billing.Freeze, "2024-01-01", billing.InForce), at(billing.Pause, "2024-02-01", billing.Done),
		}, ""},
		{"the later, if the earlier is over", []billing.Adjustment{
			at(billing.Freeze, "2024-01-01", billing.Done), at(billing.Pause, "2024-06-01", billing.Waiting),
		}, billing.Pause},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := billing.PendingAdjustment(c.adjustments); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestInvoicesBeforeTheirBillingDates(t *testing.T) {
	c := &course{Subscription: invoicedFrom(t, subscribed(t, billing.Monthly, "2024-01-31"), "2024-01-21")}
	if c.NextDate != day(t, "2024-01-21") {
		t.Fatalf("first event on %v", c.NextDate)
	}
	c.walk(t, "2024-01-20")
	c.expect(t)
	c.walk(t, "2024-01-21")
	c.expect(t, "0 2024-01-31")
	c.stands(t, billing.Current, "2024-02-29", "")
	if c.LastDate != day(t, "2024-01-21") {
		t.Errorf("last invoicing on %v", c.LastDate)
	}
	c.walk(t, "2024-03-21")
	c.expect(t, "0 2024-01-31", "1 2024-02-29", "2 2024-03-31")
	if got := c.InvoicingDate(3); got != day(t, "2024-04-21") {
		t.Errorf("invoice 3 goes out on %v", got)
	}
}

// A billing dated on or after the cancellation is not made, though its invoice
// would have gone out before (protocols/unipay.md 4.4).
func TestCancelBetweenInvoicingAndBilling(t *testing.T) {
	for _, c := range []struct {
		name, on string
		want     []string
	}{
		{"before the billing date", "2024-02-25", []string{"0 2024-01-31"}},
		{"on the billing date", "2024-02-29", []string{"0 2024-01-31"}},
		{"after the billing date", "2024-03-01", []string{"0 2024-01-31", "1 2024-02-29"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &course{Subscription: invoicedFrom(t, subscribed(t, billing.Monthly, "2024-01-31"), "2024-01-21")}
			s.walk(t, "2024-02-01")
			var err error
			if s.adjustments, err = s.CancelOn(day(t, c.on), day(t, "2024-02-01"), nil, ""); err != nil {
				t.Fatal(err)
			}
			promised := s.NextBilling(s.adjustments)
			if want := len(c.want) == 2; want != !promised.IsZero() {
				t.Errorf("next billing is %v", promised)
			}
			s.walk(t, "2024-12-31")
			s.expect(t, c.want...)
			s.stands(t, billing.Cancelled, "", "")
		})
	}
}

// A pause that would have covered the billing but is withdrawn in time loses
// nothing: the invoice goes out late, with its own date.
func TestPauseBetweenInvoicingAndBilling(t *testing.T) {
	s := &course{Subscription: invoicedFrom(t, subscribed(t, billing.Monthly, "2024-01-31"), "2024-01-21")}
	s.walk(t, "2024-02-01")
	var err error
	if s.adjustments, err = s.PauseFrom(day(t, "2024-02-25"), day(t, "2024-02-01"), nil, ""); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Current, "", billing.Pause)
	s.walk(t, "2024-02-24")
	s.expect(t, "0 2024-01-31")
	if err := s.Resume(day(t, "2024-02-24"), s.adjustments); err != nil {
		t.Fatal(err)
	}
	s.stands(t, billing.Current, "2024-02-29", "")
	s.walk(t, "2024-02-24")
	s.expect(t, "0 2024-01-31", "1 2024-02-29")
}

func TestCheckChange(t *testing.T) {
	for _, c := range []struct {
		name   string
		today  string
		close  int
		refuse bool
	}{
		{"no closed days", "2024-02-15", 0, false},
		{"long before", "2024-02-01", 3, false},
		{"a day before the closed days", "2024-02-11", 3, false},
		{"first closed day", "2024-02-12", 3, true},
		{"the day before", "2024-02-14", 3, true},
		{"the day itself", "2024-02-15", 3, true},
		{"one closed day", "2024-02-14", 1, true},
		{"before the one", "2024-02-13", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &course{Subscription: subscribed(t, billing.Monthly, "2024-01-15")}
			s.walk(t, "2024-01-15")
			err := s.CheckChange(day(t, c.today), c.close)
			if (err != nil) != c.refuse {
				t.Fatalf("%v, want refused %v", err, c.refuse)
			}
			if err != nil && billing.KindOf(err) != billing.State {
				t.Errorf("kind %v", billing.KindOf(err))
			}
		})
	}
}

func TestCheckChangeWhereNothingIsBilled(t *testing.T) {
	today := day(t, "2024-02-14")
	cancelled := subscribed(t, billing.Monthly, "2024-02-15")
	if _, err := cancelled.CancelOn(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	paused := subscribed(t, billing.Monthly, "2024-02-15")
	if _, err := paused.PauseFrom(today, today, nil, ""); err != nil {
		t.Fatal(err)
	}
	complete := &course{Subscription: fixed(subscribed(t, billing.Monthly, "2024-01-15"), 1)}
	complete.walk(t, "2024-01-15")
	for _, c := range []struct {
		name string
		*billing.Subscription
	}{{"cancelled", cancelled}, {"paused", paused}, {"complete", complete.Subscription}} {
		if err := c.CheckChange(today, 30); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAdvanceWithoutAnEvent(t *testing.T) {
	for _, s := range []billing.Subscription{
		{Status: billing.Cancelled, Cycle: billing.Monthly, FirstDate: day(t, "2024-01-01")},
		{Status: billing.Expired, Cycle: billing.Monthly, FirstDate: day(t, "2024-01-01")},
		{Status: billing.Paused, Cycle: billing.Monthly, FirstDate: day(t, "2024-01-01")},
		{Status: billing.Current, Cycle: billing.Monthly, FirstDate: day(t, "2024-01-01"), Term: billing.Fixed, Length: 2, Issued: 2},
	} {
		before := s
		if due := s.Advance(nil); due != nil {
			t.Errorf("%s: %+v", before.Status, due)
		}
		if !reflect.DeepEqual(s, before) {
			t.Errorf("%s was changed to %+v", before.Status, s)
		}
	}
}
