package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// AddOnChoice is something that is taken along with a plan.
type AddOnChoice struct {
	Code     string
	Quantity int    // 0 is 1
	Unit     *int64 // minor units of one, nil is what the plan offers it for
}

// SignUpRequest asks to subscribe a customer to a plan, from now on.
type SignUpRequest struct {
	Party
	Plan      Ref
	Quantity  int    // of the plan, 0 is 1
	Unit      *int64 // minor units of one, nil is the plan's price
	AddOns    []AddOnChoice
	Coupon    string    // that is redeemed with it, "" for none
	TrialEnds time.Time // in place of the plan's trial, zero for that
	Only      bool      // refuse if the customer has a subscription that lives, or is being signed up for one
	TaxRate   int       // see billing.Composition
	Note      string
	Texts     []string
	Words     Words
	Extra     map[string]string // see billing.Details
}

// SignedUp is what became of a sign-up. While the outcome is not known, or if it
// was declined, there is neither subscription nor invoice.
type SignedUp struct {
	Customer     *billing.Customer
	Subscription *billing.Subscription
	Invoice      *billing.Activity // nil if nothing was to be invoiced, as before a trial
	Attempt      *billing.Attempt  // nil if nothing was due, and nobody was asked
}

// SignUp subscribes a customer. Without a trial the first period, a set-up fee and
// add-ons are invoiced and collected at once, less what a coupon takes off and what
// the customer has not used; with a trial the set-up fee alone. The subscription
// comes into being with the approval, and so does a customer or payment method that
// came along: a decline leaves nothing but the attempt (protocols/recurly-v1.md 7.2).
// The billing date of a trial is the date on which it ends; one that ends today
// bills tomorrow.
func (c *Cashier) SignUp(ctx context.Context, s *Session, r SignUpRequest) (*SignedUp, error) {
	done := &SignedUp{}
	var sale *billing.Sale
	attempt, err := c.strike(ctx, s, r.SecurityCode, func(tx *store.Tx) (*bargain, error) {
		g, err := c.signUp(ctx, s, tx, &r)
		if err == nil {
			done.Customer, sale = g.owner, g.sale
		}
		return g, err
	})
	if err != nil {
		return nil, err
	}
	done.Attempt = attempt
	if attempt != nil && !billed(attempt) {
		return done, nil
	}
	err = s.Books.View(ctx, func(v *store.View) (err error) {
		if done.Subscription, err = v.Subscription(ctx, sale.SubscriptionID); err != nil {
			return err
		}
		done.Invoice, err = dealt(ctx, v, sale)
		return err
	})
	return done, err
}

// billed reports whether what an attempt brings about is there.
func billed(a *billing.Attempt) bool {
	return a.State == billing.AttemptApproved || a.State == billing.AttemptPending
}

// dealt reads the invoice of a deal, nil if it has none.
func dealt(ctx context.Context, v *store.View, sale *billing.Sale) (*billing.Activity, error) {
	if sale.Deal.Invoice == 0 {
		return nil, nil
	}
	list, err := v.ActivitiesByID(ctx, []billing.ActivityID{sale.Deal.Invoice})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// QuoteSignUp tells what a sign-up would come to, or what it would say is wrong. A
// payment method need not be known for it.
func (c *Cashier) QuoteSignUp(ctx context.Context, s *Session, r SignUpRequest) (*Quote, error) {
	return c.quoted(ctx, s, func(tx *store.Tx) (*bargain, error) { return c.signUp(ctx, s, tx, &r) })
}

// signUp prices a sign-up.
func (c *Cashier) signUp(ctx context.Context, s *Session, tx *store.Tx, r *SignUpRequest) (*bargain, error) {
	g, err := c.party(ctx, s, tx, &r.Party)
	if err != nil {
		return nil, err
	}
	plan, err := s.Plan(ctx, &tx.View, r.Plan)
	if err != nil {
		return nil, err
	}
	if !plan.Active || plan.AccountID != g.owner.AccountID {
		return nil, billing.FieldError(billing.State, "planId", "the plan takes no new subscription of this customer")
	}
	composition, first, err := s.composition(plan, r)
	if err != nil {
		return nil, err
	}
	b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{g.owner.ID})
	if err != nil {
		return nil, err
	}
	if r.Only {
		if err := onlyOne(ctx, tx, g.owner.ID); err != nil {
			return nil, err
		}
		g.keys = append(g.keys, scopeKey(signUpScope, int64(g.owner.ID)))
	}
	if g.method == 0 {
		nothing, err := c.placeholderOf(ctx, s, tx, g.owner)
		if err != nil {
			return nil, err
		}
		defer func() { g.sale.MethodID = nothing }() // after a due amount has been refused
	}
	sub := &billing.Subscription{MerchantID: s.Merchant.ID, ID: billing.SubscriptionID(tx.NewID()), PlanName: plan.Name, Term: billing.Perpetual,
		Amount: billing.Minor(0, plan.Amount.Currency()), Cycle: plan.Cycle, FirstDate: first, Status: billing.Unbilled}
	if err := sub.Compose(composition); err != nil {
		return nil, err
	}
	deal := &billing.Deal{Currency: plan.Amount.Currency(), TaxRate: composition.TaxRate,
		Begins: &billing.Beginning{PlanName: plan.Name, Cycle: plan.Cycle, First: first, Composition: composition}}
	g.sale = &billing.Sale{SubscriptionID: sub.ID, PlanID: plan.ID, MethodID: g.method, Deal: deal}
	g.note, g.extra = r.Note, r.Extra
	return g, s.priceSignUp(ctx, b, g, sub, plan, r)
}

// placeholderOf is the payment method that stands for none, of a customer who has
// no other.
func (c *Cashier) placeholderOf(ctx context.Context, s *Session, tx *store.Tx, owner *billing.Customer) (billing.PaymentMethodID, error) {
	list, err := tx.PaymentMethods(ctx, owner.ID, store.Page{Limit: 1000})
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		if !m.Vaulted() {
			return m.ID, nil
		}
	}
	m, err := c.placeholder(ctx, s, tx, owner)
	if err != nil {
		return 0, err
	}
	return m.ID, nil
}

// onlyOne refuses a customer with a subscription that lives, or with one that will
// as soon as a charge is approved.
func onlyOne(ctx context.Context, tx *store.Tx, c billing.CustomerID) error {
	live, err := tx.HasSubscription(ctx, c)
	if err != nil {
		return err
	}
	if live {
		return billing.Errorf(billing.State, "the customer has a subscription already")
	}
	return underWay(ctx, &tx.View, signUpScope, int64(c), "another sign-up of the customer")
}

// composition is what a sign-up asks for, and billing date 0.
func (s *Session) composition(plan *billing.Plan, r *SignUpRequest) (c billing.Composition, first billing.Date, err error) {
	if plan.Tax.Sign() != 0 {
		return c, first, billing.FieldError(billing.State, "planId", "a plan with a tax of its own is not sold in pieces")
	}
	c = billing.Composition{PlanCode: plan.Code, Quantity: max(r.Quantity, 1), Unit: plan.Amount.Minor(), TaxRate: r.TaxRate, Texts: r.Texts,
		Began: s.Now.Truncate(time.Microsecond)}
	if r.Quantity < 0 {
		c.Quantity = r.Quantity // which is refused
	}
	if r.Unit != nil {
		c.Unit = *r.Unit
	}
	if c.AddOns, err = choose(plan, nil, r.AddOns); err != nil {
		return c, first, err
	}
	first = s.Today()
	switch {
	case r.TrialEnds.IsZero():
		c.Trial = plan.Offer.TrialEnd(first)
	case !r.TrialEnds.After(s.Now):
		return c, first, billing.FieldError(billing.Invalid, "trial_ends_at", "must lie in the future")
	default:
		c.Trial, c.TrialEnds = s.Merchant.Today(r.TrialEnds), r.TrialEnds.UTC().Truncate(time.Microsecond)
		if !c.Trial.After(first) {
			c.Trial = first.AddDays(1)
		}
		if c.Trial.Year > 9999 {
			return c, first, billing.FieldError(billing.Invalid, "trial_ends_at", "must lie before the year 10000")
		}
	}
	if !c.Trial.IsZero() {
		first = c.Trial
	}
	return c, first, nil
}

// choose is what is taken along with a plan. What the subscription has already may
// be kept though the plan does not offer it any more.
func choose(plan *billing.Plan, have []billing.AddOn, choices []AddOnChoice) ([]billing.AddOn, error) {
	list := make([]billing.AddOn, 0, len(choices)) // none are not the same as what is not given
	for _, choice := range choices {
		offered := plan.Offer.AddOn(choice.Code)
		if offered == nil {
			kept := billing.Offer{AddOns: have}
			if offered = kept.AddOn(choice.Code); offered == nil {
				return nil, billing.FieldError(billing.Invalid, "add_ons", "names an add-on that the plan does not offer")
			}
		}
		taken := *offered
		taken.Quantity = choice.Quantity
		if choice.Quantity == 0 {
			taken.Quantity = 1
		}
		if choice.Unit != nil {
			taken.Unit = *choice.Unit
		}
		list = append(list, taken)
	}
	return list, nil
}

// priceSignUp makes the first invoice of a subscription that does not exist yet.
func (s *Session) priceSignUp(ctx context.Context, b *book, g *bargain, sub *billing.Subscription, plan *billing.Plan, r *SignUpRequest) error {
	deal := g.sale.Deal
	var lines []billing.Line
	if plan.Offer.Setup > 0 {
		fee := billing.Minor(plan.Offer.Setup, deal.Currency)
		lines = append(lines, billing.Line{Kind: billing.LineSetup, Code: plan.Code, Description: r.Words.or(r.Words.Setup, "Set-up fee"),
			Quantity: 1, Unit: fee, Amount: fee, From: s.Now})
	}
	if sub.Composition.Trial.IsZero() {
		lines = append(lines, sub.PriceLines(s.Merchant, 0)...)
	}
	if err := b.lookAhead(ctx, []billing.CustomerID{g.owner.ID}); err != nil {
		return err
	}
	p := b.pending[g.owner.ID]
	if r.Coupon != "" {
		if err := b.redeem(ctx, p, g.owner, r.Coupon, plan.Code); err != nil {
			return err
		}
		deal.Redemption, deal.Redeems = p.held.ID, true
	}
	if len(lines) > 0 {
		off, own, err := b.lower(p, lines, plan.Code, s.Today())
		if err != nil {
			return err
		}
		if off != nil {
			lines = append(lines, *off)
			deal.Redemption, deal.Discount = p.held.ID, -off.Amount.Minor()
			sub.Period = 1 // which is billed with it
			sub.Discounted(s.Merchant, sub.Amount, own)
			deal.Begins.Composition.Running = sub.Composition.Running
		}
		deal.Invoice = billing.ActivityID(b.tx.NewID())
	}
	deal.Items = billing.Items(lines)
	return b.price(g, lines, deal.TaxRate, deal.Currency, billing.Minor(0, deal.Currency))
}

// beginSubscription makes the subscription of a deal, as of the moment at which it
// was asked for. Without a trial its first billing is that of the deal's invoice.
func (b *book) beginSubscription(sale *billing.Sale, of agreement, invoice *billing.Activity) error {
	begins := sale.Deal.Begins
	nought := billing.Minor(0, sale.Deal.Currency)
	sub := &billing.Subscription{
		MerchantID: b.merchant.ID, ID: sale.SubscriptionID, AccountID: of.owner.AccountID, CustomerID: of.owner.ID, PlanID: sale.PlanID,
		PlanName: begins.PlanName, PaymentMethodID: sale.MethodID, Term: billing.Perpetual, Amount: nought, Tax: nought, Cycle: begins.Cycle,
		FirstDate: begins.First, Status: billing.Unbilled, Note: of.note, CreatedAt: of.at, UpdatedAt: b.at,
	}
	if err := sub.Compose(begins.Composition); err != nil {
		return err
	}
	sub.Schedule(nil)
	if begins.Composition.Trial.IsZero() {
		due := sub.Advance(nil)
		invoice.Period, invoice.Due = due.Period, due.Date
	}
	sub.NextAt = b.merchant.Start(sub.NextDate)
	b.born = append(b.born, sub)
	b.event(billing.SubscriptionCreated, of.owner.ID, int64(sub.ID))
	return nil
}
