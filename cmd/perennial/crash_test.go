package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

// siege is servers that bill and take charges while they are killed at random
// moments, beside a bank that lives on. What is asked in the end: is everything
// that was due taken once, and everything that a client asked for once?
type siege struct {
	place
	nodes   int    // servers on one set of books
	kills   int    // in all
	due     int    // subscriptions
	rounds  int    // billing dates of each
	clients int    // who post charges meanwhile
	seed    uint64 // of the moments of death, and of what clients do
	latency time.Duration
	most    time.Duration // between a server's being ready and its death
}

// TestCrashes kills servers with SIGKILL at random moments, and starts them again
// at once. PERENNIAL_CRASH_KILLS says how often on each engine (make crash:
// 100), PERENNIAL_CRASH_SEED which moments.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	kills := fromEnvironment(t, "PERENNIAL_CRASH_KILLS", 5)
	seed := fromEnvironment(t, "PERENNIAL_CRASH_SEED", int(time.Now().Unix()))
	for _, e := range sqldbtest.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			s := &siege{place: testPlace(t, e), nodes: 1, kills: kills, due: min(100*kills, 1000), rounds: 1 + kills/10, clients: 6,
				seed: uint64(seed), latency: 150 * time.Millisecond, most: 1500 * time.Millisecond}
			if e == sqldb.PostgreSQL {
				s.nodes = 3
			}
			s.run(t)
		})
	}
}

// TestNodes has three servers on PostgreSQL take many due subscriptions, while one
// after the other is killed and started again. PERENNIAL_NODES_DUE says how many
// (make nodes: 100,000); without it there is nothing to do that TestCrashes does
// not.
func TestNodes(t *testing.T) {
	due := fromEnvironment(t, "PERENNIAL_NODES_DUE", 0)
	if due == 0 {
		t.Skip("PERENNIAL_NODES_DUE is not set: see make nodes")
	}
	s := &siege{place: testPlace(t, sqldb.PostgreSQL), nodes: 3, kills: max(3, due/2500), due: due, rounds: 1, clients: 2,
		seed: uint64(fromEnvironment(t, "PERENNIAL_CRASH_SEED", int(time.Now().Unix()))), most: 10 * time.Second}
	s.run(t)
}

// fromEnvironment reads a number, or returns another one if it is not given.
func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s must be a number", name)
	}
	return n
}

// run besieges, lets everything come to rest, and judges.
func (s *siege) run(t *testing.T) {
	began := time.Now()
	g := testGateway(t, s.place, "2020-01-01")
	crowd := s.plant(t, g.core)
	s.moveTo(t, g.core, 0)
	bank := start(t, s.place, "bank", "serve", "--listen", "127.0.0.1:0", "--json", "--latency", s.latency.String())
	towers := make([]*tower, s.nodes)
	for i := range towers {
		towers[i] = &tower{siege: s, bank: bank.url}
		towers[i].rise(t)
	}
	t.Logf("seed %d: %d subscriptions planted in %s; %d kills of %d servers begin", s.seed, s.due, time.Since(began).Round(time.Second), s.kills, s.nodes)
	began = time.Now()
	defer s.hurry(t, g.core)()
	clients := s.send(t, towers)
	r := rand.New(rand.NewPCG(s.seed, 0))
	tell := time.Now()
	for k := 0; k < s.kills; k++ {
		if round := k * s.rounds / s.kills; round > (k-1)*s.rounds/s.kills {
			s.moveTo(t, g.core, round)
		}
		towers[r.IntN(len(towers))].fall(t, r)
		if time.Since(tell) > 10*time.Second {
			tell = time.Now()
			n, _ := captures(t, s.place)
			t.Logf("%d of %d kills, %d captures", k+1, s.kills, n)
			if s.rounds == 1 && n >= s.due+s.due/50 {
				s.kills = k + 1 // all is done, and kills prove nothing any more
			}
		}
		if t.Failed() {
			break
		}
	}
	clients.stop()
	s.moveTo(t, g.core, s.rounds-1)
	waitUntilQuiet(t, s.place)
	took := time.Since(began)
	s.judge(t, g.core, crowd, clients.charges()).tell(t, s, took)
	proveBooks(t, s.place)
}

// hurry has servers ask again about unknown outcomes after a second, where they
// would wait for minutes: it moves what they wait for, as time would. It returns
// what ends that.
func (s *siege) hurry(t *testing.T, c *core) (stop func()) {
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), s.books(), sqldb.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			now := time.Now()
			err := db.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE attempt SET lease_until = $2 WHERE merchant_id = $1 AND state = 'unknown' AND lease_until > $3",
					int64(m.ID), now.Add(time.Second).UnixMicro(), now.Add(2*time.Second).UnixMicro())
				return err
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// moveTo moves the clock to the billing date of a round.
func (s *siege) moveTo(t *testing.T, c *core, round int) {
	t.Helper()
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	at, err := parseMoment(billing.Monthly.Date(firstOfSiege, round).String()+"T12:00", m.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if m.Now(c.now()).Equal(at) {
		return
	}
	if _, err := c.cashier.SetClock(context.Background(), m.ID, billing.ClockFrozen, at); err != nil {
		t.Fatal(err)
	}
}

// firstOfSiege is the first billing date.
var firstOfSiege = billing.Date{Year: 2020, Month: time.February, Day: 1}

// sown is how many customers are planted in one transaction.
const sown = 500

// plant makes customers, each with a card and a monthly subscription, and some
// more for the clients to charge, whose codes are payer0 and so on.
func (s *siege) plant(t *testing.T, c *core) map[billing.CustomerID]bool {
	t.Helper()
	ctx := context.Background()
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	one := subscribe(t, c, "first", "4111111111111111", firstOfSiege.String())
	crowd := map[billing.CustomerID]bool{one.CustomerID: true}
	for i := range s.clients {
		sub := subscribe(t, c, fmt.Sprint("payer", i), "4111111111111111", "2029-01-01")
		delete(crowd, sub.CustomerID)
	}
	for from := 1; from < s.due; from += sown {
		err := c.store.Update(ctx, m.ID, func(tx *store.Tx) error {
			var customers []*billing.Customer
			var methods []*billing.PaymentMethod
			var subs []*billing.Subscription
			for range min(sown, s.due-from) {
				owner := &billing.Customer{MerchantID: m.ID, ID: billing.CustomerID(tx.NewID()), AccountID: one.AccountID, FirstName: "John",
					LastName: "Smith", Active: true, CreatedAt: one.CreatedAt, UpdatedAt: one.CreatedAt}
				card := &billing.PaymentMethod{MerchantID: m.ID, ID: billing.PaymentMethodID(tx.NewID()), AccountID: one.AccountID,
					CustomerID: owner.ID, Instrument: billing.VisaCredit, Expiry: "1230", Active: true, CreatedAt: one.CreatedAt, UpdatedAt: one.CreatedAt}
				if err := c.cashier.SealNumber(m, card, billing.NewSecret("4111111111111111")); err != nil {
					return err
				}
				sub := *one
				sub.ID, sub.CustomerID, sub.PaymentMethodID, sub.Code = billing.SubscriptionID(tx.NewID()), owner.ID, card.ID, ""
				customers, methods, subs = append(customers, owner), append(methods, card), append(subs, &sub)
			}
			if err := tx.InsertCustomers(ctx, customers...); err != nil {
				return err
			}
			if err := tx.InsertPaymentMethods(ctx, methods...); err != nil {
				return err
			}
			for _, owner := range customers {
				crowd[owner.ID] = true
			}
			return tx.InsertSubscriptions(ctx, subs...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return crowd
}

// tower is the place of one server, which falls and rises again.
type tower struct {
	*siege
	bank   string
	server *server
	url    atomic.Value // of the server, as a string; that of a dead one until the next is up
}

func (w *tower) arguments() []string {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", w.Data, "--bank-url", w.bank,
		"--processor-timeout", "500ms", "--billing-poll", "50ms"}
	if w.DB != "" {
		args = append(args, "--db", w.DB, "--bank-db", w.BankDB, "--max-conns", "12")
	}
	return args
}

// rise starts the server and waits until it serves.
func (w *tower) rise(t *testing.T) {
	t.Helper()
	s, err := startServer(t.TempDir(), os.Environ(), w.arguments()...)
	if err != nil {
		t.Fatal(err)
	}
	w.stand(t, s)
}

func (w *tower) stand(t *testing.T, s *server) {
	w.server = s
	w.url.Store(s.url)
	t.Cleanup(func() {
		s.kill()
		if text := s.output(); t.Failed() && text != "" {
			t.Logf("a server wrote:\n%s", text)
		}
	})
}

// fall kills the server at a random moment and starts another one; at times that
// one is killed before it is up.
func (w *tower) fall(t *testing.T, r *rand.Rand) {
	t.Helper()
	after(time.Duration(r.Int64N(int64(w.most))))
	w.server.kill()
	if r.IntN(6) == 0 {
		if s, err := launchServer(t.TempDir(), os.Environ(), w.arguments()...); err == nil {
			after(time.Duration(r.Int64N(int64(400 * time.Millisecond))))
			s.kill()
		}
	}
	w.rise(t)
}

// after waits for time to pass.
func after(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// verdictOfSiege counts what was found in the end.
type verdictOfSiege struct {
	renewals, keyed, unkeyed     int // taken once, each as it should be
	silent                       int // charges without a key whose client heard nothing
	doubled, lost, strange, open int
}

func (v *verdictOfSiege) tell(t *testing.T, s *siege, took time.Duration) {
	t.Helper()
	t.Logf("%s, seed %d: %d kills of %d servers in %s; %d renewals of %d due taken once; %d charges with a key taken once, %d without at most once (%d whose client heard nothing); doubled %d, lost %d, otherwise wrong %d, open %d",
		engineOf(s.place), s.seed, s.kills, s.nodes, took.Round(time.Second), v.renewals, s.due*s.rounds, v.keyed, v.unkeyed, v.silent, v.doubled, v.lost, v.strange, v.open)
	if v.doubled+v.lost+v.strange+v.open > 0 {
		t.Errorf("again, as near as moments can be repeated: PERENNIAL_CRASH_SEED=%d", s.seed)
	}
}

// engineOf names the engine of a place.
func engineOf(l place) string {
	if strings.HasPrefix(l.books(), "sqlite:") {
		return "sqlite"
	}
	return "postgres"
}
