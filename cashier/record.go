package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// RecordRequest asks to write an activity to a customer's account without a
// processor: an invoice, fee or credit, or money that moved elsewhere.
type RecordRequest struct {
	Code       string
	Kind       billing.ActivityKind
	Instrument billing.Instrument // of a payment or refund: cash and its like, "" else
	Amount     int64              // minor units, of the merchant's currency
	Tax        int64              // part of Amount
	Due        billing.Date       // zero is today
	Note       string
	Invoices   []Ref  // debts that a payment covers first, in order
	InvoiceRaw string // how the client wrote them

	// Act is what the audit trail is to say of it, by whom and why; nil for nothing.
	Act *billing.Act
}

// Record writes an activity and lets it cover, or be covered by, what is open.
// An invoice made so is not claimed by itself: the billing run takes it along
// with the customer's next claim (protocols/unipay.md 4.6, 6.4).
func (c *Cashier) Record(ctx context.Context, s *Session, customer Ref, r RecordRequest) (a *billing.Activity, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		targets, err := b.targets(ctx, s, owner, r.Invoices)
		if err != nil {
			return err
		}
		a = b.post(&billing.Activity{
			AccountID: owner.AccountID, CustomerID: owner.ID, Code: r.Code, Kind: r.Kind, Instrument: r.Instrument,
			Amount: s.Merchant.Money(r.Amount), Tax: s.Merchant.Money(r.Tax), Due: r.Due, Period: -1, Note: r.Note,
			InvoiceList: r.InvoiceRaw, Creator: s.Login.Name,
		}, nil, "")
		scope := s.scope(store.ActivityNoun, owner.AccountID, owner.ID)
		if err := reserve(ctx, tx, store.ActivityNoun, scope, a.Code, int64(a.ID)); err != nil {
			return err
		}
		for _, debt := range targets {
			b.match(a, debt)
		}
		b.balance(owner.ID)
		kind := billing.ActivityRecorded
		if a.Kind == billing.Invoice {
			kind = billing.InvoiceIssued
		}
		b.event(kind, owner.ID, int64(a.ID))
		if r.Act != nil {
			act := *r.Act
			act.Noun, act.Object, act.At = string(store.ActivityNoun), int64(a.ID), c.Now()
			if err := tx.InsertAct(ctx, act); err != nil {
				return err
			}
		}
		return b.flush(ctx)
	})
	return a, err
}

// check refuses what cannot be recorded: kinds that only a processor, a bank or
// a reversal makes, and instruments that only a processor can charge.
func (r RecordRequest) check() error {
	if err := checkAmount(r.Amount, r.Tax); err != nil {
		return err
	}
	switch r.Kind {
	case billing.Invoice, billing.Credit, billing.ServiceFee, billing.LateFee, billing.AccessFee, billing.CollectionFee,
		billing.RecoveryFee, billing.WriteOff:
		return nil
	case billing.Payment, billing.Refund:
		if r.Instrument == "" {
			return billing.FieldError(billing.Missing, "accountType", "is required for a payment that was made elsewhere")
		}
		if r.Instrument.IsCard() || r.Instrument.IsBank() {
			return billing.FieldError(billing.State, "accountType", "a card or bank account is charged, not recorded")
		}
		return nil
	case billing.CreditReversal, billing.InvoiceReversal, billing.Claim, billing.Void, billing.RefundReversal, billing.Decline,
		billing.Chargeback, billing.ChargebackReversal:
	}
	return billing.FieldError(billing.State, "type", "a transaction of this type cannot be recorded by hand")
}

func checkAmount(amount, tax int64) error {
	if amount < 1 || amount > billing.MaxAmount {
		return billing.FieldError(billing.Invalid, "amount", "must be from 1 to %d", int64(billing.MaxAmount))
	}
	if tax < 0 || tax > amount {
		return billing.FieldError(billing.Invalid, "taxAmount", "must be from 0 to the amount")
	}
	return nil
}

// targets finds the open debts that a payment names. A debt that a claim under
// way covers cannot be named: the two would pay it twice.
func (b *book) targets(ctx context.Context, s *Session, owner *billing.Customer, refs []Ref) ([]*billing.Activity, error) {
	var debts []*billing.Activity
	for _, r := range refs {
		named, err := s.Activity(ctx, &b.tx.View, owner, r)
		if err != nil {
			return nil, err
		}
		debt := b.know(named)
		if !debt.Kind.IsDebt() {
			return nil, billing.FieldError(billing.State, "invoiceList", "names a transaction that is no invoice or fee")
		}
		if debt.ClaimedBy != 0 {
			return nil, billing.FieldError(billing.State, "invoiceList", "names an invoice that is being collected at this moment")
		}
		debts = append(debts, debt)
	}
	return debts, nil
}
