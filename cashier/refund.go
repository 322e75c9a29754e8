package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// RefundRequest asks to take back what a sale was paid with.
type RefundRequest struct {
	Amount int64               // minor units, 0 for all of it
	By     billing.AttemptKind // AskVoid, AskRefund, or "" for a void where that can still be
	Ends   bool                // the subscription that it paid for ends at once
	Keeps  bool                // of a refund of all: what was paid for stays paid, as it does when a part is refunded
	Note   string
}

// Refund takes back a payment, or a part of it, and if that is asked ends the
// subscription that it paid for, in the transaction in which the processor's
// answer is written. A void takes back the whole and is possible on the
// merchant's day of the payment. A part that is given back is a credit to the
// customer, who has it already.
func (c *Cashier) Refund(ctx context.Context, s *Session, payment billing.ActivityID, r RefundRequest) (*billing.Activity, error) {
	var pay *billing.Activity
	u := undoing{note: r.Note, kind: r.By, keeps: r.Keeps}
	err := s.Books.View(ctx, func(v *store.View) (err error) {
		if pay, err = v.Activity(ctx, payment); err != nil {
			return err
		}
		return s.refundable(ctx, v, pay, r, &u)
	})
	if err != nil {
		return nil, err
	}
	u.pay = pay
	by, declined, err := c.undo(ctx, s, u)
	if declined && u.kind == billing.AskVoid && r.By == "" {
		u.kind = billing.AskRefund // it was settled in the meantime
		by, declined, err = c.undo(ctx, s, u)
	}
	if err == nil && declined {
		err = billing.Errorf(billing.State, "the processor refused to take the payment back")
	}
	return by, err
}

// refundable decides how a payment is taken back, or says why it cannot be.
func (s *Session) refundable(ctx context.Context, v *store.View, pay *billing.Activity, r RefundRequest, u *undoing) error {
	if pay.AttemptID == 0 || pay.Kind != billing.Payment && pay.Kind != billing.Claim {
		return billing.Errorf(billing.State, "this is no payment that a processor made")
	}
	if err := reversible(pay); err != nil {
		return err
	}
	given, err := v.GivenBack(ctx, pay.AttemptID)
	if err != nil {
		return err
	}
	left := pay.Amount.Minor() - given
	switch {
	case left == 0:
		return billing.Errorf(billing.State, "the payment was refunded already")
	case r.Amount < 0 || r.Amount > left:
		return billing.FieldError(billing.Invalid, "amount", "must be from 1 to what is left of the payment")
	case r.Amount == 0:
		u.amount = billing.Minor(left, pay.Amount.Currency())
	default:
		u.amount = billing.Minor(r.Amount, pay.Amount.Currency())
	}
	if r.Ends {
		u.ends = pay.SubscriptionID
	}
	voidable := given == 0 && s.Merchant.Today(pay.CreatedAt) == s.Today()
	switch {
	case r.By == billing.AskVoid && !voidable:
		return billing.FieldError(billing.State, "void", "the payment is settled and can no longer be voided")
	case r.By == "" && voidable:
		u.kind = billing.AskVoid
	case r.By == "":
		u.kind = billing.AskRefund
	}
	if u.kind == billing.AskVoid {
		u.amount = pay.Amount
	} else if pay.State == billing.Pending {
		return billing.Errorf(billing.State, "the claim is in clearing; refund it when it is settled")
	}
	return nil
}

// giveBack posts a refund of a part of a payment, which goes on paying for what
// it paid for: the customer owes the refund and is given a credit for it.
func (b *book) giveBack(pay, by *billing.Activity, a *billing.Attempt) {
	by.AccountID, by.CustomerID, by.Kind, by.Instrument, by.Masked = pay.AccountID, pay.CustomerID, billing.Refund, pay.Instrument, pay.Masked
	by.Amount, by.Tax, by.SubscriptionID, by.Period = a.Amount, a.Tax, pay.SubscriptionID, -1
	b.post(by, nil, a.Processor)
	credit := b.post(&billing.Activity{AccountID: pay.AccountID, CustomerID: pay.CustomerID, Kind: billing.Credit, Amount: a.Amount,
		Tax: a.Tax, SubscriptionID: pay.SubscriptionID, Period: -1, Creator: a.Details.Creator, Note: a.Details.Note}, nil, "")
	b.match(credit, by)
	b.touch(pay)
	b.event(billing.PaymentReversed, a.CustomerID, int64(by.ID))
}

// forgive gives a credit for a payment that was voided, so that what it had paid for
// is not owed again.
func (b *book) forgive(pay *billing.Activity, freed []*billing.Activity, a *billing.Attempt) {
	credit := b.post(&billing.Activity{AccountID: pay.AccountID, CustomerID: pay.CustomerID, Kind: billing.Credit, Amount: a.Amount,
		Tax: a.Tax, SubscriptionID: pay.SubscriptionID, Period: -1, Creator: a.Details.Creator, Note: a.Details.Note}, nil, "")
	for _, d := range freed {
		if d.ClaimedBy == 0 {
			b.match(credit, d)
		}
	}
	b.event(billing.ActivityRecorded, pay.CustomerID, int64(credit.ID))
}

// endSale ends a subscription at once, because what paid for it was taken back,
// and takes back the invoices of it that are open.
func (b *book) endSale(ctx context.Context, id billing.SubscriptionID, note string) error {
	list, err := b.subscriptions(ctx, id)
	if err != nil || len(list) == 0 {
		return err
	}
	return b.endSold(ctx, list[0], note)
}

// lapse ends the subscriptions whose access is not paid for: the last claim for
// an invoice was declined. Those that say nothing of access go on, and owe.
func (b *book) lapse(ctx context.Context, unpaid []billing.SubscriptionID) error {
	return b.withAccess(ctx, unpaid, func(sub *billing.Subscription) error { return b.endSold(ctx, sub, "not paid") })
}

// withAccess does something to those of several subscriptions whose access is
// paid for and goes on.
func (b *book) withAccess(ctx context.Context, ids []billing.SubscriptionID, do func(*billing.Subscription) error) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := b.subscriptions(ctx, ids...)
	if err != nil {
		return err
	}
	for _, sub := range list {
		if sub.Access == billing.PaidAccess && !sub.Ended() {
			if err := do(sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// endSold ends a subscription and takes back its invoices that are open.
func (b *book) endSold(ctx context.Context, sub *billing.Subscription, note string) error {
	if err := b.takeOpenBack(ctx, sub, note); err != nil {
		return err
	}
	return b.stopSold(ctx, sub, note)
}

// stopSold ends a subscription at once, and leaves what is owed for it.
func (b *book) stopSold(ctx context.Context, sub *billing.Subscription, note string) error {
	if sub.Ended() {
		return nil
	}
	id := sub.ID
	open, err := b.tx.OpenAdjustments(ctx, []billing.SubscriptionID{id})
	if err != nil {
		return err
	}
	adjustments, err := sub.EndNow(b.today(), open[id], note)
	if err != nil {
		return err
	}
	if err := b.tx.SaveAdjustments(ctx, sub, adjustments, b.at); err != nil {
		return err
	}
	sub.UpdatedAt = b.at
	b.schedule(sub)
	b.event(billing.SubscriptionChanged, sub.CustomerID, int64(id))
	if sub.Ended() {
		b.event(billing.SubscriptionEnded, sub.CustomerID, int64(id))
	}
	return nil
}
