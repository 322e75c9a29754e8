package billing

import (
	"slices"
	"time"
)

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
	Gone      SubscriptionStatus = "gone"    // erased: no answer tells of it any more
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
	Tax             Money        // comes on top of Amount
	Initial         *Money       // price of billing 0, tax included, where it is another than that of the rest
	Composition     *Composition // what Amount is made of, nil where it is one amount
	Change          *Change      // waits for the next billing, nil if nothing does
	Cycle           Cycle
	FirstDate       Date     // billing date 0
	Anchors         []Anchor // where the series of billing dates begins anew
	FirstInvoicing  Date     // date of invoice 0 where invoices go out before their billing date, else zero
	Access          Access   // how long what is paid for can be used
	Status          SubscriptionStatus
	Period          int       // index of the next billing date that is neither billed nor skipped
	Issued          int       // invoices made that count toward Length
	LastDate        Date      // of the last invoicing done, zero if none
	NextDate        Date      // of the next event, zero if there is none: after the end, during a pause
	NextAt          time.Time // the start of NextDate for the merchant, zero with it
	Adjusted        bool      // an adjustment waits or is in force
	Note            string
	SignedUpAt      time.Time // when the customer signed up for it elsewhere, zero if that was CreatedAt
	TakenBack       TakenBack // payments that were given or taken back elsewhere
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Ended reports whether the subscription will never bill again.
func (s *Subscription) Ended() bool {
	return s.Status == Cancelled || s.Status == Expired || s.Status == Gone
}

// Complete reports whether a fixed term has issued its last invoice.
func (s *Subscription) Complete() bool { return s.Term == Fixed && s.Issued >= s.Length }

// Price is what billing k costs, tax included. Of a schedule it is the bill that
// Advance has called for last.
func (s *Subscription) Price(k int) (Money, error) {
	if c := s.Composition; c != nil && c.Installments != nil {
		return s.Share().Add(TaxOf(s.Share(), c.TaxRate))
	}
	if k == 0 && s.Initial != nil {
		return *s.Initial, nil
	}
	return s.Amount.Add(s.Tax)
}

// PriceTax is the part of the price of billing k that is tax.
func (s *Subscription) PriceTax(k int) Money {
	if c := s.Composition; c != nil && c.Installments != nil {
		return TaxOf(s.Share(), c.TaxRate)
	}
	if k == 0 && s.Initial != nil {
		return Minor(0, s.Initial.Currency())
	}
	return s.Tax
}

// NextBilling is the billing date of the next invoice at the subscription's own
// price, seen past the adjustments that are known; zero if there will be none
// unless something changes, as while it is paused.
func (s *Subscription) NextBilling(adjustments []Adjustment) Date {
	ahead := *s // goes the course that Advance will take
	known := slices.Clone(adjustments)
	for ahead.Schedule(known); !ahead.NextDate.IsZero(); {
		if due := ahead.Advance(known); due != nil && !due.Frozen {
			return due.Date
		}
	}
	return Date{}
}

// Due is the invoice that a step of a subscription calls for.
type Due struct {
	Period int  // index of the billing date
	Date   Date // billing date: when the debt is due
	Frozen bool // in place of the plan's price the fee for a frozen billing is owed, if there is one
}

// Schedule sets the date of the next event: an invoicing date, or the day on
// which a cancellation or pause takes effect. Such a stop comes before every
// billing dated on or after it, even where the invoice would have gone out
// earlier. After the end there is no next event, and during a pause none but a
// cancellation. Access that is paid for until a day is the customer's to the end
// of that day, so it ends with the next.
func (s *Subscription) Schedule(adjustments []Adjustment) {
	s.Adjusted = false
	s.NextDate = Date{}
	if s.Ended() {
		return
	}
	var stop Date // the first day without billings
	var ends Date // when the stop is taken
	for i := range adjustments {
		a := &adjustments[i]
		s.Adjusted = s.Adjusted || a.State != Done
		if a.State == Waiting && a.Kind != Freeze && (stop.IsZero() || a.Effective.Before(stop)) {
			stop, ends = a.Effective, s.takenOn(a)
		}
	}
	bills := !s.Complete() && s.Status != Paused
	switch {
	case bills:
		s.NextDate = s.InvoicingDate(s.Period)
	case s.Complete() && s.Access == PaidAccess:
		s.NextDate = s.PaidThrough().AddDays(1)
	}
	if !stop.IsZero() && !(bills && stop.After(s.BillingDate(s.Period))) && (s.NextDate.IsZero() || bills || ends.Before(s.NextDate)) {
		s.NextDate = ends
	}
}

// takenOn is the day on which a cancellation or pause is taken.
func (s *Subscription) takenOn(a *Adjustment) Date {
	if a.Kind == Cancel && s.Access == PaidAccess {
		return a.Effective.AddDays(1)
	}
	return a.Effective
}

// Advance takes the subscription past its next event, changing it and the
// adjustments that begin, hold or end, and returns the invoice to be made, if
// any; without a next event it does nothing. A day that brings both a stop and
// a billing takes two steps, the stop first. Frozen and paused billings do not
// count toward the term (protocols/unipay.md 4.4, 6.7).
//
// It looks at no clock: the events of a week come out the same whether it is
// called on each day or seven times at the week's end.
func (s *Subscription) Advance(adjustments []Adjustment) *Due {
	defer s.Schedule(adjustments)
	day := s.NextDate
	if day.IsZero() || s.stop(day, adjustments) {
		return nil
	}
	if s.Complete() {
		s.end(Expired, adjustments) // nothing is left to be billed, and now nothing to be used
		return nil
	}
	k := s.Period
	s.Period++
	due := &Due{Period: k, Date: s.BillingDate(k)}
	if s.passFreezes(k, adjustments) {
		s.Status, due.Frozen = Frozen, true
		return due
	}
	s.Status = Current
	s.Issued++
	s.LastDate = day
	if s.Complete() {
		for i := range adjustments {
			if a := &adjustments[i]; a.Kind != Cancel {
				a.State = Done // nothing is left for it to skip
			}
		}
	}
	return due
}

// stop takes the cancellation or pause that takes effect on a day, and reports
// whether there was one.
func (s *Subscription) stop(day Date, adjustments []Adjustment) bool {
	stopped := false
	for i := range adjustments {
		a := &adjustments[i]
		if a.State != Waiting || a.Kind == Freeze || s.takenOn(a).After(day) {
			continue
		}
		stopped = true
		switch {
		case a.Kind == Cancel:
			s.end(Cancelled, adjustments)
			return true
		case a.End.IsZero():
			a.State, s.Status = InForce, Paused
		default: // resumed before anybody came to begin it
			a.State = Done
			s.goOn(a.End, adjustments)
		}
	}
	return stopped
}

// goOn ends a pause: billing goes on with the first billing date that is not
// before a day.
func (s *Subscription) goOn(day Date, adjustments []Adjustment) {
	for s.BillingDate(s.Period).Before(day) {
		s.Period++
	}
	switch {
	case s.passFreezes(s.Period-1, adjustments):
		s.Status = Frozen
	case s.LastDate.IsZero():
		s.Status = Unbilled
	default:
		s.Status = Current
	}
}

// passFreezes moves the freezes on to billing k and reports whether one of them
// skips it.
func (s *Subscription) passFreezes(k int, adjustments []Adjustment) bool {
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
	from, ok := s.Index(a.Effective)
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
// no invoice of the subscription is open and no claim for one is pending. A
// cancellation that still waited is void.
func (s *Subscription) Expire() {
	s.Status, s.NextDate, s.NextAt, s.Adjusted = Expired, Date{}, time.Time{}, false
}

// MaxPeriods bounds the length of a term and of a freeze: a century of weeks.
const MaxPeriods = 5200

// CheckChange refuses a change within the merchant's closed days before the
// next billing (protocols/unipay.md 6.3, closeSalesPeriod). While it is paused
// a subscription has no next billing.
func (s *Subscription) CheckChange(today Date, closeDays int) error {
	if closeDays == 0 || s.Ended() || s.Complete() || s.Status == Paused {
		return nil
	}
	next := s.BillingDate(s.Period)
	if !next.Before(today) && next.DaysSince(today) <= closeDays {
		return Errorf(State, "the subscription bills on %s and takes no change within %d days before", next, closeDays)
	}
	return nil
}
