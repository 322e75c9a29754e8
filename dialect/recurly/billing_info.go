package recurly

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// billingInfo is what a request says of an account's billing information. What
// is nil was not given and stays as it is (6.4).
type billingInfo struct {
	fields map[string]*string
	card   card
	inside map[string]string // of the card: dates as they were written
}

// billingFields are the elements of 6.2 and how long each may be.
var billingFields = []struct {
	name string
	most int
}{{"first_name", 50}, {"last_name", 50}, {"address1", 50}, {"address2", 50}, {"city", 50}, {"state", 50}, {"country", 50}, {"zip", 20},
	{"phone", 50}, {"ip_address", 50}, {"vat_number", 50}}

// readBillingInfo reads the element, nil if it is not there or says nothing.
func readBillingInfo(e *element) *billingInfo {
	if e == nil || e.blank() {
		return nil
	}
	b := &billingInfo{fields: make(map[string]*string)}
	for _, f := range billingFields {
		if text, given := e.value(f.name); given {
			b.fields[f.name] = &text
		}
	}
	b.card, b.inside = readCard(e.child("credit_card"))
	return b
}

// value is a field as it will be: what is given, or what is kept.
func (b *billingInfo) value(name, kept string) string {
	if v := b.fields[name]; v != nil {
		return *v
	}
	return kept
}

// check finds all that is wrong, in the order of 6.3, and what the books are to
// be asked. kept is what is there, nil if nothing is.
func (b *billingInfo) check(x *exchange, owner *billing.Customer, kept *billing.PaymentMethod, wrong *mistakes) cashier.BillingInfoRequest {
	var was billing.PaymentMethod
	if kept != nil {
		was = *kept
	}
	r := cashier.BillingInfoRequest{Keeps: func(a *billing.Attempt) bool { return refusalOf(a).code == declinedSaveable }}
	m := &r.MethodRequest
	m.Address = billing.Address{Street1: b.value("address1", was.Address.Street1), Street2: b.value("address2", was.Address.Street2),
		City: b.value("city", was.Address.City), State: b.value("state", was.Address.State), PostalCode: b.value("zip", was.Address.PostalCode),
		Country: strings.ToUpper(b.value("country", was.Address.Country))}
	m.Phone, m.Active = b.value("phone", was.Phone), true
	m.Details = billing.MethodDetails{FirstName: orElse(b.value("first_name", was.Details.FirstName), owner.FirstName),
		LastName:  orElse(b.value("last_name", was.Details.LastName), owner.LastName),
		IPAddress: b.value("ip_address", was.Details.IPAddress), VATNumber: b.value("vat_number", was.Details.VATNumber)}
	m.Holder = strings.TrimSpace(m.Details.FirstName + " " + m.Details.LastName)
	b.checkFields(x.choices, m, wrong)
	if kept != nil && !b.card.numbered {
		b.fillIn(kept)
	}
	b.card.check(x, wrong, b.inside, kept != nil)
	if b.card.number.IsZero() {
		r.KeepCard, r.Change = true, b.keep(m)
		return r
	}
	m.Instrument, m.Number, m.Expiry, m.Pretended = instrumentOf(b.card.kind), b.card.number, b.card.expiry(), b.card.kind == bogus
	m.Details.Brand, m.Details.StartDate, m.Details.IssueNumber = b.card.kind, b.card.start, b.card.issue
	r.SecurityCode = b.card.code
	return r
}

// fillIn takes month or year from the card that is kept, where only the other is
// given: what is absent stays as it is.
func (b *billingInfo) fillIn(kept *billing.PaymentMethod) {
	if (b.inside["month"] == "") == (b.inside["year"] == "") || !billing.CheckExpiry(kept.Expiry) {
		return
	}
	month, year := expiryOf(kept.Expiry, time.Time{})
	for name, n := range map[string]int64{"month": month, "year": year} {
		if b.inside[name] == "" {
			b.inside[name] = strconv.FormatInt(n, 10)
		}
	}
}

// keep changes what is kept, but for the number, to what was asked for.
func (b *billingInfo) keep(m *cashier.MethodRequest) func(*billing.PaymentMethod) {
	return func(p *billing.PaymentMethod) {
		d := m.Details
		d.Brand, d.StartDate, d.IssueNumber = p.Details.Brand, p.Details.StartDate, p.Details.IssueNumber
		p.Address, p.Phone, p.Details, p.Holder = m.Address, m.Phone, d, m.Holder
		if b.card.dated {
			p.Expiry = b.card.expiry()
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// checkFields finds what is wrong with names and address (6.2, 6.7).
func (b *billingInfo) checkFields(s settings, r *cashier.MethodRequest, wrong *mistakes) {
	if r.Details.FirstName == "" {
		wrong.add("first_name", blank)
	}
	if r.Details.LastName == "" {
		wrong.add("last_name", blank)
	}
	for _, f := range s.requiredAddress(r.Address) {
		if f.value == "" {
			wrong.add(f.name, blank)
		}
	}
	for _, f := range billingFields {
		if v := b.fields[f.name]; v != nil && utf8.RuneCountInString(*v) > f.most {
			wrong.add(f.name, tooLong)
		}
	}
	if c := r.Address.Country; c != "" && !isCountry(c) && !wrong.has("country") {
		wrong.add("country", invalid)
	}
	if ip := r.Details.IPAddress; ip != "" && !wrong.has("ip_address") {
		if _, err := netip.ParseAddr(ip); err != nil {
			wrong.add("ip_address", invalid)
		}
	}
}

// isCountry reports whether a text is two letters, as codes of countries are.
func isCountry(s string) bool {
	if len(s) != 2 {
		return false
	}
	for i := range 2 {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

type namedValue struct{ name, value string }

// requiredAddress lists the fields of an address that the site requires (6.7).
// Only the two countries that have states here must name one.
func (s settings) requiredAddress(a billing.Address) []namedValue {
	switch s.AddressRequirement {
	case addressZip:
		return []namedValue{{"zip", a.PostalCode}}
	case addressStreetZip:
		return []namedValue{{"address1", a.Street1}, {"zip", a.PostalCode}}
	case addressFull:
		list := []namedValue{{"address1", a.Street1}, {"city", a.City}}
		if c := strings.ToUpper(a.Country); c == "US" || c == "CA" {
			list = append(list, namedValue{"state", a.State})
		}
		return append(list, namedValue{"zip", a.PostalCode}, namedValue{"country", a.Country})
	}
	return nil
}

// billingInfoOf reads what is kept of an account's billing information, nil if
// nothing is.
func billingInfoOf(ctx context.Context, v *store.View, c billing.CustomerID) (*billing.PaymentMethod, error) {
	m, err := v.BillingInfo(ctx, c)
	if billing.KindOf(err) == billing.NotFound {
		return nil, nil
	}
	return m, err
}

// putBillingInfo is PUT .../billing_info: creating and updating alike (6).
func putBillingInfo(ctx context.Context, x *exchange) (answer, error) {
	e := x.body
	if e.name == "account" {
		e = e.child("billing_info") // one client puts it there, and whatever stands beside it means nothing
	}
	owner, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	m, err := x.setBillingInfo(ctx, owner, readBillingInfo(e))
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	d.billingInfo(owner, m, x.session.Now)
	return answer{doc: d}, nil
}

// setBillingInfo checks and sets an account's billing information. Nil, where
// nothing was said, leaves what is there, and where nothing is wants it.
func (x *exchange) setBillingInfo(ctx context.Context, owner *billing.Customer, b *billingInfo) (*billing.PaymentMethod, error) {
	if owner.Standing == billing.StandingClosed {
		return nil, fail(http.StatusUnprocessableEntity, "The account is closed")
	}
	var kept *billing.PaymentMethod
	err := x.session.Books.View(ctx, func(v *store.View) (err error) {
		kept, err = billingInfoOf(ctx, v, owner.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch {
	case b == nil && kept != nil:
		return kept, nil // nothing is to be any other
	case b == nil:
		b = &billingInfo{fields: make(map[string]*string)}
	}
	var wrong mistakes
	r := b.check(x, owner, kept, &wrong)
	if err := wrong.orNil(); err != nil {
		return nil, err
	}
	info, err := x.Cashier.SetBillingInfo(ctx, x.session, cashier.Ref{ID: int64(owner.ID)}, r)
	if err != nil {
		return nil, err
	}
	if info.Refused != nil {
		return nil, declineOf(info.Refused)
	}
	return info.Method, nil
}

// billingInfo writes the document of 6.5.
func (d *document) billingInfo(owner *billing.Customer, m *billing.PaymentMethod, now time.Time) {
	d.within("billing_info", "", func() { d.billingFields(owner, m, now) })
}

// billingFields writes what is within it. For a card that is not kept, in an
// object that failed, now tells the month that counts as its own.
func (d *document) billingFields(owner *billing.Customer, m *billing.PaymentMethod, now time.Time) {
	d.text("account_code", owner.Code)
	d.text("first_name", m.Details.FirstName)
	d.text("last_name", m.Details.LastName)
	d.text("address1", m.Address.Street1)
	d.text("address2", m.Address.Street2)
	d.text("city", m.Address.City)
	d.text("state", m.Address.State)
	d.text("country", m.Address.Country)
	d.text("zip", m.Address.PostalCode)
	d.text("phone", m.Phone)
	d.text("vat_number", m.Details.VATNumber)
	d.text("ip_address", m.Details.IPAddress)
	d.within("credit_card", "", func() {
		kind, last := "", ""
		if m.Masked != "" {
			kind, last = typeOf(m), lastFour(m)
		}
		d.text("type", kind)
		d.text("last_four", last)
		month, year := expiryOf(m.Expiry, now)
		d.integer("month", month)
		d.integer("year", year)
	})
	d.datetime("updated_at", m.UpdatedAt)
}

// expiryOf is month and year of an expiry date as the books have it; none is the
// current month (6.3, 3). Two digits mean a year from 1980 to 2079.
func expiryOf(mmyy string, now time.Time) (month, year int64) {
	if !billing.CheckExpiry(mmyy) {
		return int64(now.UTC().Month()), int64(now.UTC().Year())
	}
	n := func(s string) int64 { return int64(s[0]-'0')*10 + int64(s[1]-'0') }
	month, year = n(mmyy[:2]), 2000+n(mmyy[2:])
	if year >= 2080 {
		year -= 100
	}
	return month, year
}

// showBillingInfo is GET .../billing_info (6.5).
func showBillingInfo(ctx context.Context, x *exchange) (answer, error) {
	owner, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	err = x.session.Books.View(ctx, func(v *store.View) error {
		m, err := billingInfoOf(ctx, v, owner.ID)
		if err != nil {
			return err
		}
		if m == nil {
			return notFound("Billing info")
		}
		d.billingInfo(owner, m, x.session.Now)
		return nil
	})
	return answer{doc: d}, err
}

// clearBillingInfo is DELETE .../billing_info: for good (6.6). A subscription goes
// on, and its renewal goes past due.
func clearBillingInfo(ctx context.Context, x *exchange) (answer, error) {
	owner, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	err = x.Cashier.ClearBillingInfo(ctx, x.session, cashier.Ref{ID: int64(owner.ID)})
	if billing.KindOf(err) == billing.NotFound {
		err = notFound("Billing info")
	}
	return answer{}, err
}
