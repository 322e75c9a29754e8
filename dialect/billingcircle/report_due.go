package billingcircle

import (
	"context"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// free lists the bills of nought that were made in a span: they count as paid,
// though no money was moved (4.5).
func (d *desk) free(ctx context.Context, s store.Span) ([]billing.Turnover, error) {
	bills, err := d.v.FreeBills(ctx, s)
	if err != nil {
		return nil, err
	}
	var list []billing.Turnover
	for _, b := range bills {
		t := billing.Turnover{Activity: b.ID, Debt: b.ID, Customer: b.CustomerID, Subscription: b.SubscriptionID, At: b.CreatedAt}
		m, err := d.method(ctx, b.CustomerID)
		if err != nil {
			return nil, err
		}
		if m != nil {
			t.Instrument = m.Instrument
		}
		list = append(list, t)
	}
	return list, nil
}

// method is what a client is paid with, nil for nothing.
func (d *desk) method(ctx context.Context, id billing.CustomerID) (m *billing.PaymentMethod, err error) {
	m, ok := d.methods[id]
	if !ok {
		m, err = keptOf(ctx, d.v, id)
		d.methods[id] = m
	}
	return m, err
}

// reportDue lists the bills that are not paid: refused, to be collected by hand, or
// merely unpaid (3.12).
func reportDue(ctx context.Context, x *exchange) (*answer, error) {
	d := x.desk()
	var rows []dueRow
	err := x.session.Books.View(ctx, func(v *store.View) error {
		d.v, rows = v, nil
		debts, err := v.UnpaidDebts(ctx)
		if err != nil {
			return err
		}
		all := make([]billing.Turnover, len(debts))
		for i, debt := range debts {
			all[i] = billing.Turnover{Customer: debt.CustomerID, Subscription: debt.SubscriptionID}
		}
		if err := d.know(ctx, all); err != nil {
			return err
		}
		for i, debt := range debts {
			if !d.shown(all[i]) {
				continue
			}
			row, wanted, err := d.due(ctx, debt, x.params.get("r_type"))
			if err != nil {
				return err
			}
			if wanted {
				rows = append(rows, row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &sheet{columns: strings.Split("invoiceid,transactionid,date,clientid,merchantid,company,firstname,lastname,email,phone,scheduleid,title,chargemethod,"+
		"subtotal,tax,total,status,message", ",")}
	if err := d.list(ctx, s, rows); err != nil {
		return nil, err
	}
	return s.answer(x.choices.NoHeaderRow)
}

// dueRow is an unpaid bill, and the last asking of the gateway for it.
type dueRow struct {
	debt    *billing.Activity
	by      string
	status  string
	last    *billing.Activity // the payment that was not to be, nil if nobody was asked
	message string
}

// due looks at an unpaid bill, and tells whether it belongs to a kind of report.
func (d *desk) due(ctx context.Context, debt *billing.Activity, kind string) (row dueRow, wanted bool, err error) {
	row.debt = debt
	m, err := d.method(ctx, debt.CustomerID)
	if err != nil {
		return row, false, err
	}
	row.by = chargeMethod(d.customers[debt.CustomerID], m)
	if row.status, err = billWord(ctx, d.v, debt); err != nil {
		return row, false, err
	}
	belongs := outstanding
	switch {
	case row.by == byHand:
		belongs = manual
	case row.status == declined:
		belongs = declined
	}
	if belongs != kind {
		return row, false, nil
	}
	row.last, row.message, err = d.lastAsking(ctx, debt)
	return row, true, err
}

// lastAsking finds what was last asked of the gateway for a bill, and its words.
func (d *desk) lastAsking(ctx context.Context, debt *billing.Activity) (*billing.Activity, string, error) {
	a, err := d.v.LastAskingFor(ctx, debt)
	if err != nil || a == nil {
		return nil, "", err
	}
	message := ""
	if a.State == billing.AttemptDeclined {
		message = gatewayText(a.Response)
	}
	pay, err := d.v.Activity(ctx, a.ActivityID)
	if billing.KindOf(err) == billing.NotFound {
		return nil, message, nil // it is under way
	}
	return pay, message, err
}

// list writes the rows of unpaid bills.
func (d *desk) list(ctx context.Context, s *sheet, rows []dueRow) error {
	var all []billing.Turnover
	var bills, moves []string
	for _, r := range rows {
		all = append(all, billing.Turnover{Customer: r.debt.CustomerID, Subscription: r.debt.SubscriptionID})
		bills = append(bills, strconv.FormatInt(int64(r.debt.ID), 10))
		if r.last != nil {
			moves = append(moves, moveName(r.last.ID, r.debt.ID))
		}
	}
	if err := d.count(ctx, all); err != nil {
		return err
	}
	first := d.x.choices.FirstNumbers
	invoices, err := d.x.Cashier.Count(ctx, d.x.session, store.BillNumber, bills, first.Invoice)
	if err != nil {
		return err
	}
	transactions, err := d.x.Cashier.Count(ctx, d.x.session, store.TransactionNumber, compact(moves), first.Transaction)
	if err != nil {
		return err
	}
	for _, r := range rows {
		c, title, transaction := d.customers[r.debt.CustomerID], r.debt.Note, ""
		if sub := d.schedules[r.debt.SubscriptionID]; sub != nil {
			title = sub.PlanName
		}
		if r.last != nil {
			transaction = strconv.FormatInt(transactions[moveName(r.last.ID, r.debt.ID)], 10)
		}
		owed := r.debt.Open.Minor()
		if owed == 0 {
			owed = r.debt.Amount.Minor() // it is in clearing
		}
		tax := r.debt.TaxOn(owed)
		s.rows = append(s.rows, []string{strconv.FormatInt(invoices[strconv.FormatInt(int64(r.debt.ID), 10)], 10), transaction, r.debt.Due.String(),
			d.number(store.ClientNumber, int64(c.ID)), c.Code, c.Organization, c.FirstName, c.LastName, c.Email, c.Phone,
			d.number(store.ScheduleNumber, int64(r.debt.SubscriptionID)), title, r.by, d.money(owed - tax), d.money(tax), d.money(owed), r.status, r.message})
	}
	return nil
}
