package cashier

import (
	"context"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Reverse takes an activity back in full and returns the one that does so. A
// statement of debt or credit is reversed in the books alone; a payment through
// a processor is voided on the day it was made and refunded after, by the
// processor first and then in the books (protocols/unipay.md 4.6).
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
		if kind, err = s.undoing(a); err != nil {
			return err
		}
		if a.AttemptID != 0 && (a.Kind == billing.Payment || a.Kind == billing.Claim) {
			pay = a // the processor is asked, outside this transaction
			return nil
		}
		by = &billing.Activity{Creator: s.Login.Name, Note: note}
		if _, err := b.reverse(ctx, a, bookReversal(a, kind), by, ""); err != nil {
			return err
		}
		b.balance(owner.ID)
		b.event(billing.ActivityRecorded, owner.ID, int64(by.ID))
		return b.flush(ctx)
	})
	if err != nil || pay == nil {
		return by, err
	}
	by, declined, err := c.undo(ctx, s, pay, kind, note)
	if declined && kind == billing.AskVoid {
		by, declined, err = c.undo(ctx, s, pay, billing.AskRefund, note) // it was settled in the meantime
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

// undoing decides between void and refund: on the merchant's day on which a
// payment was made its batch is still open. A claim that is in clearing can be
// neither voided nor refunded.
func (s *Session) undoing(a *billing.Activity) (billing.AttemptKind, error) {
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

// undo has a processor take a payment back: intention, act, outcome. The
// payment is claimed by the attempt, so that no second one takes it back too.
func (c *Cashier) undo(ctx context.Context, s *Session, pay *billing.Activity, kind billing.AttemptKind, note string) (by *billing.Activity, declined bool, err error) {
	account, err := c.Processor(s.Merchant)
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
			Parent: parent.ID, Kind: kind, Processor: parent.Processor, Amount: a.Amount, Tax: a.Tax, Instrument: parent.Instrument,
			Masked: parent.Masked, Expiry: parent.Expiry, Routing: parent.Routing, Token: parent.Token, Payer: parent.Payer,
			Details: billing.Details{Note: note, Creator: s.Login.Name, Targets: []billing.ActivityID{a.ID}},
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
	request := requestFor(s.Merchant, attempt, s.Now)
	request.Original, request.OriginalID = parent.Reference, parent.ProcessorID
	outcome := c.ask(ctx, account, attempt, request)
	if _, err := c.Settle(ctx, s.Merchant, s.Merchant.Now(c.Now()), []Answer{{attempt, outcome}}); err != nil {
		return nil, false, err
	}
	switch attempt.State {
	case billing.AttemptDeclined:
		return nil, true, nil
	case billing.AttemptUnknown:
		return nil, false, billing.Errorf(billing.Unavailable,
			"the processor has not said yet whether the payment is taken back; it is being asked and must not be reversed again")
	case billing.Sending, billing.AttemptPending, billing.AttemptApproved:
	}
	receipt, err := s.receipt(ctx, attempt, false)
	if err != nil {
		return nil, false, err
	}
	return receipt.Activity, false, nil
}

// Notices takes in what a processor tells of charges that were thought
// finished, once a day by the merchant's clock: chargebacks, late returns,
// changed bank accounts. It returns how many it took in.
func (c *Cashier) Notices(ctx context.Context, m *billing.Merchant, at time.Time) (int, error) {
	account, err := c.Processor(m)
	if err != nil {
		return 0, err
	}
	notices, err := account.Notices(ctx, m.Code, m.NoticesCursor, at)
	if err != nil {
		return 0, err
	}
	next := m.Start(m.Today(at).AddDays(1))
	if len(notices) == 0 {
		return 0, c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
			_, err := tx.UpdateNotices(ctx, m.NoticesCursor, m.NoticesCursor, next)
			return err
		})
	}
	for i, n := range notices {
		when := at // more may be waiting
		if i == len(notices)-1 {
			when = next
		}
		if err := c.notice(ctx, m, at, n, when); err != nil {
			return i, err
		}
	}
	return len(notices), nil
}

// notice takes one notice into the books and moves the cursor past it, in one
// transaction: it is taken in once.
func (c *Cashier) notice(ctx context.Context, m *billing.Merchant, at time.Time, n billing.Notice, next time.Time) error {
	err := c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		moved, err := tx.UpdateNotices(ctx, m.NoticesCursor, n.Seq, next)
		if err != nil || !moved {
			return err // another worker was first
		}
		named, err := tx.AttemptByReference(ctx, n.Reference)
		if billing.KindOf(err) == billing.NotFound {
			c.Log.ErrorContext(ctx, "processor gave notice of a charge that is not ours", "merchant", m.Code, "reference", n.Reference, "kind", string(n.Kind))
			return nil
		}
		if err != nil {
			return err
		}
		locked, err := tx.LockAttempts(ctx, []billing.AttemptID{named.ID})
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, m, at, []billing.CustomerID{named.CustomerID})
		if err != nil {
			return err
		}
		if err := b.load(ctx, append(named.Details.Targets, named.ActivityID)...); err != nil {
			return err
		}
		if err := c.take(ctx, b, locked[named.ID], n); err != nil {
			return err
		}
		b.balance(named.CustomerID)
		return b.flush(ctx)
	})
	if err == nil {
		m.NoticesCursor = n.Seq
	}
	return err
}

func (c *Cashier) take(ctx context.Context, b *book, a *billing.Attempt, n billing.Notice) error {
	pay := b.known[a.ActivityID]
	if pay == nil {
		return billing.Errorf(billing.Internal, "a notice came of an attempt that has no outcome yet")
	}
	switch n.Kind {
	case billing.NoticeChange:
		return c.changeMethod(ctx, b, a, n)
	case billing.NoticeReturn:
		if pay.AdjustedBy != 0 {
			return nil
		}
		was := a.State
		a.State, a.Response, a.CheckAt, a.LeaseUntil = billing.AttemptDeclined, n.Response, time.Time{}, time.Time{}
		b.answered = append(b.answered, a)
		return b.decline(ctx, a, was)
	case billing.NoticeChargeback:
		return b.chargeback(ctx, a, pay, n)
	case billing.NoticeChargebackReversed:
		return b.chargebackReversed(ctx, a, pay, n)
	}
	return billing.Errorf(billing.Internal, "a notice of an unknown kind came")
}

// chargeback takes a payment back because the cardholder's bank did. The debt
// is open again, but is not claimed by itself: the customer disputes it. A
// payment that was refunded already is paid out twice, which the customer owes.
func (b *book) chargeback(ctx context.Context, a *billing.Attempt, pay *billing.Activity, n billing.Notice) error {
	by := &billing.Activity{AttemptID: a.ID, Note: n.Response.Text()}
	if n.Amount.Sign() > 0 && n.Amount.Minor() < pay.Amount.Minor() {
		by.Amount = n.Amount
	}
	if pay.AdjustedBy == 0 {
		if _, err := b.reverse(ctx, pay, billing.Chargeback, by, a.Processor); err != nil {
			return err
		}
	} else {
		by.AccountID, by.CustomerID, by.Kind, by.Instrument = pay.AccountID, pay.CustomerID, billing.Chargeback, pay.Instrument
		by.Masked, by.SubscriptionID, by.Period = pay.Masked, pay.SubscriptionID, -1
		if by.Amount.IsZero() {
			by.Amount = pay.Amount
		}
		b.post(by, nil, a.Processor)
	}
	b.fee(billing.ServiceFee, b.merchant.Settings.Fees.Chargeback, b.customers[pay.CustomerID], pay.SubscriptionID, "chargeback fee")
	b.event(billing.PaymentChargedBack, pay.CustomerID, int64(pay.ID))
	return nil
}

// chargebackReversed gives a payment back that a chargeback had taken, unless
// the merchant has done so by hand.
func (b *book) chargebackReversed(ctx context.Context, a *billing.Attempt, pay *billing.Activity, n billing.Notice) error {
	if err := b.load(ctx, pay.AdjustedBy); err != nil {
		return err
	}
	back := b.known[pay.AdjustedBy]
	if back == nil || back.Kind != billing.Chargeback || back.AdjustedBy != 0 {
		return nil
	}
	by := &billing.Activity{AttemptID: a.ID, Note: n.Response.Text()}
	_, err := b.reverse(ctx, back, billing.ChargebackReversal, by, a.Processor)
	return err
}

// changeMethod takes a NACHA notification of change into the stored bank
// account (protocols/unipay.md 6.5).
func (c *Cashier) changeMethod(ctx context.Context, b *book, a *billing.Attempt, n billing.Notice) error {
	if a.PaymentMethodID == 0 {
		return nil
	}
	m, err := b.tx.PaymentMethod(ctx, a.PaymentMethodID)
	if err != nil {
		return err
	}
	keys, err := c.keys(b.merchant)
	if err != nil {
		return err
	}
	number := n.Number.Reveal()
	if number == "" {
		plain, err := keys.Open(m.Sealed, sealedFor(m.ID))
		if err != nil {
			return err
		}
		number = string(plain)
	}
	if n.Routing != "" {
		m.Routing = n.Routing
	}
	if m.Sealed, err = keys.Seal([]byte(number), sealedFor(m.ID)); err != nil {
		return err
	}
	m.Masked, m.Fingerprint, m.UpdatedAt = billing.Mask(number), fingerprint(keys, m.Instrument, number, m.Routing), b.at
	b.event(billing.PaymentMethodChanged, m.CustomerID, int64(m.ID))
	return b.tx.UpdatePaymentMethod(ctx, m)
}
