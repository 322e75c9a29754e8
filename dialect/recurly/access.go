package recurly

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// credentials are what a client proves itself with: an API key, or the name and
// password of a login, as was usual until September 2011 (1.2).
type credentials struct {
	key, password billing.Secret
	name          string
}

// readCredentials reads an Authorization header in the three forms of 1.2: Basic
// with "key:", Basic with the key alone, and base64 without the word Basic.
func readCredentials(header string, bare bool) (c credentials, ok bool) {
	scheme, text, found := strings.Cut(strings.TrimSpace(header), " ")
	switch {
	case found && !strings.EqualFold(scheme, "Basic"):
		return c, false
	case !found && !bare:
		return c, false
	case !found:
		text = scheme
	}
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil {
		return c, false
	}
	name, password, _ := strings.Cut(string(plain), ":")
	if name == "" {
		return c, false
	}
	if password == "" {
		c.key = billing.NewSecret(name)
	} else {
		c.name, c.password = name, billing.NewSecret(password)
	}
	return c, true
}

// longestName is the longest name of a login, or key, that is looked up.
const longestName = 100

// login opens the session of who sends a request. Guesses are held up before a
// password is hashed, by address and by name; the name of an API key is the one that
// the directory has for it, so that a key that has come from an address before is not
// held up by what others guess there.
func (x *exchange) login(ctx context.Context, from netip.Addr, r *http.Request) error {
	c, ok := readCredentials(r.Header.Get("Authorization"), true)
	if !ok {
		return fail(http.StatusUnauthorized, "Send your API key with HTTP Basic authentication")
	}
	if len(c.name) > longestName || printable(c.name) != c.name {
		c.name = "" // no login is called that; it goes the way of all that are not known
	}
	now, name := x.Cashier.Now(), c.name
	if !c.key.IsZero() {
		name = cashier.KeyName(c.key)
	}
	if wait := x.Brake.Wait(now, from, name); wait > 0 {
		f := fail(http.StatusTooManyRequests, "Too many failed logins; try again later")
		f.wait = int((wait + time.Second - 1) / time.Second)
		return f
	}
	var session *cashier.Session
	var err error
	if c.key.IsZero() {
		session, err = x.Cashier.Authenticate(ctx, cashier.Proof{Name: c.name, Password: c.password, Address: from})
	} else {
		session, err = x.Cashier.AuthenticateKey(ctx, c.key, from)
	}
	if err != nil {
		if billing.KindOf(err) == billing.Unauthenticated {
			x.Brake.Failed(now, from, name)
			return &failure{status: http.StatusUnauthorized, mistakes: []mistake{{text: "Your API key or login is not valid"}}, cause: err}
		}
		if billing.KindOf(err) == billing.Limited {
			return &failure{status: http.StatusTooManyRequests, mistakes: []mistake{{text: "Too many failed logins; try again later"}}, cause: err}
		}
		return err
	}
	x.Brake.Succeeded(now, from, name)
	return x.admit(session, r)
}

// admit takes a session whose login has been proved, if it may call this wire.
func (x *exchange) admit(session *cashier.Session, r *http.Request) error {
	if session.Login.Role == billing.RoleClerk {
		return fail(http.StatusForbidden, "This login is for the web pages, not for programs")
	}
	raw, site := session.Merchant.Settings.Dialects[Name]
	if !site {
		return fail(http.StatusForbidden, "This merchant is no site of this API")
	}
	choices, err := readSettings(raw)
	if err != nil {
		return &failure{status: http.StatusInternalServerError, mistakes: []mistake{{text: "The settings of the site are malformed"}}, cause: err}
	}
	if _, scheme := readCredentials(r.Header.Get("Authorization"), false); !scheme && choices.RequireScheme {
		return fail(http.StatusUnauthorized, "Send your API key with HTTP Basic authentication")
	}
	x.session, x.choices = session, choices
	return nil
}
