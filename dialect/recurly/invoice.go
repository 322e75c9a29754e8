package recurly

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// invoiceView is an invoice with all that a document says of it.
type invoiceView struct {
	*billing.Activity
	account  string
	number   int64
	vat      string
	lines    []*billing.Line
	credits  []share
	payments []share
}

// share is what a credit or payment covers of an invoice.
type share struct {
	source  *billing.Activity
	line    *billing.Line    // that explains a credit, nil if none does
	attempt *billing.Attempt // behind a payment, nil for money that moved elsewhere
	amount  int64
	id      billing.AllocationID
}

// viewInvoices reads what documents say of several invoices of one account, the
// newest first.
func viewInvoices(ctx context.Context, v *store.View, c *billing.Customer, bills []*billing.Bill) ([]*invoiceView, error) {
	ids, number := make([]billing.ActivityID, 0, len(bills)), make(map[billing.ActivityID]int64)
	for _, b := range bills {
		ids, number[b.ActivityID] = append(ids, b.ActivityID), b.Number
	}
	list, err := v.ActivitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	lines, err := v.LinesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	info, err := billingInfoOf(ctx, v, c.ID)
	if err != nil {
		return nil, err
	}
	allocations, err := v.AllocationsTo(ctx, ids)
	if err != nil {
		return nil, err
	}
	sources, err := readSources(ctx, v, allocations)
	if err != nil {
		return nil, err
	}
	views := make([]*invoiceView, 0, len(list))
	for _, a := range list {
		w := &invoiceView{Activity: a, account: accountCode(c), number: number[a.ID], lines: lines[a.ID]}
		if info != nil {
			w.vat = info.Details.VATNumber
		}
		for _, m := range allocations {
			if m.Target != a.ID || !m.EndedAt.IsZero() || sources[m.Source].source == nil {
				continue
			}
			s := sources[m.Source]
			s.amount, s.id = m.Amount.Minor(), m.ID
			if m.SourceKind == billing.Payment || m.SourceKind == billing.Claim {
				w.payments = append(w.payments, s)
			} else {
				w.credits = append(w.credits, s)
			}
		}
		views = append(views, w)
	}
	slices.SortFunc(views, func(a, b *invoiceView) int { return cmp.Compare(b.ID, a.ID) })
	return views, nil
}

// readSources reads what covers invoices: the activities, and the lines or
// attempts behind them.
func readSources(ctx context.Context, v *store.View, allocations []*billing.Allocation) (map[billing.ActivityID]share, error) {
	var ids []billing.ActivityID
	for _, m := range allocations {
		if m.EndedAt.IsZero() && !slices.Contains(ids, m.Source) {
			ids = append(ids, m.Source)
		}
	}
	list, err := v.ActivitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	var asked []billing.AttemptID
	for _, a := range list {
		if a.AttemptID != 0 {
			asked = append(asked, a.AttemptID)
		}
	}
	attempts, err := v.AttemptsByID(ctx, asked)
	if err != nil {
		return nil, err
	}
	lines, err := v.LinesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := make(map[billing.ActivityID]share, len(list))
	for _, a := range list {
		s := share{source: a, attempt: attempts[a.AttemptID]}
		if l := lines[a.ID]; len(l) > 0 {
			s.line = l[0]
		}
		found[a.ID] = s
	}
	return found, nil
}

// status is the state in the words of 9.
func (w *invoiceView) status() string {
	switch {
	case w.Open.IsZero():
		return "closed"
	case w.Tries > 0:
		return "past_due"
	}
	return "open"
}

// sums are the totals of 9. The credits that were used stand on the invoice as
// lines, and so lower what it is for.
func (w *invoiceView) sums() (subtotal, discount, total, paid int64) {
	for _, l := range w.lines {
		if l.Kind == billing.LineDiscount {
			discount -= l.Amount.Minor()
		} else {
			subtotal += l.Amount.Minor()
		}
	}
	if len(w.lines) == 0 {
		subtotal = w.Amount.Minor() - w.Tax.Minor()
	}
	total = w.Amount.Minor()
	for _, s := range w.credits {
		subtotal, total = subtotal-s.amount, total-s.amount
	}
	for _, s := range w.payments {
		paid += s.amount
	}
	return subtotal, discount, total, paid
}

// invoice writes the document of 9.
func (d *document) invoice(w *invoiceView) {
	subtotal, discount, total, paid := w.sums()
	d.within("invoice", "", func() {
		d.text("id", shown(invoiceKind, int64(w.ID)))
		d.text("account_code", w.account)
		d.datetime("date", w.CreatedAt)
		d.integer("invoice_number", w.number)
		d.text("vat_number", w.vat)
		d.text("status", w.status())
		d.integer("subtotal_in_cents", subtotal)
		d.integer("total_in_cents", total)
		d.integer("vat_amount_in_cents", w.Tax.Minor())
		d.integer("paid_in_cents", paid)
		d.integer("total_due_in_cents", w.Open.Minor())
		d.integer("discount_in_cents", discount)
		d.within("line_items", asArray, func() { d.lineItems(w) })
		d.within("payments", asArray, func() {
			for _, s := range w.payments {
				d.payment(s)
			}
		})
	})
}

// lineItems writes what the invoice is for, but discounts, which stand in its
// totals, and then the credits that were used.
func (d *document) lineItems(w *invoiceView) {
	coupon := ""
	for _, l := range w.lines {
		if l.Kind == billing.LineDiscount {
			coupon = l.Code
		}
	}
	for _, l := range w.lines {
		if l.Kind == billing.LineDiscount {
			continue
		}
		d.within("line_item", "", func() {
			d.text("id", shown(lineKind, int64(l.ID)))
			d.text("type", typeOfLine(l))
			d.integer("amount_in_cents", l.Amount.Minor())
			d.datetime("start_date", orTime(l.From, l.CreatedAt))
			d.datetime("end_date", l.To)
			d.text("description", l.Description)
			d.datetime("created_at", l.CreatedAt)
			d.text("applied_coupon_code", coupon)
		})
	}
	for _, s := range w.credits {
		l := billing.Line{ID: billing.LineID(s.id), Description: s.source.Note, CreatedAt: s.source.CreatedAt}
		if s.line != nil {
			l = *s.line
		}
		d.within("line_item", "", func() {
			d.text("id", shown(lineKind, int64(l.ID)))
			d.text("type", "credit")
			d.integer("amount_in_cents", -s.amount)
			d.datetime("start_date", orTime(l.From, l.CreatedAt))
			d.datetime("end_date", l.To)
			d.text("description", l.Description)
			d.datetime("created_at", l.CreatedAt)
			d.text("applied_coupon_code", "")
		})
	}
}

// typeOfLine is charge or credit (9).
func typeOfLine(l *billing.Line) string {
	if l.Amount.Minor() < 0 {
		return "credit"
	}
	return "charge"
}

// payment writes what was paid of an invoice.
func (d *document) payment(s share) {
	d.within("payment", "", func() {
		message, reference, id := s.source.Note, "", int64(s.source.ID)
		if s.attempt != nil {
			message, reference, id = s.attempt.Message, s.attempt.ProcessorID, int64(s.attempt.ID)
		}
		d.text("id", shown(moveKind, id))
		d.datetime("date", s.source.CreatedAt)
		d.integer("amount_in_cents", s.amount)
		d.text("message", message)
		d.text("reference", reference)
	})
}

// numbered runs what shows invoices, and if one of them has no number yet has them
// numbered and runs it again.
func numbered(ctx context.Context, x *exchange, show func(*store.View) (bills []*billing.Bill, err error)) error {
	for range 2 {
		waiting := false
		err := x.session.Books.View(ctx, func(v *store.View) error {
			bills, err := show(v)
			waiting = slices.ContainsFunc(bills, func(b *billing.Bill) bool { return b.Number == 0 })
			return err
		})
		if err != nil || !waiting {
			return err
		}
		if err := x.Cashier.NumberBills(ctx, x.merchant()); err != nil {
			return err
		}
	}
	return nil
}

// listInvoices is GET .../invoices, the newest first.
func listInvoices(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	p := x.page()
	var d *document
	err = numbered(ctx, x, func(v *store.View) ([]*billing.Bill, error) {
		total, err := v.CountBills(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		bills, err := v.Bills(ctx, c.ID, p.offset(), perPage)
		if err != nil {
			return nil, err
		}
		list, err := viewInvoices(ctx, v, c, bills)
		d = newDocument()
		d.page("invoices", p, total, func() {
			for _, w := range list {
				d.invoiceItem(w)
			}
		})
		return bills, err
	})
	return answer{doc: d}, err
}

// invoiceItem writes an invoice of a list (9).
func (d *document) invoiceItem(w *invoiceView) {
	subtotal, _, total, _ := w.sums()
	d.within("invoice", "", func() {
		d.text("id", shown(invoiceKind, int64(w.ID)))
		d.text("account_code", w.account)
		d.datetime("date", w.CreatedAt)
		d.integer("invoice_number", w.number)
		d.integer("subtotal_in_cents", subtotal)
		d.integer("total_in_cents", total)
	})
}

// createInvoice is POST .../invoices: what waits is gathered and collected (9).
func createInvoice(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	var r cashier.InvoiceRequest
	err = x.session.Books.View(ctx, func(v *store.View) error {
		kept, err := billingInfoOf(ctx, v, c.ID)
		if kept != nil {
			r.Method = cashier.Ref{ID: int64(kept.ID)}
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	made, err := x.Cashier.InvoiceNow(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, r)
	if err != nil {
		return answer{}, err
	}
	if err := refusedBy(made.Attempt); err != nil {
		return answer{}, err // the invoice stands, and is past due
	}
	return tellInvoice(ctx, x, http.StatusCreated, c, made.Invoice.ID)
}

// tellInvoice answers with an invoice.
func tellInvoice(ctx context.Context, x *exchange, status int, c *billing.Customer, id billing.ActivityID) (answer, error) {
	var d *document
	err := numbered(ctx, x, func(v *store.View) ([]*billing.Bill, error) {
		b, err := v.Bill(ctx, id)
		if err != nil {
			return nil, err
		}
		if c == nil {
			if c, err = x.session.Customer(ctx, v, cashier.Ref{ID: int64(b.CustomerID)}); err != nil {
				return nil, err
			}
		}
		list, err := viewInvoices(ctx, v, c, []*billing.Bill{b})
		if err != nil {
			return nil, err
		}
		d = newDocument()
		d.invoice(list[0])
		return []*billing.Bill{b}, nil
	})
	if billing.KindOf(err) == billing.NotFound {
		err = notFound("Invoice")
	}
	return answer{status, d}, err
}

// showInvoice is GET /invoices/:id, whatever the account.
func showInvoice(ctx context.Context, x *exchange) (answer, error) {
	id, ok := readID(invoiceKind, x.call.id)
	if !ok {
		return answer{}, notFound("Invoice")
	}
	return tellInvoice(ctx, x, http.StatusOK, nil, billing.ActivityID(id))
}
