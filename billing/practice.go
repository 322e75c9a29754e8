package billing

import (
	"fmt"
	"strings"
	"time"
)

// Practice is one of the checks on charging without the customer's card at hand
// (protocols/ccbill.md 7.4), and whether a merchant's settings fulfil it.
type Practice struct {
	Number int // 1 to 16, as the protocol counts them
	What   string
	State  PracticeState
	Why    string
}

// PracticeState is what can be said of a practice.
type PracticeState string

// The states.
const (
	Fulfilled   PracticeState = "fulfilled"
	Unfulfilled PracticeState = "not"
	Unseen      PracticeState = "cannot be seen" // by a server, whatever the settings
)

// PracticeFacts are what practices are judged by.
type PracticeFacts struct {
	Velocity Velocity
	Accounts []string // codes
	Logins   []*Login
	Trusted  []Trust
	Now      time.Time // by the merchant's clock
}

// Practices judges all sixteen.
func Practices(f PracticeFacts) []Practice {
	g := f.Velocity.Guards
	uncovered := f.uncovered()
	loose := f.looseLogins()
	const site = "it happens on the merchant's own pages, before a request comes here"
	newcomers := false
	for _, r := range f.Velocity.Rules {
		newcomers = newcomers || !r.Disabled && (r.FirstDays > 0 || r.FirstPurchases > 0)
	}
	return []Practice{
		set(1, "a count rule and an amount rule for every account", len(uncovered) == 0,
			"each account has both", "missing for account "+strings.Join(uncovered, ", ")),
		set(2, "a ceiling for a single charge", g.MaxCharge > 0, "guards.max_charge", "set guards.max_charge"),
		set(3, "lower limits for new consumers", newcomers, "a rule has first_days or first_purchases", "no rule has first_days or first_purchases"),
		set(4, "no charge where a payment was taken back", g.TakenBack, "guards.taken_back", "set guards.taken_back"),
		set(5, "a least age of the original, and a longest time since the last payment", g.MinAge != "" && g.MaxIdle != "",
			"guards.min_age and guards.max_idle", "set guards.min_age and guards.max_idle"),
		unseen(6, "the consumer is logged in, and asked for the password again above an amount", site),
		unseen(7, "the terms are shown before an explicit click", site),
		unseen(8, "a record of the consent is kept", "no request carries one"),
		unseen(9, "a receipt for each charge", "who sends receipts, and whether they arrive, is not told here"),
		unseen(10, "purchases, cancellation and refund are within the consumer's reach", site),
		set(11, "a second charge of the same amount is held", g.Duplicates != "", "guards.duplicates", "set guards.duplicates"),
		set(12, "no retry after a hard decline, few after a soft one", g.AfterHardDecline != "" && g.SoftRetries > 0,
			"guards.after_hard_decline and guards.soft_retries", "set guards.after_hard_decline and guards.soft_retries"),
		unseen(13, "the buyer's address is compared with that of the original sale", "a request comes from the merchant's machine, and no wire carries the buyer's address"),
		set(14, "a daily report with alarms and an automatic stop", false, "", "this version has neither report nor stop; watch perennial velocity refusals and /metrics"),
		set(15, "trust is reviewed and ends", g.MaxTrust != "" && f.endless() == 0, "guards.max_trust, and all trust ends",
			fmt.Sprintf("set guards.max_trust; %d of %d trusted consumers are so without end", f.endless(), len(f.Trusted))),
		set(16, "machines log in from few addresses", len(loose) == 0, "each login of a machine has a narrow list of addresses; whether each system has a login of its own cannot be seen",
			"no allowed_ips, or wide ones, for login "+strings.Join(loose, ", ")),
	}
}

func set(number int, what string, ok bool, yes, no string) Practice {
	if ok {
		return Practice{number, what, Fulfilled, yes}
	}
	return Practice{number, what, Unfulfilled, no}
}

func unseen(number int, what, why string) Practice { return Practice{number, what, Unseen, why} }

// uncovered lists the accounts that lack a rule by count or by amount that holds
// for every consumer and every type of payment.
func (f PracticeFacts) uncovered() (codes []string) {
	for _, code := range f.Accounts {
		count, amount := false, false
		for _, r := range f.Velocity.Rules {
			if r.Disabled || r.Type != "" || r.FirstDays > 0 || r.FirstPurchases > 0 || r.Account != "" && r.Account != EachAccount && r.Account != code {
				continue
			}
			count, amount = count || r.Count > 0, amount || r.Amount > 0
		}
		if !count || !amount {
			codes = append(codes, code)
		}
	}
	return codes
}

// endless counts the consumers whose trust has no end.
func (f PracticeFacts) endless() (n int) {
	for _, t := range f.Trusted {
		if t.Until.IsZero() {
			n++
		}
	}
	return n
}

// The widest prefixes that still count as a narrow list: a small office, and a
// site of IPv6.
const (
	widestIPv4 = 24
	widestIPv6 = 48
)

// looseLogins names the machines' logins that may come from anywhere, or nearly.
func (f PracticeFacts) looseLogins() (names []string) {
	for _, l := range f.Logins {
		if l.Role != RoleAPI || l.Disabled {
			continue
		}
		loose := len(l.AllowedIPs) == 0
		for _, text := range l.AllowedIPs {
			r, err := ParseAddressRange(text)
			if err == nil && (r.First.Is4() && !r.within(widestIPv4) || r.First.Is6() && !r.within(widestIPv6)) {
				loose = true
			}
		}
		if loose {
			names = append(names, l.Name)
		}
	}
	return names
}
