package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// stock is what a shop of a story with deals has to sell beside its plans.
type stock struct {
	plans   []cashier.Ref // that are sold in pieces
	coupons []string
	lines   []line3 // that clients were told of
	sold    []sold
	signed  []signed
	guests  int // who came with a deal
}

// line3 is a line that a client was told of.
type line3 struct {
	who *person
	id  billing.LineID
}

// signed is a subscription that somebody has signed up for.
type signed struct {
	who *person
	sub cashier.Ref
}

// sold is a subscription on terms of its own, whose buyer is enrolled anew.
type sold struct {
	owner billing.CustomerID
	id    billing.SubscriptionID
}

// stockUp makes what a shop sells in a story with deals, by a lot of its own.
func (d dealer) stockUp(n int, s *shop, m *billing.Merchant) error {
	r := lottery(d.story.Seed, 200+uint64(n))
	c := d.processes[0].cashier
	session := c.System(m)
	extras := []billing.AddOn{{Code: "seat", Name: "Seat", Unit: 150}, {Code: "help", Unit: 999}}
	for i, p := range []billing.Plan{
		{Cycle: billing.Monthly, Offer: billing.Offer{AddOns: extras}},
		{Cycle: billing.Weekly, Offer: billing.Offer{Setup: 500, TrialLength: 3 + r.IntN(9), TrialUnit: billing.InDays}},
		{Cycle: billing.Monthly, Offer: billing.Offer{Setup: 700, AddOns: extras[:1]}},
		{Cycle: billing.Yearly},
		{Cycle: billing.Monthly, Offer: billing.Offer{TrialLength: 1, TrialUnit: billing.InMonths}},
	} {
		p.Code, p.Name, p.Active = fmt.Sprintf("q%d", i), fmt.Sprintf("in pieces, %s", p.Cycle), true
		p.Amount, p.Tax = billing.Minor(amount(r), "USD"), billing.Minor(0, "USD")
		if err := c.CreatePlan(d.ctx, session, "2001", &p); err != nil {
			return err
		}
		s.stock.plans = append(s.stock.plans, cashier.Ref{ID: int64(p.ID)})
	}
	for i, k := range []billing.Coupon{
		{Percent: 10 + r.IntN(91), Lasts: billing.LastsOnce},
		{Amount: billing.Minor(333+r.Int64N(3000), "USD"), Lasts: billing.LastsMonths, Months: 1 + r.IntN(3)},
		{Percent: 33, Lasts: billing.LastsForever, Plans: []string{"q0", "q2"}},
		{Percent: 15, Lasts: billing.LastsForever, MaxRedemptions: 2},
	} {
		k.Code, k.Active = fmt.Sprintf("k%d", i), true
		if k.Amount == (billing.Money{}) {
			k.Amount = billing.Minor(0, "USD")
		}
		if err := c.DefineCoupon(d.ctx, session, &k); err != nil {
			return err
		}
		s.stock.coupons = append(s.stock.coupons, k.Code)
	}
	return nil
}

// limits are the velocity controls of a shop in a story with deals: in some, of no
// more charges than a few.
func limits(r *rand.Rand) billing.Velocity {
	if r.IntN(3) > 0 {
		return billing.Velocity{}
	}
	return billing.Velocity{Rules: []billing.VelocityRule{
		{Name: "a few", Count: 3 + r.Int64N(5), Window: "24h", Attempts: r.IntN(2) == 0},
		{Name: "not too much", Amount: 30_000 + r.Int64N(50_000), Window: "7d", Renewals: r.IntN(2) == 0},
	}}
}

// dealer plays deals.
type dealer struct{ *world }

// verb is what clients buy and agree on that has lines.
func (d dealer) verb(x wish) verb {
	do := map[Kind]func(context.Context, wish, *process, *cashier.Session) error{
		actSignUp: d.signUp, actAlter: d.alter, actTerms: d.terms, actHinder: d.hinder, actLine: d.addLine, actUnline: d.removeLine, actInvoice: d.invoice,
		actPurchase: d.purchase, actCoupon: d.coupon, actSchedule: d.schedule, actReschedule: d.reschedule, actSell: d.sell,
	}[x.Kind]
	if do == nil {
		return nil
	}
	return func(ctx context.Context, p *process, s *cashier.Session) error { return do(ctx, x, p, s) }
}

// guest is a customer who comes with a deal, and is there only if that is paid for.
// There are few names, so that one who was turned away comes again.
func (x wish) guest() *billing.Customer {
	x.shop.stock.guests++
	return &billing.Customer{Code: fmt.Sprintf("g%d", x.B%4), FirstName: "Jane", LastName: "Smith", Active: true}
}

// party is who buys, and what is paid with.
func (x wish) party() cashier.Party {
	q := cashier.Party{Customer: x.who.ref}
	method, ok := pick(x.who.methods, x.B)
	if x.r.IntN(4) == 0 {
		q.Customer, q.Enroll, q.Account, ok = cashier.Ref{}, x.guest(), "2001", false
	}
	if ok && x.r.IntN(4) > 0 {
		q.Method = method
	} else {
		m := number(x.r, false)
		q.Adopt = &m
	}
	return q
}

// came notes who has come into being with a deal.
func (x wish) came(q cashier.Party, c *billing.Customer, sub *billing.Subscription) {
	who := x.who
	if q.Enroll != nil {
		who = &person{ref: cashier.Ref{ID: int64(c.ID)}}
		x.shop.customers = append(x.shop.customers, who)
	}
	if sub != nil {
		ref := cashier.Ref{ID: int64(sub.ID)}
		who.subs = append(who.subs, ref)
		x.shop.stock.signed = append(x.shop.stock.signed, signed{who, ref})
	}
}

// subject is a subscription, in most cases one that was signed up for.
func (x wish) subject() (who *person, sub cashier.Ref, ok bool) {
	if one, ok := pick(x.shop.stock.signed, x.B); ok && x.r.IntN(5) > 0 {
		return one.who, one.sub, true
	}
	sub, ok = pick(x.who.subs, x.B)
	return x.who, sub, ok
}

func (d dealer) signUp(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	plan, _ := pick(x.shop.stock.plans, x.B/10)
	q := cashier.SignUpRequest{Party: x.party(), Plan: plan, Only: x.r.IntN(3) == 0, TaxRate: []int{0, 0, 8_875}[x.r.IntN(3)]}
	if x.r.IntN(2) == 0 {
		q.Unit = &x.N
	}
	if x.r.IntN(3) == 0 {
		q.Quantity = 1 + x.r.IntN(3)
	}
	if x.r.IntN(2) == 0 && x.B/10%len(x.shop.stock.plans)%2 == 0 && x.B/10%len(x.shop.stock.plans) < 3 {
		q.AddOns = []cashier.AddOnChoice{{Code: "seat", Quantity: x.r.IntN(4)}}
	}
	if x.r.IntN(3) == 0 {
		q.Coupon, _ = pick(x.shop.stock.coupons, x.A/5)
	}
	if x.r.IntN(6) == 0 {
		q.TrialEnds = s.Now.Add(time.Duration(1+x.r.IntN(300)) * time.Hour)
	}
	done, err := p.cashier.SignUp(ctx, s, q)
	if err == nil && done.Subscription != nil {
		x.came(q.Party, done.Customer, done.Subscription)
	}
	return err
}

// alter changes what a subscription is for, now or with its next billing.
func (d dealer) alter(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	who, sub, ok := x.subject()
	if !ok {
		return nil
	}
	q := cashier.ChangeRequest{Now: x.r.IntN(3) > 0}
	switch x.r.IntN(4) {
	case 0:
		q.Plan, _ = pick(x.shop.stock.plans, x.B/10)
	case 1:
		n := 1 + x.r.IntN(4)
		q.Quantity = &n
	case 2:
		q.Plan, _ = pick(x.shop.stock.plans, x.B/10)
		q.Unit = &x.N
	default:
		n := 2000 + x.N // more than before, in most cases
		q.Unit = &n
	}
	if x.r.IntN(5) == 0 {
		q.AddOns = &[]cashier.AddOnChoice{}
	}
	_, err := p.cashier.Change(ctx, s, who.ref, sub, q)
	return err
}

// terms ends a subscription one way or another, or has it go on.
func (d dealer) terms(ctx context.Context, x wish, p *process, s *cashier.Session) (err error) {
	who, sub, ok := x.subject()
	if !ok {
		return nil
	}
	switch x.r.IntN(8) {
	case 0, 1, 2:
		_, err = p.cashier.CancelAtEnd(ctx, s, who.ref, sub, "")
	case 3, 4:
		_, err = p.cashier.Reactivate(ctx, s, who.ref, sub)
	default:
		how := []cashier.Takeback{cashier.TakeNone, cashier.TakePartial, cashier.TakeFull}[x.r.IntN(3)]
		_, _, err = p.cashier.Terminate(ctx, s, who.ref, sub, how, "")
	}
	return err
}

// hinder stops the course of what was signed up for.
func (d dealer) hinder(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	who, sub, ok := x.subject()
	if !ok {
		return nil
	}
	x.who = who
	x.Kind = []Kind{actPause, actPause, actFreeze, actCancel, actResume}[x.r.IntN(5)]
	return d.course(ctx, x, sub, p, s)
}

// addLine notes a charge or adjustment, or gives a credit.
func (d dealer) addLine(ctx context.Context, x wish, p *process, s *cashier.Session) (err error) {
	q := cashier.LineRequest{Code: "extra", Description: "something", Amount: 1 + x.N/(1+x.r.Int64N(20))}
	var l *billing.Line
	switch x.r.IntN(4) {
	case 0:
		l, err = p.cashier.GiveCredit(ctx, s, x.who.ref, q)
	case 1:
		who, sub, ok := x.subject()
		if !ok {
			return nil
		}
		if x.r.IntN(2) == 0 {
			q.Amount = -q.Amount
		}
		l, err = p.cashier.AddAdjustment(ctx, s, who.ref, sub, q)
	default:
		if x.r.IntN(4) == 0 {
			q.Quantity, q.Unit = 1+x.r.IntN(3), &q.Amount
		}
		l, err = p.cashier.AddCharge(ctx, s, x.who.ref, q)
	}
	if err == nil {
		x.shop.stock.lines = append(x.shop.stock.lines, line3{x.who, l.ID})
	}
	return err
}

func (d dealer) removeLine(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	l, ok := pick(x.shop.stock.lines, x.B)
	if !ok {
		return nil
	}
	return p.cashier.RemoveLine(ctx, s, l.who.ref, l.id)
}

func (d dealer) invoice(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	q := cashier.InvoiceRequest{}
	if method, ok := pick(x.who.methods, x.B); ok && x.r.IntN(4) > 0 {
		q.Method = method
	}
	if x.r.IntN(3) == 0 { // the front desk shows the numbers
		if err := p.cashier.NumberBills(ctx, s.Merchant); err != nil {
			return err
		}
	}
	_, err := p.cashier.InvoiceNow(ctx, s, x.who.ref, q)
	return err
}

func (d dealer) purchase(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	q := cashier.PurchaseRequest{Party: x.party(), Line: cashier.LineRequest{Description: "a book", Amount: x.N}}
	done, err := p.cashier.Purchase(ctx, s, q)
	if err == nil && done.Invoice != nil {
		x.came(q.Party, done.Customer, nil)
	}
	return err
}

// coupon puts a coupon into a customer's hands, or takes it away.
func (d dealer) coupon(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	if x.r.IntN(4) == 0 {
		return p.cashier.TakeCouponAway(ctx, s, x.who.ref)
	}
	code, _ := pick(x.shop.stock.coupons, x.B)
	_, err := p.cashier.Redeem(ctx, s, x.who.ref, code)
	return err
}

// agreed are terms of a schedule by lot.
func (x wish) agreed(t *billing.ScheduleTerms, today billing.Date) {
	t.Kind = []billing.ScheduleKind{billing.Recurring, billing.InInstallments, billing.Once}[x.r.IntN(3)]
	t.Title, t.Amount, t.Count = "Lessons", x.N, 0
	t.Cycle = []billing.Cycle{billing.Weekly, billing.Monthly, billing.Quarterly, billing.Semimonthly}[x.r.IntN(4)]
	if t.Kind == billing.InInstallments || t.Kind == billing.Recurring && x.r.IntN(2) == 0 {
		t.Count = 2 + x.r.IntN(5)
	}
	t.TaxRate = []int{0, 0, 21_000}[x.r.IntN(3)]
	if t.Start = today.AddDays(x.r.IntN(20)); t.Start.Day > 28 {
		t.Start.Day = 28
		if t.Start.Before(today) {
			t.Start = t.Start.AddDays(7)
		}
	}
}

func (d dealer) schedule(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	var t billing.ScheduleTerms
	x.agreed(&t, s.Today())
	var first *cashier.LineRequest
	if x.r.IntN(3) == 0 {
		first = &cashier.LineRequest{Description: "the first time", Amount: []int64{-1, 1}[x.r.IntN(2)] * (1 + x.r.Int64N(400))}
	}
	sub, err := p.cashier.AddSchedule(ctx, s, x.who.ref, t, first)
	if err != nil {
		return err
	}
	x.who.subs = append(x.who.subs, cashier.Ref{ID: int64(sub.ID)})
	if x.r.IntN(4) > 0 {
		_, err = p.cashier.ReleaseSchedule(ctx, s, x.who.ref, cashier.Ref{ID: int64(sub.ID)})
	}
	return err
}

// reschedule changes a schedule, holds it or lets it go on.
func (d dealer) reschedule(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	sub, ok := pick(x.who.subs, x.B)
	if !ok {
		return nil
	}
	var piecemeal bool
	err := s.Books.View(ctx, func(v *store.View) error {
		now, err := v.Subscription(ctx, billing.SubscriptionID(sub.ID))
		piecemeal = err == nil && now.Composition != nil && now.Composition.PlanCode != ""
		return err
	})
	if err != nil || piecemeal { // it was signed up for, and is no schedule of ours
		return err
	}
	var change cashier.ScheduleChange
	held := x.r.IntN(3) == 0
	switch x.r.IntN(6) {
	case 0:
		change.Terms = func(t *billing.ScheduleTerms) { x.agreed(t, s.Today()) }
	case 1:
		change.Terms = func(t *billing.ScheduleTerms) { t.Amount = x.N }
	case 2:
		change.Close = x.r.IntN(2) == 0
	default:
		change.Held = &held
	}
	_, err = p.cashier.ModifySchedule(ctx, s, x.who.ref, sub, change)
	return err
}

// sell sells a subscription on terms of its own, perhaps in place of one before.
func (d dealer) sell(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	method, ok := pick(x.who.methods, x.B)
	if !ok {
		return nil
	}
	q := cashier.SaleRequest{Account: "2001", Method: billing.PaymentMethodID(method.ID),
		Terms: billing.Terms{Currency: "USD", Initial: x.N, InitialDays: 3 + x.r.IntN(30), Recurring: 500 + x.r.Int64N(9000),
			RecurringDays: 7 + x.r.IntN(30), Rebills: []int{0, 2, billing.Endless}[x.r.IntN(3)]}}
	if q.Terms.Rebills == 0 {
		q.Terms.Recurring, q.Terms.RecurringDays = 0, 0
	}
	if old, ok := pick(x.shop.stock.sold, x.A/3); ok && x.r.IntN(2) == 0 {
		q.Replaces = old.id
	}
	done, err := p.cashier.Sell(ctx, s, q)
	if err == nil && done.Subscription != nil {
		x.shop.stock.sold = append(x.shop.stock.sold, sold{done.Subscription.CustomerID, done.Subscription.ID})
	}
	return err
}
