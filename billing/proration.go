package billing

import (
	"slices"
	"time"
)

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

// Discounted notes that what the running period was billed for was lowered by an
// amount, so that no more than what is left is ever credited for it.
func (s *Subscription) Discounted(m *Merchant, billed, by Money) {
	if by.IsZero() {
		return
	}
	after := *s.Composition
	after.Running = &Running{From: s.PeriodFrom(m), Value: billed.Minor() - by.Minor()}
	s.Composition = &after
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

// Paid is what a payment has paid for the running period of a subscription.
type Paid struct {
	Payment *Activity
	Amount  Money // a part of it where it paid for other things too
}

// Repayment is what is given back of a payment.
type Repayment struct {
	Payment *Activity
	Amount  Money
}

// Repay divides what is given back over payments, the latest first: all that they
// paid, or no more than most in all. What was given back of them before counts.
func Repay(paid []Paid, given map[ActivityID]Money, all bool, most Money) []Repayment {
	rest := most.Minor()
	for _, g := range given {
		rest -= g.Minor()
	}
	var list []Repayment
	for _, p := range slices.Backward(paid) {
		left := min(p.Amount.Minor(), p.Payment.Amount.Minor()-given[p.Payment.ID].Minor())
		if !all {
			left = min(left, rest)
		}
		if left <= 0 {
			continue
		}
		rest -= left
		list = append(list, Repayment{p.Payment, Minor(left, p.Payment.Amount.Currency())})
	}
	return list
}
