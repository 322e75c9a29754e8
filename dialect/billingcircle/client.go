package billingcircle

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// ref names the client of a request to a verb.
func (x *exchange) ref() cashier.Ref { return cashier.Ref{ID: int64(x.customer.ID)} }

// clientID is the number of the client, which it gets if it has none.
func (x *exchange) clientID(ctx context.Context, c *billing.Customer) (string, error) {
	return x.number(ctx, store.ClientNumber, int64(c.ID), x.choices.FirstNumbers.Client)
}

func (x *exchange) number(ctx context.Context, n store.Noun, id, first int64) (string, error) {
	name := strconv.FormatInt(id, 10)
	numbers, err := x.Cashier.Count(ctx, x.session, n, []string{name}, first)
	return strconv.FormatInt(numbers[name], 10), err
}

// answered is the success of a method on a client, whose fourth value is its id
// (2).
func (x *exchange) answered(ctx context.Context, c *billing.Customer) (*answer, error) {
	id, err := x.clientID(ctx, c)
	if err != nil {
		return nil, err
	}
	return success(id), nil
}

// createClient makes a client in state pending (3.1).
func createClient(ctx context.Context, x *exchange) (*answer, error) {
	c := &billing.Customer{Code: x.params.get("c_merchantid"), Standing: billing.StandingPending}
	if err := x.describe(c); err != nil {
		return nil, err
	}
	method, err := x.instrument(c, nil)
	if err != nil {
		return nil, err
	}
	account, err := x.account(ctx)
	if err != nil {
		return nil, err
	}
	err = x.Cashier.EnrollClient(ctx, x.session, account, c, method)
	switch {
	case billing.KindOf(err) == billing.Duplicate:
		return nil, refuse(clientExists, "c_merchantid")
	case err != nil:
		return nil, instrumentFailure(err, c.Profile.PaysBy)
	}
	return x.answered(ctx, c)
}

// account is the code of the account in which clients are kept.
func (x *exchange) account(ctx context.Context) (code string, err error) {
	if x.choices.Account != "" {
		return x.choices.Account, nil
	}
	err = x.session.Books.View(ctx, func(v *store.View) error {
		list, err := v.Accounts(ctx)
		for _, a := range list {
			if x.session.Login.Reaches(a.ID) {
				code = a.Code
				return nil
			}
		}
		if err == nil {
			err = errors.New("billingcircle: the merchant has no account in which a client could be kept")
		}
		return err
	})
	return code, err
}

// confirmClient makes a client active (3.1).
func confirmClient(ctx context.Context, x *exchange) (*answer, error) {
	switch standingOf(x.customer) {
	case billing.StandingActive:
		return x.answered(ctx, x.customer)
	case billing.StandingFraudulent, billing.StandingClosed:
		return nil, refuse(cannotConfirm, "c_clientid")
	case billing.StandingPending, billing.StandingInactive, billing.StandingGone:
	}
	c, err := x.Cashier.ModifyClient(ctx, x.session, x.ref(), cashier.ClientChange{Customer: func(c *billing.Customer) error {
		stand(c, billing.StandingActive)
		return nil
	}})
	if err != nil {
		return nil, err
	}
	x.Wake()
	return x.answered(ctx, c)
}

func stand(c *billing.Customer, s billing.Standing) {
	c.Standing, c.Active = s, s == billing.StandingActive
}

// standingOf is where a client stands, be it one that another wire knows.
func standingOf(c *billing.Customer) billing.Standing {
	switch {
	case c.Standing != "":
		return c.Standing
	case c.Active:
		return billing.StandingActive
	}
	return billing.StandingInactive
}

// modifyClient changes what is sent of a client, all or nothing (3.1).
func modifyClient(ctx context.Context, x *exchange) (*answer, error) {
	if !x.changes() {
		return nil, refuse(nothingToChange, "")
	}
	change, err := x.payment(ctx)
	if err != nil {
		return nil, err
	}
	change.Customer = func(c *billing.Customer) error {
		if x.params.has("c_merchantid") {
			c.Code = x.params.get("c_merchantid")
		}
		if x.params.has("c_status") {
			stand(c, billing.Standing(x.params.get("c_status")))
		}
		return x.describe(c)
	}
	c, err := x.Cashier.ModifyClient(ctx, x.session, x.ref(), change)
	switch {
	case billing.KindOf(err) == billing.Duplicate:
		return nil, refuse(clientExists, "c_merchantid")
	case err != nil:
		return nil, instrumentFailure(err, x.paysBy())
	}
	x.Wake()
	return x.answered(ctx, c)
}

// changes reports whether modifyclient says anything beside who is meant.
func (x *exchange) changes() bool {
	p := x.params
	for _, name := range clientFields() {
		if p.has(name) && name != "c_cccvv" || p.sent(name) && clearable(name) {
			return true
		}
	}
	return p.has("c_status") || p.has("c_merchantid") && p.get("c_merchantid") != x.customer.Code
}

// clearable reports whether an empty value clears a field (1): one of text that is
// not needed.
func clearable(name string) bool {
	switch {
	case name == "c_firstname" || name == "c_lastname" || name == "c_chargemethod" || name == "c_password":
		return false
	case strings.HasPrefix(name, "c_cc") || strings.HasPrefix(name, "c_bank"):
		return false
	}
	return true
}

// describe writes down what is sent of a client, its money aside.
func (x *exchange) describe(c *billing.Customer) error {
	for name, into := range textsOf(c) {
		value := x.params.get(name)
		switch name {
		case "c_state", "c_country", "c_sstate", "c_scountry":
			value = strings.ToUpper(value)
		}
		if value != "" || x.params.sent(name) && clearable(name) {
			*into = value
		}
	}
	for i := range customs {
		if name := customName(i); x.params.sent(name) {
			for len(c.Profile.Custom) <= i {
				c.Profile.Custom = append(c.Profile.Custom, "")
			}
			c.Profile.Custom[i] = x.params.get(name)
		}
	}
	for n := len(c.Profile.Custom); n > 0 && c.Profile.Custom[n-1] == ""; n-- {
		c.Profile.Custom = c.Profile.Custom[:n-1]
	}
	if x.params.has("c_password") {
		hash, err := cashier.HashPassword(billing.NewSecret(x.params.get("c_password")))
		if err != nil {
			return err
		}
		c.Profile.Password = hash
	}
	if by := x.params.get("c_chargemethod"); by != "" {
		c.Profile.PaysBy = by
	}
	return nil
}

// textsOf are the fields of a client that are texts, and where they are kept.
func textsOf(c *billing.Customer) map[string]*string {
	home, ship := &c.Address, &c.Profile.Shipping
	return map[string]*string{
		"c_company": &c.Organization, "c_firstname": &c.FirstName, "c_lastname": &c.LastName,
		"c_address": &home.Street1, "c_address2": &home.Street2, "c_city": &home.City, "c_state": &home.State,
		"c_zip": &home.PostalCode, "c_country": &home.Country,
		"c_saddress": &ship.Street1, "c_saddress2": &ship.Street2, "c_scity": &ship.City, "c_sstate": &ship.State,
		"c_szip": &ship.PostalCode, "c_scountry": &ship.Country,
		"c_phone": &c.Phone, "c_fax": &c.Profile.Fax, "c_email": &c.Email,
	}
}

// verifyClientBilling has the gateway authorise 0.10 on the card and let go of it
// (3.3).
func verifyClientBilling(ctx context.Context, x *exchange) (*answer, error) {
	method, err := x.kept(ctx)
	if err != nil {
		return nil, err
	}
	if method == nil || !method.Instrument.IsCard() {
		return nil, refuse(notVerifiable, "c_chargemethod")
	}
	if x.session.Rehearsal {
		return x.answered(ctx, x.customer)
	}
	v, err := x.Cashier.Verify(ctx, x.session, x.ref(), cashier.VerifyRequest{Amount: verification,
		Method: cashier.Ref{ID: int64(method.ID)}, SecurityCode: billing.NewSecret(x.params.get("c_cccvv"))})
	if err != nil {
		return nil, err
	}
	switch v.Attempt.State {
	case billing.AttemptApproved:
		return x.answered(ctx, x.customer)
	case billing.AttemptDeclined:
		return nil, &failure{why: notVerified, field: "c_ccnumber", text: gatewayText(v.Attempt.Response)}
	case billing.Sending, billing.AttemptUnknown, billing.AttemptPending:
	}
	return nil, refuse(unknownError, "") // nobody can tell, and what was authorised will be let go of
}

// verification is the amount, in minor units, with which a card is looked at.
const verification = 10

// checkClientStatus tells where a client stands (3.4).
func checkClientStatus(_ context.Context, x *exchange) (*answer, error) {
	return success(string(standingOf(x.customer))), nil
}

// createNote attaches a note to a client (3.5).
func createNote(ctx context.Context, x *exchange) (*answer, error) {
	if _, err := x.Cashier.AddNote(ctx, x.session, x.ref(), x.params.get("c_note")); err != nil {
		return nil, err
	}
	return x.answered(ctx, x.customer)
}

// deleteClient takes a client out of everything but what the books need (3.1).
func deleteClient(ctx context.Context, x *exchange) (*answer, error) {
	a, err := x.answered(ctx, x.customer)
	if err != nil {
		return nil, err
	}
	return a, x.Cashier.Erase(ctx, x.session, x.ref())
}
