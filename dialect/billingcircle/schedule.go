package billingcircle

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// The bill types (4.1).
const (
	subscription = "subscription"
	installments = "installments"
	single       = "single"
)

// intervals are the rhythms that can be asked for (4.2). Others that a schedule
// may have are called custom.
var intervals = map[string]billing.Cycle{
	"yearly": billing.Yearly, "quarterly": billing.Quarterly, "monthly": billing.Monthly, "semimonthly": billing.Semimonthly, "weekly": billing.Weekly,
}

func intervalOf(t billing.ScheduleTerms) string {
	if t.Kind == billing.Once {
		return single
	}
	for name, cycle := range intervals {
		if cycle == t.Cycle {
			return name
		}
	}
	return "custom"
}

var kinds = map[string]billing.ScheduleKind{subscription: billing.Recurring, installments: billing.InInstallments, single: billing.Once}

func kindOf(t billing.ScheduleTerms) string {
	for name, kind := range kinds {
		if kind == t.Kind {
			return name
		}
	}
	return subscription
}

// scheduleRef names the schedule of a request to a verb.
func (x *exchange) scheduleRef() cashier.Ref { return cashier.Ref{ID: int64(x.schedule.ID)} }

func (x *exchange) scheduleID(ctx context.Context, s *billing.Subscription) (string, error) {
	return x.number(ctx, store.ScheduleNumber, int64(s.ID), x.choices.FirstNumbers.Schedule)
}

// scheduled is the success of a method on a schedule (2).
func (x *exchange) scheduled(ctx context.Context, s *billing.Subscription) (*answer, error) {
	id, err := x.scheduleID(ctx, s)
	if err != nil {
		return nil, err
	}
	return success(id), nil
}

// createSchedule makes a schedule that bills nothing until it is confirmed (3.6).
func createSchedule(ctx context.Context, x *exchange) (*answer, error) {
	var t billing.ScheduleTerms
	if err := x.agree(&t); err != nil {
		return nil, err
	}
	first, err := x.adjustment()
	if err != nil {
		return nil, err
	}
	s, err := x.Cashier.AddSchedule(ctx, x.session, x.ref(), t, first)
	if err != nil {
		return nil, x.scheduleFailure(err, t)
	}
	return x.scheduled(ctx, s)
}

// agree puts what is sent of a schedule into its terms.
func (x *exchange) agree(t *billing.ScheduleTerms) error {
	p := x.params
	if p.has("s_recurringtype") {
		t.Kind = kinds[p.get("s_recurringtype")]
	}
	if p.has("s_title") {
		t.Title = p.get("s_title")
	}
	if p.sent("s_lineitems") {
		t.Texts = nil
		if p.has("s_lineitems") {
			t.Texts = strings.Split(p.get("s_lineitems"), "|")
		}
	}
	if p.has("s_interval") && t.Kind != billing.Once {
		t.Cycle = intervals[p.get("s_interval")]
	}
	if p.has("s_numofintervals") && t.Kind != billing.Once {
		t.Count, _ = strconv.Atoi(p.get("s_numofintervals")) // the rule of the field has looked at it
	}
	if p.has("s_amount") {
		amount, err := x.money("s_amount")
		if err != nil {
			return err
		}
		t.Amount = amount
	}
	if p.has("s_taxrate") {
		whole, part, _ := strings.Cut(p.get("s_taxrate"), ".")
		t.TaxRate, _ = strconv.Atoi(whole + (part + "000")[:3]) // the rule of the field has looked at it
	}
	if p.has("s_startdate") {
		t.Start, _ = billing.ParseDate(p.get("s_startdate")) // the rule of the field has looked at it
	}
	return nil
}

// money reads an amount in the merchant's currency, in minor units.
func (x *exchange) money(name string) (int64, error) {
	text := strings.TrimPrefix(x.params.get(name), "+")
	m, err := billing.ParseDecimal(text, x.session.Merchant.Currency)
	if err != nil || m.Minor() > billing.MaxAmount || m.Minor() < -billing.MaxAmount {
		return 0, refuse(invalid, name)
	}
	return m.Minor(), nil
}

// adjustment is the one that a request brings, nil if it brings none.
func (x *exchange) adjustment() (*cashier.LineRequest, error) {
	if !x.params.has("s_adjustment") {
		return nil, nil
	}
	amount, err := x.money("s_adjustment")
	return &cashier.LineRequest{Amount: amount, Description: x.params.get("s_adjustmentnote")}, err
}

// scheduleFailure puts the blame for terms that the core refuses on the field that
// has it, with the code that the wire has for it.
func (x *exchange) scheduleFailure(err error, t billing.ScheduleTerms) error {
	var e *billing.Error
	if !errors.As(err, &e) || e.Field == "" && e.Kind != billing.State {
		return err
	}
	switch e.Field {
	case "start":
		return &failure{why: startPassed, field: "s_startdate", detail: x.session.Today().String()}
	case "day":
		if t.Cycle == billing.Quarterly {
			return refuse(quarterlyDay, "s_startdate")
		}
		return refuse(monthlyDay, "s_startdate")
	case "count":
		switch {
		case t.Count > 1: // more than any schedule has
			return refuse(invalid, "s_numofintervals")
		case t.Kind == billing.InInstallments:
			return refuse(installmentCount, "s_numofintervals")
		}
		return refuse(recurringCount, "s_numofintervals")
	case "length":
		return refuse(invalid, "s_numofintervals")
	case "cycle":
		return refuse(missing, "s_interval")
	case "amount":
		return refuse(invalid, "s_amount")
	case "tax_rate":
		return refuse(invalid, "s_taxrate")
	case "adjustment":
		return refuse(belowZero, "s_adjustment")
	}
	if e.Kind == billing.State {
		return refuse(scheduleOver, "s_scheduleid")
	}
	return err
}

// confirmSchedule has a schedule be billed (3.6). One that is active already, or
// over, stays as it is.
func confirmSchedule(ctx context.Context, x *exchange) (*answer, error) {
	if statusOf(x.schedule, x.customer) != "inactive" {
		return x.scheduled(ctx, x.schedule)
	}
	s, err := x.Cashier.ReleaseSchedule(ctx, x.session, x.ref(), x.scheduleRef())
	if err != nil {
		return nil, x.scheduleFailure(err, x.schedule.ScheduleTerms())
	}
	x.Wake()
	return x.scheduled(ctx, s)
}

// modifySchedule changes a schedule from its next bill on; the rules are those of
// what comes of it (3.6).
func modifySchedule(ctx context.Context, x *exchange) (*answer, error) {
	p := x.params
	var change cashier.ScheduleChange
	for _, name := range scheduleFields() {
		if name != "s_adjustment" && name != "s_adjustmentnote" && (p.has(name) || name == "s_lineitems" && p.sent(name)) {
			change.Terms = func(t *billing.ScheduleTerms) { _ = x.agree(t) } // an amount that cannot be read was refused below
		}
	}
	t := x.schedule.ScheduleTerms()
	if t.Kind == billing.Once && change.Terms != nil && p.has("s_recurringtype") && kinds[p.get("s_recurringtype")] != billing.Once && !p.has("s_interval") {
		return nil, refuse(missing, "s_interval")
	}
	if err := x.agree(&t); err != nil {
		return nil, err
	}
	switch p.get("s_status") {
	case "":
		if change.Terms == nil {
			return nil, refuse(nothingToChange, "")
		}
	case "closed":
		change.Close = true
	default:
		held := p.get("s_status") == "inactive"
		change.Held = &held
	}
	s, err := x.Cashier.ModifySchedule(ctx, x.session, x.ref(), x.scheduleRef(), change)
	if err != nil {
		return nil, x.scheduleFailure(err, t)
	}
	x.Wake()
	return x.scheduled(ctx, s)
}

// deleteSchedule takes a schedule out of everything but what the books need (3.6).
func deleteSchedule(ctx context.Context, x *exchange) (*answer, error) {
	a, err := x.scheduled(ctx, x.schedule)
	if err != nil {
		return nil, err
	}
	return a, x.Cashier.EraseSubscription(ctx, x.session, x.ref(), x.scheduleRef())
}

// createAdjustment changes the next bill of a schedule, once (3.8).
func createAdjustment(ctx context.Context, x *exchange) (*answer, error) {
	r, err := x.adjustment()
	if err != nil {
		return nil, err
	}
	_, err = x.Cashier.AddAdjustment(ctx, x.session, x.ref(), x.scheduleRef(), *r)
	if err != nil {
		return nil, x.adjustmentFailure(err)
	}
	return x.scheduled(ctx, x.schedule)
}

// adjustmentFailure is the answer to an adjustment that the core refuses: of what
// is over, or one that brings the bill below nought.
func (x *exchange) adjustmentFailure(err error) error {
	switch billing.KindOf(err) {
	case billing.State, billing.Invalid:
		if x.schedule.Ended() || x.schedule.Complete() {
			return refuse(scheduleOver, "s_scheduleid")
		}
		return refuse(belowZero, "s_adjustment")
	}
	return err
}

// statusOf is whether a schedule bills: active, inactive or closed (3.7).
func statusOf(s *billing.Subscription, c *billing.Customer) string {
	switch {
	case s.Ended() || s.Complete():
		return "closed"
	case s.Held(c):
		return "inactive"
	}
	return "active"
}

// mostSchedules bounds how many of a client's schedules are listed.
const mostSchedules = 1000

// fetchSchedule tells all schedules of a client, or the one that is asked for, as
// one query string (3.10).
func fetchSchedule(ctx context.Context, x *exchange) (*answer, error) {
	var list []*billing.Subscription
	err := x.session.Books.View(ctx, func(v *store.View) (err error) {
		list, err = v.Subscriptions(ctx, x.customer.ID, store.SubscriptionFilter{Page: store.Page{Limit: mostSchedules}})
		return err
	})
	if err != nil {
		return nil, err
	}
	var q query
	n := 0
	for _, s := range list {
		if x.schedule != nil && s.ID != x.schedule.ID || erased(s) {
			continue
		}
		id, err := x.scheduleID(ctx, s)
		if err != nil {
			return nil, err
		}
		n++
		x.tell(&q, strconv.Itoa(n), id, s)
	}
	return success(q.String()), nil
}

func (x *exchange) tell(q *query, n, id string, s *billing.Subscription) {
	t := s.ScheduleTerms()
	end := "0000-00-00"
	if d := s.EndDate(); !d.IsZero() {
		end = d.String()
	}
	q.always("scheduleid"+n, id)
	q.always("interval"+n, intervalOf(t))
	q.always("recurringtype"+n, kindOf(t))
	q.always("amount"+n, billing.Minor(t.Amount, s.Amount.Currency()).Decimal())
	q.always("taxrate"+n, fmt.Sprintf("%d.%03d", t.TaxRate/1000, t.TaxRate%1000))
	q.always("startdate"+n, s.StartDate().String())
	q.always("enddate"+n, end)
	q.always("title"+n, t.Title)
	q.add("lineitems"+n, strings.Join(t.Texts, "|"))
	q.always("status"+n, statusOf(s, x.customer))
	if t.Count > 0 {
		q.always("numofintervals"+n, strconv.Itoa(t.Count))
	}
}
