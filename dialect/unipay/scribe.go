package unipay

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// scribe writes the nouns of the core as objects of the wire: times on the
// merchant's wall clock, accounts by their codes, and codes that were not given
// as the id (1.5).
type scribe struct {
	zone     *time.Location
	accounts map[billing.AccountID]int64
}

// newScribe reads what is needed to write down anything of the merchant's.
func newScribe(ctx context.Context, v *store.View, m *billing.Merchant) (scribe, error) {
	list, err := v.Accounts(ctx)
	if err != nil {
		return scribe{}, err
	}
	s := scribe{zone: m.Zone, accounts: make(map[billing.AccountID]int64, len(list))}
	for _, a := range list {
		s.account(a.ID, a.Code)
	}
	return s, nil
}

// accountScribe is a scribe for what lies in one account.
func (x *exchange) accountScribe(ctx context.Context, id billing.AccountID) (scribe, error) {
	code, err := x.session.Books.AccountCode(ctx, id)
	s := scribe{zone: x.session.Merchant.Zone, accounts: make(map[billing.AccountID]int64, 1)}
	s.account(id, code)
	return s, err
}

// account notes the number of an account. accountId is an Integer on this wire:
// an account whose code is something else is of other dialects, and shows none.
func (s scribe) account(id billing.AccountID, code string) {
	if n, err := strconv.ParseInt(code, 10, 64); err == nil {
		s.accounts[id] = n
	}
}

// datetime writes an instant, "" if there is none.
func (s scribe) datetime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(s.zone).Format(DatetimeLayout)
}

// codeOr is a reference code, or the id where the client gave no code.
func codeOr[T ~int64](code string, id T) string {
	if code == "" {
		return strconv.FormatInt(int64(id), 10)
	}
	return code
}

func (s scribe) customer(c *billing.Customer) Customer {
	return Customer{
		ID: int64(c.ID), Code: codeOr(c.Code, c.ID), AccountID: s.accounts[c.AccountID], CreateDate: s.datetime(c.CreatedAt),
		FirstName: c.FirstName, LastName: c.LastName, OrganizationName: c.Organization, Email: c.Email, Phone: c.Phone,
		IsActive: c.Active, Street1: c.Address.Street1, Street2: c.Address.Street2, City: c.Address.City, State: c.Address.State,
		ZipCode: c.Address.PostalCode, CountryCode: c.Address.Country,
	}
}

func (s scribe) paymentOption(m *billing.PaymentMethod) PaymentOption {
	return PaymentOption{
		ID: int64(m.ID), Code: codeOr(m.Code, m.ID), CreateDate: s.datetime(m.CreatedAt),
		Type: PaymentOptionType(instruments.wire(m.Instrument)), AccountNumber: m.Masked,
		AccountAccessory: accessory(m.Instrument, m.Expiry, m.Routing), TokenCode: m.Token, HolderName: m.Holder, IsActive: m.Active,
		Street1: m.Address.Street1, Street2: m.Address.Street2, City: m.Address.City, State: m.Address.State,
		ZipCode: m.Address.PostalCode, CountryCode: m.Address.Country, Phone: m.Phone, Email: m.Email,
	}
}

// accessory is what this wire has one field for: the expiry of a card, the
// routing number of a bank account.
func accessory(i billing.Instrument, expiry, routing string) string {
	if i.IsBank() {
		return routing
	}
	return expiry
}

func (s scribe) plan(p *billing.Plan) Plan {
	return Plan{
		ID: int64(p.ID), Code: codeOr(p.Code, p.ID), AccountID: s.accounts[p.AccountID], CreateDate: s.datetime(p.CreatedAt),
		Name: p.Name, BillingCycleType: cycles.wire(p.Cycle), Amount: p.Amount.Minor(), TaxAmount: p.Tax.Minor(), IsActive: p.Active,
	}
}

// subscription writes a subscription with the adjustments of it that are not
// done with.
func (s scribe) subscription(sub *billing.Subscription, open []billing.Adjustment) Subscription {
	w := Subscription{
		ID: int64(sub.ID), Code: codeOr(sub.Code, sub.ID), AccountID: s.accounts[sub.AccountID], CustomerID: int64(sub.CustomerID),
		CreateDate: s.datetime(sub.CreatedAt), Type: terms.wire(sub.Term), Length: int64(sub.Length), PlanID: int64(sub.PlanID),
		PlanName: sub.PlanName, PaymentOptionID: int64(sub.PaymentMethodID), Amount: sub.Amount.Minor(), TaxAmount: sub.Tax.Minor(),
		BillingCycleType: cycles.wire(sub.Cycle), FirstBillingDate: sub.FirstDate.String(),
		NextBillingDate: sub.NextBilling(open).String(), LastBillingDate: sub.LastDate.String(), Status: statuses.wire(sub.Status),
		PendingAdjustmentType: adjustments.wire(billing.PendingAdjustment(open)), Note: sub.Note,
	}
	if sub.FirstInvoicing.IsZero() {
		return w
	}
	w.FirstInvoicingDate = sub.FirstInvoicing.String()
	if w.NextBillingDate != "" {
		w.NextInvoicingDate = sub.InvoicingDate(nextPeriod(sub, sub.NextBilling(open))).String()
	}
	return w
}

// nextPeriod is the index of a coming billing date.
func nextPeriod(sub *billing.Subscription, next billing.Date) int {
	k, _ := sub.Cycle.Index(sub.FirstDate, next)
	return k
}

func (s scribe) adjustment(a billing.Adjustment) Adjustment {
	return Adjustment{
		ID: int64(a.ID), EffectiveDate: a.Effective.String(), EndDate: a.End.String(), Note: a.Note,
		Type: adjustments.wire(a.Kind), Length: int64(a.Length),
	}
}

// transaction writes an activity with the attempt behind it, nil if there is
// none.
func (s scribe) transaction(a *billing.Activity, behind *billing.Attempt) Transaction {
	return Transaction{
		ID: int64(a.ID), Code: codeOr(a.Code, a.ID), AccountID: s.accounts[a.AccountID], CustomerID: int64(a.CustomerID),
		CreateDate: s.datetime(a.CreatedAt), DueDate: midnight(a.Due), Type: kinds.wire(a.Kind),
		AccountType: instruments.wire(a.Instrument), CreatorCode: a.Creator, Amount: a.Amount.Minor(), TaxAmount: a.Tax.Minor(),
		Balance: a.Open.Minor(), AccountNumber: a.Masked, Note: a.Note, AdjustmentID: int64(a.AdjustedBy),
		InvoiceList: a.InvoiceList, SubscriptionID: int64(a.SubscriptionID), ProcessingInfo: s.processingInfo(a.Kind, behind),
	}
}

// midnight writes a date where the wire has a Datetime.
func midnight(d billing.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String() + " 00:00:00"
}

// processingInfo writes what was asked of a processor and what it said. The
// reversal of a chargeback has none: nobody asked for it, and the attempt that it
// goes back to is of the payment.
func (s scribe) processingInfo(kind billing.ActivityKind, a *billing.Attempt) *ProcessingInfo {
	if a == nil || kind == billing.ChargebackReversal {
		return nil
	}
	p := a.Payer
	code, message := verdict(kind, a)
	return &ProcessingInfo{
		ID: int64(a.ID), CreateDate: s.datetime(a.CreatedAt), HolderName: p.Holder, AccountNumber: a.Masked,
		AccountAccessory: accessory(a.Instrument, a.Expiry, a.Routing), Token: a.Token,
		Street: strings.TrimSpace(p.Address.Street1 + " " + p.Address.Street2), City: p.Address.City, State: p.Address.State,
		ZipCode: p.Address.PostalCode, Phone: p.Phone, Email: p.Email, GatewayTransactionID: a.ProcessorID,
		ApprovalCode: a.ApprovalCode, ResponseDate: s.datetime(a.AnsweredAt), ResponseCode: code, ResponseMessage: message,
	}
}

func (s scribe) allocation(a *billing.Allocation) Allocation {
	return Allocation{
		ID: int64(a.ID), SourceID: int64(a.Source), TargetID: int64(a.Target), TargetTransactionType: kinds.wire(a.TargetKind),
		SourceTransactionType: kinds.wire(a.SourceKind), Amount: a.Amount.Minor(), CreateDate: s.datetime(a.CreatedAt),
	}
}
