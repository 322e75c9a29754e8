package billing

import "time"

// Declined notes on a debt that a claim for it was declined on a day, and sets
// when it is claimed again: on the days of the merchant's schedule, counted from
// the first decline, for a soft decline; not before the payment method changes
// for a hard one (protocols/unipay.md 6.4).
func (a *Activity) Declined(m *Merchant, on Date, code ResponseCode) (again bool) {
	if a.Tries == 0 || a.DeclinedOn.IsZero() {
		a.DeclinedOn = on
	}
	a.Tries++
	a.CollectAt = time.Time{}
	days := m.Settings.WithDefaults().RetryDays
	if code.Severity() == Hard || a.Tries > len(days) || days[a.Tries-1] == 0 {
		return false
	}
	next := a.DeclinedOn.AddDays(days[a.Tries-1])
	if !next.After(on) {
		next = on.AddDays(1) // the run was late: never twice on one day
	}
	a.CollectAt = m.Start(next)
	return true
}

// Renewed forgets the declines of a debt because it can be paid with something
// new, and lets it be claimed from an instant on.
func (a *Activity) Renewed(at time.Time) {
	a.Tries, a.DeclinedOn, a.CollectAt = 0, Date{}, at
}

// Reopened lets a debt whose payment came back be claimed as if it had not been
// paid: at once when it is due if no claim for it was ever declined, else on the next day of the
// schedule that it was on, if one is left.
func (a *Activity) Reopened(m *Merchant, at time.Time) {
	a.CollectAt = time.Time{}
	if a.Tries == 0 {
		a.CollectAt = m.Start(a.Due)
		if a.CollectAt.Before(at) {
			a.CollectAt = at
		}
		return
	}
	days := m.Settings.RetryDays
	if a.Tries > len(days) || days[a.Tries-1] == 0 {
		return
	}
	a.CollectAt = m.Start(a.DeclinedOn.AddDays(days[a.Tries-1]))
	if a.CollectAt.Before(at) {
		a.CollectAt = m.Start(m.Today(at).AddDays(1))
	}
}

// Age sets when a debt next grows: the day of the late fee, then the day of the
// write-off. from is the last day whose growth has been taken. What has no due
// date does not age.
func (a *Activity) Age(m *Merchant, from Date) {
	a.AgeAt = time.Time{}
	if a.Due.IsZero() {
		return
	}
	for _, days := range []int{a.lateDays(m), m.Settings.WriteOffAfterDays} {
		if days == 0 {
			continue
		}
		if day := a.Due.AddDays(days); day.After(from) && (a.AgeAt.IsZero() || m.Start(day).Before(a.AgeAt)) {
			a.AgeAt = m.Start(day)
		}
	}
}

// Growth is what a debt's age brings on a day.
type Growth int

// The growths.
const (
	NoGrowth Growth = iota
	GrowsLate
	GrowsOld // it is written off
)

// GrowthOn tells what the age of a debt brings on a day: the day on which AgeAt
// fell, not the day on which somebody woke up to see it. A debt that is late
// and old at once is only written off; late fees do not bear late fees.
func (a *Activity) GrowthOn(m *Merchant, day Date) Growth {
	if a.Due.IsZero() {
		return NoGrowth
	}
	if days := m.Settings.WriteOffAfterDays; days > 0 && !day.Before(a.Due.AddDays(days)) {
		return GrowsOld
	}
	if days := a.lateDays(m); days > 0 && day == a.Due.AddDays(days) {
		return GrowsLate
	}
	return NoGrowth
}

// lateDays is how many days after the due date the late fee falls due, 0 if
// none ever does.
func (a *Activity) lateDays(m *Merchant) int {
	if m.Settings.Fees.Late == 0 || a.Kind == LateFee {
		return 0
	}
	return m.Settings.Fees.LateAfterDays
}
