package cashier

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// velocity holds a charge that is about to be written down against the
// merchant's controls, and has it counted with the attempt (protocols/ccbill.md
// 7). The row of the consumer is locked from here to the end of the transaction,
// so that of two charges at once the second sees the first. It is locked after
// customers, and before codes and idempotency keys are taken; a merchant's
// charges share no lock. Without controls it does nothing.
func (m *minting) velocity(ctx context.Context, b *book, a *billing.Attempt, number billing.Secret) error {
	controls := m.s.Merchant.Settings.Velocity
	if a.Kind != billing.AskCharge || !controls.Active() {
		return nil
	}
	who := fingerprint(m.keys, a.Instrument, number.Reveal(), a.Routing)
	consumer, err := m.tx.LockConsumer(ctx, who, a.CreatedAt)
	if err != nil {
		return err
	}
	past := past{View: &m.tx.View, controls: controls, fingerprint: who, customer: a.CustomerID, method: a.PaymentMethodID}
	c := billing.Case{Consumer: *consumer, Currency: m.s.Merchant.Currency, Charge: billing.Counted{At: a.CreatedAt, AccountID: a.AccountID,
		Bank: a.Instrument.IsBank(), Amount: a.Amount, Expiry: a.Expiry, State: billing.Sending}}
	if o := m.origin; o != nil { // enrolled anew for this sale, and known by what was before
		past.customer, past.method = o.customer.ID, o.method.ID
	}
	if err := past.read(ctx, &c); err != nil {
		return err
	}
	if refusal := controls.Judge(c); refusal != nil {
		return refuse(store.Refusal{At: a.CreatedAt, AccountID: a.AccountID, CustomerID: a.CustomerID, Amount: a.Amount, Masked: a.Masked,
			Login: m.s.Login.Name, VelocityRefusal: *refusal})
	}
	b.counted = append(b.counted, store.CountedCharge{Fingerprint: who, AttemptID: a.ID, At: a.CreatedAt})
	return nil
}

// past is where that lies by which a charge is judged.
type past struct {
	*store.View
	controls    billing.Velocity
	fingerprint []byte
	customer    billing.CustomerID
	method      billing.PaymentMethodID // 0 for a number that came with the request
}

// read fills in what the controls ask about, and no more.
func (p past) read(ctx context.Context, c *billing.Case) (err error) {
	if horizon := p.controls.Horizon(); horizon > 0 {
		if c.Consumer.History, err = p.CountedSince(ctx, p.fingerprint, c.Charge.At.Add(-horizon)); err != nil {
			return err
		}
	}
	if most := p.controls.PurchasesAsked(); most > 0 {
		if c.Consumer.Purchases, err = p.Purchases(ctx, p.fingerprint, most); err != nil {
			return err
		}
	}
	if p.controls.NamesAccounts() {
		accounts, err := p.Accounts(ctx)
		if err != nil {
			return err
		}
		c.Accounts = make(map[string]billing.AccountID, len(accounts))
		for _, a := range accounts {
			c.Accounts[a.Code] = a.ID
		}
	}
	g := p.controls.Guards
	if p.method == 0 || !g.TakenBack && g.MinAge == "" && g.MaxIdle == "" {
		return nil
	}
	m, err := p.PaymentMethod(ctx, p.method)
	if err != nil {
		return err
	}
	c.Consumer.MethodSince = m.CreatedAt
	c.Consumer.LastPaid, c.Consumer.TakenBack, err = p.PastOf(ctx, p.customer, p.method, p.fingerprint)
	return err
}

// refusedCharge carries a refusal out of the transaction that it undoes.
type refusedCharge struct{ store.Refusal }

func (r *refusedCharge) Error() string { return r.VelocityRefusal.Error() }

// Unwrap is what dialects look for.
func (r *refusedCharge) Unwrap() error { return &r.VelocityRefusal }

// refuse is the error of a charge that velocity controls refuse. Its text does
// not tell the client the limits.
func refuse(r store.Refusal) error {
	return &billing.Error{Kind: billing.Limited, Message: "a velocity control of the merchant refuses this charge", Err: &refusedCharge{r}}
}

// noteRefusal writes down why a charge was refused, if that is what an error
// says: in a transaction of its own, because the refusal has undone the one that
// it came from. If it cannot be written the charge is refused all the same.
func (c *Cashier) noteRefusal(ctx context.Context, s *Session, err error) {
	var r *refusedCharge
	if !errors.As(err, &r) {
		return
	}
	ctx = context.WithoutCancel(ctx) // a client that hangs up does not cover its tracks
	err = c.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error { return tx.InsertRefusal(ctx, &r.Refusal) })
	if err != nil {
		c.Log.ErrorContext(ctx, "a velocity refusal was not written down", "merchant", s.Merchant.Code, "rule", r.Rule, "error", err)
	}
}

// Trust lets the consumer behind a customer's payment method, or behind all of
// them if method is zero, go further than the rules: by t.Percent of each limit,
// 0 for without limit, until t.Until. It takes the place of trust given before.
// t.By is who gives it, "" the login.
func (c *Cashier) Trust(ctx context.Context, s *Session, customer, method Ref, t billing.Trust) (count int, err error) {
	if t.Percent < 0 || t.Percent > billing.MaxTrustPercent {
		return 0, billing.FieldError(billing.Invalid, "percent", "must be from 1 to %d, or 0 for no limit", billing.MaxTrustPercent)
	}
	if t.Reason == "" || utf8.RuneCountInString(t.Reason) > 500 {
		return 0, billing.FieldError(billing.Missing, "reason", "is required, in at most 500 characters")
	}
	if !t.Until.IsZero() && !t.Until.After(s.Now) {
		return 0, billing.FieldError(billing.Invalid, "until", "lies in the past")
	}
	if most := s.Merchant.Settings.Velocity.Guards.MaxTrust; most != "" && (t.Until.IsZero() || t.Until.After(s.Now.Add(most.Length()))) {
		return 0, billing.FieldError(billing.State, "until", "must be given, and lie at most %s ahead: guards.max_trust", most)
	}
	if t.By == "" {
		t.By = s.Login.Name
	}
	t.At = s.Now
	err = c.update(ctx, s, func(tx *store.Tx) error {
		methods, err := s.methods(ctx, &tx.View, customer, method)
		count = len(methods)
		for _, m := range methods {
			if err := tx.SaveTrust(ctx, m.Fingerprint, store.TrustedConsumer{Trust: t, CustomerID: m.CustomerID, Masked: m.Masked}); err != nil {
				return err
			}
			act := billing.Act{Act: "trusted", Noun: string(store.PaymentMethodNoun), Object: int64(m.ID), Who: t.By, Reason: t.Reason, At: c.Now()}
			if err := tx.InsertAct(ctx, act); err != nil {
				return err
			}
		}
		return err
	})
	return count, err
}

// Distrust takes back what Trust gave and counts the consumers that had trust.
// act says who does it, and why.
func (c *Cashier) Distrust(ctx context.Context, s *Session, customer, method Ref, act billing.Act) (count int, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		count = 0
		methods, err := s.methods(ctx, &tx.View, customer, method)
		for _, m := range methods {
			had, err := tx.EndTrust(ctx, m.Fingerprint)
			if err != nil {
				return err
			}
			if !had {
				continue
			}
			count++
			act.Act, act.Noun, act.Object, act.At = "no longer trusted", string(store.PaymentMethodNoun), int64(m.ID), c.Now()
			if err := tx.InsertAct(ctx, act); err != nil {
				return err
			}
		}
		return err
	})
	return count, err
}

// methods are the payment methods of a customer, or the one that is named, each
// number once, in the order of their fingerprints: that is the order in which
// several consumers are locked.
func (s *Session) methods(ctx context.Context, v *store.View, customer, method Ref) ([]*billing.PaymentMethod, error) {
	owner, err := s.Customer(ctx, v, customer)
	if err != nil {
		return nil, err
	}
	if !method.IsZero() {
		m, err := s.PaymentMethod(ctx, v, owner, method)
		return []*billing.PaymentMethod{m}, err
	}
	list, err := v.PaymentMethods(ctx, owner.ID, store.Page{Limit: 1000})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, billing.Errorf(billing.NotFound, "customer %s has no payment method", strconv.FormatInt(int64(owner.ID), 10))
	}
	return distinctNumbers(list), nil
}

func distinctNumbers(list []*billing.PaymentMethod) []*billing.PaymentMethod {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b *billing.PaymentMethod) int { return bytes.Compare(a.Fingerprint, b.Fingerprint) })
	return slices.CompactFunc(sorted, func(a, b *billing.PaymentMethod) bool { return bytes.Equal(a.Fingerprint, b.Fingerprint) })
}

// Standing is how far one consumer has gone toward a merchant's limits.
type Standing struct {
	Method *billing.PaymentMethod
	Trust  *billing.Trust // nil if none; perhaps expired
	Uses   []billing.Use
}

// Standing tells, for each number of a customer, how far its holder has gone
// toward the limits that a charge in the customer's account would meet, at an
// instant of the merchant's clock.
func (s *Session) Standing(ctx context.Context, v *store.View, customer Ref, at time.Time) ([]Standing, error) {
	methods, err := s.methods(ctx, v, customer, Ref{})
	if err != nil {
		return nil, err
	}
	controls := s.Merchant.Settings.Velocity
	var list []Standing
	for _, m := range methods {
		consumer, err := v.Consumer(ctx, m.Fingerprint)
		if err != nil {
			return nil, err
		}
		c := billing.Case{Consumer: *consumer, Currency: s.Merchant.Currency,
			Charge: billing.Counted{At: at, AccountID: m.AccountID, Bank: m.Instrument.IsBank(), Amount: s.Merchant.Money(0)}}
		past := past{View: v, controls: controls, fingerprint: m.Fingerprint, customer: m.CustomerID, method: m.ID}
		if err := past.read(ctx, &c); err != nil {
			return nil, err
		}
		list = append(list, Standing{Method: m, Trust: consumer.Trust, Uses: controls.Uses(c)})
	}
	return list, nil
}
