package billing

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// Mode tells play from earnest. A merchant is born in one and never changes.
type Mode string

// The two modes. A test merchant's payments go to the sandbox bank only, and
// only its clock can be moved.
const (
	Test Mode = "test"
	Live Mode = "live"
)

// Merchant is who bills. Everything else belongs to exactly one merchant.
type Merchant struct {
	ID        MerchantID
	Code      string // short name for operators, unique in the installation
	Name      string
	Mode      Mode
	Zone      *time.Location // of its calendar: where its days begin
	Currency  Currency       // of amounts whose wire names none
	Clock     Clock
	Settings  Settings
	Keys      []byte // data keys, wrapped by the vault's master key
	CreatedAt time.Time

	NoticesAt     time.Time // when the processor is next asked for notices
	NoticesCursor int64     // the last notice that was taken in
}

// Now is the merchant's time when the world's is wall.
func (m *Merchant) Now(wall time.Time) time.Time { return m.Clock.Now(wall).UTC() }

// Today is the merchant's date at an instant.
func (m *Merchant) Today(at time.Time) Date { return DateOf(at.In(m.Zone)) }

// Start is the first instant of a date for the merchant.
func (m *Merchant) Start(d Date) time.Time { return d.Start(m.Zone).UTC() }

// Money is an amount in the merchant's currency.
func (m *Merchant) Money(minor int64) Money { return Minor(minor, m.Currency) }

// Account is a part of a merchant's business with customers and plans of its
// own (UniPay's merchant account, CCBill's sub-account).
type Account struct {
	MerchantID MerchantID
	ID         AccountID
	Code       string // as the wires know it, unique for the merchant
	Name       string
	CreatedAt  time.Time
}

// Balancing is the order in which debts are covered (protocols/unipay.md 3.10).
type Balancing string

// The two orders.
const (
	OldestFirst  Balancing = "oldest-first"  // by due date, then by id
	InvoiceFirst Balancing = "invoice-first" // the oldest invoice, then fees by date, then later invoices
)

// CodeScope says within what a code that a client chose must be unique.
type CodeScope string

// The scopes. Codes are unique for each kind of object separately.
const (
	WithinAccount  CodeScope = "account"
	WithinMerchant CodeScope = "merchant"
	WithinCustomer CodeScope = "customer"
)

// Settings are a merchant's choices. The zero value is every default; the JSON
// form is what `perennial apply` reads and the database keeps.
type Settings struct {
	Balancing         Balancing `json:"balancing,omitempty"`            // default oldest-first
	CodeScope         CodeScope `json:"code_scope,omitempty"`           // default account
	RetryDays         []int     `json:"retry_days,omitempty"`           // days after the first decline on which a soft decline is tried again; default 3, 7, 14; [0] never
	CloseSalesDays    int       `json:"close_sales_days,omitempty"`     // days before a billing date in which the subscription cannot be changed
	BillingDay        int       `json:"billing_day,omitempty"`          // day of month, 1 to 28 so that every month has it, of a first billing date that was not given; 0 the day after creation
	AllowPastBilling  bool      `json:"allow_past_billing,omitempty"`   // whether a first billing date may lie in the past
	WriteOffAfterDays int       `json:"write_off_after_days,omitempty"` // days after the due date when what is still owed is written off; 0 never
	FirstBillNumber   int64     `json:"first_bill_number,omitempty"`    // of the first invoice with lines; default 1000; what is numbered stays
	Fees              Fees      `json:"fees,omitzero"`

	// ForgetAfterMonths is how many months after its data were given, or something was
	// last paid with it, a card or account is forgotten; 0 never. It holds for those
	// that are given while it stands (protocols/recurly-v1.md 6.6).
	ForgetAfterMonths int `json:"forget_after_months,omitempty"`

	// Velocity stands in a set-up file beside the settings, for its length.
	Velocity Velocity `json:"velocity,omitzero" yaml:"-"`

	// Dialects holds the switches of each wire under its name; the dialect
	// alone knows what they mean.
	Dialects map[string]json.RawMessage `json:"dialects,omitempty"`
}

// Fees are what the merchant charges a customer beside the plan, in minor units
// of the merchant's currency; 0 is none (protocols/unipay.md 6.3).
type Fees struct {
	Enrollment    int64 `json:"enrollment,omitempty"`      // once, when a subscription is made
	SoftDecline   int64 `json:"soft_decline,omitempty"`    // for a declined claim that is tried again
	HardDecline   int64 `json:"hard_decline,omitempty"`    // for a declined claim that is not
	Retry         int64 `json:"retry,omitempty"`           // when a claim that was declined is approved on a retry
	Chargeback    int64 `json:"chargeback,omitempty"`      // for a chargeback
	Freeze        int64 `json:"freeze,omitempty"`          // once, when a subscription is frozen
	FrozenBilling int64 `json:"frozen_billing,omitempty"`  // invoiced in place of the plan's amount on each frozen billing date
	Late          int64 `json:"late,omitempty"`            // once for a debt that is still open late_after_days after its due date
	LateAfterDays int   `json:"late_after_days,omitempty"` // days
}

// DefaultRetryDays is the schedule of retries where the merchant chose none
// (protocols/unipay.md 6.4).
var DefaultRetryDays = []int{3, 7, 14}

// WithDefaults fills in what the merchant left open.
func (s Settings) WithDefaults() Settings {
	if s.Balancing == "" {
		s.Balancing = OldestFirst
	}
	if s.CodeScope == "" {
		s.CodeScope = WithinAccount
	}
	if s.RetryDays == nil {
		s.RetryDays = slices.Clone(DefaultRetryDays)
	}
	return s
}

// Check refuses settings that contradict themselves or are out of range. The
// error names the field by its JSON name. Velocity has a check of its own.
func (s Settings) Check() error {
	switch s.Balancing {
	case "", OldestFirst, InvoiceFirst:
	default:
		return FieldError(Invalid, "balancing", "must be oldest-first or invoice-first")
	}
	switch s.CodeScope {
	case "", WithinAccount, WithinMerchant, WithinCustomer:
	default:
		return FieldError(Invalid, "code_scope", "must be account, merchant or customer")
	}
	if s.RetryDays != nil && len(s.RetryDays) == 0 {
		// The JSON form leaves an empty list out, and what is left out is the default.
		return FieldError(Invalid, "retry_days", "must not be empty; 0 alone is for no retries")
	}
	last := 0
	for i, d := range s.RetryDays {
		if d < 0 || d > 365 || i > 0 && d <= last || d == 0 && len(s.RetryDays) > 1 {
			return FieldError(Invalid, "retry_days", "must be rising days from 1 to 365, or 0 alone for no retries")
		}
		last = d
	}
	days := []struct {
		name  string
		value int
		most  int
	}{
		{"close_sales_days", s.CloseSalesDays, 365}, {"billing_day", s.BillingDay, 28},
		{"write_off_after_days", s.WriteOffAfterDays, 3650}, {"forget_after_months", s.ForgetAfterMonths, 120}, {"late_after_days", s.Fees.LateAfterDays, 3650},
	}
	for _, d := range days {
		if d.value < 0 || d.value > d.most {
			return FieldError(Invalid, d.name, "must be from 0 to %d", d.most)
		}
	}
	if s.FirstBillNumber < 0 || s.FirstBillNumber > MaxBillNumber {
		return FieldError(Invalid, "first_bill_number", "must be from 1 to %d", int64(MaxBillNumber))
	}
	f := s.Fees
	for _, fee := range []int64{f.Enrollment, f.SoftDecline, f.HardDecline, f.Retry, f.Chargeback, f.Freeze, f.FrozenBilling, f.Late} {
		if fee < 0 || fee > MaxAmount {
			return FieldError(Invalid, "fees", "must be from 0 to %d minor units", int64(MaxAmount))
		}
	}
	if f.Late > 0 && f.LateAfterDays == 0 {
		return FieldError(Invalid, "late_after_days", "must be from 1 to 3650 where there is a late fee")
	}
	return nil
}

// The number of a merchant's first invoice with lines where none is chosen
// (protocols/recurly-v1.md 9), and the most that can be.
const (
	DefaultFirstBill = 1000
	MaxBillNumber    = 1_000_000_000
)

// FirstBill is the number of the first invoice with lines.
func (s Settings) FirstBill() int64 {
	if s.FirstBillNumber == 0 {
		return DefaultFirstBill
	}
	return s.FirstBillNumber
}

// MaxAmount bounds one amount from outside, in minor units: 99,999,999.99 of a
// currency with two decimals. Sums of many such amounts still fit.
const MaxAmount = 99_999_999_99

// Role is what a login may do.
type Role string

// The roles.
const (
	RoleAPI   Role = "api"   // a machine that calls the wires
	RoleAdmin Role = "admin" // a person who may change everything
	RoleClerk Role = "clerk" // a person who may look and serve customers
)

// Login is a machine or person that may act for a merchant.
type Login struct {
	MerchantID   MerchantID
	ID           LoginID
	Name         string
	Role         Role
	Accounts     []AccountID // which accounts it reaches; empty is all
	AllowRawData bool        // may send untokenised card and bank numbers
	AllowedIPs   []string    // where it may come from, as ParseAddressRange reads it; empty is anywhere
	PasswordHash string      // argon2id in PHC form
	Disabled     bool
	Failures     int       // failed proofs since the last success
	LockedUntil  time.Time // by the world's time
	CreatedAt    time.Time
}

// Reaches reports whether the login may see an account.
func (l *Login) Reaches(a AccountID) bool {
	if len(l.Accounts) == 0 {
		return true
	}
	for _, id := range l.Accounts {
		if id == a {
			return true
		}
	}
	return false
}

// Admits reports whether the login may come from an address; none listed allows
// all.
func (l *Login) Admits(from netip.Addr) bool {
	if len(l.AllowedIPs) == 0 {
		return true
	}
	for _, text := range l.AllowedIPs {
		if r, err := ParseAddressRange(text); err == nil && r.Contains(from) {
			return true
		}
	}
	return false
}
