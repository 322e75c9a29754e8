package cashier

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// SaleRequest asks to sell a subscription on terms of its own, and to charge its
// first price now to a card or bank account that is kept.
type SaleRequest struct {
	Account  string                  // code of the account that sells
	Payer    *billing.Merchant       // whose customer buys, nil for the session's merchant
	Method   billing.PaymentMethodID // the payer's, with which the first price and all that follow are paid
	Terms    billing.Terms
	Number   func() string // makes a number by which the sale will be known, kept without leading zeros; asked again if it is taken; nil for none
	Previous string        // number of the earlier transaction that showed the way to the card
	Note     string
	Extra    map[string]string // see billing.Details

	// Replaces is a subscription of the session's merchant that ends at once when
	// this one begins, 0 if none does. One that is over cannot be replaced (State),
	// nor one of which another charge that would replace it has no outcome yet
	// (InProgress); and what replaces has a first price.
	Replaces billing.SubscriptionID
}

// Sold is what became of a sale. The subscription is there when the charge is
// approved or pending; while its outcome is unknown, or if it was declined,
// there is none.
type Sold struct {
	Number       string
	Attempt      *billing.Attempt // nil if the first price is nought, for then nothing is asked
	Subscription *billing.Subscription
}

// salePlan is the code of the plan that stands in for the terms of an account's
// sales, which travel with each of them.
const salePlan = "terms-of-sale"

// Sell makes a subscription of a customer whose card is known, if its first
// price can be charged. Each sale is an account of its own: the buyer is enrolled
// anew, with the same card, in the account that sells, which may be another
// merchant's. So no sale pays for another, and none is declined for another's
// price.
//
// A declined sale leaves the buyer with the declined payment and nothing else.
func (c *Cashier) Sell(ctx context.Context, s *Session, r SaleRequest) (*Sold, error) {
	if err := r.Terms.Check(); err != nil {
		return nil, err
	}
	if r.Replaces != 0 && r.Terms.Initial == 0 {
		return nil, billing.FieldError(billing.Invalid, "initial", "must not be 0 where a subscription is replaced")
	}
	buyer, err := c.buyer(ctx, s, r)
	if err != nil {
		return nil, err
	}
	for tries := 1; ; tries++ {
		sold, err := c.sell(ctx, s, r, buyer)
		if billing.KindOf(err) != billing.Duplicate || tries == 5 {
			return sold, err
		}
		// A number is taken, or somebody else made the account's plan at this moment.
	}
}

// buyer is who buys, with the number of what is paid with.
type buyer struct {
	customer *billing.Customer
	method   *billing.PaymentMethod
	number   billing.Secret
}

// buyer reads who buys from the books of the payer's merchant.
func (c *Cashier) buyer(ctx context.Context, s *Session, r SaleRequest) (*buyer, error) {
	merchant := s.Merchant
	if r.Payer != nil {
		merchant = r.Payer
	}
	who := &buyer{}
	err := c.Store.View(ctx, merchant.ID, func(v *store.View) (err error) {
		if who.method, err = v.PaymentMethod(ctx, r.Method); err != nil {
			return err
		}
		who.customer, err = v.Customer(ctx, who.method.CustomerID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !who.method.Active || !who.customer.Active {
		return nil, billing.Errorf(billing.State, "the card or its holder is no longer active")
	}
	keys, err := c.keys(merchant)
	if err != nil {
		return nil, err
	}
	number, err := keys.Open(who.method.Sealed, sealedFor(who.method.ID))
	who.number = billing.NewSecret(string(number))
	return who, err
}

func (c *Cashier) sell(ctx context.Context, s *Session, r SaleRequest, who *buyer) (*Sold, error) {
	sale := &billing.Sale{Terms: r.Terms, Previous: r.Previous}
	if r.Number != nil {
		sale.Number = canonical(r.Number())
	}
	if r.Terms.Initial == 0 {
		return c.sellFree(ctx, s, r, who, sale)
	}
	request := ChargeRequest{Amount: r.Terms.Initial, Currency: r.Terms.Currency, Note: r.Note, Extra: r.Extra, Sale: sale}
	if who.customer.MerchantID == s.Merchant.ID {
		request.origin = who
	}
	receipt, err := c.charge(ctx, &intent{s: s, r: &request, payer: func(tx *store.Tx) (*billing.Customer, error) {
		if err := replaceable(ctx, tx, r.Replaces, sale); err != nil {
			return nil, err
		}
		owner, err := c.enrollBuyer(ctx, s, tx, r.Account, who, sale)
		request.Method = Ref{ID: int64(sale.MethodID)}
		return owner, err
	}})
	if err != nil {
		return nil, err
	}
	sold := &Sold{Number: sale.Number, Attempt: receipt.Attempt}
	switch receipt.Attempt.State {
	case billing.AttemptApproved, billing.AttemptPending:
		err = s.Books.View(ctx, func(v *store.View) error {
			sold.Subscription, err = v.Subscription(ctx, sale.SubscriptionID)
			return err
		})
	case billing.AttemptDeclined, billing.AttemptUnknown, billing.Sending:
	}
	return sold, err
}

// sellFree sells what costs nothing at first: nobody is asked.
func (c *Cashier) sellFree(ctx context.Context, s *Session, r SaleRequest, who *buyer, sale *billing.Sale) (*Sold, error) {
	sold := &Sold{Number: sale.Number}
	err := c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := c.enrollBuyer(ctx, s, tx, r.Account, who, sale)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		sold.Subscription, _ = b.begin(sale, owner, s.Now, r.Note)
		return b.flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	return sold, nil
}

// replaceScope is what the keys are used for that name, of a subscription, the
// last attempt that would replace it.
const replaceScope = "replace"

// replaceable locks the subscription that a sale is to replace, so that of two at
// once the second sees the first, and looks whether it can be replaced.
func replaceable(ctx context.Context, tx *store.Tx, id billing.SubscriptionID, sale *billing.Sale) error {
	if id == 0 {
		return nil
	}
	list, err := tx.LockSubscriptions(ctx, []billing.SubscriptionID{id})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return billing.Errorf(billing.NotFound, "subscription not found")
	}
	old := list[0]
	if old.Ended() {
		return billing.FieldError(billing.State, "replaces", "the subscription is already %s", old.Status)
	}
	last, tried, err := tx.Key(ctx, replaceScope, replaceKey(id))
	if err != nil {
		return err
	}
	if tried {
		before, err := tx.Attempt(ctx, billing.AttemptID(last.ObjectID))
		if err != nil {
			return err
		}
		if before.State != billing.AttemptDeclined {
			return billing.Errorf(billing.InProgress, "another charge that replaces the subscription has no outcome yet")
		}
	}
	sale.Replaces, sale.Replaced = id, old.CustomerID
	return nil
}

func replaceKey(id billing.SubscriptionID) string { return strconv.FormatInt(int64(id), 10) }

// enrollBuyer writes down, in the account that sells, who buys and what is paid
// with, and gives the sale its ids.
func (c *Cashier) enrollBuyer(ctx context.Context, s *Session, tx *store.Tx, account string, who *buyer, sale *billing.Sale) (*billing.Customer, error) {
	keys, err := c.keys(s.Merchant)
	if err != nil {
		return nil, err
	}
	a, err := s.Account(ctx, &tx.View, account)
	if err != nil {
		return nil, err
	}
	if sale.PlanID, err = c.salePlan(ctx, s, tx, a, sale.Terms.Currency); err != nil {
		return nil, err
	}
	owner := *who.customer
	owner.MerchantID, owner.ID, owner.AccountID, owner.Code = s.Merchant.ID, billing.CustomerID(tx.NewID()), a.ID, ""
	owner.CreatedAt, owner.UpdatedAt = s.Now, s.Now
	method := *who.method
	method.MerchantID, method.ID, method.AccountID, method.CustomerID = s.Merchant.ID, billing.PaymentMethodID(tx.NewID()), a.ID, owner.ID
	method.Code, method.ForgetAt, method.CreatedAt, method.UpdatedAt = "", s.Merchant.ForgetAt(s.Now), s.Now, s.Now
	method.Token = token(&method, who.number.Reveal())
	if err := seal(keys, &method, who.number.Reveal()); err != nil {
		return nil, err
	}
	sale.MethodID, sale.SubscriptionID = method.ID, billing.SubscriptionID(tx.NewID())
	if err := tx.InsertCustomers(ctx, &owner); err != nil {
		return nil, err
	}
	if err := tx.InsertPaymentMethods(ctx, &method); err != nil {
		return nil, err
	}
	if err := reserveNumber(ctx, tx, store.SubscriptionNumber, sale.Number, int64(sale.SubscriptionID)); err != nil {
		return nil, err
	}
	return &owner, tx.InsertEvents(ctx, []billing.Event{
		s.event(billing.CustomerCreated, owner.ID, int64(owner.ID)), s.event(billing.PaymentMethodAdded, owner.ID, int64(method.ID)),
	})
}

// canonical is the form in which numbers are kept: they are compared as numbers, so
// leading zeros mean nothing (protocols/ccbill.md 3.3).
func canonical(number string) string { return strings.TrimLeft(number, "0") }

// reserveNumber takes a number that nothing else has; no number, nothing to take.
func reserveNumber(ctx context.Context, tx *store.Tx, n store.Noun, number string, object int64) error {
	if number == "" {
		return nil
	}
	have, err := tx.Numbered(ctx, number)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return billing.FieldError(billing.Duplicate, "number", "the number is taken")
	}
	return tx.Reserve(ctx, n, 0, number, object)
}

// salePlan finds or makes the plan behind an account's sales. Nobody can
// subscribe to it.
func (c *Cashier) salePlan(ctx context.Context, s *Session, tx *store.Tx, a *billing.Account, currency billing.Currency) (billing.PlanID, error) {
	scope := s.scope(store.PlanNoun, a.ID, 0)
	code := salePlan + "-" + a.Code
	id, err := tx.Resolve(ctx, store.PlanNoun, scope, code)
	if billing.KindOf(err) != billing.NotFound {
		return billing.PlanID(id), err
	}
	p := &billing.Plan{MerchantID: s.Merchant.ID, ID: billing.PlanID(tx.NewID()), AccountID: a.ID, Code: code, Name: "Terms of each sale",
		Cycle: billing.Monthly, Amount: billing.Minor(0, currency), Tax: billing.Minor(0, currency), CreatedAt: s.Now, UpdatedAt: s.Now}
	if err := tx.InsertPlan(ctx, p); err != nil {
		return 0, err
	}
	return p.ID, tx.Reserve(ctx, store.PlanNoun, scope, code, int64(p.ID))
}

// begin makes the subscription of a sale, as of the moment at which it was asked
// for, and the invoice of its first price.
func (b *book) begin(sale *billing.Sale, owner *billing.Customer, at time.Time, note string) (*billing.Subscription, *billing.Activity) {
	sub := &billing.Subscription{
		MerchantID: b.merchant.ID, ID: sale.SubscriptionID, AccountID: owner.AccountID, CustomerID: owner.ID, PlanID: sale.PlanID,
		PaymentMethodID: sale.MethodID, Note: note, CreatedAt: at, UpdatedAt: b.at,
	}
	sale.Terms.Begin(sub, b.merchant.Today(at))
	due := sub.Advance(nil)
	if !sub.NextDate.IsZero() {
		sub.NextAt = b.merchant.Start(sub.NextDate)
	}
	b.born = append(b.born, sub)
	b.event(billing.SubscriptionCreated, owner.ID, int64(sub.ID))
	invoice := b.post(&billing.Activity{AccountID: owner.AccountID, CustomerID: owner.ID, Kind: billing.Invoice, Amount: *sub.Initial,
		Tax: sub.PriceTax(0), Due: due.Date, SubscriptionID: sub.ID, Period: due.Period}, nil, "")
	if invoice.Open.IsZero() {
		invoice.AgeAt = time.Time{}
		b.paid[sub.ID] = true
	}
	b.event(billing.InvoiceIssued, owner.ID, int64(invoice.ID))
	return sub, invoice
}
