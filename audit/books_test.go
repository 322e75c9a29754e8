package audit_test

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// town is a shop whose customers have gone through everything that can become of
// a payment and of a subscription.
type town struct {
	*cashiertest.Shop
	customers map[string]cashier.Ref
	subs      map[string]cashier.Ref
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bank accounts and cards of the sandbox bank with a fate of their own.
const (
	good          = "4111111111111111"
	chargedBack   = "4000000000000259"
	givenBack     = "4000000000000267"
	lineCut       = "4000000000006066"
	accountGood   = "4099999992"
	returnedR01   = "9000000101"
	returnedLate  = "9000000210"
	changedNumber = "9000000301"
)

// subscribe enrols a customer and subscribes it to a plan of an amount from a
// day on. Each has a customer of its own, so that what becomes of one does not
// depend on the others.
func (w *town) subscribe(name, number string, amount int64, change ...func(*cashier.SubscribeRequest)) {
	w.T.Helper()
	c := w.Customer(name)
	var method cashier.Ref
	if len(number) > 12 {
		method = w.Card(c, name+"-card", number)
	} else {
		m, err := w.Cashier.AddPaymentMethod(context.Background(), w.Session(), c, cashier.MethodRequest{Code: name + "-account",
			Instrument: billing.Checking, Number: billing.NewSecret(number), Routing: "021000021", Active: true})
		if err != nil {
			w.T.Fatal(err)
		}
		method = cashier.Ref{ID: int64(m.ID)}
	}
	plan := w.Plan(name+"-plan", billing.Monthly, amount)
	w.customers[name], w.subs[name] = c, w.Subscribe(c, plan, method, "2020-01-01", change...)
}

// live lets half a year pass in the town.
func live(t *testing.T, s *cashiertest.Shop) *town {
	t.Helper()
	ctx := context.Background()
	w := &town{Shop: s, customers: make(map[string]cashier.Ref), subs: make(map[string]cashier.Ref)}
	w.Configure(func(set *billing.Settings) {
		set.Fees = billing.Fees{Enrollment: 700, SoftDecline: 100, HardDecline: 200, Retry: 50, Chargeback: 1500, Freeze: 300, Late: 250, LateAfterDays: 20}
		set.WriteOffAfterDays = 60
		set.AllowPastBilling = true
	})
	w.subscribe("ann", good, 1999)
	w.subscribe("bob", accountGood, 1999)
	w.subscribe("cat", good, 7300) // with the enrolment fee 80.00, which is declined
	w.subscribe("dan", returnedR01, 1999)
	w.subscribe("eve", returnedLate, 1999)
	w.subscribe("fay", chargedBack, 1999)
	w.subscribe("gus", givenBack, 1999)
	w.subscribe("hal", accountGood, 1999, func(r *cashier.SubscribeRequest) { r.Term, r.Length = billing.Fixed, 3 })
	w.subscribe("ida", good, 1999)
	w.subscribe("joe", good, 1999)
	w.subscribe("kim", lineCut, 1999)
	w.subscribe("lou", good, 14500) // with the enrolment fee 152.00, which is approved for 10.00 less
	w.subscribe("max", changedNumber, 1999, func(r *cashier.SubscribeRequest) {
		r.FirstDate, r.Billed = billing.Date{Year: 2019, Month: 11, Day: 15}, 2
	})
	w.subscribe("nan", good, 0)
	w.MoveTo("2020-01-20")
	_, err := w.Cashier.Freeze(ctx, w.Session(), w.customers["hal"], w.subs["hal"],
		cashier.FreezeRequest{From: billing.Date{Year: 2020, Month: 2, Day: 1}, Length: 2})
	check(t, err)
	_, err = w.Cashier.Pause(ctx, w.Session(), w.customers["ida"], w.subs["ida"], billing.Date{Year: 2020, Month: 1, Day: 25}, "")
	check(t, err)
	w.MoveTo("2020-03-15")
	_, err = w.Cashier.Resume(ctx, w.Session(), w.customers["ida"], w.subs["ida"])
	check(t, err)
	w.trade(ctx)
	_, err = w.Cashier.Cancel(ctx, w.Session(), w.customers["lou"], w.subs["lou"], billing.Date{Year: 2020, Month: 5, Day: 1}, "")
	check(t, err)
	w.trouble(ctx)
	w.compose(ctx)
	w.MoveTo("2020-06-02")
	return w
}

// compose signs somebody up for a plan with everything that an invoice with lines can
// have.
func (w *town) compose(ctx context.Context) {
	t := w.T.(*testing.T)
	p := &billing.Plan{Code: "ora-plan", Name: "Ora", Cycle: billing.Monthly, Amount: billing.Minor(1999, "USD"), Tax: billing.Minor(0, "USD"),
		Active: true, Offer: billing.Offer{Setup: 300, AddOns: []billing.AddOn{{Code: "ip", Unit: 11}}}}
	check(t, w.Cashier.CreatePlan(ctx, w.Session(), "2001", p))
	check(t, w.Cashier.DefineCoupon(ctx, w.Session(), &billing.Coupon{Code: "ten", Percent: 10, Lasts: billing.LastsForever, Active: true}))
	ora := w.Customer("ora")
	done, err := w.Cashier.SignUp(ctx, w.Session(), cashier.SignUpRequest{Party: cashier.Party{Customer: ora, Method: w.Card(ora, "ora-card", good)},
		Plan: cashier.Ref{Code: "ora-plan"}, AddOns: []cashier.AddOnChoice{{Code: "ip", Quantity: 2}}, TaxRate: 8250, Coupon: "ten"})
	check(t, err)
	sub := cashier.Ref{ID: int64(done.Subscription.ID)}
	w.customers["ora"], w.subs["ora"] = ora, sub
	_, err = w.Cashier.AddCharge(ctx, w.Session(), ora, cashier.LineRequest{Amount: 250})
	check(t, err)
	_, err = w.Cashier.InvoiceNow(ctx, w.Session(), ora, cashier.InvoiceRequest{Method: cashier.Ref{Code: "ora-card"}})
	check(t, err)
	w.MoveTo("2020-04-10")
	_, err = w.Cashier.Change(ctx, w.Session(), ora, sub, cashier.ChangeRequest{Now: true, Quantity: new(2)})
	check(t, err)
	_, err = w.Cashier.AddCharge(ctx, w.Session(), ora, cashier.LineRequest{Amount: 125})
	check(t, err)
	w.MoveTo("2020-05-10")
	_, err = w.Cashier.AddCharge(ctx, w.Session(), ora, cashier.LineRequest{Amount: 5})
	check(t, err)
	_, err = w.Cashier.AddAdjustment(ctx, w.Session(), ora, sub, cashier.LineRequest{Amount: -7})
	check(t, err)
}

// trouble lets go wrong what can between us and the bank.
func (w *town) trouble(ctx context.Context) {
	t := w.T.(*testing.T)
	w.Line.Down.Store(true) // the claims of 1 April are postponed
	w.MoveTo("2020-04-01")
	w.Line.Down.Store(false)
	w.MoveTo("2020-04-02")
	check(t, w.Bank.SetFaults(ctx, w.Merchant.Code,
		sandbox.Fault{On: []string{"charge"}, Count: 1, Do: sandbox.CutAfter},
		sandbox.Fault{On: []string{"lookup"}, Count: 1, Do: sandbox.ErrorBefore},
		sandbox.Fault{On: []string{"credit"}, Count: 1, Do: sandbox.Decline, Response: "05"}))
	ida := cashier.ChargeRequest{Amount: 777, Method: cashier.Ref{Code: "ida-card"}}
	r, err := w.Cashier.Charge(ctx, w.Session(), w.customers["ida"], ida)
	check(t, err)
	if r.Attempt.State != billing.AttemptUnknown {
		t.Errorf("a charge whose answer was lost is %s", r.Attempt.State)
	}
	w.Wall.Forward(2 * time.Minute)
	w.MoveTo("2020-04-03") // its outcome is learnt
	ida.Credit = true
	for _, want := range []billing.AttemptState{billing.AttemptDeclined, billing.AttemptApproved} {
		r, err := w.Cashier.Charge(ctx, w.Session(), w.customers["ida"], ida)
		check(t, err)
		if r.Attempt.State != want {
			t.Errorf("a credit is %s, not %s", r.Attempt.State, want)
		}
	}
	check(t, w.Bank.SetFaults(ctx, w.Merchant.Code))
}

// trade has a customer do by hand what can be done by hand.
func (w *town) trade(ctx context.Context) {
	t, c := w.T.(*testing.T), w.customers["joe"]
	record := func(kind billing.ActivityKind, instrument billing.Instrument, amount, tax int64) cashier.Ref {
		t.Helper()
		a, err := w.Cashier.Record(ctx, w.Session(), c, cashier.RecordRequest{Kind: kind, Instrument: instrument, Amount: amount, Tax: tax})
		check(t, err)
		return cashier.Ref{ID: int64(a.ID)}
	}
	charge := func(amount int64) cashier.Ref {
		t.Helper()
		r, err := w.Cashier.Charge(ctx, w.Session(), c, cashier.ChargeRequest{Amount: amount, Method: cashier.Ref{Code: "joe-card"}})
		check(t, err)
		return cashier.Ref{ID: int64(r.Activity.ID)}
	}
	reverse := func(a cashier.Ref) {
		t.Helper()
		_, err := w.Cashier.Reverse(ctx, w.Session(), c, a, "")
		check(t, err)
	}
	reverse(charge(1200)) // voided
	refund := charge(1300)
	charge(8000)                           // declined
	record(billing.Invoice, "", 5000, 400) // paid by what follows
	cash := record(billing.Payment, billing.Cash, 2500, 0)
	record(billing.Payment, billing.Allowance, 600, 0)
	reverse(cash) // voided
	reverse(record(billing.Credit, "", 900, 0))
	reverse(record(billing.ServiceFee, "", 333, 0))
	record(billing.WriteOff, "", 100, 0)
	reverse(record(billing.Refund, billing.Check, 150, 0))
	claim, err := w.Cashier.Charge(ctx, w.Session(), w.customers["bob"], cashier.ChargeRequest{Amount: 1111, Method: cashier.Ref{Code: "bob-account"}})
	check(t, err)
	_, err = w.Cashier.Reverse(ctx, w.Session(), w.customers["bob"], cashier.Ref{ID: int64(claim.Activity.ID)}, "")
	check(t, err) // voided in clearing
	w.MoveTo("2020-03-17")
	reverse(refund)
}

// TestTown audits the town as it is, beside a bank that says something else, and
// with its books broken.
func TestTown(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := live(t, s)
		t.Run("clean", w.clean)
		t.Run("journal", w.judged)
		t.Run("damage", w.damaged)
	})
}

// clean finds nothing in books that everything has happened to, however they are
// read.
func (w *town) clean(t *testing.T) {
	w.covered()
	for _, page := range []int{500, 1, 7} {
		faults, err := audit.BooksByPage(context.Background(), w.Store, w.Merchant.ID, w.Wall.Now(), page)
		check(t, err)
		if diff := cmp.Diff([]string(nil), w.told(faults)); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", page, diff)
		}
	}
	if diff := cmp.Diff([]string(nil), w.told(w.compare(nil))); diff != "" {
		t.Errorf("the bank (-want +got):\n%s", diff)
	}
}

// TestChargebackReversedByHand lets a clerk take a chargeback back before the
// bank does. Until then the books have money that the bank has not; when the
// bank's own reversal comes it is not booked again.
func TestChargebackReversedByHand(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		w := &town{Shop: s, customers: make(map[string]cashier.Ref), subs: make(map[string]cashier.Ref)}
		w.subscribe("gus", givenBack, 1999)
		w.MoveTo("2020-01-05")
		i := slices.IndexFunc(w.Activities(w.customers["gus"]), func(a *billing.Activity) bool { return a.Kind == billing.Chargeback })
		if i < 0 {
			t.Fatalf("nothing is charged back:\n%s", w.Books(w.customers["gus"]))
		}
		back := w.Activities(w.customers["gus"])[i]
		_, err := w.Cashier.Reverse(ctx, w.Session(), w.customers["gus"], cashier.Ref{ID: int64(back.ID)}, "")
		check(t, err)
		say := func(want ...string) {
			t.Helper()
			faults, err := audit.Books(ctx, s.Store, s.Merchant.ID, s.Wall.Now())
			check(t, err)
			if diff := cmp.Diff(want, w.told(append(faults, w.compare(nil)...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		say("note: bank: attempt gus/ask-charge#1 (charge): the bank has news that the books do not show yet, -19.99 USD")
		w.MoveTo("2020-01-12")
		say()
	})
}

// covered sees that the town has in it what the audit is to judge.
func (w *town) covered() {
	w.T.Helper()
	seen := make(map[string]int)
	for _, c := range w.customers {
		for _, a := range w.Activities(c) {
			seen[string(a.Kind)]++
			seen[string(a.Kind)+" "+string(a.State)]++
		}
	}
	for _, what := range []billing.ActivityKind{billing.Invoice, billing.ServiceFee, billing.LateFee, billing.Credit, billing.CreditReversal,
		billing.InvoiceReversal, billing.Payment, billing.Claim, billing.Void, billing.Refund, billing.RefundReversal, billing.Decline,
		billing.Chargeback, billing.ChargebackReversal, billing.WriteOff, "claim pending", "claim declined", "decline posted",
		"decline declined", "refund declined"} {
		if seen[string(what)] == 0 {
			w.T.Errorf("the town has no %s", what)
		}
	}
}

// journal is the bank's, in the words of this package, with a change.
func (w *town) journal(change func([]audit.BankLine) []audit.BankLine) iter.Seq2[audit.BankLine, error] {
	return func(yield func(audit.BankLine, error) bool) {
		lines, err := w.Bank.Journal(context.Background(), w.Merchant.Code)
		if err != nil {
			yield(audit.BankLine{}, err)
			return
		}
		var list []audit.BankLine
		for _, l := range lines {
			list = append(list, audit.BankLine{At: l.At, Kind: audit.BankKind(l.Kind), Reference: l.Reference, Original: l.Original,
				Amount: l.Amount, Declined: !l.Good()})
		}
		if change != nil {
			list = change(list)
		}
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (w *town) compare(change func([]audit.BankLine) []audit.BankLine) []audit.Fault {
	w.T.Helper()
	faults, err := audit.Compare(context.Background(), w.Store, w.Merchant.ID, "sandbox", w.journal(change))
	check(w.T.(*testing.T), err)
	return faults
}

var ids = regexp.MustCompile(`\d{15,}`)

// told are faults as text with names in place of ids: "ann/claim#2" is Ann's
// second claim.
func (w *town) told(faults []audit.Fault) []string {
	w.T.Helper()
	return w.inNames(faults, w.names())
}

func (w *town) inNames(faults []audit.Fault, names map[string]string) []string {
	var list []string
	for _, f := range faults {
		list = append(list, strings.TrimPrefix(ids.ReplaceAllStringFunc(f.String(), func(id string) string {
			if name, ok := names[id]; ok {
				return name
			}
			return "?"
		}), w.Merchant.Code+": "))
	}
	slices.Sort(list)
	return list
}

// names tells the names of everything in the town by its id.
func (w *town) names() map[string]string {
	names := make(map[string]string)
	count := make(map[string]int)
	name := func(id int64, owner, kind string) {
		count[owner+kind]++
		names[strconv.FormatInt(id, 10)] = fmt.Sprintf("%s/%s#%d", owner, kind, count[owner+kind])
	}
	owner := make(map[billing.CustomerID]string)
	var made []billing.ActivityID
	for _, n := range []string{"ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "joe", "kim", "lou", "max", "nan", "ora"} {
		ref, ok := w.customers[n]
		if !ok {
			continue
		}
		owner[billing.CustomerID(ref.ID)] = n
		names[strconv.FormatInt(ref.ID, 10)] = n
		names[strconv.FormatInt(w.subs[n].ID, 10)] = n + "/subscription"
		for _, a := range w.Activities(ref) {
			name(int64(a.ID), n, string(a.Kind))
			made = append(made, a.ID)
		}
	}
	ctx := context.Background()
	check(w.T.(*testing.T), w.Store.View(ctx, w.Merchant.ID, func(v *store.View) error {
		matches, err := v.AllocationsFrom(ctx, made)
		if err != nil {
			return err
		}
		for _, m := range matches {
			name(int64(m.ID), owner[m.CustomerID], "allocation")
		}
		list, err := v.Attempts(ctx, store.Page{Limit: 10000})
		for _, a := range list {
			name(int64(a.ID), owner[a.CustomerID], "ask-"+string(a.Kind))
		}
		return err
	}))
	return names
}

// address is that of an empty database.
func address(t *testing.T) string { return sqldbtest.Address(t, sqldb.SQLite) }

// TestPartComesBack: of a debit of which a part was refunded the rest comes back late.
func TestPartComesBack(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("ann")
		paid, err := s.Cashier.Charge(ctx, s.Session(), customer, cashier.ChargeRequest{Amount: 1000, Instrument: billing.Checking,
			Number: billing.NewSecret(returnedLate), Routing: "021000021"})
		check(t, err)
		s.MoveTo("2020-01-04") // settled, and not returned yet
		_, err = s.Cashier.Refund(ctx, s.Session(), paid.Activity.ID, cashier.RefundRequest{Amount: 300})
		check(t, err)
		s.MoveTo("2020-03-20")
		back := slices.ContainsFunc(s.Activities(customer), func(a *billing.Activity) bool {
			return a.Kind == billing.Decline && a.State == billing.Posted && a.Amount.Minor() == 700
		})
		if !back {
			t.Fatalf("it did not come back:\n%s", s.Books(customer))
		}
		faults, err := audit.Books(ctx, s.Store, s.Merchant.ID, s.Wall.Now())
		check(t, err)
		for _, f := range faults {
			if !f.Note {
				t.Error(f)
			}
		}
	})
}
