package billingcircle

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

// ITN is how Billing Circle tells of transactions (6).
func ITN() *notify.Form {
	return &notify.Form{
		Dialect: Name,
		Policy: notify.Policy{
			Pauses:  []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 12 * time.Hour},
			Timeout: 15 * time.Second,
			Gone:    true,
		},
		Tells:  func(k billing.EventKind) bool { return readers[k] != nil },
		Encode: tell,
		Check:  checkEndpoint,
	}
}

// checkEndpoint refuses settings of an endpoint, for there are none.
func checkEndpoint(text json.RawMessage) error {
	if t := bytes.TrimSpace(text); len(t) > 0 && !bytes.Equal(t, []byte("{}")) && !bytes.Equal(t, []byte("null")) {
		return billing.FieldError(billing.Invalid, "settings", "must be left out: an ITN has none")
	}
	return nil
}

// The types of transaction that are told beside those of a bill's status (6).
const credited = "credit"

// fact is one transaction of one bill.
type fact struct {
	kind     string // success, credit, declined, closed or resubmitted
	move     string // names the transaction, for its number
	bill     *billing.Activity
	subtotal int64 // minor units, never less than nought
	tax      int64
	by       string // how is paid
}

// reading is the desk on which facts are put together.
type reading struct {
	*notify.Telling
	customer *billing.Customer
	method   string // how the client pays
}

// readers are the events of the books that mean something on this wire.
var readers = map[billing.EventKind]func(*reading, context.Context) ([]fact, error){
	billing.InvoiceIssued:      (*reading).free,
	billing.PaymentApproved:    (*reading).approved,
	billing.PaymentPending:     (*reading).pending,
	billing.PaymentDeclined:    (*reading).declined,
	billing.PaymentReversed:    (*reading).givenBack,
	billing.PaymentChargedBack: (*reading).givenBack,
	billing.ActivityRecorded:   (*reading).recorded,
}

// tell turns an event into messages, one for each transaction and endpoint. Those
// of a schedule go one after the other.
func tell(ctx context.Context, t *notify.Telling) ([]notify.Message, error) {
	if t.Event.CustomerID == 0 {
		return nil, nil
	}
	c, err := t.View.Customer(ctx, t.Event.CustomerID)
	if err != nil || c.Standing == billing.StandingGone {
		return nil, err
	}
	m, err := keptOf(ctx, t.View, c.ID)
	if err != nil {
		return nil, err
	}
	r := &reading{Telling: t, customer: c, method: chargeMethod(c, m)}
	facts, err := readers[t.Event.Kind](r, ctx)
	if err != nil {
		return nil, err
	}
	var list []notify.Message
	for _, f := range facts {
		if f.bill.SubscriptionID == 0 {
			continue // it is of no schedule
		}
		sub, err := t.View.Subscription(ctx, f.bill.SubscriptionID)
		if err != nil {
			return nil, err
		}
		if erased(sub) {
			continue
		}
		body, err := r.body(ctx, f, sub)
		if err != nil {
			return nil, err
		}
		for _, to := range t.Endpoints {
			if to.AccountID == 0 || to.AccountID == c.AccountID {
				list = append(list, notify.Message{To: to.ID, Key: f.kind + "/" + f.move, Kind: f.kind, Customer: c.ID, Lane: int64(sub.ID),
					ContentType: "application/x-www-form-urlencoded", Body: []byte(body)})
			}
		}
	}
	return list, nil
}

// body is the fields of a transaction; all of them are always there (6).
func (r *reading) body(ctx context.Context, f fact, sub *billing.Subscription) (string, error) {
	choices, err := readSettings(r.Merchant.Settings.Dialects[Name])
	if err != nil {
		return "", err
	}
	number := func(n store.Noun, name string, first int64) string {
		if err != nil {
			return ""
		}
		var numbers map[string]int64
		numbers, err = r.Count(ctx, n, []string{name}, first)
		return strconv.FormatInt(numbers[name], 10)
	}
	c, first, t := r.customer, choices.FirstNumbers, sub.ScheduleTerms()
	money := func(minor int64) string { return billing.Minor(minor, f.bill.Amount.Currency()).Decimal() }
	var q query
	q.always("type", f.kind)
	q.always("c_company", c.Organization)
	q.always("c_firstname", c.FirstName)
	q.always("c_lastname", c.LastName)
	q.always("c_address1", c.Address.Street1)
	q.always("c_address2", c.Address.Street2)
	q.always("c_city", c.Address.City)
	q.always("c_state", c.Address.State)
	q.always("c_zip", c.Address.PostalCode)
	q.always("c_country", c.Address.Country)
	q.always("c_phone", c.Phone)
	q.always("c_fax", c.Profile.Fax)
	q.always("c_email", c.Email)
	q.always("c_clientid", number(store.ClientNumber, strconv.FormatInt(int64(c.ID), 10), first.Client))
	q.always("c_merchantid", c.Code)
	for i := range customs {
		value := ""
		if i < len(c.Profile.Custom) {
			value = c.Profile.Custom[i]
		}
		q.always(customName(i), value)
	}
	q.always("c_chargemethod", f.by)
	q.always("s_scheduleid", number(store.ScheduleNumber, strconv.FormatInt(int64(sub.ID), 10), first.Schedule))
	q.always("s_interval", intervalOf(t))
	q.always("s_recurringtype", kindOf(t))
	q.always("s_title", t.Title)
	q.always("t_invoiceid", number(store.BillNumber, strconv.FormatInt(int64(f.bill.ID), 10), first.Invoice))
	q.always("t_transactionid", number(store.TransactionNumber, f.move, first.Transaction))
	q.always("t_subtotal", money(f.subtotal))
	q.always("t_taxtotal", money(f.tax))
	q.always("t_grandtotal", money(f.subtotal+f.tax))
	return q.String(), err
}
