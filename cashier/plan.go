package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// CreatePlan makes a plan of an account.
func (c *Cashier) CreatePlan(ctx context.Context, s *Session, account string, p *billing.Plan) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		a, err := s.Account(ctx, &tx.View, account)
		if err != nil {
			return err
		}
		if err := p.Offer.Check(); err != nil {
			return err
		}
		p.MerchantID, p.AccountID = s.Merchant.ID, a.ID
		p.ID = billing.PlanID(tx.NewID())
		p.CreatedAt, p.UpdatedAt = s.Now, s.Now
		if err := tx.InsertPlan(ctx, p); err != nil {
			return err
		}
		scope := s.scope(store.PlanNoun, a.ID, 0)
		if err := reserve(ctx, tx, store.PlanNoun, scope, p.Code, int64(p.ID)); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.PlanCreated, 0, int64(p.ID))})
	})
}

// ModifyPlan applies a change to a plan. Subscriptions that exist keep their
// own price and rhythm.
func (c *Cashier) ModifyPlan(ctx context.Context, s *Session, r Ref, change func(*billing.Plan)) (p *billing.Plan, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		p, err = s.Plan(ctx, &tx.View, r)
		if err != nil {
			return err
		}
		change(p)
		if err := p.Offer.Check(); err != nil {
			return err
		}
		p.UpdatedAt = s.Now
		if err := tx.UpdatePlan(ctx, p); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.PlanChanged, 0, int64(p.ID))})
	})
	return p, err
}

// WithdrawPlan takes a plan off the market. It is refused while subscriptions to it
// live (State), and its code is free again for another plan.
func (c *Cashier) WithdrawPlan(ctx context.Context, s *Session, r Ref) (p *billing.Plan, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		if p, err = s.Plan(ctx, &tx.View, r); err != nil {
			return err
		}
		used, err := tx.PlanInUse(ctx, p.ID)
		if err != nil {
			return err
		}
		if used {
			return billing.Errorf(billing.State, "subscriptions to the plan live")
		}
		p.Active, p.UpdatedAt = false, s.Now
		if err := tx.UpdatePlan(ctx, p); err != nil {
			return err
		}
		if err := tx.ReleaseCodes(ctx, store.PlanNoun, int64(p.ID)); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.PlanChanged, 0, int64(p.ID))})
	})
	return p, err
}
