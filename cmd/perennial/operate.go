package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// loginCommand is about logins.
type loginCommand struct {
	Unlock        loginUnlockCommand   `cmd:"" help:"Let a login in again that failed attempts have locked."`
	Locked        loginLockedCommand   `cmd:"" help:"List the addresses that failed attempts have locked out."`
	UnlockAddress unlockAddressCommand `cmd:"" help:"Let one address in again that failed attempts have locked out."`
}

// loginUnlockCommand unlocks a login.
type loginUnlockCommand struct {
	place
	Name   string `arg:"" help:"The name that logs in."`
	Reason string `help:"Why, for the audit trail."`
	By     string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial login unlock --help.
func (loginUnlockCommand) Help() string {
	return `Ten wrong passwords in a row lock a login for a quarter of an hour. Three wrong Data Link passwords from one address within an hour lock that address out for an hour. This forgets the failed attempts of the login, and those from all addresses for its merchant; perennial login unlock-address does it for one address alone. A login that was disabled in the set-up stays disabled.

Example:

  perennial login unlock api-demo`
}

// Run unlocks the login.
func (c *loginUnlockCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	id, err := books.Lookup(ctx, cashier.LoginDirectory, c.Name)
	if billing.KindOf(err) == billing.NotFound {
		return fmt.Errorf("nobody logs in as %q here", c.Name)
	}
	if err != nil {
		return err
	}
	var was *billing.Login
	err = books.Update(ctx, id.Merchant, func(tx *store.Tx) error {
		if was, err = tx.Login(ctx, billing.LoginID(id.Object)); err != nil {
			return err
		}
		if err := tx.ForgetFailures(ctx, was.ID); err != nil {
			return err
		}
		if _, err := tx.ForgiveAddress(ctx, ""); err != nil {
			return err
		}
		return tx.InsertAct(ctx, billing.Act{Act: "unlocked", Noun: "login", Object: id.Object, Who: p.who(c.By), Reason: c.Reason, At: p.now()})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %d failed attempts forgotten\n", c.Name, was.Failures)
	return err
}

// migrateCommand migrates the books.
type migrateCommand struct {
	place
	Citus bool `name:"citus" help:"Print the statements that spread the books by merchant over a Citus cluster, and change nothing."`
}

// Help is shown by perennial migrate --help.
func (migrateCommand) Help() string {
	return `Servers do this when they start. Run it by itself to have it done before the first of several servers starts, or by a user of the database who may change tables where the servers' may not. Servers of the version before run on with the new schema. Several that migrate at once do no harm.

--citus prints what is to be run on the coordinator of a Citus cluster; docs/scaling.md has the rest. It lists only what is not spread yet.

Examples:

  perennial migrate
  perennial migrate --db "$PERENNIAL_DB"
  perennial migrate --db "$PERENNIAL_DB" --citus > spread.sql`
}

// Run migrates the books, and the sandbox bank's where they are ours to keep.
func (c *migrateCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place, Create: !c.Citus})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	if c.Citus {
		return p.tellSpread(ctx, books)
	}
	if c.BankURL == "" {
		_, bankBooks, err := openBank(ctx, c.place)
		if err != nil {
			return err
		}
		if err := bankBooks.Close(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(p.stdout, "the books at %s (%s) are of this version\n", c.place, books.Engine())
	return err
}

// tellSpread prints the statements that spread the books.
func (p *process) tellSpread(ctx context.Context, books *store.Store) error {
	statements, err := books.Spread(ctx)
	if err != nil {
		return err
	}
	if len(statements) == 0 {
		_, err = fmt.Fprintln(p.stdout, "-- everything is spread")
		return err
	}
	for _, q := range statements {
		if _, err := fmt.Fprintln(p.stdout, q+";"); err != nil {
			return err
		}
	}
	return nil
}

// versionCommand prints the version.
type versionCommand struct{}

// Run prints the version, and the commit where the build knows it.
func (versionCommand) Run(p *process) error {
	version, commit := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(p.stdout, "perennial %s%s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// quietLog is the log of commands that run in somebody's terminal: only what
// they should know.
func (p *process) quietLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
