package ccbill

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// Name is the name of this dialect, under which a merchant's settings hold its
// switches. A merchant whose settings have none under it has no Data Link.
const Name = "ccbill"

// settings are a merchant's switches of this wire. The zero value is every
// default.
type settings struct {
	// AuthFailureCode answers wrong credentials: -7 as seen live, the default, or
	// -1 as documented (2.4).
	AuthFailureCode int `json:"auth_failure_code"`

	// CollapseAuthErrors answers all that can be wrong with who is asking with
	// -7 (11).
	CollapseAuthErrors bool `json:"collapse_auth_errors"`

	// MaxExtendDays is the greatest extendLength; default 6 (4.3).
	MaxExtendDays int `json:"max_extend_days"`

	// ExtractMinutes is how long to wait between two extracts; default 60, and
	// -1 for no waiting (6.1).
	ExtractMinutes int `json:"extract_minutes"`

	// OtherAccounts are other main accounts of the installation that may be
	// charged to (3.1).
	OtherAccounts []string `json:"other_accounts"`

	// RefundQuota and VoidQuota answer -15 and -16 beyond a count (4.4).
	RefundQuota quota `json:"refund_quota"`
	VoidQuota   quota `json:"void_quota"`

	// Users narrows what a Data Link user may do, by user name; who is not here
	// may do everything (2.1).
	Users map[string]user `json:"users"`

	// Subaccounts has the limits of subaccounts, by clientSubacc (3.2).
	Subaccounts map[string]subaccount `json:"subaccounts"`
}

// quota is how many there may be within a rolling window; none is no quota.
type quota struct {
	Count int `json:"count"`
	Days  int `json:"days"`
}

type user struct {
	Actions []string `json:"actions"`
}

// subaccount is what may be sold in a subaccount. Prices are minor units of
// whatever currency; 0 is no limit.
type subaccount struct {
	Inactive          bool     `json:"inactive"`
	MinPrice          int64    `json:"min_price"`
	MaxPrice          int64    `json:"max_price"`
	Currencies        []string `json:"currencies"` // ISO 4217, such as USD; none is all six
	MaxInitialPeriod  int      `json:"max_initial_period"`
	RecurringPeriods  []int    `json:"recurring_periods"` // none is 1 to 365
	RefuseBankAccount bool     `json:"refuse_bank_accounts"`

	// PricePoints has the terms to which may be upgraded, by upgradeTypeId (4.6).
	PricePoints map[string]billing.Terms `json:"price_points"`
}

// defaultMaxPrice is the greatest price where a subaccount has none: 1000.00 (3.2).
const defaultMaxPrice = 1000_00

// CheckSettings reports whether a merchant's switches of this wire, the member
// "ccbill" of the dialects in its settings, can be understood. Unknown switches
// are refused.
func CheckSettings(raw json.RawMessage) error {
	_, err := readSettings(raw)
	return err
}

func readSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(bytes.TrimSpace(raw)) == 0 {
		return s.withDefaults(), nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return settings{}, &billing.Error{Kind: billing.Invalid, Field: "dialects." + Name,
			Message: "must be an object with the switches of the CCBill dialect, see docs/ccbill.md", Err: err}
	}
	if err := s.check(); err != nil {
		return settings{}, err
	}
	return s.withDefaults(), nil
}

func (s settings) withDefaults() settings {
	if s.AuthFailureCode == 0 {
		s.AuthFailureCode = int(internal)
	}
	if s.MaxExtendDays == 0 {
		s.MaxExtendDays = 6
	}
	if s.ExtractMinutes == 0 {
		s.ExtractMinutes = 60
	}
	return s
}

func (s settings) check() error {
	wrong := func(field, message string) error {
		return billing.FieldError(billing.Invalid, "dialects."+Name+"."+field, "%s", message)
	}
	switch {
	case s.AuthFailureCode != 0 && s.AuthFailureCode != int(internal) && s.AuthFailureCode != int(badAuthentication):
		return wrong("auth_failure_code", "must be -7 or -1")
	case s.MaxExtendDays < 0 || s.MaxExtendDays > billing.MaxExtension:
		return wrong("max_extend_days", "is out of range")
	case s.ExtractMinutes < -1 || s.ExtractMinutes > 24*60:
		return wrong("extract_minutes", "must be from -1 to 1440")
	case slices.ContainsFunc(s.OtherAccounts, func(a string) bool { return !digits(a, 6, 6) }):
		return wrong("other_accounts", "must be accounts of 6 digits")
	}
	for name, q := range map[string]quota{"refund_quota": s.RefundQuota, "void_quota": s.VoidQuota} {
		if q.Count < 0 || q.Days < 0 || q.Days > 365 || (q.Count > 0) != (q.Days > 0) {
			return wrong(name, "must have a count and days from 1 to 365")
		}
	}
	for _, u := range s.Users {
		for _, a := range u.Actions {
			if !known(strings.ToLower(a)) {
				return wrong("users", "names an action that there is not")
			}
		}
	}
	for code, a := range s.Subaccounts {
		if !digits(code, 4, 4) {
			return wrong("subaccounts", "must be named by 4 digits")
		}
		for _, c := range a.Currencies {
			if _, ok := numberOf(billing.Currency(c)); !ok {
				return wrong("subaccounts", "names a currency that this wire does not have")
			}
		}
		if a.MinPrice < 0 || a.MaxPrice < 0 || a.MaxPrice > billing.MaxAmount || a.MaxInitialPeriod < 0 || a.MaxInitialPeriod > billing.MaxDays {
			return wrong("subaccounts", "has a limit that is out of range")
		}
		if !a.checkPricePoints() {
			return wrong("subaccounts", "has a price point that cannot be sold: it is named by digits, and has a currency of this wire, a first price, and terms that agree")
		}
	}
	return nil
}

// permits reports whether a user may do an action, in lower case.
func (s settings) permits(name, action string) bool {
	u, limited := s.Users[name]
	return !limited || slices.ContainsFunc(u.Actions, func(a string) bool { return strings.EqualFold(a, action) })
}

// currencies are those of the wire (3.2).
var currencies = []struct {
	number string
	code   billing.Currency
}{{"036", "AUD"}, {"124", "CAD"}, {"392", "JPY"}, {"826", "GBP"}, {"840", "USD"}, {"978", "EUR"}}

// currencyOf reads a currencyCode. A leading zero may be missing.
func currencyOf(number string) (billing.Currency, bool) {
	if digits(number, 2, 2) {
		number = "0" + number
	}
	for _, c := range currencies {
		if c.number == number {
			return c.code, true
		}
	}
	return "", false
}

// numberOf is the inverse of currencyOf.
func numberOf(code billing.Currency) (string, bool) {
	for _, c := range currencies {
		if c.code == code {
			return c.number, true
		}
	}
	return "", false
}
