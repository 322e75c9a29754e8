package recurly

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/store"
)

// PrivateKey is the name of the merchant's secret that signs transparent posts and
// what goes back to the shop.
const PrivateKey = "recurly_private_key"

// mostTries is how often a form that one signature protects can be posted. Who
// tries stolen cards needs more than who mistypes.
const mostTries = 10

// transparentPost is a form that a browser has posted straight here (13).
type transparentPost struct {
	*exchange
	kind     string // subscription, transaction or billing_info
	private  billing.Secret
	proof    string // the signature under the protected pairs
	root     *element
	redirect *url.URL
	code     string // of the account
}

// untrusted is an answer to a browser that came with a form that is not trusted. It
// goes nowhere else.
type untrusted struct {
	status int
	text   string
}

func (r *untrusted) Error() string { return r.text }

// transparent answers a transparent post: a redirect to the shop, with a key by
// which the shop asks what came of it (13.2).
func (x *exchange) transparent(w http.ResponseWriter, r *http.Request, note *httpd.Record) {
	to, status, err := x.post(r, note)
	var no *untrusted
	switch {
	case errors.As(err, &no):
		note.SetOutcome(strconv.Itoa(no.status))
		http.Error(w, no.text, no.status)
	case err != nil:
		note.SetOutcome("500")
		x.Log.LogAttrs(r.Context(), slog.LevelError, "recurly: form not carried out", slog.String("id", note.ID()),
			slog.String("route", x.call.pattern), slog.Any("error", err))
		http.Error(w, "internal error, request "+note.ID(), http.StatusInternalServerError)
	default:
		note.SetOutcome(strconv.Itoa(status))
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// post trusts a form, carries it out and keeps what came of it.
func (x *exchange) post(r *http.Request, note *httpd.Record) (to string, status int, err error) {
	ctx := r.Context()
	body, err := readForm(r)
	if err != nil {
		return "", 0, err
	}
	p := &transparentPost{exchange: x, kind: path.Base(x.call.pattern)}
	if err := p.site(ctx); err != nil {
		return "", 0, err
	}
	note.SetMerchant(strconv.FormatInt(int64(x.merchant().ID), 10))
	note.SetLogin(x.session.Login.Name)
	if err := p.trust(body); err != nil {
		return "", 0, err
	}
	var before []*store.PostedForm
	err = x.session.Books.View(ctx, func(v *store.View) error {
		before, err = v.PostedForms(ctx, p.proof)
		return err
	})
	if err != nil {
		return "", 0, err
	}
	if i := slices.IndexFunc(before, func(f *store.PostedForm) bool { return f.Status == http.StatusOK }); i >= 0 {
		return p.back(before[i]), http.StatusOK, nil // it is carried out already
	}
	if len(before) >= mostTries {
		return "", 0, &untrusted{http.StatusUnprocessableEntity, "This form was posted too often; load the page again"}
	}
	ours, err := x.Cashier.BeginForm(ctx, x.merchant(), p.proof, len(before))
	if err != nil {
		return "", 0, err
	}
	if !ours {
		return "", 0, &untrusted{http.StatusConflict, "This form is being carried out; load this page again in a moment"}
	}
	form, err := p.perform(ctx)
	if err != nil {
		return "", 0, err
	}
	if err := x.Cashier.KeepForm(ctx, x.merchant(), form); err != nil {
		return "", 0, err
	}
	x.Wake()
	return p.back(form), form.Status, nil
}

// readForm reads the body of a form, bounded.
func readForm(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", &untrusted{http.StatusBadRequest, "This address takes forms, application/x-www-form-urlencoded"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large) || len(body) > maxForm:
		return "", &untrusted{http.StatusBadRequest, "The form is too large"}
	case err != nil:
		return "", &untrusted{http.StatusBadRequest, "The form did not arrive"}
	}
	return string(body), nil
}

// site opens the books of the site that the path names, and its private key.
func (p *transparentPost) site(ctx context.Context) error {
	m, err := p.Cashier.Store.MerchantByCode(ctx, p.call.site)
	if billing.KindOf(err) == billing.NotFound {
		return &untrusted{http.StatusNotFound, "There is no such site"}
	}
	if err != nil {
		return err
	}
	raw, is := m.Settings.Dialects[Name]
	if !is {
		return &untrusted{http.StatusNotFound, "There is no such site"}
	}
	if p.choices, err = readSettings(raw); err != nil {
		return err
	}
	if p.private, err = p.Cashier.MerchantSecret(ctx, m, PrivateKey); err != nil {
		return err
	}
	p.session = p.Cashier.System(m)
	p.session.Login.Name = "transparent post"
	return nil
}

// trust proves the protected pairs of a form and lays them over the others (13.1).
func (p *transparentPost) trust(body string) error {
	bad := &untrusted{http.StatusUnprocessableEntity, "The form is not signed by the shop"}
	data := ""
	for pair := range strings.SplitSeq(body, "&") {
		if text, ok := strings.CutPrefix(pair, "data="); ok {
			data, _ = url.QueryUnescape(text)
		}
	}
	proof, query, found := strings.Cut(data, "|")
	if !found || !signed(p.private, query, proof) {
		return bad
	}
	p.proof = proof
	free, protected := newForm(), newForm()
	if !protected.addQuery(query) || !free.addQuery(body) {
		return &untrusted{http.StatusBadRequest, "The form cannot be read"}
	}
	at, ok := readTime(protected.root.textOf("time"))
	window := time.Duration(p.choices.TransparentMinutes) * time.Minute
	if age := p.Cashier.Now().Sub(at); !ok || age > window || age < -window {
		return &untrusted{http.StatusUnprocessableEntity, "The form is too old; load the page again"}
	}
	to, err := url.Parse(protected.root.textOf("redirect_url"))
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return &untrusted{http.StatusUnprocessableEntity, "The form does not say where to go back to"}
	}
	p.redirect = to
	if p.code = protected.root.child("account").textOf("account_code"); p.code == "" {
		return &untrusted{http.StatusUnprocessableEntity, "The form does not say for which account it is"}
	}
	free.root = freePairs(free.root, protected.root.child("subscription").child("add_ons") != nil)
	if !free.addQuery(query) {
		return &untrusted{http.StatusBadRequest, "The form cannot be read"}
	}
	p.root = free.root
	return nil
}

// freePairs is what counts of the pairs that nothing protects: no amount, no
// trial, and no add-ons where the protected ones have them (13.1).
func freePairs(root *element, noAddOns bool) *element {
	kept := &element{}
	if a := root.child("account"); a != nil {
		kept.children = append(kept.children, only(a, "username", "first_name", "last_name", "email", "company_name", "accept_language"))
	}
	if b := root.child("billing_info"); b != nil {
		kept.children = append(kept.children, b)
	}
	s := root.child("subscription")
	if s == nil {
		return kept
	}
	free := only(s, "plan_code", "quantity", "coupon_code")
	if list := s.child("add_ons"); list != nil && !noAddOns {
		add := &element{name: "add_ons"}
		for _, one := range list.children {
			add.children = append(add.children, only(one, "add_on_code", "quantity"))
		}
		free.children = append(free.children, add)
	}
	kept.children = append(kept.children, free)
	return kept
}

// only is an element with some of its children.
func only(e *element, names ...string) *element {
	kept := &element{name: e.name}
	for _, c := range e.children {
		if slices.Contains(names, c.name) {
			kept.children = append(kept.children, c)
		}
	}
	return kept
}

// perform carries the form out by the rules of the plain calls, and makes of it
// what is kept (13.3).
func (p *transparentPost) perform(ctx context.Context) (*store.PostedForm, error) {
	p.body, p.call.account = p.object(), []string{p.code}
	d, err := p.carryOut(ctx)
	form := &store.PostedForm{Kind: p.kind, Proof: p.proof, Status: http.StatusOK}
	if err != nil {
		f := failureOf(err)
		if f.status == http.StatusInternalServerError || f.status == http.StatusServiceUnavailable {
			return nil, err
		}
		form.Status, d = http.StatusUnprocessableEntity, p.failed(f)
	}
	form.Content = d.String()
	return form, nil
}

// object is the document that the form stands for.
func (p *transparentPost) object() *element {
	info := p.root.child("billing_info")
	if p.kind == "billing_info" {
		if info == nil {
			info = &element{name: "billing_info"}
		}
		return info
	}
	account := orEmpty(p.root.child("account"))
	account.name = "account"
	if info != nil {
		account.children = append(account.children, info)
	}
	object := orEmpty(p.root.child(p.kind))
	object.name = p.kind
	if list := object.child("add_ons"); list != nil {
		*list = *items(list, "add_on")
	}
	object.children = append(object.children, account)
	return object
}

// carryOut does what the form is for.
func (p *transparentPost) carryOut(ctx context.Context) (*document, error) {
	switch p.kind {
	case "subscription":
		c, s, err := p.signUp(ctx, p.call.account)
		if err != nil {
			return nil, err
		}
		a, err := p.tell(ctx, http.StatusOK, c, s)
		return a.doc, err
	case "transaction":
		bought, err := p.purchase(ctx, p.call.account)
		if err != nil {
			return nil, err
		}
		a, err := p.tellTransaction(ctx, http.StatusOK, bought.Attempt.ID)
		return a.doc, err
	}
	owner, err := p.exchange.account(ctx)
	if err != nil {
		return nil, err
	}
	account := p.root.child("account")
	if account != nil {
		var wrong mistakes
		checkAccount(account, &wrong)
		if err := wrong.orNil(); err != nil {
			return nil, err
		}
	}
	m, err := p.setBillingInfo(ctx, owner, readBillingInfo(p.body))
	if err != nil {
		return nil, err
	}
	if owner, err = p.change(ctx, owner, account); err != nil {
		return nil, err
	}
	d := newDocument()
	d.billingInfo(owner, m, p.session.Now)
	return d, nil
}

// back is where the browser goes: to the shop, with what came of the form and the
// proof that it is true (13.2).
func (p *transparentPost) back(f *store.PostedForm) string {
	told := "result=" + f.Key + "&status=" + strconv.Itoa(f.Status) + "&type=" + f.Kind
	to := *p.redirect
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += "confirm=" + sign(p.private, told) + "&" + told
	return to.String()
}

// failed is the object that would have been, with what is wrong with it inside
// the part that it is wrong with (3.3).
func (p *transparentPost) failed(f *failure) *document {
	var own, account, info []mistake
	for _, m := range f.mistakes {
		switch {
		case m.field == "account_code", m.field == "email", m.field == "username", m.field == "company_name":
			account = append(account, m)
		case isBillingField(m.field):
			info = append(info, m)
		default:
			own = append(own, m)
		}
	}
	d, older := newDocument(), p.choices.Messages == "2010"
	errors := func(list []mistake) {
		if len(list) > 0 {
			d.errors(list, older)
		}
	}
	if p.kind == "billing_info" {
		d.within("billing_info", "", func() {
			p.triedInfo(d)
			errors(f.mistakes)
		})
		return d
	}
	d.within(p.kind, "", func() {
		d.leaf("id", asNil, "")
		d.text("account_code", p.code)
		d.within("account", "", func() {
			c := newAccount(orEmpty(p.body.child("account")), p.code)
			d.accountTexts(c)
			d.within("billing_info", "", func() {
				p.triedInfo(d)
				errors(info)
			})
			errors(account)
		})
		if p.kind == "subscription" {
			d.within("plan", "", func() { d.text("plan_code", p.body.textOf("plan_code")) })
			d.text("state", "pending")
		} else {
			d.text("amount_in_cents", p.body.textOf("amount_in_cents"))
			d.text("status", "declined")
		}
		errors(own)
	})
	return d
}

// isBillingField reports whether a field is one of billing information.
func isBillingField(field string) bool {
	switch field {
	case "number", "verification_value", "month", "year", "start_month", "start_year", "issue_number":
		return true
	}
	for _, f := range billingFields {
		if f.name == field {
			return true
		}
	}
	return false
}

// triedInfo writes billing information that was refused: what was typed, without
// anything of the card but the month in which it is to expire.
func (p *transparentPost) triedInfo(d *document) {
	e := orEmpty(p.root.child("billing_info"))
	_, dates := readCard(orEmpty(e.child("credit_card")))
	m := &billing.PaymentMethod{UpdatedAt: p.session.Now,
		Address: billing.Address{Street1: e.textOf("address1"), Street2: e.textOf("address2"), City: e.textOf("city"), State: e.textOf("state"),
			PostalCode: e.textOf("zip"), Country: e.textOf("country")}, Phone: e.textOf("phone")}
	m.Details.FirstName, m.Details.LastName = e.textOf("first_name"), e.textOf("last_name")
	m.Details.VATNumber, m.Details.IPAddress = e.textOf("vat_number"), e.textOf("ip_address")
	if month, err := strconv.Atoi(dates["month"]); err == nil && month >= 1 && month <= 12 {
		if year, err := strconv.Atoi(dates["year"]); err == nil && year >= 1980 && year < 2080 {
			m.Expiry = pad(month) + pad(year%100)
		}
	}
	d.billingFields(&billing.Customer{Code: p.code}, m, p.session.Now)
}

// showResult is GET /transparent/results/:key (13.3).
func showResult(ctx context.Context, x *exchange) (answer, error) {
	f, err := x.Cashier.Form(ctx, x.session, x.call.id)
	if billing.KindOf(err) == billing.NotFound {
		err = notFound("Result")
	}
	if err != nil {
		return answer{}, err
	}
	d := &document{}
	d.b.WriteString(f.Content)
	return answer{f.Status, d}, nil
}
