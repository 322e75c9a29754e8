package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// pending is what a customer brings to the next invoice with lines: the lines that
// wait for one, and the coupon in the customer's hands.
type pending struct {
	waiting []billing.Line
	held    *billing.Redemption // nil if there is none
	coupon  *billing.Coupon
}

// lookAhead reads what customers bring to invoices with lines. It is asked for by
// those alone who make such invoices: other billings cost nothing more.
func (b *book) lookAhead(ctx context.Context, ids []billing.CustomerID) error {
	var absent []billing.CustomerID
	for _, id := range ids {
		if b.pending[id] == nil {
			absent = append(absent, id)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	waiting, err := b.tx.WaitingLines(ctx, absent)
	if err != nil {
		return err
	}
	held, err := b.tx.HeldRedemptions(ctx, absent)
	if err != nil {
		return err
	}
	var wanted []billing.CouponID
	for _, r := range held {
		wanted = append(wanted, r.CouponID)
	}
	coupons, err := b.tx.CouponsByID(ctx, wanted)
	if err != nil {
		return err
	}
	if b.pending == nil {
		b.pending = make(map[billing.CustomerID]*pending)
	}
	for _, id := range absent {
		p := &pending{waiting: waiting[id], held: held[id]}
		if p.held != nil {
			p.coupon = coupons[p.held.CouponID]
		}
		b.pending[id] = p
	}
	return nil
}

// composedOwners are the customers of those subscriptions that have a composition.
func composedOwners(subs []*billing.Subscription) []billing.CustomerID {
	var ids []billing.CustomerID
	for _, s := range subs {
		if s.Composition != nil {
			ids = append(ids, s.CustomerID)
		}
	}
	return ids
}

// lower is the line by which the coupon in the customer's hands lowers an invoice
// with these lines, nil if it does not, and how much of that is of what a
// subscription to the plan costs. A coupon whose time is past ends.
func (b *book) lower(p *pending, lines []billing.Line, plan string, on billing.Date) (*billing.Line, billing.Money, error) {
	none := billing.Money{}
	if p.held == nil || !p.held.EndedAt.IsZero() {
		return nil, none, nil
	}
	if !p.held.Holds(on) {
		p.held.EndedAt = b.at
		b.redeemed = append(b.redeemed, p.held)
		return nil, none, nil
	}
	all, own, err := p.coupon.Discount(lines, plan)
	if err != nil || all.IsZero() {
		return nil, none, err
	}
	return discountLine(p.coupon, all), own, nil
}

// discountLine is the line of a discount.
func discountLine(c *billing.Coupon, by billing.Money) *billing.Line {
	name := c.Name
	if name == "" {
		name = c.Code
	}
	return &billing.Line{Kind: billing.LineDiscount, Code: c.Code, Description: name, Quantity: 1, Unit: by.Neg(), Amount: by.Neg()}
}

// useCoupon notes that an invoice was lowered.
func (b *book) useCoupon(r *billing.Redemption, c *billing.Coupon, by billing.Money) error {
	if err := r.Use(c, by, b.at); err != nil {
		return err
	}
	b.redeemed = append(b.redeemed, r)
	return nil
}

// issue posts an invoice that has lines, and its bill. What the lines come to, and
// the tax on it, is its amount; lines that waited are taken along.
func (b *book) issue(invoice *billing.Activity, lines []billing.Line, rate int, currency billing.Currency) (*billing.Activity, error) {
	sum, err := billing.Sum(lines, rate, currency)
	if err != nil {
		return nil, err
	}
	invoice.Kind, invoice.Amount, invoice.Tax = billing.Invoice, sum.Total, sum.Tax
	b.post(invoice, nil, "")
	if invoice.Open.IsZero() { // nothing is owed
		invoice.CollectAt, invoice.AgeAt = time.Time{}, time.Time{}
		if invoice.SubscriptionID != 0 {
			b.paid[invoice.SubscriptionID] = true
		}
	}
	b.place(lines, invoice)
	b.bills = append(b.bills, &billing.Bill{MerchantID: b.merchant.ID, ActivityID: invoice.ID, CustomerID: invoice.CustomerID, CreatedAt: b.at})
	b.event(billing.InvoiceIssued, invoice.CustomerID, int64(invoice.ID))
	return invoice, nil
}

// place puts lines onto an invoice or credit.
func (b *book) place(lines []billing.Line, on *billing.Activity) {
	for i := range lines {
		l := lines[i]
		l.ActivityID = on.ID
		if l.ID != 0 {
			b.placed = append(b.placed, &l)
			continue
		}
		l.MerchantID, l.ID, l.CustomerID, l.CreatedAt = b.merchant.ID, billing.LineID(b.tx.NewID()), on.CustomerID, b.at
		b.lines = append(b.lines, &l)
	}
}

// billLines makes the invoice of a billing of a composed subscription: what it
// costs, the lines that wait for it or for any invoice of the customer's, and what
// the customer's coupon takes off.
func (b *book) billLines(ctx context.Context, s *billing.Subscription, due *billing.Due) (*billing.Activity, error) {
	if err := b.lookAhead(ctx, []billing.CustomerID{s.CustomerID}); err != nil {
		return nil, err
	}
	currency := s.Amount.Currency()
	lines, rate := s.PriceLines(b.merchant, due.Period), s.Composition.TaxRate
	if due.Frozen {
		fee := b.merchant.Money(b.merchant.Settings.Fees.FrozenBilling)
		if fee.IsZero() {
			return nil, nil
		}
		currency, rate = fee.Currency(), 0
		lines = []billing.Line{{SubscriptionID: s.ID, Kind: billing.LineCharge, Description: "fee while frozen", Quantity: 1, Unit: fee, Amount: fee}}
	} else {
		var err error
		if lines, err = b.gather(s, lines, due.Date); err != nil {
			return nil, err
		}
	}
	invoice := &billing.Activity{AccountID: s.AccountID, CustomerID: s.CustomerID, Due: due.Date, SubscriptionID: s.ID, Period: due.Period}
	return b.issue(invoice, lines, rate, currency)
}

// gather adds to the lines of a billing what waits for it, and what the customer's
// coupon takes off.
func (b *book) gather(s *billing.Subscription, lines []billing.Line, on billing.Date) ([]billing.Line, error) {
	p := b.pending[s.CustomerID]
	own, err := billing.Sum(lines, 0, s.Amount.Currency())
	if err != nil {
		return nil, err
	}
	var mine, others []billing.Line
	for _, l := range p.waiting {
		if l.SubscriptionID == 0 || l.SubscriptionID == s.ID {
			mine = append(mine, l)
		} else {
			others = append(others, l)
		}
	}
	taken, err := billing.Gather(mine, own.Subtotal)
	if err != nil {
		return nil, err
	}
	lines = append(lines, taken...)
	off, ofOwn, err := b.lower(p, lines, s.Composition.PlanCode, on)
	if err != nil {
		return nil, err
	}
	if off != nil {
		if off, ofOwn, err = atMost(off, ofOwn, lines, s.Amount.Currency()); err != nil {
			return nil, err
		}
	}
	if off != nil {
		lines = append(lines, *off)
		if err := b.useCoupon(p.held, p.coupon, off.Amount.Neg()); err != nil {
			return nil, err
		}
		s.Discounted(b.merchant, own.Subtotal, ofOwn)
		b.reword(s)
	}
	p.waiting = append(others, left(mine, taken)...)
	return lines, nil
}

// atMost lowers a discount to what is left to be discounted, where adjustments have
// lowered the invoice already; nil if that is nothing.
func atMost(off *billing.Line, ofOwn billing.Money, lines []billing.Line, c billing.Currency) (*billing.Line, billing.Money, error) {
	sum, err := billing.Sum(lines, 0, c)
	if err != nil || sum.Subtotal.IsZero() {
		return nil, ofOwn, err
	}
	if -off.Amount.Minor() > sum.Subtotal.Minor() {
		less := *off
		less.Unit, less.Amount = sum.Subtotal.Neg(), sum.Subtotal.Neg()
		return &less, billing.Minor(min(ofOwn.Minor(), sum.Subtotal.Minor()), c), nil
	}
	return off, ofOwn, nil
}

// left are the lines that were not taken.
func left(lines, taken []billing.Line) (rest []billing.Line) {
	gone := make(map[billing.LineID]bool, len(taken))
	for _, l := range taken {
		gone[l.ID] = true
	}
	for _, l := range lines {
		if !gone[l.ID] {
			rest = append(rest, l)
		}
	}
	return rest
}

// reword has what a subscription is for be written anew.
func (b *book) reword(s *billing.Subscription) {
	for _, have := range b.reworded {
		if have == s {
			return
		}
	}
	b.reworded = append(b.reworded, s)
}

// writeBills writes what stands on invoices beside their amounts.
func (b *book) writeBills(ctx context.Context) error {
	for _, s := range b.reworded {
		if err := b.tx.UpdateTerms(ctx, s); err != nil {
			return err
		}
	}
	if err := b.tx.InsertBills(ctx, b.bills); err != nil {
		return err
	}
	if err := b.tx.InsertLines(ctx, b.lines); err != nil {
		return err
	}
	if err := b.tx.PlaceLines(ctx, b.placed); err != nil {
		return err
	}
	return b.tx.UpdateRedemptions(ctx, b.redeemed)
}

// InvoiceRequest asks to make an invoice of what waits for one.
type InvoiceRequest struct {
	Method       Ref // with which it is collected at once; zero leaves it open
	SecurityCode billing.Secret
	Note         string
	Extra        map[string]string // see billing.Details
}

// Invoiced is an invoice that was made, and the asking of a processor to collect
// it: nil if there was nothing to collect, or nothing to collect it with. If it was
// declined the invoice stays open.
type Invoiced struct {
	Invoice *billing.Activity
	Attempt *billing.Attempt
}

// InvoiceNow makes an invoice of a customer's charges that wait for one and
// collects it. Where nothing waits that is an error (State). Adjustments of a
// subscription wait on for its next billing (protocols/recurly-v1.md 9).
func (c *Cashier) InvoiceNow(ctx context.Context, s *Session, customer Ref, r InvoiceRequest) (*Invoiced, error) {
	done := &Invoiced{}
	var invoice billing.ActivityID
	attempt, err := c.strike(ctx, s, r.SecurityCode, func(tx *store.Tx) (*bargain, error) {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return nil, err
		}
		g := &bargain{owner: owner, note: r.Note, extra: r.Extra}
		if !r.Method.IsZero() {
			m, err := s.PaymentMethod(ctx, &tx.View, owner, r.Method)
			if err != nil {
				return nil, err
			}
			g.method = m.ID
		}
		made, err := c.invoiceWaiting(ctx, s, tx, owner)
		if err != nil {
			return nil, err
		}
		invoice = made.ID
		if g.method != 0 {
			g.due, g.tax, g.invoices = made.Open, made.Tax, []Ref{{ID: int64(made.ID)}}
		}
		return g, nil
	})
	if err != nil {
		return nil, err
	}
	done.Attempt = attempt
	err = s.Books.View(ctx, func(v *store.View) (err error) {
		done.Invoice, err = v.Activity(ctx, invoice)
		return err
	})
	return done, err
}

// invoiceWaiting makes an invoice of what waits for one, and lets what is open
// cover it.
func (c *Cashier) invoiceWaiting(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer) (*billing.Activity, error) {
	b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
	if err != nil {
		return nil, err
	}
	if err := b.lookAhead(ctx, []billing.CustomerID{owner.ID}); err != nil {
		return nil, err
	}
	p := b.pending[owner.ID]
	var free []billing.Line
	for _, l := range p.waiting {
		if l.Kind != billing.LineAdjustment {
			free = append(free, l)
		}
	}
	if len(free) == 0 {
		return nil, billing.Errorf(billing.State, "no charge waits to be invoiced")
	}
	currency := free[0].Amount.Currency()
	lines, err := billing.Gather(free, billing.Minor(0, currency))
	if err != nil {
		return nil, err
	}
	off, _, err := b.lower(p, lines, "", s.Today())
	if err != nil {
		return nil, err
	}
	if off != nil {
		lines = append(lines, *off)
		if err := b.useCoupon(p.held, p.coupon, off.Amount.Neg()); err != nil {
			return nil, err
		}
	}
	invoice := &billing.Activity{AccountID: owner.AccountID, CustomerID: owner.ID, Period: -1, Creator: s.Login.Name}
	if _, err := b.issue(invoice, lines, 0, currency); err != nil {
		return nil, err
	}
	b.balance(owner.ID)
	return invoice, b.flush(ctx)
}

// billsAtOnce is how many bills are numbered in one transaction.
const billsAtOnce = 500

// NumberBills gives the merchant's bills that have no number theirs. Who is about
// to show one that has none calls it, and reads again; the billing run does when
// it has made some.
func (c *Cashier) NumberBills(ctx context.Context, m *billing.Merchant) error {
	for {
		numbered := 0
		err := c.Store.Update(ctx, m.ID, func(tx *store.Tx) (err error) {
			numbered, err = tx.NumberBills(ctx, m.Settings.FirstBill(), billsAtOnce)
			return err
		})
		if err != nil || numbered < billsAtOnce {
			return err
		}
	}
}
