package cashier

import (
	"context"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// SubscribeRequest asks for a subscription.
type SubscribeRequest struct {
	Code           string
	Plan           Ref
	PaymentMethod  Ref
	Term           billing.Term
	Length         int          // invoices of a fixed term
	Amount         *int64       // minor units each billing; nil is the plan's
	Tax            *int64       // minor units each billing; nil is the plan's
	FirstDate      billing.Date // zero is the day after today, or the merchant's billing day
	FirstInvoicing billing.Date // zero is the billing date itself
	Billed         int          // billings that another system has made: a subscription that moves here goes on after them
	Note           string
}

// Subscribe makes a subscription for a customer. It makes no invoice and moves
// no money: the first is the billing run's, on the first billing date. A
// subscription that is made on its own billing date is taken up by the next
// day's run, because the day's run has been (protocols/unipay.md 4.4).
func (c *Cashier) Subscribe(ctx context.Context, s *Session, customer Ref, r SubscribeRequest) (sub *billing.Subscription, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		if !owner.Active {
			return billing.Errorf(billing.State, "the customer is inactive")
		}
		plan, err := s.Plan(ctx, &tx.View, r.Plan)
		if err != nil {
			return err
		}
		method, err := s.PaymentMethod(ctx, &tx.View, owner, r.PaymentMethod)
		if err != nil {
			return err
		}
		sub, err = s.subscription(owner, plan, method, r)
		if err != nil {
			return err
		}
		sub.ID = billing.SubscriptionID(tx.NewID())
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if err := tx.InsertSubscriptions(ctx, sub); err != nil {
			return err
		}
		scope := s.scope(store.SubscriptionNoun, owner.AccountID, owner.ID)
		if err := reserve(ctx, tx, store.SubscriptionNoun, scope, sub.Code, int64(sub.ID)); err != nil {
			return err
		}
		b.event(billing.SubscriptionCreated, owner.ID, int64(sub.ID))
		if r.Billed == 0 { // who moves here has enrolled elsewhere
			b.fee(billing.ServiceFee, s.Merchant.Settings.Fees.Enrollment, owner, sub.ID, "enrolment fee")
		}
		b.balance(owner.ID)
		return b.flush(ctx)
	})
	return sub, err
}

// subscription builds what a request asks for, or says what is wrong with it.
func (s *Session) subscription(owner *billing.Customer, plan *billing.Plan, method *billing.PaymentMethod, r SubscribeRequest) (*billing.Subscription, error) {
	if !plan.Active || plan.AccountID != owner.AccountID {
		return nil, billing.FieldError(billing.State, "planId", "the plan takes no new subscription of this customer")
	}
	if !method.Active {
		return nil, billing.FieldError(billing.State, "paymentOptionId", "the payment method is inactive")
	}
	if r.Term == billing.Fixed && (r.Length < 1 || r.Length > billing.MaxPeriods) {
		return nil, billing.FieldError(billing.Invalid, "length", "must be from 1 to %d", billing.MaxPeriods)
	}
	amount, tax := plan.Amount, plan.Tax
	if r.Amount != nil {
		amount = billing.Minor(*r.Amount, plan.Amount.Currency())
	}
	if r.Tax != nil {
		tax = billing.Minor(*r.Tax, plan.Amount.Currency())
	}
	today, settings := s.Today(), s.Merchant.Settings
	first := r.FirstDate
	if first.IsZero() {
		first = defaultFirstDate(today, settings.BillingDay)
	}
	if r.Billed < 0 || r.Billed > billing.MaxPeriods || r.Term == billing.Fixed && r.Billed >= r.Length {
		return nil, billing.FieldError(billing.Invalid, "billed", "must be below the length of the term")
	}
	if plan.Cycle.Date(first, r.Billed).Before(today) && !settings.AllowPastBilling {
		return nil, billing.FieldError(billing.Invalid, "firstBillingDate", "lies in the past")
	}
	if !r.FirstInvoicing.IsZero() {
		switch {
		case r.FirstInvoicing.After(first):
			return nil, billing.FieldError(billing.Invalid, "firstInvoicingDate", "lies after the first billing date")
		case r.FirstInvoicing.Before(today) && !settings.AllowPastBilling:
			return nil, billing.FieldError(billing.Invalid, "firstInvoicingDate", "lies in the past")
		case plan.Cycle.Date(r.FirstInvoicing, 1).Before(first):
			return nil, billing.FieldError(billing.Invalid, "firstInvoicingDate", "lies a whole cycle before the first billing date")
		}
	}
	sub := &billing.Subscription{
		MerchantID: s.Merchant.ID, AccountID: owner.AccountID, CustomerID: owner.ID, Code: r.Code,
		PlanID: plan.ID, PlanName: plan.Name, PaymentMethodID: method.ID, Term: r.Term, Length: r.Length, Amount: amount, Tax: tax,
		Cycle: plan.Cycle, FirstDate: first, FirstInvoicing: r.FirstInvoicing, Status: billing.Unbilled, Note: r.Note,
		CreatedAt: s.Now, UpdatedAt: s.Now,
	}
	if sub.Term != billing.Fixed {
		sub.Length = 0
	}
	if r.Billed > 0 {
		sub.Period, sub.Issued, sub.Status = r.Billed, r.Billed, billing.Current
		sub.LastDate = sub.BillingDate(r.Billed - 1)
	}
	if r.FirstInvoicing == first {
		sub.FirstInvoicing = billing.Date{}
	}
	sub.Schedule(nil)
	sub.NextAt = s.Merchant.Start(sub.NextDate)
	if !sub.NextAt.After(s.Now) {
		sub.NextAt = s.Merchant.Start(today.AddDays(1))
	}
	return sub, nil
}

// defaultFirstDate is the day after today, or the next day that is the
// merchant's billing day of the month.
func defaultFirstDate(today billing.Date, billingDay int) billing.Date {
	if billingDay == 0 {
		return today.AddDays(1)
	}
	first := billing.Date{Year: today.Year, Month: today.Month, Day: billingDay}
	if !first.After(today) {
		first = first.AddMonths(1)
	}
	return first
}

// changeSubscription runs a change of one subscription and its adjustments, and
// notes when it is next due.
func (c *Cashier) changeSubscription(ctx context.Context, s *Session, customer, r Ref,
	change func(*store.Tx, *book, *billing.Subscription, []billing.Adjustment) ([]billing.Adjustment, error)) (sub *billing.Subscription, err error) {
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		named, err := s.Subscription(ctx, &tx.View, owner, r)
		if err != nil {
			return err
		}
		if sub, err = tx.LockSubscriptionOf(ctx, owner.ID, named.ID); err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		open, err := tx.OpenAdjustments(ctx, []billing.SubscriptionID{sub.ID})
		if err != nil {
			return err
		}
		if sub.NextAt.IsZero() && !sub.NextDate.IsZero() { // it was parked; a change means that somebody sees to it
			b.schedule(sub)
			b.unpark(billing.ParkedSubscription, int64(sub.ID))
		}
		if err := b.catchUp(ctx, sub, open[sub.ID]); err != nil {
			return err
		}
		if err := sub.CheckChange(s.Today(), s.Merchant.Settings.CloseSalesDays); err != nil {
			return err
		}
		ended := sub.Ended()
		adjustments, err := change(tx, b, sub, open[sub.ID])
		if err != nil {
			return err
		}
		if sub.Change != nil && (sub.Ended() || billing.PendingAdjustment(adjustments) == billing.Cancel) {
			sub.Change = nil // there is no billing that it could wait for
			b.reword(sub)
		}
		if err := tx.SaveAdjustments(ctx, sub, adjustments, s.Now); err != nil {
			return err
		}
		sub.UpdatedAt = s.Now
		b.schedule(sub)
		b.balance(owner.ID)
		if !slices.ContainsFunc(b.events, func(e billing.Event) bool { return e.Kind == billing.SubscriptionReactivated }) {
			b.event(billing.SubscriptionChanged, owner.ID, int64(sub.ID)) // a reactivation is told as one
		}
		if sub.Ended() && !ended {
			b.event(billing.SubscriptionEnded, owner.ID, int64(sub.ID))
		}
		return b.flush(ctx)
	})
	return sub, err
}

// catchUp bills what fell due before a change of the subscription and what the
// billing run, being late, has not come to: how late it is changes nothing of
// what is owed.
func (b *book) catchUp(ctx context.Context, sub *billing.Subscription, adjustments []billing.Adjustment) error {
	for !sub.NextAt.IsZero() && !sub.NextAt.After(b.at) {
		if _, err := b.advance(ctx, sub, adjustments); err != nil {
			return err
		}
	}
	return nil
}

// schedule turns the date of a subscription's next event into the instant at
// which the billing run takes it up, and has the subscription written.
func (b *book) schedule(s *billing.Subscription) {
	was := s.NextAt
	s.NextAt = time.Time{}
	if !s.NextDate.IsZero() {
		s.NextAt = b.merchant.Start(s.NextDate)
		if s.NextAt.Before(b.at) {
			s.NextAt = b.at
			if was.After(b.at) { // it was made today and waits for tomorrow's run
				s.NextAt = was
				if tomorrow := b.tomorrow(); was.After(tomorrow) { // its dates lie otherwise now
					s.NextAt = b.at
				}
			}
		}
	}
	if !slices.Contains(b.subs, s) {
		b.subs = append(b.subs, s)
	}
}

// ModifySubscription changes the note and the payment method of a subscription;
// nothing else of it can change (protocols/unipay.md 4.4). With a new payment
// method the open debts are claimed anew. nil leaves a value as it is.
func (c *Cashier) ModifySubscription(ctx context.Context, s *Session, customer, r Ref, note *string, method *Ref) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if note != nil {
			sub.Note = *note
		}
		if method == nil {
			return a, nil
		}
		m, err := s.PaymentMethod(ctx, &tx.View, b.customers[sub.CustomerID], *method)
		if err != nil {
			return nil, err
		}
		if !m.Active {
			return nil, billing.FieldError(billing.State, "paymentOptionId", "the payment method is inactive")
		}
		if m.ID != sub.PaymentMethodID {
			sub.PaymentMethodID = m.ID
			b.renew(sub.CustomerID, func(d *billing.Activity) bool { return d.SubscriptionID == sub.ID })
		}
		return a, nil
	})
}

// Cancel ends a subscription at once, or on a date to come. What is invoiced
// already stays owed.
func (c *Cashier) Cancel(ctx context.Context, s *Session, customer, r Ref, on billing.Date, note string) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, _ *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if on.IsZero() {
			on = s.Today()
		}
		a, err := sub.CancelOn(on, s.Today(), a, note)
		if err == nil && !sub.Ended() {
			err = changing(ctx, &tx.View, sub)
		}
		return a, err
	})
}

// FreezeRequest asks to skip billings.
type FreezeRequest struct {
	From   billing.Date // a billing date to come
	Length int          // how many billings
	Note   string
}

// Freeze skips a number of billings from a billing date to come.
func (c *Cashier) Freeze(ctx context.Context, s *Session, customer, r Ref, f FreezeRequest) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changing(ctx, &tx.View, sub); err != nil {
			return nil, err
		}
		a, err := sub.FreezeFrom(f.From, s.Today(), f.Length, a, f.Note)
		if err == nil {
			b.fee(billing.ServiceFee, s.Merchant.Settings.Fees.Freeze, b.customers[sub.CustomerID], sub.ID, "freeze fee")
		}
		return a, err
	})
}

// Pause skips billings from a date on until Resume.
func (c *Cashier) Pause(ctx context.Context, s *Session, customer, r Ref, on billing.Date, note string) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, _ *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changing(ctx, &tx.View, sub); err != nil {
			return nil, err
		}
		if on.IsZero() {
			on = s.Today()
		}
		return sub.PauseFrom(on, s.Today(), a, note)
	})
}

// Resume ends a pause.
func (c *Cashier) Resume(ctx context.Context, s *Session, customer, r Ref) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(_ *store.Tx, _ *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		return a, sub.Resume(s.Today(), a)
	})
}

// CancelAtEnd ends a subscription with what is paid for: nothing more is billed.
func (c *Cashier) CancelAtEnd(ctx context.Context, s *Session, customer, r Ref, note string) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, _ *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changing(ctx, &tx.View, sub); err != nil {
			return nil, err
		}
		return sub.CancelAtEnd(s.Today(), a, note)
	})
}

// Extend gives a subscription days for nothing, see billing.Subscription.Extend.
func (c *Cashier) Extend(ctx context.Context, s *Session, customer, r Ref, days int) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changing(ctx, &tx.View, sub); err != nil {
			return nil, err
		}
		if err := sub.Extend(days, a); err != nil {
			return nil, err
		}
		b.event(billing.SubscriptionRescheduled, sub.CustomerID, int64(sub.ID))
		return a, tx.UpdateTerms(ctx, sub)
	})
}

// Reprice sets what each billing costs from the next on; price gives the new
// amount for the one that is, or says why there is none.
func (c *Cashier) Reprice(ctx context.Context, s *Session, customer, r Ref, price func(*billing.Subscription) (billing.Money, error)) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, _ *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changing(ctx, &tx.View, sub); err != nil {
			return nil, err
		}
		amount, err := price(sub)
		if err != nil {
			return nil, err
		}
		if err := sub.Reprice(amount); err != nil {
			return nil, err
		}
		return a, tx.UpdateTerms(ctx, sub)
	})
}
