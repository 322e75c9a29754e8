package unipay

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// processTransaction moves money now. Whatever the processor says is an answer
// with status 200: approved, declined, or not known yet (section 9, 16).
func processTransaction(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadProcessing(x.fields)
	if err != nil {
		return Answer{}, err
	}
	if err := x.checkAccount(ctx, f.AccountID); err != nil {
		return Answer{}, err
	}
	r, err := f.request()
	if err != nil {
		return Answer{}, err
	}
	r.Key = x.key
	receipt, err := x.Cashier.Charge(ctx, x.session, cashier.Ref(x.call.Customer), r)
	if err != nil {
		return Answer{}, err
	}
	if receipt.Replayed {
		x.header.Set("Idempotent-Replayed", "true")
	}
	code, _ := verdict(receipt.Activity.Kind, receipt.Attempt)
	x.outcome = string(code)
	s, err := x.accountScribe(ctx, receipt.Activity.AccountID)
	if err != nil {
		return Answer{}, err
	}
	return One(s.transaction(receipt.Activity, receipt.Attempt)), nil
}

// request is what the core is asked for.
func (f ProcessingFields) request() (cashier.ChargeRequest, error) {
	r := cashier.ChargeRequest{
		Code: f.Code.Value, Amount: f.Amount.Value, Tax: f.TaxAmount.Value, Method: cashier.Ref(f.PaymentOptionID.Value),
		Token: f.Token.Value, Due: day(f.DueDate.Value), Note: f.Note.Value, Invoices: refs(f.InvoiceList),
		InvoiceRaw: invoiceList(f.InvoiceList), SecurityCode: billing.NewSecret(f.CSC.Reveal()),
		Payer: billing.Payer{Holder: f.HolderName.Value, Phone: f.Phone.Value, Email: f.Email.Value,
			Address: billing.Address{Street1: f.Street.Value, City: f.City.Value, State: f.State.Value, PostalCode: f.ZipCode.Value}},
	}
	// A claim is what the core makes of a payment by bank account, and asks for
	// nothing else than a payment does.
	switch f.Type.Or(TransactionPayment) {
	case TransactionPayment, TransactionClaim:
	case TransactionRefund:
		r.Credit = true
	default:
		return r, Fail(BadValue, "type", "type: only a payment (AP), a claim (AC) or a refund (AR) is processed; use ~create for the rest")
	}
	if err := f.source(&r); err != nil {
		return r, err
	}
	if r.Instrument.IsBank() {
		r.SecurityCode = billing.Secret{}
	}
	return r, nil
}

// source fills in the account that came with the request in the clear, as a
// number or as the tracks of a card. A payment option or token says by itself
// what it is, and accountType beside it is let go of.
func (f ProcessingFields) source(r *cashier.ChargeRequest) error {
	number, expiry := f.AccountNumber.Reveal(), f.AccountAccessory.Value
	switch {
	case f.AccountData.Given():
		t, ok := readTrack(f.AccountData.Reveal())
		if !ok {
			return Fail(BadValue, "accountData", "accountData: is neither track 1 nor track 2 of a card")
		}
		number, expiry = t.number, t.expiry
		if r.Payer.Holder == "" {
			r.Payer.Holder = t.holder
		}
	case !f.AccountNumber.Given():
		return nil
	}
	var known bool
	if f.AccountType.Given {
		r.Instrument, known = instruments.core(f.AccountType.Value)
	} else {
		r.Instrument, known = billing.BrandOf(number)
	}
	if !known {
		return Fail(Missing, "accountType", "accountType: is required for this number")
	}
	r.Number = billing.NewSecret(number)
	switch {
	case !r.Instrument.IsBank():
		r.Expiry = expiry
	case f.AccountData.Given():
		return Fail(BadValue, "accountType", "accountType: a bank account has no track data")
	default:
		r.Routing = expiry
	}
	return nil
}
