package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// attemptCommand is about askings of processors whose outcome is not known.
type attemptCommand struct {
	List    attemptListCommand    `cmd:"" help:"List the attempts whose outcome is not known."`
	Settle  attemptSettleCommand  `cmd:"" help:"Say what became of an attempt, when the processor does not."`
	Resolve attemptResolveCommand `cmd:"" help:"Say that a processor's contradiction was seen to."`
}

// attemptListCommand lists attempts.
type attemptListCommand struct {
	place
	Merchant  string `help:"The merchant's code; all merchants if none is named." placeholder:"CODE"`
	Unsettled bool   `help:"Only those that no look-up settles: a person must."`
	JSON      bool   `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial attempt list --help.
func (attemptListCommand) Help() string {
	return `An attempt is one asking of a processor: a charge, a void, a refund, a credit. While its outcome is not known the processor is asked again, after seconds, minutes, hours, and at last once a day, and nothing else is charged for the debts that it covers. What is not known after a day, or of which the processor tells something that cannot be true, is unsettled: look at the processor's own pages for what the last column says, and settle it.

Examples:

  perennial attempt list --unsettled
  perennial attempt settle 912311451648110608 --approved --reason "captured, statement of 2 January"`
}

// mostAttempts bounds a list of attempts.
const mostAttempts = 1000

// attemptLine is an attempt as JSON.
type attemptLine struct {
	Merchant  string `json:"merchant"`
	ID        int64  `json:"id,string"`
	Reference string `json:"reference"`
	Processor string `json:"processor"`
	Kind      string `json:"kind"`
	Amount    string `json:"amount"`
	State     string `json:"state"`
	Since     string `json:"since"`
	Asked     int    `json:"asked"`
	Unsettled string `json:"unsettled"`
	Words     string `json:"last_words"`
	Look      string `json:"look_for"`
}

// Run lists the attempts.
func (c *attemptListCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var lines []attemptLine
	for _, m := range merchants {
		err := books.View(ctx, m.ID, func(v *store.View) error {
			list, err := v.UnknownAttempts(ctx, c.Unsettled, mostAttempts)
			for _, a := range list {
				lines = append(lines, attemptLine{m.Code, int64(a.ID), a.Reference, a.Processor, string(a.Kind), a.Amount.String(), string(a.State),
					local(m, a.CreatedAt), a.Checks, local(m, a.UnsettledAt), a.Message, lookFor(m, a)})
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
		_, err := fmt.Fprintln(p.stdout, "there are none")
		return err
	}
	return table(p.stdout, "MERCHANT\tID\tREFERENCE\tPROCESSOR\tKIND\tAMOUNT\tSTATE\tSINCE\tASKED\tUNSETTLED\tLAST WORDS\tLOOK FOR", lines, func(l attemptLine) []any {
		return []any{l.Merchant, l.ID, l.Reference, l.Processor, l.Kind, l.Amount, l.State, l.Since, l.Asked, l.Unsettled, l.Words, l.Look}
	})
}

// lookFor says what a person looks for at the processor.
func lookFor(m *billing.Merchant, a *billing.Attempt) string {
	what := "a sale"
	switch a.Kind {
	case billing.AskCharge:
		if a.Instrument.IsBank() {
			what = "a debit"
		}
	case billing.AskAuthorize:
		what = "an authorisation without capture"
	case billing.AskVoid:
		what = "a voided sale"
		if a.Verifies() {
			what = "a voided authorisation"
		}
	case billing.AskRefund:
		what = "a refund"
	case billing.AskCredit:
		what = "a payout"
	}
	day := m.Today(a.CreatedAt)
	return fmt.Sprintf("%s of %s with reference %s, %s %s, on %s or %s", what, a.Amount, a.Reference, a.Instrument, a.Masked, day, day.AddDays(1))
}

// attemptSettleCommand settles an attempt by hand.
type attemptSettleCommand struct {
	place
	ID       int64  `arg:"" help:"The id of the attempt."`
	Approved bool   `help:"The processor did it: money moved."`
	Declined bool   `help:"The processor did not do it, and will not any more."`
	Code     string `help:"The code of a decline or approval, by ISO 8583 field 39 or NACHA; 91 for a decline and 00 for an approval if not given."`
	Reason   string `required:"" help:"What was seen, and where."`
	By       string `help:"Who settles it; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial attempt settle --help.
func (attemptSettleCommand) Help() string {
	return `Does what the processor's answer would have done: an approval covers the debts, a decline begins the retries of the merchant's schedule. It is done once, and noted in the audit trail (perennial acts). Be sure: after --declined the debt is charged again.

The processor is asked for a month more whether it agrees. If it comes to say otherwise, what you said stands, and perennial audit lists the contradiction until you have seen to it and said so with perennial attempt resolve.

Examples:

  perennial attempt settle 912311451648110608 --approved --reason "captured, statement of 2 January"
  perennial attempt settle 912311451648110608 --declined --code 51 --reason "the bank's support, case 77"`
}

// Run settles the attempt.
func (c *attemptSettleCommand) Run(ctx context.Context, p *process) (err error) {
	if c.Approved == c.Declined {
		return errors.New("say --approved or --declined")
	}
	core, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(core, &err)
	m, err := core.merchantOfAttempt(ctx, c.ID)
	if err != nil {
		return err
	}
	a, err := core.cashier.SettleByHand(ctx, m, billing.AttemptID(c.ID),
		cashier.Verdict{Approved: c.Approved, Code: billing.ResponseCode(c.Code), Who: p.who(c.By), Reason: c.Reason})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: the %s of %s is settled as %s\n", m.Code, a.Kind, a.Amount, a.State)
	return err
}

// merchantOfAttempt finds whose an attempt is.
func (c *core) merchantOfAttempt(ctx context.Context, id int64) (*billing.Merchant, error) {
	merchants, err := c.store.Merchants(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range merchants {
		err := c.store.View(ctx, m.ID, func(v *store.View) error {
			_, err := v.Attempt(ctx, billing.AttemptID(id))
			return err
		})
		if err == nil {
			return m, nil
		}
		if billing.KindOf(err) != billing.NotFound {
			return nil, err
		}
	}
	return nil, fmt.Errorf("there is no attempt %d: see perennial attempt list", id)
}

// attemptResolveCommand notes that a contradiction was seen to.
type attemptResolveCommand struct {
	place
	ID     int64  `arg:"" help:"The id of the attempt."`
	Reason string `required:"" help:"What was done."`
	By     string `help:"Who did it; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial attempt resolve --help.
func (attemptResolveCommand) Help() string {
	return `A processor has said otherwise than the person who settled an attempt. Put it right first: pay back at the processor what was taken twice, or record in the books what is missing. Then say so here; perennial audit shows the contradiction as a note from then on.

Example:

  perennial attempt resolve 912311451648110608 --reason "paid back at the processor, case 77"`
}

// Run notes it.
func (c *attemptResolveCommand) Run(ctx context.Context, p *process) (err error) {
	core, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(core, &err)
	m, err := core.merchantOfAttempt(ctx, c.ID)
	if err != nil {
		return err
	}
	if err := core.cashier.Resolve(ctx, m, billing.AttemptID(c.ID), billing.Act{Who: p.who(c.By), Reason: c.Reason}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: noted\n", m.Code)
	return err
}
