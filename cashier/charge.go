package cashier

import (
	"context"
	"crypto/subtle"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// ChargeRequest asks to move money now: to charge a card or debit a bank
// account, or, as a credit, to pay to one.
type ChargeRequest struct {
	Key          string // idempotency key, "" if the wire has none
	Code         string
	Credit       bool // pay to the customer instead
	Amount       int64
	Tax          int64
	Currency     billing.Currency // "" is the merchant's
	Method       Ref              // a vaulted payment method, or
	Token        string           // the token of one, or
	Instrument   billing.Instrument
	Number       billing.Secret // a number that came with the request
	Expiry       string
	Routing      string
	SecurityCode billing.Secret
	Payer        billing.Payer
	Due          billing.Date
	Note         string
	Invoices     []Ref
	InvoiceRaw   string
	Sale         *billing.Sale     // the subscription that comes of an approval
	Extra        map[string]string // see billing.Details

	// Adopts and Enrolls: see billing.Details. What is adopted may be a candidate,
	// which is inactive until then.
	Adopts  billing.PaymentMethodID
	Enrolls bool

	origin *buyer // whose past velocity controls look at, nil if the payer's own
}

// Receipt is what became of a charge: the attempt, with the processor's words,
// and the activity that it became. Replayed says that an idempotency key was
// used before and this is what it did then.
type Receipt struct {
	Attempt  *billing.Attempt
	Activity *billing.Activity
	Replayed bool
}

// chargeScope is what idempotency keys of charges are used for.
const chargeScope = "charge"

// Charge charges in real time. A decline is an outcome, not an error; an
// unknown outcome is an activity in state unknown, which Rescue clears up and
// which must not be charged again meanwhile.
func (c *Cashier) Charge(ctx context.Context, s *Session, customer Ref, r ChargeRequest) (*Receipt, error) {
	return c.charge(ctx, &intent{s: s, r: &r, customer: billing.CustomerID(customer.ID), payer: func(tx *store.Tx) (*billing.Customer, error) {
		return s.Customer(ctx, &tx.View, customer)
	}})
}

// charge charges whoever the payer of an intent is.
func (c *Cashier) charge(ctx context.Context, i *intent) (*Receipt, error) {
	s, r := i.s, i.r
	if err := checkAmount(r.Amount, r.Tax); err != nil {
		return nil, err
	}
	if r.Credit && len(r.Invoices) > 0 {
		return nil, billing.FieldError(billing.State, "invoiceList", "money that is paid out covers no invoice")
	}
	account, err := c.account(ctx, s.Merchant)
	if err != nil {
		return nil, err
	}
	if i.keys, err = c.keys(s.Merchant); err != nil {
		return nil, err
	}
	i.processor = account.Name()
	if err := c.intend(ctx, i); err != nil {
		return nil, err
	}
	if i.earlier != nil {
		return s.receipt(ctx, i.earlier, true)
	}
	written, err := c.carryOut(ctx, s, account, i.attempt, i.number, r.SecurityCode)
	if err != nil {
		return nil, err
	}
	if written != nil {
		return &Receipt{Attempt: i.attempt, Activity: written}, nil
	}
	return s.receipt(ctx, i.attempt, false)
}

// carryOut asks the processor for an intention that is written down, and writes down
// what it answers: steps 3 and 4 of a payment. It returns the activity that the
// attempt has become, nil if that was not looked at.
func (c *Cashier) carryOut(ctx context.Context, s *Session, account *processor.Account, attempt *billing.Attempt, number, code billing.Secret) (*billing.Activity, error) {
	ctx = context.WithoutCancel(ctx) // from here on a client that hangs up changes nothing
	c.Step(ctx, "charge: intention committed")
	request := requestFor(s.Merchant, attempt, s.Now)
	request.Number, request.SecurityCode = number, code
	outcome := c.ask(ctx, account, attempt, request)
	c.Step(ctx, "charge: answered")
	return c.settleOne(ctx, s.Merchant, Answer{Attempt: attempt, Outcome: outcome})
}

// digest is a keyed hash of everything that makes two charges the same. The
// security code is left out: it is kept nowhere, not even as a hash.
func (r ChargeRequest) digest(keys *vault.Keys, owner billing.CustomerID) []byte {
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	var parts [][]byte
	for _, p := range []string{text(int64(owner)), r.Code, strconv.FormatBool(r.Credit), text(r.Amount), text(r.Tax), text(r.Method.ID),
		r.Method.Code, r.Token, string(r.Instrument), r.Number.Reveal(), r.Expiry, r.Routing, r.InvoiceRaw} {
		parts = append(parts, []byte(p))
	}
	return keys.Digest("charge", parts...)
}

// replay finds the attempt that an idempotency key made before. The same key
// with other input is an error, and so is one whose first use is under way.
func replay(ctx context.Context, v *store.View, key string, digest []byte) (*billing.Attempt, error) {
	if key == "" {
		return nil, nil
	}
	k, used, err := v.Key(ctx, chargeScope, key)
	if err != nil || !used {
		return nil, err
	}
	if subtle.ConstantTimeCompare(k.Digest, digest) != 1 {
		return nil, billing.Errorf(billing.Conflict, "this idempotency key was used for another request")
	}
	a, err := v.Attempt(ctx, billing.AttemptID(k.ObjectID))
	if err == nil && a.State == billing.Sending {
		err = inProgress()
	}
	return a, err
}

func inProgress() error {
	return billing.Errorf(billing.InProgress, "a request with this idempotency key is under way")
}

// minting is the writing down of an intention to charge, in one transaction.
type minting struct {
	s     *Session
	tx    *store.Tx
	b     *book // with the owner's account
	keys  *vault.Keys
	owner *billing.Customer
	lease time.Time

	origin *buyer // nil if owner is who buys
}

// charge puts the intention to charge into the book, to be written down: step 2
// of a payment. The number, if it came with the request, goes on in memory only.
func (m *minting) charge(ctx context.Context, processor string, r ChargeRequest) (*billing.Attempt, billing.Secret, error) {
	s, owner, tx, b := m.s, m.owner, m.tx, m.b
	currency := r.Currency
	if currency == "" {
		currency = s.Merchant.Currency
	}
	a := &billing.Attempt{
		MerchantID: s.Merchant.ID, ID: billing.AttemptID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID,
		ActivityID: billing.ActivityID(tx.NewID()), Kind: billing.AskCharge, Processor: processor,
		Amount: billing.Minor(r.Amount, currency), Tax: billing.Minor(r.Tax, currency), Payer: r.Payer, State: billing.Sending,
		Details: billing.Details{Code: r.Code, Note: r.Note, Creator: s.Login.Name, Due: r.Due.String(), InvoiceList: r.InvoiceRaw,
			Sale: r.Sale, Extra: r.Extra, Adopts: r.Adopts, Enrolls: r.Enrolls},
		CreatedAt: s.Now, LeaseUntil: m.lease,
	}
	a.Reference = strconv.FormatInt(int64(a.ID), 10)
	if r.Credit {
		a.Kind = billing.AskCredit
	}
	number, err := m.instrument(ctx, a, r)
	if err != nil {
		return nil, billing.Secret{}, err
	}
	if a.Payer.Holder == "" {
		a.Payer.Holder = owner.Name()
	}
	if err := m.velocity(ctx, b, a, number); err != nil {
		return nil, billing.Secret{}, err
	}
	debts, err := b.targets(ctx, s, owner, r.Invoices)
	if err != nil {
		return nil, billing.Secret{}, err
	}
	for _, d := range debts {
		a.Details.Targets = append(a.Details.Targets, d.ID)
		if d.Open.Sign() > 0 {
			d.ClaimedBy = a.ID // and CollectAt stays: if this comes to nothing the billing run goes on
			b.touch(d)
		}
	}
	scope := s.scope(store.ActivityNoun, owner.AccountID, owner.ID)
	if err := reserve(ctx, tx, store.ActivityNoun, scope, r.Code, int64(a.ActivityID)); err != nil {
		return nil, billing.Secret{}, err
	}
	if r.Sale != nil {
		a.SubscriptionID = r.Sale.SubscriptionID
	}
	if r.Sale != nil && r.Sale.Number != "" { // which is reserved for the subscription, and means both
		if err := tx.Reserve(ctx, store.AttemptNumber, 0, r.Sale.Number, int64(a.ID)); err != nil {
			return nil, billing.Secret{}, err
		}
	}
	if r.Sale != nil && r.Sale.Replaces != 0 {
		key := store.Key{Scope: replaceScope, Key: replaceKey(r.Sale.Replaces), Digest: []byte{}, ObjectID: int64(a.ID), At: s.Now}
		if err := tx.PassKey(ctx, key); err != nil {
			return nil, billing.Secret{}, err
		}
	}
	b.attempts = append(b.attempts, a)
	return a, number, nil
}

// instrument fills in what is charged: a payment method of the customer, the
// one that a token stands for, or a number that came with the request.
func (m *minting) instrument(ctx context.Context, a *billing.Attempt, r ChargeRequest) (billing.Secret, error) {
	var vaulted *billing.PaymentMethod
	var err error
	switch {
	case !r.Method.IsZero():
		vaulted, err = m.s.PaymentMethod(ctx, &m.tx.View, m.owner, r.Method)
	case r.Token != "":
		vaulted, err = m.tx.PaymentMethodByToken(ctx, r.Token)
		if err == nil && !m.s.Login.Reaches(vaulted.AccountID) {
			err = billing.Errorf(billing.NotFound, "token not found")
		}
	}
	if err != nil {
		return billing.Secret{}, err
	}
	if vaulted != nil {
		if !vaulted.Active && (vaulted.ID != r.Adopts || !vaulted.Vaulted()) {
			return billing.Secret{}, billing.FieldError(billing.State, "paymentOptionId", "the payment method is inactive")
		}
		payWith(a, vaulted)
		number, err := m.keys.Open(vaulted.Sealed, sealedFor(vaulted.ID))
		return billing.NewSecret(string(number)), err
	}
	if !m.s.Login.AllowRawData {
		return billing.Secret{}, rawDataRefused()
	}
	if err := checkInstrument(r.Instrument, r.Number, r.Expiry, r.Routing); err != nil {
		return billing.Secret{}, err
	}
	a.Instrument, a.Masked, a.Expiry, a.Routing = r.Instrument, billing.Mask(r.Number.Reveal()), r.Expiry, r.Routing
	return r.Number, nil
}

// payWith notes on an attempt the payment method that it asks to charge. What
// the request said of the payer stands; the method fills in the rest.
func payWith(a *billing.Attempt, m *billing.PaymentMethod) {
	a.PaymentMethodID, a.Instrument, a.Masked, a.Expiry, a.Routing, a.Token = m.ID, m.Instrument, m.Masked, m.Expiry, m.Routing, m.Token
	p := &a.Payer
	if p.Holder == "" {
		p.Holder = m.Holder
	}
	if p.Address == (billing.Address{}) {
		p.Address = m.Address
	}
	if p.Phone == "" {
		p.Phone = m.Phone
	}
	if p.Email == "" {
		p.Email = m.Email
	}
}

// requestFor is what a processor is told of an attempt, but for the number.
func requestFor(m *billing.Merchant, a *billing.Attempt, at time.Time) processor.Request {
	return processor.Request{
		Merchant: m.Code, Reference: a.Reference, Amount: a.Amount, Instrument: a.Instrument, Expiry: a.Expiry, Routing: a.Routing,
		Payer: a.Payer, Customer: strconv.FormatInt(int64(a.CustomerID), 10), Recurring: a.Claim, At: at,
	}
}

// ask asks the processor: step 3 of a payment, outside any transaction. When no
// answer comes the processor is asked once, by our reference, what it did.
func (c *Cashier) ask(ctx context.Context, account *processor.Account, a *billing.Attempt, r processor.Request) billing.Outcome {
	if !c.Now().Before(a.LeaseUntil) {
		// This worker stood still for so long that another may have asked what
		// became of the attempt, and heard: nothing. Sent now, it would become a
		// charge that nobody expects any more.
		return billing.Outcome{State: billing.AttemptUnknown, Message: "not sent by a worker that was too late"}
	}
	if c.Ready(ctx) != nil { // the right to act was lost since the intention was written down
		return billing.Outcome{State: billing.AttemptUnknown, Message: "not sent by a worker that may not act any more"}
	}
	outcome := account.Do(ctx, a.Kind, r)
	if outcome.State == billing.AttemptUnknown {
		c.Step(ctx, "ask: no answer")
		if known, found, err := account.Lookup(ctx, r.Merchant, r.Reference, r.At); err == nil && found {
			outcome = credible(a, known)
		}
	}
	c.Answered(a.Kind, outcome)
	return outcome
}

// receipt reads what an attempt has become.
func (s *Session) receipt(ctx context.Context, a *billing.Attempt, replayed bool) (*Receipt, error) {
	r := &Receipt{Attempt: a, Replayed: replayed}
	err := s.Books.View(ctx, func(v *store.View) (err error) {
		r.Activity, err = v.Activity(ctx, a.ActivityID)
		return err
	})
	return r, err
}
