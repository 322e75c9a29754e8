package billing

import (
	"fmt"
	"strconv"
	"strings"
)

// Anchor is where the series of a subscription's billing dates begins anew:
// billing Period is on Date, and those that follow are counted from there. The
// end of an initial phase is one, and so is an extension. Where the rhythm changes
// with it, those before keep theirs, from the first billing date on.
type Anchor struct {
	Period int // from 1; 0 is the first billing date
	Date   Date
	Cycle  Cycle // from here on, "" for the subscription's
}

// Access is how long what a subscription pays for can be used. It changes when
// the subscription ends, not when it bills.
type Access string

// The kinds of access.
const (
	AnyAccess     Access = ""     // the merchant's affair: a fixed term ends with its last payment, a cancellation at once
	PaidAccess    Access = "paid" // to the end of the day on which the next billing falls or would fall
	EndlessAccess Access = "life" // once paid, for ever
)

// BillingDate is billing date k.
func (s *Subscription) BillingDate(k int) Date {
	from := Anchor{Date: s.FirstDate}
	for _, a := range s.Anchors {
		if a.Period <= k {
			from = a
		}
	}
	return s.rhythm(from).Date(from.Date, k-from.Period)
}

// rhythm is the cycle in which the dates from an anchor on lie.
func (s *Subscription) rhythm(a Anchor) Cycle {
	if a.Cycle != "" {
		return a.Cycle
	}
	return s.Cycle
}

// changeRhythm has the billing dates lie in another cycle from a billing on,
// which has a date of its own. Those before stay where they were.
func (s *Subscription) changeRhythm(c Cycle, from Anchor) {
	if from.Period == 0 { // nothing was billed yet
		s.anchor(from)
		s.Cycle = c
		return
	}
	if len(s.Anchors) == 0 || s.Anchors[0].Period != 0 {
		s.Anchors = append([]Anchor{{Date: s.FirstDate}}, s.Anchors...)
	}
	for i := range s.Anchors {
		s.Anchors[i].Cycle = s.rhythm(s.Anchors[i])
	}
	s.Cycle = c
	s.anchor(from)
}

// InvoicingDate is the date on which the invoice of billing date k is made.
func (s *Subscription) InvoicingDate(k int) Date {
	switch {
	case s.FirstInvoicing.IsZero():
		return s.BillingDate(k)
	case len(s.Anchors) == 0:
		return s.Cycle.Date(s.FirstInvoicing, k)
	}
	return s.BillingDate(k).AddDays(s.FirstInvoicing.DaysSince(s.FirstDate))
}

// Index finds the k whose billing date is d; ok is false if d is none.
func (s *Subscription) Index(d Date) (k int, ok bool) {
	from := Anchor{Date: s.FirstDate}
	for _, next := range append(s.Anchors[:len(s.Anchors):len(s.Anchors)], Anchor{Period: -1}) {
		k, ok = s.rhythm(from).Index(from.Date, d)
		if k += from.Period; ok && (next.Period < 0 || k < next.Period) {
			return k, true
		}
		from = next
	}
	return 0, false
}

// PaidThrough is the last day of what has been billed: the date of the next
// billing, or the one on which it would fall.
func (s *Subscription) PaidThrough() Date { return s.BillingDate(s.Period) }

// LastDay is the last day on which what is paid for can be used, as far as is
// known: the day of the cancellation, or the end of what a fixed term has paid.
// It is zero while the subscription goes on, and for access without end. The
// adjustments are all of the subscription's.
func (s *Subscription) LastDay(adjustments []Adjustment) Date {
	for i := len(adjustments) - 1; i >= 0; i-- { // one that was taken back comes before the one that counts
		a := &adjustments[i]
		switch {
		case a.Kind != Cancel:
		case !a.End.IsZero():
			return a.End
		case a.State == Waiting || s.Status == Cancelled:
			return a.Effective
		}
	}
	if s.Access != EndlessAccess && s.Complete() {
		return s.PaidThrough()
	}
	return Date{}
}

// MaxExtension bounds how far one extension moves a date, in days.
const MaxExtension = 3660

// Extend gives a subscription days for nothing: the next billing, or the end of
// what is paid, is so much later, and all that follows with it. It refuses what
// has ended, has no end, or is paused.
func (s *Subscription) Extend(days int, adjustments []Adjustment) error {
	switch {
	case days < 1 || days > MaxExtension:
		return FieldError(Invalid, "days", "must be from 1 to %d", MaxExtension)
	case s.Ended():
		return Errorf(State, "the subscription is already %s", s.Status)
	case s.Complete() && s.Access != PaidAccess:
		return Errorf(State, "the subscription has no end that could be moved")
	case openPause(adjustments) != nil:
		return Errorf(State, "the subscription is paused")
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting {
			a.Effective = a.Effective.AddDays(days)
		} else if a.Kind == Freeze && a.State != Done {
			return Errorf(State, "a freeze is known for the subscription")
		}
	}
	s.anchor(Anchor{Period: s.Period, Date: s.BillingDate(s.Period).AddDays(days)})
	s.Schedule(adjustments)
	return nil
}

// anchor begins the series of dates anew from a billing to come.
func (s *Subscription) anchor(a Anchor) {
	if a.Period == 0 {
		shift := a.Date.DaysSince(s.FirstDate)
		s.FirstDate = a.Date
		if !s.FirstInvoicing.IsZero() {
			s.FirstInvoicing = s.FirstInvoicing.AddDays(shift)
		}
		for i := range s.Anchors {
			s.Anchors[i].Date = s.Anchors[i].Date.AddDays(shift)
		}
		return
	}
	n := len(s.Anchors)
	for n > 0 && s.Anchors[n-1].Period >= a.Period {
		n--
	}
	s.Anchors = append(s.Anchors[:n:n], a)
}

// Reprice sets what each billing costs from the next on, tax aside.
func (s *Subscription) Reprice(amount Money) error {
	switch {
	case s.Ended() || s.Complete():
		return Errorf(State, "the subscription has no more billings")
	case amount.Currency() != s.Amount.Currency():
		return FieldError(Invalid, "amount", "must be in %s", s.Amount.Currency())
	case amount.Minor() < 0 || amount.Minor() > MaxAmount:
		return FieldError(Invalid, "amount", "must be from 0 to %d", int64(MaxAmount))
	}
	s.Amount = amount
	return nil
}

// CancelAtEnd ends the subscription with what is paid for: nothing is billed any
// more. It refuses a second cancellation, and what bills no more anyway.
func (s *Subscription) CancelAtEnd(today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Complete() {
		return nil, Errorf(State, "the subscription has no more billings")
	}
	return s.CancelOn(s.BillingDate(s.Period), today, adjustments, note)
}

// Reactivate takes back a cancellation that waits: billing goes on as if there had
// been none.
func (s *Subscription) Reactivate(adjustments []Adjustment) error {
	if s.Ended() {
		return Errorf(State, "the subscription is already %s", s.Status)
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting {
			a.State = Done
			s.Schedule(adjustments)
			return nil
		}
	}
	return Errorf(State, "the subscription is not cancelled")
}

// EndNow ends the subscription and what may be used of it at once, whatever is
// paid. An end that is known already gives way to it. Where billings of days
// before today are still to be made, it ends when Advance has made them: when the
// worker wakes up changes nothing of what is owed.
func (s *Subscription) EndNow(today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() {
		return nil, Errorf(State, "the subscription is already %s", s.Status)
	}
	behind := !s.NextDate.IsZero() && s.NextDate.Before(today)
	known := false
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting {
			known = true
			if !a.Effective.After(today) {
				continue // it has ended by then, and Advance has not come to it
			}
			a.End = today
			if behind {
				a.Effective = today
			}
		}
	}
	if behind {
		if !known {
			adjustments = s.stopOn(Cancel, today, today, adjustments, note)
		}
		s.Schedule(adjustments)
		return adjustments, nil
	}
	if !known {
		adjustments = append(adjustments, Adjustment{Kind: Cancel, Effective: today, End: today, Note: note, State: Waiting})
	}
	s.end(Cancelled, adjustments)
	s.Schedule(adjustments)
	return adjustments, nil
}

// AnchorsText is how anchors are kept: "1:2020-01-31 4:2020-05-06", and with a
// rhythm of its own "0:2020-01-31/monthly".
func AnchorsText(list []Anchor) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(a.Period) + ":" + a.Date.String())
		if a.Cycle != "" {
			b.WriteString("/" + string(a.Cycle))
		}
	}
	return b.String()
}

// ParseAnchors reads what AnchorsText wrote.
func ParseAnchors(text string) ([]Anchor, error) {
	var list []Anchor
	for _, word := range strings.Fields(text) {
		period, date, _ := strings.Cut(word, ":")
		n, err := strconv.Atoi(period)
		date, cycle, changed := strings.Cut(date, "/")
		if err != nil || n < 0 || n == 0 && !changed || changed && !Cycle(cycle).valid() {
			return nil, fmt.Errorf("billing: not an anchor of billing dates")
		}
		d, err := ParseDate(date)
		if err != nil {
			return nil, err
		}
		list = append(list, Anchor{n, d, Cycle(cycle)})
	}
	return list, nil
}
