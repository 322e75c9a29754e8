package recurly

import (
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// readCents reads an amount in minor units: of NAME_in_cents, or of NAME in units
// of the currency with decimals (2.1). The first counts where both are given.
// given is false if neither is, ok if it is no amount. It may be negative.
func readCents(e *element, name string, c billing.Currency) (minor int64, given, ok bool) {
	if text, is := e.value(name + "_in_cents"); is && text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			whole, decimals, _ := strings.Cut(text, ".")
			if strings.Trim(decimals, "0") != "" {
				return 0, true, false
			}
			n, err = strconv.ParseInt(whole, 10, 64) // "1000.0", as a float is written
		}
		return n, true, err == nil && n >= -billing.MaxAmount && n <= billing.MaxAmount
	}
	text, is := e.value(name)
	if !is || text == "" {
		return 0, false, true
	}
	minus := strings.HasPrefix(text, "-")
	whole, decimals, pointed := strings.Cut(strings.TrimLeft(text, "+-"), ".")
	if !digits(whole) || pointed && decimals != "" && !digits(decimals) || len(text) > 20 {
		return 0, true, false
	}
	if decimals = strings.TrimRight(decimals, "0"); decimals != "" {
		whole += "." + decimals
	}
	m, err := billing.ParseDecimal(whole, c)
	if err != nil || m.Minor() > billing.MaxAmount {
		return 0, true, false
	}
	if minus {
		return -m.Minor(), true, true
	}
	return m.Minor(), true, true
}

// maxQuantity bounds a quantity.
const maxQuantity = 1_000_000

// readQuantity reads a quantity from 1; given is false if there is none.
func readQuantity(e *element) (n int, given, ok bool) {
	text, is := e.value("quantity")
	if !is || text == "" {
		return 0, false, true
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, ".0"))
	return n, true, err == nil && n >= 1 && n <= maxQuantity
}

// momentForms are how clients write dates and times (7.2). Without a zone it is
// UTC.
var momentForms = []string{time.RFC3339, "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05", "2006-01-02 15:04:05 UTC", "2006-01-02T15:04:05Z0700", "2006-01-02"}

// readMoment reads a date and time.
func readMoment(text string) (time.Time, bool) {
	for _, layout := range momentForms {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1990 && at.Year() <= 2200 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// checkCurrency finds whether a currency is given that the site does not bill in.
func checkCurrency(e *element, m *billing.Merchant, wrong *mistakes) {
	if c := e.textOf("currency"); c != "" && !strings.EqualFold(c, string(m.Currency)) {
		wrong.add("currency", invalid)
	}
}
