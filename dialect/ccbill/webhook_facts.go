package ccbill

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

// fact is all that a webhook is made of, read from the books.
type fact struct {
	event    string // its name on this wire (8.2)
	key      string // an endpoint is told of each key once
	merchant *billing.Merchant
	account  *billing.Account
	customer *billing.Customer
	at       time.Time

	number      string // of the subscription, as it is printed
	transaction string // number of the payment that it is about
	original    origins
	source      string
	reason      string
	response    billing.ResponseCode

	terms  price
	amount billing.Money

	next    billing.Date // of the next billing
	retry   billing.Date // of the next claim for what was declined
	renewal billing.Date // of the billing itself

	instrument  billing.Instrument
	masked      string
	expiry      string
	fingerprint []byte
	payer       billing.Address

	extra map[string]string // what the charge said beyond its parameters
}

// origins are the subscription whose card a sale was charged to.
type origins struct{ number, account, subaccount string }

// reading is the desk on which facts are put together.
type reading struct {
	*notify.Telling
	accounts []*billing.Account
}

// readers are the events of the books that mean something on this wire (8.4).
var readers = map[billing.EventKind]func(*reading, context.Context) ([]*fact, error){
	billing.PaymentApproved:         (*reading).payment,
	billing.PaymentPending:          (*reading).payment, // a bank debit counts when it is accepted; a later return is told as such
	billing.PaymentDeclined:         (*reading).declined,
	billing.PaymentReversed:         (*reading).reversed,
	billing.PaymentChargedBack:      (*reading).chargedBack,
	billing.SubscriptionCreated:     (*reading).freeSale,
	billing.SubscriptionChanged:     (*reading).cancelled,
	billing.SubscriptionRescheduled: (*reading).rescheduled,
	billing.SubscriptionReactivated: (*reading).reactivated,
	billing.SubscriptionEnded:       (*reading).ended,
	billing.CustomerChanged:         (*reading).customerChanged,
	billing.PaymentMethodChanged:    (*reading).methodChanged,
}

// read finds what an event means on this wire, if anything: only subscriptions
// that have a number of this wire are told of.
func read(ctx context.Context, t *notify.Telling) ([]*fact, error) {
	r := &reading{Telling: t}
	if t.Event.CustomerID == 0 {
		return nil, nil
	}
	var err error
	if r.accounts, err = t.View.Accounts(ctx); err != nil {
		return nil, err
	}
	return readers[t.Event.Kind](r, ctx)
}

// begin is a fact about the event's customer.
func (r *reading) begin(ctx context.Context, event, key string) (*fact, error) {
	c, err := r.View.Customer(ctx, r.Event.CustomerID)
	if err != nil {
		return nil, err
	}
	f := &fact{event: event, key: event + "/" + key, merchant: r.Merchant, customer: c, at: r.Event.CreatedAt,
		account: r.accountOf(c.AccountID), amount: r.Merchant.Money(0)}
	return f, nil
}

func (r *reading) accountOf(id billing.AccountID) *billing.Account {
	for _, a := range r.accounts {
		if a.ID == id {
			return a
		}
	}
	return &billing.Account{ID: id}
}

// subscription is a fact about a subscription, nil if it has no number.
func (r *reading) subscription(ctx context.Context, id billing.SubscriptionID, event, key string) (*fact, *billing.Subscription, error) {
	if id == 0 {
		return nil, nil, nil
	}
	numbers, err := r.View.Numbers(ctx, store.SubscriptionNumber, []int64{int64(id)})
	if err != nil || numbers[int64(id)] == "" {
		return nil, nil, err
	}
	sub, err := r.View.Subscription(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	f, err := r.begin(ctx, event, key)
	if err != nil {
		return nil, nil, err
	}
	f.number, f.account = printedNumber(numbers[int64(id)]), r.accountOf(sub.AccountID)
	open, err := r.View.OpenAdjustments(ctx, []billing.SubscriptionID{id})
	f.next = sub.NextBilling(open[id])
	return f, sub, err
}

// printedNumber is a kept number as it is printed, however it was kept.
func printedNumber(kept string) string {
	form, _ := Canonical(kept)
	return Printed(form)
}

// one is a list of what there is.
func one(f *fact, err error) ([]*fact, error) {
	if f == nil || err != nil {
		return nil, err
	}
	return []*fact{f}, nil
}

// with takes over what a payment was made with, and its number.
func (r *reading) with(ctx context.Context, f *fact, a *billing.Attempt) (err error) {
	f.instrument, f.masked, f.expiry, f.payer = a.Instrument, a.Masked, a.Expiry, a.Payer.Address
	f.response, f.extra = a.Response, a.Details.Extra
	if a.PaymentMethodID != 0 {
		m, err := r.View.PaymentMethod(ctx, a.PaymentMethodID)
		if err != nil {
			return err
		}
		f.fingerprint = m.Fingerprint
	}
	if a.Details.Sale != nil {
		f.transaction = printedNumber(a.Details.Sale.Number)
		return nil
	}
	number, err := r.Number(ctx, a.ID, func() string { return numberAt(a.CreatedAt, paymentKind(r.Merchant, a.Instrument)) })
	f.transaction = printedNumber(number)
	return err
}

// paid is the payment that the event is about and the attempt behind it; nil if
// no processor was asked.
func (r *reading) paid(ctx context.Context) (*billing.Activity, *billing.Attempt, error) {
	pay, err := r.View.Activity(ctx, billing.ActivityID(r.Event.ObjectID))
	if err != nil || pay.AttemptID == 0 {
		return pay, nil, err
	}
	a, err := r.View.Attempt(ctx, pay.AttemptID)
	return pay, a, err
}

// payment is a sale or a renewal.
func (r *reading) payment(ctx context.Context) ([]*fact, error) {
	pay, a, err := r.paid(ctx)
	if err != nil || a == nil || a.Kind != billing.AskCharge {
		return nil, err
	}
	key := strconv.FormatInt(int64(a.ID), 10)
	if sale := a.Details.Sale; sale != nil {
		f, _, err := r.subscription(ctx, sale.SubscriptionID, "NewSaleSuccess", key)
		if f == nil || err != nil {
			return nil, err
		}
		f.terms, f.amount = price{sale.Terms}, pay.Amount
		if err := r.origin(ctx, f, sale, "UpSaleSuccess"); err != nil {
			return nil, err
		}
		return one(f, r.with(ctx, f, a))
	}
	if !a.Claim {
		return nil, nil
	}
	f, _, err := r.subscription(ctx, a.SubscriptionID, "RenewalSuccess", key)
	if f == nil || err != nil {
		return nil, err
	}
	f.amount, f.renewal = pay.Amount, dayOf(f.at)
	return one(f, r.with(ctx, f, a))
}

// origin makes a sale that was charged by an earlier transaction an upsale
// through the API (8.4).
func (r *reading) origin(ctx context.Context, f *fact, sale *billing.Sale, event string) error {
	if sale.Previous == "" {
		return nil
	}
	if sale.Replaces != 0 {
		event = strings.Replace(event, "UpSale", "Upgrade", 1)
	}
	f.event, f.source = event, "API"
	f.original.number = printedNumber(sale.Previous)
	found, err := r.View.Numbered(ctx, sale.Previous)
	if err != nil {
		return err
	}
	var account billing.AccountID
	switch {
	case found[store.SubscriptionNumber] != 0:
		sub, err := r.View.Subscription(ctx, billing.SubscriptionID(found[store.SubscriptionNumber]))
		if err != nil {
			return err
		}
		account = sub.AccountID
	case found[store.PaymentMethodNumber] != 0:
		m, err := r.View.PaymentMethod(ctx, billing.PaymentMethodID(found[store.PaymentMethodNumber]))
		if err != nil {
			return err
		}
		account = m.AccountID
	default:
		return nil // another main account's, whose books these are not
	}
	f.original.account, f.original.subaccount = r.Merchant.Code, r.accountOf(account).Code
	return nil
}

// declined is a sale or renewal that was refused, or a bank debit that came back.
func (r *reading) declined(ctx context.Context) ([]*fact, error) {
	pay, a, err := r.paid(ctx)
	if err != nil || a == nil || a.Kind != billing.AskCharge {
		return nil, err
	}
	if pay.AdjustedBy != 0 {
		no, err := r.View.Activity(ctx, pay.AdjustedBy)
		if err != nil {
			return nil, err
		}
		if no.State == billing.Posted { // what had been accepted was taken back
			return r.takenBack(ctx, pay, a, no, "Return")
		}
	}
	key := strconv.FormatInt(int64(a.ID), 10)
	if sale := a.Details.Sale; sale != nil {
		f, err := r.begin(ctx, "NewSaleFailure", key)
		if err != nil {
			return nil, err
		}
		f.terms, f.amount = price{sale.Terms}, a.Amount
		if err := r.origin(ctx, f, sale, "UpSaleFailure"); err != nil {
			return nil, err
		}
		return one(f, r.with(ctx, f, a))
	}
	if !a.Claim {
		return nil, nil
	}
	f, _, err := r.subscription(ctx, a.SubscriptionID, "RenewalFailure", key)
	if f == nil || err != nil {
		return nil, err
	}
	f.renewal = dayOf(f.at)
	debts, err := r.View.ActivitiesByID(ctx, a.Details.Targets)
	if err != nil {
		return nil, err
	}
	for _, d := range debts {
		if !d.CollectAt.IsZero() && (f.retry.IsZero() || dayOf(d.CollectAt).Before(f.retry)) {
			f.retry = dayOf(d.CollectAt)
		}
	}
	return one(f, r.with(ctx, f, a))
}

// dayOf is the day of an instant on this wire.
func dayOf(at time.Time) billing.Date { return billing.DateOf(at.In(zone)) }

// takenBack is a payment that was given or taken back by another activity.
func (r *reading) takenBack(ctx context.Context, pay *billing.Activity, a *billing.Attempt, by *billing.Activity, event string) ([]*fact, error) {
	id := pay.SubscriptionID
	if id == 0 {
		id = a.SubscriptionID
	}
	f, _, err := r.subscription(ctx, id, event, strconv.FormatInt(int64(by.ID), 10))
	if f == nil || err != nil {
		return nil, err
	}
	f.amount, f.reason = by.Amount, by.Note
	err = r.with(ctx, f, a)
	f.extra = nil // it was told with the sale
	return one(f, err)
}

// reversed is a void or refund. The event names the payment, or where a part was
// given back what gave it.
func (r *reading) reversed(ctx context.Context) ([]*fact, error) {
	pay, a, err := r.paid(ctx)
	if err != nil || a == nil {
		return nil, err
	}
	by := pay
	switch {
	case a.Kind != billing.AskCharge && a.Parent != 0:
		if a, err = r.View.Attempt(ctx, a.Parent); err != nil {
			return nil, err
		}
		pay, err = r.View.Activity(ctx, a.ActivityID)
	case a.Kind == billing.AskCharge && pay.AdjustedBy != 0:
		by, err = r.View.Activity(ctx, pay.AdjustedBy)
	default:
		return nil, nil // money that was paid out for nothing that was paid in
	}
	if err != nil {
		return nil, err
	}
	event, reason := "Refund", "Refunded through Data Link: subscriptionManagement.cgi"
	if by.Kind == billing.Void {
		event, reason = "Void", "Transaction Voided"
	}
	facts, err := r.takenBack(ctx, pay, a, by, event)
	for _, f := range facts {
		f.source = "api"
		if f.reason == "" {
			f.reason = reason
		}
	}
	return facts, err
}

// mostLookedThrough bounds how many chargebacks, or refunds, of one customer are
// looked through.
const mostLookedThrough = 1000

// chargedBack is a payment that the cardholder's bank took back.
func (r *reading) chargedBack(ctx context.Context) ([]*fact, error) {
	pay, a, err := r.paid(ctx)
	if err != nil || a == nil {
		return nil, err
	}
	all, err := r.View.Activities(ctx, pay.CustomerID, store.ActivityFilter{Kind: billing.Chargeback, Page: store.Page{Limit: mostLookedThrough}})
	if err != nil {
		return nil, err
	}
	var by *billing.Activity
	for _, x := range all {
		if x.AttemptID == a.ID {
			by = x
		}
	}
	if by == nil {
		return nil, nil
	}
	return r.takenBack(ctx, pay, a, by, "Chargeback")
}

// freeSale is a sale whose first price is nought, for which nobody was asked.
// Where it came from is not kept, and so not told.
func (r *reading) freeSale(ctx context.Context) ([]*fact, error) {
	f, sub, err := r.subscription(ctx, billing.SubscriptionID(r.Event.ObjectID), "UpSaleSuccess", strconv.FormatInt(r.Event.ObjectID, 10))
	if f == nil || err != nil || sub.Initial == nil || !sub.Initial.IsZero() || !sub.SignedUpAt.IsZero() {
		return nil, err // paid sales are told with their payment, and what moved here was sold elsewhere
	}
	f.terms = price{termsOf(sub)}
	f.transaction, f.source = f.number, "API"
	return one(f, r.method(ctx, f, sub.PaymentMethodID))
}

// termsOf are the terms that a subscription was sold on.
func termsOf(s *billing.Subscription) billing.Terms {
	t := billing.Terms{Currency: s.Amount.Currency(), Initial: s.Initial.Minor(), Recurring: s.Amount.Minor(), Rebills: billing.Endless,
		InitialDays: s.BillingDate(1).DaysSince(s.FirstDate), RecurringDays: s.BillingDate(2).DaysSince(s.BillingDate(1))}
	if s.Term == billing.Fixed {
		t.Rebills = s.Length - 1
	}
	return t
}

// method takes over what will be paid with.
func (r *reading) method(ctx context.Context, f *fact, id billing.PaymentMethodID) error {
	m, err := r.View.PaymentMethod(ctx, id)
	if err != nil {
		return err
	}
	f.instrument, f.masked, f.expiry, f.fingerprint, f.payer = m.Instrument, m.Masked, m.Expiry, m.Fingerprint, m.Address
	return nil
}

// mostAdjustments bounds how many changes of one subscription are looked through.
const mostAdjustments = 1000

// cancelled is a cancellation, if a change of the subscription was or brought
// one. It is told once, now or when the subscription ends.
func (r *reading) cancelled(ctx context.Context) ([]*fact, error) {
	id := billing.SubscriptionID(r.Event.ObjectID)
	f, _, err := r.subscription(ctx, id, "Cancellation", "")
	if f == nil || err != nil {
		return nil, err
	}
	all, err := r.View.Adjustments(ctx, id, store.Page{Limit: mostAdjustments})
	if err != nil {
		return nil, err
	}
	var last *billing.Adjustment
	for i := range all {
		if all[i].Kind == billing.Cancel {
			last = &all[i]
		}
	}
	if last == nil {
		return nil, nil
	}
	f.key += strconv.FormatInt(int64(last.ID), 10)
	f.source, f.reason = "api", last.Note
	if !last.End.IsZero() { // it ended at once, because its transaction was given back
		if f.reason, err = r.givenBack(ctx, id); err != nil {
			return nil, err
		}
	}
	if f.reason == "" && last.Note == cashier.ReplacedNote {
		f.reason = "Upgraded"
	}
	if f.reason == "" {
		f.reason = "Cancelled"
	}
	return one(f, nil)
}

// givenBack says how a transaction of a subscription was given back, "" if none
// was.
func (r *reading) givenBack(ctx context.Context, id billing.SubscriptionID) (string, error) {
	for _, how := range []struct {
		kind   billing.ActivityKind
		reason string
	}{{billing.Void, "Transaction Voided"}, {billing.Refund, "Transaction Refunded"}} {
		list, err := r.View.Activities(ctx, r.Event.CustomerID, store.ActivityFilter{Kind: how.kind, Page: store.Page{Limit: mostLookedThrough}})
		if err != nil {
			return "", err
		}
		for _, a := range list {
			if a.SubscriptionID == id {
				return how.reason, nil
			}
		}
	}
	return "", nil
}

// ended is the end of access.
func (r *reading) ended(ctx context.Context) ([]*fact, error) {
	before, err := r.cancelled(ctx)
	if err != nil {
		return nil, err
	}
	f, _, err := r.subscription(ctx, billing.SubscriptionID(r.Event.ObjectID), "Expiration", strconv.FormatInt(int64(r.Event.ID), 10))
	if f == nil || err != nil {
		return nil, err
	}
	return append(before, f), nil
}

// rescheduled is a new date of the next billing.
func (r *reading) rescheduled(ctx context.Context) ([]*fact, error) {
	f, _, err := r.subscription(ctx, billing.SubscriptionID(r.Event.ObjectID), "BillingDateChange", strconv.FormatInt(int64(r.Event.ID), 10))
	if f == nil || f.next.IsZero() {
		return nil, err
	}
	return one(f, err)
}

// reactivated is a cancellation that was taken back.
func (r *reading) reactivated(ctx context.Context) ([]*fact, error) {
	f, sub, err := r.subscription(ctx, billing.SubscriptionID(r.Event.ObjectID), "UserReactivation", strconv.FormatInt(int64(r.Event.ID), 10))
	if f == nil || err != nil {
		return nil, err
	}
	f.transaction = f.number
	f.amount, err = sub.Price(sub.Period)
	return one(f, err)
}

// customerChanged is new data of a customer.
func (r *reading) customerChanged(ctx context.Context) ([]*fact, error) { return r.newData(ctx, 0) }

// methodChanged is new data of a card. That the bank wants new data is none.
func (r *reading) methodChanged(ctx context.Context) ([]*fact, error) {
	m, err := r.View.PaymentMethod(ctx, billing.PaymentMethodID(r.Event.ObjectID))
	if err != nil || m.Stale {
		return nil, err
	}
	return r.newData(ctx, m.ID)
}

// mostSubscriptions bounds how many subscriptions of one customer are told of.
const mostSubscriptions = 100

// newData tells of the customer's subscriptions, those that a payment method pays
// if one is given.
func (r *reading) newData(ctx context.Context, method billing.PaymentMethodID) ([]*fact, error) {
	subs, err := r.View.Subscriptions(ctx, r.Event.CustomerID, store.SubscriptionFilter{Page: store.Page{Limit: mostSubscriptions}})
	if err != nil {
		return nil, err
	}
	var facts []*fact
	for _, sub := range subs {
		if sub.Ended() || method != 0 && sub.PaymentMethodID != method {
			continue
		}
		key := strconv.FormatInt(int64(r.Event.ID), 10) + "/" + strconv.FormatInt(int64(sub.ID), 10)
		f, _, err := r.subscription(ctx, sub.ID, "CustomerDataUpdate", key)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		if err := r.method(ctx, f, sub.PaymentMethodID); err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	return facts, nil
}
