package billing

import "time"

// ForgetAt is when a card or account is forgotten that was given, or last paid
// with, at an instant: when the day begins that bears the same date so many months
// later. It is zero for a merchant who keeps them.
func (m *Merchant) ForgetAt(used time.Time) time.Time {
	if m.Settings.ForgetAfterMonths == 0 {
		return time.Time{}
	}
	return m.Start(m.Today(used).AddMonths(m.Settings.ForgetAfterMonths))
}
