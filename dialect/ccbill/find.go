package ccbill

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// original is what a subscriptionId stands for.
type original struct {
	number  string // as it is kept
	sub     *billing.Subscription
	method  *billing.PaymentMethod // with which it is paid
	refused bool                   // it is the number of a declined transaction
}

// account is the subaccount in whose scope the original lies.
func (o *original) account() billing.AccountID {
	if o.sub != nil {
		return o.sub.AccountID
	}
	return o.method.AccountID
}

// find finds what the subscriptionId of a request stands for, within the
// caller's scope (2.5): a sale, a card that is kept without one, or what was
// declined.
func (x *exchange) find(ctx context.Context) (*original, error) {
	text := x.params.get("subscriptionId")
	if text == "" {
		return nil, badArguments
	}
	number, ok := Canonical(text)
	if !ok {
		return nil, badSubscription
	}
	o := &original{number: number}
	err := x.caller.Books.View(ctx, func(v *store.View) error {
		found, err := v.Numbered(ctx, number)
		if err != nil {
			return err
		}
		method := billing.PaymentMethodID(found[store.PaymentMethodNumber])
		if id := found[store.SubscriptionNumber]; id != 0 {
			o.sub, err = v.Subscription(ctx, billing.SubscriptionID(id))
			switch {
			case billing.KindOf(err) == billing.NotFound:
				o.sub = nil // it was to be sold, and was declined
			case err != nil:
				return err
			default:
				method = o.sub.PaymentMethodID
			}
		}
		if id := found[store.AttemptNumber]; id != 0 && method == 0 {
			attempt, err := v.Attempt(ctx, billing.AttemptID(id))
			if err != nil {
				return err
			}
			method, o.refused = attempt.PaymentMethodID, true
		}
		if method == 0 {
			return noSubscription
		}
		o.method, err = v.PaymentMethod(ctx, method)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !x.caller.sees(o.account()) {
		return nil, notYours
	}
	return o, nil
}

// sale finds the subscription that a management action is about.
func (x *exchange) sale(ctx context.Context) (*original, error) {
	o, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	if o.refused {
		return nil, noSubscription
	}
	if o.sub == nil {
		return nil, badSubscription // a card that was kept has nothing to be managed
	}
	return o, nil
}

// refs name the customer and the subscription to a verb.
func (o *original) refs() (customer, subscription cashier.Ref) {
	return cashier.Ref{ID: int64(o.sub.CustomerID)}, cashier.Ref{ID: int64(o.sub.ID)}
}
