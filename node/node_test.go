package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/node"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// peer is one process on a shop's books, with a clock of its own machine.
type peer struct {
	*node.Node
	t       *testing.T
	shop    *cashiertest.Shop
	wall    *cashiertest.Wall
	clock   *node.Clock
	store   *store.Store
	cashier *cashier.Cashier
	runner  *billrun.Runner
	missing []string
}

// open starts a process on the books of a shop, at an address, whose machine's
// clock is ahead of the right time by skew.
func open(t *testing.T, shop *cashiertest.Shop, address, file string, skew time.Duration) *peer {
	t.Helper()
	ctx := t.Context()
	p := &peer{t: t, shop: shop, wall: &cashiertest.Wall{}}
	p.wall.Forward(time.Now().Add(skew).Sub(time.Time{}))
	p.clock = node.NewClock(p.wall.Now)
	var err error
	if p.store, err = store.Open(ctx, address, store.Options{Now: p.clock.Now, MaxConns: 8, Volatile: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
	})
	driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(shop.Bank))
	if err != nil {
		t.Fatal(err)
	}
	account, err := processor.New(driver, processor.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p.cashier = cashier.New(cashier.Options{Store: p.store, Vault: shop.Vault, Now: p.clock.Now, Log: log,
		Processor: func(*billing.Merchant) (*processor.Account, error) { return account, nil },
		Ready:     func(ctx context.Context) error { return p.Ready(ctx) }})
	p.runner = billrun.New(billrun.Options{Store: p.store, Cashier: p.cashier, Now: p.clock.Now, Log: log})
	p.Node, err = node.Join(ctx, node.Options{Store: p.store, Clock: p.clock, Log: log, File: file, Name: t.Name(),
		Compare: func(context.Context) (node.Found, error) { return node.Found{Missing: p.missing}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) look() {
	p.t.Helper()
	if err := p.Beat(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// may fails the test unless the peer may act.
func (p *peer) may() {
	p.t.Helper()
	if err := p.Ready(p.t.Context()); err != nil {
		p.t.Fatalf("it may not act: %v", err)
	}
}

// mayNot fails the test unless the peer may not act, for a reason that says so.
func (p *peer) mayNot(why string) {
	p.t.Helper()
	err := p.Ready(p.t.Context())
	if billing.KindOf(err) != billing.Unavailable || !strings.Contains(err.Error(), why) {
		p.t.Fatalf("it may act, or not for this reason: %v; want %q", err, why)
	}
}

// charge charges a customer of the shop's, so that something was asked.
func charge(t *testing.T, s *cashiertest.Shop) {
	t.Helper()
	c := s.Customer("c" + fmt.Sprint(len(s.Journal())))
	m := s.Card(c, "", "4111111111111111")
	if _, err := s.Cashier.Charge(t.Context(), s.Session(), c, cashier.ChargeRequest{Amount: 1000, Method: m}); err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, address, q string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address, sqldb.Options{Volatile: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(t.Context(), q); return err })
	if err != nil {
		t.Fatal(err)
	}
}

// TestStarts: new books, an end and a new start, and a crash without an end are
// nothing to be alarmed about.
func TestStarts(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		file := filepath.Join(t.TempDir(), "keys", "node.json")
		first := open(t, s, s.Address, file, 0)
		first.may()
		charge(t, s)
		for range 3 {
			first.look()
		}
		if err := first.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := open(t, s, s.Address, file, 0)
		again.may()
		crashed := open(t, s, s.Address, file, 0) // again does not leave
		crashed.may()
		if crashed.Number() == again.Number() {
			t.Errorf("two processes at work have the number %d", again.Number())
		}
	})
}

// TestNewNode: a process without a record of the books acts when one that is at
// work has vouched for it, and not on its own word.
func TestNewNode(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		dir := t.TempDir()
		first := open(t, s, s.Address, filepath.Join(dir, "a"), 0)
		charge(t, s)
		second := open(t, s, s.Address, filepath.Join(dir, "b"), 0)
		second.mayNot("no record")
		if _, err := second.cashier.Charge(t.Context(), s.Session(), cashier.Ref{ID: 1}, cashier.ChargeRequest{Amount: 1000}); billing.KindOf(err) != billing.Unavailable {
			t.Errorf("a charge on books that nobody has proved: %v", err)
		}
		second.look()
		second.mayNot("no record")
		first.look()
		second.look()
		second.may()
		third := open(t, s, s.Address, filepath.Join(dir, "b"), 0) // the second has kept it
		third.may()
	})
}

// TestLaterAlarms: a node at work stops when the books go back, move, lack what a
// processor did, or go on elsewhere before they have been compared.
func TestLaterAlarms(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		p := open(t, s, s.Address, filepath.Join(t.TempDir(), "node.json"), 0)
		p.look()
		p.may()
		p.missing = []string{"a charge of 10.00"}
		p.Recheck(t.Context())
		p.mayNot("a charge of 10.00")
		p.look()
		p.mayNot("a charge of 10.00")
		p.missing = nil
		p.look()
		p.may()

		exec(t, s.Address, `UPDATE installation SET line = 'another'`) // a replica was promoted
		p.look()
		p.may() // it was compared
		exec(t, s.Address, `UPDATE installation SET line = 'one more'`)
		p.missing = []string{"a charge that the replica lacks"}
		p.look()
		p.mayNot("the replica lacks")
		p.missing = nil
		p.look()
		p.may()

		exec(t, s.Address, `UPDATE installation SET mark = mark - 1`)
		p.look()
		p.mayNot("older")
		if err := p.Adopt(t.Context(), "a test"); err != nil {
			t.Fatal(err)
		}
		p.may()
		exec(t, s.Address, `UPDATE installation SET place = 'elsewhere'`)
		p.look()
		p.mayNot("copy")
		if err := p.Adopt(t.Context(), "a test"); err != nil {
			t.Fatal(err)
		}
		p.may()
		exec(t, s.Address, `DELETE FROM installation`)
		p.look()
		p.mayNot("older date")
	})
}

// TestCopiedFile: an SQLite file that is copied elsewhere, with all that lies
// beside it, is a copy; one that is put back over itself is older; and the one
// whose copy was adopted is the old one.
func TestCopiedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "books.db")
	s := cashiertest.Open(t, "sqlite:"+path)
	file := filepath.Join(dir, "node.json")
	p := open(t, s, s.Address, file, 0)
	charge(t, s)
	p.look()

	backup := filepath.Join(t.TempDir(), "backup.db")
	backUp(t, s.Address, backup)
	twin := t.TempDir()
	copyFile(t, backup, filepath.Join(twin, "books.db"))
	copyFile(t, file, filepath.Join(twin, "node.json"))
	open(t, s, "sqlite:"+filepath.Join(twin, "books.db"), filepath.Join(twin, "node.json"), 0).mayNot("copy")
	open(t, s, "sqlite:"+filepath.Join(twin, "books.db"), filepath.Join(twin, "none.json"), 0).mayNot("copy")

	p.look()
	p.may()
	exec(t, "sqlite:"+path, `UPDATE installation SET mark = mark - 1`) // put back under the same file number
	again := open(t, s, s.Address, file, 0)
	again.mayNot("older")

	adopted := open(t, s, "sqlite:"+filepath.Join(twin, "books.db"), file, 0)
	adopted.mayNot("older")
	if err := adopted.Adopt(t.Context(), "the drill"); err != nil {
		t.Fatal(err)
	}
	adopted.may()
	p.look()
	p.mayNot("older")
}

// backUp copies an idle database, its log included.
func backUp(t *testing.T, address, to string) {
	t.Helper()
	from := strings.TrimPrefix(address, "sqlite:")
	copyFile(t, from, to)
	if _, err := os.Stat(from + "-wal"); err == nil {
		copyFile(t, from+"-wal", to+"-wal")
	}
	exec(t, "sqlite:"+to, `DELETE FROM node WHERE number < 0`) // folds the log into the file
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestClocksApart: a process whose machine is ten minutes ahead takes over no
// lease that is running, and the two bill a day together with nothing twice.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	s := cashiertest.Open(t, sqldbtest.Address(t, sqldb.PostgreSQL))
	dir := t.TempDir()
	right := open(t, s, s.Address, filepath.Join(dir, "a"), 0)
	ahead := open(t, s, s.Address, filepath.Join(dir, "b"), 10*time.Minute)
	right.may()
	ahead.may()
	if d := ahead.clock.Now().Sub(right.clock.Now()); d > 5*time.Second || d < -5*time.Second {
		t.Errorf("the clocks of two processes differ by %v", d)
	}
	const many = 60
	plan := s.Plan("p", billing.Monthly, 1999)
	for i := range many {
		c := s.Customer(fmt.Sprintf("c%d", i))
		s.Subscribe(c, plan, s.Card(c, "", "4111111111111111"), "2020-01-01")
	}
	s.SetClock("2020-01-01")
	m := s.Session().Merchant

	// A claim in the hands of the right one stays there.
	batch, err := right.cashier.Bill(t.Context(), m, m.Now(right.clock.Now()), m.Now(right.clock.Now()), m.Today(m.Now(right.clock.Now())), 5)
	if err != nil || len(batch.Orders) != 5 {
		t.Fatalf("%d orders, %v", len(batch.Orders), err)
	}
	taken, err := ahead.cashier.Abandoned(t.Context(), m, 100)
	if err != nil || len(taken) != 0 {
		t.Fatalf("the one that is ahead took over %d leases that run, %v", len(taken), err)
	}
	for _, o := range batch.Orders {
		answer, err := right.cashier.Send(t.Context(), m, o, m.Now(right.clock.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := right.cashier.Settle(t.Context(), m, m.Now(right.clock.Now()), []cashier.Answer{answer}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, p := range []*peer{right, ahead} {
		all.Go(func() {
			for range 20 {
				if _, err := p.runner.Merchant(t.Context(), m.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := s.Journal()[sandbox.LineCapture]; got != many {
		t.Errorf("%d captures for %d subscriptions", got, many)
	}
}

// TestStoodStill: a process that stood still for longer than its proof holds,
// and wakes up with a charge in its hands, does not send it.
func TestStoodStill(t *testing.T) {
	t.Parallel()
	s := cashiertest.Open(t, sqldbtest.Address(t, sqldb.PostgreSQL))
	p := open(t, s, s.Address, filepath.Join(t.TempDir(), "a"), 0)
	c := s.Customer("c")
	s.Subscribe(c, s.Plan("p", billing.Monthly, 1999), s.Card(c, "", "4111111111111111"), "2020-01-01")
	s.SetClock("2020-01-01")
	m := s.Session().Merchant
	at := m.Now(p.clock.Now())
	batch, err := p.cashier.Bill(t.Context(), m, at, at, m.Today(at), 5)
	if err != nil || len(batch.Orders) != 1 {
		t.Fatalf("%d orders, %v", len(batch.Orders), err)
	}
	p.wall.Forward(node.Trust + time.Second)
	p.mayNot("not been heard of")
	if _, err := p.cashier.Send(t.Context(), m, batch.Orders[0], at); billing.KindOf(err) != billing.Unavailable {
		t.Errorf("it sent: %v", err)
	}
	if n := len(s.Journal()); n != 0 {
		t.Errorf("the bank has %d lines", n)
	}
	p.look()
	p.may()
}

// TestSeats: any number of processes that begin at once have numbers of their
// own, and a number that was asked for is had by one.
func TestSeats(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		s, err := store.Open(t.Context(), address, store.Options{Now: time.Now, MaxConns: 8, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		const many = 30
		numbers := make([]int64, many)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				seat, err := s.TakeSeat(t.Context(), 0, fmt.Sprint("token", i), "", time.Minute)
				if err != nil {
					t.Error(err)
				}
				numbers[i] = seat.Number
			})
		}
		all.Wait()
		seen := map[int64]bool{}
		for _, n := range numbers {
			if n < 1 || n > store.MaxSeat || seen[n] {
				t.Errorf("number %d is out of range or taken twice", n)
			}
			seen[n] = true
		}
		if _, err := s.TakeSeat(t.Context(), numbers[0], "another", "", time.Minute); err == nil {
			t.Errorf("number %d was had twice", numbers[0])
		}
	})
}
