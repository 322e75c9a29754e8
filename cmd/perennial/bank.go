package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// bankCommand is about the sandbox bank.
type bankCommand struct {
	Journal bankJournalCommand `cmd:"" help:"Print what the bank saw and did for a merchant."`
	Faults  bankFaultsCommand  `cmd:"" help:"Show or set what goes wrong between a merchant and the bank."`
	Terms   bankTermsCommand   `cmd:"" help:"Show or set how the bank deals with a merchant."`
	Serve   bankServeCommand   `cmd:"" help:"Serve the bank as a process of its own."`
}

// Help is shown by perennial bank --help.
func (bankCommand) Help() string {
	return `The sandbox bank is where test merchants' cards and bank accounts go. It approves, declines, settles and returns by published test cards and amounts, and keeps books of its own, so that Perennial's can be compared with something that somebody else wrote.

Examples:

  perennial bank journal demo
  perennial bank faults demo --decline 51 --count 2
  perennial bank serve --listen 127.0.0.1:8490`
}

// openBankOf opens the bank of a place without the books, and refuses to begin
// one, because what is asked about it would be nothing.
func openBankOf(ctx context.Context, l place) (*sandbox.Bank, io.Closer, error) {
	address, _ := l.bank()
	if isFile(address) {
		if _, err := os.Stat(filePath(address)); err != nil {
			return nil, nil, fmt.Errorf("there is no sandbox bank at %s: say with --data or --bank-db where its books are", filePath(address))
		}
	}
	return openBank(ctx, l)
}

// bankJournalCommand prints a journal.
type bankJournalCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	JSON     bool   `name:"json" help:"Print a JSON array, one line of the journal on each line."`
}

// Help is shown by perennial bank journal --help.
func (bankJournalCommand) Help() string {
	return `Every authorisation, capture, claim, settlement, return, void, refund, credit and chargeback with its reference, amount, masked number and outcome, in the order in which the bank wrote it. The references are those of Perennial's attempts. Times are the merchant's own, shown in UTC.

Examples:

  perennial bank journal demo
  perennial bank journal demo --json | jq '.[] | select(.kind=="capture")'`
}

// Run prints the journal.
func (c *bankJournalCommand) Run(ctx context.Context, p *process) (err error) {
	bank, books, err := openBankOf(ctx, c.place)
	if err != nil {
		return err
	}
	defer closing(books, &err)
	lines, err := bank.Journal(ctx, c.Merchant)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintf(p.stdout, "the bank has seen nothing of a merchant %q\n", c.Merchant)
		return err
	}
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tWHAT\tREFERENCE\tAMOUNT\tOUTCOME\tNUMBER\tOF")
	for i := range lines {
		l := &lines[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.At.Format(time.DateTime), l.Kind, l.Reference, l.Amount, verdict(l), l.Masked, l.Original)
	}
	return t.Flush()
}

// verdict is what a line of the journal says came of it.
func verdict(l *sandbox.Line) string {
	switch {
	case l.Response == "":
		return "done"
	case l.Response.Severity() == billing.Good:
		return l.Response.Text()
	}
	return string(l.Response) + " " + l.Response.Text()
}

// writeLines writes a JSON array with one element on each line.
func writeLines[T any](w io.Writer, list []T) error {
	before := "[\n"
	for _, item := range list {
		text, err := json.Marshal(item)
		if err != nil {
			return fmt.Errorf("print as JSON: %w", err)
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, text); err != nil {
			return err
		}
		before = ",\n"
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "[]")
		return err
	}
	_, err := fmt.Fprintln(w, "\n]")
	return err
}

// bankFaultsCommand shows and sets faults.
type bankFaultsCommand struct {
	place
	Merchant   string        `arg:"" help:"The merchant's code; '*' for all merchants."`
	Latency    time.Duration `help:"Answer so much later." placeholder:"TIME" group:"fault"`
	Decline    string        `help:"Decline with this code, as in 05 or 51." placeholder:"CODE" group:"fault"`
	Trouble    string        `help:"What goes wrong: timeout-before, timeout-after, cut-before, cut-after, cut-midway, error-before, error-after, malformed-after, late, in-progress or unseen. Before and after are seen from the bank's act." placeholder:"WHAT" group:"fault"`
	On         []string      `help:"On these only: charge, void, refund, credit, lookup, notices." placeholder:"WHAT" group:"fault"`
	Reference  string        `help:"On references of this pattern only, * standing for anything." placeholder:"PATTERN" group:"fault"`
	Count      int           `help:"So many times, then no more." placeholder:"N" group:"fault"`
	PerMillion int           `help:"On so many of a million." placeholder:"N" group:"fault"`
	Seed       int64         `help:"Which ones, of a million." placeholder:"N" group:"fault"`
	Add        bool          `help:"Keep the faults that are set; the earlier count first."`
	Clear      bool          `help:"End all faults."`
	JSON       bool          `name:"json" help:"Print a JSON array."`
}

// Help is shown by perennial bank faults --help.
func (bankFaultsCommand) Help() string {
	return `Without a fault to set, those that are set are shown. A fault replaces what was set before, unless --add is given. A merchant's own faults count before those of all merchants.

Examples:

  perennial bank faults demo
  perennial bank faults demo --decline 51 --count 2
  perennial bank faults demo --trouble timeout-after --on charge --count 1
  perennial bank faults '*' --latency 300ms
  perennial bank faults demo --clear`
}

// Run shows or sets the faults.
func (c *bankFaultsCommand) Run(ctx context.Context, p *process) (err error) {
	bank, books, err := openBankOf(ctx, c.place)
	if err != nil {
		return err
	}
	defer closing(books, &err)
	faults, err := bank.Faults(ctx, c.Merchant)
	if err != nil {
		return err
	}
	f, given, err := c.fault()
	if err != nil {
		return err
	}
	if c.Clear && given {
		return errors.New("--clear ends all faults and takes none")
	}
	if c.Clear || given {
		if !c.Add {
			faults = nil
		}
		if given {
			faults = append(faults, f)
		}
		if err := bank.SetFaults(ctx, c.Merchant, faults...); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeLines(p.stdout, faults)
	}
	return printFaults(p.stdout, faults)
}

// fault is what the flags describe; given is false if they describe none.
func (c *bankFaultsCommand) fault() (f sandbox.Fault, given bool, err error) {
	if c.Decline != "" && c.Trouble != "" {
		return f, false, errors.New("--decline and --trouble are two faults: set the second with --add")
	}
	f = delay(c.Latency)
	f.On, f.Reference, f.Count, f.PerMillion, f.Seed = c.On, c.Reference, c.Count, c.PerMillion, c.Seed
	f.Do, f.Response = sandbox.Trouble(c.Trouble), billing.ResponseCode(c.Decline)
	if c.Decline != "" {
		f.Do = sandbox.Decline
	}
	given = c.Latency > 0 || f.Do != ""
	if !given && (len(c.On) > 0 || c.Reference != "" || c.Count > 0 || c.PerMillion > 0 || c.Add) {
		return f, false, errors.New("what goes wrong? Give --latency, --decline or --trouble")
	}
	return f, given, nil
}

// delay is the fault of a bank that takes its time: half of it before the act,
// half before the answer.
func delay(d time.Duration) sandbox.Fault {
	ms := int(d.Milliseconds())
	return sandbox.Fault{BeforeMS: ms / 2, AfterMS: ms - ms/2}
}

// slowDown has the bank take its time for every merchant, or no longer, and
// leaves other faults as they are.
func slowDown(ctx context.Context, bank *sandbox.Bank, d time.Duration) error {
	set, err := bank.Faults(ctx, sandbox.Everyone)
	if err != nil {
		return err
	}
	var faults []sandbox.Fault
	for _, f := range set {
		if plain := f.Do == "" && len(f.On) == 0 && f.Reference == "" && f.Count == 0 && f.PerMillion == 0; !plain {
			faults = append(faults, f)
		}
	}
	if d > 0 {
		faults = append(faults, delay(d))
	}
	if len(faults) == 0 && len(set) == 0 {
		return nil
	}
	return bank.SetFaults(ctx, sandbox.Everyone, faults...)
}

// printFaults writes faults for people, one a line.
func printFaults(w io.Writer, faults []sandbox.Fault) error {
	if len(faults) == 0 {
		_, err := fmt.Fprintln(w, "no faults are set")
		return err
	}
	for _, f := range faults {
		var words []string
		if f.Do != "" {
			words = append(words, string(f.Do))
		}
		if f.Do == sandbox.Decline {
			words = append(words, string(f.Response), f.Response.Text())
		}
		if ms := f.BeforeMS + f.AfterMS; ms > 0 {
			words = append(words, "answer", (time.Duration(ms) * time.Millisecond).String(), "later")
		}
		if len(f.On) > 0 {
			words = append(words, "on", strings.Join(f.On, ", "))
		}
		if f.Reference != "" {
			words = append(words, "for references like", f.Reference)
		}
		if f.Count > 0 {
			words = append(words, fmt.Sprintf("at most %d times", f.Count))
		}
		if f.PerMillion > 0 {
			words = append(words, fmt.Sprintf("%d times of a million, seed %d", f.PerMillion, f.Seed))
		}
		if _, err := fmt.Fprintln(w, strings.Join(words, " ")); err != nil {
			return err
		}
	}
	return nil
}

// bankServeCommand serves the bank.
type bankServeCommand struct {
	place
	Listen  string        `help:"Address to listen on, which must be this machine's own: the bank knows nobody's password." env:"PERENNIAL_BANK_LISTEN" default:"127.0.0.1:8490"`
	Latency time.Duration `help:"Answer every merchant so much later." placeholder:"TIME"`
	JSON    bool          `name:"json" help:"Print one line of JSON when the bank is ready to serve."`
}

// Help is shown by perennial bank serve --help.
func (bankServeCommand) Help() string {
	return `A server finds the bank with --bank-url. With the same --data or --db, the other subcommands find its journal as if it were embedded.

Example, in three terminals:

  perennial bank serve --data perennial-data
  perennial demo --data perennial-data --bank-url http://127.0.0.1:8490
  perennial bank journal demo --data perennial-data`
}

// Run serves the bank until it is told to stop.
func (c *bankServeCommand) Run(ctx context.Context, p *process) (err error) {
	if c.BankURL != "" {
		return errors.New("--bank-url names a bank that is served already")
	}
	bank, books, err := openBank(ctx, c.place)
	if err != nil {
		return err
	}
	defer closing(books, &err)
	if err := slowDown(ctx, bank, c.Latency); err != nil {
		return err
	}
	server, err := httpd.New(httpd.Config{Listen: c.Listen, Now: p.now, Log: p.quietLog()})
	if err != nil {
		return err
	}
	server.Handle("/", bank.Handler())
	address, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	url := "http://" + address.String()
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(map[string]string{"url": url})
	} else {
		_, err = fmt.Fprintf(p.stdout, "The sandbox bank serves at %s\n", url)
	}
	if err != nil {
		return err
	}
	return server.Serve(ctx)
}
