package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/store"
)

// restoreCommand is about books that were put back from a copy.
type restoreCommand struct {
	Check restoreCheckCommand `cmd:"" help:"Compare the books with what the processors list as done."`
	Adopt restoreAdoptCommand `cmd:"" help:"Take in what the processors did and the books lost, and let the nodes act on these books."`
}

// Help is shown by perennial restore --help.
func (restoreCommand) Help() string {
	return `Books that were restored from a copy do not know what was charged since; billed again, it would be charged again. So servers move no money on books that they cannot prove to be the ones that they knew: billing rests, requests for money are answered as unavailable, and /readyz and the log say why. That is so when the database is another than before, when it has gone back, when a server has no record of it and no other vouches for it, and when a processor did what the books know nothing of.

What to do: end everything that still runs on the books that these replace. Look at what is missing with check. Then adopt. The guide is docs/operating.md.`
}

// deedLine tells of a deed on one line.
func deedLine(d processor.Deed) string {
	text := fmt.Sprintf("%s of %s under reference %s, %s, %s", d.Kind, d.Amount, d.Reference, d.Outcome.State, d.At.UTC().Format(time.RFC3339))
	if d.Customer != "" {
		text += ", customer " + d.Customer
	}
	return text
}

// restoreCheckCommand compares.
type restoreCheckCommand struct {
	place
	JSON bool `name:"json" help:"Print one line of JSON for each merchant."`
}

// Help is shown by perennial restore check --help.
func (restoreCheckCommand) Help() string {
	return `Prints for each merchant how far the books reach and, one a line, what its processor did that they know nothing of. It changes nothing. The exit status is 1 if something is missing or cannot be known.

What customers and clerks changed after the copy was made, but for money that a processor moved, is lost and is not listed: new customers, cancellations, changes of cards.

Examples:

  perennial restore check
  perennial restore check --json`
}

// restoreLine is a merchant's comparison as JSON.
type restoreLine struct {
	Merchant  string      `json:"merchant"`
	BooksEnd  time.Time   `json:"books_end"`
	Processor string      `json:"processor,omitempty"`
	Listed    bool        `json:"listed"`
	Compared  int         `json:"compared"`
	Missing   []deedWords `json:"missing"`
}

// deedWords is a deed as JSON.
type deedWords struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Reference string    `json:"reference"`
	Original  string    `json:"original,omitempty"`
	Customer  string    `json:"customer,omitempty"`
	Amount    int64     `json:"amount"` // minor units
	Currency  string    `json:"currency"`
	State     string    `json:"state"`
}

// Run compares.
func (r *restoreCheckCommand) Run(ctx context.Context, p *process) (err error) {
	c, err := p.openCore(ctx, coreOptions{place: r.place})
	if err != nil {
		return err
	}
	defer closing(c, &err)
	found, err := c.compareEach(ctx)
	if err != nil {
		return err
	}
	bad := false
	for _, f := range found {
		bad = bad || len(f.Missing) > 0 || f.Processor != "" && !f.Listed
		if err := p.tellComparison(f, r.JSON); err != nil {
			return err
		}
	}
	if ready := c.node.Ready(ctx); !r.JSON {
		if ready == nil {
			_, err = fmt.Fprintln(p.stdout, "this node may act on these books")
		} else {
			_, err = fmt.Fprintln(p.stdout, ready)
		}
	}
	if err == nil && bad {
		err = errSilent
	}
	return err
}

func (p *process) tellComparison(f compared, asJSON bool) error {
	if asJSON {
		line := restoreLine{Merchant: f.merchant.Code, BooksEnd: f.end, Processor: f.Processor, Listed: f.Listed, Compared: f.Seen, Missing: []deedWords{}}
		for _, d := range f.Missing {
			line.Missing = append(line.Missing, deedWords{At: d.At, Kind: string(d.Kind), Reference: d.Reference, Original: d.Original,
				Customer: d.Customer, Amount: d.Amount.Minor(), Currency: string(d.Amount.Currency()), State: string(d.Outcome.State)})
		}
		return json.NewEncoder(p.stdout).Encode(line)
	}
	verdict := "nothing is missing"
	switch {
	case f.Processor == "":
		verdict = "no processor, so nothing can be charged"
	case !f.Listed:
		verdict = "the processor does not list what it did, so a person must compare"
	case len(f.Missing) > 0:
		verdict = fmt.Sprintf("%d missing", len(f.Missing))
	}
	_, err := fmt.Fprintf(p.stdout, "%s: the books end at %s; %d acts of the processor compared, %s\n",
		f.merchant.Code, showMoment(f.end, f.merchant.Zone), f.Seen, verdict)
	for _, d := range f.Missing {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "  %s\n", deedLine(d))
	}
	return err
}

// compared is a merchant's comparison.
type compared struct {
	cashier.Comparison
	merchant *billing.Merchant
	end      time.Time // the latest instant that the books have seen
}

// compareEach compares each merchant's books.
func (c *core) compareEach(ctx context.Context) (list []compared, err error) {
	merchants, err := c.store.Merchants(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range merchants {
		f := compared{merchant: m}
		if f.Comparison, err = c.cashier.Compare(ctx, m); err != nil && billing.KindOf(err) != billing.Unavailable {
			return nil, fmt.Errorf("merchant %s: %w", m.Code, err)
		}
		err = c.store.View(ctx, m.ID, func(v *store.View) error {
			f.end, err = v.Latest(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// restoreAdoptCommand adopts.
type restoreAdoptCommand struct {
	place
	Reason string `required:"" help:"Why these books shall be worked on from now on; it is kept in them." placeholder:"TEXT"`
	Blind  bool   `name:"without-list" help:"Adopt though a processor does not list what it did: somebody has compared its own report with the books."`
}

// Help is shown by perennial restore adopt --help.
func (restoreAdoptCommand) Help() string {
	return `Writes each act that a processor lists and the books lack into the books, as a payment, void, refund or decline of the customer that it was made for, and then begins a new epoch: these books are the ones from now on, and servers on others that know of it refuse to act. A payment covers what the customer owes now, or what the next billing run bills again, so it is not charged a second time. Money of a customer whom the books do not know is put on the account of a customer with the code ` + cashier.LostAndFound + `, and listed.

Nothing may run any more on the books that these replace. Of two copies adopt one.

Example:

  perennial restore adopt --reason "disk of db1 lost, restored from the backup of 1 May 03:00"`
}

// Run adopts.
func (r *restoreAdoptCommand) Run(ctx context.Context, p *process) (err error) {
	c, err := p.openCore(ctx, coreOptions{place: r.place})
	if err != nil {
		return err
	}
	defer closing(c, &err)
	if c.node.Ready(ctx) == nil {
		_, err = fmt.Fprintln(p.stdout, "nothing to adopt: this node may act on these books")
		return err
	}
	found, err := c.compareEach(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Processor != "" && !f.Listed && !r.Blind {
			return fmt.Errorf("the processor %s of merchant %s does not list what it did: compare its report with the books, write down what is missing, and then say --without-list", f.Processor, f.merchant.Code)
		}
	}
	for _, f := range found {
		strays, err := c.cashier.Import(ctx, f.merchant, f.Missing)
		if err != nil {
			return fmt.Errorf("merchant %s: %w", f.merchant.Code, err)
		}
		if _, err := fmt.Fprintf(p.stdout, "%s: %d acts taken in\n", f.merchant.Code, len(f.Missing)); err != nil {
			return err
		}
		for _, d := range strays {
			if _, err := fmt.Fprintf(p.stdout, "  put to %s: %s\n", cashier.LostAndFound, deedLine(d)); err != nil {
				return err
			}
		}
	}
	again, err := c.compare(ctx)
	if err != nil {
		return err
	}
	if len(again.Missing) > 0 {
		return fmt.Errorf("more was done meanwhile, %s: end what still works on other books, and adopt again", again.Missing[0])
	}
	if err := c.node.Adopt(ctx, r.Reason); err != nil {
		return err
	}
	if err := c.node.Ready(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "adopted: this node may act on these books; others on them follow within seconds")
	return err
}
