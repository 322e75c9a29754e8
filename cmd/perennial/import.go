package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/perennial-billing/perennial/arrival"
	"github.com/perennial-billing/perennial/vault"
)

// importCommand brings in what other billers sold.
type importCommand struct {
	CCBill importCCBillCommand `cmd:"" name:"ccbill" help:"Plant subscriptions from a CCBill Data Link extract and a sealed card file."`
	Seal   importSealCommand   `cmd:"" help:"Seal a card file: cards from standard input, sealed to standard output."`
}

// Help is shown by perennial import --help.
func (importCommand) Help() string {
	return `Card data comes in a file of its own, which is sealed before it is kept anywhere. docs/ccbill-import.md leads through a move from CCBill.

Examples:

  gpg --decrypt cards.jsonl.gpg | perennial import seal > cards.sealed
  perennial import ccbill extract.csv --cards cards.sealed --dry-run
  perennial import ccbill extract.csv --cards cards.sealed`
}

// cardKey says with which master key cards are sealed.
type cardKey struct {
	place
	CardKey string `help:"File of another master key for the card file, as perennial keys create makes it, where cards are sealed on another machine." placeholder:"FILE" type:"path"`
}

// vault is the vault that seals and opens the card file.
func (k cardKey) vault(p *process) (*vault.Vault, error) {
	if k.CardKey == "" {
		return p.masterKey(k.place)
	}
	text, err := vault.ReadMasterKey(k.CardKey)
	if err != nil {
		return nil, err
	}
	return vault.New(text)
}

// importSealCommand seals a card file.
type importSealCommand struct {
	cardKey
}

// Help is shown by perennial import seal --help.
func (importSealCommand) Help() string {
	return `Reads one card a line from standard input, so that no card number stands on a disk or on a command line:

  {"subscriptionId":"0112142105000024275","type":"visa-credit","number":"...","expiry":"0430"}
  {"subscriptionId":"0112142105000024276","type":"checking","number":"...","routing":"021000021"}

The types are visa-credit, visa-debit, mastercard-credit, mastercard-debit, discover-credit, discover-debit, amex-credit, checking and savings. A line that is no card is refused by its number, and with it the whole file.

Example:

  gpg --decrypt cards.jsonl.gpg | perennial import seal > cards.sealed`
}

// Run seals.
func (c *importSealCommand) Run(p *process) error {
	v, err := c.vault(p)
	if err != nil {
		return err
	}
	n, err := arrival.SealCards(v, p.stdin, p.stdout)
	if err != nil {
		return fmt.Errorf("%w; throw away what was written", err)
	}
	_, err = fmt.Fprintf(p.stderr, "%s sealed\n", counted(n, "card"))
	return err
}

// importCCBillCommand plants subscriptions.
type importCCBillCommand struct {
	cardKey
	Files    []string `arg:"" help:"Files of the extract; - is standard input."`
	Cards    string   `help:"The sealed card file." required:"" placeholder:"FILE" type:"path"`
	Merchant string   `help:"Who goes on billing; by default the merchant whose code is the clientAccnum of the records." placeholder:"CODE"`
	DryRun   bool     `help:"Tell what would be planted and refused, and change nothing."`
	Scratch  string   `help:"Folder for temporary files, about as large as the extract; they hold names and addresses and are removed." placeholder:"FOLDER" type:"path"`
}

// Help is shown by perennial import ccbill --help.
func (importCCBillCommand) Help() string {
	return `Each subscription keeps its number, its dates and what was rebilled, and goes on where CCBill left it: have CCBill stop rebilling first. What is planted already is left as it is, so an import that was stopped is begun again, and one that is run twice does nothing the second time.

Lines and subscriptions that cannot be brought in are written to standard error with file, line and reason; the rest is planted, and the exit status is then 1.

Examples:

  perennial import ccbill extract-*.csv --cards cards.sealed --dry-run
  perennial import ccbill extract-*.csv --cards cards.sealed --merchant 900000`
}

// Run imports.
func (c *importCCBillCommand) Run(ctx context.Context, p *process) (err error) {
	o, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(o, &err)
	cards, err := c.vault(p)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(c.Scratch, "perennial-import-")
	if err != nil {
		return fmt.Errorf("the folder for temporary files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	lines, reading := 0, true
	stage, err := arrival.NewStage(ctx, folder, o.vault, func(r arrival.Refusal) {
		if reading {
			lines++
		}
		p.clearLine()
		fmt.Fprintln(p.stderr, r)
	})
	if err != nil {
		return err
	}
	defer closing(stage, &err)
	if err := c.stage(ctx, p, stage, cards); err != nil {
		return err
	}
	reading = false
	tally, err := c.plant(ctx, p, o, stage)
	if err != nil {
		return fmt.Errorf("%w (%d were planted; begin the import again, it goes on there)", err, tally.Planted)
	}
	word := "planted"
	if c.DryRun {
		word = "would be planted"
	}
	_, err = fmt.Fprintf(p.stdout, "%s %s, %d known already, %d refused; %s refused\n", counted(tally.Planted, "subscription"), word, tally.Known,
		tally.Refused, counted(lines, "line"))
	if err == nil && lines+tally.Refused > 0 {
		err = errSilent
	}
	return err
}

// stage reads all files.
func (c *importCCBillCommand) stage(ctx context.Context, p *process, stage *arrival.Stage, cards *vault.Vault) error {
	for _, name := range c.Files {
		err := p.reading(name, func(r io.Reader) error { return stage.Records(ctx, name, r) })
		if err != nil {
			return err
		}
	}
	return p.reading(c.Cards, func(r io.Reader) error { return stage.Cards(ctx, cards, r) })
}

// reading opens a file, or takes standard input, for as long as it is read.
func (p *process) reading(name string, read func(io.Reader) error) error {
	if name == "-" {
		return read(p.stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return read(f)
}

// plant plants what was read, and shows how far it has come.
func (c *importCCBillCommand) plant(ctx context.Context, p *process, o *core, stage *arrival.Stage) (arrival.Tally, error) {
	all, err := stage.Subscriptions(ctx)
	if err != nil || all == 0 {
		return arrival.Tally{}, err
	}
	code := c.Merchant
	if code == "" {
		code = stage.Client
	}
	m, err := o.merchant(ctx, code)
	if err != nil {
		return arrival.Tally{}, err
	}
	defer p.clearLine()
	return stage.Plant(ctx, arrival.Options{Cashier: o.cashier, Merchant: m, DryRun: c.DryRun, Progress: func(t arrival.Tally) {
		if p.columns > 0 {
			p.clearLine()
			fmt.Fprintf(p.stderr, "%d of %d subscriptions, %d refused", t.Done(), all, t.Refused)
		}
	}})
}

// clearLine takes a line of progress off the terminal.
func (p *process) clearLine() {
	if p.columns > 0 {
		fmt.Fprint(p.stderr, "\r\x1b[K")
	}
}
