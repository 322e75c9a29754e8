package recurly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/notify"
)

// Push is how Recurly tells events (protocols/recurly-v1.md 14): one XML document
// for each, one after the other in the order of their creation.
func Push() *notify.Form {
	return &notify.Form{
		Dialect: Name,
		Policy:  notify.Policy{Pauses: pauses(), Timeout: 30 * time.Second, Lifetime: 31 * 24 * time.Hour},
		Tells:   func(k billing.EventKind) bool { return tellers[k] != nil },
		Encode:  push,
		Check:   func(text json.RawMessage) error { _, err := readEndpoint(text); return err },
	}
}

// tries is how often a message is sent (14).
const tries = 10

// pauses are the waits before each resend: 10 + n^4 seconds before the n-th.
func pauses() (list []time.Duration) {
	for n := 1; n < tries; n++ {
		list = append(list, time.Duration(10+n*n*n*n)*time.Second)
	}
	return list
}

// The messages, by their root elements.
const (
	accountCreated       = "new_account_notification"
	updatedAccount       = "updated_account_notification"
	canceledAccount      = "canceled_account_notification"
	billingInfoUpdated   = "billing_info_updated_notification"
	reactivatedAccount   = "reactivated_account_notification"
	newSubscription      = "new_subscription_notification"
	updatedSubscription  = "updated_subscription_notification"
	canceledSubscription = "canceled_subscription_notification"
	expiredSubscription  = "expired_subscription_notification"
	renewedSubscription  = "renewed_subscription_notification"
	successfulPayment    = "successful_payment_notification"
	failedPayment        = "failed_payment_notification"
	successfulRefund     = "successful_refund_notification"
	voidPayment          = "void_payment_notification"
)

// messageNames are all of them.
var messageNames = []string{accountCreated, updatedAccount, canceledAccount, billingInfoUpdated, reactivatedAccount, newSubscription,
	updatedSubscription, canceledSubscription, expiredSubscription, renewedSubscription, successfulPayment, failedPayment,
	successfulRefund, voidPayment}

// endpoint is the settings of where messages go.
type endpoint struct {
	Events []string `json:"events"` // root elements, with or without _notification; none is all of them
}

func readEndpoint(text json.RawMessage) (e endpoint, err error) {
	if len(text) == 0 {
		return e, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil && !errors.Is(err, io.EOF) {
		return e, billing.FieldError(billing.Invalid, "settings", "must have the key events, a list of names")
	}
	for _, name := range e.Events {
		if !slices.Contains(messageNames, strings.TrimSuffix(name, "_notification")+"_notification") {
			return e, billing.FieldError(billing.Invalid, "events", "events must be names of: %s", strings.Join(messageNames, ", "))
		}
	}
	return e, nil
}

func (e endpoint) wants(name string) bool {
	return len(e.Events) == 0 || slices.Contains(e.Events, name) || slices.Contains(e.Events, strings.TrimSuffix(name, "_notification"))
}

// told is one message: its root element, what of it is told once, and what stands
// beside the account.
type told struct {
	name, key    string
	subscription *billing.Subscription
	transaction  billing.AttemptID
}

// teller is the desk on which messages are put together.
type teller struct {
	*notify.Telling
	customer *billing.Customer
}

// tellers are the events of the books that mean something on this wire.
var tellers = map[billing.EventKind]func(*teller, context.Context) ([]told, error){
	billing.CustomerCreated:         (*teller).created,
	billing.CustomerReopened:        (*teller).created,
	billing.CustomerChanged:         (*teller).changed,
	billing.CustomerClosed:          (*teller).closed,
	billing.PaymentMethodAdded:      (*teller).infoUpdated,
	billing.PaymentMethodChanged:    (*teller).infoUpdated,
	billing.SubscriptionCreated:     (*teller).subscribed,
	billing.SubscriptionChanged:     (*teller).subscriptionChanged,
	billing.SubscriptionReactivated: (*teller).reactivated,
	billing.SubscriptionEnded:       (*teller).ended,
	billing.InvoiceIssued:           (*teller).invoiced,
	billing.PaymentApproved:         (*teller).paid,
	billing.PaymentPending:          (*teller).paid,
	billing.PaymentDeclined:         (*teller).declined,
	billing.PaymentReversed:         (*teller).reversed,
}

// lane is the one in which all messages of an endpoint go, in their order.
const lane = 1

// push turns an event into messages, for each endpoint.
func push(ctx context.Context, t *notify.Telling) ([]notify.Message, error) {
	if t.Event.CustomerID == 0 {
		return nil, nil
	}
	w := &teller{Telling: t}
	var err error
	if w.customer, err = t.View.Customer(ctx, t.Event.CustomerID); err != nil {
		return nil, err
	}
	all, err := tellers[t.Event.Kind](w, ctx)
	if err != nil {
		return nil, err
	}
	var list []notify.Message
	for _, one := range all {
		body, err := w.document(ctx, one)
		if err != nil {
			return nil, err
		}
		for _, to := range t.Endpoints {
			e, err := readEndpoint(to.Settings)
			if err != nil {
				return nil, err
			}
			if to.AccountID != 0 && to.AccountID != w.customer.AccountID || !e.wants(one.name) {
				continue
			}
			list = append(list, notify.Message{To: to.ID, Key: one.name + "/" + one.key, Kind: one.name, Customer: w.customer.ID, Lane: lane,
				ContentType: "application/xml; charset=utf-8", Body: []byte(body)})
		}
	}
	return list, nil
}

// document writes a message.
func (w *teller) document(ctx context.Context, one told) (string, error) {
	d := newDocument()
	var sub *subscriptionView
	var move *transactionView
	var err error
	if one.subscription != nil {
		if sub, err = viewSubscription(ctx, w.View, w.Merchant, w.customer, one.subscription); err != nil {
			return "", err
		}
	}
	if one.transaction != 0 {
		t, err := w.View.Transaction(ctx, one.transaction)
		if err != nil {
			return "", err
		}
		move = viewTransaction(w.Merchant, "", t, false)
	}
	d.within(one.name, "", func() {
		d.within("account", "", func() { d.accountTexts(w.customer) })
		if sub != nil {
			d.within("subscription", "", func() { d.subscriptionFields(sub) })
		}
		if move != nil {
			d.within("transaction", "", func() {
				d.text("id", shown(moveKind, int64(move.ID)))
				d.transactionFields(move, w.Event.CreatedAt, false)
			})
		}
	})
	return d.String(), nil
}

// once is a key for what an event alone tells.
func (w *teller) once() string { return strconv.FormatInt(int64(w.Event.ID), 10) }

func (w *teller) created(context.Context) ([]told, error) {
	return []told{{name: accountCreated, key: w.once()}}, nil
}

func (w *teller) changed(context.Context) ([]told, error) {
	return []told{{name: updatedAccount, key: w.once()}}, nil
}

func (w *teller) closed(context.Context) ([]told, error) {
	return []told{{name: canceledAccount, key: w.once()}}, nil
}

// infoUpdated is billing information that was set. That the bank wants new data of
// a card is none.
func (w *teller) infoUpdated(ctx context.Context) ([]told, error) {
	m, err := w.View.PaymentMethod(ctx, billing.PaymentMethodID(w.Event.ObjectID))
	if err != nil || !m.Active || m.Stale {
		return nil, err
	}
	return []told{{name: billingInfoUpdated, key: w.once()}}, nil
}

// about is a message about the subscription that the event names.
func (w *teller) about(ctx context.Context, name string) ([]told, error) {
	s, err := w.View.Subscription(ctx, billing.SubscriptionID(w.Event.ObjectID))
	if err != nil {
		return nil, err
	}
	return []told{{name: name, key: w.once(), subscription: s}}, nil
}

func (w *teller) subscribed(ctx context.Context) ([]told, error) {
	return w.about(ctx, newSubscription)
}

func (w *teller) reactivated(ctx context.Context) ([]told, error) {
	return w.about(ctx, reactivatedAccount)
}

func (w *teller) ended(ctx context.Context) ([]told, error) { return w.about(ctx, expiredSubscription) }

// subscriptionChanged is another price or plan, or a cancellation. One that waits for
// the renewal is told with that (7.4).
func (w *teller) subscriptionChanged(ctx context.Context) ([]told, error) {
	s, err := w.View.Subscription(ctx, billing.SubscriptionID(w.Event.ObjectID))
	if err != nil || s.Ended() || s.Change != nil { // its end is an event of its own, and what waits is told when it is billed
		return nil, err
	}
	open, err := w.View.OpenAdjustments(ctx, []billing.SubscriptionID{s.ID})
	if err != nil {
		return nil, err
	}
	name := updatedSubscription
	for _, a := range open[s.ID] {
		if a.Kind == billing.Cancel {
			name = canceledSubscription
		}
	}
	return []told{{name: name, key: w.once(), subscription: s}}, nil
}

// renewal is a message about the renewal that an invoice bills, none if it bills
// none. Whatever tells of it, it is told once.
func (w *teller) renewal(ctx context.Context, invoice *billing.Activity) ([]told, error) {
	if invoice.Kind != billing.Invoice || invoice.SubscriptionID == 0 || invoice.Period < 1 || !invoice.Open.IsZero() {
		return nil, nil
	}
	s, err := w.View.Subscription(ctx, invoice.SubscriptionID)
	if err != nil {
		return nil, err
	}
	return []told{{name: renewedSubscription, key: strconv.FormatInt(int64(invoice.ID), 10), subscription: s}}, nil
}

// invoiced is a renewal for which nothing had to be paid.
func (w *teller) invoiced(ctx context.Context) ([]told, error) {
	invoice, err := w.View.Activity(ctx, billing.ActivityID(w.Event.ObjectID))
	if err != nil {
		return nil, err
	}
	return w.renewal(ctx, invoice)
}

// move is the activity that the event names and the attempt behind it, nil if no
// processor was asked.
func (w *teller) move(ctx context.Context) (*billing.Activity, *billing.Attempt, error) {
	a, err := w.View.Activity(ctx, billing.ActivityID(w.Event.ObjectID))
	if err != nil || a.AttemptID == 0 {
		return a, nil, err
	}
	attempt, err := w.View.Attempt(ctx, a.AttemptID)
	return a, attempt, err
}

// paid is a payment, and the renewal that it pays for.
func (w *teller) paid(ctx context.Context) ([]told, error) {
	pay, attempt, err := w.move(ctx)
	if err != nil || attempt == nil || attempt.Kind != billing.AskCharge {
		return nil, err
	}
	debts, err := w.View.ActivitiesByID(ctx, attempt.Details.Targets)
	if err != nil {
		return nil, err
	}
	var list []told
	for _, d := range debts {
		if !attempt.Claim {
			break // what is paid at once is no renewal
		}
		more, err := w.renewal(ctx, d)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return append(list, told{name: successfulPayment, key: strconv.FormatInt(int64(pay.ID), 10), transaction: attempt.ID}), nil
}

func (w *teller) declined(ctx context.Context) ([]told, error) {
	_, attempt, err := w.move(ctx)
	if err != nil || attempt == nil || attempt.Kind != billing.AskCharge {
		return nil, err
	}
	return []told{{name: failedPayment, key: w.once(), transaction: attempt.ID}}, nil
}

// reversed is a void or refund. The event names the payment, or where a part was
// given back what gave it.
func (w *teller) reversed(ctx context.Context) ([]told, error) {
	a, attempt, err := w.move(ctx)
	if err != nil || attempt == nil {
		return nil, err
	}
	by := a
	if attempt.Kind == billing.AskCharge {
		if a.AdjustedBy == 0 {
			return nil, nil
		}
		if by, err = w.View.Activity(ctx, a.AdjustedBy); err != nil {
			return nil, err
		}
	}
	if by.Kind == billing.Void {
		return []told{{name: voidPayment, key: w.once(), transaction: attempt.ID}}, nil
	}
	if by.AttemptID == 0 {
		return nil, nil
	}
	return []told{{name: successfulRefund, key: w.once(), transaction: by.AttemptID}}, nil
}
