package cashier_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// The sandbox bank's cards that decide by themselves.
const (
	refuses   = "4000000000000002" // every charge
	noRefunds = "4000000000002024" // good, and refunds are refused
)

// shop is a shop that sells plans in pieces: by the number of the card alone the
// bank says yes or no.
type shop struct {
	*cashiertest.Shop
	t testing.TB
}

// sells runs body on a shop on each engine, with gold for 10.00 and ruby for 20.00 a
// month; gold has a set-up fee where setup is given.
func sells(t *testing.T, body func(t *testing.T, s *shop)) {
	t.Helper()
	cashiertest.Run(t, func(t *testing.T, c *cashiertest.Shop) {
		s := &shop{Shop: c, t: t}
		s.plan("gold", billing.Monthly, 1000, billing.Offer{AddOns: []billing.AddOn{{Code: "ip", Name: "Address", Unit: 10}}})
		s.plan("ruby", billing.Monthly, 2000, billing.Offer{})
		s.plan("week", billing.Days(14), 200, billing.Offer{})
		s.plan("year", billing.Yearly, 10000, billing.Offer{})
		s.plan("fee", billing.Monthly, 1000, billing.Offer{Setup: 500})
		s.plan("trial", billing.Monthly, 1000, billing.Offer{Setup: 500, TrialLength: 14, TrialUnit: billing.InDays})
		body(t, s)
	})
}

func (s *shop) plan(code string, cycle billing.Cycle, amount int64, o billing.Offer) {
	s.t.Helper()
	p := &billing.Plan{Code: code, Name: strings.ToUpper(code), Cycle: cycle, Amount: billing.Minor(amount, "USD"), Tax: billing.Minor(0, "USD"),
		Active: true, Offer: o}
	ok(s.t, s.Cashier.CreatePlan(context.Background(), s.Session(), s.Account.Code, p))
}

// someone is a customer with a card.
func (s *shop) someone(code, number string) (customer, card cashier.Ref) {
	s.t.Helper()
	customer = s.Customer(code)
	return customer, s.Card(customer, "", number)
}

func planRef(code string) cashier.Ref { return cashier.Ref{Code: code} }

func (s *shop) signUp(r cashier.SignUpRequest) *cashier.SignedUp {
	s.t.Helper()
	done, err := s.Cashier.SignUp(context.Background(), s.Session(), r)
	ok(s.t, err)
	return done
}

// subscribed is a customer with a card who has a subscription to a plan.
func (s *shop) subscribed(plan string, change ...func(*cashier.SignUpRequest)) (customer, sub cashier.Ref) {
	s.t.Helper()
	customer, card := s.someone("", visa)
	r := cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: card}, Plan: planRef(plan)}
	for _, f := range change {
		f(&r)
	}
	done := s.signUp(r)
	if done.Subscription == nil {
		s.t.Fatalf("signed up %+v", done.Attempt)
	}
	return customer, cashier.Ref{ID: int64(done.Subscription.ID)}
}

// lines shows the lines of a customer as text, the oldest first.
func (s *shop) lines(customer cashier.Ref) string {
	s.t.Helper()
	ctx := context.Background()
	var list []*billing.Line
	ok(s.t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Lines(ctx, billing.CustomerID(customer.ID), store.LineFilter{Limit: 1000})
		return err
	}))
	slices.Reverse(list)
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintf(&b, "%s %q %d x %s = %s", l.Kind, l.Description, l.Quantity, l.Unit.Decimal(), l.Amount.Decimal())
		if l.Waiting() {
			b.WriteString(" waits")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (s *shop) wantLines(customer cashier.Ref, want string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.lines(customer)); diff != "" {
		s.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// clean lets the auditor look, with the bank's journal at hand.
func (s *shop) clean() {
	s.t.Helper()
	ctx := context.Background()
	s.Balanced()
	faults, err := audit.Books(ctx, s.Store, s.Merchant.ID, s.Wall.Now())
	ok(s.t, err)
	bank, err := audit.Compare(ctx, s.Store, s.Merchant.ID, "sandbox", func(yield func(audit.BankLine, error) bool) {
		lines, err := s.Bank.Journal(ctx, s.Merchant.Code)
		ok(s.t, err)
		for _, l := range lines {
			if !yield(audit.BankLine{At: l.At, Kind: audit.BankKind(l.Kind), Reference: l.Reference, Original: l.Original, Amount: l.Amount,
				Declined: !l.Good()}, nil) {
				return
			}
		}
	})
	ok(s.t, err)
	for _, f := range append(faults, bank...) {
		if !f.Note {
			s.t.Error(f)
		}
	}
}

// nothing checks that a customer has neither account, lines, coupon nor subscription.
func (s *shop) nothing(customer billing.CustomerID) {
	s.t.Helper()
	ctx := context.Background()
	ref := cashier.Ref{ID: int64(customer)}
	for _, a := range s.Activities(ref) {
		if a.State == billing.Posted || a.State == billing.Pending || a.Open.Sign() != 0 {
			s.t.Errorf("%s of %s is %s", a.Kind, a.Amount, a.State)
		}
	}
	s.wantLines(ref, "")
	ok(s.t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		if has, err := v.HasSubscription(ctx, customer); err != nil || has {
			s.t.Errorf("there is a subscription, %v", err)
		}
		if n, err := v.CountBills(ctx, customer); err != nil || n != 0 {
			s.t.Errorf("there are %d bills, %v", n, err)
		}
		if r, err := v.Redeemed(ctx, customer, s.Session().Today()); billing.KindOf(err) != billing.NotFound {
			s.t.Errorf("there is a coupon %+v, %v", r, err)
		}
		return nil
	}))
}

// TestSignUp: the first period, with everything that comes with it, is one invoice
// that is collected at once, and the next is billed by the run.
func TestSignUp(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, card := s.someone("ann", visa)
		r := cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: card}, Plan: planRef("gold"), Quantity: 2,
			AddOns: []cashier.AddOnChoice{{Code: "ip", Quantity: 3}}, Note: "hello"}
		q, err := s.Cashier.QuoteSignUp(ctx, s.Session(), r)
		if err != nil || q.Due != usd(2030) || q.Total != usd(2030) || len(q.Lines) != 2 {
			t.Fatalf("quoted %+v, %v", q, err)
		}
		s.nothing(billing.CustomerID(customer.ID))
		done := s.signUp(r)
		sub := done.Subscription
		if done.Attempt.State != billing.AttemptApproved || done.Invoice.Amount != q.Total || sub.Status != billing.Current || sub.Period != 1 {
			t.Fatalf("signed up %+v", done)
		}
		if sub.PlanName != "GOLD" || sub.Amount != usd(2030) || sub.NextDate.String() != "2020-01-31" || sub.Note != "hello" ||
			sub.CreatedAt != s.Merchant.CreatedAt || sub.PeriodFrom(s.Merchant) != s.Merchant.CreatedAt {
			t.Errorf("subscription %+v", sub)
		}
		s.MoveTo("2020-02-01")
		wantBooks(t, s.Shop, customer, `2019-12-31 invoice 20.30 open 0.00 posted due 2019-12-31
2019-12-31 payment 20.30 open 0.00 posted due 2019-12-31
2020-01-31 invoice 20.30 open 0.00 posted due 2020-01-31
2020-01-31 claim 20.30 open 0.00 posted due 2020-01-31
`)
		s.wantLines(customer, `plan "GOLD" 2 x 10.00 = 20.00
add-on "Address" 3 x 0.10 = 0.30
plan "GOLD" 2 x 10.00 = 20.00
add-on "Address" 3 x 0.10 = 0.30
`)
		wantJournal(t, s.Shop, "capture 20.30 00", "capture 20.30 00")
		s.clean()
	})
}

// TestSignUpAsked: what is asked for in vain, each for its reason, leaves nothing.
func TestSignUpAsked(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, card := s.someone("ann", visa)
		s.coupon(billing.Coupon{Code: "ruby", Percent: 50, Lasts: billing.LastsOnce, Plans: []string{"ruby"}})
		for name, x := range map[string]struct {
			change func(*cashier.SignUpRequest)
			kind   billing.Kind
			field  string
		}{
			"no such plan":     {func(r *cashier.SignUpRequest) { r.Plan = planRef("lead") }, billing.NotFound, ""},
			"no method":        {func(r *cashier.SignUpRequest) { r.Method = cashier.Ref{} }, billing.Missing, "paymentOptionId"},
			"quantity":         {func(r *cashier.SignUpRequest) { r.Quantity = -1 }, billing.Invalid, "quantity"},
			"unit":             {func(r *cashier.SignUpRequest) { r.Unit = pointer[int64](-1) }, billing.Invalid, "unit"},
			"no such add-on":   {func(r *cashier.SignUpRequest) { r.AddOns = []cashier.AddOnChoice{{Code: "x"}} }, billing.Invalid, "add_ons"},
			"add-on twice":     {func(r *cashier.SignUpRequest) { r.AddOns = []cashier.AddOnChoice{{Code: "ip"}, {Code: "ip"}} }, billing.Invalid, "add_ons"},
			"past trial":       {func(r *cashier.SignUpRequest) { r.TrialEnds = s.Merchant.CreatedAt }, billing.Invalid, "trial_ends_at"},
			"endless trial":    {func(r *cashier.SignUpRequest) { r.TrialEnds = time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC) }, billing.Invalid, "trial_ends_at"},
			"no such coupon":   {func(r *cashier.SignUpRequest) { r.Coupon = "x" }, billing.NotFound, "coupon"},
			"another's coupon": {func(r *cashier.SignUpRequest) { r.Coupon = "ruby" }, billing.State, "coupon"},
			"too much":         {func(r *cashier.SignUpRequest) { r.Quantity, r.Unit = 1000, pointer[int64](billing.MaxAmount) }, billing.Invalid, "quantity"},
			"another's card":   {func(r *cashier.SignUpRequest) { _, r.Method = s.someone("", visa) }, billing.NotFound, ""},
			"no such customer": {func(r *cashier.SignUpRequest) { r.Customer = cashier.Ref{Code: "x"} }, billing.NotFound, ""},
			"a code that is had": {func(r *cashier.SignUpRequest) {
				r.Enroll, r.Account = &billing.Customer{Code: "ann", Active: true}, "2001"
			}, billing.Duplicate, "code"},
		} {
			r := cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: card}, Plan: planRef("gold")}
			x.change(&r)
			_, err := s.Cashier.SignUp(ctx, s.Session(), r)
			if billing.KindOf(err) != x.kind || field(err) != x.field {
				t.Errorf("%s: %v of %q", name, err, field(err))
			}
		}
		s.nothing(billing.CustomerID(customer.ID))
		if list := attempts(t, s.Shop); len(list) != 0 {
			t.Errorf("%d attempts", len(list))
		}
		s.clean()
	})
}

// TestSignUpTrial: a trial costs the set-up fee alone, if there is one, and the
// first period is billed on the date of its end.
func TestSignUpTrial(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		customer, sub := s.subscribed("trial")
		got := s.Subscription(sub)
		if got.Status != billing.Unbilled || got.FirstDate.String() != "2020-01-14" || got.Composition.Trial != got.FirstDate || got.NextAt != s.Merchant.Start(got.FirstDate) {
			t.Errorf("subscription %+v", got)
		}
		other, card := s.someone("bob", visa)
		own := s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: other, Method: card}, Plan: planRef("gold"),
			TrialEnds: time.Date(2020, 1, 7, 12, 0, 0, 0, time.UTC)})
		if own.Attempt != nil || own.Invoice != nil || own.Subscription.FirstDate.String() != "2020-01-07" {
			t.Errorf("a trial of its own: %+v, %+v", own, own.Subscription)
		}
		today := s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: other, Method: card}, Plan: planRef("gold"), TrialEnds: s.Session().Now.Add(time.Hour)})
		if today.Subscription.FirstDate.String() != "2020-01-01" {
			t.Errorf("a trial to the end of the day: %+v", today.Subscription)
		}
		wantBooks(t, s.Shop, customer, `2019-12-31 invoice 5.00 open 0.00 posted due 2019-12-31
2019-12-31 payment 5.00 open 0.00 posted due 2019-12-31
`)
		s.MoveTo("2020-02-14")
		s.wantLines(customer, `setup "Set-up fee" 1 x 5.00 = 5.00
plan "TRIAL" 1 x 10.00 = 10.00
plan "TRIAL" 1 x 10.00 = 10.00
`)
		if got := billed(s.Shop, other); got != "01-01 10.00, 01-07 10.00, 02-01 10.00, 02-07 10.00" {
			t.Errorf("billed %s", got)
		}
		s.clean()
	})
}

// TestSignUpWithoutMethod: where nothing is due nothing is needed to pay with. The
// debt of the first billing waits for something.
func TestSignUpWithoutMethod(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer := s.Customer("ann")
		later := s.Session().Now.AddDate(0, 0, 7)
		for range 2 {
			done := s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: customer}, Plan: planRef("gold"), TrialEnds: later})
			if m := s.Method(cashier.Ref{ID: int64(done.Subscription.PaymentMethodID)}); m.Active || m.Vaulted() {
				t.Errorf("it is paid with %+v", m)
			}
		}
		s.MoveTo("2020-01-08")
		if got := billed(s.Shop, customer); got != "01-07 10.00 open, 01-07 10.00 open" {
			t.Errorf("billed %s", got)
		}
		s.clean()
		info := cashier.BillingInfoRequest{MethodRequest: cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(visa), Expiry: "0430"}}
		if done, err := s.Cashier.SetBillingInfo(ctx, s.Session(), customer, info); err != nil || done.Refused != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		if got := billed(s.Shop, customer); got != "01-07 10.00, 01-07 10.00" {
			t.Errorf("then %s", got)
		}
		s.clean()
	})
}

// TestSignUpOnce: a customer who may have one subscription gets one, whoever asks
// how often at once.
func TestSignUpOnce(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		customer, card := s.someone("ann", visa)
		r := cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: card}, Plan: planRef("gold"), Only: true}
		session := s.Session()
		errs := make(chan error)
		for range 6 {
			go func() {
				_, err := s.Cashier.SignUp(ctx, session, r)
				errs <- err
			}()
		}
		won := 0
		for range 6 {
			switch err := <-errs; billing.KindOf(err) {
			case billing.State, billing.InProgress:
			default:
				ok(t, err)
				won++
			}
		}
		if won != 1 || s.Journal()[sandbox.LineCapture] != 1 {
			t.Errorf("%d won, and the bank has %v", won, s.Journal())
		}
		s.clean()
	})
}

// newcomer is somebody who is enrolled by the sign-up, with a card that comes along.
func newcomer(number string, change ...func(*cashier.SignUpRequest)) cashier.SignUpRequest {
	r := cashier.SignUpRequest{Plan: planRef("gold"), Party: cashier.Party{Account: "2001", Enroll: &billing.Customer{Code: "eve", LastName: "Smith", Active: true},
		Adopt: &cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "0430"}, SecurityCode: billing.NewSecret("123")}}
	for _, f := range change {
		f(&r)
	}
	return r
}

// TestSignUpEnrolls: who comes into being with a sign-up is there with the approval,
// and with a decline is not; then the code is free again, and so is the coupon.
func TestSignUpEnrolls(t *testing.T) {
	sells(t, func(t *testing.T, s *shop) {
		ctx := context.Background()
		s.coupon(billing.Coupon{Code: "one", Percent: 50, Lasts: billing.LastsOnce, MaxRedemptions: 1})
		half := func(r *cashier.SignUpRequest) { r.Coupon = "one" }
		no := s.signUp(newcomer(refuses, half))
		if no.Attempt.State != billing.AttemptDeclined || no.Subscription != nil || no.Invoice != nil {
			t.Fatalf("declined: %+v", no)
		}
		s.nothing(no.Customer.ID)
		if _, err := s.customer("eve"); billing.KindOf(err) != billing.NotFound {
			t.Errorf("the customer: %v", err)
		}
		s.clean()
		yes := s.signUp(newcomer(visa, half))
		if yes.Attempt.State != billing.AttemptApproved || yes.Invoice.Amount != usd(500) {
			t.Fatalf("approved: %+v", yes)
		}
		eve, err := s.customer("eve")
		if err != nil || eve.ID != yes.Customer.ID {
			t.Errorf("the customer: %+v, %v", eve, err)
		}
		if m := s.Method(cashier.Ref{ID: int64(yes.Subscription.PaymentMethodID)}); !m.Active {
			t.Errorf("it is paid with %+v", m)
		}
		if _, err := s.Cashier.Redeem(ctx, s.Session(), s.Customer("bob"), "one"); billing.KindOf(err) != billing.State {
			t.Errorf("the coupon can be redeemed again: %v", err)
		}
		if events := s.events(yes.Customer.ID); events != "customer.created subscription.created invoice.issued payment.approved payment_method.added" {
			t.Errorf("told %s", events)
		}
		free := s.signUp(newcomer(visa, func(r *cashier.SignUpRequest) {
			r.Enroll.Code, r.TrialEnds = "fay", s.Session().Now.AddDate(0, 0, 7)
		}))
		if free.Attempt != nil || free.Subscription == nil {
			t.Fatalf("a trial: %+v", free)
		}
		if m := s.Method(cashier.Ref{ID: int64(free.Subscription.PaymentMethodID)}); !m.Active {
			t.Errorf("it is to be paid with %+v", m)
		}
		if events := s.events(free.Customer.ID); events != "customer.created subscription.created payment_method.added" {
			t.Errorf("told %s", events)
		}
		s.clean()
	})
}

// TestSignUpUnknown: while nobody knows whether a sign-up was paid for there is no
// subscription, and no second sign-up; then it is there, or nothing is.
func TestSignUpUnknown(t *testing.T) {
	for _, x := range []struct {
		name, number string
		effect       sandbox.Trouble
	}{
		{"it was paid", visa, sandbox.CutAfter}, {"it never arrived", visa, sandbox.CutBefore},
		{"it was declined", refuses, sandbox.CutAfter}, {"it never arrived, and is declined", refuses, sandbox.CutBefore},
	} {
		t.Run(x.name, func(t *testing.T) {
			sells(t, func(t *testing.T, s *shop) {
				ctx := context.Background()
				ok(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: x.effect, Count: 1},
					sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorBefore, Count: 2}))
				r := newcomer(x.number, func(r *cashier.SignUpRequest) { r.Only = true })
				done := s.signUp(r)
				if done.Attempt.State != billing.AttemptUnknown || done.Subscription != nil {
					t.Fatalf("signed up %+v", done)
				}
				again := cashier.SignUpRequest{Plan: planRef("gold"), Only: true, Party: cashier.Party{Customer: cashier.Ref{ID: int64(done.Customer.ID)}, Adopt: r.Adopt}}
				if _, err := s.Cashier.SignUp(ctx, s.Session(), again); billing.KindOf(err) != billing.InProgress {
					t.Errorf("signed up twice: %v", err)
				}
				s.Balanced()
				s.rescued()
				if x.number == visa {
					if has := s.Activities(cashier.Ref{ID: int64(done.Customer.ID)}); len(has) != 2 || has[0].Kind != billing.Invoice || !has[0].Open.IsZero() {
						t.Errorf("books\n%s", s.Books(cashier.Ref{ID: int64(done.Customer.ID)}))
					}
				} else {
					s.nothing(done.Customer.ID)
				}
				s.clean()
			})
		})
	}
}

// TestDealDies: wherever the process dies, a deal is done once or not at all.
func TestDealDies(t *testing.T) {
	for _, step := range []string{"charge: intention committed", "charge: answered", "settle: committed"} {
		for name, number := range map[string]string{"good": visa, "bad": refuses} {
			t.Run(step+", "+name, func(t *testing.T) {
				sells(t, func(t *testing.T, s *shop) {
					ctx := context.Background()
					s.coupon(billing.Coupon{Code: "ten", Percent: 10, Lasts: billing.LastsForever, MaxRedemptions: 1})
					customer, card := s.someone("ann", visa)
					bad := s.Card(customer, "", number)
					sub := s.signUp(cashier.SignUpRequest{Party: cashier.Party{Customer: customer, Method: card}, Plan: planRef("gold")}).Subscription
					ref := cashier.Ref{ID: int64(sub.ID)}
					_, err := s.Cashier.ModifySubscription(ctx, s.Session(), customer, ref, nil, &bad)
					ok(t, err)
					s.dying(step, func() {
						_, _ = s.Cashier.SignUp(ctx, s.Session(), newcomer(number, func(r *cashier.SignUpRequest) { r.Coupon = "ten" }))
					})
					s.dying(step, func() {
						_, _ = s.Cashier.Change(ctx, s.Session(), customer, ref, cashier.ChangeRequest{Now: true, Quantity: pointer(3)})
					})
					s.dying(step, func() {
						_, _ = s.Cashier.Purchase(ctx, s.Session(), cashier.PurchaseRequest{Party: cashier.Party{Customer: customer, Method: bad}, Line: cashier.LineRequest{Amount: 700}})
					})
					s.rescued()
					now := s.Subscription(ref)
					eve, err := s.customer("eve")
					n := s.Journal()[sandbox.LineCapture]
					if number == visa { // what never arrived is sent again, because the number is known
						if now.Amount != usd(3000) || err != nil || n != 4 {
							t.Errorf("it costs %s, the customer %+v, %v, %d captures", now.Amount, eve, err, n)
						}
					} else if now.Amount != usd(1000) || billing.KindOf(err) != billing.NotFound || n != 1 {
						t.Errorf("it costs %s, the customer %v, %d captures", now.Amount, err, n)
					}
					s.clean()
				})
			})
		}
	}
}
