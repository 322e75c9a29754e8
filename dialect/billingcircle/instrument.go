package billingcircle

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// paysBy is how a client pays: as the request says, or as it stands.
func (x *exchange) paysBy() string {
	if by := x.params.get("c_chargemethod"); by != "" {
		return by
	}
	if x.customer != nil && x.customer.Profile.PaysBy != "" {
		return x.customer.Profile.PaysBy
	}
	return byCard
}

// chargeMethod is how a client pays, for one of whom it was never said by what is
// kept of it.
func chargeMethod(c *billing.Customer, m *billing.PaymentMethod) string {
	switch {
	case m != nil && m.Instrument.IsBank():
		return byBank
	case m != nil && m.Instrument.IsCard():
		return byCard
	case c.Profile.PaysBy != "":
		return c.Profile.PaysBy
	}
	return byHand
}

// kept is the card or bank account with which the client is paid, nil if there is
// none.
func (x *exchange) kept(ctx context.Context) (m *billing.PaymentMethod, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		m, err = keptOf(ctx, v, x.customer.ID)
		return err
	})
	return m, err
}

func keptOf(ctx context.Context, v *store.View, c billing.CustomerID) (*billing.PaymentMethod, error) {
	list, err := v.VaultedMethods(ctx, c)
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Active {
			return list[i], err
		}
	}
	return nil, err
}

// instrument is the card or bank account that a request brings for a client, nil
// if it pays by hand. before is what it was paid with, nil if nothing: what the
// request leaves out of a card is as it was.
func (x *exchange) instrument(c *billing.Customer, before *billing.PaymentMethod) (*cashier.MethodRequest, error) {
	p := x.params
	r := &cashier.MethodRequest{Address: c.Address, Phone: c.Phone, Email: c.Email}
	switch by := x.paysBy(); by {
	case byHand:
		c.Profile.PaysBy = byHand
		return nil, nil
	case byBank:
		c.Profile.PaysBy = byBank
		r.Instrument, r.Number, r.Routing, r.Holder = billing.Checking, billing.NewSecret(p.get("c_bankacctnum")), p.get("c_bankabacode"), p.get("c_bankacctname")
		if p.get("c_bankaccttype") == "SAVINGS" {
			r.Instrument = billing.Savings
		}
		r.Details = billing.MethodDetails{BankName: p.get("c_bankname"), AccountType: p.get("c_bankaccttype")}
	default:
		c.Profile.PaysBy = byCard
		number := cardDigits(p.get("c_ccnumber"))
		r.Instrument, _ = billing.BrandOf(number) // the rule of the field has looked at it
		r.Number, r.Holder = billing.NewSecret(number), p.get("c_ccname")
		var err error
		if r.Expiry, err = x.expiry(before); err != nil {
			return nil, err
		}
		if r.Holder == "" && before != nil {
			r.Holder = before.Holder
		}
	}
	return r, nil
}

// expiry is the expiry date that a request gives a card, MMYY: what it leaves out
// is as it was. One that is past is refused.
func (x *exchange) expiry(before *billing.PaymentMethod) (string, error) {
	month, year := x.params.get("c_ccexpmonth"), x.params.get("c_ccexpyear")
	if before != nil && billing.CheckExpiry(before.Expiry) {
		if month == "" {
			month = before.Expiry[:2]
		}
		if year == "" {
			year = "20" + before.Expiry[2:]
		}
	}
	m, err1 := strconv.Atoi(month)
	y, err2 := strconv.Atoi(year)
	today := x.session.Today()
	switch {
	case err1 != nil:
		return "", refuse(missing, "c_ccexpmonth")
	case err2 != nil:
		return "", refuse(missing, "c_ccexpyear")
	case y < today.Year || y > today.Year+50:
		return "", refuse(invalid, "c_ccexpyear")
	case y == today.Year && m < int(today.Month):
		return "", refuse(invalid, "c_ccexpmonth")
	}
	return fmt.Sprintf("%02d%02d", m, y%100), nil
}

// payment is what modifyclient changes of how a client pays: a new card or account
// takes the place of the old one, and what is not its number can be changed alone
// (3.1).
func (x *exchange) payment(ctx context.Context) (change cashier.ClientChange, err error) {
	before, err := x.kept(ctx)
	if err != nil {
		return change, err
	}
	by, was := x.paysBy(), chargeMethod(x.customer, before)
	if by == byHand {
		change.Manual = was != byHand
		return change, nil
	}
	number := map[string]string{byCard: "c_ccnumber", byBank: "c_bankacctnum"}[by]
	moved := x.params.has(number) || by == byBank && (x.params.has("c_bankabacode") || x.params.has("c_bankaccttype"))
	if before == nil || by != was { // all that it takes must come
		if by == was && !x.names(by) {
			return change, nil
		}
		moved, before = true, nil
	}
	if moved {
		for _, name := range instrumentFields(by) {
			if !x.params.has(name) && (before == nil || by == byBank || name == "c_ccnumber") {
				return change, refuse(missing, name)
			}
		}
		after := *x.customer
		if err := x.describe(&after); err != nil {
			return change, err
		}
		change.Method, err = x.instrument(&after, before)
		return change, err
	}
	expiry := before.Expiry
	if by == byCard && (x.params.has("c_ccexpmonth") || x.params.has("c_ccexpyear")) {
		if expiry, err = x.expiry(before); err != nil {
			return change, err
		}
	}
	after := *x.customer
	if err := x.describe(&after); err != nil {
		return change, err
	}
	change.Amend = func(m *billing.PaymentMethod) error {
		m.Expiry, m.Address, m.Phone, m.Email = expiry, after.Address, after.Phone, after.Email
		for name, into := range map[string]*string{"c_ccname": &m.Holder, "c_bankacctname": &m.Holder, "c_bankname": &m.Details.BankName} {
			if x.params.has(name) && strings.HasPrefix(name, "c_cc") == (by == byCard) {
				*into = x.params.get(name)
			}
		}
		return nil
	}
	return change, nil
}

// names reports whether a request has a field of what is paid with.
func (x *exchange) names(by string) bool {
	for _, name := range instrumentFields(by) {
		if x.params.has(name) {
			return true
		}
	}
	return false
}

// instrumentFailure puts the blame for a card or account that the core refuses on
// the field that has it.
func instrumentFailure(err error, by string) error {
	var e *billing.Error
	if !errors.As(err, &e) || e.Kind != billing.Invalid && e.Kind != billing.Missing {
		return err
	}
	names := map[string]string{"type": "c_ccnumber", "accountNumber": "c_ccnumber", "accountAccessory": "c_ccexpmonth"}
	if by == byBank {
		names = map[string]string{"type": "c_bankaccttype", "accountNumber": "c_bankacctnum", "accountAccessory": "c_bankabacode"}
	}
	if name, ok := names[e.Field]; ok {
		return refuse(wrongInstrument, name)
	}
	return err
}
