package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// shop is the parts of the product on one database, put together as a server
// puts them together.
type shop struct {
	address string
	db      *sqldb.DB // the same database, for what the product has no question for
	store   *store.Store
	cashier *cashier.Cashier
	runner  *billrun.Runner
	bank    *bank
	markets []market
}

// market is one merchant of a shop.
type market struct {
	merchant *billing.Merchant
	account  *billing.Account
	plan     *billing.Plan
}

// setup says what a shop is made of.
type setup struct {
	conns    int // to PostgreSQL, 0 for the default
	inFlight int // charges under way at once
	latency  time.Duration
}

// timeout is how long the bank may take.
const timeout = 30 * time.Second

// openShop opens the product on an empty database of the ground.
func (s *Site) openShop(ctx context.Context, g *ground, name string, u setup) (*shop, error) {
	address, err := g.database(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &shop{address: address}
	g.open = append(g.open, p.close)
	if p.store, err = store.Open(ctx, address, store.Options{Now: s.Now, MaxConns: u.conns}); err != nil {
		return nil, err
	}
	if err := p.store.Migrate(ctx); err != nil {
		return nil, err
	}
	if p.db, err = sqldb.Open(ctx, address, sqldb.Options{MaxConns: u.conns}); err != nil {
		return nil, err
	}
	p.bank = newBank(u.latency)
	account, err := processor.New(p.bank, processor.Options{Timeout: timeout, MaxInFlight: u.inFlight})
	if err != nil {
		return nil, err
	}
	key, err := vault.NewMasterKey()
	if err != nil {
		return nil, err
	}
	v, err := vault.New(key)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	p.cashier = cashier.New(cashier.Options{
		Store: p.store, Vault: v, Now: s.Now, Log: log, Lease: 3 * timeout,
		Processor: func(*billing.Merchant) (*processor.Account, error) { return account, nil },
	})
	p.runner = billrun.New(billrun.Options{Store: p.store, Cashier: p.cashier, Now: s.Now, Log: log, InFlight: u.inFlight})
	return p, nil
}

func (p *shop) close() error {
	var faults []error
	if p.db != nil {
		faults = append(faults, p.db.Close())
	}
	if p.store != nil {
		faults = append(faults, p.store.Close())
	}
	return errors.Join(faults...)
}

// audit looks through the books after a bench: for each merchant as many
// captures as there should be, each of the price, by the bank's own journal, as
// much cash as they and those of an earlier life make, and entries that sum to
// zero. It returns what it found in words.
func (p *shop) audit(ctx context.Context, captures, earlier int) ([]string, error) {
	for _, m := range p.markets {
		want := int64(captures / len(p.markets))
		if got := p.bank.total(m.merchant.Code); got.captures != want || got.amount != want*price {
			return nil, fmt.Errorf("bench: merchant %s should have %d captures of %d by the bank's journal, which has %d of %d in all",
				m.merchant.Code, want, price, got.captures, got.amount)
		}
		var balances []store.Balance
		err := p.store.View(ctx, m.merchant.ID, func(v *store.View) (err error) {
			balances, err = v.Balances(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		sum, cash := int64(0), int64(0)
		for _, b := range balances {
			sum += b.Amount.Minor()
			if b.Ledger == billing.CashAt+billing.Ledger(p.bank.Name()) {
				cash = b.Amount.Minor()
			}
		}
		want += int64(earlier / len(p.markets))
		if sum != 0 || cash != want*price {
			return nil, fmt.Errorf("bench: the books of merchant %s are off: entries sum to %d, cash is %d instead of %d",
				m.merchant.Code, sum, cash, want*price)
		}
	}
	return []string{
		grouped(int64(captures)) + " captures in the bank's journal, none more and none less",
		"cash as the bank says", "entries sum to zero",
	}, nil
}

// analyze has PostgreSQL look at its tables, as it does by itself every minute.
func (p *shop) analyze(ctx context.Context) error {
	if p.db.Engine() != sqldb.PostgreSQL {
		return nil
	}
	return p.db.Update(ctx, func(t *sqldb.Tx) error {
		_, err := t.Exec(ctx, "ANALYZE")
		return err
	})
}
