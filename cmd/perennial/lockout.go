package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// loginLockedCommand lists the addresses that are locked out.
type loginLockedCommand struct {
	place
	Merchant string `arg:"" optional:"" help:"The merchant's code; all merchants if none is named."`
	Address  string `help:"Only this address."`
	JSON     bool   `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial login locked --help.
func (loginLockedCommand) Help() string {
	return `Three wrong Data Link passwords from one address within an hour lock that address out of the merchant's account for an hour. perennial login unlock-address lets it in before.

Examples:

  perennial login locked
  perennial login locked 912345 --address 192.0.2.7`
}

// lockedLine is an address that is locked out, as JSON.
type lockedLine struct {
	Merchant string `json:"merchant"`
	Address  string `json:"address"`
	Last     string `json:"last_failure"`
	Until    string `json:"locked_until"`
}

// mostLocked bounds a list of addresses of one merchant.
const mostLocked = 10_000

// Run lists them.
func (c *loginLockedCommand) Run(ctx context.Context, p *process) (err error) {
	wanted := ""
	if c.Address != "" {
		if wanted, err = addressForm(c.Address); err != nil {
			return err
		}
	}
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var lines []lockedLine
	for _, m := range merchants {
		err := books.View(ctx, m.ID, func(v *store.View) error {
			list, err := v.LockedAddresses(ctx, p.now(), mostLocked)
			for _, a := range list {
				if wanted == "" || a.Address == wanted {
					lines = append(lines, lockedLine{m.Code, a.Address, a.Last.UTC().Format(time.RFC3339), a.Until.UTC().Format(time.RFC3339)})
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(p.stdout, "no address is locked out")
		return err
	}
	return table(p.stdout, "MERCHANT\tADDRESS\tLAST FAILURE\tLOCKED UNTIL", lines, func(l lockedLine) []any {
		return []any{l.Merchant, l.Address, l.Last, l.Until}
	})
}

// addressForm is an address in the form in which it is kept.
func addressForm(text string) (string, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "", errors.New("the address must be one like 192.0.2.7 or 2001:db8::7")
	}
	return a.Unmap().String(), nil
}

// unlockAddressCommand lets one address in again.
type unlockAddressCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	Address  string `arg:"" help:"The address, as perennial login locked lists it."`
	Reason   string `help:"Why, for the audit trail."`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial login unlock-address --help.
func (unlockAddressCommand) Help() string {
	return `Forgets the failed attempts from one address on one merchant's account. Logins that are locked stay locked: perennial login unlock.

Example:

  perennial login unlock-address 912345 192.0.2.7 --reason "new server of the shop"`
}

// Run lets it in.
func (c *unlockAddressCommand) Run(ctx context.Context, p *process) (err error) {
	address, err := addressForm(c.Address)
	if err != nil {
		return err
	}
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	m := merchants[0]
	var forgotten int64
	err = books.Update(ctx, m.ID, func(tx *store.Tx) error {
		if forgotten, err = tx.ForgiveAddress(ctx, address); err != nil || forgotten == 0 {
			return err
		}
		return tx.InsertAct(ctx, billing.Act{Act: "unlocked address " + address, Noun: "merchant", Object: int64(m.ID), Who: p.who(c.By), Reason: c.Reason, At: p.now()})
	})
	switch {
	case err != nil:
		return err
	case forgotten == 0:
		return fmt.Errorf("nothing failed from %s at %s", address, m.Code)
	}
	_, err = fmt.Fprintf(p.stdout, "%s may try again at %s\n", address, m.Code)
	return err
}
