package simulate

import (
	"context"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// enrol makes a customer with one or two payment methods and perhaps a
// subscription.
func (w *world) enrol(x wish) verb {
	return func(ctx context.Context, p *process, s *cashier.Session) error {
		one := &billing.Customer{Code: fmt.Sprintf("c%d", len(x.shop.customers)), FirstName: "John", LastName: "Smith", Active: true}
		if err := p.cashier.Enroll(ctx, s, "2001", one); err != nil {
			return err
		}
		x.who = &person{ref: cashier.Ref{ID: int64(one.ID)}}
		x.shop.customers = append(x.shop.customers, x.who)
		for range 1 + x.r.IntN(2) {
			if err := w.method(ctx, x, p, s); err != nil {
				return err
			}
		}
		if x.r.IntN(4) > 0 {
			return w.subscribe(ctx, x, p, s)
		}
		return nil
	}
}

func (w *world) method(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	m, err := p.cashier.AddPaymentMethod(ctx, s, x.who.ref, number(x.r, false))
	if err == nil {
		x.who.methods = append(x.who.methods, cashier.Ref{ID: int64(m.ID)})
	}
	return err
}

func (w *world) subscribe(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	method, ok := pick(x.who.methods, x.B)
	if !ok {
		return nil
	}
	plan, _ := pick(x.shop.plans, x.B/10)
	q := cashier.SubscribeRequest{Plan: plan, PaymentMethod: method, Term: billing.Perpetual}
	if x.r.IntN(3) == 0 {
		q.Term, q.Length = billing.Fixed, 1+x.r.IntN(5)
	}
	if x.r.IntN(3) > 0 {
		q.Amount = &x.N
	}
	if x.r.IntN(4) > 0 {
		q.FirstDate = s.Today().AddDays(x.r.IntN(40) - 8)
		if x.r.IntN(4) == 0 { // a month's end
			q.FirstDate.Day = billing.DaysIn(q.FirstDate.Year, q.FirstDate.Month)
		}
		if x.r.IntN(4) == 0 {
			q.FirstInvoicing = q.FirstDate.AddDays(-1 - x.r.IntN(6))
		}
	}
	if x.r.IntN(8) == 0 {
		q.Billed = 1 + x.r.IntN(3)
	}
	sub, err := p.cashier.Subscribe(ctx, s, x.who.ref, q)
	if err == nil {
		x.who.subs = append(x.who.subs, cashier.Ref{ID: int64(sub.ID)})
		x.shop.billed[sub.ID] = q.Billed
	}
	return err
}

// termsVerb is what clients change of customers, methods and subscriptions.
func (w *world) termsVerb(x wish) verb {
	switch x.Kind {
	case actMethod:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			return w.method(ctx, x, p, s)
		}
	case actSubscribe:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			return w.subscribe(ctx, x, p, s)
		}
	case actExpiry, actMethodOff:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			method, ok := pick(x.who.methods, x.B)
			if !ok {
				return nil
			}
			_, err := p.cashier.ModifyPaymentMethod(ctx, s, x.who.ref, method, func(m *billing.PaymentMethod) error {
				if x.Kind == actMethodOff {
					m.Active = !m.Active
				} else if m.Instrument.IsCard() {
					m.Expiry = fmt.Sprintf("%02d%02d", 1+x.r.IntN(12), 30+x.r.IntN(60))
				}
				return nil
			})
			return err
		}
	case actOff:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			_, err := p.cashier.ModifyCustomer(ctx, s, x.who.ref, func(y *billing.Customer) { y.Active = !y.Active })
			return err
		}
	case actSwitch, actFreeze, actPause, actResume, actCancel:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			sub, ok := pick(x.who.subs, x.B)
			if !ok {
				return nil
			}
			return w.course(ctx, x, sub, p, s)
		}
	default:
		return nil
	}
}

// course changes the course of one subscription.
func (w *world) course(ctx context.Context, x wish, sub cashier.Ref, p *process, s *cashier.Session) error {
	var on billing.Date // zero is at once
	if x.r.IntN(2) == 0 {
		on = s.Today().AddDays(x.r.IntN(60) - 3)
	}
	var err error
	if done, err := (caller{w, p, x.shop}).course(ctx, x, sub, on); done {
		return err
	}
	switch x.Kind {
	case actSwitch:
		if method, ok := pick(x.who.methods, x.A/7); ok {
			_, err = p.cashier.ModifySubscription(ctx, s, x.who.ref, sub, nil, &method)
		}
	case actFreeze:
		var now *billing.Subscription
		err = s.Books.View(ctx, func(v *store.View) error {
			now, err = v.Subscription(ctx, billing.SubscriptionID(sub.ID))
			return err
		})
		if err == nil {
			on = now.BillingDate(now.Period + x.r.IntN(3))
			_, err = p.cashier.Freeze(ctx, s, x.who.ref, sub, cashier.FreezeRequest{From: on, Length: 1 + x.r.IntN(3)})
		}
	case actPause:
		_, err = p.cashier.Pause(ctx, s, x.who.ref, sub, on, "")
	case actResume:
		_, err = p.cashier.Resume(ctx, s, x.who.ref, sub)
	case actCancel:
		_, err = p.cashier.Cancel(ctx, s, x.who.ref, sub, on, "")
	default:
	}
	return err
}
