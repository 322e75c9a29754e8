package billing

import (
	"fmt"
	"time"
)

// Counted is a charge of a consumer as velocity controls see it.
type Counted struct {
	At        time.Time // by the merchant's clock
	AccountID AccountID
	Bank      bool // a bank account rather than a card
	Renewal   bool // fell due by itself
	Amount    Money
	Expiry    string       // MMYY, cards
	State     AttemptState // what has become of it
	Response  ResponseCode
}

// Trust lets a consumer go further than the rules, or as far as it likes.
type Trust struct {
	Percent int64     // of each limit; 0 is without limit
	Until   time.Time // by the merchant's clock; zero is for ever
	Reason  string
	By      string // the login that gave it
	At      time.Time
}

// Holds reports whether the trust is in force.
func (t *Trust) Holds(at time.Time) bool {
	return t != nil && (t.Until.IsZero() || at.Before(t.Until))
}

// MaxTrustPercent bounds the factor of a trusted consumer: a thousand times each
// limit.
const MaxTrustPercent = 100_000

// Consumer is what is known of the holder of a card or bank account.
type Consumer struct {
	FirstAt   time.Time // when it was first counted, zero if never
	Trust     *Trust    // nil if none
	Purchases int64     // approved charges, counted as far as a rule asks
	History   []Counted // charges within the longest window

	// Of the payment method that is charged; zero if a number came with the
	// request, or if no guard asks.
	MethodSince time.Time // since when it is known
	LastPaid    time.Time // when its customer last paid anything
	TakenBack   bool      // a payment made with it was taken back
}

// Case is a charge that is asked for and all that it is judged by.
type Case struct {
	Charge   Counted
	Consumer Consumer
	Currency Currency             // the merchant's
	Accounts map[string]AccountID // by code; may be nil where no rule names an account
}

// VelocityKind tells dialects what a refusal was about.
type VelocityKind string

// The kinds of refusals.
const (
	OverCount  VelocityKind = "count"    // too many charges
	OverAmount VelocityKind = "amount"   // too much money
	NoRate     VelocityKind = "currency" // the merchant's table cannot convert the amount
	Guarded    VelocityKind = "guard"    // another check
)

// VelocityRefusal is the cause of an Error of kind Limited with which a charge
// is refused. Nothing was charged, and nothing is counted for it.
type VelocityRefusal struct {
	Rule   string // the name of the rule, or of the guard as in guards.duplicates
	Kind   VelocityKind
	Detail string // for the merchant's people, not for the client
}

// Error names the rule.
func (r *VelocityRefusal) Error() string { return "velocity " + r.Rule + ": " + r.Detail }

// Judge holds a charge against the controls: the guards, then the rules that
// limit counts, then those that limit amounts, each in their order
// (protocols/ccbill.md 7.2). It returns the first that refuses, or nil.
func (v Velocity) Judge(c Case) *VelocityRefusal {
	if r := v.guard(c); r != nil {
		return r
	}
	trust := c.Consumer.Trust
	if trust.Holds(c.Charge.At) && trust.Percent == 0 {
		return nil
	}
	for _, amounts := range []bool{false, true} {
		for _, rule := range v.Rules {
			if (rule.Amount > 0) != amounts || !rule.concerns(c) {
				continue
			}
			if r := v.exceeds(rule, c); r != nil {
				return r
			}
		}
	}
	return nil
}

// Use is how far a consumer has gone toward the limit of a rule.
type Use struct {
	Rule  VelocityRule
	Count int64 // charges in the window
	Sum   Money // of them, in the rule's currency
	Limit int64 // charges or minor units, trust included; -1 is none
}

// Uses tells, for each rule that would concern a charge, how far its consumer
// has gone. A sum that cannot be converted leaves its rule out.
func (v Velocity) Uses(c Case) []Use {
	var uses []Use
	for _, rule := range v.Rules {
		if !rule.concerns(c) {
			continue
		}
		count, sum, err := v.measure(rule, c)
		if err != nil {
			continue
		}
		uses = append(uses, Use{rule, count, sum, rule.limit(c)})
	}
	return uses
}

// concerns reports whether a charge has to be held against a rule.
func (r VelocityRule) concerns(c Case) bool {
	if r.Disabled || !r.sees(c, c.Charge) {
		return false
	}
	if r.FirstDays == 0 && r.FirstPurchases == 0 {
		return true
	}
	first := c.Consumer.FirstAt
	young := r.FirstDays > 0 && (first.IsZero() || c.Charge.At.Before(first.Add(time.Duration(r.FirstDays)*24*time.Hour)))
	return young || c.Consumer.Purchases < int64(r.FirstPurchases)
}

// sees reports whether a rule is about charges of this account and type.
func (r VelocityRule) sees(c Case, k Counted) bool {
	switch r.Account {
	case "":
	case EachAccount:
		if k.AccountID != c.Charge.AccountID {
			return false
		}
	default:
		if id, ok := c.Accounts[r.Account]; !ok || k.AccountID != id {
			return false
		}
	}
	return r.Type == "" || (r.Type == TypeBank) == k.Bank
}

// measure counts what lies in the window of a rule that ends at the charge. A
// charge that lies exactly a window back is out of it. What is under way counts
// as approved, lest two at once slip through.
func (v Velocity) measure(r VelocityRule, c Case) (count int64, sum Money, err error) {
	sum = Minor(0, r.currency(c))
	from := c.Charge.At.Add(-r.Window.Length())
	for _, k := range c.Consumer.History {
		if !k.At.After(from) || !r.sees(c, k) || k.Renewal && !r.Renewals || k.State == AttemptDeclined && !r.Attempts {
			continue
		}
		count++
		if r.Amount == 0 {
			continue
		}
		amount, err := v.convert(k.Amount, sum.Currency(), c.Currency)
		if err != nil {
			return 0, Money{}, err
		}
		if sum, err = sum.Add(amount); err != nil {
			return 0, Money{}, err
		}
	}
	return count, sum, nil
}

func (r VelocityRule) currency(c Case) Currency {
	if r.Currency != "" {
		return r.Currency
	}
	return c.Currency
}

// limit is the limit for this consumer, -1 for none.
func (r VelocityRule) limit(c Case) int64 {
	most := r.Count + r.Amount // one of them is zero
	if t := c.Consumer.Trust; t.Holds(c.Charge.At) {
		if t.Percent == 0 {
			return -1
		}
		most = most * t.Percent / 100
	}
	return most
}

// exceeds tells whether a charge would go beyond a rule.
func (v Velocity) exceeds(r VelocityRule, c Case) *VelocityRefusal {
	count, sum, err := v.measure(r, c)
	most := r.limit(c)
	if err == nil && r.Amount == 0 {
		if count+1 <= most {
			return nil
		}
		return &VelocityRefusal{r.Name, OverCount, fmt.Sprintf("%d charges in %s, at most %d", count, r.Window, most)}
	}
	var next Money
	if err == nil {
		next, err = v.convert(c.Charge.Amount, sum.Currency(), c.Currency)
	}
	if err == nil {
		next, err = sum.Add(next)
	}
	if err != nil {
		return &VelocityRefusal{r.Name, NoRate, "an amount cannot be converted to " + string(r.currency(c))}
	}
	if next.Minor() <= most {
		return nil
	}
	return &VelocityRefusal{r.Name, OverAmount, fmt.Sprintf("%s in %s with this charge, at most %s", next, r.Window, Minor(most, next.Currency()))}
}

// convert brings an amount to a currency by the merchant's table, which says
// what currencies are worth in home, the merchant's own. It rounds once.
func (v Velocity) convert(m Money, to, home Currency) (Money, error) {
	if m.Currency() == to {
		return m, nil
	}
	from, ok1 := v.rate(m.Currency(), home)
	into, ok2 := v.rate(to, home)
	if !ok1 || !ok2 {
		return Money{}, ErrCurrencyMismatch
	}
	out, err := Minor(m.Minor(), to).MulDiv(from*power(to.Digits()), into*power(m.Currency().Digits()))
	return out, err
}

func (v Velocity) rate(c, home Currency) (int64, bool) {
	if c == home {
		return 1_000_000, true
	}
	for _, r := range v.Rates {
		if r.Currency == c {
			return r.Millionths, true
		}
	}
	return 0, false
}

func power(digits int) int64 {
	n := int64(1)
	for range digits {
		n *= 10
	}
	return n
}
