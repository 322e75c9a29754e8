package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
)

// runCommand does one billing run.
type runCommand struct {
	place
	Merchant string `arg:"" optional:"" help:"The merchant's code; all merchants if none is named."`
	AsOf     string `name:"as-of" help:"Bill all that has a date up to this day; the merchant's today if none is named." placeholder:"DATE"`
	JSON     bool   `name:"json" help:"Print one line of JSON for each merchant."`
}

// Help is shown by perennial run --help.
func (runCommand) Help() string {
	return `Does what is due: notices of the processor, settlements and returns, late fees, invoices, claims and retries. Then it bills what has a date up to the day of --as-of, though its hour is still to come. A day that has not come for the merchant is refused.

A server does all this by itself. This command is for an installation whose servers run with --no-billing, for a machine that runs at night, and for the impatient. Running it twice, or beside a server, bills nothing twice; stopped at any point, it is finished by the next run. What the run itself did is printed, by merchant; the exit status is 1 if something went wrong on the way.

Examples:

  perennial run
  perennial run demo
  perennial run demo --as-of 2020-01-31 --json`
}

// Run does the billing run.
func (r *runCommand) Run(ctx context.Context, p *process) (err error) {
	var day billing.Date
	if r.AsOf != "" {
		if day, err = billing.ParseDate(r.AsOf); err != nil {
			return fmt.Errorf("--as-of: %q is no date: write 2020-01-31", r.AsOf)
		}
	}
	bar := p.newBar()
	c, err := p.openCore(ctx, coreOptions{place: r.place, Progress: bar.progressed})
	if err != nil {
		return err
	}
	defer closing(c, &err)
	merchants, err := merchantsNamed(ctx, c.store, r.Merchant)
	if err != nil {
		return err
	}
	var faults []error
	for _, m := range merchants {
		if ctx.Err() != nil {
			return errors.Join(append(faults, errors.New("stopped; the next run goes on from here"))...)
		}
		until := day
		if until.IsZero() {
			until = m.Today(m.Now(p.now()))
		}
		sum, err := c.runner.AsOf(ctx, m.ID, until)
		bar.end()
		if err != nil {
			faults = append(faults, err)
		}
		if err != nil && sum.Events == 0 {
			continue
		}
		if err := p.tellRun(m, until, sum, r.JSON); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// tellRun prints what a run did for a merchant.
func (p *process) tellRun(m *billing.Merchant, day billing.Date, sum billrun.Summary, asJSON bool) error {
	r := reportOf(sum)
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(struct {
			Merchant string `json:"merchant"`
			AsOf     string `json:"as_of"`
			report
		}{m.Code, day.String(), r})
	}
	if _, err := fmt.Fprintf(p.stdout, "%s as of %s\n", m.Code, day); err != nil {
		return err
	}
	return r.print(p.stdout)
}
