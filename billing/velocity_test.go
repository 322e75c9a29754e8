package billing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// paid is an approved charge some time before noon.
func paid(ago time.Duration, m billing.Money, change ...func(*billing.Counted)) billing.Counted {
	k := billing.Counted{At: noon.Add(-ago), AccountID: 1, Amount: m, Expiry: "0430", State: billing.AttemptApproved}
	for _, f := range change {
		f(&k)
	}
	return k
}

// asked is a charge at noon that comes after others.
func asked(m billing.Money, history ...billing.Counted) billing.Case {
	return billing.Case{Charge: paid(0, m), Currency: "USD", Consumer: billing.Consumer{FirstAt: noon.Add(-1000 * time.Hour), History: history}}
}

func judged(v billing.Velocity, c billing.Case) string {
	if r := v.Judge(c); r != nil {
		return r.Rule + " " + string(r.Kind)
	}
	return ""
}

// TestVelocityRules holds each part of a rule against charges at its limits.
func TestVelocityRules(t *testing.T) {
	at := func(f func(*billing.Counted)) func(*billing.Counted) { return f }
	declined := at(func(k *billing.Counted) { k.State = billing.AttemptDeclined })
	renewal := at(func(k *billing.Counted) { k.Renewal = true })
	bank := at(func(k *billing.Counted) { k.Bank = true })
	account2 := at(func(k *billing.Counted) { k.AccountID = 2 })
	count := func(n int64, change ...func(*billing.VelocityRule)) billing.Velocity {
		r := billing.VelocityRule{Name: "r", Count: n, Window: "1d"}
		for _, f := range change {
			f(&r)
		}
		return billing.Velocity{Rules: []billing.VelocityRule{r}}
	}
	week := billing.Velocity{Rules: []billing.VelocityRule{{Name: "w", Amount: 10000, Window: "7d"}}}
	both := billing.Velocity{Rules: []billing.VelocityRule{{Name: "sum", Amount: 100, Window: "1d"}, {Name: "n", Count: 1, Window: "1d"}}}
	hour := time.Hour
	for _, c := range []struct {
		name string
		v    billing.Velocity
		c    billing.Case
		want string
	}{
		{"no controls", billing.Velocity{}, asked(usd(1), paid(0, usd(1))), ""},
		{"at the limit", count(3), asked(usd(1), paid(2*hour, usd(1)), paid(hour, usd(1))), ""},
		{"over it", count(3), asked(usd(1), paid(3*hour, usd(1)), paid(2*hour, usd(1)), paid(hour, usd(1))), "r count"},
		{"exactly a window ago", count(1), asked(usd(1), paid(24*hour, usd(1))), ""},
		{"just within", count(1), asked(usd(1), paid(24*hour-time.Microsecond, usd(1))), "r count"},
		{"disabled", count(1, func(r *billing.VelocityRule) { r.Disabled = true }), asked(usd(1), paid(hour, usd(1))), ""},
		{"declined ones do not count", count(1), asked(usd(1), paid(hour, usd(1), declined)), ""},
		{"or do", count(1, func(r *billing.VelocityRule) { r.Attempts = true }), asked(usd(1), paid(hour, usd(1), declined)), "r count"},
		{"nor do renewals", count(1), asked(usd(1), paid(hour, usd(1), renewal)), ""},
		{"or do they", count(1, func(r *billing.VelocityRule) { r.Renewals = true }), asked(usd(1), paid(hour, usd(1), renewal)), "r count"},
		{"under way", count(1), asked(usd(1), paid(hour, usd(1), func(k *billing.Counted) { k.State = billing.AttemptUnknown })), "r count"},
		{"all accounts together", count(1), asked(usd(1), paid(hour, usd(1), account2)), "r count"},
		{"each by itself", count(1, func(r *billing.VelocityRule) { r.Account = "*" }), asked(usd(1), paid(hour, usd(1), account2)), ""},
		{"banks", count(1, func(r *billing.VelocityRule) { r.Type = "bank" }), asked(usd(1), paid(hour, usd(1))), ""},
		{"cards", count(1, func(r *billing.VelocityRule) { r.Type = "card" }), asked(usd(1), paid(hour, usd(1), bank)), ""},
		{"cards alone", count(1, func(r *billing.VelocityRule) { r.Type = "card" }), asked(usd(1), paid(hour, usd(1))), "r count"},
		{"amount at the limit", week, asked(usd(4000), paid(hour, usd(6000))), ""},
		{"amount over it", week, asked(usd(4001), paid(hour, usd(6000))), "w amount"},
		{"one amount too much", week, asked(usd(10001)), "w amount"},
		{"count before amount", both, asked(usd(100), paid(hour, usd(100))), "n count"},
		{"old consumers", count(1, func(r *billing.VelocityRule) { r.FirstDays = 30 }), asked(usd(1), paid(hour, usd(1))), ""},
		{"new consumers", count(1, func(r *billing.VelocityRule) { r.FirstDays = 60 }), asked(usd(1), paid(hour, usd(1))), "r count"},
		{"few purchases", count(1, func(r *billing.VelocityRule) { r.FirstPurchases = 2 }), asked(usd(1), paid(hour, usd(1))), "r count"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(c.v, c.c); got != c.want {
				t.Errorf("refused by %q, want %q", got, c.want)
			}
		})
	}
}

// TestVelocityAccount is a rule about one account, by its code.
func TestVelocityAccount(t *testing.T) {
	v := billing.Velocity{Rules: []billing.VelocityRule{{Name: "r", Count: 1, Window: "1d", Account: "0001"}}}
	c := asked(usd(1), paid(time.Hour, usd(1)))
	for codes, want := range map[string]string{"0001": "r count", "0002": ""} {
		c.Accounts = map[string]billing.AccountID{codes: 1}
		if got := judged(v, c); got != want {
			t.Errorf("account %s: %q", codes, got)
		}
	}
}

// TestVelocityCurrencies converts by the merchant's table, or refuses.
func TestVelocityCurrencies(t *testing.T) {
	v := billing.Velocity{
		Rules: []billing.VelocityRule{{Name: "w", Amount: 10000, Window: "7d"}},
		Rates: []billing.Rate{{Currency: "EUR", Millionths: 1_100_000}, {Currency: "JPY", Millionths: 6_500}},
	}
	inYen := billing.Velocity{Rules: []billing.VelocityRule{{Name: "y", Amount: 1000, Currency: "JPY", Window: "7d"}}, Rates: v.Rates}
	for _, c := range []struct {
		name string
		v    billing.Velocity
		c    billing.Case
		want string
	}{
		{"euros", v, asked(billing.Minor(9090, "EUR")), ""}, // 99.99 dollars
		{"euros, rounded", v, asked(billing.Minor(9091, "EUR")), ""},
		{"too many euros", v, asked(billing.Minor(9092, "EUR")), "w amount"},
		{"yen", v, asked(usd(3500), paid(0, billing.Minor(10000, "JPY"))), ""}, // 65.00 and 35.00
		{"too many yen", v, asked(usd(3501), paid(0, billing.Minor(10000, "JPY"))), "w amount"},
		{"pounds", v, asked(billing.Minor(1, "GBP")), "w currency"},
		{"pounds before", v, asked(usd(1), paid(time.Hour, billing.Minor(1, "GBP"))), "w currency"},
		{"a limit in yen", inYen, asked(usd(650)), ""},
		{"a limit in yen for euros", inYen, asked(billing.Minor(592, "EUR")), "y amount"}, // 1001.8 yen
		{"counts need no rate", billing.Velocity{Rules: []billing.VelocityRule{{Name: "n", Count: 1, Window: "1d"}}}, asked(billing.Minor(1, "GBP")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(c.v, c.c); got != c.want {
				t.Errorf("refused by %q, want %q", got, c.want)
			}
		})
	}
}

// TestVelocityTrust goes further than the rules as far as it says, and as long.
func TestVelocityTrust(t *testing.T) {
	v := billing.Velocity{
		Rules:  []billing.VelocityRule{{Name: "n", Count: 2, Window: "1d"}, {Name: "w", Amount: 1000, Window: "1d"}},
		Guards: billing.Guards{MaxCharge: 5000},
	}
	trusting := func(percent int64, until time.Time, c billing.Case) billing.Case {
		c.Consumer.Trust = &billing.Trust{Percent: percent, Until: until}
		return c
	}
	two := []billing.Counted{paid(time.Hour, usd(100)), paid(time.Hour, usd(100))}
	three := append(slices.Clone(two), paid(time.Hour, usd(100)))
	for _, c := range []struct {
		name string
		c    billing.Case
		want string
	}{
		{"half as much again", trusting(150, time.Time{}, asked(usd(1), two...)), ""},
		{"and no more", trusting(150, time.Time{}, asked(usd(1), three...)), "n count"},
		{"of the amount", trusting(150, time.Time{}, asked(usd(1300), two...)), ""},
		{"and no more of it", trusting(150, time.Time{}, asked(usd(1301), two...)), "w amount"},
		{"without limit", trusting(0, time.Time{}, asked(usd(5000), three...)), ""},
		{"but not beyond a guard", trusting(0, time.Time{}, asked(usd(5001), three...)), "guards.max_charge amount"},
		{"until a moment ahead", trusting(0, noon.Add(time.Microsecond), asked(usd(1), three...)), ""},
		{"until now", trusting(0, noon, asked(usd(1), three...)), "n count"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(v, c.c); got != c.want {
				t.Errorf("refused by %q, want %q", got, c.want)
			}
		})
	}
}

// TestGuards holds each guard against a charge on both sides of its edge.
func TestGuards(t *testing.T) {
	soft := func(k *billing.Counted) { k.State, k.Response = billing.AttemptDeclined, "51" }
	hard := func(k *billing.Counted) { k.State, k.Response = billing.AttemptDeclined, "54" }
	hour := time.Hour
	with := func(c billing.Case, change func(*billing.Case)) billing.Case {
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		g    billing.Guards
		c    billing.Case
		want string
	}{
		{"ceiling", billing.Guards{MaxCharge: 100}, asked(usd(100)), ""},
		{"above it", billing.Guards{MaxCharge: 100}, asked(usd(101)), "guards.max_charge amount"},
		{"not to be told", billing.Guards{MaxCharge: 100}, asked(billing.Minor(1, "GBP")), "guards.max_charge currency"},
		{"taken back", billing.Guards{TakenBack: true}, with(asked(usd(1)), func(c *billing.Case) { c.Consumer.TakenBack = true }), "guards.taken_back guard"},
		{"young", billing.Guards{MinAge: "1d"}, with(asked(usd(1)), func(c *billing.Case) { c.Consumer.MethodSince = noon.Add(-23 * hour) }), "guards.min_age guard"},
		{"old enough", billing.Guards{MinAge: "1d"}, with(asked(usd(1)), func(c *billing.Case) { c.Consumer.MethodSince = noon.Add(-24 * hour) }), ""},
		{"no method", billing.Guards{MinAge: "1d", MaxIdle: "1d"}, asked(usd(1)), ""},
		{"idle", billing.Guards{MaxIdle: "1d"}, with(asked(usd(1)), func(c *billing.Case) { c.Consumer.MethodSince = noon.Add(-25 * hour) }), "guards.max_idle guard"},
		{"not idle", billing.Guards{MaxIdle: "1d"}, with(asked(usd(1)), func(c *billing.Case) {
			c.Consumer.MethodSince, c.Consumer.LastPaid = noon.Add(-25*hour), noon.Add(-hour)
		}), ""},
		{"twice", billing.Guards{Duplicates: "1m"}, asked(usd(1), paid(59*time.Second, usd(1))), "guards.duplicates count"},
		{"twice with patience", billing.Guards{Duplicates: "1m"}, asked(usd(1), paid(60*time.Second, usd(1))), ""},
		{"another amount", billing.Guards{Duplicates: "1m"}, asked(usd(1), paid(time.Second, usd(2))), ""},
		{"declined before", billing.Guards{Duplicates: "1m"}, asked(usd(1), paid(time.Second, usd(1), soft)), ""},
		{"hard", billing.Guards{AfterHardDecline: "7d"}, asked(usd(1), paid(hour, usd(1), hard)), "guards.after_hard_decline guard"},
		{"hard and long ago", billing.Guards{AfterHardDecline: "7d"}, asked(usd(1), paid(170*hour, usd(1), hard)), ""},
		{"hard, with a new date", billing.Guards{AfterHardDecline: "7d"}, asked(usd(1), paid(hour, usd(1), hard, func(k *billing.Counted) { k.Expiry = "0426" })), ""},
		{"hard, then approved", billing.Guards{AfterHardDecline: "7d"}, asked(usd(1), paid(2*hour, usd(1), hard), paid(hour, usd(1))), ""},
		{"first retry", billing.Guards{SoftRetries: 1}, asked(usd(1), paid(hour, usd(1), soft)), ""},
		{"second retry", billing.Guards{SoftRetries: 1}, asked(usd(1), paid(2*hour, usd(1), soft), paid(hour, usd(1), soft)), "guards.soft_retries count"},
		{"second retry a day later", billing.Guards{SoftRetries: 1}, asked(usd(1), paid(24*hour, usd(1), soft), paid(hour, usd(1), soft)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(billing.Velocity{Guards: c.g}, c.c); got != c.want {
				t.Errorf("refused by %q, want %q", got, c.want)
			}
		})
	}
}

// TestWindows reads lengths of time, and nothing else.
func TestWindows(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90m": 90 * time.Minute, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "366d": billing.MaxWindow,
		"": 0, "d": 0, "1": 0, "0d": 0, "-1d": 0, "+1d": 0, "1.5d": 0, "1w": 0, "367d": 0, "99999999999999999999d": 0, "9999999999s": 0, "01d": 0, " 1d": 0,
	} {
		if got := billing.Window(text).Length(); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// TestVelocityCheck names what is wrong with controls.
func TestVelocityCheck(t *testing.T) {
	good := billing.VelocityRule{Name: "r", Count: 1, Window: "1d"}
	rule := func(change func(*billing.VelocityRule)) billing.Velocity {
		r := good
		change(&r)
		return billing.Velocity{Rules: []billing.VelocityRule{good, r}}
	}
	for field, v := range map[string]billing.Velocity{
		"":                          {Rules: []billing.VelocityRule{good}, Rates: []billing.Rate{{Currency: "EUR", Millionths: 1}}},
		"rules[1].name":             rule(func(r *billing.VelocityRule) {}),
		"rules[1].count":            rule(func(r *billing.VelocityRule) { r.Name, r.Amount = "a", 5 }),
		"rules[1].window":           rule(func(r *billing.VelocityRule) { r.Name, r.Window = "a", "week" }),
		"rules[1].type":             rule(func(r *billing.VelocityRule) { r.Name, r.Type = "a", "cash" }),
		"rules[1].currency":         rule(func(r *billing.VelocityRule) { r.Name, r.Currency = "a", "EUR" }),
		"rules[1].first_days":       rule(func(r *billing.VelocityRule) { r.Name, r.FirstDays = "a", -1 }),
		"rates[0].millionths":       {Rates: []billing.Rate{{Currency: "EUR"}}},
		"rates[1].currency":         {Rates: []billing.Rate{{Currency: "EUR", Millionths: 1}, {Currency: "EUR", Millionths: 1}}},
		"guards.max_charge":         {Guards: billing.Guards{MaxCharge: -1}},
		"guards.soft_retries":       {Guards: billing.Guards{SoftRetries: -1}},
		"guards.after_hard_decline": {Guards: billing.Guards{AfterHardDecline: "soon"}},
		"rules":                     {Rules: slices.Repeat([]billing.VelocityRule{good}, billing.MaxVelocityRules+1)},
	} {
		err := v.Check()
		if field == "" {
			if err != nil {
				t.Error(err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestWindowProperty charges at random moments and keeps what is let through. No
// window of the rule's length, wherever it begins, ever holds more than the
// limit; and what was refused would have gone beyond it.
func TestWindowProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(1, 90).Draw(t, "window")
		length := time.Duration(seconds) * time.Second
		r := billing.VelocityRule{Name: "r", Window: billing.Window(fmt.Sprintf("%ds", seconds))}
		byAmount := rapid.Bool().Draw(t, "by amount")
		limit := int64(rapid.IntRange(1, 20).Draw(t, "limit"))
		if byAmount {
			r.Amount = limit
		} else {
			r.Count = limit
		}
		v := billing.Velocity{Rules: []billing.VelocityRule{r}}
		weight := func(k billing.Counted) int64 {
			if byAmount {
				return k.Amount.Minor()
			}
			return 1
		}
		within := func(list []billing.Counted, end time.Time) (sum int64) {
			for _, k := range list {
				if k.At.After(end.Add(-length)) && !k.At.After(end) && k.State != billing.AttemptDeclined {
					sum += weight(k)
				}
			}
			return sum
		}
		var history []billing.Counted
		now := noon
		for range rapid.IntRange(1, 60).Draw(t, "charges") {
			now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "gap")) * time.Second)
			k := billing.Counted{At: now, Amount: usd(int64(rapid.IntRange(1, 5).Draw(t, "amount"))),
				State: rapid.SampledFrom([]billing.AttemptState{billing.AttemptApproved, billing.AttemptDeclined, billing.Sending}).Draw(t, "state")}
			before := within(history, now)
			refusal := v.Judge(billing.Case{Charge: k, Currency: "USD", Consumer: billing.Consumer{History: history}})
			if (refusal != nil) != (before+weight(k) > limit) {
				t.Fatalf("%d of %d in the window, %d more: refused %v", before, limit, weight(k), refusal)
			}
			if refusal == nil {
				history = append(history, k)
			}
		}
		for _, k := range history {
			if sum := within(history, k.At); sum > limit {
				t.Fatalf("%d of %d in a window", sum, limit)
			}
		}
	})
}
