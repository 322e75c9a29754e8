// Package cashier is the verbs of billing: enrol, subscribe, charge, collect,
// reverse, freeze, cancel. It is the only caller of processors and the only
// author of entries.
//
// Every payment goes the same way. The intention is written down and committed
// as an Attempt (step 2); outside any transaction the processor is asked, with
// the attempt's reference as its idempotency key (step 3); what it said is
// written down in a second transaction, all or nothing (step 4). A crash between
// any two of these leaves an attempt whose lease runs out, and Rescue asks the
// processor what became of it. An unknown outcome is never taken for a decline,
// and a debt that an attempt covers is claimed by no other.
//
// The billing run (package billrun) uses the same three steps on batches: Bill
// and Collect write intentions, Send asks, Settle writes outcomes.
package cashier

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// Options are what a Cashier works with.
type Options struct {
	Store *store.Store
	Vault *vault.Vault
	Now   func() time.Time // the world's clock
	Log   *slog.Logger

	// Processor finds the processor of a merchant, or says that it has none.
	Processor func(*billing.Merchant) (*processor.Account, error)

	// Lease is how long an attempt belongs to the worker that made it. It must
	// exceed the processor's deadline: after it, what the processor has not seen
	// will not arrive any more. Default 60 seconds.
	Lease time.Duration

	// Ready says by an error of kind Unavailable that no money may be moved now:
	// these books may not be the ones that the processors were last asked from.
	// Nil allows everything.
	Ready func(context.Context) error

	// Answered is told of each answer of a processor, for metrics; may be nil.
	Answered func(billing.AttemptKind, billing.Outcome)

	// Step is told when a verb comes to a named step, always outside of any
	// transaction: what went before is committed or asked, what comes after is
	// not begun. The simulator has the process die there, or stand still. Nil in
	// production.
	Step func(ctx context.Context, name string)
}

// Cashier performs the verbs. It is safe for concurrent use, and any number of
// them may work on one database.
type Cashier struct {
	Options
	gate     *gate
	lookups  company[string, *lookup]
	intents  company[billing.MerchantID, *intent]
	outcomes company[billing.MerchantID, *outcome]
}

// New makes a Cashier.
func New(o Options) *Cashier {
	if o.Lease == 0 {
		o.Lease = 60 * time.Second
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Answered == nil {
		o.Answered = func(billing.AttemptKind, billing.Outcome) {}
	}
	if o.Step == nil {
		o.Step = func(context.Context, string) {}
	}
	c := &Cashier{Options: o, gate: newGate()}
	c.lookups.desks, c.intents.desks, c.outcomes.desks = 1, o.Store.Clerks(), o.Store.Clerks()
	return c
}

// Session is who is asking: a login whose word has been proved, and the
// merchant that it acts for. It is made by Authenticate for one request.
type Session struct {
	Merchant *billing.Merchant
	Login    *billing.Login
	Books    *store.Reader // the merchant's books, to read
	Now      time.Time     // the merchant's time

	// Rehearsal has a verb do all that it would, and leave no trace: the answer is
	// the same. Verbs that ask a processor refuse it.
	Rehearsal bool
}

// System opens a session in which the installation's operator acts for a
// merchant: it reaches every account and may hand in card and bank numbers.
func (c *Cashier) System(m *billing.Merchant) *Session {
	return &Session{
		Merchant: m, Login: &billing.Login{MerchantID: m.ID, Name: billing.System, Role: billing.RoleAdmin, AllowRawData: true},
		Books: c.Store.Reader(m.ID), Now: m.Now(c.Now()),
	}
}

// Today is the merchant's date.
func (s *Session) Today() billing.Date { return s.Merchant.Today(s.Now) }

// update runs a verb's transaction on the session's merchant. If velocity
// controls refuse it, that is written down.
func (c *Cashier) update(ctx context.Context, s *Session, fn func(*store.Tx) error) error {
	if s.Rehearsal {
		return billing.Errorf(billing.State, "this cannot be rehearsed")
	}
	err := c.Store.Update(ctx, s.Merchant.ID, fn)
	if err != nil {
		c.noteRefusal(ctx, s, err)
	}
	return err
}

// rehearsable is update for verbs that ask no processor: in a rehearsal everything
// is done, and undone.
func (c *Cashier) rehearsable(ctx context.Context, s *Session, fn func(*store.Tx) error) error {
	if !s.Rehearsal {
		return c.update(ctx, s, fn)
	}
	err := c.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return err
}

// errRehearsed undoes a transaction in which everything went well.
var errRehearsed = errors.New("rehearsed")

// account is the processor of a merchant, if money may be moved now. Each verb
// that leads to a processor begins here.
func (c *Cashier) account(ctx context.Context, m *billing.Merchant) (*processor.Account, error) {
	if err := c.Ready(ctx); err != nil {
		return nil, err
	}
	return c.Processor(m)
}

// keys unwraps the merchant's data keys.
func (c *Cashier) keys(m *billing.Merchant) (*vault.Keys, error) {
	return c.Vault.Keys(vaultName(m), m.Keys)
}

// NewMerchant makes a merchant with data keys of its own. Whether a merchant of
// the code exists already is the caller's to ask first.
func (c *Cashier) NewMerchant(ctx context.Context, m *billing.Merchant) error {
	if err := m.Settings.Check(); err != nil {
		return err
	}
	if m.Mode == billing.Live && m.Clock.Mode != billing.ClockReal {
		return billing.Errorf(billing.State, "the clock of a live merchant cannot be moved")
	}
	m.CreatedAt = m.Now(c.Now())
	m.NoticesAt = m.Start(m.Today(m.CreatedAt).AddDays(1))
	wrapped, err := c.Vault.NewKeys(vaultName(m))
	if err != nil {
		return err
	}
	m.Keys = wrapped
	return c.Store.CreateMerchant(ctx, m)
}

// vaultName is the name under which the vault binds a merchant's keys. It is
// the code, which never changes and is unique.
func vaultName(m *billing.Merchant) string { return m.Code }

// SetClock sets the clock of a test merchant. It never goes back behind what
// the books have seen.
func (c *Cashier) SetClock(ctx context.Context, id billing.MerchantID, mode billing.ClockMode, at time.Time) (m *billing.Merchant, err error) {
	err = c.Store.Update(ctx, id, func(tx *store.Tx) error {
		m, err = tx.Merchant(ctx)
		if err != nil {
			return err
		}
		if m.Mode != billing.Test {
			return billing.Errorf(billing.State, "merchant %s is live: only a test merchant's clock can be moved", m.Code)
		}
		latest, err := tx.Latest(ctx)
		if err != nil {
			return err
		}
		if at.Before(latest) {
			return billing.Errorf(billing.State, "the books reach to %s already: the clock can only be set to that or later",
				latest.In(m.Zone).Format(time.DateTime))
		}
		m.Clock = billing.Clock{Mode: mode, At: at.UTC(), Set: c.Now().UTC()}
		return tx.UpdateMerchant(ctx, m)
	})
	return m, err
}
