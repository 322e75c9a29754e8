package recurly

import (
	"context"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// plan finds a plan by the first of several codes that is one. One that takes no
// new subscriptions is as if it had been deleted (11).
func (x *exchange) plan(ctx context.Context, codes []string) (*billing.Plan, error) {
	for _, code := range codes {
		var p *billing.Plan
		err := x.session.Books.View(ctx, func(v *store.View) (err error) {
			p, err = x.session.Plan(ctx, v, cashier.Ref{Code: code})
			return err
		})
		if err == nil && p.Active {
			return p, nil
		}
		if err != nil && billing.KindOf(err) != billing.NotFound {
			return nil, err
		}
	}
	return nil, notFound("Plan")
}

// mostPlans bounds a list of plans: it has no pages (2.3).
const mostPlans = 5000

// listPlans is GET /plans.
func listPlans(ctx context.Context, x *exchange) (answer, error) {
	d := newDocument()
	err := x.session.Books.View(ctx, func(v *store.View) error {
		list, err := v.Plans(ctx, store.PlanFilter{Accounts: x.session.Login.Accounts, Page: store.Page{Limit: mostPlans}})
		if err != nil {
			return err
		}
		d.within("plans", asArray, func() {
			for _, p := range list {
				if p.Active {
					d.plan(p)
				}
			}
		})
		return nil
	})
	return answer{doc: d}, err
}

// showPlan is GET /plans/:plan_code.
func showPlan(ctx context.Context, x *exchange) (answer, error) {
	p, err := x.plan(ctx, x.call.plan)
	if err != nil {
		return answer{}, err
	}
	return planAnswer(http.StatusOK, p), nil
}

func planAnswer(status int, p *billing.Plan) answer {
	d := newDocument()
	d.plan(p)
	return answer{status, d}
}

// plan writes the document of 11.
func (d *document) plan(p *billing.Plan) {
	o := p.Offer
	length, unit := p.Cycle.Length()
	d.within("plan", "", func() {
		d.text("plan_code", p.Code)
		d.text("name", p.Name)
		d.text("description", o.Description)
		d.text("success_url", o.SuccessURL)
		d.text("cancel_url", o.CancelURL)
		d.datetime("created_at", p.CreatedAt)
		d.integer("unit_amount_in_cents", p.Amount.Minor())
		d.integer("setup_fee_in_cents", o.Setup)
		d.integer("plan_interval_length", int64(length))
		d.text("plan_interval_unit", unit)
		d.integer("trial_interval_length", int64(o.TrialLength))
		d.text("trial_interval_unit", orElse(o.TrialUnit, "days"))
		if len(o.AddOns) > 0 {
			d.addOnOffers(o.AddOns)
		}
	})
}

// addOnOffers writes the add-ons that a plan offers. The live service kept them in
// its console; to show them is an extension.
func (d *document) addOnOffers(list []billing.AddOn) {
	d.within("add_ons", asArray, func() {
		for _, a := range list {
			d.within("add_on", "", func() {
				d.text("add_on_code", a.Code)
				d.text("name", a.Name)
				d.integer("default_quantity", int64(max(a.Quantity, 1)))
				d.integer("unit_amount_in_cents", a.Unit)
			})
		}
	})
}

// The bounds of an interval (11): ten years.
const (
	maxDays   = 3650
	maxMonths = 120
)

// applyPlan reads what is given of a plan into one, and finds what is wrong.
func applyPlan(x *exchange, p *billing.Plan, wrong *mistakes) {
	e, c := x.body, x.merchant().Currency
	for _, f := range []struct {
		name string
		most int
		to   *string
	}{{"name", 255, &p.Name}, {"description", 10_000, &p.Offer.Description}, {"success_url", 255, &p.Offer.SuccessURL}, {"cancel_url", 255, &p.Offer.CancelURL}} {
		if text, given := e.value(f.name); given {
			if *f.to = text; utf8.RuneCountInString(text) > f.most {
				wrong.add(f.name, tooLong)
			}
		}
	}
	if p.Name == "" {
		wrong.add("name", blank)
	}
	price := p.Amount.Minor()
	for _, f := range []struct {
		names []string
		field string
		to    *int64
	}{{[]string{"unit_amount", "amount"}, "unit_amount_in_cents", &price}, {[]string{"setup_fee"}, "setup_fee_in_cents", &p.Offer.Setup}} {
		for _, name := range f.names {
			n, given, ok := readCents(e, name, c)
			if !ok || n < 0 {
				wrong.add(f.field, noNumber)
			}
			if given || !ok {
				*f.to = n
				break
			}
		}
	}
	p.Amount = billing.Minor(max(price, 0), c)
	length, unit := p.Cycle.Length()
	interval(e, planInterval, &length, &unit, wrong)
	if unit == "months" {
		p.Cycle = billing.Months(length)
	} else {
		p.Cycle = billing.Days(length)
	}
	interval(e, trialInterval, &p.Offer.TrialLength, &p.Offer.TrialUnit, wrong)
	checkCurrency(e, x.merchant(), wrong)
}

// The two intervals of a plan; no trial is one of nought.
const (
	planInterval  = "plan_interval"
	trialInterval = "trial_interval"
)

// interval reads an interval from its two elements. One that is wrong stays as it
// was.
func interval(e *element, name string, length *int, unit *string, wrong *mistakes) {
	n, u := *length, *unit
	if text := e.textOf(name + "_unit"); text != "" {
		u = text
		if u != "days" && u != "months" {
			wrong.add(name+"_unit", invalid)
			return
		}
	}
	if text := e.textOf(name + "_length"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || !digits(text) {
			wrong.add(name+"_length", noNumber)
			return
		}
	}
	if n < 1 && name == planInterval || u != "days" && n > maxMonths || n > maxDays {
		wrong.add(name+"_length", invalid)
		return
	}
	*length, *unit = n, u
}

// createPlan is POST /plans.
func createPlan(ctx context.Context, x *exchange) (answer, error) {
	m := x.merchant()
	p := &billing.Plan{Code: x.body.textOf("plan_code"), Cycle: billing.Monthly, Amount: m.Money(0), Tax: m.Money(0), Active: true}
	p.Offer.TrialUnit = "days"
	var wrong mistakes
	checkCode("plan_code", p.Code, &wrong)
	applyPlan(x, p, &wrong)
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	home, err := x.home(ctx)
	if err == nil {
		err = x.Cashier.CreatePlan(ctx, x.session, home, p)
	}
	if billing.KindOf(err) == billing.Duplicate {
		err = refuse("plan_code", taken)
	}
	if err != nil {
		return answer{}, err
	}
	return planAnswer(http.StatusCreated, p), nil
}

// updatePlan is PUT /plans/:plan_code. Subscriptions that run keep their price.
func updatePlan(ctx context.Context, x *exchange) (answer, error) {
	p, err := x.plan(ctx, x.call.plan)
	if err != nil {
		return answer{}, err
	}
	var wrong mistakes
	if code, given := x.body.value("plan_code"); given && code != "" && code != p.Code {
		wrong.add("plan_code", invalid) // it cannot be changed
	}
	tried := *p
	applyPlan(x, &tried, &wrong)
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	p, err = x.Cashier.ModifyPlan(ctx, x.session, cashier.Ref{ID: int64(p.ID)}, func(p *billing.Plan) { applyPlan(x, p, &mistakes{}) })
	if err != nil {
		return answer{}, err
	}
	return planAnswer(http.StatusOK, p), nil
}

// deletePlan is DELETE /plans/:plan_code, for plans that nobody subscribes to.
func deletePlan(ctx context.Context, x *exchange) (answer, error) {
	p, err := x.plan(ctx, x.call.plan)
	if err == nil {
		_, err = x.Cashier.WithdrawPlan(ctx, x.session, cashier.Ref{ID: int64(p.ID)})
	}
	return answer{}, err
}
