package setup

import (
	"context"
	"errors"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// subscription looks at one subscription of a customer.
func (w *work) subscription(ctx context.Context, p *payer, s *subscription) error {
	if !w.free(store.SubscriptionNoun, s.Where, []string{p.account, p.Code}, s.Code) {
		return nil
	}
	id, err := w.heldBy(ctx, store.SubscriptionNoun, p, s.Code)
	if err != nil {
		return err
	}
	if id == 0 {
		return w.newSubscription(ctx, p, s)
	}
	have, err := w.view.Subscription(ctx, billing.SubscriptionID(id))
	if err != nil {
		return err
	}
	if have.CustomerID != p.ID {
		w.another(s.Where, "subscription")
		return nil
	}
	return w.oldSubscription(ctx, p, s, have)
}

func (w *work) newSubscription(ctx context.Context, p *payer, s *subscription) error {
	if !required(&w.problems, s.Where, "plan", s.Plan) || !required(&w.problems, s.Where, "payment_method", s.PaymentMethod) {
		return nil
	}
	plan, err := w.planFor(ctx, p, s)
	if err != nil {
		return err
	}
	method, err := w.methodFor(ctx, p, s)
	if err != nil || plan == nil || method == nil {
		return err
	}
	r := s.request()
	draft, err := w.session().Draft(p.Customer, plan, method, r)
	if err != nil {
		return w.refused(s.Where, err)
	}
	if r.Billed > 0 && draft.InvoicingDate(r.Billed-1).After(w.session().Today()) {
		w.wrong(s.Where, "billed", "counts billings that lie in the future: billing %d is on %s", r.Billed, draft.InvoicingDate(r.Billed-1))
	}
	w.create(s.Where, "subscription", codes(p.name, s.Code), func(ctx context.Context) error {
		r := r
		r.Plan, r.PaymentMethod = cashier.Ref{ID: int64(plan.ID)}, cashier.Ref{ID: int64(method.ID)}
		_, err := w.Cashier.Subscribe(ctx, w.session(), p.ref(), r)
		return err
	})
	return nil
}

// request is what the file says, as the verb takes it; plan and payment method
// are added when they have ids.
func (s *subscription) request() cashier.SubscribeRequest {
	r := cashier.SubscribeRequest{Code: s.Code, Term: s.Term, Amount: s.Amount, Tax: s.Tax, FirstDate: s.FirstDate,
		FirstInvoicing: s.FirstInvoicing, Note: *or(s.Note, ""), Billed: int(*or(s.Billed, 0)), Length: int(*or(s.Length, 0))}
	if r.Term == "" {
		r.Term = billing.Perpetual
		if r.Length > 0 {
			r.Term = billing.Fixed
		}
	}
	return r
}

// keyOf names what the verbs' errors are about in the words of the file.
var keyOf = map[string]string{
	"planId": "plan", "paymentOptionId": "payment_method", "length": "length", "billed": "billed", "firstBillingDate": "first_date",
	"firstInvoicingDate": "first_invoicing_date",
}

// refused turns what a verb says is wrong into a problem of the file; any other
// error is returned.
func (w *work) refused(at place, err error) error { return w.refusedBy(at, keyOf, err) }

// refusedBy is refused with the names of another mapping.
func (w *work) refusedBy(at place, keys map[string]string, err error) error {
	var e *billing.Error
	if !errors.As(err, &e) || e.Kind == billing.Internal {
		return err
	}
	message := e.Message
	if e.Field == "next" {
		message += " (the setting allow_past_billing permits it; rebills made elsewhere are counted by rebilled)"
	}
	if e.Field == "firstBillingDate" {
		message += " (the setting allow_past_billing permits it; billings made elsewhere are counted by billed)"
	}
	w.wrong(at, keys[e.Field], "%s", message)
	return nil
}

func (w *work) oldSubscription(ctx context.Context, p *payer, s *subscription, have *billing.Subscription) error {
	if s.Plan != "" {
		plan, err := w.planFor(ctx, p, s)
		if err != nil {
			return err
		}
		if plan != nil && plan.ID != have.PlanID {
			w.wrong(s.Where, "plan", "is another than the subscription's, and cannot be changed; end this one and make another")
		}
	}
	w.unchangeable(s.Where, "term", string(s.Term), string(have.Term))
	w.unchangeable(s.Where, "first_date", s.FirstDate.String(), have.FirstDate.String())
	if !s.FirstInvoicing.IsZero() && s.FirstInvoicing != have.InvoicingDate(0) {
		w.unchangeable(s.Where, "first_invoicing_date", s.FirstInvoicing.String(), have.InvoicingDate(0).String())
	}
	w.unchangeableNumber(s.Where, "length", s.Length, int64(have.Length))
	w.unchangeableNumber(s.Where, "amount", s.Amount, have.Amount.Minor())
	w.unchangeableNumber(s.Where, "tax", s.Tax, have.Tax.Minor())
	var changed fields
	if s.Note != nil && *s.Note != have.Note {
		changed = append(changed, "note")
	}
	var method *billing.PaymentMethod
	if s.PaymentMethod != "" {
		named, err := w.methodFor(ctx, p, s)
		if err != nil {
			return err
		}
		if named != nil && named.ID != have.PaymentMethodID {
			method = named
			changed = append(changed, "payment_method")
		}
	}
	if len(changed) > 0 {
		w.changeable(s, have, method)
	}
	w.modify(s.Where, Change{Noun: "subscription", Name: codes(p.name, s.Code), Fields: changed}, func(ctx context.Context) error {
		var ref *cashier.Ref
		if method != nil {
			ref = &cashier.Ref{ID: int64(method.ID)}
		}
		_, err := w.Cashier.ModifySubscription(ctx, w.session(), p.ref(), cashier.Ref{ID: int64(have.ID)}, s.Note, ref)
		return err
	})
	return nil
}

// changeable notes why the verb would refuse a change.
func (w *work) changeable(s *subscription, have *billing.Subscription, method *billing.PaymentMethod) {
	if err := have.CheckChange(w.session().Today(), w.want.Settings.CloseSalesDays); err != nil {
		w.wrong(s.Where, "", "%v", err)
	}
	if method != nil && !method.Active {
		w.wrong(s.Where, "payment_method", "the payment method is inactive")
	}
}

func (w *work) unchangeableNumber(at place, key string, want *int64, have int64) {
	if want != nil {
		w.unchangeable(at, key, strconv.FormatInt(*want, 10), strconv.FormatInt(have, 10))
	}
}

// planFor finds the plan that a subscription names among those of its
// customer's account, in the file or in the books; nil is a problem that has
// been noted.
func (w *work) planFor(ctx context.Context, p *payer, s *subscription) (*billing.Plan, error) {
	if plan, ok := w.plans[codes(p.account, s.Plan)]; ok {
		return plan, nil
	}
	plan, err := w.planByCode(ctx, &owner{&billing.Account{ID: p.AccountID}}, s.Plan)
	if err == nil && (plan == nil || plan.AccountID != p.AccountID) {
		w.wrong(s.Where, "plan", "names no plan of account %s", p.account)
		plan = nil
	}
	return plan, err
}
