package billing

import (
	"fmt"
	"strconv"
	"time"
)

// Velocity is a merchant's controls on how often, and for how much, one consumer
// may be charged (protocols/ccbill.md 7). A consumer is whoever holds a card or
// bank account, under whatever customers and subscriptions it appears. The zero
// value controls nothing.
//
// Controls are about charges that somebody asks for. What falls due by itself is
// never refused by them; a rule may count it.
type Velocity struct {
	Rules  []VelocityRule `json:"rules,omitempty"` // at most MaxVelocityRules
	Rates  []Rate         `json:"rates,omitempty"` // for amounts in other currencies than a rule's
	Guards Guards         `json:"guards,omitzero"`
}

// VelocityRule limits the number of charges of one consumer in a window of time,
// or their sum. Exactly at the limit is allowed.
type VelocityRule struct {
	Name           string   `json:"name"`                      // by which refusals name it
	Count          int64    `json:"count,omitempty"`           // the most charges in the window, or
	Amount         int64    `json:"amount,omitempty"`          // the most money, in minor units of
	Currency       Currency `json:"currency,omitempty"`        // default the merchant's
	Window         Window   `json:"window"`                    // rolling: it ends at the charge that is asked for
	Account        string   `json:"account,omitempty"`         // code of the account that it is about, EachAccount, or "" for all together
	Type           string   `json:"type,omitempty"`            // TypeCard or TypeBank; "" both
	Attempts       bool     `json:"attempts,omitempty"`        // declined charges count as well
	Renewals       bool     `json:"renewals,omitempty"`        // claims of the billing run count as well
	FirstDays      int      `json:"first_days,omitempty"`      // only for consumers first seen less than so many days ago,
	FirstPurchases int      `json:"first_purchases,omitempty"` // or with fewer approved charges than this
	Disabled       bool     `json:"disabled,omitempty"`
}

// EachAccount, in place of an account's code, makes a rule hold for each account
// by itself.
const EachAccount = "*"

// The types of payment that a rule may be about.
const (
	TypeCard = "card"
	TypeBank = "bank"
)

// Rate is what one unit of a currency (a euro, not a cent) is worth in the
// merchant's, in millionths: the merchant's own figure, for limits alone.
type Rate struct {
	Currency   Currency `json:"currency"`
	Millionths int64    `json:"millionths"`
}

// Guards are the checks of protocols/ccbill.md 7.4 that a server can enforce
// beside the rules. Each is off while it is zero, and none bends for a trusted
// consumer.
type Guards struct {
	MaxCharge        int64  `json:"max_charge,omitempty"`         // check 2: the most that one charge may be, in minor units of the merchant's currency
	TakenBack        bool   `json:"taken_back,omitempty"`         // check 4: no charge of a payment method with a chargeback, return, void or refund
	MinAge           Window `json:"min_age,omitempty"`            // check 5: how long the payment method must have been known
	MaxIdle          Window `json:"max_idle,omitempty"`           // check 5: how long ago the customer's last payment may lie
	Duplicates       Window `json:"duplicates,omitempty"`         // check 11: no second charge of a consumer with the same amount and account in it
	AfterHardDecline Window `json:"after_hard_decline,omitempty"` // check 12: no charge so long after a hard decline, while the expiry date is the same
	SoftRetries      int    `json:"soft_retries,omitempty"`       // check 12: the most charges in 24 hours after a soft decline, until one is approved
	MaxTrust         Window `json:"max_trust,omitempty"`          // check 15: trust ends, and no later than this
}

// The bounds of velocity controls. A charge is held against every rule, over
// all that lies in the longest window.
const (
	MaxVelocityRules = 50
	MaxWindow        = 366 * 24 * time.Hour
	maxRateMillionth = 1_000_000_000_000
)

// Active reports whether a charge has to be held against anything. Where it is
// false, charges cost nothing for it.
func (v Velocity) Active() bool {
	for _, r := range v.Rules {
		if !r.Disabled {
			return true
		}
	}
	g := v.Guards
	g.MaxTrust = "" // is about giving trust
	return g != Guards{}
}

// CountsRenewals reports whether any rule counts what falls due by itself.
func (v Velocity) CountsRenewals() bool {
	for _, r := range v.Rules {
		if r.Renewals && !r.Disabled {
			return true
		}
	}
	return false
}

// Window is a length of time as people write it: a whole number and s, m, h or
// d, such as 90m or 7d. A day is 24 hours. "" is none.
type Window string

// Length is the length of the window, 0 if it is none or malformed.
func (w Window) Length() time.Duration {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if len(w) < 2 || w[0] < '1' || w[0] > '9' {
		return 0
	}
	n, err := strconv.ParseInt(string(w[:len(w)-1]), 10, 32)
	length := time.Duration(n) * units[w[len(w)-1]]
	if err != nil || length > MaxWindow {
		return 0
	}
	return length
}

// Check refuses controls that contradict themselves or are out of range. The
// error names the field as in rules[1].window.
func (v Velocity) Check() error {
	if len(v.Rules) > MaxVelocityRules {
		return FieldError(Invalid, "rules", "must be at most %d", MaxVelocityRules)
	}
	names := make(map[string]bool)
	for i, r := range v.Rules {
		at := fmt.Sprintf("rules[%d].", i)
		if err := r.check(at); err != nil {
			return err
		}
		if names[r.Name] {
			return FieldError(Invalid, at+"name", "comes twice")
		}
		names[r.Name] = true
	}
	seen := make(map[Currency]bool)
	for i, r := range v.Rates {
		at := fmt.Sprintf("rates[%d].", i)
		if _, err := ParseCurrency(string(r.Currency)); err != nil || seen[r.Currency] {
			return FieldError(Invalid, at+"currency", "must be a currency code of ISO 4217 that comes once")
		}
		if r.Millionths < 1 || r.Millionths > maxRateMillionth {
			return FieldError(Invalid, at+"millionths", "must be from 1 to %d", int64(maxRateMillionth))
		}
		seen[r.Currency] = true
	}
	return v.Guards.check()
}

func (r VelocityRule) check(at string) error {
	if !plainName(r.Name) {
		return FieldError(Invalid, at+"name", "must be up to 40 letters, digits and . _ -")
	}
	if (r.Count > 0) == (r.Amount > 0) || r.Count < 0 || r.Amount < 0 || r.Amount > MaxAmount || r.Count > MaxAmount {
		return FieldError(Invalid, at+"count", "one of count and amount must be given, from 1 to %d", int64(MaxAmount))
	}
	if r.Currency != "" {
		if _, err := ParseCurrency(string(r.Currency)); err != nil || r.Amount == 0 {
			return FieldError(Invalid, at+"currency", "must be a currency code of ISO 4217, with an amount")
		}
	}
	if r.Window.Length() == 0 {
		return badWindow(at + "window")
	}
	switch r.Type {
	case "", TypeCard, TypeBank:
	default:
		return FieldError(Invalid, at+"type", "must be card or bank, or absent for both")
	}
	if r.FirstDays < 0 || r.FirstDays > 3650 || r.FirstPurchases < 0 || r.FirstPurchases > 1000 {
		return FieldError(Invalid, at+"first_days", "first_days must be from 0 to 3650 and first_purchases from 0 to 1000")
	}
	return nil
}

func (g Guards) check() error {
	if g.MaxCharge < 0 || g.MaxCharge > MaxAmount {
		return FieldError(Invalid, "guards.max_charge", "must be from 0 to %d", int64(MaxAmount))
	}
	if g.SoftRetries < 0 || g.SoftRetries > 1000 {
		return FieldError(Invalid, "guards.soft_retries", "must be from 0 to 1000")
	}
	for _, w := range []struct {
		name  string
		value Window
	}{{"min_age", g.MinAge}, {"max_idle", g.MaxIdle}, {"duplicates", g.Duplicates}, {"after_hard_decline", g.AfterHardDecline},
		{"max_trust", g.MaxTrust}} {
		if w.value != "" && w.value.Length() == 0 {
			return badWindow("guards." + w.name)
		}
	}
	return nil
}

func badWindow(field string) error {
	return FieldError(Invalid, field, "must be a length of time such as 90m, 24h or 7d, at most 366d")
}

// plainName reports whether s can name a rule in a log and on a command line.
func plainName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}
