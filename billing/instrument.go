package billing

import (
	"strconv"
	"strings"
	"time"
)

// Instrument is what money was moved with: a kind of card or bank account, or
// one of the ways that leave no trace at a processor.
type Instrument string

// The instruments. Those from Cash on are recorded, never charged.
const (
	VisaCredit       Instrument = "visa-credit"
	VisaDebit        Instrument = "visa-debit"
	MastercardCredit Instrument = "mastercard-credit"
	MastercardDebit  Instrument = "mastercard-debit"
	DiscoverCredit   Instrument = "discover-credit"
	DiscoverDebit    Instrument = "discover-debit"
	AmexCredit       Instrument = "amex-credit"
	Checking         Instrument = "checking"
	Savings          Instrument = "savings"
	Cash             Instrument = "cash"
	Check            Instrument = "check"
	External         Instrument = "external"     // taken by another system
	Allowance        Instrument = "allowance"    // given away by the merchant
	Settlement       Instrument = "settlement"   // agreed sum in place of the whole
	WrittenOff       Instrument = "write-off"    // given up by the merchant
	PaymentPlan      Instrument = "payment-plan" // moved into a payment plan
)

// IsCard reports whether the instrument is a payment card.
func (i Instrument) IsCard() bool {
	switch i {
	case VisaCredit, VisaDebit, MastercardCredit, MastercardDebit, DiscoverCredit, DiscoverDebit, AmexCredit:
		return true
	}
	return false
}

// IsBank reports whether the instrument is a bank account that is debited
// through a clearing house, so that its answer comes days later.
func (i Instrument) IsBank() bool { return i == Checking || i == Savings }

// PaymentMethod is a card or bank account of a customer, kept in the vault. Its
// number, type and, for a bank, routing never change: another card is another
// payment method.
type PaymentMethod struct {
	MerchantID  MerchantID
	ID          PaymentMethodID
	AccountID   AccountID
	CustomerID  CustomerID
	Code        string
	Instrument  Instrument
	Token       string // opaque name that a client may use in place of the number
	Masked      string // see Mask
	Sealed      []byte // the number, sealed by the merchant's keys for this method alone
	Fingerprint []byte // keyed hash of the number: the same for the same card
	Expiry      string // MMYY, cards only
	Routing     string // ABA routing number or its like, bank accounts only
	Holder      string
	Address     Address
	Phone       string
	Email       string
	Active      bool
	Stale       bool // the bank said that it needs new data
	Details     MethodDetails
	ForgetAt    time.Time // by the merchant's clock: when it is forgotten unless something is paid with it, zero for never
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Vaulted reports whether a number is kept. A payment method without one is the
// place of one that was forgotten, or of one that is still to come.
func (m *PaymentMethod) Vaulted() bool { return len(m.Sealed) > 0 }

// Forget takes out of a payment method all that is anybody's: what is left is a
// place that subscriptions and attempts can name, and nothing can be paid with.
func (m *PaymentMethod) Forget(at time.Time) {
	*m = PaymentMethod{MerchantID: m.MerchantID, ID: m.ID, AccountID: m.AccountID, CustomerID: m.CustomerID,
		Token: placeToken(m.ID), Sealed: []byte{}, Fingerprint: []byte{}, CreatedAt: m.CreatedAt, UpdatedAt: at}
}

// Place makes a payment method for which there is no card or account: a customer's
// until one comes. Its id is given.
func (m *PaymentMethod) Place(at time.Time) {
	m.CreatedAt = at
	m.Forget(at)
}

// placeToken stands where tokens do, which are unique, and opens nothing.
func placeToken(id PaymentMethodID) string { return "none-" + strconv.FormatInt(int64(id), 10) }

// Address is a postal address.
type Address struct {
	Street1    string `json:"street1,omitempty"`
	Street2    string `json:"street2,omitempty"`
	City       string `json:"city,omitempty"`
	State      string `json:"state,omitempty"`   // state or province code
	PostalCode string `json:"zip,omitempty"`     //
	Country    string `json:"country,omitempty"` // ISO 3166-1, alpha-2 or alpha-3
}

// String joins the parts that are there with commas.
func (a Address) String() string {
	var parts []string
	for _, p := range []string{a.Street1, a.Street2, a.City, a.State, a.PostalCode, a.Country} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// CheckNumber reports whether a number can be one of this instrument: 13 to 19
// digits with a right check digit (ISO/IEC 7812-1 annex B) for a card, 4 to 17
// digits for a bank account (NACHA: DFI account number).
func (i Instrument) CheckNumber(number string) bool {
	for _, r := range number {
		if r < '0' || r > '9' {
			return false
		}
	}
	switch {
	case i.IsCard():
		return len(number) >= 13 && len(number) <= 19 && luhn(number)
	case i.IsBank():
		return len(number) >= 4 && len(number) <= 17
	}
	return false
}

// BrandOf tells the kind of card by its first digits, for who does not say it.
// Credit and debit cannot be told apart so.
func BrandOf(number string) (Instrument, bool) {
	begins := func(from, to string) bool {
		return len(number) >= len(from) && number[:len(from)] >= from && number[:len(to)] <= to
	}
	switch {
	case begins("4", "4"):
		return VisaCredit, true
	case begins("51", "55"), begins("2221", "2720"):
		return MastercardCredit, true
	case begins("34", "34"), begins("37", "37"):
		return AmexCredit, true
	case begins("6011", "6011"), begins("65", "65"), begins("644", "649"):
		return DiscoverCredit, true
	}
	return "", false
}

// luhn checks the last digit of a card number: ISO/IEC 7812-1 annex B.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// CheckRouting reports whether s is an ABA routing transit number with a right
// check digit: weights 3, 7, 1 over nine digits give a multiple of ten. Nine
// zeros do too and are refused: no bank has them.
func CheckRouting(s string) bool {
	if len(s) != 9 {
		return false
	}
	sum := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += int(s[i]-'0') * [3]int{3, 7, 1}[i%3]
	}
	return sum > 0 && sum%10 == 0
}

// CheckExpiry reports whether s is a month and year as MMYY.
func CheckExpiry(s string) bool {
	if len(s) != 4 {
		return false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s[:2] >= "01" && s[:2] <= "12"
}
