package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// paymentCommand is about money that moves past every processor.
type paymentCommand struct {
	Due    paymentDueCommand    `cmd:"" help:"List the bills of a merchant that are not paid."`
	Record paymentRecordCommand `cmd:"" help:"Say that a bill was paid by check, in cash or elsewhere."`
	Close  paymentCloseCommand  `cmd:"" help:"Give a bill up: nobody is asked to pay it any more."`
}

// paymentDueCommand lists unpaid bills.
type paymentDueCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	JSON     bool   `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial payment due --help.
func (paymentDueCommand) Help() string {
	return `Lists what customers owe and have not paid, the oldest first: what was declined, what waits for money that the merchant collects by hand, and what is in clearing.

Examples:

  perennial payment due acme
  perennial payment record acme 912311451648110608 --with check --reason "check 4711"`
}

// billLine is an unpaid bill as JSON.
type billLine struct {
	ID       int64  `json:"id,string"`
	Number   int64  `json:"number"`
	Customer string `json:"customer"`
	Name     string `json:"name"`
	Due      string `json:"due"`
	Amount   string `json:"amount"`
	Open     string `json:"open"`
	Declined int    `json:"declined"`
}

// Run lists them.
func (c *paymentDueCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	m, err := books.MerchantByCode(ctx, c.Merchant)
	if err != nil {
		return err
	}
	var lines []billLine
	err = books.View(ctx, m.ID, func(v *store.View) error {
		debts, err := v.UnpaidDebts(ctx)
		if err != nil {
			return err
		}
		lines, err = billLines(ctx, v, debts)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(p.stdout, "there are none")
		return err
	}
	return table(p.stdout, "ID\tNUMBER\tCUSTOMER\tNAME\tDUE\tAMOUNT\tOPEN\tDECLINED", lines, func(l billLine) []any {
		return []any{l.ID, l.Number, l.Customer, l.Name, l.Due, l.Amount, l.Open, l.Declined}
	})
}

func billLines(ctx context.Context, v *store.View, debts []*billing.Activity) (lines []billLine, err error) {
	names := make([]string, len(debts))
	for i, d := range debts {
		names[i] = strconv.FormatInt(int64(d.ID), 10)
	}
	numbers, err := v.Counted(ctx, store.BillNumber, names)
	if err != nil {
		return nil, err
	}
	customers := make(map[billing.CustomerID]*billing.Customer)
	for i, d := range debts {
		owner, ok := customers[d.CustomerID]
		if !ok {
			if owner, err = v.Customer(ctx, d.CustomerID); err != nil {
				return nil, err
			}
			customers[d.CustomerID] = owner
		}
		if owner.Standing != billing.StandingGone {
			lines = append(lines, billLine{int64(d.ID), numbers[names[i]], owner.Code, owner.Name(), d.Due.String(), d.Amount.String(), d.Open.String(), d.Tries})
		}
	}
	return lines, nil
}

// paymentRecordCommand records a payment.
type paymentRecordCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	Invoice  int64  `arg:"" help:"The bill: its id, or the number by which Billing Circle knows it."`
	Amount   string `help:"What was paid, as in 31.39; all that is open, if not given." placeholder:"AMOUNT"`
	With     string `help:"How it was paid: cash, check, or external for what another system took." enum:"cash,check,external" default:"check"`
	Reason   string `required:"" help:"What was seen, and where, for the audit trail."`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial payment record --help.
func (paymentRecordCommand) Help() string {
	return `Writes down money that the merchant has collected by itself. The bill is covered by it, and what is told of payments is told of this one. It is noted in the audit trail (perennial acts). A bill that is paid already, or that a bank is being asked for at this moment, is refused.

Examples:

  perennial payment record acme 7003 --reason "check 4711, deposited 2 January"
  perennial payment record acme 912311451648110608 --amount 10.00 --with cash --reason "at the desk"`
}

// Run records it.
func (c *paymentRecordCommand) Run(ctx context.Context, p *process) error {
	return c.recording(ctx, p, c.Merchant, c.Invoice, func(s *cashier.Session, debt *billing.Activity) (r cashier.RecordRequest, err error) {
		paid := debt.Open
		if c.Amount != "" {
			if paid, err = billing.ParseDecimal(c.Amount, debt.Amount.Currency()); err != nil {
				return r, fmt.Errorf("--amount: %w", err)
			}
		}
		return cashier.RecordRequest{Kind: billing.Payment, Instrument: billing.Instrument(c.With), Amount: paid.Minor(),
			Act: &billing.Act{Act: "payment of " + paid.String() + " recorded", Who: p.who(c.By), Reason: c.Reason}}, nil
	})
}

// paymentCloseCommand gives a bill up.
type paymentCloseCommand struct {
	place
	Merchant string `arg:"" help:"The merchant's code."`
	Invoice  int64  `arg:"" help:"The bill: its id, or the number by which Billing Circle knows it."`
	Reason   string `required:"" help:"Why, for the audit trail."`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial payment close --help.
func (paymentCloseCommand) Help() string {
	return `Writes off what is open of a bill. It stands in the books as written off, not as paid, and nobody is asked for it any more.

Example:

  perennial payment close acme 7003 --reason "moved abroad"`
}

// Run writes it off.
func (c *paymentCloseCommand) Run(ctx context.Context, p *process) error {
	return c.recording(ctx, p, c.Merchant, c.Invoice, func(_ *cashier.Session, debt *billing.Activity) (cashier.RecordRequest, error) {
		return cashier.RecordRequest{Kind: billing.WriteOff, Instrument: billing.WrittenOff, Amount: debt.Open.Minor(),
			Act: &billing.Act{Act: "bill of " + debt.Open.String() + " written off", Who: p.who(c.By), Reason: c.Reason}}, nil
	})
}

// recording records something that covers one bill, and says so.
func (l place) recording(ctx context.Context, p *process, merchant string, bill int64,
	request func(*cashier.Session, *billing.Activity) (cashier.RecordRequest, error)) (err error) {
	core, err := p.openCore(ctx, coreOptions{place: l})
	if err != nil {
		return err
	}
	defer closing(core, &err)
	m, err := core.store.MerchantByCode(ctx, merchant)
	if err != nil {
		return err
	}
	s := core.cashier.System(m)
	debt, err := findBill(ctx, s, bill)
	if err != nil {
		return err
	}
	if debt.Open.Sign() <= 0 {
		return fmt.Errorf("nothing is open of bill %d: see perennial payment due %s", bill, merchant)
	}
	r, err := request(s, debt)
	if err != nil {
		return err
	}
	r.Invoices = []cashier.Ref{{ID: int64(debt.ID)}}
	a, err := core.cashier.Record(ctx, s, cashier.Ref{ID: int64(debt.CustomerID)}, r)
	if err != nil {
		return err
	}
	left := billing.Minor(max(0, debt.Open.Minor()-a.Amount.Minor()), debt.Open.Currency())
	_, err = fmt.Fprintf(p.stdout, "%s: %s recorded for the bill of %s due %s, %s open\n", m.Code, a.Amount, debt.Amount, debt.Due, left)
	return err
}

// findBill finds a debt by its id, or by its number on a wire that counts them.
func findBill(ctx context.Context, s *cashier.Session, bill int64) (debt *billing.Activity, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		name, err := v.ByCount(ctx, store.BillNumber, bill)
		switch {
		case err == nil:
			if bill, err = strconv.ParseInt(name, 10, 64); err != nil {
				return err
			}
		case billing.KindOf(err) != billing.NotFound:
			return err
		}
		debt, err = v.Activity(ctx, billing.ActivityID(bill))
		if err == nil && !debt.Kind.IsDebt() || billing.KindOf(err) == billing.NotFound {
			err = fmt.Errorf("there is no bill %d: see perennial payment due %s", bill, s.Merchant.Code)
		}
		return err
	})
	return debt, err
}
