package billing

import (
	"fmt"
	"strconv"
	"strings"
)

// Cycle is the rhythm of a plan: how far one billing date lies from the next.
// Beside the constants there are cycles of days and of months, see Days and
// Months.
type Cycle string

// The cycles that merchants bill in. Half-yearly is every six months, semimonthly
// two days of each month that lie 14 days apart (protocols/billing-circle.md 4.4).
const (
	Weekly      Cycle = "weekly"
	Semimonthly Cycle = "semimonthly"
	Monthly     Cycle = "monthly"
	Quarterly   Cycle = "quarterly"
	HalfYearly  Cycle = "half-yearly"
	Yearly      Cycle = "yearly"
)

// ParseCycle reads the name of a cycle, such as "half-yearly".
func ParseCycle(s string) (Cycle, error) {
	if c := Cycle(s); c.valid() {
		return c, nil
	}
	return "", fmt.Errorf("billing: not a billing cycle (weekly, semimonthly, monthly, quarterly, half-yearly, yearly, or a number of days or months as in 30-days and 2-months)")
}

// MaxDays is the longest cycle of days.
const MaxDays = 365

// Days is the cycle of a number of days, 1 to MaxDays, such as "30-days". It
// panics on a number out of that range.
func Days(n int) Cycle {
	if n < 1 || n > MaxDays {
		panic("billing: a cycle of " + strconv.Itoa(n) + " days")
	}
	return Cycle(strconv.Itoa(n) + "-days")
}

// days is the length of a cycle of days, 0 if it is none.
func (c Cycle) days() int { return c.counted("-days", MaxDays) }

// counted is the number in the name of a cycle that ends in a unit, 0 if it has
// another form.
func (c Cycle) counted(unit string, most int) int {
	digits, ok := strings.CutSuffix(string(c), unit)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > most || digits[0] == '+' || digits[0] == '0' {
		return 0
	}
	return n
}

// MaxMonths is the longest cycle of months.
const MaxMonths = 120

// Months is the cycle of a number of months, 1 to MaxMonths, such as "2-months";
// 1, 3, 6 and 12 have names of their own. It panics on a number out of that
// range.
func Months(n int) Cycle {
	switch n {
	case 1:
		return Monthly
	case 3:
		return Quarterly
	case 6:
		return HalfYearly
	case 12:
		return Yearly
	}
	if n < 1 || n > MaxMonths {
		panic("billing: a cycle of " + strconv.Itoa(n) + " months")
	}
	return Cycle(strconv.Itoa(n) + "-months")
}

// months is the length of a cycle of months, 0 if it is none.
func (c Cycle) months() int {
	switch c {
	case Monthly:
		return 1
	case Quarterly:
		return 3
	case HalfYearly:
		return 6
	case Yearly:
		return 12
	}
	switch n := c.counted("-months", MaxMonths); n {
	case 1, 3, 6, 12:
		return 0 // a rhythm has one name
	default:
		return n
	}
}

// The units in which the length of a cycle or trial is counted.
const (
	InDays   = "days"
	InMonths = "months"
)

// Length is how long the cycle is, and in which unit; a week is seven days. Of
// what is neither a number of days nor of months it is 0.
func (c Cycle) Length() (n int, unit string) {
	if n := c.months(); n > 0 {
		return n, InMonths
	}
	if c == Weekly {
		return 7, InDays
	}
	return c.days(), InDays
}

// Date is billing date k of a series that begins on first, k counting from 0.
// It is computed from the first date, so that a month's end is kept: 31
// January, 29 February, 31 March (protocols/unipay.md 6.3). It panics on a cycle
// that ParseCycle would refuse.
func (c Cycle) Date(first Date, k int) Date {
	switch n, unit := c.Length(); {
	case c == Semimonthly:
		return semimonthly(first, k)
	case n > 0 && unit == InMonths:
		return first.AddMonths(n * k)
	case n > 0:
		return first.AddDays(n * k)
	}
	panic("billing: cycle without a rule: " + string(c))
}

// semimonthly is date k of two days a month: the first day's own, and the one 14
// days after it, or where that would leave the month's 28 days the one 14 days
// before it.
func semimonthly(first Date, k int) Date {
	half, odd := floorDiv(k, 2), k%2 != 0
	switch {
	case !odd:
		return first.AddMonths(half)
	case first.Day <= 14:
		d := first.AddMonths(half)
		d.Day = first.Day + 14
		return d
	}
	d := first.AddMonths(half + 1)
	d.Day = min(first.Day, 28) - 14
	return d
}

// Index finds the k with Date(first, k) == d; ok is false if d is no date of
// the series or lies before first.
func (c Cycle) Index(first, d Date) (k int, ok bool) {
	if d.Before(first) {
		return 0, false
	}
	days := d.DaysSince(first)
	// A step of months is at most 31 days for each; start below and walk up.
	switch n, unit := c.Length(); {
	case c == Semimonthly:
		k = days / 31 * 2
	case n > 0 && unit == InMonths:
		k = days / (31 * n)
	case n > 0:
		k = days / n
	}
	for ; !c.Date(first, k).After(d); k++ {
		if c.Date(first, k) == d {
			return k, true
		}
	}
	return 0, false
}

func (c Cycle) valid() bool {
	n, _ := c.Length()
	return n > 0 || c == Semimonthly
}
