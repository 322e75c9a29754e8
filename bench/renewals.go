package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// Renewals are the options of the bench of that name.
type Renewals struct {
	Site
	Subscriptions int           // in all, default 100,000
	Due           int           // of which due in each round, default 20,000
	Merchants     int           // that share them, default 8
	Rounds        int           // of each side, default 3
	InFlight      int           // charges under way at once, default 64
	Latency       time.Duration // of the bank; with one, the run is compared with what the bank allows and not with the database
}

// withDefaults fills in what was left open and refuses what makes no sense.
func (r Renewals) withDefaults() (Renewals, error) {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&r.Subscriptions, 100_000}, {&r.Due, 20_000}, {&r.Merchants, 8}, {&r.Rounds, 3}, {&r.InFlight, 64}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
		if *d.value < 0 {
			return r, errors.New("bench: numbers must be above zero")
		}
	}
	if r.Due > r.Subscriptions || r.Merchants > r.Due {
		return r, errors.New("bench: there must be at least as many subscriptions as are due, and one due for each merchant")
	}
	if r.Latency < 0 || r.Latency > timeout/2 {
		return r, fmt.Errorf("bench: the bank's latency must be from 0 to %s", timeout/2)
	}
	r.Due -= r.Due % r.Merchants
	return r, nil
}

// Run measures billing runs: a round is a month, in which each due subscription
// is invoiced and its card charged. A first month on each side is not counted:
// books without any history are what PostgreSQL plans worst for, and are such for
// a month of their life only.
func (r Renewals) Run(ctx context.Context) (report *Report, err error) {
	if r, err = r.withDefaults(); err != nil {
		return nil, err
	}
	start := r.Now()
	g, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.remove(ctx)) }()
	ours, err := r.side(ctx, g, "books")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	report = &Report{Bench: "renewals", Unit: "renewals"}
	report.Work = fmt.Sprintf("a billing run over %s due of %s subscriptions of %d merchants, %d in flight, %d rounds",
		grouped(int64(r.Due)), grouped(int64(r.Subscriptions)), r.Merchants, r.InFlight, r.Rounds)
	if report.Machine, err = r.look(ctx, g, ours.db); err != nil {
		return nil, err
	}
	if r.Latency > 0 {
		err = r.againstBank(ctx, ours, report)
	} else {
		err = r.againstDatabase(ctx, g, ours, report)
	}
	if err != nil {
		return nil, err
	}
	found, err := ours.audit(ctx, (warmUp+r.Rounds)*r.Due)
	if err != nil {
		return nil, err
	}
	report.Checked = append(report.Checked, found...)
	report.PeakMiB, report.Duration = peak(), r.Now().Sub(start).Milliseconds()
	return report, nil
}

// warmUp is how many rounds go before those that count.
const warmUp = 1

// planted is a shop with its subscriptions.
type planted struct {
	*shop
	due [][]seedling // by merchant, if they were kept
}

// side builds one of the twins.
func (r Renewals) side(ctx context.Context, g *ground, name string) (_ *planted, err error) {
	address, err := g.database(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := r.openShop(ctx, setup{address: address, inFlight: r.InFlight, latency: r.Latency})
	if err != nil {
		return nil, err
	}
	r.say("planting %s", name)
	due, err := r.plant(ctx, p, plantation{
		subscriptions: r.Subscriptions, due: r.Due, merchants: r.Merchants, keep: r.Latency == 0,
	})
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return &planted{p, due}, nil
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

// againstDatabase compares the run with the bare database.
func (r Renewals) againstDatabase(ctx context.Context, g *ground, ours *planted, report *Report) (err error) {
	twin, err := r.side(ctx, g, "bare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, twin.close()) }()
	bare := newBareRun(twin)
	report.Against = bare.String()
	before, err := counts(ctx, ours.db, twin.db)
	if err != nil {
		return err
	}
	for k := range warmUp + r.Rounds {
		round, err := r.round(ctx, ours.shop, k)
		if err != nil {
			return err
		}
		took, err := r.timed(func() error { return bare.round(ctx, k) })
		if err != nil {
			return err
		}
		round.Bare = rate(r.Due, took)
		r.say("%s: bare %s a second", billingDay(k), grouped(round.Bare))
		if k >= warmUp {
			report.add(round)
			continue
		}
		if err := errors.Join(ours.analyze(ctx), twin.analyze(ctx)); err != nil {
			return err
		}
	}
	after, err := counts(ctx, ours.db, twin.db)
	if err != nil {
		return err
	}
	ourRows, bareRows := after[0].since(before[0]), after[1].since(before[1])
	if err := same(ourRows, bareRows); err != nil {
		return err
	}
	report.Rows = ourRows.sum()
	report.Checked = append(report.Checked, "both sides wrote the same "+grouped(report.Rows)+" rows")
	return nil
}

// againstBank compares the run with what a slow bank allows.
func (r Renewals) againstBank(ctx context.Context, ours *planted, report *Report) error {
	limit := int64(r.InFlight) * int64(time.Second) / int64(r.Latency)
	report.Against = fmt.Sprintf("%d charges in flight with a bank that takes %s, which allows %s a second",
		r.InFlight, r.Latency, grouped(limit))
	for k := range warmUp + r.Rounds {
		round, err := r.round(ctx, ours.shop, k)
		if err != nil {
			return err
		}
		round.Bare = limit
		if k >= warmUp {
			report.add(round)
			continue
		}
		if err := ours.analyze(ctx); err != nil {
			return err
		}
	}
	return nil
}

// counts counts the rows of both sides.
func counts(ctx context.Context, ours, bare *sqldb.DB) (rows [2]tables, err error) {
	for i, db := range []*sqldb.DB{ours, bare} {
		if rows[i], err = count(ctx, db); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// round moves the merchants' clocks to the billing day of round k and measures
// the billing run of that day. The days between, on which only the bank's
// notices are asked for, are got over with beforehand.
func (r Renewals) round(ctx context.Context, p *shop, k int) (Round, error) {
	eve := func(m *billing.Merchant) time.Time { return m.Start(billingDay(k)).Add(-time.Second) }
	if err := p.setClocks(ctx, eve); err != nil {
		return Round{}, err
	}
	if _, err := p.runner.Once(ctx); err != nil {
		return Round{}, err
	}
	morning := func(m *billing.Merchant) time.Time { return m.Start(billingDay(k)).Add(9 * time.Hour) }
	if err := p.setClocks(ctx, morning); err != nil {
		return Round{}, err
	}
	r.say("%s: the billing run begins", billingDay(k))
	var sum billrun.Summary
	took, err := r.timed(func() (err error) {
		sum, err = p.runner.Once(ctx)
		return err
	})
	if err != nil {
		return Round{}, fmt.Errorf("bench: the billing run: %w", err)
	}
	if sum.Invoices != r.Due || sum.Collected != r.Due || sum.Declined+sum.Unknown+sum.Pending != 0 {
		return Round{}, fmt.Errorf("bench: the billing run should have made and collected %d invoices, and made %d and collected %d, with %d declined and %d unknown",
			r.Due, sum.Invoices, sum.Collected, sum.Declined, sum.Unknown)
	}
	round := Round{Perennial: rate(r.Due, took)}
	r.say("%s: Perennial %s a second", billingDay(k), grouped(round.Perennial))
	return round, p.nothingDue(ctx)
}

// setClocks sets the clocks of all merchants.
func (p *shop) setClocks(ctx context.Context, at func(*billing.Merchant) time.Time) error {
	for _, m := range p.markets {
		if _, err := p.cashier.SetClock(ctx, m.merchant.ID, billing.ClockFrozen, at(m.merchant)); err != nil {
			return fmt.Errorf("bench: set a clock: %w", err)
		}
	}
	return nil
}

// nothingDue looks whether a run has left anything.
func (p *shop) nothingDue(ctx context.Context) error {
	for _, m := range p.markets {
		err := p.store.View(ctx, m.merchant.ID, func(v *store.View) error {
			merchant, err := v.Merchant(ctx)
			if err != nil {
				return err
			}
			work, err := v.Work(ctx)
			if err != nil {
				return err
			}
			if first, now := work.First(), merchant.Now(time.Time{}); !first.IsZero() && !first.After(now) || !work.Lease.IsZero() {
				return fmt.Errorf("bench: the billing run of merchant %s left work behind: %+v", m.merchant.Code, work)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
