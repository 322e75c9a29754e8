package ccbill_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/ccbill"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// upgrade is a request to upgrade on terms of its own, with changes.
func upgrade(number string, change ...string) string {
	v := url.Values{"clientAccnum": {"900000"}, "username": {"testuser"}, "password": {"testpass"}, "action": {"upgradeSubscription"},
		"upgradeClientAccnum": {"900000"}, "upgradeClientSubacc": {"0000"}, "sharedAuthentication": {"1"}, "initialPrice": {"20.00"}, "initialPeriod": {"90"},
		"recurringPrice": {"59.95"}, "recurringPeriod": {"90"}, "rebills": {"99"}, "subscriptionId": {number}}
	for _, c := range change {
		name, value, _ := strings.Cut(c, "=")
		v.Set(name, value)
	}
	return v.Encode()
}

func (d *desk) upgrade(number string, change ...string) string {
	d.t.Helper()
	return d.ask(ccbill.ChargingPath, upgrade(number, change...))
}

// wantStatus expects a subscriptionStatus.
func (d *desk) wantStatus(what, number, status string) {
	d.t.Helper()
	body := d.manage("viewSubscriptionStatus", number, "returnXML=1")
	if !strings.Contains(body, "<subscriptionStatus>"+status+"</subscriptionStatus>") {
		d.t.Errorf("%s: want status %s:\n%s", what, status, body)
	}
}

const upgraded = "\"approved\",\"subscriptionId\"\n\"1\",\""

// TestArgumentsOfUpgrades: what is wrong with an upgrade has its code and changes
// nothing.
func TestArgumentsOfUpgrades(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.choose(`{"other_accounts":["900001"],"subaccounts":{"0000":{"price_points":{"12":{"currency":"USD","initial":1500,"initial_days":30,"recurring":2500,"recurring_days":30,"rebills":99}}}}}`)
		first := d.Merchant
		d.account("900001")
		d.Merchant = first
		running := d.sold(published)
		over := d.sold(published, "rebills=0", "initialPeriod=0")
		for wanted, changes := range map[string][]string{
			"-5": {"upgradeClientAccnum=", "upgradeClientAccnum=9000", "upgradeClientSubacc=", "upgradeClientSubacc=0009", "initialPrice=", "initialPrice=x",
				"initialPrice=0.00", "initialPeriod=", "rebills=100", "recurringPrice=", "specialOffer=2", "sharedAuthentication=x", "subscriptionId=",
				"currencyCode=30", "upgradeTypeId=12", "threedsStatus=Y"},
			"-2": {"subscriptionId=x"},
			"-3": {"subscriptionId=1"},
			"-9": {"upgradeClientAccnum=900002", "upgradeClientAccnum=900001"},
			"-7": {"initialPrice=1000.01"},
			"0":  {"subscriptionId=" + over},
		} {
			for _, change := range changes {
				d.refused(change, wanted, func() string { return d.upgrade(running, change) })
			}
		}
		d.refused("on the other script", "-6", func() string { return d.ask(ccbill.ManagementPath, upgrade(running)) })
		byPoint := []string{"initialPrice=", "initialPeriod=", "recurringPrice=", "recurringPeriod=", "rebills="}
		for _, bad := range []string{"upgradeTypeId=13", "upgradeTypeId=x", "upgradeTypeId=000000000000000000012", "upgradeClientSubacc=0005"} {
			d.refused(bad, "-5", func() string { return d.upgrade(running, append([]string{"upgradeTypeId=12", bad}, byPoint...)...) })
		}
		body := d.upgrade(running, append([]string{"upgradeTypeId=12", "specialOffer=1"}, byPoint...)...)
		number, ok := strings.CutPrefix(body, upgraded)
		if !ok {
			t.Fatalf("a price point is not sold: %s", body)
		}
		d.wantStatus("the old one", running, "0")
		number = strings.TrimSuffix(number, "\"\n")
		d.MoveTo("2020-02-05")
		if status := d.manage("viewSubscriptionStatus", number); !strings.Contains(status, `"0","20200229","1","0","20191231070000","2","1","0"`) {
			t.Errorf("the new one: %s", status)
		}
		d.clean()
		for _, bad := range []string{`"x":{"currency":"USD","initial":1}`, `"1":{"currency":"USD","initial":0,"initial_days":1,"recurring":5,"recurring_days":1,"rebills":1}`,
			`"1":{"currency":"CHF","initial":1}`, `"1":{"currency":"USD","initial":1,"rebills":5}`} {
			if ccbill.CheckSettings([]byte(`{"subaccounts":{"0005":{"price_points":{`+bad+`}}}}`)) == nil {
				t.Errorf("%s is taken", bad)
			}
		}
	})
}

// TestUpgradeOfOtherKinds: what is no subscription cannot be upgraded, what is
// out of scope neither; velocity controls hold.
func TestUpgradeOfOtherKinds(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		customer := &billing.Customer{FirstName: "Bob", Active: true}
		check(t, d.Cashier.Enroll(ctx, d.Session(), "0000", customer))
		ref := cashier.Ref{ID: int64(customer.ID)}
		m, err := d.Cashier.AddPaymentMethod(ctx, d.Session(), ref, cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(stolen),
			Expiry: "0430", Active: true})
		check(t, err)
		check(t, d.Cashier.NumberMethod(ctx, d.Session(), ref, cashier.Ref{ID: int64(m.ID)}, "1071776966"))
		d.refused("a card without a sale", "-2", func() string { return d.upgrade("1071776966") })
		denial := strings.Split(d.charge("1071776966"), `"`)[11]
		if body := d.upgrade(denial); !strings.Contains(body, "\"18\",\"Previous attempt was declined\"\n") {
			t.Errorf("a denial was upgraded: %s", body)
		}
		d.refused("out of scope", "-4", func() string { return d.upgrade(published, "usingSubacc=0005") })

		d.Configure(func(s *billing.Settings) {
			s.Velocity = billing.Velocity{Rules: []billing.VelocityRule{{Name: "one", Count: 1, Window: "1d"}}}
		})
		running := d.sold(published)
		d.refused("a charge too many", "-23", func() string { return d.upgrade(running) })
		d.wantStatus("refused by a rule", running, "2")
		d.clean()
	})
}

// TestUpgradeUnknown: while nobody knows what became of the charge the old
// subscription is as it was, and no second charge is made; when the bank has told
// the one begins and the other ends, or neither.
func TestUpgradeUnknown(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    sandbox.Trouble
		captures int
		old      string
	}{"approved after all": {sandbox.CutAfter, 2, "0"}, "sent again": {sandbox.CutBefore, 2, "0"}} {
		t.Run(name, func(t *testing.T) {
			open(t, func(t *testing.T, d *desk) {
				ctx := context.Background()
				running := d.sold(published)
				check(t, d.Bank.SetFaults(ctx, d.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: tt.fault, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1}))
				d.want("no word came", d.upgrade(running), code("-7"))
				d.wantStatus("meanwhile", running, "2")
				if body := d.upgrade(running); !strings.HasSuffix(body, "\"15\",\"Account still being processed\"\n") {
					t.Errorf("a second upgrade: %s", body)
				}
				d.Wall.Forward(time.Hour)
				_, err := d.Runner.Merchant(ctx, d.Merchant.ID)
				check(t, err)
				d.wantStatus("when the bank has told", running, tt.old)
				d.want("a second upgrade of what is over", d.upgrade(running), code("0"))
				if n := d.Journal()[sandbox.LineCapture]; n != tt.captures {
					t.Errorf("%d captures", n)
				}
				d.clean()
				d.MoveTo("2020-02-15")
				if n := d.Journal()[sandbox.LineCapture]; n != tt.captures { // the next is due after ninety days
					t.Errorf("%d captures after the old one's next date", n)
				}
				d.clean()
			})
		})
	}
}

// TestUpgradeDeclined: a decline leaves the subscription as it was, and another
// upgrade may be tried; of a bank debit that comes back the old one stays ended.
func TestUpgradeDeclined(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		running := d.sold(published)
		before := d.manage("viewSubscriptionStatus", running)
		fault := sandbox.Fault{On: []string{"charge"}, Do: sandbox.Decline, Response: "51", Count: 1}
		check(t, d.Bank.SetFaults(context.Background(), d.Merchant.Code, fault))
		if body := d.upgrade(running); !strings.HasSuffix(body, "\"31\",\"Insufficient funds\"\n") {
			t.Errorf("not declined: %s", body)
		}
		d.want("the old one after a decline", d.manage("viewSubscriptionStatus", running), before)
		d.MoveTo("2020-01-31")
		if n := d.Journal()[sandbox.LineCapture]; n != 2 {
			t.Errorf("%d captures: the old one goes on", n)
		}
		if body := d.upgrade(running); !strings.HasPrefix(body, upgraded) {
			t.Errorf("after a decline: %s", body)
		}
		d.wantStatus("the old one", running, "0")
		d.clean()
	})
}

// TestUpgradesAtOnce: of many upgrades of one subscription one is charged.
func TestUpgradesAtOnce(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		running := d.sold(published)
		bodies := make([]string, 12)
		var wait sync.WaitGroup
		for i := range bodies {
			wait.Go(func() { bodies[i] = d.upgrade(running) })
		}
		wait.Wait()
		charged := 0
		for _, body := range bodies {
			switch {
			case strings.HasPrefix(body, upgraded):
				charged++
			case body != code("0") && !strings.HasSuffix(body, "\"15\",\"Account still being processed\"\n"):
				t.Errorf("answered %s", body)
			}
		}
		if n := d.Journal()[sandbox.LineCapture]; charged != 1 || n != 2 {
			t.Errorf("%d approved, %d captures", charged, n)
		}
		d.clean()
	})
}
