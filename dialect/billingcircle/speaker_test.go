package billingcircle_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// TestStories tells the stories of all dialects in this tongue.
func TestStories(t *testing.T) {
	var desks sync.Map // of counters, because the stories are told on both engines at once
	dialecttest.Tell(t, func(t testing.TB, s *cashiertest.Shop) *dialecttest.Counter {
		d := &desk{t: t}
		d.Counter = dialecttest.Serve(t, s, func(c *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
			return "/", billingcircle.New(billingcircle.Options{Cashier: s.Cashier, Wake: func() { c.Wakes.Add(1) }, Log: log})
		})
		d.Configure(func(s *billing.Settings) {
			s.Dialects = map[string]json.RawMessage{billingcircle.Name: json.RawMessage(`{}`)}
		})
		d.AdmitTo(d.Merchant, func(l *billing.Login) {
			l.Name, l.Role, l.PasswordHash = d.Merchant.Code+"/api", billing.RoleAdmin, s3cret()
		})
		desks.Store(d.Counter, d)
		return d.Counter
	}, func(c *dialecttest.Counter) *dialecttest.Speaker {
		d, _ := desks.Load(c)
		return (&tongue{desk: d.(*desk)}).speaker()
	})
}

// tongue is how a story's names are known on the wire. A client is paid with one
// thing: what else it has stays with the merchant until it is switched to.
type tongue struct {
	*desk
	plans  map[string]dialecttest.Plan
	means  map[string][]string // fields of modifyclient
	paying string
	subs   map[string]string
}

// do asks a method on the client ann, which must succeed, and returns value 4.
func (d *tongue) do(t testing.TB, method string, fields ...string) string {
	t.Helper()
	got, ok := strings.CutPrefix(d.askOf(d.Merchant.Code, method, append([]string{"c_merchantid=ann"}, fields...)...), "1,1,Success,")
	if !ok {
		t.Fatalf("%s %v: %s", method, fields, got)
	}
	return got
}

// keep remembers a card or account, and pays with the first.
func (d *tongue) keep(t testing.TB, name string, fields ...string) {
	t.Helper()
	d.means[name] = fields
	if d.paying == "" {
		d.payWith(t, name)
	}
}

func (d *tongue) payWith(t testing.TB, name string) {
	t.Helper()
	if d.paying != name {
		d.do(t, "modifyclient", d.means[name]...)
		d.paying = name
	}
}

func cents(n int64) string { return billing.Minor(n, "USD").Decimal() }

func (d *tongue) speaker() *dialecttest.Speaker {
	d.plans, d.means, d.subs = map[string]dialecttest.Plan{}, map[string][]string{}, map[string]string{}
	const hand, one = "bills come from schedules, and money from the gateway", "a client is paid with one card or account, which only another can replace"
	return &dialecttest.Speaker{
		Plan: func(_ testing.TB, p dialecttest.Plan) { d.plans[p.Name] = p }, // its terms travel with each schedule
		SignUp: func(t testing.TB) {
			d.do(t, "createclient", "c_firstname=Ann", "c_lastname=Lee", "c_chargemethod=manual")
			d.do(t, "confirmclient")
		},
		AddCard: func(t testing.TB, k dialecttest.Card) {
			d.keep(t, k.Name, "c_chargemethod=cc", "c_ccname=Ann Lee", "c_ccnumber="+k.Number, "c_ccexpmonth="+k.Expiry[:2], "c_ccexpyear=20"+k.Expiry[2:])
		},
		AddBank: func(t testing.TB, b dialecttest.Bank) {
			d.keep(t, b.Name, "c_chargemethod=echeck", "c_bankname=First", "c_bankacctname=Ann Lee", "c_bankabacode="+b.Routing, "c_bankacctnum="+b.Number,
				"c_bankaccttype=CHECKING")
		},
		RenewCard: func(t testing.TB, _, expiry string) {
			d.do(t, "modifyclient", "c_ccexpmonth="+expiry[:2], "c_ccexpyear=20"+expiry[2:])
		},
		Subscribe: func(t testing.TB, s dialecttest.Subscription) {
			p := d.plans[s.Plan]
			d.payWith(t, s.Method)
			switch {
			case p.Cycle == billing.HalfYearly:
				t.Skip("there are no half-years on this wire")
			case s.First[8:] > "28" && p.Cycle != billing.Weekly && p.Cycle != billing.Yearly:
				t.Skip("no schedule of months begins after the 28th")
			}
			rate := (p.Tax*100_000 + p.Amount/2) / p.Amount
			id := d.do(t, "createschedule", "s_title="+p.Name, "s_recurringtype=subscription", "s_startdate="+s.First, "s_interval="+string(p.Cycle),
				"s_numofintervals="+strconv.Itoa(s.Length), "s_amount="+cents(p.Amount), fmt.Sprintf("s_taxrate=%d.%03d", rate/1000, rate%1000))
			d.do(t, "confirmschedule", "s_scheduleid="+id)
			d.subs[s.Name] = id
		},
		Switch: func(t testing.TB, _, method string) { d.payWith(t, method) },
		Unsayable: map[string]string{
			"Given": "nothing is brought in under a number of this wire", "LetEnd": "a schedule is closed at once, whatever is paid",
			"Retire": one, "Freeze": "a schedule is held until it goes on, not for a number of bills", "Pause": "a schedule is held from now on, not from a day on",
			"Resume": "it is never paused from a day on", "Cancel": "a schedule is closed now, not on a day", "Invoice": hand, "Fee": hand, "Credit": hand,
			"TakeCash": hand, "Charge": hand, "PayOut": hand, "Reverse": hand,
			"Deactivate": "no bill is made for a client who is not active, where others only wait with claiming it",
		},
	}
}
