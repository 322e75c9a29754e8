package billingcircle

import (
	"context"
	"fmt"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// fetchClient tells all that is known of a client, as one query string, empty
// values left out (3.4).
func fetchClient(ctx context.Context, x *exchange) (*answer, error) {
	id, err := x.clientID(ctx, x.customer)
	if err != nil {
		return nil, err
	}
	var method *billing.PaymentMethod
	var last string
	err = x.session.Books.View(ctx, func(v *store.View) error {
		if method, err = keptOf(ctx, v, x.customer.ID); err != nil {
			return err
		}
		last, err = lastStatus(ctx, v, x.customer)
		return err
	})
	if err != nil {
		return nil, err
	}
	c := x.customer
	var q query
	q.add("clientid", id)
	q.add("merchantid", c.Code)
	q.add("company", c.Organization)
	q.add("firstname", c.FirstName)
	q.add("lastname", c.LastName)
	q.add("address1", c.Address.Street1)
	q.add("address2", c.Address.Street2)
	q.add("city", c.Address.City)
	q.add("state", c.Address.State)
	q.add("postal", c.Address.PostalCode)
	q.add("country", c.Address.Country)
	q.add("phone", c.Phone)
	q.add("fax", c.Profile.Fax)
	q.add("email", c.Email)
	q.add("saddress1", c.Profile.Shipping.Street1)
	q.add("saddress2", c.Profile.Shipping.Street2)
	q.add("scity", c.Profile.Shipping.City)
	q.add("sstate", c.Profile.Shipping.State)
	q.add("spostal", c.Profile.Shipping.PostalCode)
	q.add("scountry", c.Profile.Shipping.Country)
	q.add("chargemethod", chargeMethod(c, method))
	q.add("status", string(standingOf(c)))
	q.instrument(method)
	q.add("lasttransstatus", last)
	q.add("datecreated", x.session.Merchant.Today(c.CreatedAt).String())
	for i, value := range c.Profile.Custom {
		q.add(strings.TrimPrefix(customName(i), "c_"), value)
	}
	return success(q.String()), nil
}

// instrument adds what may be shown of what a client is paid with.
func (q *query) instrument(m *billing.PaymentMethod) {
	switch {
	case m == nil:
	case m.Instrument.IsBank():
		q.add("bankname", m.Details.BankName)
		q.add("bankacctname", m.Holder)
		q.add("bankabacode", m.Routing)
		q.add("bankacctnum", lastFour(m.Masked))
		q.add("bankaccttype", accountType(m))
	default:
		q.add("ccname", m.Holder)
		q.add("ccnumber", lastFour(m.Masked))
		if billing.CheckExpiry(m.Expiry) {
			q.add("ccexpmonth", m.Expiry[:2])
			q.add("ccexpyear", fmt.Sprintf("20%s", m.Expiry[2:]))
		}
	}
}

// accountType is the kind of a bank account in this wire's words.
func accountType(m *billing.PaymentMethod) string {
	switch {
	case m.Details.AccountType != "":
		return m.Details.AccountType
	case m.Instrument == billing.Savings:
		return "SAVINGS"
	}
	return "CHECKING"
}

// lastFour is all of a number that ever comes back (1).
func lastFour(masked string) string {
	shown := strings.TrimLeft(masked, "*•xX.")
	if len(shown) > 4 {
		shown = shown[len(shown)-4:]
	}
	return shown
}
