package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// parkedCommand is about work that cannot be done because its data are damaged.
type parkedCommand struct {
	List  parkedListCommand  `cmd:"" default:"withargs" help:"List the work that is parked (what is done if nothing is said)."`
	Retry parkedRetryCommand `cmd:"" help:"Release work that was mended."`
}

// parkedListCommand lists parked work.
type parkedListCommand struct {
	place
	Merchant string `help:"The merchant's code; all merchants if none is named." placeholder:"CODE"`
	JSON     bool   `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial parked list --help.
func (parkedListCommand) Help() string {
	return `A subscription, debt or attempt whose data make no sense to the billing run is taken out of its queue with the reason, so that it stops nothing else. It waits here until somebody has mended it and releases it with perennial parked retry. Changing a parked subscription, or its payment method, through an API releases it too.

Examples:

  perennial parked
  perennial parked --merchant demo --json
  perennial parked retry 912311451648110608 --reason "currency put right, ticket 4711"`
}

// parkedLine is parked work as JSON.
type parkedLine struct {
	Merchant string `json:"merchant"`
	Noun     string `json:"noun"`
	ID       int64  `json:"id,string"`
	Code     string `json:"code"`
	Customer string `json:"customer"`
	Since    string `json:"since"`
	Due      string `json:"due"`
	Tries    int    `json:"tries"`
	Reason   string `json:"reason"`
}

// Run lists the work.
func (c *parkedListCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var lines []parkedLine
	for _, m := range merchants {
		list, err := parkedOf(ctx, books, m)
		if err != nil {
			return err
		}
		for _, w := range list {
			lines = append(lines, parkedLine{m.Code, string(w.Noun), w.ID, w.Code, w.Customer, local(m, w.Since), local(m, w.Due), w.Tries, w.Reason})
		}
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(p.stdout, "nothing is parked")
		return err
	}
	return table(p.stdout, "MERCHANT\tNOUN\tID\tCODE\tCUSTOMER\tSINCE\tDUE\tTRIES\tREASON", lines, func(l parkedLine) []any {
		return []any{l.Merchant, l.Noun, l.ID, l.Code, l.Customer, l.Since, l.Due, l.Tries, l.Reason}
	})
}

// local is an instant as the merchant's people read it.
func local(m *billing.Merchant, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(m.Zone).Format(time.DateTime)
}

// table prints rows under a heading, an empty cell as a hyphen.
func table[T any](w io.Writer, heading string, rows []T, cells func(T) []any) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, heading)
	for _, r := range rows {
		for i, cell := range cells(r) {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			if cell == "" {
				cell = "-"
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func parkedOf(ctx context.Context, books *store.Store, m *billing.Merchant) (list []billing.Parked, err error) {
	err = books.View(ctx, m.ID, func(v *store.View) error {
		list, err = v.Parked(ctx)
		return err
	})
	return list, err
}

// parkedRetryCommand releases parked work.
type parkedRetryCommand struct {
	place
	ID       int64  `arg:"" optional:"" help:"The id of the subscription, debt or attempt."`
	All      bool   `help:"Release everything that is parked."`
	Merchant string `help:"The merchant's code; all merchants if none is named." placeholder:"CODE"`
	Reason   string `help:"What was mended, for the audit trail."`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial parked retry --help.
func (parkedRetryCommand) Help() string {
	return `Puts the work back into its queue. The next billing run, of a server or of perennial run, bills each date that was missed, once and in order, and claims what is owed. What is still damaged is parked again, with one try more.

Examples:

  perennial parked retry 912311451648110608 --reason "currency put right, ticket 4711"
  perennial parked retry --all --merchant demo`
}

// Run releases the work.
func (c *parkedRetryCommand) Run(ctx context.Context, p *process) (err error) {
	if (c.ID != 0) == c.All {
		return errors.New("name the id of what to release, or say --all")
	}
	core, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(core, &err)
	merchants, err := merchantsNamed(ctx, core.store, c.Merchant)
	if err != nil {
		return err
	}
	released := 0
	for _, m := range merchants {
		list, err := parkedOf(ctx, core.store, m)
		if err != nil {
			return err
		}
		for _, w := range list {
			if !c.All && w.ID != c.ID {
				continue
			}
			if err := core.cashier.Release(ctx, m, w, billing.Act{Who: p.who(c.By), Reason: c.Reason}); err != nil {
				return err
			}
			released++
			if _, err := fmt.Fprintf(p.stdout, "%s: %s %d is released, due %s\n", m.Code, w.Noun, w.ID, local(m, w.Due)); err != nil {
				return err
			}
		}
	}
	if released == 0 && !c.All {
		return fmt.Errorf("nothing of id %d is parked: see perennial parked", c.ID)
	}
	if released == 0 {
		_, err = fmt.Fprintln(p.stdout, "nothing is parked")
	}
	return err
}

// who is the name under which a deed is written down: the one given, or the
// system's user.
func (p *process) who(given string) string {
	if given != "" {
		return given
	}
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME", "USERNAME"} {
		if user, _ := p.lookupEnv(name); user != "" {
			return user
		}
	}
	return "operator"
}

// actsCommand lists what people did by hand.
type actsCommand struct {
	place
	Merchant string `arg:"" optional:"" help:"The merchant's code; all merchants if none is named."`
	JSON     bool   `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial acts --help.
func (actsCommand) Help() string {
	return `The audit trail: which person settled an attempt, released parked work or unlocked a login, when and why. It is only ever added to.

Example:

  perennial acts demo`
}

// actLine is a deed as JSON.
type actLine struct {
	Merchant string `json:"merchant"`
	At       string `json:"at"`
	Who      string `json:"who"`
	Act      string `json:"act"`
	Noun     string `json:"noun"`
	Object   string `json:"object"`
	Reason   string `json:"reason"`
}

// Run lists the deeds.
func (c *actsCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var lines []actLine
	for _, m := range merchants {
		err := books.View(ctx, m.ID, func(v *store.View) error {
			list, err := v.Acts(ctx, store.Page{Limit: mostActs})
			for _, a := range list {
				lines = append(lines, actLine{m.Code, a.At.UTC().Format(time.RFC3339), a.Who, a.Act, a.Noun, strconv.FormatInt(a.Object, 10), a.Reason})
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
		_, err := fmt.Fprintln(p.stdout, "nobody did anything by hand")
		return err
	}
	return table(p.stdout, "MERCHANT\tAT\tWHO\tACT\tNOUN\tID\tREASON", lines, func(l actLine) []any {
		return []any{l.Merchant, l.At, l.Who, l.Act, l.Noun, l.Object, l.Reason}
	})
}

// mostActs bounds a list of deeds.
const mostActs = 10000
