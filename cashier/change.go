package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// ChangeRequest asks to change what a subscription is for. What is not given stays
// as it is; another plan comes with its price unless one is given, and with the
// same quantity.
type ChangeRequest struct {
	Now      bool // else with the next billing
	Plan     Ref
	Quantity *int
	Unit     *int64         // minor units of one
	AddOns   *[]AddOnChoice // all that there are to be
	Words    Words
	Extra    map[string]string // see billing.Details
}

// Changed is what became of a change. A change with the next billing, and one of a
// subscription that nothing was billed of yet, has no invoice. If the attempt was
// declined nothing has changed.
type Changed struct {
	Subscription *billing.Subscription
	Invoice      *billing.Activity // for the rest of the period
	Attempt      *billing.Attempt  // that collects what credits do not cover, nil if they do
}

// Change changes what a subscription is for, now or with its next billing. Now, the
// rest of the running period is credited at the old price and invoiced at the new,
// and what the credit and earlier ones do not cover is collected first: the change
// takes effect with the approval. Another rhythm begins a new period. While nobody
// knows whether a change was paid for no other is made (protocols/recurly-v1.md
// 7.4).
func (c *Cashier) Change(ctx context.Context, s *Session, customer, sub Ref, r ChangeRequest) (*Changed, error) {
	done := &Changed{}
	if !r.Now {
		var err error
		done.Subscription, err = c.changeLater(ctx, s, customer, sub, r)
		return done, err
	}
	if err := c.catchUpNow(ctx, s, customer, sub); err != nil {
		return nil, err
	}
	var sale *billing.Sale
	attempt, err := c.strike(ctx, s, billing.Secret{}, func(tx *store.Tx) (*bargain, error) {
		g, err := c.changeNow(ctx, s, tx, customer, sub, &r)
		if err == nil {
			sale = g.sale
		}
		return g, err
	})
	if err != nil {
		return nil, err
	}
	done.Attempt = attempt
	err = s.Books.View(ctx, func(v *store.View) (err error) {
		if done.Subscription, err = v.Subscription(ctx, sale.SubscriptionID); err != nil || attempt != nil && !billed(attempt) {
			return err
		}
		done.Invoice, err = dealt(ctx, v, sale)
		return err
	})
	return done, err
}

// QuoteChange tells what a change now would come to, or what it would say is wrong.
func (c *Cashier) QuoteChange(ctx context.Context, s *Session, customer, sub Ref, r ChangeRequest) (*Quote, error) {
	return c.quoted(ctx, s, func(tx *store.Tx) (*bargain, error) { return c.changeNow(ctx, s, tx, customer, sub, &r) })
}

// catchUpNow bills what fell due before a change that is to be priced.
func (c *Cashier) catchUpNow(ctx context.Context, s *Session, customer, r Ref) error {
	var due bool
	err := s.Books.View(ctx, func(v *store.View) error {
		owner, err := s.Customer(ctx, v, customer)
		if err != nil {
			return err
		}
		sub, err := s.Subscription(ctx, v, owner, r)
		due = err == nil && !sub.NextAt.IsZero() && !sub.NextAt.After(s.Now)
		return err
	})
	if err != nil || !due {
		return err
	}
	_, err = c.changeSubscription(ctx, s, customer, r, func(_ *store.Tx, _ *book, _ *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		return a, nil
	})
	return err
}

// changeable finds a subscription whose price can be changed, and locks it.
func (c *Cashier) changeable(ctx context.Context, s *Session, tx *store.Tx, customer, r Ref) (*billing.Customer, *billing.Subscription, error) {
	owner, err := s.Customer(ctx, &tx.View, customer)
	if err != nil {
		return nil, nil, err
	}
	named, err := s.Subscription(ctx, &tx.View, owner, r)
	if err != nil {
		return nil, nil, err
	}
	sub, err := tx.LockSubscriptionOf(ctx, owner.ID, named.ID)
	if err != nil {
		return nil, nil, err
	}
	open, err := tx.OpenAdjustments(ctx, []billing.SubscriptionID{sub.ID})
	if err != nil {
		return nil, nil, err
	}
	return owner, sub, changesPrice(ctx, tx, s, sub, open[sub.ID])
}

// changesPrice refuses to change the price of what has none, of what is not in its
// ordinary course, and of what is being changed.
func changesPrice(ctx context.Context, tx *store.Tx, s *Session, sub *billing.Subscription, adjustments []billing.Adjustment) error {
	if err := sub.Changeable(); err != nil {
		return err
	}
	for i := range adjustments {
		if a := &adjustments[i]; a.State != billing.Done {
			return billing.Errorf(billing.State, "a %s is known for the subscription, which cannot be changed before that is taken back", a.Kind)
		}
	}
	if err := sub.CheckChange(s.Today(), s.Merchant.Settings.CloseSalesDays); err != nil {
		return err
	}
	return changing(ctx, &tx.View, sub)
}

// changing refuses what must wait until it is known whether a change was paid for.
func changing(ctx context.Context, v *store.View, sub *billing.Subscription) error {
	if sub.Composition == nil {
		return nil
	}
	return underWay(ctx, v, changeScope, int64(sub.ID), "a change of the subscription")
}

// changeOf is what a request changes of a subscription.
func (c *Cashier) changeOf(ctx context.Context, s *Session, tx *store.Tx, sub *billing.Subscription, r *ChangeRequest) (*billing.Change, error) {
	by := &billing.Change{Quantity: r.Quantity, Unit: r.Unit}
	plan, err := tx.Plan(ctx, sub.PlanID)
	if err != nil {
		return nil, err
	}
	if !r.Plan.IsZero() {
		if plan, err = s.Plan(ctx, &tx.View, r.Plan); err != nil {
			return nil, err
		}
	}
	if plan.ID != sub.PlanID {
		switch {
		case !plan.Active || plan.AccountID != sub.AccountID:
			return nil, billing.FieldError(billing.State, "planId", "the plan takes no new subscription of this customer")
		case plan.Amount.Currency() != sub.Amount.Currency():
			return nil, billing.FieldError(billing.State, "planId", "the plan is in another currency")
		case plan.Tax.Sign() != 0:
			return nil, billing.FieldError(billing.State, "planId", "a plan with a tax of its own is not sold in pieces")
		}
		by.PlanID, by.PlanCode, by.PlanName, by.Cycle = plan.ID, plan.Code, plan.Name, plan.Cycle
		if by.Unit == nil {
			price := plan.Amount.Minor()
			by.Unit = &price
		}
	}
	if r.AddOns != nil {
		list, err := choose(plan, sub.Composition.AddOns, *r.AddOns)
		if err != nil {
			return nil, err
		}
		by.AddOns = &list
	}
	return by, nil
}

// changeLater notes what a subscription will be from its next billing on. What
// waited before gives way to it.
func (c *Cashier) changeLater(ctx context.Context, s *Session, customer, r Ref, req ChangeRequest) (*billing.Subscription, error) {
	return c.changeSubscription(ctx, s, customer, r, func(tx *store.Tx, b *book, sub *billing.Subscription, a []billing.Adjustment) ([]billing.Adjustment, error) {
		if err := changesPrice(ctx, tx, s, sub, a); err != nil {
			return nil, err
		}
		by, err := c.changeOf(ctx, s, tx, sub, &req)
		if err != nil {
			return nil, err
		}
		ahead := *sub
		if err := ahead.Apply(by); err != nil {
			return nil, err
		}
		sub.Change = by
		b.reword(sub)
		return a, nil
	})
}

// changeNow prices a change that takes effect at once.
func (c *Cashier) changeNow(ctx context.Context, s *Session, tx *store.Tx, customer, r Ref, req *ChangeRequest) (*bargain, error) {
	owner, sub, err := c.changeable(ctx, s, tx, customer, r)
	if err != nil {
		return nil, err
	}
	by, err := c.changeOf(ctx, s, tx, sub, req)
	if err != nil {
		return nil, err
	}
	b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
	if err != nil {
		return nil, err
	}
	rate, currency := sub.Composition.TaxRate, sub.Amount.Currency()
	changes := &billing.Changing{Change: *by, Period: sub.Period}
	g := &bargain{owner: owner, method: sub.PaymentMethodID, extra: req.Extra, keys: []store.Key{scopeKey(changeScope, int64(sub.ID))}}
	g.sale = &billing.Sale{SubscriptionID: sub.ID, PlanID: sub.PlanID, MethodID: sub.PaymentMethodID,
		Deal: &billing.Deal{Currency: currency, TaxRate: rate, Changes: changes}}
	from := sub.Composition.PlanCode
	sw, err := sub.SwitchTo(by, s.Merchant, s.Now)
	if err != nil {
		return nil, err
	}
	credit := billing.Minor(0, currency)
	if sub.Period == 0 {
		return g, b.price(g, nil, rate, currency, credit)
	}
	if sw.Credit.Sign() > 0 {
		changes.Credit = billing.Items([]billing.Line{{Kind: billing.LineCredit, Code: from, Description: req.Words.or(req.Words.Credit, "Remaining time"),
			Quantity: 1, Unit: sw.Credit.Neg(), Amount: sw.Credit.Neg(), From: sw.From, To: sw.Until}})
		changes.CreditTax = billing.TaxOf(sw.Credit, rate).Minor()
		credit = billing.Minor(sw.Credit.Minor()+changes.CreditTax, currency)
	}
	lines := []billing.Line{{Kind: billing.LineProration, Code: sub.Composition.PlanCode, Description: req.Words.or(req.Words.Charge, "Rest of the period"),
		Quantity: 1, Unit: sw.Charge, Amount: sw.Charge, From: sw.From, To: sw.To}}
	changes.Value = sw.Charge.Minor()
	if sw.Anew {
		due := sub.Advance(nil)
		lines = sub.PriceLines(s.Merchant, due.Period)
		changes.Value = sub.Amount.Minor()
	}
	return g, s.priceChange(ctx, b, g, sub, lines, credit)
}

// priceChange makes the invoice of a change that has taken effect on a copy.
func (s *Session) priceChange(ctx context.Context, b *book, g *bargain, sub *billing.Subscription, lines []billing.Line, credit billing.Money) error {
	if err := b.lookAhead(ctx, []billing.CustomerID{g.owner.ID}); err != nil {
		return err
	}
	deal, p := g.sale.Deal, b.pending[g.owner.ID]
	off, own, err := b.lower(p, lines, sub.Composition.PlanCode, s.Today())
	if err != nil {
		return err
	}
	if off != nil {
		lines = append(lines, *off)
		deal.Redemption, deal.Discount = p.held.ID, -off.Amount.Minor()
		deal.Changes.Value -= own.Minor()
	}
	deal.Invoice, deal.Items = billing.ActivityID(b.tx.NewID()), billing.Items(lines)
	return b.price(g, lines, deal.TaxRate, deal.Currency, credit)
}

// switchNow has a change take effect that was asked for before. One whose
// subscription has ended since is void: what was paid for it stays the customer's. If
// the subscription was billed since, at the old price, what was agreed on for the
// period before stands, and the change goes on from there.
func (b *book) switchNow(ctx context.Context, sale *billing.Sale, of agreement, invoice *billing.Activity) (agreed bool, err error) {
	list, err := b.subscriptions(ctx, sale.SubscriptionID)
	if err != nil || len(list) == 0 || list[0].Changeable() != nil {
		return false, err
	}
	sub, changes := list[0], sale.Deal.Changes
	adjustments, err := b.tx.OpenAdjustments(ctx, []billing.SubscriptionID{sub.ID})
	if err != nil {
		return false, err
	}
	open := adjustments[sub.ID]
	if sub.Period != changes.Period {
		paid := sub.Amount.Minor()
		if running := sub.Composition.Running; running != nil {
			paid = running.Value
		}
		if err := sub.Apply(&changes.Change); err != nil {
			return false, err
		}
		sub.Composition.Running = &billing.Running{From: sub.PeriodFrom(b.merchant), Value: paid}
	} else {
		sw, err := sub.SwitchTo(&changes.Change, b.merchant, of.at)
		if err != nil {
			return false, err
		}
		if sw.Anew {
			due := sub.Advance(open)
			if due == nil {
				return false, billing.Errorf(billing.Internal, "a change of subscription %d begins no period", sub.ID)
			}
			invoice.Period, invoice.Due = due.Period, due.Date
		}
		if sub.Period > 0 {
			sub.Composition.Running = &billing.Running{From: of.at, Value: changes.Value}
		}
	}
	sub.Schedule(open)
	sub.UpdatedAt = b.at
	b.reword(sub)
	b.schedule(sub)
	b.event(billing.SubscriptionChanged, sub.CustomerID, int64(sub.ID))
	return true, nil
}

// giveUnused credits what was not used of a period, nil if that is nothing.
func (b *book) giveUnused(sale *billing.Sale, of agreement) *billing.Activity {
	changes := sale.Deal.Changes
	if len(changes.Credit) == 0 {
		return nil
	}
	lines := billing.Lines(changes.Credit, sale.Deal.Currency, sale.SubscriptionID)
	return b.credit(of, lines, billing.Minor(changes.CreditTax, sale.Deal.Currency), sale.SubscriptionID)
}

// credit gives a credit that lines explain, which are negative.
func (b *book) credit(of agreement, lines []billing.Line, tax billing.Money, sub billing.SubscriptionID) *billing.Activity {
	amount := tax
	for _, l := range lines {
		amount = billing.Minor(amount.Minor()-l.Amount.Minor(), amount.Currency())
	}
	a := b.post(&billing.Activity{AccountID: of.owner.AccountID, CustomerID: of.owner.ID, Kind: billing.Credit, Amount: amount, Tax: tax,
		SubscriptionID: sub, Period: -1, Note: of.note, Creator: of.creator}, nil, "")
	b.place(lines, a)
	b.event(billing.ActivityRecorded, of.owner.ID, int64(a.ID))
	return a
}
