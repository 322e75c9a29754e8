package billing

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// ErrOverflow is returned by arithmetic whose result lies beyond
// ±9,223,372,036,854,775,807 minor units. No legitimate amount comes near it.
var ErrOverflow = errors.New("billing: amount out of range")

// ErrCurrencyMismatch is returned when amounts of two currencies meet.
var ErrCurrencyMismatch = errors.New("billing: amounts of different currencies")

// Money is an amount of one currency in its minor units (cents of a dollar,
// whole yen, thousandths of a dinar), signed. The zero value is no money of no
// currency and may be added to anything.
type Money struct {
	minor    int64
	currency Currency
}

// Minor makes Money from an integer count of the currency's minor units.
func Minor(minor int64, c Currency) Money { return Money{minor, c} }

// Minor returns the count of minor units.
func (m Money) Minor() int64 { return m.minor }

// Currency returns the currency, "" for the zero value.
func (m Money) Currency() Currency { return m.currency }

// IsZero reports whether the amount is nought, in whatever currency.
func (m Money) IsZero() bool { return m.minor == 0 }

// Sign is -1, 0 or +1.
func (m Money) Sign() int {
	switch {
	case m.minor < 0:
		return -1
	case m.minor > 0:
		return 1
	}
	return 0
}

// Add returns m + n, or ErrCurrencyMismatch, or ErrOverflow.
func (m Money) Add(n Money) (Money, error) {
	c, err := common(m, n)
	if err != nil {
		return Money{}, err
	}
	sum := m.minor + n.minor
	if (sum > m.minor) != (n.minor > 0) && n.minor != 0 || sum == math.MinInt64 {
		return Money{}, ErrOverflow
	}
	return Money{sum, c}, nil
}

// Sub returns m - n, or ErrCurrencyMismatch, or ErrOverflow.
func (m Money) Sub(n Money) (Money, error) {
	if n.minor == math.MinInt64 {
		return Money{}, ErrOverflow
	}
	return m.Add(Money{-n.minor, n.currency})
}

// Neg returns -m. The one amount without an opposite, the smallest int64, comes
// out of no arithmetic and no parser here and lies far beyond MaxAmount; Neg
// panics on it, because books in which it passed would not balance.
func (m Money) Neg() Money {
	if m.minor == math.MinInt64 {
		panic("billing: amount without an opposite")
	}
	return Money{-m.minor, m.currency}
}

// Cmp orders two amounts of one currency: -1, 0 or +1.
func (m Money) Cmp(n Money) (int, error) {
	if _, err := common(m, n); err != nil {
		return 0, err
	}
	switch {
	case m.minor < n.minor:
		return -1, nil
	case m.minor > n.minor:
		return 1, nil
	}
	return 0, nil
}

// MulDiv returns m * num / den in the one rounding of this product: to the
// nearest minor unit, halves away from zero, as commerce rounds. den must not
// be 0. It is how a share, a rate in millionths or a part of a period is taken.
func (m Money) MulDiv(num, den int64) (Money, error) {
	if den == 0 {
		panic("billing: MulDiv by zero")
	}
	negative := (m.minor < 0) != (num < 0) != (den < 0)
	hi, lo := bits.Mul64(magnitude(m.minor), magnitude(num))
	d := magnitude(den)
	if hi >= d {
		return Money{}, ErrOverflow
	}
	q, r := bits.Div64(hi, lo, d)
	if q > math.MaxInt64 { // before rounding, which would wrap the greatest quotient to 0
		return Money{}, ErrOverflow
	}
	if r >= d-r {
		q++
	}
	if q > math.MaxInt64 {
		return Money{}, ErrOverflow
	}
	if negative {
		return Money{-int64(q), m.currency}, nil
	}
	return Money{int64(q), m.currency}, nil
}

// String shows the amount with the currency's decimals and its code, as in
// "19.99 USD".
func (m Money) String() string {
	if m.currency == "" {
		return strconv.FormatInt(m.minor, 10)
	}
	return m.Decimal() + " " + string(m.currency)
}

// Decimal shows the amount with the currency's decimals and a point, as in
// "19.99", "-0.05" or, for yen, "2000".
func (m Money) Decimal() string {
	digits := m.currency.Digits()
	s := strconv.FormatUint(magnitude(m.minor), 10)
	if digits > 0 {
		if pad := digits + 1 - len(s); pad > 0 {
			s = strings.Repeat("0", pad) + s
		}
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	if m.minor < 0 {
		return "-" + s
	}
	return s
}

// ParseDecimal reads an amount such as "19.99", "-5" or "0.5" with no more
// decimals than the currency has. It never rounds: "1.999" in dollars is an
// error, and so are blanks, thousands separators and exponents.
func ParseDecimal(s string, c Currency) (Money, error) {
	rest, negative := strings.CutPrefix(s, "-")
	whole, fraction, pointed := strings.Cut(rest, ".")
	digits := c.Digits()
	if whole == "" || pointed && fraction == "" || len(fraction) > digits {
		return Money{}, fmt.Errorf("billing: not an amount of %s", c)
	}
	for _, r := range whole + fraction {
		if r < '0' || r > '9' {
			return Money{}, fmt.Errorf("billing: not an amount of %s", c)
		}
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return Money{}, ErrOverflow
	}
	if negative {
		minor = -minor
	}
	return Money{minor, c}, nil
}

func common(m, n Money) (Currency, error) {
	switch {
	case m.currency == n.currency, n.currency == "" && n.minor == 0:
		return m.currency, nil
	case m.currency == "" && m.minor == 0:
		return n.currency, nil
	}
	return "", ErrCurrencyMismatch
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-(n + 1)) + 1
	}
	return uint64(n)
}
