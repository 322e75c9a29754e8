package main

import (
	"context"
	"fmt"
)

// bankTermsCommand shows or sets how the bank deals with a merchant.
type bankTermsCommand struct {
	place
	Merchant   string `arg:"" help:"The merchant's code, or * for all that have no terms of their own."`
	Amounts    string `help:"Which amounts are declined: current, older, authorize.net, or none, so that only the number of a card counts." placeholder:"TABLE"`
	SettleDays int    `help:"Days after which a bank debit is settled." placeholder:"N"`
	LateDays   int    `help:"Days after which it comes back late, or a card is charged back." placeholder:"N"`
}

// Help is shown by perennial bank terms --help.
func (bankTermsCommand) Help() string {
	return `What is not given stays as it is. Without flags the terms are printed.

Examples:

  perennial bank terms demo
  perennial bank terms demo --amounts none`
}

// Run sets what is given and prints the terms.
func (c *bankTermsCommand) Run(ctx context.Context, p *process) (err error) {
	bank, books, err := openBankOf(ctx, c.place)
	if err != nil {
		return err
	}
	defer closing(books, &err)
	terms, err := bank.Terms(ctx, c.Merchant)
	if err != nil {
		return err
	}
	before := terms
	if c.Amounts != "" {
		terms.Amounts = c.Amounts
	}
	if c.SettleDays != 0 {
		terms.SettleDays = c.SettleDays
	}
	if c.LateDays != 0 {
		terms.LateDays = c.LateDays
	}
	if terms != before {
		if err := bank.SetTerms(ctx, c.Merchant, terms); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(p.stdout, "amounts %s, settled after %d days, late after %d days\n", terms.Amounts, terms.SettleDays, terms.LateDays)
	return err
}
