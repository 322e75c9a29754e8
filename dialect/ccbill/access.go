package ccbill

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// lockedFor is how long three failed logins lock an address out, and within how
// long they count (2.3).
const lockedFor = time.Hour

// caller is who is asking: the Data Link user, the merchant whose code is the
// clientAccnum, and the subaccounts that are in reach of the request.
type caller struct {
	*cashier.Session
	name     string // of the user, without the account
	choices  settings
	accounts []*billing.Account // all of the merchant
	using    billing.AccountID  // the one to act on, 0 for all that the user reaches
}

// prove goes through the checks of 2.5 that are about who is asking, up to and
// without the action. The caller is returned as far as it is known, for the log.
func (x *exchange) prove(ctx context.Context, from netip.Addr) error {
	p := x.params
	account, name, password := p.get("clientAccnum"), p.get("username"), p.get("password")
	if !digits(account, 6, 6) {
		return badAuthentication
	}
	merchant, err := x.Cashier.Store.MerchantByCode(ctx, account)
	if billing.KindOf(err) == billing.NotFound {
		return x.stranger(ctx, from, account, name, password)
	}
	if err != nil {
		return err
	}
	x.merchant = merchant
	address := from.Unmap().String()
	if err := x.locked(ctx, merchant, address); err != nil {
		return err
	}
	raw, linked := merchant.Settings.Dialects[Name]
	if x.choices, err = readSettings(raw); err != nil {
		return err
	}
	if name == "" || password == "" || len(name) > longestValue || len(password) > longestValue || p.badSubaccount() {
		return badAuthentication
	}
	if !linked {
		return noDataLink
	}
	proof := cashier.Proof{Name: account + "/" + name, Password: billing.NewSecret(password), Address: from}
	login, accounts, err := x.user(ctx, merchant, proof.Name)
	if err != nil {
		return err
	}
	if login != nil && !login.Admits(from) {
		return badAddress
	}
	using, known, misnamed := x.scope(login, accounts)
	if !known && misnamed == nil { // as if there were no such user: the password is looked at all the same
		proof.Name += "/"
	}
	session, err := x.Cashier.Authenticate(ctx, proof)
	switch {
	case errors.Is(err, cashier.ErrDisabled):
		return notPermitted
	case billing.KindOf(err) == billing.Limited:
		return lockedOut
	case billing.KindOf(err) == billing.Unauthenticated:
		return x.fail(ctx, merchant, address)
	case err != nil:
		return err
	case misnamed != nil: // said to nobody who has not proved who he is
		return misnamed
	}
	x.caller = &caller{Session: session, name: name, choices: x.choices, accounts: accounts, using: using}
	return x.forgive(ctx, merchant, address)
}

// stranger answers for an account that does not exist, at the price of a wrong
// password. Nobody's books can count the failure, so the listener's brake does.
func (x *exchange) stranger(ctx context.Context, from netip.Addr, account, name, password string) error {
	if name == "" || password == "" {
		return badAuthentication
	}
	now := x.Cashier.Now()
	if x.Brake.Wait(now, from, "") > 0 {
		return lockedOut
	}
	x.Brake.Failed(now, from, "")
	_, err := x.Cashier.Authenticate(ctx, cashier.Proof{Name: account + "//", Password: billing.NewSecret(password), Address: from})
	if err != nil && billing.KindOf(err) != billing.Unauthenticated {
		return err
	}
	return internal
}

// user finds the login of a Data Link user, nil if there is none, and the
// merchant's subaccounts.
func (x *exchange) user(ctx context.Context, m *billing.Merchant, name string) (login *billing.Login, accounts []*billing.Account, err error) {
	id, err := x.Cashier.Store.Lookup(ctx, cashier.LoginDirectory, name)
	found := err == nil && id.Merchant == m.ID
	if err != nil && billing.KindOf(err) != billing.NotFound {
		return nil, nil, err
	}
	err = x.Cashier.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		if accounts, err = v.Accounts(ctx); err == nil && found {
			login, err = v.Login(ctx, billing.LoginID(id.Object))
		}
		return err
	})
	return login, accounts, err
}

// badSubaccount reports whether a subaccount is named that can be nobody's.
func (p params) badSubaccount() bool {
	for _, name := range []string{"clientSubacc", "usingSubacc"} {
		if code := p.get(name); code != "" && !digits(code, 4, 4) {
			return true
		}
	}
	return false
}

// scope finds the subaccount that a request is about by the rules of 2.2. known
// is false if the user is not one of the clientSubacc that is named, or if there
// is no such user. An error is for a caller who is proved: no subaccount is named
// where one must be, or one that does not exist.
func (x *exchange) scope(l *billing.Login, accounts []*billing.Account) (using billing.AccountID, known bool, err error) {
	client, named := x.params.get("clientSubacc"), x.params.get("usingSubacc")
	if l == nil {
		return 0, false, nil
	}
	find := func(code string) billing.AccountID {
		if i := slices.IndexFunc(accounts, func(a *billing.Account) bool { return a.Code == code }); i >= 0 {
			return accounts[i].ID
		}
		return 0
	}
	bound := len(l.Accounts) > 0
	switch {
	case bound && client == "" && named == "":
		return 0, false, badAuthentication // a user of a subaccount must name it
	case bound && client != "":
		using = find(client)
		return using, using != 0 && l.Reaches(using), nil
	case named != "":
		using = find(named)
	case client != "":
		using = find(client)
	default:
		return 0, true, nil
	}
	if using == 0 {
		return 0, false, badAuthentication // there is no such subaccount
	}
	return using, l.Reaches(using), nil
}

func (x *exchange) locked(ctx context.Context, m *billing.Merchant, address string) error {
	return x.Cashier.Store.View(ctx, m.ID, func(v *store.View) error {
		until, failures, err := v.LockedOut(ctx, address)
		if err == nil && x.Cashier.Now().Before(until) {
			err = lockedOut
		}
		x.failures = failures
		return err
	})
}

// fail counts a failed login of an address, and is the answer to it.
func (x *exchange) fail(ctx context.Context, m *billing.Merchant, address string) error {
	err := x.Cashier.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		return tx.FailFrom(ctx, address, x.Cashier.Now(), lockedFor)
	})
	if err != nil {
		return err
	}
	return result(x.choices.AuthFailureCode)
}

// forgive forgets the failed logins of an address, if there are any.
func (x *exchange) forgive(ctx context.Context, m *billing.Merchant, address string) error {
	if !x.failures {
		return nil
	}
	return x.Cashier.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		_, err := tx.ForgiveAddress(ctx, address)
		return err
	})
}

// sees reports whether a subscription of an account is in the caller's reach.
func (c *caller) sees(a billing.AccountID) bool {
	if c.using != 0 {
		return a == c.using
	}
	return c.Login.Reaches(a)
}

// account finds a subaccount of the merchant by its code, nil if there is none.
func (c *caller) account(code string) *billing.Account {
	if i := slices.IndexFunc(c.accounts, func(a *billing.Account) bool { return a.Code == code }); i >= 0 {
		return c.accounts[i]
	}
	return nil
}

// wide is the caller's session without the bounds of its login, which this wire
// has looked at: a user of one subaccount may charge to another of the account.
func (c *caller) wide() *cashier.Session {
	login := *c.Login
	login.Accounts = nil
	return &cashier.Session{Merchant: c.Merchant, Login: &login, Books: c.Books, Now: c.Now}
}
