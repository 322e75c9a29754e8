package recurly

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// account finds the account that the path names (1.4).
func (x *exchange) account(ctx context.Context) (*billing.Customer, error) {
	owner, err := x.accountIfAny(ctx, x.call.account)
	if err == nil && owner == nil {
		err = notFound("Account")
	}
	return owner, err
}

// accountIfAny finds the account of the first of several codes that is somebody's,
// nil if none is.
func (x *exchange) accountIfAny(ctx context.Context, codes []string) (owner *billing.Customer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, err = accountOf(ctx, x, v, codes)
		return err
	})
	return owner, err
}

func accountOf(ctx context.Context, x *exchange, v *store.View, codes []string) (*billing.Customer, error) {
	for _, code := range codes {
		c, err := x.session.Customer(ctx, v, cashier.Ref{Code: code})
		if billing.KindOf(err) == billing.NotFound {
			continue
		}
		return c, err
	}
	return nil, nil
}

// accountCode is the code of an account. A customer that another wire made
// without one is known by its id.
func accountCode(c *billing.Customer) string {
	if c.Code != "" {
		return c.Code
	}
	return strconv.FormatInt(int64(c.ID), 10)
}

// accountFields are the texts of an account and how long each may be (5.1).
var accountFields = []struct {
	name string
	most int
	at   func(*billing.Customer) *string
}{
	{"username", 255, func(c *billing.Customer) *string { return &c.Profile.Username }},
	{"email", 255, func(c *billing.Customer) *string { return &c.Email }},
	{"first_name", 255, func(c *billing.Customer) *string { return &c.FirstName }},
	{"last_name", 255, func(c *billing.Customer) *string { return &c.LastName }},
	{"company_name", 50, func(c *billing.Customer) *string { return &c.Organization }},
	{"accept_language", 0, func(c *billing.Customer) *string { return &c.Profile.AcceptLanguage }},
}

// longestLanguage is where an accept_language is cut (5.1).
const longestLanguage = 32

// checkAccount finds what is wrong with the texts of an account.
func checkAccount(e *element, wrong *mistakes) {
	for _, f := range accountFields {
		if f.most > 0 && utf8.RuneCountInString(e.textOf(f.name)) > f.most {
			wrong.add(f.name, tooLong)
		}
	}
}

// applyAccount changes an account to what is given of it. Elements that are not
// there change nothing (5.1).
func applyAccount(e *element, c *billing.Customer) (changed bool) {
	for _, f := range accountFields {
		text, given := e.value(f.name)
		if !given {
			continue
		}
		if f.most == 0 {
			text = cut(text, longestLanguage)
		}
		if at := f.at(c); *at != text {
			*at, changed = text, true
		}
	}
	return changed
}

// cut is the beginning of a text.
func cut(s string, most int) string {
	runes := []rune(s)
	return string(runes[:min(len(runes), most)])
}

// longestCode is the longest account_code and plan_code (5.1, 11).
const longestCode = 50

// checkCode finds what is wrong with a code that is to be given to an account
// (5.1). One that a path cannot name is refused.
func checkCode(field, code string, wrong *mistakes) {
	switch {
	case code == "":
		wrong.add(field, blank)
		wrong.add(field, invalid)
	case utf8.RuneCountInString(code) > longestCode:
		wrong.add(field, tooLong)
	case !rightCode(code):
		wrong.add(field, invalid)
	}
}

func rightCode(code string) bool {
	if code == "." || code == ".." {
		return false
	}
	for _, r := range code {
		if r == '/' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// newAccount is the account that an element describes, to come into being.
func newAccount(e *element, code string) *billing.Customer {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	c := &billing.Customer{Code: code, Active: true, Standing: billing.StandingActive}
	c.Profile.HostedToken = hex.EncodeToString(b[:])
	applyAccount(e, c)
	return c
}

// home is the code of the merchant's account in which new customers and plans are
// made.
func (x *exchange) home(ctx context.Context) (code string, err error) {
	if x.choices.Account != "" {
		return x.choices.Account, nil
	}
	err = x.session.Books.View(ctx, func(v *store.View) error {
		list, err := v.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, a := range list {
			if x.session.Login.Reaches(a.ID) {
				code = a.Code
				return nil
			}
		}
		return fail(http.StatusForbidden, "This login reaches no account of the site")
	})
	return code, err
}

// createAccount is POST /accounts (5).
func createAccount(ctx context.Context, x *exchange) (answer, error) {
	code := x.body.textOf("account_code")
	var wrong mistakes
	checkCode("account_code", code, &wrong)
	checkAccount(x.body, &wrong)
	made := newAccount(x.body, code)
	var request cashier.BillingInfoRequest
	info := readBillingInfo(x.body.child("billing_info"))
	if info != nil {
		request = info.check(x, made, nil, &wrong)
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	home, err := x.home(ctx)
	if err != nil {
		return answer{}, err
	}
	if info == nil {
		err = x.Cashier.Enroll(ctx, x.session, home, made)
	} else {
		made, err = enrollWith(ctx, x, home, made, request)
	}
	if billing.KindOf(err) == billing.Duplicate {
		err = refuse("account_code", taken)
	}
	if err != nil {
		return answer{}, err
	}
	return tellAccount(ctx, x, http.StatusCreated, made)
}

// enrollWith brings an account into being with its billing information, which is
// verified: if it is refused there is no account (5.1).
func enrollWith(ctx context.Context, x *exchange, home string, made *billing.Customer, r cashier.BillingInfoRequest) (*billing.Customer, error) {
	r.Enroll, r.Account = made, home
	info, err := x.Cashier.SetBillingInfo(ctx, x.session, cashier.Ref{}, r)
	if err != nil {
		return nil, err
	}
	if info.Refused != nil {
		return nil, declineOf(info.Refused)
	}
	return info.Customer, nil
}

// tellAccount answers with an account.
func tellAccount(ctx context.Context, x *exchange, status int, c *billing.Customer) (answer, error) {
	d := newDocument()
	err := x.session.Books.View(ctx, func(v *store.View) error {
		owed, err := v.Owed(ctx, []billing.CustomerID{c.ID}, x.merchant().Currency)
		if err == nil {
			d.account(c, owed[c.ID])
		}
		return err
	})
	return answer{status, d}, err
}

// account writes the document of 5.2.
func (d *document) account(c *billing.Customer, owed int64) {
	d.within("account", "", func() { d.accountFields(c, owed) })
}

func (d *document) accountFields(c *billing.Customer, owed int64) {
	d.accountTexts(c)
	d.text("accept_language", c.Profile.AcceptLanguage)
	d.integer("balance_in_cents", owed)
	closed := c.Standing == billing.StandingClosed
	d.boolean("closed", closed)
	d.text("hosted_login_token", c.Profile.HostedToken)
	d.datetime("created_at", c.CreatedAt)
	state := "active"
	if closed {
		state = "closed"
	}
	d.text("state", state)
}

// accountTexts writes what lists and notices have of an account too (14).
func (d *document) accountTexts(c *billing.Customer) {
	d.text("account_code", accountCode(c))
	d.text("username", c.Profile.Username)
	d.text("email", c.Email)
	d.text("first_name", c.FirstName)
	d.text("last_name", c.LastName)
	d.text("company_name", c.Organization)
}

// showAccount is GET /accounts/:account_code.
func showAccount(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	return tellAccount(ctx, x, http.StatusOK, c)
}

// updateAccount is PUT /accounts/:account_code. A billing_info that says
// something is set as its own PUT would, and nothing changes if it is refused.
func updateAccount(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	var wrong mistakes
	checkAccount(x.body, &wrong)
	if code, given := x.body.value("account_code"); given && code != "" && code != accountCode(c) {
		wrong.add("account_code", invalid) // it cannot be changed
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	if info := readBillingInfo(x.body.child("billing_info")); info != nil {
		if _, err := x.setBillingInfo(ctx, c, info); err != nil {
			return answer{}, err
		}
	}
	if c, err = x.change(ctx, c, x.body); err != nil {
		return answer{}, err
	}
	return tellAccount(ctx, x, http.StatusOK, c)
}

// change changes an account to what an element gives of it, if that is anything
// new.
func (x *exchange) change(ctx context.Context, c *billing.Customer, e *element) (*billing.Customer, error) {
	copied := *c
	if e == nil || !applyAccount(e, &copied) {
		return c, nil
	}
	return x.Cashier.ModifyCustomer(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, func(c *billing.Customer) { applyAccount(e, c) })
}

// closeAccount is DELETE /accounts/:account_code (5.3). Twice is once.
func closeAccount(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err == nil && c.Standing != billing.StandingClosed {
		_, err = x.Cashier.CloseCustomer(ctx, x.session, cashier.Ref{ID: int64(c.ID)})
	}
	return answer{}, err
}

// reopen opens a closed account that is about to get a subscription or
// transaction again (5.3).
func (x *exchange) reopen(ctx context.Context, c *billing.Customer) (*billing.Customer, error) {
	if c == nil || c.Standing != billing.StandingClosed {
		return c, nil
	}
	if x.choices.KeepClosed {
		return nil, fail(http.StatusUnprocessableEntity, "The account is closed")
	}
	return x.Cashier.ReopenCustomer(ctx, x.session, cashier.Ref{ID: int64(c.ID)})
}

// shows are the filters of the list of accounts (5.4); any other is none.
var shows = map[string]store.Subscribing{"active_subscribers": store.Subscribes, "pastdue_subscribers": store.PastDue, "non_subscribers": store.Abstains}

// listAccounts is GET /accounts, the newest first.
func listAccounts(ctx context.Context, x *exchange) (answer, error) {
	p, d := x.page(), newDocument()
	err := x.session.Books.View(ctx, func(v *store.View) error {
		list, total, err := v.CustomerList(ctx, x.session.Login.Accounts, shows[x.parameter("show")], p.offset(), perPage)
		if err != nil {
			return err
		}
		var ids []billing.CustomerID
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		owed, err := v.Owed(ctx, ids, x.merchant().Currency)
		if err != nil {
			return err
		}
		d.page("accounts", p, total, func() {
			for _, c := range list {
				d.account(c, owed[c.ID])
			}
		})
		return nil
	})
	return answer{doc: d}, err
}
