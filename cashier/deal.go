package cashier

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Party is who buys, and what is paid with.
type Party struct {
	Customer Ref               // who is known, or
	Enroll   *billing.Customer // who comes into being with this, in Account
	Account  string

	Method       Ref            // the customer's own, or
	Adopt        *MethodRequest // one that comes along and becomes the customer's one and only with this
	SecurityCode billing.Secret // written nowhere
}

// Words are the descriptions of lines that a verb makes, "" for what they are by
// default.
type Words struct {
	Setup  string // of a set-up fee
	Credit string // for what was not used of a period
	Charge string // for the rest of a period
}

func (w Words) or(word, usual string) string {
	if word == "" {
		return usual
	}
	return word
}

// Quote is what a deal comes to.
type Quote struct {
	Lines     []billing.Line // of the invoice, none if there is none
	Subtotal  billing.Money  // of the lines, discounts included
	Discount  billing.Money  // by how much a coupon lowers it
	Tax       billing.Money
	Total     billing.Money
	Credit    billing.Money // for what was not used, tax included
	Available billing.Money // credits and payments that were not used before
	Due       billing.Money // what is charged at once
}

// bargain is what a request comes to, priced in the transaction that writes it
// down.
type bargain struct {
	owner    *billing.Customer
	enrolls  bool
	method   billing.PaymentMethodID
	adopts   billing.PaymentMethodID
	sale     *billing.Sale // what comes of it, nil if that is written already
	quote    Quote
	due, tax billing.Money // what is charged, and the part of it that is tax
	invoices []Ref         // that it covers, where they exist
	note     string
	extra    map[string]string
	keys     []store.Key // that name the attempt from now on
}

// strike writes down what a request comes to, and where something is due asks for
// it first: what is bought then comes into being with the approval. Where nothing
// is due it does so at once, and there is no attempt.
func (c *Cashier) strike(ctx context.Context, s *Session, code billing.Secret, price func(*store.Tx) (*bargain, error)) (*billing.Attempt, error) {
	account, unready := c.account(ctx, s.Merchant) // which matters only if somebody is to be asked
	keys, err := c.keys(s.Merchant)
	if err != nil {
		return nil, err
	}
	var attempt *billing.Attempt
	var number billing.Secret
	err = c.update(ctx, s, func(tx *store.Tx) error {
		attempt, number = nil, billing.Secret{}
		g, err := price(tx)
		if err != nil {
			return err
		}
		if g.due.Sign() <= 0 {
			return c.closeFree(ctx, s, tx, g)
		}
		if unready != nil {
			return unready
		}
		if g.method == 0 {
			return billing.FieldError(billing.Missing, "paymentOptionId", "is required, because something is due at once")
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{g.owner.ID})
		if err != nil {
			return err
		}
		mint := &minting{s: s, tx: tx, b: b, keys: keys, owner: g.owner, lease: c.Now().Add(c.Lease)}
		attempt, number, err = mint.charge(ctx, account.Name(), ChargeRequest{
			Amount: g.due.Minor(), Tax: min(g.tax.Minor(), g.due.Minor()), Currency: g.due.Currency(), Method: Ref{ID: int64(g.method)},
			Note: g.note, Invoices: g.invoices, Sale: g.sale, Extra: g.extra, Adopts: g.adopts, Enrolls: g.enrolls,
		})
		if err != nil {
			return err
		}
		if err := layAside(ctx, tx, g.sale, s.Now); err != nil {
			return err
		}
		for _, k := range g.keys {
			k.ObjectID, k.At, k.Digest = int64(attempt.ID), s.Now, []byte{}
			if err := tx.PassKey(ctx, k); err != nil {
				return err
			}
		}
		return b.flush(ctx)
	})
	if err != nil || attempt == nil {
		return nil, err
	}
	_, err = c.carryOut(ctx, s, account, attempt, number, code)
	return attempt, err
}

// closeFree writes down what costs nothing now.
func (c *Cashier) closeFree(ctx context.Context, s *Session, tx *store.Tx, g *bargain) error {
	if g.sale == nil {
		return nil // it is written already
	}
	b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{g.owner.ID})
	if err != nil {
		return err
	}
	if g.enrolls {
		b.event(billing.CustomerCreated, g.owner.ID, int64(g.owner.ID))
	}
	if err := b.fulfil(ctx, g.sale, agreement{owner: g.owner, at: s.Now, note: g.note, creator: s.Login.Name}, nil); err != nil {
		return err
	}
	if err := b.adopt(ctx, g.owner.ID, g.adopts); err != nil {
		return err
	}
	b.balance(g.owner.ID)
	return b.flush(ctx)
}

// party finds who buys and what is paid with, or writes both down. Where nothing is
// paid with, it says so by 0.
func (c *Cashier) party(ctx context.Context, s *Session, tx *store.Tx, p *Party) (*bargain, error) {
	g := &bargain{}
	var err error
	if p.Enroll != nil {
		who := *p.Enroll // the transaction may be run again
		if err := s.enroll(ctx, tx, p.Account, &who); err != nil {
			return nil, err
		}
		g.owner, g.enrolls = &who, true
	} else if g.owner, err = s.Customer(ctx, &tx.View, p.Customer); err != nil {
		return nil, err
	}
	if !g.owner.Active {
		return nil, billing.Errorf(billing.State, "the customer is inactive")
	}
	switch {
	case p.Adopt != nil:
		m, err := c.candidate(ctx, s, tx, g.owner, *p.Adopt)
		if err != nil {
			return nil, err
		}
		g.method, g.adopts = m.ID, m.ID
	case !p.Method.IsZero():
		m, err := s.PaymentMethod(ctx, &tx.View, g.owner, p.Method)
		if err != nil {
			return nil, err
		}
		if !m.Active {
			return nil, billing.FieldError(billing.State, "paymentOptionId", "the payment method is inactive")
		}
		g.method = m.ID
	}
	return g, nil
}

// price sums up the lines of an invoice that there will be, less credit, which is
// given with it, and what the customer has not used yet.
func (b *book) price(g *bargain, lines []billing.Line, rate int, currency billing.Currency, credit billing.Money) error {
	sum, err := billing.Sum(lines, rate, currency)
	if err != nil {
		return err
	}
	b.balance(g.owner.ID) // in this book alone, which is not written
	available := int64(0)
	for _, a := range b.open[g.owner.ID] {
		if a.Kind.Side() == billing.CreditSide && a.Open.Sign() > 0 && a.Open.Currency() == currency &&
			(a.State == billing.Posted || a.State == billing.Pending) {
			available += a.Open.Minor()
		}
	}
	due := max(0, sum.Total.Minor()-credit.Minor()-available)
	g.quote = Quote{Lines: lines, Subtotal: sum.Subtotal, Discount: billing.Minor(0, currency), Tax: sum.Tax, Total: sum.Total, Credit: credit,
		Available: billing.Minor(available, currency), Due: billing.Minor(due, currency)}
	for _, l := range lines {
		if l.Kind == billing.LineDiscount {
			g.quote.Discount = l.Amount.Neg()
		}
	}
	g.due, g.tax = g.quote.Due, sum.Tax
	return nil
}

// quoted prices a request as it would be struck, and keeps nothing of it.
func (c *Cashier) quoted(ctx context.Context, s *Session, price func(*store.Tx) (*bargain, error)) (*Quote, error) {
	rehearsal := *s
	rehearsal.Rehearsal = true
	var q *Quote
	err := c.rehearsable(ctx, &rehearsal, func(tx *store.Tx) error {
		g, err := price(tx)
		if err == nil {
			q = &g.quote
		}
		return err
	})
	return q, err
}

// agreement is who a deal was struck with, and when.
type agreement struct {
	owner   *billing.Customer
	at      time.Time // when it was asked for
	note    string
	creator string
}

// fulfil brings a deal about. pay is what was paid for it, nil if nothing was due.
func (b *book) fulfil(ctx context.Context, sale *billing.Sale, of agreement, pay *billing.Activity) error {
	d := sale.Deal
	invoice := &billing.Activity{ID: d.Invoice, AccountID: of.owner.AccountID, CustomerID: of.owner.ID, SubscriptionID: sale.SubscriptionID,
		Period: -1, Due: b.merchant.Today(of.at), Note: of.note, Creator: of.creator}
	var credit *billing.Activity
	switch {
	case d.Begins != nil:
		if err := b.beginSubscription(sale, of, invoice); err != nil {
			return err
		}
	case d.Changes != nil:
		agreed, err := b.switchNow(ctx, sale, of, invoice)
		if err != nil {
			return err
		}
		if !agreed {
			return b.takeUp(ctx, d, of.owner.ID)
		}
		credit = b.giveUnused(sale, of)
	}
	if d.Invoice == 0 {
		return nil
	}
	if sale.SubscriptionID != 0 {
		invoice.CollectAt = b.at // what is not covered by now, because something else has used it up
	}
	if _, err := b.issue(invoice, billing.Lines(d.Items, d.Currency, sale.SubscriptionID), d.TaxRate, d.Currency); err != nil {
		return err
	}
	for _, by := range []*billing.Activity{credit, pay} {
		if by != nil {
			b.match(by, invoice)
		}
	}
	return b.lowered(ctx, d, of.owner.ID)
}

// lowered notes that the coupon of a deal has lowered its invoice.
func (b *book) lowered(ctx context.Context, d *billing.Deal, customer billing.CustomerID) error {
	if d.Redemption == 0 || d.Discount == 0 {
		return nil
	}
	r, err := b.tx.Redemption(ctx, d.Redemption)
	if billing.KindOf(err) == billing.NotFound {
		r, err = b.redeemedAgain(ctx, d, customer)
	}
	if err != nil {
		return err
	}
	coupon, err := b.tx.Coupon(ctx, r.CouponID)
	if err != nil {
		return err
	}
	return b.useCoupon(r, coupon, billing.Minor(d.Discount, d.Currency))
}

// redeemedAgain writes down, as over, the redemption of a coupon that had come into the
// customer's hands for another deal, and was taken back because that came to nothing,
// while this one, which it lowers too, was being paid for. Who was asked for the
// lowered price has it.
func (b *book) redeemedAgain(ctx context.Context, d *billing.Deal, customer billing.CustomerID) (*billing.Redemption, error) {
	i := slices.IndexFunc(d.Items, func(i billing.Item) bool { return i.Kind == billing.LineDiscount })
	if i < 0 {
		return nil, billing.Errorf(billing.Internal, "a deal is lowered without a discount")
	}
	k, err := b.tx.LockCoupon(ctx, d.Items[i].Code)
	if err != nil {
		return nil, err
	}
	_, last, err := b.tx.CountRedemptions(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	r := k.Redemption(customer, b.today(), b.at)
	r.ID, r.Seq, r.EndedAt = billing.RedemptionID(b.tx.NewID()), last+1, b.at
	return r, b.tx.InsertRedemption(ctx, r)
}

// layAside takes a coupon for one invoice out of the customer's hands while a deal
// that it lowers is being paid for, so that it lowers no other.
func layAside(ctx context.Context, tx *store.Tx, sale *billing.Sale, at time.Time) error {
	if sale == nil || sale.Deal == nil || sale.Deal.Redemption == 0 || sale.Deal.Discount == 0 {
		return nil
	}
	r, once, err := redeemedOnce(ctx, tx, sale.Deal.Redemption)
	if err != nil || !once {
		return err
	}
	r.EndedAt = at
	return tx.UpdateRedemptions(ctx, []*billing.Redemption{r})
}

// takeUp gives a coupon that was laid aside back, if the customer has not got another
// since.
func (b *book) takeUp(ctx context.Context, d *billing.Deal, customer billing.CustomerID) error {
	if d.Redemption == 0 || d.Discount == 0 {
		return nil
	}
	r, once, err := redeemedOnce(ctx, b.tx, d.Redemption)
	if err != nil || !once || r.Used > 0 || r.EndedAt.IsZero() {
		return err
	}
	held, err := b.tx.HeldRedemptions(ctx, []billing.CustomerID{customer})
	if err != nil || held[customer] != nil {
		return err
	}
	r.EndedAt = time.Time{}
	return b.tx.UpdateRedemptions(ctx, []*billing.Redemption{r})
}

// redeemedOnce reads a redemption, and whether it is of a coupon for one invoice. One
// that was taken back is not.
func redeemedOnce(ctx context.Context, tx *store.Tx, id billing.RedemptionID) (r *billing.Redemption, once bool, err error) {
	r, err = tx.Redemption(ctx, id)
	if billing.KindOf(err) == billing.NotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	coupon, err := tx.Coupon(ctx, r.CouponID)
	if err != nil {
		return nil, false, err
	}
	return r, coupon.Lasts == billing.LastsOnce, nil
}

// undeal gives back what was put into the customer's hands for a deal that came to
// nothing. A coupon that has lowered another invoice meanwhile is known for that, and
// lowers no more.
func (b *book) undeal(ctx context.Context, a *billing.Attempt) error {
	sale := a.Details.Sale
	if sale == nil || sale.Deal == nil || sale.Deal.Redemption == 0 {
		return nil
	}
	if !sale.Deal.Redeems {
		return b.takeUp(ctx, sale.Deal, a.CustomerID)
	}
	r, err := b.tx.Redemption(ctx, sale.Deal.Redemption)
	switch {
	case err != nil:
		return err
	case r.Used == 0:
		return b.tx.DeleteRedemption(ctx, r.ID)
	case r.EndedAt.IsZero():
		r.EndedAt = b.at
		return b.tx.UpdateRedemptions(ctx, []*billing.Redemption{r})
	}
	return nil
}

// underWay refuses a request while the last attempt of its kind for an object has no
// outcome. The object is locked, so that of two at once the second sees the first.
func underWay(ctx context.Context, v *store.View, scope string, object int64, what string) error {
	last, tried, err := v.Key(ctx, scope, strconv.FormatInt(object, 10))
	if err != nil || !tried {
		return err
	}
	before, err := v.Attempt(ctx, billing.AttemptID(last.ObjectID))
	if err != nil {
		return err
	}
	if before.State == billing.Sending || before.State == billing.AttemptUnknown {
		return billing.Errorf(billing.InProgress, "%s has no outcome yet", what)
	}
	return nil
}

// The scopes of the keys that name the last attempt: to sign a customer up, to
// change a subscription.
const (
	signUpScope = "sign-up"
	changeScope = "change"
)

func scopeKey(scope string, object int64) store.Key {
	return store.Key{Scope: scope, Key: strconv.FormatInt(object, 10)}
}
