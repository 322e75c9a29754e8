package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// enrol makes a customer with one or two payment methods and perhaps a
// subscription.
func (w *world) enrol(a Act, shop *shop, r *rand.Rand) verb {
	return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
		one := &billing.Customer{Code: fmt.Sprintf("c%d", len(shop.customers)), FirstName: "John", LastName: "Smith", Active: true}
		if err := c.Enroll(ctx, s, "2001", one); err != nil {
			return err
		}
		who := &person{ref: cashier.Ref{ID: int64(one.ID)}}
		shop.customers = append(shop.customers, who)
		for range 1 + r.IntN(2) {
			if err := w.method(ctx, who, r, c, s); err != nil {
				return err
			}
		}
		if r.IntN(4) > 0 {
			return w.subscribe(ctx, a, shop, who, r, c, s)
		}
		return nil
	}
}

func (w *world) method(ctx context.Context, who *person, r *rand.Rand, c *cashier.Cashier, s *cashier.Session) error {
	m, err := c.AddPaymentMethod(ctx, s, who.ref, number(r, false))
	if err == nil {
		who.methods = append(who.methods, cashier.Ref{ID: int64(m.ID)})
	}
	return err
}

func (w *world) subscribe(ctx context.Context, a Act, shop *shop, who *person, r *rand.Rand, c *cashier.Cashier, s *cashier.Session) error {
	method, ok := pick(who.methods, a.B)
	if !ok {
		return nil
	}
	plan, _ := pick(shop.plans, a.B/10)
	q := cashier.SubscribeRequest{Plan: plan, PaymentMethod: method, Term: billing.Perpetual}
	if r.IntN(3) == 0 {
		q.Term, q.Length = billing.Fixed, 1+r.IntN(5)
	}
	if r.IntN(3) > 0 {
		q.Amount = &a.N
	}
	if r.IntN(4) > 0 {
		q.FirstDate = s.Today().AddDays(r.IntN(40) - 8)
		if r.IntN(4) == 0 { // a month's end
			q.FirstDate.Day = billing.DaysIn(q.FirstDate.Year, q.FirstDate.Month)
		}
		if r.IntN(4) == 0 {
			q.FirstInvoicing = q.FirstDate.AddDays(-1 - r.IntN(6))
		}
	}
	if r.IntN(8) == 0 {
		q.Billed = 1 + r.IntN(3)
	}
	sub, err := c.Subscribe(ctx, s, who.ref, q)
	if err == nil {
		who.subs = append(who.subs, cashier.Ref{ID: int64(sub.ID)})
		shop.billed[sub.ID] = q.Billed
	}
	return err
}

// termsVerb is what clients change of customers, methods and subscriptions.
func (w *world) termsVerb(a Act, shop *shop, who *person, r *rand.Rand) verb {
	switch a.Kind {
	case actMethod:
		return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
			return w.method(ctx, who, r, c, s)
		}
	case actSubscribe:
		return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
			return w.subscribe(ctx, a, shop, who, r, c, s)
		}
	case actExpiry, actMethodOff:
		return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
			method, ok := pick(who.methods, a.B)
			if !ok {
				return nil
			}
			_, err := c.ModifyPaymentMethod(ctx, s, who.ref, method, func(m *billing.PaymentMethod) error {
				if a.Kind == actMethodOff {
					m.Active = !m.Active
				} else if m.Instrument.IsCard() {
					m.Expiry = fmt.Sprintf("%02d%02d", 1+r.IntN(12), 30+r.IntN(60))
				}
				return nil
			})
			return err
		}
	case actOff:
		return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
			_, err := c.ModifyCustomer(ctx, s, who.ref, func(x *billing.Customer) { x.Active = !x.Active })
			return err
		}
	case actSwitch, actFreeze, actPause, actResume, actCancel:
		return func(ctx context.Context, c *cashier.Cashier, s *cashier.Session) error {
			sub, ok := pick(who.subs, a.B)
			if !ok {
				return nil
			}
			return w.course(ctx, a, who, sub, r, c, s)
		}
	default:
		return nil
	}
}

// course changes the course of one subscription.
func (w *world) course(ctx context.Context, a Act, who *person, sub cashier.Ref, r *rand.Rand, c *cashier.Cashier, s *cashier.Session) error {
	var on billing.Date // zero is at once
	if r.IntN(2) == 0 {
		on = s.Today().AddDays(r.IntN(60) - 3)
	}
	var err error
	switch a.Kind {
	case actSwitch:
		if method, ok := pick(who.methods, a.A/7); ok {
			_, err = c.ModifySubscription(ctx, s, who.ref, sub, nil, &method)
		}
	case actFreeze:
		var now *billing.Subscription
		err = s.Books.View(ctx, func(v *store.View) error {
			now, err = v.Subscription(ctx, billing.SubscriptionID(sub.ID))
			return err
		})
		if err == nil {
			on = now.BillingDate(now.Period + r.IntN(3))
			_, err = c.Freeze(ctx, s, who.ref, sub, cashier.FreezeRequest{From: on, Length: 1 + r.IntN(3)})
		}
	case actPause:
		_, err = c.Pause(ctx, s, who.ref, sub, on, "")
	case actResume:
		_, err = c.Resume(ctx, s, who.ref, sub)
	case actCancel:
		_, err = c.Cancel(ctx, s, who.ref, sub, on, "")
	default:
	}
	return err
}
