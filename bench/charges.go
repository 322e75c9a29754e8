package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// Charges are the options of the bench of that name.
type Charges struct {
	Site
	Charges   int // in each round, default 4,000
	Clients   int // at once, default 32
	Merchants int // that share them, default 8
	Rounds    int // of each side, default 3
}

func (c Charges) withDefaults() (Charges, error) {
	if err := fill([]number{{&c.Charges, 4000}, {&c.Clients, 32}, {&c.Merchants, 8}, {&c.Rounds, 3}}); err != nil {
		return c, err
	}
	if c.Merchants > c.Charges {
		return c, errors.New("bench: there must be at least one charge for each merchant")
	}
	c.Charges -= c.Charges % c.Merchants
	return c, nil
}

// Run measures charges: clients post UniPay's ~process over HTTP, and each is
// answered when what it asked for is stored. The bare side stores the same rows,
// each charge in a transaction of its own: on PostgreSQL from as many connections
// as there are clients, on SQLite one after the other, each with its own wait for
// the disk.
func (c Charges) Run(ctx context.Context) (*Report, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	report := &Report{Bench: "charges", Unit: "charges"}
	report.Work = fmt.Sprintf("%s charges of stored cards a round over HTTP (UniPay ~process), %d clients, %d merchants, %d rounds",
		grouped(int64(c.Charges)), c.Clients, c.Merchants, c.Rounds)
	return c.on(ctx, report, func(g *ground) error {
		ours, err := c.front(ctx, g, "books", c.Merchants)
		if err != nil {
			return err
		}
		twin, err := c.side(ctx, g, "bare", c.Merchants)
		if err != nil {
			return err
		}
		bare := newBareCharges(twin, c.Clients)
		report.Against = bare.String()
		if report.Machine, err = c.look(ctx, g, ours.db); err != nil {
			return err
		}
		before, err := counts(ctx, ours.db, twin.db)
		if err != nil {
			return err
		}
		err = c.take(ctx, report, turns{
			rounds: c.Rounds,
			ours:   func(ctx context.Context, _ int) (int64, error) { return c.round(ctx, ours) },
			against: func(ctx context.Context, _ int) (int64, error) {
				took, err := c.timed(func() error { return bare.round(ctx) })
				return rate(c.Charges, took), err
			},
			warm: func(ctx context.Context) error { return errors.Join(ours.analyze(ctx), twin.analyze(ctx)) },
		})
		if err != nil {
			return err
		}
		if g.engine() == sqldb.PostgreSQL {
			report.ratioBar(500)
		} else {
			report.ratioBar(2000)
		}
		if err := sameRows(ctx, report, before, ours.db, twin.db); err != nil {
			return err
		}
		return c.audited(ctx, report, ours)
	})
}

// Spread measures one merchant that takes all charges against many that share
// them: a row that all charges of a merchant write would show. There is no bare
// side. One client more or less is not seen by it: both sides have as many.
type Spread struct{ Charges }

// Run runs the bench. Merchants are those that share the charges, default 64.
func (s Spread) Run(ctx context.Context) (*Report, error) {
	if s.Merchants == 0 {
		s.Merchants = 64
	}
	c, err := s.withDefaults()
	if err != nil {
		return nil, err
	}
	report := &Report{Bench: "spread", Unit: "charges"}
	report.Work = fmt.Sprintf("%s charges of stored cards a round over HTTP (UniPay ~process), %d clients, one merchant, %d rounds",
		grouped(int64(c.Charges)), c.Clients, c.Rounds)
	report.Against = fmt.Sprintf("the same with %d merchants that share the charges", c.Merchants)
	return c.on(ctx, report, func(g *ground) error {
		one, err := c.front(ctx, g, "one", 1)
		if err != nil {
			return err
		}
		many, err := c.front(ctx, g, "many", c.Merchants)
		if err != nil {
			return err
		}
		if report.Machine, err = c.look(ctx, g, one.db); err != nil {
			return err
		}
		err = c.take(ctx, report, turns{
			rounds:  c.Rounds,
			ours:    func(ctx context.Context, _ int) (int64, error) { return c.round(ctx, one) },
			against: func(ctx context.Context, _ int) (int64, error) { return c.round(ctx, many) },
			warm:    func(ctx context.Context) error { return errors.Join(one.analyze(ctx), many.analyze(ctx)) },
		})
		if err != nil {
			return err
		}
		report.ratioBar(800)
		return errors.Join(c.audited(ctx, report, one), c.audited(ctx, report, many))
	})
}

// audited looks through the books behind a front.
func (c Charges) audited(ctx context.Context, report *Report, f *front) error {
	found, err := f.audit(ctx, (warmUp+c.Rounds)*c.Charges, 0)
	report.Checked = append(report.Checked, found...)
	return err
}

// side builds one of the sides: customers with a card each.
func (c Charges) side(ctx context.Context, g *ground, name string, merchants int) (*planted, error) {
	p, err := c.openShop(ctx, g, name, setup{conns: c.Clients, inFlight: c.Clients})
	if err != nil {
		return nil, err
	}
	return c.plant(ctx, p, plantation{subscriptions: c.Charges, due: c.Charges, merchants: merchants, keep: true})
}

// front is a listener before a shop, and the clients that speak to it.
type front struct {
	*planted
	base   string
	client *http.Client
	stop   context.CancelFunc
	served chan error
}

// password is of the logins of a bench, which live as long as it does.
const password = "bench-password"

// front builds a side and puts the UniPay wire before it, with a login for each
// merchant.
func (c Charges) front(ctx context.Context, g *ground, name string, merchants int) (*front, error) {
	p, err := c.side(ctx, g, name, merchants)
	if err != nil {
		return nil, err
	}
	hash, err := cashier.HashPassword(billing.NewSecret(password))
	if err != nil {
		return nil, err
	}
	for _, m := range p.markets {
		err := p.store.Update(ctx, m.merchant.ID, func(tx *store.Tx) error {
			l := &billing.Login{Name: "api-" + m.merchant.Code, Role: billing.RoleAPI, PasswordHash: hash, CreatedAt: c.Now()}
			if err := tx.InsertLogin(ctx, l); err != nil {
				return err
			}
			return tx.Enter(ctx, cashier.LoginDirectory, l.Name, int64(l.ID))
		})
		if err != nil {
			return nil, fmt.Errorf("bench: a login: %w", err)
		}
	}
	server, err := httpd.New(httpd.Config{Listen: "127.0.0.1:0", Now: c.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	server.Handle(unipay.Prefix, unipay.New(unipay.Options{Cashier: p.cashier}))
	address, err := server.Listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	f := &front{
		planted: p, base: "http://" + address.String() + unipay.Prefix, stop: stop, served: make(chan error, 1),
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: c.Clients}},
	}
	go func() { f.served <- server.Serve(serving) }()
	g.open = append([]func() error{f.close}, g.open...) // before the shop is
	return f, nil
}

func (f *front) close() error {
	f.stop()
	f.client.CloseIdleConnections()
	return <-f.served
}

// round charges each customer once.
func (c Charges) round(ctx context.Context, f *front) (int64, error) {
	took, err := c.timed(func() error { return each(ctx, f.planted, c.Clients, f.charge) })
	return rate(c.Charges, took), err
}

// charge posts one charge and reads its answer.
func (f *front) charge(ctx context.Context, m market, s seedling) error {
	form := url.Values{"paymentOptionId": {strconv.FormatInt(s.method, 10)}, "amount": {strconv.Itoa(price)}}
	address := f.base + "customers/" + strconv.FormatInt(s.customer, 10) + "/transactions/~process"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	r.SetBasicAuth("api-"+m.merchant.Code, password)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(r)
	if err != nil {
		return fmt.Errorf("bench: charge: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("bench: charge: %w", err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"responseCode":"A01"`) {
		return fmt.Errorf("bench: a charge was answered with status %d: %.300s", resp.StatusCode, text)
	}
	return nil
}

// each does something for every seedling of a side, from some goroutines at once.
func each(ctx context.Context, p *planted, workers int, do func(context.Context, market, seedling) error) error {
	type job struct {
		market
		seedling
	}
	jobs := make(chan job)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for j := range jobs {
				if ctx.Err() != nil {
					continue
				}
				if err := do(ctx, j.market, j.seedling); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range p.due[0] { // the merchants take turns
		for k, m := range p.markets {
			jobs <- job{m, p.due[k][i]}
		}
	}
	close(jobs)
	wait.Wait()
	return context.Cause(ctx)
}

// bareCharges writes what a charge leaves behind: the attempt, the payment, its
// two entries and its event.
type bareCharges struct {
	twin    *planted
	last    atomic.Int64
	workers int
	at      time.Time
}

func newBareCharges(twin *planted, clients int) *bareCharges {
	b := &bareCharges{twin: twin, workers: 1, at: twin.markets[0].merchant.CreatedAt}
	if twin.db.Engine() == sqldb.PostgreSQL {
		b.workers = clients
	}
	b.last.Store(firstID)
	return b
}

// String says what the bare side does.
func (b *bareCharges) String() string {
	return fmt.Sprintf("the same rows by hand-made SQL without logic, each charge in a transaction of its own, on %d connection(s)", b.workers)
}

const (
	rowCharge = intoAttempt + `VALUES ($1, $2, $3, $4, NULL, $5, $6, NULL, 'charge', FALSE, 'bench', $7, 1999, 0, 'USD', 'visa-credit', $8,
		'1249', '', $9, $10, $11, 'approved', '00', 'approved', '123456', $7, $12, $12, NULL, NULL, 0)`
	rowPayment = intoActivity + `VALUES ($1, $2, $3, $4, '', 'payment', 'visa-credit', 1999, 0, 1999, 'USD', 'posted', $5, NULL, NULL, $6, $7,
		'', $8, NULL, NULL, '', NULL, 0, '', NULL, NULL, $9)`
	rowPaid = intoEvent + `VALUES ($1, $2, 'payment.approved', $3, $4, $5)`
)

// round writes one charge of each customer.
func (b *bareCharges) round(ctx context.Context) error {
	return each(ctx, b.twin, b.workers, func(ctx context.Context, m market, s seedling) error {
		attempt, payment, event := b.last.Add(1), b.last.Add(1), b.last.Add(1)
		merchant, account, at := int64(m.merchant.ID), int64(m.account.ID), b.at.UnixMicro()
		creator := "api-" + m.merchant.Code
		err := b.twin.db.Update(ctx, func(tx *sqldb.Tx) error {
			return run(ctx, tx, []statement{
				{rowCharge, []any{
					merchant, attempt, account, s.customer, s.method, payment, strconv.FormatInt(attempt, 10), s.masked, s.token, s.payer,
					`{"creator":"` + creator + `"}`, at,
				}},
				{rowPayment, []any{merchant, payment, account, s.customer, firstDay.String(), attempt, s.masked, creator, at}},
				{rowClaimEntries, []any{merchant, payment, s.customer, at}},
				{rowPaid, []any{merchant, event, s.customer, payment, at}},
			})
		})
		if err != nil {
			return fmt.Errorf("bench: the bare side: %w", err)
		}
		return nil
	})
}
