package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/node"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// coreOptions say how a core is opened. Zero values are the defaults.
type coreOptions struct {
	place
	Create   bool          // begin and migrate the books, rather than refuse what is not there
	MaxConns int           // connections to PostgreSQL
	Node     int           // tells this process's ids from another's, 1 to 1023; 0 is any that is free
	Timeout  time.Duration // how long a processor may take for an answer
	InFlight int           // charges of the billing run that are under way at once
	Poll     time.Duration // how often the runner looks for work
	Log      *slog.Logger

	Progress func(billrun.Progress)
	Observe  func(processor.Observation)
	Answered func(billing.AttemptKind, billing.Outcome)
}

// leaseOf is how long an attempt belongs to the worker that sends it. A
// processor that is busy makes an act wait for its place as long as it may then
// take, so both have surely passed.
func leaseOf(timeout time.Duration) time.Duration { return 3 * timeout }

// longestTimeout is how long a processor may be given at most.
const longestTimeout = 10 * time.Minute

// defaultTimeout is how long a processor may take where nothing else is said.
const defaultTimeout = 30 * time.Second

// defaultInFlight is how many charges of a billing run are under way at once.
const defaultInFlight = 64

// core is the parts that bill, put together on one place. It listens to nobody
// and runs nothing by itself.
type core struct {
	place   place
	now     func() time.Time // the database's clock
	clock   *node.Clock
	node    *node.Node
	leave   func() error // as a node; nil before it has joined
	log     *slog.Logger
	store   *store.Store
	vault   *vault.Vault
	bank    *sandbox.Bank // nil if the bank is a process of its own
	bankDB  *sqldb.DB     // of bank
	sandbox *processor.Account
	cashier *cashier.Cashier
	runner  *billrun.Runner
}

// openCore opens everything at a place. What it opened is closed again if
// something else cannot be.
func (p *process) openCore(ctx context.Context, o coreOptions) (_ *core, err error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.InFlight == 0 {
		o.InFlight = defaultInFlight
	}
	if o.Log == nil {
		o.Log = p.quietLog()
	}
	clock := node.NewClock(p.now)
	c := &core{place: o.place, now: clock.Now, clock: clock, log: o.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := o.findBooks(); err != nil {
		return nil, err
	}
	if c.vault, err = p.masterKey(o.place); err != nil {
		return nil, err // before books are begun that nothing opens
	}
	if c.store, err = p.openStoreBy(ctx, c.now, o); err != nil {
		return nil, err
	}
	if err := c.checkMasterKey(ctx); err != nil {
		return nil, err
	}
	driver, err := c.openDriver(ctx, o)
	if err != nil {
		return nil, err
	}
	c.sandbox, err = processor.New(driver, processor.Options{
		// Twice what the run may use, so that customers who wait get their turn.
		Timeout: o.Timeout, MaxInFlight: 2 * o.InFlight, Now: c.now, Observe: o.Observe,
	})
	if err != nil {
		return nil, err
	}
	c.cashier = cashier.New(cashier.Options{
		Store: c.store, Vault: c.vault, Now: c.now, Log: o.Log, Processor: c.processor, Lease: leaseOf(o.Timeout), Answered: o.Answered,
		Ready: c.ready,
	})
	c.runner = billrun.New(billrun.Options{
		Store: c.store, Cashier: c.cashier, Now: c.now, Log: o.Log, InFlight: o.InFlight, Poll: o.Poll, Progress: o.Progress, Ready: c.ready,
	})
	return c, c.join(ctx, int64(o.Node))
}

// ready reports whether money may be moved.
func (c *core) ready(ctx context.Context) error { return c.node.Ready(ctx) }

// findBooks refuses books that are not there, unless they may be begun.
func (o coreOptions) findBooks() error {
	begun, err := o.exists()
	if err != nil {
		return fmt.Errorf("cannot reach the books: %w", err)
	}
	if !begun && !o.Create {
		return fmt.Errorf("there are no books at %s: begin them with `perennial demo`, `perennial apply` or `perennial migrate`, or say with --data or --db where they are", o.place)
	}
	return nil
}

// openStore opens the books alone, for commands that move no money.
func (p *process) openStore(ctx context.Context, o coreOptions) (*store.Store, error) {
	return p.openStoreBy(ctx, p.now, o)
}

// openStoreBy opens the books, with a clock for the ids.
func (p *process) openStoreBy(ctx context.Context, now func() time.Time, o coreOptions) (*store.Store, error) {
	if err := o.findBooks(); err != nil {
		return nil, err
	}
	if o.Create && isFile(o.books()) {
		if err := o.makeFolder(); err != nil {
			return nil, err
		}
	}
	s, err := store.Open(ctx, o.books(), store.Options{Now: now, MaxConns: o.MaxConns})
	if err != nil {
		return nil, err
	}
	if o.Create {
		if err := s.Migrate(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	ready, err := s.Migrated(ctx)
	if errors.Is(err, store.ErrTooNew) {
		err = fmt.Errorf("the books at %s have been migrated to a version on which this program cannot run any more: install the newer program", o.place)
	}
	if err == nil && !ready {
		err = fmt.Errorf("the books at %s are of an earlier version: run `perennial migrate%s`, or start the server of this version", o.place, o.flags())
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openDriver opens the way to the sandbox bank: in this process, or to another.
func (c *core) openDriver(ctx context.Context, o coreOptions) (_ *sandbox.Driver, err error) {
	if o.BankURL != "" {
		return sandbox.NewDriver(o.BankURL, nil)
	}
	if c.bank, c.bankDB, err = openBank(ctx, o.place); err != nil {
		return nil, err
	}
	return sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(c.bank))
}

// openBank opens the sandbox bank and its books.
func openBank(ctx context.Context, l place) (*sandbox.Bank, *sqldb.DB, error) {
	address, schema := l.bank()
	if isFile(address) && l.BankDB == "" {
		if err := l.makeFolder(); err != nil {
			return nil, nil, err
		}
	}
	db, err := sqldb.Open(ctx, address, sqldb.Options{Schema: schema})
	if err != nil {
		return nil, nil, fmt.Errorf("the sandbox bank: %w", err)
	}
	bank, err := sandbox.New(ctx, db, sandbox.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return bank, db, nil
}

// Close closes what was opened.
func (c *core) Close() error {
	var faults []error
	if c.leave != nil {
		faults = append(faults, c.leave())
	}
	if c.bankDB != nil {
		faults = append(faults, c.bankDB.Close())
	}
	if c.store != nil {
		faults = append(faults, c.store.Close())
	}
	return errors.Join(faults...)
}

// processor finds the processor of a merchant: for a test merchant the sandbox
// bank and nothing else.
func (c *core) processor(m *billing.Merchant) (*processor.Account, error) {
	switch m.Mode {
	case billing.Test:
		return c.sandbox, nil
	case billing.Live:
	}
	return nil, billing.Errorf(billing.Unavailable, "merchant %s is live, and this version connects to no processor but the sandbox bank", m.Code)
}

// checkMasterKey refuses a master key that does not open what is there, before
// the first customer finds out.
func (c *core) checkMasterKey(ctx context.Context) error {
	merchants, err := c.store.Merchants(ctx)
	if err != nil {
		return err
	}
	for _, m := range merchants {
		if err := c.opens(m); err != nil {
			return fmt.Errorf("the master key does not open the cards of merchant %s, so it is not the one that these books were begun with: %w", m.Code, err)
		}
	}
	return nil
}

// opens reports, by an error, that the vault does not open a merchant's keys.
func (c *core) opens(m *billing.Merchant) error {
	_, err := c.vault.Keys(m.Code, m.Keys)
	return err
}

// merchant finds a merchant by its code, and says which there are if it is none.
func (c *core) merchant(ctx context.Context, code string) (*billing.Merchant, error) {
	return findMerchant(ctx, c.store, code)
}

func findMerchant(ctx context.Context, s *store.Store, code string) (*billing.Merchant, error) {
	m, err := s.MerchantByCode(ctx, code)
	if billing.KindOf(err) != billing.NotFound {
		return m, err
	}
	all, err := s.Merchants(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("these books hold no merchant: make some with `perennial apply FILE`")
	}
	const most = 10
	list := ""
	for i, m := range all {
		if i == most {
			list += ", ..."
			break
		}
		if i > 0 {
			list += ", "
		}
		list += m.Code
	}
	return nil, fmt.Errorf("there is no merchant %q; these books hold %s", code, list)
}
