package setup

import (
	"context"
	"slices"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// plan looks at one plan.
func (w *work) plan(ctx context.Context, p *plan) error {
	o, err := w.ownerFor(ctx, p.Where, "account", p.Account)
	if err != nil || o == nil || !w.free(store.PlanNoun, p.Where, []string{p.Account}, p.Code) {
		return err
	}
	name := codes(w.file.Code, p.Account, p.Code)
	have, err := w.planByCode(ctx, o, p.Code)
	if err != nil {
		return err
	}
	if have == nil {
		w.newPlan(o, p, name)
		return nil
	}
	if have.AccountID != o.ID {
		w.wrong(p.Where, "code", "is the code of a plan of another account, and codes are unique within the merchant")
		return nil
	}
	changed := p.apply(have)
	w.plans[codes(p.Account, p.Code)] = have
	w.modify(p.Where, Change{Noun: "plan", Name: name, Fields: changed}, func(ctx context.Context) error {
		_, err := w.Cashier.ModifyPlan(ctx, w.session(), cashier.Ref{ID: int64(have.ID)}, func(now *billing.Plan) { p.apply(now) })
		return err
	})
	return nil
}

func (w *work) newPlan(o *owner, p *plan, name string) {
	required(&w.problems, p.Where, "cycle", string(p.Cycle))
	if p.Amount == nil {
		w.wrong(p.Where, "amount", "is required: minor units of %s for each billing, such as 1999", w.want.Currency)
	}
	made := &billing.Plan{AccountID: o.ID, Code: p.Code, Name: p.Code, Amount: w.want.Money(0), Tax: w.want.Money(0), Active: true}
	p.apply(made)
	w.plans[codes(p.Account, p.Code)] = made
	w.create(p.Where, "plan", name, func(ctx context.Context) error {
		return w.Cashier.CreatePlan(ctx, w.session(), p.Account, made)
	})
}

// apply brings a plan to what the file says and lists what changes.
func (p *plan) apply(to *billing.Plan) (changed fields) {
	set(&changed, "name", &to.Name, given(p.Name))
	set(&changed, "cycle", &to.Cycle, given(p.Cycle))
	setMoney(&changed, "amount", &to.Amount, p.Amount)
	setMoney(&changed, "tax", &to.Tax, p.Tax)
	set(&changed, "active", &to.Active, p.Active)
	return append(changed, p.applyOffer(&to.Offer)...)
}

// applyOffer brings what a plan offers beside its price to what the file says.
func (p *plan) applyOffer(to *billing.Offer) (changed fields) {
	set(&changed, "description", &to.Description, p.Description)
	set(&changed, "success_url", &to.SuccessURL, p.SuccessURL)
	set(&changed, "cancel_url", &to.CancelURL, p.CancelURL)
	set(&changed, "setup_fee", &to.Setup, p.Setup)
	if p.TrialLength != nil {
		setInt(&changed, "trial_length", &to.TrialLength, p.TrialLength)
		if to.TrialLength > 0 && to.TrialUnit == "" {
			to.TrialUnit = "days"
		}
	}
	set(&changed, "trial_unit", &to.TrialUnit, p.TrialUnit)
	if p.AddOns == nil {
		return changed
	}
	var offered []billing.AddOn
	for _, a := range p.AddOns {
		offered = append(offered, billing.AddOn{Code: a.Code, Name: a.Name, Unit: *a.Amount})
	}
	if !slices.Equal(to.AddOns, offered) {
		to.AddOns = offered
		changed = append(changed, "add_ons")
	}
	return changed
}

// setMoney is set for an amount, which keeps its currency.
func setMoney(f *fields, name string, have *billing.Money, want *int64) {
	if want != nil {
		set(f, name, have, given(billing.Minor(*want, have.Currency())))
	}
}

// planByCode finds the plan that holds a code where a new plan of an account
// would take it, nil if none does.
func (w *work) planByCode(ctx context.Context, o *owner, code string) (*billing.Plan, error) {
	id, err := w.holder(ctx, store.PlanNoun, &billing.Customer{AccountID: o.ID}, code)
	if err != nil || id == 0 {
		return nil, err
	}
	return w.view.Plan(ctx, billing.PlanID(id))
}

// holder is the id of the object of the books that holds a code, 0 if none
// does. What is still to be made holds nothing.
func (w *work) holder(ctx context.Context, n store.Noun, of *billing.Customer, code string) (int64, error) {
	if w.view == nil {
		return 0, nil
	}
	return w.session().Holder(ctx, w.view, n, of, code)
}
