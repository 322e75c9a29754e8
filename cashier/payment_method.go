package cashier

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// MethodRequest asks for a payment method: a number in the clear, or the token
// of one that the vault holds already.
type MethodRequest struct {
	Code       string
	Instrument billing.Instrument
	Number     billing.Secret
	Expiry     string // MMYY
	Routing    string
	Token      string
	Holder     string // "" is the customer's name
	Address    billing.Address
	Phone      string
	Email      string
	Active     bool
	Details    billing.MethodDetails

	// Pretended says that the number may be one of a test gateway that no card can
	// have: one or two digits. Only a test merchant may keep such a one.
	Pretended bool
}

// check refuses what cannot be a card or bank account of a merchant.
func (r *MethodRequest) check(m *billing.Merchant) error {
	if r.Pretended && m.Mode == billing.Test && pretended(r.Instrument, r.Number) {
		if !billing.CheckExpiry(r.Expiry) {
			return badExpiry()
		}
		return nil
	}
	return checkInstrument(r.Instrument, r.Number, r.Expiry, r.Routing)
}

// pretended reports whether a number is one that only a test gateway takes for a
// card's.
func pretended(i billing.Instrument, number billing.Secret) bool {
	digits := number.Reveal()
	return i.IsCard() && (len(digits) == 1 || len(digits) == 2) && strings.Trim(digits, "0123456789") == ""
}

// AddPaymentMethod seals a card or bank account for a customer. The number is
// in no database row, log line or answer from here on, but masked.
func (c *Cashier) AddPaymentMethod(ctx context.Context, s *Session, customer Ref, r MethodRequest) (m *billing.PaymentMethod, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		if m, err = c.vaulted(ctx, s, tx, owner, r); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.PaymentMethodAdded, m.CustomerID, int64(m.ID))})
	})
	return m, err
}

// vaulted seals what a request brings and inserts it as a payment method of a
// customer.
func (c *Cashier) vaulted(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer, r MethodRequest) (*billing.PaymentMethod, error) {
	keys, err := c.keys(s.Merchant)
	if err != nil {
		return nil, err
	}
	if r.Token != "" {
		if r, err = s.fromToken(ctx, &tx.View, keys, r); err != nil {
			return nil, err
		}
	} else if !s.Login.AllowRawData {
		return nil, rawDataRefused()
	}
	if err := r.check(s.Merchant); err != nil {
		return nil, err
	}
	if r.Holder == "" {
		r.Holder = owner.Name()
	}
	m := &billing.PaymentMethod{
		MerchantID: s.Merchant.ID, ID: billing.PaymentMethodID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID,
		Code: r.Code, Instrument: r.Instrument, Expiry: r.Expiry, Routing: r.Routing, Holder: r.Holder, Address: r.Address,
		Phone: r.Phone, Email: r.Email, Active: r.Active, Details: r.Details, ForgetAt: s.Merchant.ForgetAt(s.Now), CreatedAt: s.Now, UpdatedAt: s.Now,
	}
	m.Token = token(m, r.Number.Reveal())
	if err := seal(keys, m, r.Number.Reveal()); err != nil {
		return nil, err
	}
	if err := tx.InsertPaymentMethods(ctx, m); err != nil {
		return nil, err
	}
	return m, reserve(ctx, tx, store.PaymentMethodNoun, s.scope(store.PaymentMethodNoun, m.AccountID, m.CustomerID), m.Code, int64(m.ID))
}

// fromToken fills a request from the payment method that its token stands for.
func (s *Session) fromToken(ctx context.Context, v *store.View, keys *vault.Keys, r MethodRequest) (MethodRequest, error) {
	m, err := v.PaymentMethodByToken(ctx, r.Token)
	if err != nil {
		return r, err
	}
	if !s.Login.Reaches(m.AccountID) || !m.Vaulted() {
		return r, billing.Errorf(billing.NotFound, "token not found")
	}
	number, err := keys.Open(m.Sealed, sealedFor(m.ID))
	if err != nil {
		return r, err
	}
	r.Instrument, r.Number, r.Routing = m.Instrument, billing.NewSecret(string(number)), m.Routing
	if r.Expiry == "" {
		r.Expiry = m.Expiry
	}
	return r, nil
}

// ModifyPaymentMethod applies a change to a payment method. One that becomes
// usable again, or gets a new expiry date, is claimed from for what is open.
func (c *Cashier) ModifyPaymentMethod(ctx context.Context, s *Session, customer, r Ref, change func(*billing.PaymentMethod) error) (m *billing.PaymentMethod, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if m, err = s.PaymentMethod(ctx, &tx.View, owner, r); err != nil {
			return err
		}
		if !m.Vaulted() {
			return billing.Errorf(billing.State, "the payment method was forgotten; give another")
		}
		before := *m
		if err := change(m); err != nil {
			return err
		}
		if m.Instrument.IsCard() && !billing.CheckExpiry(m.Expiry) {
			return badExpiry()
		}
		m.UpdatedAt = s.Now
		fresh := m.Expiry != before.Expiry
		m.Stale = m.Stale && !fresh
		if err := tx.UpdatePaymentMethod(ctx, m); err != nil {
			return err
		}
		if m.Active && (fresh || !before.Active) {
			if err := b.renewPaidWith(ctx, m); err != nil {
				return err
			}
		}
		b.event(billing.PaymentMethodChanged, owner.ID, int64(m.ID))
		return b.flush(ctx)
	})
	return m, err
}

func checkInstrument(i billing.Instrument, number billing.Secret, expiry, routing string) error {
	if !i.IsCard() && !i.IsBank() {
		return billing.FieldError(billing.Invalid, "type", "must be a card or a bank account")
	}
	if number.IsZero() {
		return billing.FieldError(billing.Missing, "accountNumber", "is required")
	}
	if !i.CheckNumber(number.Reveal()) {
		return billing.FieldError(billing.Invalid, "accountNumber", "is not a valid number of this type")
	}
	if i.IsCard() && !billing.CheckExpiry(expiry) {
		return badExpiry()
	}
	if i.IsBank() && (len(routing) < 6 || len(routing) > 9) {
		return billing.FieldError(billing.Invalid, "accountAccessory", "must be a routing number")
	}
	return nil
}

func badExpiry() error {
	return billing.FieldError(billing.Invalid, "accountAccessory", "must be the expiry date as MMYY")
}

func rawDataRefused() error {
	return &billing.Error{Kind: billing.Forbidden, Field: "accountNumber", Message: "this login may not send card or bank numbers; send a token"}
}

// SealNumber gives a payment method that is being made, with id, instrument and
// routing, its number: token, mask, fingerprint and sealed bytes. It is for those
// who write payment methods by the thousand; AddPaymentMethod does it by itself.
func (c *Cashier) SealNumber(merchant *billing.Merchant, m *billing.PaymentMethod, number billing.Secret) error {
	keys, err := c.keys(merchant)
	if err != nil {
		return err
	}
	m.Token = token(m, number.Reveal())
	return seal(keys, m, number.Reveal())
}

// seal puts a number into a payment method: what can be shown of it, what it is
// recognised by, and itself for who has the keys.
func seal(keys *vault.Keys, m *billing.PaymentMethod, number string) (err error) {
	m.Masked, m.Fingerprint = billing.Mask(number), fingerprint(keys, m.Instrument, number, m.Routing)
	m.Sealed, err = keys.Seal([]byte(number), sealedFor(m.ID))
	return err
}

// fingerprint recognises the same card or bank account again, without telling
// which it is.
func fingerprint(keys *vault.Keys, i billing.Instrument, number, routing string) []byte {
	if i.IsBank() {
		number = routing + "/" + number
	}
	return keys.Fingerprint(number)
}

// sealedFor is the associated data that binds a sealed number to its payment
// method: moved to another row it does not open.
func sealedFor(id billing.PaymentMethodID) string {
	return "payment_method/" + strconv.FormatInt(int64(id), 10)
}

// token is the opaque name of a vaulted number: two letters, the id and the
// last four digits. Knowing it is not knowing the number.
func token(m *billing.PaymentMethod, number string) string {
	kind := "BA"
	if m.Instrument.IsCard() {
		kind = "CC"
	}
	last := number
	if len(last) > 4 {
		last = last[len(last)-4:]
	}
	if m.Instrument.IsBank() && len(number) < 9 {
		last = "0000" // four of so few digits would be half the number
	}
	return fmt.Sprintf("%s%019d%s", kind, int64(m.ID), last)
}
