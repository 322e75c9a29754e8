package cashier

import (
	"context"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Reverse takes an activity back in full and returns the one that does so. A
// statement of debt or credit is reversed in the books alone; a payment through
// a processor is voided on the day it was made and refunded after, by the
// processor first and then in the books (protocols/unipay.md 4.6).
//
// While nobody knows whether the processor did so, the error is of the kind
// OutcomeUnknown, and the activity is the one that there will be if it did, in
// state unknown. It is not in the account yet; the payment stands as it was, and
// is claimed, so that nothing else takes it back.
func (c *Cashier) Reverse(ctx context.Context, s *Session, customer, r Ref, note string) (*billing.Activity, error) {
	var by *billing.Activity
	var pay *billing.Activity
	var kind billing.AttemptKind
	err := c.update(ctx, s, func(tx *store.Tx) error {
		by, pay = nil, nil
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		named, err := s.Activity(ctx, &tx.View, owner, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if err := b.load(ctx, named.ID); err != nil {
			return err
		}
		a := b.known[named.ID]
		if err := reversible(a); err != nil {
			return err
		}
		if kind, err = s.undoes(a); err != nil {
			return err
		}
		if a.AttemptID != 0 && (a.Kind == billing.Payment || a.Kind == billing.Claim) {
			pay = a // the processor is asked, outside this transaction
			return nil
		}
		by = &billing.Activity{Creator: s.Login.Name, Note: note}
		processor := ""
		if a.Kind == billing.Chargeback { // the money comes back to where it was taken from
			charge, err := tx.Attempt(ctx, a.AttemptID)
			if err != nil {
				return err
			}
			by.AttemptID, processor = charge.ID, charge.Processor
		}
		if _, err := b.reverse(ctx, a, bookReversal(a, kind), by, processor); err != nil {
			return err
		}
		b.balance(owner.ID)
		b.event(billing.ActivityRecorded, owner.ID, int64(by.ID))
		return b.flush(ctx)
	})
	if err != nil || pay == nil {
		return by, err
	}
	c.Step(ctx, "reverse: chosen")
	by, declined, err := c.undo(ctx, s, undoing{pay: pay, kind: kind, note: note, amount: pay.Amount})
	if declined && kind == billing.AskVoid { // it was settled in the meantime
		by, declined, err = c.undo(ctx, s, undoing{pay: pay, kind: billing.AskRefund, note: note, amount: pay.Amount})
	}
	if err == nil && declined {
		err = billing.Errorf(billing.State, "the processor refused to take the payment back")
	}
	return by, err
}

// reversible refuses what was taken back already or cannot be taken back.
func reversible(a *billing.Activity) error {
	switch {
	case a.AdjustedBy != 0:
		return billing.Errorf(billing.State, "the transaction was reversed or declined already")
	case a.ClaimedBy != 0:
		return billing.Errorf(billing.State, "a payment is under way for this transaction")
	case a.State == billing.Unknown:
		return billing.Errorf(billing.State, "the outcome of this payment is not known yet")
	}
	switch a.Kind {
	case billing.Invoice, billing.ServiceFee, billing.LateFee, billing.AccessFee, billing.CollectionFee, billing.RecoveryFee,
		billing.Credit, billing.Payment, billing.Claim, billing.Chargeback:
		return nil
	case billing.Refund:
		if a.AttemptID != 0 {
			return billing.Errorf(billing.State, "the money of this refund has gone to the customer; charge it again instead")
		}
		return nil
	case billing.CreditReversal, billing.InvoiceReversal, billing.Void, billing.RefundReversal, billing.Decline,
		billing.ChargebackReversal, billing.WriteOff:
	}
	return billing.Errorf(billing.State, "a transaction of this type cannot be reversed")
}

// undoes decides between void and refund: on the merchant's day on which a
// payment was made its batch is still open. A claim that is in clearing can be
// neither voided nor refunded.
func (s *Session) undoes(a *billing.Activity) (billing.AttemptKind, error) {
	if s.Merchant.Today(a.CreatedAt) == s.Today() {
		return billing.AskVoid, nil
	}
	if a.State == billing.Pending {
		return "", billing.Errorf(billing.State, "the claim is in clearing; reverse it when it is settled")
	}
	return billing.AskRefund, nil
}

// bookReversal is the kind that takes an activity back in the books alone.
func bookReversal(a *billing.Activity, undo billing.AttemptKind) billing.ActivityKind {
	if k := a.Kind.Reversal(); k != "" {
		return k
	}
	if undo == billing.AskVoid {
		return billing.Void
	}
	return billing.Refund
}

// undoing is what a processor is to take back, and how.
type undoing struct {
	pay    *billing.Activity
	kind   billing.AttemptKind
	amount billing.Money          // all of it, or a part to be refunded
	ends   billing.SubscriptionID // ends with it, 0 if none does
	note   string
	keeps  bool // see RefundRequest
	whole  bool // of what keeps: a void does too
}

// undo has a processor take a payment back: intention, act, outcome. The
// payment is claimed by the attempt, so that no second one takes it back too.
func (c *Cashier) undo(ctx context.Context, s *Session, u undoing) (by *billing.Activity, declined bool, err error) {
	pay := u.pay
	account, err := c.account(ctx, s.Merchant)
	if err != nil {
		return nil, false, err
	}
	var attempt, parent *billing.Attempt
	err = c.update(ctx, s, func(tx *store.Tx) error {
		if parent, err = tx.Attempt(ctx, pay.AttemptID); err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{pay.CustomerID})
		if err != nil {
			return err
		}
		if err := b.load(ctx, pay.ID); err != nil {
			return err
		}
		a := b.known[pay.ID]
		if err := reversible(a); err != nil {
			return err
		}
		attempt = &billing.Attempt{
			MerchantID: s.Merchant.ID, ID: billing.AttemptID(tx.NewID()), AccountID: parent.AccountID, CustomerID: parent.CustomerID,
			SubscriptionID: parent.SubscriptionID, PaymentMethodID: parent.PaymentMethodID, ActivityID: billing.ActivityID(tx.NewID()),
			Parent: parent.ID, Kind: u.kind, Processor: parent.Processor, Amount: u.amount,
			Tax: billing.Minor(min(a.Tax.Minor(), u.amount.Minor()), u.amount.Currency()), Instrument: parent.Instrument,
			Masked: parent.Masked, Expiry: parent.Expiry, Routing: parent.Routing, Token: parent.Token, Payer: parent.Payer,
			Details: billing.Details{Note: u.note, Creator: s.Login.Name, Targets: []billing.ActivityID{a.ID}, Ends: u.ends, Keeps: u.keeps && (u.kind == billing.AskRefund || u.whole)},
			State:   billing.Sending, CreatedAt: s.Now, LeaseUntil: c.Now().Add(c.Lease),
		}
		attempt.Reference = strconv.FormatInt(int64(attempt.ID), 10)
		a.ClaimedBy = attempt.ID
		b.touch(a)
		b.attempts = append(b.attempts, attempt)
		return b.flush(ctx)
	})
	if err != nil {
		return nil, false, err
	}
	ctx = context.WithoutCancel(ctx)
	c.Step(ctx, "reverse: intention committed")
	request := requestFor(s.Merchant, attempt, s.Now)
	request.Original, request.OriginalID = parent.Reference, parent.ProcessorID
	outcome := c.ask(ctx, account, attempt, request)
	c.Step(ctx, "reverse: answered")
	if _, err := c.settle(ctx, s.Merchant, s.Merchant.Now(c.Now()), []Answer{{Attempt: attempt, Outcome: outcome}}); err != nil {
		return nil, false, err
	}
	switch attempt.State {
	case billing.AttemptDeclined:
		return nil, true, nil
	case billing.AttemptUnknown:
		by := activityOf(attempt, billing.Void, billing.Unknown)
		if u.kind == billing.AskRefund {
			by.Kind = billing.Refund
		}
		by.CreatedAt, by.Due, by.Adjusts = attempt.CreatedAt, s.Today(), u.pay.ID
		by.Open = billing.Minor(0, by.Amount.Currency())
		return by, false, billing.Errorf(billing.OutcomeUnknown,
			"the processor has not said yet whether the payment is taken back; it is being asked and must not be reversed again")
	case billing.Sending, billing.AttemptPending, billing.AttemptApproved:
	}
	receipt, err := s.receipt(ctx, attempt, false)
	if err != nil {
		return nil, false, err
	}
	return receipt.Activity, false, nil
}
