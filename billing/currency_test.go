package billing_test

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// listOneRow is a row of testdata/iso4217.csv.
type listOneRow struct {
	number int
	digits int
}

// listOne reads the currencies of testdata/iso4217.csv, which was made from list
// one of ISO 4217 as its maintenance agency published it, apart from the table
// that it checks. The rows of other kinds are in notCirculating.
func listOne(t testing.TB) map[billing.Currency]listOneRow {
	t.Helper()
	rows, _ := readListOne(t)
	return rows
}

func readListOne(t testing.TB) (circulating map[billing.Currency]listOneRow, others []string) {
	t.Helper()
	f, err := os.Open("testdata/iso4217.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	circulating = map[billing.Currency]listOneRow{}
	for _, line := range lines[1:] {
		if line[3] != "currency" {
			others = append(others, line[0])
			continue
		}
		number, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		digits, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		circulating[billing.Currency(line[0])] = listOneRow{number, digits}
	}
	return circulating, others
}

func TestCurrenciesAreThoseOfListOne(t *testing.T) {
	circulating, others := readListOne(t)
	if len(circulating) != 156 {
		t.Fatalf("the file has %d currencies, want 156", len(circulating))
	}
	for c, want := range circulating {
		got, err := billing.ParseCurrency(string(c))
		if err != nil || got != c {
			t.Errorf("%s is refused: %v", c, err)
		}
		if c.Number() != want.number || c.Digits() != want.digits {
			t.Errorf("%s has number %d and %d digits, want %d and %d", c, c.Number(), c.Digits(), want.number, want.digits)
		}
	}
	for _, code := range others {
		if c, err := billing.ParseCurrency(code); err == nil {
			t.Errorf("%s is no currency that anybody pays in, and was let in with %d digits", code, c.Digits())
		}
	}
}

// Every three letters that ParseCurrency lets in are on the list: the table has
// no row too many.
func TestNoCurrencyBesideListOne(t *testing.T) {
	circulating := listOne(t)
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				code := string([]rune{a, b, c})
				if _, err := billing.ParseCurrency(code); err != nil {
					continue
				}
				n++
				if _, ok := circulating[billing.Currency(code)]; !ok {
					t.Errorf("%s is let in but not on list one", code)
				}
			}
		}
	}
	if n != len(circulating) {
		t.Errorf("%d currencies are let in, %d are on the list", n, len(circulating))
	}
}

func TestCurrencyByNumber(t *testing.T) {
	circulating := listOne(t)
	of := map[int]billing.Currency{}
	for c, row := range circulating {
		if other, taken := of[row.number]; taken {
			t.Errorf("%s and %s share the number %d", c, other, row.number)
		}
		of[row.number] = c
	}
	for n := range 1000 {
		got, ok := billing.CurrencyByNumber(n)
		if want, listed := of[n]; ok != listed || got != want {
			t.Errorf("number %d is %q, %v; want %q, %v", n, got, ok, want, listed)
		}
	}
	for _, n := range []int{-1, 0, 1000, 8400} {
		if c, ok := billing.CurrencyByNumber(n); ok {
			t.Errorf("number %d is %s", n, c)
		}
	}
}

func TestCurrencySamples(t *testing.T) {
	for _, c := range []struct {
		code           billing.Currency
		number, digits int
	}{
		{"USD", 840, 2}, {"EUR", 978, 2}, {"GBP", 826, 2}, {"CAD", 124, 2}, {"AUD", 36, 2}, {"CHF", 756, 2},
		{"JPY", 392, 0}, {"KRW", 410, 0}, {"CLP", 152, 0}, {"ISK", 352, 0}, {"UGX", 800, 0}, {"VND", 704, 0},
		{"BHD", 48, 3}, {"IQD", 368, 3}, {"JOD", 400, 3}, {"KWD", 414, 3}, {"LYD", 434, 3}, {"OMR", 512, 3}, {"TND", 788, 3},
		{"ALL", 8, 2}, {"DZD", 12, 2}, {"MGA", 969, 2}, {"MRU", 929, 2}, {"XCG", 532, 2}, {"ZWG", 924, 2}, {"SLE", 925, 2},
	} {
		if c.code.Number() != c.number || c.code.Digits() != c.digits {
			t.Errorf("%s: number %d, %d digits", c.code, c.code.Number(), c.code.Digits())
		}
	}
}

func TestParseCurrencyRefuses(t *testing.T) {
	for _, s := range []string{
		"", "usd", "Usd", "US", "USDX", "US ", "$", "840", "ÄÖÜ",
		"HRK", "SLL", "ZWL", "ANG", "CUC", "DEM", "BYR", "MRO", "STD", "VEF", "ZMK", "LTL", // withdrawn
		"XXX", "XTS", "XAU", "XDR", "XUA", "XSU", "UYW", "CLF", "CHE", "USN", // never paid in
		"BTC", "XBT", "RMB", "NTD", // never of ISO 4217
	} {
		if c, err := billing.ParseCurrency(s); err == nil {
			t.Errorf("%q was let in as %s", s, c)
		} else if c != "" {
			t.Errorf("%q: %q came with the error", s, c)
		}
	}
}

func TestParseCurrencyShowsThreeCharactersAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`[0-9]{13,19}`).Draw(t, "number")
		_, err := billing.ParseCurrency(number)
		if err == nil {
			t.Fatal("let in")
		}
		if want := `billing: "` + number[:3] + `" is not a currency of ISO 4217`; err.Error() != want {
			t.Fatalf("error is %q, want %q", err, want)
		}
	})
}

func TestUnknownCurrencyHasTwoDigits(t *testing.T) {
	c := billing.Currency("QQQ")
	if c.Digits() != 2 || c.Number() != 0 {
		t.Errorf("digits %d, number %d; want 2 and 0", c.Digits(), c.Number())
	}
}
