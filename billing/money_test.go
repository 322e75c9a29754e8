package billing_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// amounts draws any int64 but the smallest, with the edges more often than
// chance would bring them.
func amounts() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Int64Range(-math.MaxInt64, math.MaxInt64),
		rapid.Int64Range(-1000, 1000),
		rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, -math.MaxInt64, math.MaxInt64 / 2, -math.MaxInt64 / 2, math.MaxInt64/2 + 1}),
	)
}

func usd(minor int64) billing.Money { return billing.Minor(minor, "USD") }

func TestAddAndSubAreExactOrRefuse(t *testing.T) {
	limit := big.NewInt(math.MaxInt64)
	fits := func(x *big.Int) bool { return new(big.Int).Abs(x).Cmp(limit) <= 0 }
	rapid.Check(t, func(t *rapid.T) {
		a, b := amounts().Draw(t, "a"), amounts().Draw(t, "b")
		for _, op := range []struct {
			name string
			got  func() (billing.Money, error)
			want *big.Int
		}{
			{"Add", func() (billing.Money, error) { return usd(a).Add(usd(b)) }, new(big.Int).Add(big.NewInt(a), big.NewInt(b))},
			{"Sub", func() (billing.Money, error) { return usd(a).Sub(usd(b)) }, new(big.Int).Sub(big.NewInt(a), big.NewInt(b))},
		} {
			got, err := op.got()
			switch {
			case !fits(op.want):
				if !errors.Is(err, billing.ErrOverflow) {
					t.Fatalf("%s(%d, %d) = %v, %v; want ErrOverflow", op.name, a, b, got, err)
				}
			case err != nil || got != usd(op.want.Int64()):
				t.Fatalf("%s(%d, %d) = %v, %v; want %s", op.name, a, b, got, err, op.want)
			}
		}
	})
}

func TestAddAtTheEdges(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		name string
		a, b int64
		sub  bool
		want int64
		err  error
	}{
		{"highest sum", most - 1, 1, false, most, nil},
		{"one above", most, 1, false, 0, billing.ErrOverflow},
		{"twice the highest", most, most, false, 0, billing.ErrOverflow},
		{"lowest sum", -most + 1, -1, false, -most, nil},
		{"the amount without an opposite", -most, -1, false, 0, billing.ErrOverflow},
		{"two below", -most, -2, false, 0, billing.ErrOverflow},
		{"twice the lowest", -most, -most, false, 0, billing.ErrOverflow},
		{"nothing to the highest", most, 0, false, most, nil},
		{"nothing to the lowest", -most, 0, false, -most, nil},
		{"opposites", most, -most, false, 0, nil},
		{"highest difference", most, 0, true, most, nil},
		{"difference above", most, -1, true, 0, billing.ErrOverflow},
		{"difference below", -most, 1, true, 0, billing.ErrOverflow},
		{"difference of equals", -most, -most, true, 0, nil},
		{"subtracting what has no opposite", 0, math.MinInt64, true, 0, billing.ErrOverflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			op := usd(c.a).Add
			if c.sub {
				op = usd(c.a).Sub
			}
			got, err := op(usd(c.b))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && got.Minor() != c.want {
				t.Errorf("got %d, want %d", got.Minor(), c.want)
			}
			if err != nil && got != (billing.Money{}) {
				t.Errorf("an amount %v came with the error", got)
			}
		})
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	dollars, yen := usd(500), billing.Minor(500, "JPY")
	if _, err := dollars.Add(yen); !errors.Is(err, billing.ErrCurrencyMismatch) {
		t.Errorf("Add: %v", err)
	}
	if _, err := dollars.Sub(yen); !errors.Is(err, billing.ErrCurrencyMismatch) {
		t.Errorf("Sub: %v", err)
	}
	if _, err := dollars.Cmp(yen); !errors.Is(err, billing.ErrCurrencyMismatch) {
		t.Errorf("Cmp: %v", err)
	}
	// Nought dollars are still dollars.
	if _, err := usd(0).Add(yen); !errors.Is(err, billing.ErrCurrencyMismatch) {
		t.Errorf("Add to nought: %v", err)
	}
	// An amount without a currency is not a wildcard, only no money is.
	if _, err := dollars.Add(billing.Minor(1, "")); !errors.Is(err, billing.ErrCurrencyMismatch) {
		t.Errorf("Add of an amount without a currency: %v", err)
	}
}

func TestNoMoneyTakesAnyCurrency(t *testing.T) {
	none := billing.Money{}
	for _, c := range []struct {
		name string
		a, b billing.Money
		want billing.Money
	}{
		{"first", none, usd(7), usd(7)},
		{"second", usd(7), none, usd(7)},
		{"both", none, none, none},
		{"to nought yen", none, billing.Minor(0, "JPY"), billing.Minor(0, "JPY")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.a.Add(c.b)
			if err != nil || got != c.want {
				t.Errorf("%v + %v = %v, %v; want %v", c.a, c.b, got, err, c.want)
			}
		})
	}
	if n, err := none.Cmp(usd(-3)); err != nil || n != 1 {
		t.Errorf("no money against -3 = %d, %v; want 1", n, err)
	}
}

func TestCmpSignNeg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := amounts().Draw(t, "a"), amounts().Draw(t, "b")
		want := big.NewInt(a).Cmp(big.NewInt(b))
		if got, err := usd(a).Cmp(usd(b)); err != nil || got != want {
			t.Fatalf("Cmp(%d, %d) = %d, %v; want %d", a, b, got, err, want)
		}
		if got := usd(a).Sign(); got != big.NewInt(a).Sign() {
			t.Fatalf("Sign(%d) = %d", a, got)
		}
		if usd(a).IsZero() != (a == 0) {
			t.Fatalf("IsZero(%d) = %v", a, usd(a).IsZero())
		}
		if got := usd(a).Neg(); got != usd(-a) || got.Neg() != usd(a) {
			t.Fatalf("Neg(%d) = %v", a, got)
		}
	})
}

func TestNegOfTheSmallestIsNoSilentError(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the amount without an opposite was negated to something")
		}
	}()
	usd(math.MinInt64).Neg()
}

// mulDiv is the rule of MulDiv by another way: the quotient of the doubled
// product and the doubled divisor after half a divisor was added away from zero.
func mulDiv(m, num, den int64) *big.Int {
	product := new(big.Int).Mul(big.NewInt(m), big.NewInt(num))
	divisor := big.NewInt(den)
	sign := int64(product.Sign() * divisor.Sign())
	product.Abs(product).Lsh(product, 1)
	divisor.Abs(divisor)
	product.Add(product, divisor)
	product.Quo(product, new(big.Int).Lsh(divisor, 1))
	return product.Mul(product, big.NewInt(sign))
}

func TestMulDivRoundsHalfAwayFromZero(t *testing.T) {
	limit := big.NewInt(math.MaxInt64)
	rapid.Check(t, func(t *rapid.T) {
		m, num := amounts().Draw(t, "m"), amounts().Draw(t, "num")
		den := amounts().Filter(func(n int64) bool { return n != 0 }).Draw(t, "den")
		want := mulDiv(m, num, den)
		got, err := usd(m).MulDiv(num, den)
		if new(big.Int).Abs(want).Cmp(limit) > 0 {
			if !errors.Is(err, billing.ErrOverflow) {
				t.Fatalf("%d * %d / %d = %v, %v; want ErrOverflow for %s", m, num, den, got, err, want)
			}
			return
		}
		if err != nil || got != usd(want.Int64()) {
			t.Fatalf("%d * %d / %d = %v, %v; want %s", m, num, den, got, err, want)
		}
	})
}

func TestMulDivSamples(t *testing.T) {
	for _, c := range []struct {
		name        string
		m, num, den int64
		want        int64
		err         error
	}{
		{"half up", 1, 1, 2, 1, nil},
		{"half down", -1, 1, 2, -1, nil},
		{"half by a negative divisor", 1, 1, -2, -1, nil},
		{"half of three negatives", -1, -1, -2, -1, nil},
		{"below half", 1, 1, 3, 0, nil},
		{"below half, negative", -1, 1, 3, 0, nil},
		{"above half", 2, 1, 3, 1, nil},
		{"2.5", 5, 1, 2, 3, nil},
		{"-2.5", -5, 1, 2, -3, nil},
		{"8.875 % of 19.99 in millionths", 1999, 88_750, 1_000_000, 177, nil},
		{"18 of 31 days of 49.99", 4999, 18, 31, 2903, nil},
		{"whole by itself", math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64, nil},
		{"nothing of a lot", 0, math.MaxInt64, 1, 0, nil},
		{"a lot of nothing", math.MaxInt64, 0, -7, 0, nil},
		{"just above", math.MaxInt64, 2, 1, 0, billing.ErrOverflow},
		{"rounding up to above", math.MaxInt64, math.MaxInt64, math.MaxInt64 - 1, 0, billing.ErrOverflow},
		{"one below the least that is above", math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64, nil},
		{"divisor without an opposite", math.MaxInt64, 1, math.MinInt64, -1, nil},
		{"half above the highest", 1<<32 - 1, 1<<32 + 1, 2, 0, billing.ErrOverflow},
		{"half above the lowest, downwards", 1<<32 - 1, -(1<<32 + 1), 2, 0, billing.ErrOverflow},
		// 253921 * 145295143558111 is 2^65 - 1: the quotient is the greatest
		// 64 bits can hold, and a half. Rounding it up once wrapped to 0.
		{"quotient of 64 ones and a half", 253_921, 145_295_143_558_111, 2, 0, billing.ErrOverflow},
		{"the same below zero", -253_921, 145_295_143_558_111, 2, 0, billing.ErrOverflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := usd(c.m).MulDiv(c.num, c.den)
			if !errors.Is(err, c.err) || err == nil && got != usd(c.want) {
				t.Errorf("%d * %d / %d = %v, %v; want %d, %v", c.m, c.num, c.den, got, err, c.want, c.err)
			}
		})
	}
}

// Shares of an amount by cumulated MulDiv lose nothing: each share is the
// difference of two points of one line.
func TestMulDivSharesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(-billing.MaxAmount, billing.MaxAmount).Draw(t, "whole")
		parts := rapid.Int64Range(1, 5200).Draw(t, "parts")
		sum, before := usd(0), usd(0)
		for k := int64(1); k <= parts; k++ {
			upTo, err := usd(whole).MulDiv(k, parts)
			if err != nil {
				t.Fatal(err)
			}
			share, err := upTo.Sub(before)
			if err != nil {
				t.Fatal(err)
			}
			if share.Sign()*usd(whole).Sign() < 0 {
				t.Fatalf("share %d of %d of %d goes the other way: %v", k, parts, whole, share)
			}
			if sum, err = sum.Add(share); err != nil {
				t.Fatal(err)
			}
			before = upTo
		}
		if sum != usd(whole) {
			t.Fatalf("%d parts of %d make %v", parts, whole, sum)
		}
	})
}

func TestMulDivByZeroPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_, _ = usd(1).MulDiv(1, 0)
}

func TestDecimalRoundTripInEveryCurrency(t *testing.T) {
	for c := range listOne(t) {
		t.Run(string(c), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := billing.Minor(amounts().Draw(t, "minor"), c)
				text := m.Decimal()
				back, err := billing.ParseDecimal(text, c)
				if err != nil || back != m {
					t.Fatalf("%d shows as %q and reads as %v, %v", m.Minor(), text, back, err)
				}
				if want := text + " " + string(c); m.String() != want {
					t.Fatalf("String is %q, want %q", m.String(), want)
				}
				_, fraction, pointed := strings.Cut(text, ".")
				if pointed != (c.Digits() > 0) || len(fraction) != c.Digits() {
					t.Fatalf("%q has not %d decimals", text, c.Digits())
				}
			})
		})
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		minor    int64
		currency billing.Currency
		want     string
	}{
		{1999, "USD", "19.99"},
		{5, "USD", "0.05"},
		{-5, "USD", "-0.05"},
		{50, "USD", "0.50"},
		{0, "USD", "0.00"},
		{100, "USD", "1.00"},
		{-199900, "USD", "-1999.00"},
		{2000, "JPY", "2000"},
		{0, "JPY", "0"},
		{-7, "JPY", "-7"},
		{1, "BHD", "0.001"},
		{12345, "KWD", "12.345"},
		{-999, "TND", "-0.999"},
		{math.MaxInt64, "USD", "92233720368547758.07"},
		{-math.MaxInt64, "JPY", "-9223372036854775807"},
		{math.MinInt64, "USD", "-92233720368547758.08"}, // shown, though never let in
	} {
		if got := billing.Minor(c.minor, c.currency).Decimal(); got != c.want {
			t.Errorf("%d of %s shows as %q, want %q", c.minor, c.currency, got, c.want)
		}
	}
	if got := (billing.Money{}).String(); got != "0" {
		t.Errorf("no money shows as %q, want 0", got)
	}
	if got := usd(-1999).String(); got != "-19.99 USD" {
		t.Errorf("got %q", got)
	}
}

func TestParseDecimal(t *testing.T) {
	for _, c := range []struct {
		text     string
		currency billing.Currency
		want     int64
	}{
		{"19.99", "USD", 1999}, {"-5", "USD", -500}, {"0.5", "USD", 50}, {"0", "USD", 0}, {"-0", "USD", 0},
		{"007", "USD", 700}, {"2000", "JPY", 2000}, {"1.5", "BHD", 1500}, {"0.001", "OMR", 1},
		{"92233720368547758.07", "USD", math.MaxInt64}, {"-92233720368547758.07", "USD", -math.MaxInt64},
		{"9223372036854775807", "JPY", math.MaxInt64},
	} {
		got, err := billing.ParseDecimal(c.text, c.currency)
		if err != nil || got != billing.Minor(c.want, c.currency) {
			t.Errorf("%q of %s = %v, %v; want %d", c.text, c.currency, got, err, c.want)
		}
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	for _, c := range []struct {
		text     string
		currency billing.Currency
	}{
		{"", "USD"}, {"-", "USD"}, {".", "USD"}, {"-.", "USD"}, {".5", "USD"}, {"5.", "USD"}, {"1.999", "USD"},
		{"1.0", "JPY"}, {"1.", "JPY"}, {"1.2345", "BHD"}, {"+1", "USD"}, {"--1", "USD"}, {" 1", "USD"}, {"1 ", "USD"},
		{"1,000", "USD"}, {"1,5", "USD"}, {"1e3", "USD"}, {"0x10", "USD"}, {"1_000", "USD"}, {"1.2.3", "USD"}, {"1.-2", "USD"},
		{"١", "USD"}, {"1\x00", "USD"}, {"NaN", "USD"}, {"Inf", "USD"},
	} {
		if got, err := billing.ParseDecimal(c.text, c.currency); err == nil {
			t.Errorf("%q of %s was read as %v", c.text, c.currency, got)
		} else if len(c.text) > 2 && strings.Contains(err.Error(), c.text) {
			t.Errorf("the error repeats its input: %v", err)
		}
	}
	for _, text := range []string{"92233720368547758.08", "-92233720368547758.08", "99999999999999999999999999"} {
		if _, err := billing.ParseDecimal(text, "USD"); !errors.Is(err, billing.ErrOverflow) {
			t.Errorf("%s: %v, want ErrOverflow", text, err)
		}
	}
}

// Whatever is read is read as it stands there: no digit is lost or made up.
func TestParseDecimalNeverRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]billing.Currency{"JPY", "USD", "KWD"}).Draw(t, "currency")
		text := rapid.StringMatching(`-?[0-9]{0,20}(\.[0-9]{0,4})?`).Draw(t, "text")
		got, err := billing.ParseDecimal(text, c)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is no number but was read as %v", text, got)
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.Digits())), nil)
		if new(big.Rat).SetFrac(big.NewInt(got.Minor()), unit).Cmp(want) != 0 {
			t.Fatalf("%q of %s was read as %d minor units", text, c, got.Minor())
		}
	})
}
