package billing

import (
	"slices"
	"time"
)

// AdjustmentKind is a change of a subscription's course.
type AdjustmentKind string

// The kinds of adjustment.
const (
	Freeze AdjustmentKind = "freeze"
	Cancel AdjustmentKind = "cancel"
	Pause  AdjustmentKind = "pause"
)

// AdjustmentState is how far an adjustment has come.
type AdjustmentState string

// The states of an adjustment.
const (
	Waiting AdjustmentState = "waiting"  // lies in the future, or Advance has not come to it
	InForce AdjustmentState = "in-force" // holds now
	Done    AdjustmentState = "done"
)

// Adjustment is a freeze, cancellation or pause of a subscription.
type Adjustment struct {
	MerchantID     MerchantID
	ID             AdjustmentID
	SubscriptionID SubscriptionID
	Kind           AdjustmentKind
	Effective      Date
	End            Date // last day of a freeze; of a pause the day on which it was resumed; of a cancellation the day on which it ended access at once; else zero
	Length         int  // billings that a freeze skips, else 0
	Note           string
	State          AdjustmentState
	CreatedAt      time.Time
}

// PendingAdjustment is the kind of the first change that is still to come, ""
// if there is none.
func PendingAdjustment(adjustments []Adjustment) AdjustmentKind {
	var first *Adjustment
	for i := range adjustments {
		if a := &adjustments[i]; a.State == Waiting && (first == nil || a.Effective.Before(first.Effective)) {
			first = a
		}
	}
	if first == nil {
		return ""
	}
	return first.Kind
}

// CancelOn ends the subscription on a date. A date that has come means today:
// it ends at once, unless billings of days before today are still to be made;
// then it ends when Advance has made them. Invoices that exist stay owed. It
// refuses a second cancellation.
func (s *Subscription) CancelOn(on, today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() {
		return nil, Errorf(State, "the subscription is already %s", s.Status)
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting {
			return nil, Errorf(State, "a cancellation is already scheduled for %s", a.Effective)
		}
	}
	return s.stopOn(Cancel, on, today, adjustments, note), nil
}

// PauseFrom notes that billings from a date on are skipped until Resume. A date
// that has come means today: the pause begins at once, unless billings of days
// before today are still to be made; then it begins when Advance has made them.
func (s *Subscription) PauseFrom(on, today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() || s.Complete() {
		return nil, Errorf(State, "the subscription is %s and has no more billings", s.Status)
	}
	if a := openPause(adjustments); a != nil {
		return nil, Errorf(State, "a pause from %s is already known", a.Effective)
	}
	return s.stopOn(Pause, on, today, adjustments, note), nil
}

// stopOn adds a cancellation or pause, and takes it if it is the next event and
// its day has come.
func (s *Subscription) stopOn(kind AdjustmentKind, on, today Date, adjustments []Adjustment, note string) []Adjustment {
	if on.Before(today) {
		on = today
	}
	adjustments = append(adjustments, Adjustment{Kind: kind, Effective: on, Note: note, State: Waiting})
	s.Schedule(adjustments)
	if on == today && s.NextDate == on {
		s.Advance(adjustments) // makes no invoice, for a stop comes before the billing of its day
	}
	return adjustments
}

// Resume ends a pause. If it has begun, billing goes on with the first billing
// date that is not before today, and what the pause skipped stays skipped; if it
// is still to come, nothing will be skipped.
func (s *Subscription) Resume(today Date, adjustments []Adjustment) error {
	a := openPause(adjustments)
	if a == nil {
		return Errorf(State, "the subscription is not paused")
	}
	a.End = today
	switch {
	case a.State == InForce:
		a.State = Done
		s.goOn(today, adjustments)
	case !a.Effective.Before(today):
		a.State = Done // it never began
	default:
		// It should have begun, but billings before it are still to be made:
		// Advance skips what lies between its two dates when it gets there.
	}
	s.Schedule(adjustments)
	return nil
}

// openPause is the pause that nobody has resumed, nil if there is none.
func openPause(adjustments []Adjustment) *Adjustment {
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Pause && a.State != Done && a.End.IsZero() {
			return a
		}
	}
	return nil
}

// FreezeFrom notes that length billings from a date on are skipped. The date
// must lie in the future and be a billing date that has no invoice yet and that
// the term and a known cancellation leave standing; freezes do not overlap
// (protocols/unipay.md 4.4).
func (s *Subscription) FreezeFrom(on, today Date, length int, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() || s.Complete() {
		return nil, Errorf(State, "the subscription is %s and has no more billings", s.Status)
	}
	if length < 1 || length > MaxPeriods {
		return nil, FieldError(Invalid, "length", "must be from 1 to %d", MaxPeriods)
	}
	if !on.After(today) {
		return nil, FieldError(State, "effectiveDate", "must lie in the future")
	}
	k, ok := s.Index(on)
	if !ok || k < s.Period {
		next := s.Period
		for !s.BillingDate(next).After(today) {
			next++
		}
		return nil, FieldError(State, "effectiveDate", "must be a coming billing date, such as %s", s.BillingDate(next))
	}
	for i := range adjustments {
		a := &adjustments[i]
		switch {
		case a.State == Done:
		case a.Kind == Cancel && !on.Before(a.Effective):
			return nil, FieldError(State, "effectiveDate", "must lie before the cancellation on %s", a.Effective)
		case a.Kind == Freeze:
			if from, to := s.frozen(a); k < to && k+length > from {
				return nil, FieldError(State, "effectiveDate", "overlaps the freeze from %s to %s", a.Effective, a.End)
			}
		}
	}
	if s.Term == Fixed && !s.bills(k, today, adjustments) {
		return nil, FieldError(State, "effectiveDate", "must not lie after the last billing of the term")
	}
	end := s.BillingDate(k + length).AddDays(-1)
	if end.Year > 9999 {
		return nil, FieldError(Invalid, "length", "must end before the year 10000")
	}
	a := Adjustment{Kind: Freeze, Effective: on, End: end, Length: length, Note: note, State: Waiting}
	adjustments = append(adjustments, a)
	s.Schedule(adjustments)
	return adjustments, nil
}

// bills reports whether a fixed term still runs on billing date k, which lies in
// the future. A pause is taken as resumed today, for nobody knows its end.
func (s *Subscription) bills(k int, today Date, adjustments []Adjustment) bool {
	ahead := *s
	known := slices.Clone(adjustments)
	if openPause(known) != nil {
		_ = ahead.Resume(today, known) // refuses only where there is no pause
	}
	for ahead.Schedule(known); ahead.Period < k && !ahead.NextDate.IsZero(); {
		ahead.Advance(known)
	}
	return !ahead.Ended() && !ahead.Complete()
}
