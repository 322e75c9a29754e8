package billing

import "time"

// Prorate is the part of an amount, which pays for a period, that pays for what is
// left of it from an instant on. Whole seconds count, halves are rounded up, and
// what was used is the amount less this, so that the two always make the whole
// (protocols/recurly-v1.md 7.4, 18). Before the period all of it is left, after it
// nothing; of a period without length nothing is.
func Prorate(whole Money, from, to, at time.Time) (Money, error) {
	length := to.Unix() - from.Unix()
	left := min(to.Unix()-at.Unix(), length)
	if length <= 0 || left <= 0 {
		return Minor(0, whole.Currency()), nil
	}
	return whole.MulDiv(left, length)
}

// Running is what the running period of a subscription has been invoiced for at
// its present price, from an instant to the end of the period.
type Running struct {
	From  time.Time `json:"from"`
	Value int64     `json:"value"` // minor units, less discounts
}

// PeriodFrom is when the running period began: the start of its billing date, or
// the instant on that day at which somebody's wish began it.
func (s *Subscription) PeriodFrom(m *Merchant) time.Time {
	began := time.Time{}
	if s.Composition != nil {
		began = s.Composition.Began
	}
	if s.Period == 0 {
		if began.IsZero() {
			return s.CreatedAt
		}
		return began
	}
	day := s.BillingDate(s.Period - 1)
	if !began.IsZero() && m.Today(began) == day {
		return began
	}
	return m.Start(day)
}

// PeriodTo is when the running period ends: the start of the next billing date.
func (s *Subscription) PeriodTo(m *Merchant) time.Time { return m.Start(s.BillingDate(s.Period)) }

// Unused is the part of what the running period was invoiced for that pays for
// what is left of it.
func (s *Subscription) Unused(m *Merchant, at time.Time) (Money, error) {
	if s.Period == 0 {
		return Minor(0, s.Amount.Currency()), nil // nothing was billed yet
	}
	from, value := s.PeriodFrom(m), s.Amount
	if s.Composition != nil && s.Composition.Running != nil {
		from, value = s.Composition.Running.From, Minor(s.Composition.Running.Value, s.Amount.Currency())
	}
	return Prorate(value, from, s.PeriodTo(m), at)
}
