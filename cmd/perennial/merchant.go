package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
)

// merchantCommand is about merchants as a whole.
type merchantCommand struct {
	Close merchantCloseCommand `cmd:"" help:"End what a merchant does: forget all cards, end all subscriptions, disable all logins."`
}

// merchantCloseCommand closes a merchant.
type merchantCloseCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	Sure     bool   `help:"Say that it is meant: cards that were forgotten do not come back."`
	Reason   string `help:"Why, for the audit trail."`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial merchant close --help.
func (merchantCloseCommand) Help() string {
	return `Forgets every card and bank account that the merchant's customers pay with, ends every subscription at once and without refund, and disables every login. The books stay as they are, and so do the customers. It can be run again if it was broken off. See docs/privacy.md.

Example:

  perennial merchant close demo --sure --reason "contract ended"`
}

// Run closes the merchant.
func (c *merchantCloseCommand) Run(ctx context.Context, p *process) (err error) {
	if !c.Sure {
		return errors.New("cards that were forgotten do not come back: say --sure if it is meant")
	}
	core, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(core, &err)
	m, err := core.store.MerchantByCode(ctx, c.Merchant)
	if err != nil {
		return err
	}
	n, err := core.cashier.CloseMerchant(ctx, m, billing.Act{Who: p.who(c.By), Reason: c.Reason})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s is closed: nothing is kept that its %d customers paid with\n", m.Code, n)
	return err
}
