package billing

import (
	"fmt"
	"time"
)

// day is the time within which soft declines are counted.
const day = 24 * time.Hour

// guard holds a charge against the guards, in the order of Guards.
func (v Velocity) guard(c Case) *VelocityRefusal {
	g, now := v.Guards, c.Charge.At
	refuse := func(name string, kind VelocityKind, format string, args ...any) *VelocityRefusal {
		return &VelocityRefusal{"guards." + name, kind, fmt.Sprintf(format, args...)}
	}
	if g.MaxCharge > 0 {
		amount, err := v.convert(c.Charge.Amount, c.Currency, c.Currency)
		if err != nil {
			return refuse("max_charge", NoRate, "the amount cannot be converted to %s", c.Currency)
		}
		if amount.Minor() > g.MaxCharge {
			return refuse("max_charge", OverAmount, "%s, at most %s", amount, Minor(g.MaxCharge, c.Currency))
		}
	}
	since := c.Consumer.MethodSince
	if g.TakenBack && c.Consumer.TakenBack {
		return refuse("taken_back", Guarded, "a payment with this payment method was taken back")
	}
	if g.MinAge != "" && !since.IsZero() && now.Before(since.Add(g.MinAge.Length())) {
		return refuse("min_age", Guarded, "the payment method is known for less than %s", g.MinAge)
	}
	if g.MaxIdle != "" && !since.IsZero() {
		last := c.Consumer.LastPaid
		if last.IsZero() {
			last = since
		}
		if now.After(last.Add(g.MaxIdle.Length())) {
			return refuse("max_idle", Guarded, "the last payment is longer ago than %s", g.MaxIdle)
		}
	}
	if g.Duplicates != "" && c.duplicate(now.Add(-g.Duplicates.Length())) {
		return refuse("duplicates", OverCount, "the same amount was charged within %s", g.Duplicates)
	}
	return g.declines(c)
}

// duplicate reports whether the same was charged, or is being charged, since an
// instant.
func (c Case) duplicate(from time.Time) bool {
	for _, k := range c.Consumer.History {
		if k.At.After(from) && !k.Renewal && k.State != AttemptDeclined && k.Amount == c.Charge.Amount && k.AccountID == c.Charge.AccountID {
			return true
		}
	}
	return false
}

// declines holds a charge against those that were declined before it.
func (g Guards) declines(c Case) *VelocityRefusal {
	soft := 0
	var hard Counted
	now := c.Charge.At
	for _, k := range c.Consumer.History { // the oldest first
		switch {
		case k.State == AttemptApproved || k.State == AttemptPending:
			soft, hard = 0, Counted{}
		case k.State != AttemptDeclined || k.Response == "":
		case k.Response.Severity() == Hard:
			hard = k
		case k.At.After(now.Add(-day)):
			soft++
		}
	}
	if g.AfterHardDecline != "" && !hard.At.IsZero() && hard.Expiry == c.Charge.Expiry && hard.At.After(now.Add(-g.AfterHardDecline.Length())) {
		return &VelocityRefusal{"guards.after_hard_decline", Guarded, "a hard decline less than " + string(g.AfterHardDecline) + " ago"}
	}
	if g.SoftRetries > 0 && soft > g.SoftRetries {
		return &VelocityRefusal{"guards.soft_retries", OverCount, fmt.Sprintf("%d declines in 24h, at most %d retries", soft, g.SoftRetries)}
	}
	return nil
}

// Horizon is how far back a consumer's history matters.
func (v Velocity) Horizon() time.Duration {
	longest := max(v.Guards.Duplicates.Length(), v.Guards.AfterHardDecline.Length())
	if v.Guards.SoftRetries > 0 {
		longest = max(longest, day)
	}
	for _, r := range v.Rules {
		if !r.Disabled {
			longest = max(longest, r.Window.Length())
		}
	}
	return longest
}

// PurchasesAsked is how many of a consumer's purchases a rule wants counted, 0
// for none.
func (v Velocity) PurchasesAsked() int {
	most := 0
	for _, r := range v.Rules {
		if !r.Disabled {
			most = max(most, r.FirstPurchases)
		}
	}
	return most
}

// NamesAccounts reports whether any rule is about one account, by its code.
func (v Velocity) NamesAccounts() bool {
	for _, r := range v.Rules {
		if !r.Disabled && r.Account != "" && r.Account != EachAccount {
			return true
		}
	}
	return false
}
