package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// auditCommand proves the books.
type auditCommand struct {
	place
	Merchant string `arg:"" optional:"" help:"The merchant's code; all merchants if none is named."`
	JSON     bool   `name:"json" help:"Print a JSON array, one fault on each line."`
}

// Help is shown by perennial audit --help.
func (auditCommand) Help() string {
	return `Holds everything that the books say against everything else that they say: entries sum to zero and are those that each activity calls for, each invoice equals what covers it and what is open, each attempt has its outcome, each billing date its invoice, and no debt was charged twice. Then it compares the books of test merchants with the journal that the sandbox bank keeps for itself.

One line is printed for each fault. The exit status is 1 if there is any, and 0 if there is none; a line that says "note" tells of something unfinished, such as a charge that is under way, and is no fault. It reads a snapshot, needs no master key, and may run beside servers.

Examples:

  perennial audit
  perennial audit demo --json`
}

// Run proves the books.
func (a *auditCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: a.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, a.Merchant)
	if err != nil {
		return err
	}
	bank, closer, err := openWitness(ctx, a.place, merchants)
	if err != nil {
		return err
	}
	defer closing(closer, &err)
	var all []audit.Fault
	bad := 0
	for _, m := range merchants {
		faults, err := p.prove(ctx, books, bank, m)
		if err != nil {
			return err
		}
		all = append(all, faults...)
		n := wrong(faults)
		bad += n
		if !a.JSON {
			if err := tellFaults(p.stdout, m, faults, n); err != nil {
				return err
			}
		}
	}
	if a.JSON {
		if err := writeLines(p.stdout, faultLines(all)); err != nil {
			return err
		}
	}
	if bad > 0 {
		return errSilent
	}
	return nil
}

// merchantsNamed is one merchant, or all of them if none is named.
func merchantsNamed(ctx context.Context, s *store.Store, code string) ([]*billing.Merchant, error) {
	if code == "" {
		return s.Merchants(ctx)
	}
	m, err := findMerchant(ctx, s, code)
	if err != nil {
		return nil, err
	}
	return []*billing.Merchant{m}, nil
}

// openWitness opens the sandbox bank's journal where one is needed and is here.
// A bank that is a process of its own may keep it elsewhere.
func openWitness(ctx context.Context, l place, merchants []*billing.Merchant) (*sandbox.Bank, io.Closer, error) {
	needed := false
	for _, m := range merchants {
		needed = needed || m.Mode == billing.Test
	}
	address, _ := l.bank()
	if isFile(address) && l.BankURL != "" {
		_, err := os.Stat(filePath(address))
		needed = needed && !errors.Is(err, fs.ErrNotExist)
	}
	if !needed {
		return nil, io.NopCloser(nil), nil
	}
	return openBankOf(ctx, l)
}

// prove lists what is wrong with a merchant's books, by themselves and beside the
// bank's journal.
func (p *process) prove(ctx context.Context, books *store.Store, bank *sandbox.Bank, m *billing.Merchant) ([]audit.Fault, error) {
	faults, err := audit.Books(ctx, books, m.ID, p.now())
	if err != nil || m.Mode != billing.Test {
		return faults, err
	}
	if bank == nil {
		return append(faults, audit.Fault{Merchant: m.Code, Check: audit.Bank, Note: true,
			Text: "the bank's journal is not here and was not compared; say with --bank-db where it is"}), nil
	}
	more, err := audit.Compare(ctx, books, m.ID, sandbox.Name, journal(ctx, bank, m.Code))
	return append(faults, more...), err
}

// journalPage is how many lines of the journal are read at a time.
const journalPage = 1000

// journal is a merchant's journal as the bank keeps it, page by page.
func journal(ctx context.Context, bank *sandbox.Bank, merchant string) iter.Seq2[audit.BankLine, error] {
	return func(yield func(audit.BankLine, error) bool) {
		after := int64(0)
		for {
			page, err := bank.JournalPage(ctx, merchant, after, journalPage)
			if err != nil {
				yield(audit.BankLine{}, err)
				return
			}
			for i := range page {
				l := &page[i]
				after = l.Seq
				if !yield(audit.BankLine{At: l.At, Kind: audit.BankKind(l.Kind), Reference: l.Reference, Original: l.Original,
					Amount: l.Amount, Declined: !l.Good()}, nil) {
					return
				}
			}
			if len(page) < journalPage {
				return
			}
		}
	}
}

// wrong counts what is no mere note.
func wrong(faults []audit.Fault) int {
	n := 0
	for _, f := range faults {
		if !f.Note {
			n++
		}
	}
	return n
}

// tellFaults writes a merchant's faults, one a line, or that there are none.
func tellFaults(w io.Writer, m *billing.Merchant, faults []audit.Fault, bad int) error {
	for _, f := range faults {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	if bad > 0 {
		_, err := fmt.Fprintf(w, "%s: %d faults\n", m.Code, bad)
		return err
	}
	_, err := fmt.Fprintf(w, "%s: the books are right\n", m.Code)
	return err
}

// faultLine is a fault as JSON.
type faultLine struct {
	Merchant string `json:"merchant"`
	Check    string `json:"check"`
	Note     bool   `json:"note"`
	Text     string `json:"text"`
}

func faultLines(faults []audit.Fault) []faultLine {
	lines := make([]faultLine, len(faults))
	for i, f := range faults {
		lines[i] = faultLine(f)
	}
	return lines
}
