package setup

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// payer is a customer of the file with what belongs to it. Ids are 0 until
// things have been made; by the time that a step needs one, an earlier step has
// seen to it.
type payer struct {
	*billing.Customer
	name    string // in reports
	account string // code
	methods map[string]*billing.PaymentMethod
}

// ref names the customer to a verb.
func (p *payer) ref() cashier.Ref { return cashier.Ref{ID: int64(p.ID)} }

// customer looks at one customer, its payment methods and its subscriptions.
func (w *work) customer(ctx context.Context, c *customer) error {
	o, err := w.ownerFor(ctx, c.Where, "account", c.Account)
	if err != nil || o == nil || !w.free(store.CustomerNoun, c.Where, []string{c.Account}, c.Code) {
		return err
	}
	p := &payer{name: codes(w.file.Code, c.Account, c.Code), account: c.Account, methods: make(map[string]*billing.PaymentMethod)}
	id, err := w.holder(ctx, store.CustomerNoun, &billing.Customer{AccountID: o.ID}, c.Code)
	if err != nil {
		return err
	}
	if id == 0 {
		w.newCustomer(o, p, c)
	} else if ok, err := w.oldCustomer(ctx, o, p, c, billing.CustomerID(id)); err != nil || !ok {
		return err
	}
	for _, m := range c.Methods {
		if err := w.method(ctx, p, m); err != nil {
			return err
		}
	}
	for _, s := range c.Subscriptions {
		if err := w.subscription(ctx, p, s); err != nil {
			return err
		}
	}
	if c.Sale != nil {
		return w.sale(ctx, p, c.Sale)
	}
	return nil
}

func (w *work) newCustomer(o *owner, p *payer, c *customer) {
	p.Customer = &billing.Customer{AccountID: o.ID, Code: c.Code, Active: true}
	c.apply(p.Customer)
	w.create(c.Where, "customer", p.name, func(ctx context.Context) error {
		return w.Cashier.Enroll(ctx, w.session(), c.Account, p.Customer)
	})
}

func (w *work) oldCustomer(ctx context.Context, o *owner, p *payer, c *customer, id billing.CustomerID) (ok bool, err error) {
	if p.Customer, err = w.view.Customer(ctx, id); err != nil {
		return false, err
	}
	if p.AccountID != o.ID {
		w.wrong(c.Where, "code", "is the code of a customer of another account, and codes are unique within the merchant")
		return false, nil
	}
	changed := c.apply(p.Customer)
	w.modify(c.Where, Change{Noun: "customer", Name: p.name, Fields: changed}, func(ctx context.Context) error {
		_, err := w.Cashier.ModifyCustomer(ctx, w.session(), p.ref(), func(now *billing.Customer) { c.apply(now) })
		return err
	})
	return true, nil
}

// apply brings a customer to what the file says and lists what changes.
func (c *customer) apply(to *billing.Customer) (changed fields) {
	set(&changed, "first_name", &to.FirstName, c.FirstName)
	set(&changed, "last_name", &to.LastName, c.LastName)
	set(&changed, "organization", &to.Organization, c.Organization)
	set(&changed, "email", &to.Email, c.Email)
	set(&changed, "phone", &to.Phone, c.Phone)
	c.Address.apply(&to.Address, &changed)
	set(&changed, "active", &to.Active, c.Active)
	return changed
}

func (a *address) apply(to *billing.Address, changed *fields) {
	set(changed, "address.street1", &to.Street1, a.Street1)
	set(changed, "address.street2", &to.Street2, a.Street2)
	set(changed, "address.city", &to.City, a.City)
	set(changed, "address.state", &to.State, a.State)
	set(changed, "address.zip", &to.PostalCode, a.Zip)
	set(changed, "address.country", &to.Country, a.Country)
}

// method looks at one payment method of a customer.
func (w *work) method(ctx context.Context, p *payer, m *method) error {
	if !w.free(store.PaymentMethodNoun, m.Where, []string{p.account, p.Code}, m.Code) {
		return nil
	}
	id, err := w.heldBy(ctx, store.PaymentMethodNoun, p, m.Code)
	if err != nil {
		return err
	}
	if id == 0 {
		w.newMethod(p, m)
		return nil
	}
	have, err := w.view.PaymentMethod(ctx, billing.PaymentMethodID(id))
	if err != nil {
		return err
	}
	if have.CustomerID != p.ID {
		w.another(m.Where, "payment method")
		return nil
	}
	return w.oldMethod(p, m, have)
}

// heldBy is holder for what customers hold: a customer that is still to be made
// holds nothing, but its codes may be taken by others of its account.
func (w *work) heldBy(ctx context.Context, n store.Noun, p *payer, code string) (int64, error) {
	if p.ID == 0 && w.want.Settings.CodeScope == billing.WithinCustomer {
		return 0, nil
	}
	return w.holder(ctx, n, p.Customer, code)
}

// another is the problem of a code that another customer's object holds.
func (w *work) another(at place, noun string) {
	w.wrong(at, "code", "is the code of a %s of another customer, and codes are unique within the %s", noun, w.want.Settings.CodeScope)
}

func (w *work) newMethod(p *payer, m *method) {
	if m.Number.IsZero() {
		w.wrong(m.Where, "number", "is required for a new payment method")
	}
	if m.Type.IsCard() && m.Expiry == nil {
		w.wrong(m.Where, "expiry", "is required for a card: month and year as MMYY")
	}
	if m.Type.IsBank() {
		required(&w.problems, m.Where, "routing", m.Routing)
	}
	made := &billing.PaymentMethod{AccountID: p.AccountID, Code: m.Code, Instrument: m.Type, Routing: m.Routing, Active: true}
	m.apply(made)
	p.methods[m.Code] = made
	w.create(m.Where, "payment method", codes(p.name, m.Code), func(ctx context.Context) error {
		done, err := w.Cashier.AddPaymentMethod(ctx, w.session(), p.ref(), cashier.MethodRequest{
			Code: m.Code, Instrument: m.Type, Number: m.Number, Expiry: made.Expiry, Routing: m.Routing, Holder: made.Holder,
			Address: made.Address, Phone: made.Phone, Email: made.Email, Active: made.Active,
		})
		if err == nil {
			made.ID = done.ID
		}
		return err
	})
}

func (w *work) oldMethod(p *payer, m *method, have *billing.PaymentMethod) error {
	w.unchangeable(m.Where, "type", string(m.Type), string(have.Instrument))
	if m.Routing != "" && m.Routing != have.Routing {
		w.fixed(m.Where, "routing")
	} else if !m.Number.IsZero() {
		same, err := w.Cashier.SameNumber(w.have, have, m.Number)
		if err != nil {
			return err
		}
		if !same {
			w.fixed(m.Where, "number")
		}
	}
	changed := m.apply(have)
	p.methods[m.Code] = have
	w.modify(m.Where, Change{Noun: "payment method", Name: codes(p.name, m.Code), Fields: changed}, func(ctx context.Context) error {
		_, err := w.Cashier.ModifyPaymentMethod(ctx, w.session(), p.ref(), cashier.Ref{ID: int64(have.ID)}, func(now *billing.PaymentMethod) error {
			m.apply(now)
			return nil
		})
		return err
	})
	return nil
}

// fixed refuses another number for a payment method, without telling which it
// has.
func (w *work) fixed(at place, key string) {
	w.wrong(at, key, "is another than the one in the vault, and cannot be changed: another card or bank account is another payment method, with a code of its own")
}

// apply brings a payment method to what the file says of it that can change, and
// lists what does.
func (m *method) apply(to *billing.PaymentMethod) (changed fields) {
	set(&changed, "expiry", &to.Expiry, m.Expiry)
	set(&changed, "holder", &to.Holder, m.Holder)
	m.Address.apply(&to.Address, &changed)
	set(&changed, "phone", &to.Phone, m.Phone)
	set(&changed, "email", &to.Email, m.Email)
	set(&changed, "active", &to.Active, m.Active)
	return changed
}

// methodFor finds a payment method that a subscription names, in the file or in
// the books; nil is a problem that has been noted.
func (w *work) methodFor(ctx context.Context, p *payer, s *subscription) (*billing.PaymentMethod, error) {
	if m, ok := p.methods[s.PaymentMethod]; ok {
		return m, nil
	}
	id, err := w.heldBy(ctx, store.PaymentMethodNoun, p, s.PaymentMethod)
	if err != nil {
		return nil, err
	}
	if id != 0 {
		m, err := w.view.PaymentMethod(ctx, billing.PaymentMethodID(id))
		if err != nil || m.CustomerID == p.ID {
			return m, err
		}
	}
	w.wrong(s.Where, "payment_method", "names no payment method of this customer")
	return nil, nil
}
