package billing_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

func TestCouponCheck(t *testing.T) {
	good := billing.Coupon{Code: "vip", Percent: 50, Lasts: billing.LastsOnce}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*billing.Coupon){
		"no code":             func(c *billing.Coupon) { c.Code = "" },
		"neither":             func(c *billing.Coupon) { c.Percent = 0 },
		"both":                func(c *billing.Coupon) { c.Amount = usd(1) },
		"percent":             func(c *billing.Coupon) { c.Percent = 101 },
		"negative":            func(c *billing.Coupon) { c.Percent, c.Amount = 0, usd(-1) },
		"lasts":               func(c *billing.Coupon) { c.Lasts = "" },
		"no months":           func(c *billing.Coupon) { c.Lasts = billing.LastsMonths },
		"months of no months": func(c *billing.Coupon) { c.Months = 2 },
		"redemptions":         func(c *billing.Coupon) { c.MaxRedemptions = -1 },
		"plans":               func(c *billing.Coupon) { c.Plans = make([]string, billing.MaxCouponPlans+1) },
	} {
		bad := good
		change(&bad)
		if err := bad.Check(); billing.KindOf(err) != billing.Invalid && billing.KindOf(err) != billing.Missing {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRedeemable(t *testing.T) {
	c := billing.Coupon{Active: true, RedeemBy: day(t, "2011-06-30"), MaxRedemptions: 2}
	for _, x := range []struct {
		today  string
		before int
		active bool
		ok     bool
	}{{"2011-06-30", 1, true, true}, {"2011-07-01", 1, true, false}, {"2011-06-30", 2, true, false}, {"2011-06-30", 1, false, false}} {
		c.Active = x.active
		if err := c.Redeemable(day(t, x.today), x.before); (err == nil) != x.ok || err != nil && billing.KindOf(err) != billing.State {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

// TestDiscount: what a coupon is of, and how it is rounded.
func TestDiscount(t *testing.T) {
	line := func(k billing.LineKind, amount int64) billing.Line { return billing.Line{Kind: k, Amount: usd(amount)} }
	all := []billing.Line{line(billing.LinePlan, 1000), line(billing.LineAddOn, 101), line(billing.LineSetup, 500), line(billing.LineCharge, 200),
		line(billing.LineAdjustment, -300), line(billing.LineProration, 50)}
	for _, c := range []struct {
		name   string
		coupon billing.Coupon
		lines  []billing.Line
		plan   string
		want   int64
		own    int64
	}{
		{"half, half a cent up", billing.Coupon{Percent: 50}, all, "gold", 676, 576},
		{"of its plan alone", billing.Coupon{Percent: 50, Plans: []string{"gold"}}, all, "gold", 576, 576},
		{"of another plan", billing.Coupon{Percent: 50, Plans: []string{"ruby"}}, all, "gold", 0, 0},
		{"an amount", billing.Coupon{Amount: usd(700)}, all, "gold", 700, 596},
		{"no more than what it is of", billing.Coupon{Amount: usd(7000)}, all, "gold", 1351, 1151},
		{"of another currency", billing.Coupon{Amount: billing.Minor(700, "EUR")}, all, "gold", 0, 0},
		{"of a charge of nobody's plan", billing.Coupon{Percent: 10}, all[3:4], "", 20, 0},
		{"of nothing", billing.Coupon{Percent: 10}, nil, "", 0, 0},
		{"not of a fee", billing.Coupon{Percent: 100}, all[2:3], "gold", 0, 0},
	} {
		if got, own, err := c.coupon.Discount(c.lines, c.plan); err != nil || got.Minor() != c.want || own.Minor() != c.own {
			t.Errorf("%s: %v of which %v, %v, want %d of which %d", c.name, got, own, err, c.want, c.own)
		}
	}
}

// TestRedemption: how long a coupon that was redeemed lowers invoices.
func TestRedemption(t *testing.T) {
	at := time.Date(2011, 1, 31, 15, 0, 0, 0, time.UTC)
	for lasts, want := range map[billing.CouponLasts][3]bool{ // on the day, on its last day, on the first after it
		billing.LastsOnce: {true, true, true}, billing.LastsForever: {true, true, true}, billing.LastsMonths: {true, true, false},
	} {
		c := &billing.Coupon{ID: 3, Lasts: lasts}
		if lasts == billing.LastsMonths {
			c.Months = 1
		}
		r := c.Redemption(7, day(t, "2011-01-31"), at)
		for i, on := range []string{"2011-01-31", "2011-02-27", "2011-02-28"} {
			if r.Holds(day(t, on)) != want[i] {
				t.Errorf("%s on %s: %v", lasts, on, !want[i])
			}
		}
		for range 2 {
			if err := r.Use(c, usd(5), at); err != nil {
				t.Fatal(err)
			}
		}
		if r.Used != 2 || r.Discounted != usd(10) || r.EndedAt.IsZero() != (lasts != billing.LastsOnce) {
			t.Errorf("%s, used twice: %+v", lasts, r)
		}
	}
}

// TestGather: what waits is taken along, but for what would bring the invoice
// below nought; and the invoice adds up.
func TestGather(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		own := usd(rapid.Int64Range(0, 5000).Draw(r, "own"))
		var waiting []billing.Line
		for i, n := range rapid.SliceOfN(rapid.Int64Range(-3000, 3000), 0, 8).Draw(r, "amounts") {
			waiting = append(waiting, billing.Line{ID: billing.LineID(i + 1), Amount: usd(n)})
		}
		waiting = append(waiting, billing.Line{ID: 99, Amount: billing.Minor(5, "EUR")})
		taken, err := billing.Gather(waiting, own)
		if err != nil {
			r.Fatal(err)
		}
		sum, in := own.Minor(), map[billing.LineID]bool{}
		for i, l := range taken {
			if i > 0 && l.ID <= taken[i-1].ID {
				r.Fatal("out of order")
			}
			sum += l.Amount.Minor()
			in[l.ID] = true
		}
		if sum < 0 || in[99] {
			r.Fatalf("it comes to %d", sum)
		}
		for _, l := range waiting[:len(waiting)-1] {
			if !in[l.ID] && sum+l.Amount.Minor() >= 0 {
				r.Fatalf("line %d of %s was left behind, at %d", l.ID, l.Amount, sum)
			}
		}
		rate := rapid.IntRange(0, billing.MaxTaxRate).Draw(r, "rate")
		got, err := billing.Sum(append([]billing.Line{{Amount: own}}, taken...), rate, "USD")
		if err != nil || got.Subtotal.Minor() != sum || got.Total.Minor() != sum+got.Tax.Minor() || got.Tax != billing.TaxOf(usd(sum), rate) {
			r.Fatalf("%+v, %v", got, err)
		}
	})
	if _, err := billing.Sum([]billing.Line{{Amount: usd(-1)}}, 0, "USD"); billing.KindOf(err) != billing.Internal {
		t.Errorf("below nought: %v", err)
	}
	if _, err := billing.Sum([]billing.Line{{Amount: usd(billing.MaxAmount + 1)}}, 0, "USD"); billing.KindOf(err) != billing.Invalid {
		t.Errorf("above the most: %v", err)
	}
}
