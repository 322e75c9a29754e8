package billing

import "time"

// Term says whether a subscription ends by itself.
type Term string

// The terms.
const (
	Fixed     Term = "fixed"     // ends after Length invoices
	Perpetual Term = "perpetual" // runs until it is cancelled
)

// SubscriptionStatus is where a subscription stands (protocols/unipay.md 3.5).
type SubscriptionStatus string

// The statuses. Cancelled and expired are final.
const (
	Unbilled  SubscriptionStatus = "unbilled"  // exists, nothing billed yet
	Current   SubscriptionStatus = "current"   // billed at least once
	Deferred  SubscriptionStatus = "deferred"  // the coming billing makes no invoice
	Frozen    SubscriptionStatus = "frozen"    // for a known number of billings
	Paused    SubscriptionStatus = "paused"    // until it is resumed by hand
	Suspended SubscriptionStatus = "suspended" // by the system
	Cancelled SubscriptionStatus = "cancelled"
	Expired   SubscriptionStatus = "expired" // every payment of a fixed term is made
)

// Subscription bills a customer a plan's price on a series of dates.
type Subscription struct {
	MerchantID      MerchantID
	ID              SubscriptionID
	AccountID       AccountID
	CustomerID      CustomerID
	Code            string
	PlanID          PlanID
	PlanName        string // as it was when the subscription was made
	PaymentMethodID PaymentMethodID
	Term            Term
	Length          int // invoices of a fixed term, 0 for a perpetual one
	Amount          Money
	Tax             Money // comes on top of Amount
	Cycle           Cycle
	FirstDate       Date // billing date 0
	FirstInvoicing  Date // date of invoice 0 where invoices go out before their billing date, else zero
	Status          SubscriptionStatus
	Period          int  // index of the next billing date
	Issued          int  // invoices made that count toward Length
	LastDate        Date // of the last invoicing done, zero if none
	NextDate        Date // of the next event, zero after the end
	NextAt          time.Time
	Adjusted        bool // an adjustment waits or is in force
	Note            string
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

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
	Waiting AdjustmentState = "waiting"  // lies in the future
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
	End            Date // last day of a freeze or a finished pause, else zero
	Length         int  // billings that a freeze skips, else 0
	Note           string
	State          AdjustmentState
	CreatedAt      time.Time
}

// Ended reports whether the subscription will never bill again.
func (s *Subscription) Ended() bool { return s.Status == Cancelled || s.Status == Expired }

// Complete reports whether a fixed term has issued its last invoice.
func (s *Subscription) Complete() bool { return s.Term == Fixed && s.Issued >= s.Length }

// BillingDate is billing date k.
func (s *Subscription) BillingDate(k int) Date { return s.Cycle.Date(s.FirstDate, k) }

// InvoicingDate is the date on which the invoice of billing date k is made.
func (s *Subscription) InvoicingDate(k int) Date {
	if s.FirstInvoicing.IsZero() {
		return s.BillingDate(k)
	}
	return s.Cycle.Date(s.FirstInvoicing, k)
}

// NextBilling is the next date on which an invoice falls due, seen past the
// adjustments that are known; zero if there is none.
func (s *Subscription) NextBilling(adjustments []Adjustment) Date {
	if s.Ended() || s.Complete() {
		return Date{}
	}
	k := s.Period
	for i := range adjustments {
		a := &adjustments[i]
		if a.Kind == Freeze && a.State != Done {
			if from, to := s.frozen(a); k >= from && k < to {
				k = to
			}
		}
	}
	next := s.BillingDate(k)
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting && !next.Before(a.Effective) {
			return Date{}
		}
	}
	return next
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

// Due is the invoice that a step of a subscription calls for.
type Due struct {
	Period int  // index of the billing date
	Date   Date // billing date: when the debt is due
	Frozen bool // in place of the plan's price the fee for a frozen billing is owed, if there is one
}

// Schedule sets the date of the next event: an invoicing date, or before it the
// day on which a cancellation or pause takes effect. The end of the series has
// no next event.
func (s *Subscription) Schedule(adjustments []Adjustment) {
	s.Adjusted = false
	for i := range adjustments {
		s.Adjusted = s.Adjusted || adjustments[i].State != Done
	}
	if s.Ended() || s.Complete() {
		s.NextDate = Date{}
		return
	}
	s.NextDate = s.InvoicingDate(s.Period)
	for i := range adjustments {
		a := &adjustments[i]
		if a.State == Waiting && a.Kind != Freeze && a.Effective.Before(s.NextDate) {
			s.NextDate = a.Effective
		}
	}
}

// Advance takes the subscription past its next event, changing it and the
// adjustments that begin, hold or end, and returns the invoice to be made, if
// any. A cancellation or pause that takes effect on a billing date comes before
// that billing; frozen and paused billings do not count toward the term
// (protocols/unipay.md 4.4, 6.7).
func (s *Subscription) Advance(adjustments []Adjustment) *Due {
	defer s.Schedule(adjustments)
	day := s.NextDate
	for i := range adjustments {
		a := &adjustments[i]
		if a.State != Waiting || a.Effective.After(day) {
			continue
		}
		switch a.Kind {
		case Cancel:
			s.end(Cancelled, adjustments)
			return nil
		case Pause:
			a.State, s.Status = InForce, Paused
		case Freeze:
		}
	}
	if s.InvoicingDate(s.Period).After(day) {
		return nil // the day brought a pause alone
	}
	k := s.Period
	s.Period++
	due := &Due{Period: k, Date: s.BillingDate(k)}
	if s.Status == Paused {
		return nil
	}
	if s.advanceFreeze(k, adjustments) {
		s.Status, due.Frozen = Frozen, true
		return due
	}
	s.Status = Current
	s.Issued++
	s.LastDate = day
	return due
}

// advanceFreeze reports whether billing k is frozen, and moves the freezes on.
func (s *Subscription) advanceFreeze(k int, adjustments []Adjustment) bool {
	frozen := false
	for i := range adjustments {
		a := &adjustments[i]
		if a.Kind != Freeze || a.State == Done {
			continue
		}
		from, to := s.frozen(a)
		switch {
		case k >= to:
			a.State = Done
		case k >= from:
			a.State, frozen = InForce, true
		}
	}
	return frozen
}

// frozen is the range of billing dates that a freeze skips.
func (s *Subscription) frozen(a *Adjustment) (from, to int) {
	from, ok := s.Cycle.Index(s.FirstDate, a.Effective)
	if !ok {
		return 0, 0 // refused when the freeze was made
	}
	return from, from + a.Length
}

func (s *Subscription) end(status SubscriptionStatus, adjustments []Adjustment) {
	s.Status = status
	for i := range adjustments {
		adjustments[i].State = Done
	}
}

// Expire ends a fixed term whose last invoice is paid. The caller has seen that
// no invoice of the subscription is open and no claim for one is pending.
func (s *Subscription) Expire() { s.Status, s.NextDate = Expired, Date{} }

// CancelOn ends the subscription at once if the date has come, else notes the
// adjustment that will. It refuses a second cancellation.
func (s *Subscription) CancelOn(on, today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() {
		return nil, Errorf(State, "the subscription is already %s", s.Status)
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Cancel && a.State == Waiting {
			return nil, Errorf(State, "a cancellation is already scheduled for %s", a.Effective)
		}
	}
	a := Adjustment{Kind: Cancel, Effective: on, Note: note, State: Waiting}
	adjustments = append(adjustments, a)
	if !on.After(today) {
		s.end(Cancelled, adjustments)
	}
	s.Schedule(adjustments)
	return adjustments, nil
}

// FreezeFrom notes that length billings from a date on are skipped. The date
// must lie in the future and be a billing date that has no invoice yet; freezes
// do not overlap (protocols/unipay.md 4.4).
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
	k, ok := s.Cycle.Index(s.FirstDate, on)
	if !ok || k < s.Period {
		return nil, FieldError(State, "effectiveDate", "must be a coming billing date, such as %s", s.BillingDate(s.Period))
	}
	for i := range adjustments {
		a := &adjustments[i]
		if a.State == Done || a.Kind != Freeze {
			continue
		}
		if from, to := s.frozen(a); k < to && k+length > from {
			return nil, FieldError(State, "effectiveDate", "overlaps the freeze from %s to %s", a.Effective, a.End)
		}
	}
	a := Adjustment{Kind: Freeze, Effective: on, End: s.BillingDate(k + length).AddDays(-1), Length: length, Note: note, State: Waiting}
	adjustments = append(adjustments, a)
	s.Schedule(adjustments)
	return adjustments, nil
}

// PauseFrom notes that billings from a date on are skipped until Resume. A date
// that has come takes effect at once.
func (s *Subscription) PauseFrom(on, today Date, adjustments []Adjustment, note string) ([]Adjustment, error) {
	if s.Ended() || s.Complete() {
		return nil, Errorf(State, "the subscription is %s and has no more billings", s.Status)
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Pause && a.State != Done {
			return nil, Errorf(State, "a pause from %s is already known", a.Effective)
		}
	}
	a := Adjustment{Kind: Pause, Effective: on, Note: note, State: Waiting}
	if !on.After(today) {
		a.State, s.Status = InForce, Paused
	}
	adjustments = append(adjustments, a)
	s.Schedule(adjustments)
	return adjustments, nil
}

// Resume ends a pause, whether in force or still to come. Billing goes on with
// the first billing date that is not past; what the pause skipped stays skipped.
func (s *Subscription) Resume(today Date, adjustments []Adjustment) error {
	found := false
	for i := range adjustments {
		if a := &adjustments[i]; a.Kind == Pause && a.State != Done {
			a.State, a.End, found = Done, today, true
		}
	}
	if !found {
		return Errorf(State, "the subscription is not paused")
	}
	if s.Status == Paused {
		s.Status = Current
		if s.LastDate.IsZero() {
			s.Status = Unbilled
		}
		for s.BillingDate(s.Period).Before(today) {
			s.Period++
		}
	}
	s.Schedule(adjustments)
	return nil
}

// MaxPeriods bounds the length of a term and of a freeze: a century of weeks.
const MaxPeriods = 5200

// CheckChange refuses a change within the merchant's closed days before the
// next billing (protocols/unipay.md 6.3, closeSalesPeriod).
func (s *Subscription) CheckChange(today Date, closeDays int) error {
	if closeDays == 0 || s.Ended() || s.Complete() {
		return nil
	}
	next := s.BillingDate(s.Period)
	if !next.Before(today) && next.DaysSince(today) <= closeDays {
		return Errorf(State, "the subscription bills on %s and takes no change within %d days before", next, closeDays)
	}
	return nil
}
