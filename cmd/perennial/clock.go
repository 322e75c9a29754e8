package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// clockCommand looks at and moves the clocks of test merchants.
type clockCommand struct {
	Show    clockShowCommand    `cmd:"" help:"Show what time it is for a merchant."`
	Set     clockSetCommand     `cmd:"" help:"Set the clock of a test merchant."`
	Advance clockAdvanceCommand `cmd:"" help:"Move the clock of a test merchant forward."`
}

// Help is shown by perennial clock --help.
func (clockCommand) Help() string {
	return `Billing goes by the merchant's clock. A live merchant's is the world's and cannot be moved. A test merchant's may be set: frozen, it stands until it is set again; running, it goes on from what it was set to. It never goes back behind what the books have seen.

When the clock has been moved, all that the time brought is done in order, moment by moment: invoices, claims, settlements, retries. So a jump of a year leaves the same books as a year of days. A server on the same books may share that work and follows the clock by itself.

Examples:

  perennial clock show demo
  perennial clock advance demo 1mo
  perennial clock advance demo 2 weeks
  perennial clock set demo 2020-02-01
  perennial clock set demo 2020-02-01T10:00 --frozen`
}

// clockShowCommand shows a clock.
type clockShowCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	JSON     bool   `name:"json" help:"Print one line of JSON."`
}

// Help is shown by perennial clock show --help.
func (clockShowCommand) Help() string {
	return "Example:\n\n  perennial clock show demo"
}

// Run shows the clock.
func (c *clockShowCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	m, err := findMerchant(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	return showClock(p.stdout, m, p.now(), c.JSON)
}

// clockFace is a clock as JSON.
type clockFace struct {
	Merchant string            `json:"merchant"`
	Time     time.Time         `json:"time"` // in the merchant's zone
	Zone     string            `json:"zone"`
	Mode     billing.ClockMode `json:"mode"`
}

func faceOf(m *billing.Merchant, wall time.Time) clockFace {
	return clockFace{Merchant: m.Code, Time: m.Now(wall).In(m.Zone).Truncate(time.Second), Zone: m.Zone.String(), Mode: m.Clock.Mode}
}

func showClock(w io.Writer, m *billing.Merchant, wall time.Time, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(faceOf(m, wall))
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s (%s)\n", m.Code, showMoment(m.Now(wall), m.Zone), clockWord(m.Clock.Mode), m.Zone)
	return err
}

// clockWord says how a clock goes.
func clockWord(mode billing.ClockMode) string {
	switch mode {
	case billing.ClockFrozen:
		return "frozen"
	case billing.ClockRunning:
		return "running"
	case billing.ClockReal:
	}
	return "the world's time"
}

// moving is what the commands that move a clock have in common.
type moving struct {
	place
	Frozen  bool          `help:"Let the clock stand from then on." xor:"mode"`
	Running bool          `help:"Let the clock run from then on." xor:"mode"`
	Skip    bool          `name:"no-run" help:"Do not bill what falls due; a running server does."`
	Wait    time.Duration `help:"How long to wait for work that a server has taken on." default:"10m"`
	JSON    bool          `name:"json" help:"Print one line of JSON."`
}

// mode is how the clock goes afterwards: as it is told, or else as before.
func (c *moving) mode(before billing.ClockMode) billing.ClockMode {
	switch {
	case c.Frozen:
		return billing.ClockFrozen
	case c.Running || before == billing.ClockReal:
		return billing.ClockRunning
	}
	return before
}

// clockSetCommand sets a clock.
type clockSetCommand struct {
	moving
	Merchant string `arg:"" help:"The merchant's code."`
	Time     string `arg:"" help:"A date, or a date and time of day."`
}

// Help is shown by perennial clock set --help.
func (clockSetCommand) Help() string {
	return `A date means the beginning of that day in the merchant's zone; a time of day without an offset is in that zone too. The clock goes on as before, running or frozen, unless told otherwise.

Examples:

  perennial clock set demo 2020-02-01
  perennial clock set demo 2020-02-01T10:00 --frozen
  perennial clock set demo 2020-02-01T10:00:00Z --running`
}

// Run sets the clock.
func (c *clockSetCommand) Run(ctx context.Context, p *process) error {
	return p.moveClock(ctx, &c.moving, c.Merchant, func(m *billing.Merchant) (time.Time, error) {
		return parseMoment(c.Time, m.Zone)
	})
}

// clockAdvanceCommand moves a clock forward.
type clockAdvanceCommand struct {
	moving
	Merchant string   `arg:"" help:"The merchant's code."`
	By       []string `arg:"" help:"How far: 1d, 3w, 2mo, 1y, 36h, 1h30m, or in words."`
}

// Help is shown by perennial clock advance --help.
func (clockAdvanceCommand) Help() string {
	return `Days, weeks, months and years are those of the calendar in the merchant's zone: a month after 31 January 09:00 is the last day of February, 09:00.

Examples:

  perennial clock advance demo 1d
  perennial clock advance demo 12 months
  perennial clock advance demo 1y --no-run`
}

// Run moves the clock.
func (c *clockAdvanceCommand) Run(ctx context.Context, p *process) error {
	by, err := parseSpan(c.By...)
	if err != nil {
		return err
	}
	return p.moveClock(ctx, &c.moving, c.Merchant, func(m *billing.Merchant) (time.Time, error) {
		return by.after(m.Now(p.now()), m.Zone), nil
	})
}

// moveClock moves a clock and does what the time brought.
func (p *process) moveClock(ctx context.Context, o *moving, code string, to func(*billing.Merchant) (time.Time, error)) (err error) {
	bar := p.newBar()
	c, err := p.openCore(ctx, coreOptions{place: o.place, Progress: bar.progressed})
	if err != nil {
		return err
	}
	defer closing(c, &err)
	m, err := c.merchant(ctx, code)
	if err != nil {
		return err
	}
	if m.Mode != billing.Test {
		return fmt.Errorf("merchant %s is live: its clock is the world's and cannot be moved", m.Code)
	}
	at, err := to(m)
	if err != nil {
		return err
	}
	mark, err := c.mark(ctx, m.ID)
	if err != nil {
		return err
	}
	m, err = c.cashier.SetClock(ctx, m.ID, o.mode(m.Clock.Mode), at)
	if err != nil {
		return err
	}
	if o.Skip {
		return showClock(p.stdout, m, p.now(), o.JSON)
	}
	err = c.catchUp(ctx, m.ID, o.Wait)
	bar.end()
	if err != nil {
		return err
	}
	return p.tellMove(ctx, c, m, mark, o.JSON)
}

// tellMove tells what the time brought, whoever did it.
func (p *process) tellMove(ctx context.Context, c *core, m *billing.Merchant, mark int64, asJSON bool) error {
	r, err := c.since(ctx, m, mark)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(struct {
			clockFace
			report
		}{faceOf(m, p.now()), r})
	}
	if err := r.print(p.stdout); err != nil {
		return err
	}
	return showClock(p.stdout, m, p.now(), false)
}

// mark is an id between what a merchant's books hold and what will come.
func (c *core) mark(ctx context.Context, id billing.MerchantID) (mark int64, err error) {
	err = c.store.Update(ctx, id, func(tx *store.Tx) error {
		mark = tx.NewID()
		return nil
	})
	return mark, err
}

// lookEvery is how often to look whether other workers have finished.
const lookEvery = 50 * time.Millisecond

// catchUp does all that is due for a test merchant, and waits for what other
// workers on these books have taken on, until nothing is left.
func (c *core) catchUp(ctx context.Context, id billing.MerchantID, limit time.Duration) error {
	ctx, stop := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("after %v other workers still have not finished what they took on; if they were killed, wait until %v have passed and run it again", limit, leaseOf(defaultTimeout)))
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if _, err := c.runner.Merchant(ctx, id); err != nil {
			return err
		}
		left, err := c.anythingLeft(ctx, id)
		if err != nil || !left {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// anythingLeft reports whether something is due for a merchant or in a worker's
// hands.
func (c *core) anythingLeft(ctx context.Context, id billing.MerchantID) (left bool, err error) {
	err = c.store.View(ctx, id, func(v *store.View) error {
		m, err := v.Merchant(ctx)
		if err != nil {
			return err
		}
		work, err := v.Work(ctx)
		first := work.First()
		left = work.Busy || !first.IsZero() && !first.After(m.Now(c.now()))
		return err
	})
	return left, err
}

// closing closes something at the end of a command whose error it joins.
func closing(what io.Closer, err *error) {
	if closed := what.Close(); *err == nil {
		*err = closed
	}
}
