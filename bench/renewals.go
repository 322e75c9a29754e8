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
	numbers := []number{{&r.Subscriptions, 100_000}, {&r.Due, 20_000}, {&r.Merchants, 8}, {&r.Rounds, 3}, {&r.InFlight, 64}}
	if err := fill(numbers); err != nil {
		return r, err
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
// is invoiced and its card charged. The first month, in which a tenth of them is
// due, does not count: books without any history are what PostgreSQL plans worst
// for, and are such for a month of their life only.
func (r Renewals) Run(ctx context.Context) (*Report, error) {
	r, err := r.withDefaults()
	if err != nil {
		return nil, err
	}
	report := &Report{Bench: "renewals", Unit: "renewals"}
	report.Work = fmt.Sprintf("a billing run over %s due of %s subscriptions of %d merchants, %d in flight, %d rounds",
		grouped(int64(r.Due)), grouped(int64(r.Subscriptions)), r.Merchants, r.InFlight, r.Rounds)
	return r.on(ctx, report, func(g *ground) error {
		ours, err := r.side(ctx, g, "books")
		if err != nil {
			return err
		}
		if report.Machine, err = r.look(ctx, g, ours.db); err != nil {
			return err
		}
		if r.Latency > 0 {
			err = r.againstBank(ctx, ours, report)
		} else {
			err = r.againstDatabase(ctx, g, ours, report)
		}
		if err != nil {
			return err
		}
		found, err := ours.audit(ctx, ours.count(0)+r.Rounds*ours.count(warmUp), 0)
		report.Checked = append(report.Checked, found...)
		return err
	})
}

// side builds one of the twins.
func (r Renewals) side(ctx context.Context, g *ground, name string) (*planted, error) {
	p, err := r.openShop(ctx, g, name, setup{inFlight: r.InFlight, latency: r.Latency})
	if err != nil {
		return nil, err
	}
	return r.plant(ctx, p, plantation{
		subscriptions: r.Subscriptions, due: r.Due, early: r.Due / 10, merchants: r.Merchants, keep: r.Latency == 0,
	})
}

// againstDatabase compares the run with the bare database.
func (r Renewals) againstDatabase(ctx context.Context, g *ground, ours *planted, report *Report) error {
	twin, err := r.side(ctx, g, "bare")
	if err != nil {
		return err
	}
	bare := newBareRun(twin, firstID)
	report.Against = bare.String()
	before, err := counts(ctx, ours.db, twin.db)
	if err != nil {
		return err
	}
	err = r.take(ctx, report, turns{
		rounds: r.Rounds,
		ours:   func(ctx context.Context, k int) (int64, error) { return r.round(ctx, ours, k) },
		against: func(ctx context.Context, k int) (int64, error) {
			took, err := r.timed(func() error { return bare.round(ctx, k) })
			return rate(twin.count(k), took), err
		},
		warm: func(ctx context.Context) error { return errors.Join(ours.analyze(ctx), twin.analyze(ctx)) },
	})
	if err != nil {
		return err
	}
	report.ratioBar(350)
	if twin.db.Engine() == sqldb.PostgreSQL {
		report.rateBar(640)
	}
	return sameRows(ctx, report, before, ours.db, twin.db)
}

// againstBank compares the run with what a slow bank allows.
func (r Renewals) againstBank(ctx context.Context, ours *planted, report *Report) error {
	limit := int64(r.InFlight) * int64(time.Second) / int64(r.Latency)
	report.Bench = "renewals, bank takes " + r.Latency.String()
	report.Against = fmt.Sprintf("%d charges in flight with a bank that takes %s, which allows %s a second",
		r.InFlight, r.Latency, grouped(limit))
	err := r.take(ctx, report, turns{
		rounds:  r.Rounds,
		ours:    func(ctx context.Context, k int) (int64, error) { return r.round(ctx, ours, k) },
		against: func(context.Context, int) (int64, error) { return limit, nil },
		warm:    ours.analyze,
	})
	report.ratioBar(900)
	report.memoryBar(300)
	return err
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

// sameRows looks whether both sides wrote the same since they were counted.
func sameRows(ctx context.Context, report *Report, before [2]tables, ours, bare *sqldb.DB) error {
	after, err := counts(ctx, ours, bare)
	if err != nil {
		return err
	}
	written := after[0].since(before[0])
	if err := same(written, after[1].since(before[1])); err != nil {
		return err
	}
	report.Rows = written.sum()
	report.Checked = append(report.Checked, "both sides wrote the same "+grouped(report.Rows)+" rows")
	return nil
}

// round moves the merchants' clocks to the billing day of round k and measures
// the billing run of that day. The days between, on which only the bank's
// notices are asked for, are got over with beforehand.
func (s *Site) round(ctx context.Context, p *planted, k int) (int64, error) {
	eve := func(m *billing.Merchant) time.Time { return m.Start(billingDay(k)).Add(-time.Second) }
	if err := p.setClocks(ctx, eve); err != nil {
		return 0, err
	}
	if _, err := p.runner.Once(ctx); err != nil {
		return 0, err
	}
	morning := func(m *billing.Merchant) time.Time { return m.Start(billingDay(k)).Add(9 * time.Hour) }
	if err := p.setClocks(ctx, morning); err != nil {
		return 0, err
	}
	due := p.count(k)
	var sum billrun.Summary
	took, err := s.timed(func() (err error) {
		sum, err = p.runner.Once(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("bench: the billing run: %w", err)
	}
	if sum.Invoices != due || sum.Collected != due || sum.Declined+sum.Unknown+sum.Pending != 0 {
		return 0, fmt.Errorf("bench: the billing run should have made and collected %d invoices, and made %d and collected %d, with %d declined and %d unknown",
			due, sum.Invoices, sum.Collected, sum.Declined, sum.Unknown)
	}
	return rate(due, took), p.nothingDue(ctx)
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
