package unipay

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/store"
)

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

// wantFailure checks an answer's failure code and status.
func wantFailure(t *testing.T, what string, r dialecttest.Reply, code string, status int) {
	t.Helper()
	if r.Status != status || !strings.Contains(r.Body, `"failureCode":"`+code+`"`) {
		t.Errorf("%s: %d %s, want %d with %s", what, r.Status, r.Body, status, code)
	}
}

// TestBrake: guesses are held up by name and address, with the time to wait, and
// before the password is looked at; strangers do not lock out the merchant.
func TestBrake(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		brake := httpd.NewBrake(httpd.BrakeConfig{Name: httpd.Limit{Burst: 3, Every: time.Minute}, Address: httpd.Limit{Burst: 5, Every: time.Minute}})
		c := dialecttest.Serve(t, s, func(_ *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
			return Prefix, New(Options{Cashier: s.Cashier, Brake: brake, Log: log})
		})
		c.Admit()
		const url = Prefix + "customers"
		for i := range 3 {
			wantFailure(t, "guess", c.Ask("GET", url, basic("victim", "guess"+strconv.Itoa(i)), ""), "L01", 401)
		}
		r := c.Ask("GET", url, basic("victim", "guess"), "")
		wantFailure(t, "fourth guess", r, "L03", 429)
		if r.Header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
		}
		wantFailure(t, "by ~authenticate", c.Ask("GET", Prefix+"users/victim?password=x", nil, ""), "L03", 429)
		if r := c.Ask("GET", url, nil, ""); r.Status != 200 {
			t.Errorf("the merchant: %d %s", r.Status, r.Body)
		}
		for _, name := range []string{"a", "b"} {
			wantFailure(t, "guess", c.Ask("GET", url, basic(name, "x"), ""), "L01", 401)
		}
		wantFailure(t, "sixth name", c.Ask("GET", url, basic("c", "x"), ""), "L03", 429)
		if r := c.Ask("GET", url, nil, ""); r.Status != 200 {
			t.Errorf("the merchant, who has been here from this address: %d %s", r.Status, r.Body)
		}
		s.Wall.Forward(time.Minute)
		wantFailure(t, "a minute later", c.Ask("GET", url, basic("victim", "guess"), ""), "L01", 401)
	})
}

// TestLockedLogin: what the books have locked says so too.
func TestLockedLogin(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		c.AdmitTo(s.Merchant, func(l *billing.Login) { l.Name, l.LockedUntil = "api-locked", s.Wall.Now().Add(time.Hour) })
		wantFailure(t, "locked", c.Ask("GET", Prefix+"plans", basic("api-locked", dialecttest.Password), ""), "L03", 429)
	})
}

// TestPrivileges: what a login may not do is L02, L04 or not to be found.
func TestPrivileges(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		second := &billing.Account{Code: "2002", Name: "Second", CreatedAt: s.Merchant.CreatedAt}
		ctx := context.Background()
		if err := s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, second) }); err != nil {
			t.Fatal(err)
		}
		c.AdmitTo(s.Merchant, func(l *billing.Login) {
			l.Name, l.Accounts, l.AllowRawData = "api-second", []billing.AccountID{second.ID}, false
		})
		c.AdmitTo(s.Merchant, func(l *billing.Login) { l.Name, l.Role = "clerk", billing.RoleClerk })
		ask := func(user, method, url, body string) dialecttest.Reply {
			return c.Ask(method, Prefix+url, basic(user, dialecttest.Password), body)
		}
		wantFailure(t, "a clerk", ask("clerk", "GET", "customers", ""), "L02", 403)
		wantFailure(t, "a clerk by ~authenticate", c.Ask("GET", Prefix+"users/clerk?password="+dialecttest.Password, nil, ""), "L02", 403)

		one := "customers?code=one&firstName=A&lastName=B&accountId="
		wantFailure(t, "an account out of reach", ask("api-second", "PUT", one+"2001", ""), "L02", 403)
		wantFailure(t, "its list", ask("api-second", "GET", "customers?accountId=2001", ""), "L02", 403)
		ask(dialecttest.User, "PUT", one+"2001", "")
		ask("api-second", "PUT", strings.Replace(one, "one", "two", 1)+"2002", "")
		wantFailure(t, "a customer out of reach", ask("api-second", "GET", "customers/*one", ""), "V24", 404)
		if r := ask("api-second", "GET", "customers", ""); strings.Contains(r.Body, `"code":"one"`) || !strings.Contains(r.Body, `"code":"two"`) {
			t.Errorf("the list of its own: %s", r.Body)
		}
		card := "customers/*two/payment-options?type=VC&accountNumber=4111111111111111&accountAccessory=0422"
		wantFailure(t, "a card in the clear", ask("api-second", "PUT", card, ""), "L04", 403)
		charge := "customers/*two/transactions/~process?amount=100&accountNumber=4111111111111111&accountAccessory=0422&accountType=VC"
		wantFailure(t, "a payment in the clear", ask("api-second", "POST", charge, ""), "L04", 403)
		wantFailure(t, "another account's id", ask(dialecttest.User, "PUT", "customers/*one/transactions?type=RI&amount=1&accountId=2002", ""), "V21", 400)
	})
}

// TestNotes: the log has the route, whose request it was and what came of it,
// and nothing of the URL.
func TestNotes(t *testing.T) {
	s := cashiertest.Open(t, "sqlite:"+t.TempDir()+"/test.db")
	c := open(t, s)
	c.Ask("PUT", Prefix+"customers?code=secret-code&firstName=A&lastName=B&accountId=2001", nil, "")
	c.Ask("POST", Prefix+"customers/*secret-code/transactions/~process?amount=8000&accountNumber=4111111111111111&accountAccessory=0422", nil, "")
	c.Ask("GET", Prefix+"customers/*nobody/subscriptions/*x/~cancel", nil, "")
	c.Ask("BREW", Prefix+"customers/*secret-code", nil, "")
	c.Ask("GET", Prefix+"users/somebody?password=secret-word", nil, "")
	log := c.Log.String()
	for _, want := range []string{
		`"route":"/api/v01/customers/~create","status":200`,
		`"route":"/api/v01/customers/[customer-id]/transactions/~process","status":200`,
		`"merchant":"` + strconv.FormatInt(int64(s.Merchant.ID), 10) + `","login":"api-demo","outcome":"ok"`,
		`"login":"api-demo","outcome":"D03"`,
		`"route":"/api/v01/customers/[customer-id]/subscriptions/[subscription-id]/~cancel","status":404`,
		`"outcome":"V24"`, `"outcome":"U01"`, `"outcome":"L01"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	said := c.Log.Said()
	for _, leak := range []string{"secret", "somebody", "4111", "nobody", "BREW", "8000"} {
		if strings.Contains(said, leak) {
			t.Errorf("the log has %q:\n%s", leak, log)
		}
	}
}
