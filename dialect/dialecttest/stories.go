package dialecttest

import (
	"context"
	"embed"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/sqldb"
)

//go:embed testdata/*.txt
var golden embed.FS

// Tell tells every story in a tongue, each on an empty shop on either engine,
// and compares the books that it leaves with those that all tongues must leave.
func Tell(t *testing.T, open func(testing.TB, *cashiertest.Shop) *Counter, speak func(*Counter) *Speaker) {
	t.Run("unsayable", func(t *testing.T) {
		shop := cashiertest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
		for _, complaint := range speak(open(t, shop)).complaints() {
			t.Error(complaint)
		}
	})
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, shop *cashiertest.Shop) {
				c := open(t, shop)
				stage := &stage{t: t, c: c, s: speak(c)}
				s.tell(stage)
				shop.Balanced()
				compare(t, shop, s.name, Books(t, shop))
			})
		})
	}
}

// compare holds books against the golden ones.
func compare(t *testing.T, shop *cashiertest.Shop, story, got string) {
	t.Helper()
	name := strings.ReplaceAll(story, " ", "-") + ".txt"
	if Updating() {
		if shop.Store.Engine() != sqldb.SQLite {
			t.Skip("golden files are written by what SQLite does")
		}
		_, here, _, ok := runtime.Caller(0)
		if !ok {
			t.Fatal("where the golden files are is not known")
		}
		check(t, os.WriteFile(filepath.Join(filepath.Dir(here), "testdata", name), []byte(got), 0o644))
		return
	}
	want, err := golden.ReadFile("testdata/" + name)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the books after %q (-want +got):\n%s", story, diff)
	}
}

// stage is where a story is told: it looks whether a verb can be said, and moves
// the clock.
type stage struct {
	t *testing.T
	c *Counter
	s *Speaker
}

// say skips the story if the tongue has no word for a verb.
func say[F any](s *stage, name string, verb F) F {
	s.t.Helper()
	if reflect.ValueOf(verb).IsNil() {
		s.t.Skipf("this tongue cannot say %s: %s", name, s.s.Unsayable[name])
	}
	return verb
}

func (s *stage) until(day string) { s.t.Helper(); s.c.MoveTo(day) }

func (s *stage) plan(name string, amount int64, change ...func(*Plan)) {
	s.t.Helper()
	p := Plan{Name: name, Cycle: billing.Monthly, Amount: amount}
	for _, f := range change {
		f(&p)
	}
	say(s, "Plan", s.s.Plan)(s.t, p)
}

func (s *stage) signUp() {
	s.t.Helper()
	say(s, "SignUp", s.s.SignUp)(s.t)
}

// given brings in, for the customer, a sale that another system made on 15
// December: a price for thirty days, and then 19.99 every thirty days.
func (s *stage) given(name, card string) {
	s.t.Helper()
	const number = "0102751901000023384"
	say(s, "Given", s.s.Given)
	ctx, shop := context.Background(), s.c.Shop
	customer := &billing.Customer{Code: "ann", FirstName: "Ann", LastName: "Lee", Active: true}
	check(s.t, shop.Cashier.Enroll(ctx, shop.Session(), shop.Account.Code, customer))
	ref := cashier.Ref{ID: int64(customer.ID)}
	method, err := shop.Cashier.AddPaymentMethod(ctx, shop.Session(), ref, cashier.MethodRequest{Code: "card", Instrument: billing.VisaCredit,
		Number: billing.NewSecret(card), Expiry: "0430", Active: true})
	check(s.t, err)
	_, err = shop.Cashier.Plant(ctx, shop.Session(), ref, cashier.PlantRequest{Number: number, Code: name, Method: cashier.Ref{ID: int64(method.ID)},
		Terms: billing.Terms{Currency: "USD", Initial: 500, InitialDays: 30, Recurring: 1999, RecurringDays: 30, Rebills: billing.Endless},
		Past:  billing.Past{SignedUp: billing.Date{Year: 2019, Month: 12, Day: 15}}})
	check(s.t, err)
	s.s.Given(s.t, name, number)
}

func (s *stage) letEnd(subscription, last string) {
	s.t.Helper()
	say(s, "LetEnd", s.s.LetEnd)(s.t, subscription, last)
}

// visa is a card of the sandbox bank, by its number.
func visa(name, number string) Card {
	return Card{Name: name, Instrument: billing.VisaCredit, Number: number, Expiry: "0430"}
}

// Cards of the sandbox bank.
const (
	goodCard      = "4111111111111111"
	goodOnce      = "4000000000006009" // then without funds
	laterGood     = "4000000000006017" // without funds twice
	onceThenStale = "4000000000006033" // good once, then expired
	stolenCard    = "4000000000009979"
	disputedCard  = "4000000000000267" // charged back three days later, and given back three days after that
)

// Bank accounts of the sandbox bank.
const (
	goodAccount   = "4099999992"
	closedAccount = "9000000102" // returned R02
	routing       = "021000021"
)

func (s *stage) card(name, number string) {
	s.t.Helper()
	say(s, "AddCard", s.s.AddCard)(s.t, visa(name, number))
}

func (s *stage) bank(name, number string) {
	s.t.Helper()
	say(s, "AddBank", s.s.AddBank)(s.t, Bank{Name: name, Number: number, Routing: routing})
}

func (s *stage) subscribe(name, plan, method, first string, length int) {
	s.t.Helper()
	say(s, "Subscribe", s.s.Subscribe)(s.t,
		Subscription{Name: name, Plan: plan, Method: method, First: first, Length: length})
}

func (s *stage) invoice(name string, amount int64) {
	s.t.Helper()
	say(s, "Invoice", s.s.Invoice)(s.t, name, amount)
}

func (s *stage) fee(name string, amount int64) {
	s.t.Helper()
	say(s, "Fee", s.s.Fee)(s.t, name, amount)
}

func (s *stage) credit(name string, amount int64) {
	s.t.Helper()
	say(s, "Credit", s.s.Credit)(s.t, name, amount)
}

func (s *stage) cash(name string, amount int64) {
	s.t.Helper()
	say(s, "TakeCash", s.s.TakeCash)(s.t, name, amount)
}

// charge charges a card that is not kept.
func (s *stage) charge(name string, amount int64, number string, invoices ...string) {
	s.t.Helper()
	say(s, "Charge", s.s.Charge)(s.t, Payment{Name: name, Amount: amount, Card: visa("", number), Invoices: invoices})
}

// chargeKept charges what is kept.
func (s *stage) chargeKept(name string, amount int64, method string, invoices ...string) {
	s.t.Helper()
	say(s, "Charge", s.s.Charge)(s.t, Payment{Name: name, Amount: amount, Method: method, Invoices: invoices})
}

func (s *stage) payOut(name string, amount int64, number string) {
	s.t.Helper()
	say(s, "PayOut", s.s.PayOut)(s.t, Payment{Name: name, Amount: amount, Card: visa("", number)})
}

func (s *stage) reverse(name string) {
	s.t.Helper()
	say(s, "Reverse", s.s.Reverse)(s.t, name)
}

func (s *stage) renewCard(name, expiry string) {
	s.t.Helper()
	say(s, "RenewCard", s.s.RenewCard)(s.t, name, expiry)
}

func (s *stage) retire(method string) {
	s.t.Helper()
	say(s, "Retire", s.s.Retire)(s.t, method)
}

func (s *stage) switchTo(subscription, method string) {
	s.t.Helper()
	say(s, "Switch", s.s.Switch)(s.t, subscription, method)
}

func (s *stage) freeze(subscription, from string, billings int) {
	s.t.Helper()
	say(s, "Freeze", s.s.Freeze)(s.t, subscription, from, billings)
}

func (s *stage) pause(subscription, from string) {
	s.t.Helper()
	say(s, "Pause", s.s.Pause)(s.t, subscription, from)
}

func (s *stage) resume(subscription string) {
	s.t.Helper()
	say(s, "Resume", s.s.Resume)(s.t, subscription)
}

func (s *stage) cancel(subscription, on string) {
	s.t.Helper()
	say(s, "Cancel", s.s.Cancel)(s.t, subscription, on)
}

func (s *stage) deactivate(inactive bool) {
	s.t.Helper()
	say(s, "Deactivate", s.s.Deactivate)(s.t, inactive)
}
