package unipay

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

func createSubscription(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadSubscription(x.fields, Create)
	if err != nil {
		return Answer{}, err
	}
	if err := x.checkAccount(ctx, f.AccountID); err != nil {
		return Answer{}, err
	}
	term, _ := terms.core(f.Type.Value)
	sub, err := x.Cashier.Subscribe(ctx, x.session, cashier.Ref(x.call.Customer), cashier.SubscribeRequest{
		Code: f.Code.Value, Plan: cashier.Ref(f.PlanID.Value), PaymentMethod: cashier.Ref(f.PaymentOptionID.Value),
		Term: term, Length: int(f.Length.Value), Amount: given(f.Amount), Tax: given(f.TaxAmount),
		FirstDate: day(f.FirstBillingDate.Value), FirstInvoicing: day(f.FirstInvoicingDate.Value), Note: f.Note.Value,
	})
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

// checkAccount compares a merchant account that a request names with that of
// the customer in the URL: nothing can be put into another account than its
// customer's.
func (x *exchange) checkAccount(ctx context.Context, named Opt[int64]) error {
	if !named.Given {
		return nil
	}
	return x.session.Books.View(ctx, func(v *store.View) error {
		owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		a, err := x.session.Account(ctx, v, accountCode(named.Value))
		if err == nil && a.ID != owner.AccountID {
			err = Fail(BadValue, "accountId", "accountId: is not the account of this customer")
		}
		return err
	})
}

// tellSubscription answers with a subscription that has just been written.
func (x *exchange) tellSubscription(ctx context.Context, sub *billing.Subscription) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		list, err := x.subscriptions(ctx, v, []*billing.Subscription{sub})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

// subscriptions writes subscriptions with what is known of their adjustments.
func (x *exchange) subscriptions(ctx context.Context, v *store.View, list []*billing.Subscription) ([]Subscription, error) {
	s, err := newScribe(ctx, v, x.session.Merchant)
	if err != nil {
		return nil, err
	}
	var adjusted []billing.SubscriptionID
	for _, sub := range list {
		if sub.Adjusted {
			adjusted = append(adjusted, sub.ID)
		}
	}
	open, err := v.OpenAdjustments(ctx, adjusted)
	if err != nil {
		return nil, err
	}
	written := make([]Subscription, len(list))
	for i, sub := range list {
		written[i] = s.subscription(sub, open[sub.ID])
	}
	return written, nil
}

func loadSubscription(ctx context.Context, x *exchange) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		sub, err := x.subscription(ctx, v)
		if err != nil {
			return err
		}
		list, err := x.subscriptions(ctx, v, []*billing.Subscription{sub})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

// subscription finds the subscription that the URL names.
func (x *exchange) subscription(ctx context.Context, v *store.View) (*billing.Subscription, error) {
	owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
	if err != nil {
		return nil, err
	}
	return x.session.Subscription(ctx, v, owner, cashier.Ref(x.call.Subscription))
}

// modifySubscription changes the two fields that can change (4.4).
func modifySubscription(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadSubscription(x.fields, Modify)
	if err != nil {
		return Answer{}, err
	}
	var method *cashier.Ref
	if f.PaymentOptionID.Given {
		r := cashier.Ref(f.PaymentOptionID.Value)
		method = &r
	}
	customer, subscription := cashier.Ref(x.call.Customer), cashier.Ref(x.call.Subscription)
	sub, err := x.Cashier.ModifySubscription(ctx, x.session, customer, subscription, given(f.Note), method)
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

func cancelSubscription(ctx context.Context, x *exchange) (Answer, error) {
	p, err := ReadCancel(x.fields)
	if err != nil {
		return Answer{}, err
	}
	customer, subscription := cashier.Ref(x.call.Customer), cashier.Ref(x.call.Subscription)
	sub, err := x.Cashier.Cancel(ctx, x.session, customer, subscription, day(p.EffectiveDate.Value), p.Note.Value)
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

func freezeSubscription(ctx context.Context, x *exchange) (Answer, error) {
	p, err := ReadFreeze(x.fields)
	if err != nil {
		return Answer{}, err
	}
	customer, subscription := cashier.Ref(x.call.Customer), cashier.Ref(x.call.Subscription)
	sub, err := x.Cashier.Freeze(ctx, x.session, customer, subscription, cashier.FreezeRequest{
		From: day(p.EffectiveDate), Length: int(p.Length), Note: p.Note.Value})
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

func pauseSubscription(ctx context.Context, x *exchange) (Answer, error) {
	p, err := ReadPause(x.fields, Pause)
	if err != nil {
		return Answer{}, err
	}
	customer, subscription := cashier.Ref(x.call.Customer), cashier.Ref(x.call.Subscription)
	sub, err := x.Cashier.Pause(ctx, x.session, customer, subscription, day(p.EffectiveDate.Value), p.Note.Value)
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

// resumeSubscription ends a pause. A note is checked and not kept: there is no
// adjustment of its own that it could stand on.
func resumeSubscription(ctx context.Context, x *exchange) (Answer, error) {
	if _, err := ReadPause(x.fields, Resume); err != nil {
		return Answer{}, err
	}
	sub, err := x.Cashier.Resume(ctx, x.session, cashier.Ref(x.call.Customer), cashier.Ref(x.call.Subscription))
	if err != nil {
		return Answer{}, err
	}
	return x.tellSubscription(ctx, sub)
}

func findSubscriptions(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadSubscriptionFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	var found []Subscription
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		filter, equal, err := x.subscriptionFilter(ctx, v, owner, f)
		if err != nil {
			return err
		}
		found, err = search[*billing.Subscription, Subscription]{
			page: f.Page, equal: equal,
			list: func(p store.Page) ([]*billing.Subscription, error) {
				filter.Page = p
				return v.Subscriptions(ctx, owner.ID, filter)
			},
			id: func(sub *billing.Subscription) int64 { return int64(sub.ID) },
			named: func(r cashier.Ref) (int64, error) {
				sub, err := x.session.Subscription(ctx, v, owner, r)
				if err != nil {
					return 0, err
				}
				return int64(sub.ID), nil
			},
			write: func(list []*billing.Subscription) ([]Subscription, error) { return x.subscriptions(ctx, v, list) },
		}.run(ctx)
		return err
	})
	return Many(found), err
}

// subscriptionFilter is what the store is to look for, and what is to be tried
// on the answers: nextBillingDate sees past freezes, which no column does.
func (x *exchange) subscriptionFilter(ctx context.Context, v *store.View, owner *billing.Customer, f SubscriptionFilter) (store.SubscriptionFilter, Equal, error) {
	var filter store.SubscriptionFilter
	filter.CreatedFrom, filter.CreatedTo = days(x.session.Merchant, f.CreateDate, f.CreateDate)
	filter.Status, _ = statuses.core(f.Status.Value)
	equal := f.Equal
	if f.NextBillingDate.Given {
		equal = append(equal, equalTo{name: "nextBillingDate", value: f.NextBillingDate.Value})
	}
	if f.PlanID.Given {
		p, err := x.session.Plan(ctx, v, cashier.Ref(f.PlanID.Value))
		if err != nil {
			return filter, nil, err
		}
		filter.Plan = p.ID
	}
	if f.PaymentOptionID.Given {
		m, err := x.session.PaymentMethod(ctx, v, owner, cashier.Ref(f.PaymentOptionID.Value))
		if err != nil {
			return filter, nil, err
		}
		equal = append(equal, sameID("paymentOptionId", int64(m.ID)))
	}
	return filter, equal, nil
}

func findAdjustments(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadAdjustmentFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	var s scribe // adjustments have dates only, and no account
	var found []Adjustment
	err = x.session.Books.View(ctx, func(v *store.View) error {
		sub, err := x.subscription(ctx, v)
		if err != nil {
			return err
		}
		found, err = search[billing.Adjustment, Adjustment]{
			page: f.Page, equal: f.Equal,
			list: func(p store.Page) ([]billing.Adjustment, error) { return v.Adjustments(ctx, sub.ID, p) },
			id:   func(a billing.Adjustment) int64 { return int64(a.ID) },
			write: func(list []billing.Adjustment) ([]Adjustment, error) {
				written := make([]Adjustment, len(list))
				for i, a := range list {
					written[i] = s.adjustment(a)
				}
				return written, nil
			},
		}.run(ctx)
		return err
	})
	return Many(found), err
}
