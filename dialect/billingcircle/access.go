package billingcircle

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// The greatest lengths of the three values that prove a caller (1.1).
const (
	longestCompany  = 30
	longestUser     = 30
	longestPassword = 100
)

// prove goes through the checks that are about who is asking (5.2): address, that
// all three values are there, that they are right, and that the login is one of
// Admin level. On the testing URL the company is its twin.
func (x *exchange) prove(ctx context.Context, from netip.Addr) error {
	company, user, password := x.params.get("companyid"), x.params.get("username"), x.params.get("password")
	merchant, err := x.company(ctx, company)
	if err != nil {
		return err
	}
	if merchant != nil && !admits(x.choices.AllowedIPs, from) {
		return &failure{why: badCredentials, status: http.StatusForbidden}
	}
	for _, name := range []string{"companyid", "username", "password"} {
		if !x.params.has(name) {
			return refuse(noCredentials, name)
		}
	}
	login := company + "/" + user
	if merchant != nil {
		login = merchant.Code + "/" + user
	}
	known := merchant != nil && utf8.RuneCountInString(user) <= longestUser && utf8.RuneCountInString(password) <= longestPassword &&
		!x.params.twice["companyid"] && !x.params.twice["username"] && !x.params.twice["password"] && readable(login)
	now := x.Cashier.Now()
	if x.Brake.Wait(now, from, login) > 0 {
		return &failure{why: badCredentials, status: http.StatusTooManyRequests}
	}
	proof := cashier.Proof{Name: login, Password: billing.NewSecret(password), Address: from}
	if !known {
		proof.Name = "" // no login is called that: it costs as much as a wrong password
	}
	session, err := x.Cashier.Authenticate(ctx, proof)
	if err != nil {
		if billing.KindOf(err) == billing.Unauthenticated {
			x.Brake.Failed(now, from, login)
		}
		return err
	}
	x.Brake.Succeeded(now, from, login)
	if session.Merchant.ID != merchant.ID {
		return refuse(badCredentials, "")
	}
	x.session = session
	if session.Login.Role == billing.RoleClerk {
		return refuse(noAccess, "username")
	}
	return nil
}

// company finds the merchant whose data a request works on, and reads its
// switches; nil if there is none, or it has no URL of this wire.
func (x *exchange) company(ctx context.Context, code string) (*billing.Merchant, error) {
	if code == "" || len(code) > 4*longestCompany || !readable(code) {
		return nil, nil
	}
	m, err := x.connected(ctx, code)
	if m == nil || err != nil || !x.test {
		return m, err
	}
	if x.choices.TestTwin == "" {
		return nil, nil
	}
	addresses := x.choices.AllowedIPs
	if m, err = x.connected(ctx, x.choices.TestTwin); m == nil || err != nil {
		return nil, err
	}
	if len(x.choices.AllowedIPs) == 0 {
		x.choices.AllowedIPs = addresses
	}
	return m, nil
}

// connected finds a merchant that has switches of this wire, and reads them.
func (x *exchange) connected(ctx context.Context, code string) (*billing.Merchant, error) {
	m, err := x.Cashier.Store.MerchantByCode(ctx, code)
	if billing.KindOf(err) == billing.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, ok := m.Settings.Dialects[Name]
	if !ok {
		return nil, nil
	}
	x.choices, err = readSettings(raw)
	return m, err
}

// admits reports whether an address is in one of several ranges; no ranges are any
// address.
func admits(ranges []string, from netip.Addr) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(text string) bool {
		r, err := billing.ParseAddressRange(text)
		return err == nil && r.Contains(from)
	})
}
