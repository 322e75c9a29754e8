package ccbill_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/ccbill"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

func (d *desk) want(what, got, wanted string) {
	d.t.Helper()
	if got != wanted {
		d.t.Errorf("%s: %q, want %q", what, got, wanted)
	}
}

// refused expects a code and that nothing of the books has changed.
func (d *desk) refused(what, wanted string, ask func() string) {
	d.t.Helper()
	before := dialecttest.Books(d.t, d.Shop)
	d.want(what, ask(), code(wanted))
	if after := dialecttest.Books(d.t, d.Shop); after != before {
		d.t.Errorf("%s changed the books to\n%s", what, after)
	}
}

// TestArgumentsOfCharges: each argument that is wrong has its code, in the order
// of section 10, and changes nothing.
func TestArgumentsOfCharges(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		for wanted, changes := range map[string][]string{
			"-5": {"newClientAccnum=", "newClientAccnum=90000", "newClientSubacc=5", "newClientSubacc=", "newClientSubacc=0009",
				"initialPrice=", "initialPrice=-5.00", "initialPrice=5e1", "initialPrice=5,00", "initialPrice=+5.00", "initialPrice= 5.00",
				"initialPrice=5.005", "initialPrice=.50", "initialPrice=0x10", "initialPrice=99999999999999999999", "recurringPrice=abc",
				"initialPeriod=", "initialPeriod=-1", "initialPeriod=366", "initialPeriod=3.5", "recurringPeriod=366", "rebills=100", "rebills=-1",
				"rebills=9999999999", "recurringPrice=", "recurringPeriod=0", "initialPeriod=0", "currencyCode=999", "currencyCode=30",
				"currencyCode=USD", "sharedAuthentication=2", "lifeTimeSubscription=yes", "lifeTimeSubscription=1", "overrideAffiliate=x",
				"overrideParticipation=-1", "threedsStatus=Y", "threedsXid=" + strings.Repeat("x", 51), "subscriptionId="},
			"-2": {"subscriptionId=abc", "subscriptionId=-1", "subscriptionId=000000000000000000000", "subscriptionId=0", "subscriptionId=0102 751901"},
			"-3": {"subscriptionId=0102751901000023386", "subscriptionId=1"},
			"-9": {"newClientAccnum=900001"},
			"-7": {"initialPrice=1000.01", "recurringPrice=1000.01"},
			"-6": {"action=", "action=viewSubscriptionStatus", "action=dance"},
			"-1": {"clientAccnum=", "clientAccnum=9000000", "username=", "password=", "usingSubacc=5", "usingSubacc=0009", "clientSubacc=abcd"},
		} {
			for _, change := range changes {
				d.refused(change, wanted, func() string { return d.charge(published, change) })
			}
		}
		if n := len(d.Journal()); n != 0 {
			t.Errorf("the bank was asked: %v", d.Journal())
		}
		for _, good := range []string{"initialPrice=5", "initialPrice=5.", "initialPrice=5.5", "currencyCode=36", "currencyCode=", "currencyCode=036",
			"rebills=0", "lifeTimeSubscription=0", "overrideAffiliate=7", "usingSubacc=0000", "clientSubacc=0000", "returnXML=0", "rebills=",
			"specialOffer=yes", "prorate=x", "subscriptionId=102751901000023384", "action=CHARGEBYPREVIOUSTRANSACTIONID", "testMode=1"} {
			d.sold(published, good)
		}
		d.sold(published, "rebills=0", "lifeTimeSubscription=1")
		d.sold(published, "rebills=0", "initialPeriod=0", "recurringPrice=0.00", "recurringPeriod=0")
		d.sold(published, "initialPrice=0.00")
		d.sold(published, "currencyCode=392", "initialPrice=500", "recurringPrice=900.00")
		d.want("a price in yen has no decimals", d.charge(published, "currencyCode=392", "initialPrice=5.50"), code("-5"))
		d.want("nothing at all is sold", d.charge(published, "initialPrice=0.00", "rebills=0"), code("-5"))
		d.clean()
	})
}

// TestThreeDS: results are told in full, and are about this amount (3.5).
func TestThreeDS(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		result := []string{"threedsEci=05", "threedsStatus=Y", "threedsSuccess=true", "threedsVersion=2.1.0", "threedsDsTransId=a", "threedsAcsTransId=b",
			"threedsAmount=5.00", "threedsCurrency=840"}
		d.sold(published, result...)
		for i := range result {
			name, _, _ := strings.Cut(result[i], "=")
			if name == "threedsCurrency" {
				continue
			}
			d.want("without "+name, d.charge(published, append(slices.Clone(result), name+"=")...), code("-5"))
		}
		d.want("another amount", d.charge(published, append(slices.Clone(result), "threedsAmount=5.01")...), code("-5"))
		d.want("another currency", d.charge(published, append(slices.Clone(result), "threedsCurrency=978")...), code("-5"))
		d.want("version 1 without its own", d.charge(published, append(slices.Clone(result), "threedsVersion=1.0.2")...), code("-5"))
		d.sold(published, append(slices.Clone(result), "threedsVersion=1.0.2", "threedsXid=x", "threedsCavv=c", "threedsCavvAlgorithm=a")...)
		d.sold(published, "threedsError=E1")
	})
}

// TestCodesOfManagement: the codes of the management script, and its checks.
func TestCodesOfManagement(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.plantWith("0102751901000023390", cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(goodCard), Expiry: "0430", Active: true})
		running := d.sold(published)
		cheap := d.sold(published, "recurringPrice=4.99")
		single := d.sold(published, "rebills=0")
		once := d.sold(published, "rebills=0", "initialPeriod=0")
		for _, tt := range []struct{ action, number, more, want string }{
			{"viewSubscriptionStatus", "", "", "-5"}, {"viewSubscriptionStatus", "x", "", "-2"}, {"viewSubscriptionStatus", "1", "", "-3"},
			{"upgradeSubscription", running, "", "-6"}, {"", running, "", "-6"},
			{"extendSubscription", running, "", "-5"}, {"extendSubscription", running, "extendLength=0", "-5"},
			{"extendSubscription", running, "extendLength=7", "-5"}, {"extendSubscription", running, "extendLength=x", "-5"},
			{"extendSubscription", "x", "extendLength=7", "-5"}, {"extendSubscription", "x", "extendLength=1", "-2"},
			{"discountSubscription", running, "", "-5"}, {"discountSubscription", running, "discountAmount=1&newRecurringPrice=2", "-5"},
			{"discountSubscription", running, "discountAmount=29.95", "-5"}, {"discountSubscription", running, "discountAmount=x", "-5"},
			{"discountSubscription", running, "newRecurringPrice=0", "-5"}, {"discountSubscription", cheap, "discountAmount=1.00", "-11"},
			{"discountSubscription", single, "discountAmount=1.00", "-2"}, {"discountSubscription", once, "discountAmount=1.00", "0"},
			{"extendSubscription", once, "extendLength=1", "0"}, {"refundTransaction", running, "amount=0", "-5"},
			{"refundTransaction", running, "amount=x", "-5"}, {"refundTransaction", running, "amount=5.01", "-5"},
			{"refundTransaction", published, "", "-7"}, // it was paid elsewhere
			{"cancelSubscription", "", "", "-5"},
		} {
			d.refused(tt.action+" "+tt.number+" "+tt.more, tt.want, func() string { return d.manage(tt.action, tt.number, tt.more) })
		}
		d.want("a single sale is cancelled already", d.manage("cancelSubscription", single), code("1"))
		d.want("so is what is over", d.manage("cancelSubscription", once), code("1"))
		d.want("six days", d.manage("extendSubscription", running, "extendLength=6"), code("1"))
		d.want("a new price", d.manage("discountSubscription", running, "newRecurringPrice=10.00"), code("1"))
		d.want("cancelled", d.manage("cancelSubscription", running), code("1"))
		d.want("refunded after that", d.manage("refundTransaction", running), code("1"))
		d.want("extended after that", d.manage("extendSubscription", running, "extendLength=1"), code("0"))
		d.clean()

		d.choose(`{"refund_quota":{"count":1,"days":7},"void_quota":{"count":1,"days":7},"max_extend_days":30}`)
		d.refused("a refund too many", "-15", func() string { return d.manage("refundTransaction", single) })
		d.want("a void", d.manage("voidTransaction", single), code("1"))
		d.refused("a void too many", "-16", func() string { return d.manage("voidTransaction", cheap) })
		d.want("thirty days", d.manage("extendSubscription", cheap, "extendLength=30"), code("1"))
	})
}

// TestPreviousOfOtherKinds: a card that is kept without a sale, and what was declined,
// can be named as the previous transaction; the latter is declined.
func TestPreviousOfOtherKinds(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		customer := &billing.Customer{FirstName: "Bob", Active: true}
		check(t, d.Cashier.Enroll(ctx, d.Session(), "0000", customer))
		ref := cashier.Ref{ID: int64(customer.ID)}
		m, err := d.Cashier.AddPaymentMethod(ctx, d.Session(), ref, cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(stolen),
			Expiry: "0430", Active: true})
		check(t, err)
		check(t, d.Cashier.NumberMethod(ctx, d.Session(), ref, cashier.Ref{ID: int64(m.ID)}, "1071776966"))
		body := d.charge("1071776966")
		denial := strings.Split(body, `"`)[11]
		if !strings.HasSuffix(body, "\"38\",\"Refused by issuing bank\"\n") || len(denial) != 19 {
			t.Fatalf("denied with %q: %s", denial, body)
		}
		again := d.charge(denial)
		if !strings.Contains(again, "\"18\",\"Previous attempt was declined\"\n") {
			t.Errorf("a denial was charged again: %s", again)
		}
		d.want("a denial is no subscription", d.manage("viewSubscriptionStatus", denial), code("-3"))
		d.want("a card has nothing to manage", d.manage("viewSubscriptionStatus", "1071776966"), code("-2"))
	})
}

// TestDeclines: every decline code that a verdict of the sandbox bank becomes is
// the answer to a charge with a card or an amount that gets that verdict.
func TestDeclines(t *testing.T) {
	wanted := map[string]string{"03": "26", "12": "26", "58": "26", "04": "38", "07": "38", "41": "38", "43": "38", "59": "38", "62": "38", "06": "25",
		"14": "5", "15": "5", "42": "5", "46": "5", "51": "31", "54": "29", "80": "6", "57": "40", "91": "36", "96": "27", "19": "27"}
	open(t, func(t *testing.T, d *desk) {
		seen := map[string]bool{}
		texts := map[string]bool{}
		tables := sandbox.LoadTables()
		number := 0
		try := func(name string, verdict billing.ResponseCode, card, price string) {
			t.Helper()
			if verdict == "" || verdict.Severity() == billing.Good || seen[string(verdict)] {
				return
			}
			seen[string(verdict)] = true
			number++
			original := fmt.Sprintf("01193652020000%05d", number)
			d.plant(original, card)
			want := wanted[string(verdict)]
			if want == "" {
				want = "24"
			}
			body := d.charge(original, "initialPrice="+price)
			if !strings.Contains(body, `","`+want+`","`) {
				t.Errorf("%s, verdict %s: %s", name, verdict, body)
			}
			texts[want] = true
		}
		for _, band := range tables.Amounts[sandbox.Current] {
			try(band.UniPay, band.Card, goodCard, billing.Minor(band.From, "USD").Decimal())
		}
		for _, card := range tables.Cards {
			if card.Instrument.IsCard() && card.Good == 0 && card.Trouble == "" && card.Instrument == billing.VisaCredit {
				try(card.Name, card.Response, card.Number, "5.00")
			}
		}
		t.Logf("%d verdicts of the bank give %d codes", len(seen), len(texts))
		if len(texts) < 5 {
			t.Errorf("only %d codes: %v", len(texts), texts)
		}
		for verdict, want := range wanted { // and those that only a script of the bank gives
			if seen[verdict] {
				continue
			}
			fault := sandbox.Fault{On: []string{"charge"}, Do: sandbox.Decline, Response: billing.ResponseCode(verdict), Count: 1}
			check(t, d.Bank.SetFaults(context.Background(), d.Merchant.Code, fault))
			if body := d.charge(published); !strings.Contains(body, `","`+want+`","`) {
				t.Errorf("verdict %s: %s", verdict, body)
			}
		}
		d.clean()
	})
}

// TestUnknownOutcome: neither approved nor denied would be true; the sale turns
// up when the bank has told.
func TestUnknownOutcome(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		check(t, d.Bank.SetFaults(ctx, d.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter, Count: 1},
			sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 1}))
		d.want("no word came", d.charge(published), code("-7"))
		if !strings.Contains(d.Log.String(), `"outcome":"unknown"`) {
			t.Error("the log does not say so")
		}
		d.Wall.Forward(time.Hour)
		_, err := d.Runner.Merchant(ctx, d.Merchant.ID)
		check(t, err)
		if n := d.Journal()[sandbox.LineCapture]; n != 1 {
			t.Errorf("%d captures", n)
		}
		d.clean()
	})
}

// TestVelocity: the merchant's controls answer -23 and -24, and nothing is made.
func TestVelocity(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.Configure(func(s *billing.Settings) {
			s.Velocity = billing.Velocity{Rules: []billing.VelocityRule{{Name: "two", Count: 2, Window: "1d", Account: "0005"},
				{Name: "money", Amount: 1200, Window: "1d"}}}
		})
		d.plant("0102751901000023390", goodCard) // another original of the same card is the same consumer
		d.sold(published)
		d.sold("0102751901000023390")
		d.refused("the third", "-23", func() string { return d.charge(published) })
		d.refused("too much", "-24", func() string { return d.charge(published, "newClientSubacc=0000") })
		d.sold(published, "newClientSubacc=0000", "initialPrice=2.00") // exactly at the limit
		d.clean()
	})
}

// TestSubaccountLimits: what a subaccount does not sell is refused as 3.2 and
// 5.2 say.
func TestSubaccountLimits(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.choose(`{"subaccounts":{"0005":{"min_price":295,"max_price":10000,"currencies":["USD"],"max_initial_period":30,"recurring_periods":[30,60,90],"refuse_bank_accounts":true},
			"0000":{"inactive":true}}}`)
		for _, change := range []string{"initialPrice=2.94", "initialPrice=100.01", "recurringPrice=2.94", "currencyCode=978", "initialPeriod=31", "recurringPeriod=31"} {
			d.refused(change, "-7", func() string { return d.charge(published, change) })
		}
		d.sold(published)
		if body := d.charge(published, "newClientSubacc=0000"); !strings.Contains(body, "\"41\",\"Merchant inactive\"\n") {
			t.Errorf("an inactive subaccount sells: %s", body)
		}
		d.plantWith("0102751901000023391", cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret("4099999992"), Routing: "021000021", Active: true})
		if body := d.charge("0102751901000023391"); !strings.Contains(body, "\"40\",\"Card not accepted by this merchant\"\n") {
			t.Errorf("a bank account pays: %s", body)
		}
		for _, bad := range []string{`{"max_price":1}`, `{"auth_failure_code":-3}`, `[]`, `{"subaccounts":{"5":{}}}`, `{"users":{"a":{"actions":["dance"]}}}`,
			`{"refund_quota":{"count":1}}`, `{"other_accounts":["1"]}`, `{"extract_minutes":-2}`, `{"subaccounts":{"0005":{"currencies":["XXX"]}}}`} {
			if ccbill.CheckSettings([]byte(bad)) == nil {
				t.Errorf("%s is taken", bad)
			}
		}
	})
}

// TestBankAccount: a bank debit is accepted, tells of returns, and is no card's.
func TestBankAccount(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.plantWith("0106751901000023391", cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret("9000000102"), Routing: "021000021", Active: true})
		number := d.sold("0106751901000023391")
		status := d.manage("viewSubscriptionStatus", number)
		if !strings.HasPrefix(status, `"nextBillingDate","recurringSubscription","refundsIssued","returnsIssued","signupDate","subscriptionStatus","timesRebilled"`) {
			t.Errorf("the status is %s", status)
		}
		d.MoveTo("2020-01-20")
		status = d.manage("viewSubscriptionStatus", number)
		if !strings.HasPrefix(status, `"cancelDate","expirationDate","recurringSubscription"`) ||
			!strings.HasSuffix(status, `,"1","0","1","20191231070000","0","0"`+"\n") {
			t.Errorf("after the return the status is %s", status)
		}
		d.clean()
	})
}

// TestOtherMainAccount: a charge goes to another main account where that is
// enabled, and there it stays.
func TestOtherMainAccount(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		first := d.Merchant
		d.account("900001")
		d.admit("testuser")
		second := d.Merchant
		d.Merchant = first
		d.refused("not enabled", "-9", func() string { return d.charge(published, "newClientAccnum=900001") })
		d.choose(`{"other_accounts":["900001","900002"]}`)
		d.refused("nobody's", "-9", func() string { return d.charge(published, "newClientAccnum=900002") })
		d.refused("no such subaccount", "-5", func() string { return d.charge(published, "newClientAccnum=900001", "newClientSubacc=0009") })
		number := d.sold(published, "newClientAccnum=900001")
		d.want("it is not the first's", d.manage("viewSubscriptionStatus", number), code("-3"))
		status := d.ask(ccbill.ManagementPath, "clientAccnum=900001&username=testuser&password=testpass&action=viewSubscriptionStatus&subscriptionId="+number)
		if !strings.Contains(status, `"nextBillingDate"`) {
			t.Errorf("the second says %s", status)
		}
		d.clean()
		d.Merchant = second
		d.MoveTo("2020-02-05")
		d.clean()
		if n := d.Journal()[sandbox.LineCapture]; n != 2 {
			t.Errorf("%d captures of the second", n)
		}
	})
}

// TestLenientReading: a request is read as its clients write it (1).
func TestLenientReading(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		hash, err := cashier.HashPassword(billing.NewSecret("p;ss%w0rd%+ Z"))
		check(t, err)
		d.admit("raw", func(l *billing.Login) { l.Name, l.PasswordHash = "900000/raw", hash })
		const ask = "clientAccnum=900000&action=viewSubscriptionStatus&subscriptionId=" + published
		for name, query := range map[string]string{
			"semicolon and broken escapes":      ask + "&username=raw&password=p;ss%w0rd%%2B+Z",
			"names in any case":                 "CLIENTACCNUM=900000&userName=testuser&Password=testpass&Action=viewsubscriptionstatus&subscriptionid=" + published,
			"the first of two":                  ask + "&username=testuser&password=testpass&password=other&subscriptionId=1",
			"parameters of other actions":       ask + "&username=testuser&password=testpass&testMode=1&transactionId=7&token=x&amount=x",
			"an empty parameter is none":        ask + "&username=testuser&password=testpass&clientSubacc=&usingSubacc=0000&returnXML=",
			"a parameter of ten kilobytes":      ask + "&username=testuser&password=testpass&junk=" + strings.Repeat("j", 10_000),
			"nothing between ampersands":        "&&" + ask + "&username=testuser&&password=testpass&",
			"the id without its leading zero":   strings.Replace(ask, "=0102", "=102", 1) + "&username=testuser&password=testpass",
			"both subaccounts with equal value": ask + "&username=testuser&password=testpass&clientSubacc=0000&usingSubacc=0000",
		} {
			if body := d.ask(ccbill.ManagementPath, query); !strings.Contains(body, `"subscriptionStatus"`) {
				t.Errorf("%s: %s", name, body)
			}
		}
		form := url.Values{"clientAccnum": {"900000"}, "username": {"testuser"}, "password": {"testpass"}, "action": {"viewSubscriptionStatus"}, "subscriptionId": {published}}
		typed := http.Header{"Authorization": {"none"}, "Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}
		if r := d.Ask("POST", ccbill.ManagementPath+"?returnXML=1", typed, form.Encode()); r.Status != 200 || !strings.HasPrefix(r.Body, "<?xml version='1.0' standalone='yes'?>\n<results>\n") {
			t.Errorf("a form gets %v", r)
		}
		r := d.Ask("POST", ccbill.ManagementPath+"?subscriptionId=1", typed, form.Encode())
		d.want("the query wins", r.Body, code("-3"))
		r = d.Ask("GET", ccbill.ManagementPath+"?"+ask+"&username=testuser&password=testpass", http.Header{"Authorization": {"none"}, "Content-Type": {"application/json"}}, "{}")
		if !strings.Contains(r.Body, `"subscriptionStatus"`) {
			t.Errorf("a body on GET: %s", r.Body)
		}
		r = d.Ask("POST", ccbill.ManagementPath, http.Header{"Authorization": {"none"}, "Content-Type": {"application/json"}}, `{"clientAccnum":"900000"}`)
		d.want("JSON is not read", r.Body, code("-1"))
		if r := d.Ask("PUT", ccbill.ManagementPath, nil, ""); r.Status != 405 {
			t.Errorf("PUT: %v", r)
		}
		for _, path := range []string{ccbill.ManagementPath, ccbill.ChargingPath} {
			d.want("nothing at all", d.ask(path, ""), code("-1"))
			d.want("a charge on either script", strings.Split(d.ask(path, offer(published)), "\n")[0], `"approved","subscriptionId"`)
		}
	})
}

// TestExtras: what a charge brings along is kept for its webhook, and no secret
// with it.
func TestExtras(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.sold(published, "myToken=abc-1", "X-Order=4711", "card=4111111111111111", "spaced=4111 1111 1111 1111", "long="+strings.Repeat("x", 2000), "specialOffer=1")
		var extra map[string]string
		check(t, d.Store.View(context.Background(), d.Merchant.ID, func(v *store.View) error {
			list, err := v.Attempts(context.Background(), store.Page{Limit: 10})
			if err == nil {
				extra = list[len(list)-1].Details.Extra
			}
			return err
		}))
		if fmt.Sprint(extra) != "map[X-Order:4711 myToken:abc-1]" {
			t.Errorf("kept %v", extra)
		}
	})
}

// TestPastElsewhere: what was billed, given back and taken back before a sale
// came here is told of it, together with what happens here.
func TestPastElsewhere(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		running := func(r *cashier.PlantRequest) {
			today := d.Session().Today()
			r.Terms = billing.Terms{Currency: "USD", Initial: 500, InitialDays: 30, Recurring: 2995, RecurringDays: 30, Rebills: billing.Endless}
			r.Past = billing.Past{SignedUp: today.AddDays(-100), Rebilled: 3, Next: today.AddDays(2), TakenBack: billing.TakenBack{Refunds: 2, Voids: 1, Chargebacks: 3, Returns: 4}}
		}
		const card, bank = "0102751901000023395", "0106751901000023396"
		d.plant(card, goodCard, running)
		d.plantWith(bank, cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret("4099999992"), Routing: "021000021", Active: true}, running)
		d.want("a card's", d.manage("viewSubscriptionStatus", card),
			`"chargebacksIssued","nextBillingDate","recurringSubscription","refundsIssued","signupDate","subscriptionStatus","timesRebilled","voidsIssued"`+"\n"+
				`"3","20200102","1","2","20190922000000","2","3","1"`+"\n")
		d.want("a bank account's", d.manage("viewSubscriptionStatus", bank),
			`"nextBillingDate","recurringSubscription","refundsIssued","returnsIssued","signupDate","subscriptionStatus","timesRebilled"`+"\n"+
				`"20200102","1","2","4","20190922000000","2","3"`+"\n")
		d.Configure(func(s *billing.Settings) { s.Velocity.Guards = billing.Guards{TakenBack: true} })
		d.refused("a guard against what was taken back", "-23", func() string { return d.charge(card) })
		d.sold(published)
		d.Configure(func(s *billing.Settings) { s.Velocity = billing.Velocity{} })

		d.MoveTo("2020-01-03")
		d.want("refunded here", d.manage("refundTransaction", card, "amount=1.00"), code("1"))
		status := d.manage("viewSubscriptionStatus", card)
		if !strings.HasSuffix(status, `,"1","3","20190922000000","0","4","1"`+"\n") {
			t.Errorf("after a rebill and a refund here: %s", status)
		}
		d.clean()
	})
}
