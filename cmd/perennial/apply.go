package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/perennial-billing/perennial/setup"
)

// applyCommand sets up an installation from a file.
type applyCommand struct {
	place
	File   string `arg:"" help:"The set-up file; - is standard input."`
	DryRun bool   `help:"Print what would change, and change nothing."`
}

// Help is shown by perennial apply --help.
func (applyCommand) Help() string {
	return `The file says what merchants, accounts, logins and plans there shall be and, for test merchants and for moving here from another system, what customers, payment methods and subscriptions. What is missing is made, what differs is changed, and the rest is left alone; nothing is ever removed. Applying a file twice changes nothing the second time.

The whole file is checked before anything is written, and all that is wrong with it is told at once, by line. New books are begun if there are none.

Examples:

  perennial apply merchants.yaml --dry-run
  perennial apply merchants.yaml
  gpg --decrypt customers.yaml.gpg | perennial apply -

A file:

  merchants:
    - code: gym
      name: The Gym
      mode: test
      zone: America/New_York
      currency: USD
      accounts:
        - code: 2001
      logins:
        - name: api-gym
          role: api
          password_env: GYM_PASSWORD
      plans:
        - account: 2001
          code: standard_monthly
          cycle: monthly
          amount: 1999`
}

// Run applies the file.
func (a *applyCommand) Run(ctx context.Context, p *process) (err error) {
	file, err := p.parseSetup(a.File)
	if err != nil {
		return p.tellProblems(a.File, err)
	}
	where, err := a.rehearsal(p)
	if err != nil {
		return err
	}
	if where.Data != a.Data {
		defer os.RemoveAll(where.Data) //nolint:errcheck // a folder for temporary files is left to the system
	}
	c, err := p.openCore(ctx, coreOptions{place: where, Create: !a.DryRun || where.Data != a.Data})
	if err != nil {
		return err
	}
	defer closing(c, &err)
	o := c.setupOptions(p)
	o.DryRun = a.DryRun
	o.Report = func(change setup.Change) {
		if change.Action != setup.Keep {
			fmt.Fprintln(p.stdout, change)
		}
	}
	changes, err := file.Apply(ctx, o)
	if err != nil {
		return p.tellProblems(a.File, err)
	}
	word := ""
	switch {
	case changes.Count(setup.Keep) == len(changes):
		word = "nothing to change: "
	case a.DryRun:
		word = "nothing was changed; it would be: "
	}
	_, err = fmt.Fprintf(p.stdout, "%s%s\n", word, changes)
	return err
}

// rehearsal is the place whose books the file is held against: the given one or,
// for a dry run where there are no books yet, a folder to be thrown away.
func (a *applyCommand) rehearsal(p *process) (place, error) {
	begun, err := a.exists()
	if err != nil || begun || !a.DryRun {
		return a.place, err
	}
	where := place{}
	if _, given := p.lookupEnv(masterKeyVariable); !given {
		where.MasterKeyFile = a.masterKeyPath()
	}
	where.Data, err = os.MkdirTemp("", "perennial-dry-run-")
	where.NodeFile = filepath.Join(where.Data, nodeFile) // what is kept of the books that stay is not for these
	return where, err
}

// setupOptions are what a set-up file is applied with here.
func (c *core) setupOptions(p *process) setup.Options {
	return setup.Options{Cashier: c.cashier, Env: p.lookupEnv, Dialects: dialectSettings(), Forms: forms()}
}

// parseSetup reads a set-up file.
func (p *process) parseSetup(path string) (*setup.File, error) {
	if path == "-" {
		return setup.Parse(p.stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the set-up file: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return setup.Parse(f)
}

// tellProblems writes what is wrong with a set-up file, one problem a line.
func (p *process) tellProblems(path string, err error) error {
	var problems setup.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for _, one := range problems {
		if _, err := io.WriteString(p.stderr, path+": "+one.String()+"\n"); err != nil {
			return err
		}
	}
	if len(problems) == 1 {
		return fmt.Errorf("%s: one place is wrong, nothing was changed", path)
	}
	return fmt.Errorf("%s: %d places are wrong, nothing was changed", path, len(problems))
}
