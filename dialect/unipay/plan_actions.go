package unipay

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

func createPlan(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPlan(x.fields, Create)
	if err != nil {
		return Answer{}, err
	}
	p := &billing.Plan{Code: f.Code.Value, Cycle: billing.Monthly, Active: true}
	x.apply(f, p)
	if err := x.Cashier.CreatePlan(ctx, x.session, accountCode(f.AccountID.Value), p); err != nil {
		return Answer{}, err
	}
	return x.tellPlan(ctx, p)
}

// apply changes a plan in the fields that are given. Amounts are cents, or
// whatever the minor unit of the merchant's currency is: this wire names none.
func (x *exchange) apply(f PlanFields, p *billing.Plan) {
	set(&p.Name, f.Name)
	set(&p.Active, f.IsActive)
	if f.BillingCycleType.Given {
		p.Cycle, _ = cycles.core(f.BillingCycleType.Value)
	}
	p.Amount = x.session.Merchant.Money(f.Amount.Or(p.Amount.Minor()))
	p.Tax = x.session.Merchant.Money(f.TaxAmount.Or(p.Tax.Minor()))
}

func loadPlan(ctx context.Context, x *exchange) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		p, err := x.session.Plan(ctx, v, cashier.Ref(x.call.Plan))
		if err != nil {
			return err
		}
		s, err := newScribe(ctx, v, x.session.Merchant)
		answer = One(s.plan(p))
		return err
	})
	return answer, err
}

func modifyPlan(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPlan(x.fields, Modify)
	if err != nil {
		return Answer{}, err
	}
	p, err := x.Cashier.ModifyPlan(ctx, x.session, cashier.Ref(x.call.Plan), func(p *billing.Plan) { x.apply(f, p) })
	if err != nil {
		return Answer{}, err
	}
	return x.tellPlan(ctx, p)
}

// tellPlan answers with a plan that has just been written.
func (x *exchange) tellPlan(ctx context.Context, p *billing.Plan) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		s, err := newScribe(ctx, v, x.session.Merchant)
		answer = One(s.plan(p))
		return err
	})
	return answer, err
}

func findPlans(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPlanFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	var found []Plan
	err = x.session.Books.View(ctx, func(v *store.View) error {
		filter, err := x.planFilter(ctx, v, f)
		if err != nil {
			return err
		}
		s, err := newScribe(ctx, v, x.session.Merchant)
		if err != nil {
			return err
		}
		found, err = search[*billing.Plan, Plan]{
			page: f.Page, equal: f.Equal,
			list: func(p store.Page) ([]*billing.Plan, error) {
				filter.Page = p
				return v.Plans(ctx, filter)
			},
			id: func(p *billing.Plan) int64 { return int64(p.ID) },
			named: func(r cashier.Ref) (int64, error) {
				p, err := x.session.Plan(ctx, v, r)
				if err != nil {
					return 0, err
				}
				return int64(p.ID), nil
			},
			write: func(list []*billing.Plan) ([]Plan, error) {
				written := make([]Plan, len(list))
				for i, p := range list {
					written[i] = s.plan(p)
				}
				return written, nil
			},
		}.run(ctx)
		return err
	})
	return Many(found), err
}

// planFilter is what the store is to look for.
func (x *exchange) planFilter(ctx context.Context, v *store.View, f PlanFilter) (store.PlanFilter, error) {
	filter := store.PlanFilter{Name: f.Name.Value, Amount: given(f.Amount), AmountFrom: given(f.AmountFrom), AmountTo: given(f.AmountTo)}
	if f.BillingCycleType.Given {
		filter.Cycle, _ = cycles.core(f.BillingCycleType.Value)
	}
	from, to := days(x.session.Merchant, f.CreateDateFrom, f.CreateDateTo)
	on, before := days(x.session.Merchant, f.CreateDate, f.CreateDate)
	filter.CreatedFrom, filter.CreatedTo = later(from, on), earlier(to, before)
	var err error
	filter.Accounts, err = x.reached(ctx, v, f.AccountID)
	return filter, err
}

// given is the value of a field, nil if it is not given.
func given[T any](o Opt[T]) *T {
	if !o.Given {
		return nil
	}
	return &o.Value
}

// later is the later of two lower bounds; a zero one bounds nothing.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier is the earlier of two upper bounds; a zero one bounds nothing.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
