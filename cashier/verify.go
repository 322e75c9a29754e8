package cashier

import (
	"context"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// VerifyRequest asks whether a card would pay.
type VerifyRequest struct {
	Amount       int64            // that is authorised and let go of
	Currency     billing.Currency // "" is the merchant's
	Method       Ref              // a vaulted card, or
	Instrument   billing.Instrument
	Number       billing.Secret // a number that came with the request
	Expiry       string
	SecurityCode billing.Secret
	Payer        billing.Payer
	Extra        map[string]string // see billing.Details

	// Adopts and Enrolls: see billing.Details and ChargeRequest.
	Adopts  billing.PaymentMethodID
	Enrolls bool
}

// Verification is what became of a look at a card: it is good if the attempt is
// approved. Void is what let go of the amount, nil if there was none to let go of;
// whatever became of it, the card is good.
type Verification struct {
	Attempt *billing.Attempt
	Void    *billing.Attempt
}

// Good reports whether the card would pay.
func (v *Verification) Good() bool { return v.Attempt.State == billing.AttemptApproved }

// Verify asks the processor whether a card would pay an amount, and lets go of it
// at once (protocols/recurly-v1.md 6.4, billing-circle.md 3.3). Nothing comes into
// the customer's account and nothing into the ledgers. An unknown outcome is not
// good; whatever the processor turns out to hold is let go of by the rescue.
func (c *Cashier) Verify(ctx context.Context, s *Session, customer Ref, r VerifyRequest) (*Verification, error) {
	return c.verify(ctx, s, &r, func(tx *store.Tx) (*billing.Customer, error) { return s.Customer(ctx, &tx.View, customer) })
}

// verify looks at a card of whoever owner finds, or makes, in the transaction that
// writes the intention down; it may complete the request.
func (c *Cashier) verify(ctx context.Context, s *Session, r *VerifyRequest, owner func(*store.Tx) (*billing.Customer, error)) (*Verification, error) {
	if err := checkAmount(r.Amount, 0); err != nil {
		return nil, err
	}
	account, err := c.account(ctx, s.Merchant)
	if err != nil {
		return nil, err
	}
	if !account.Authorizes() {
		return nil, billing.Errorf(billing.State, "the processor cannot look at a card without charging it")
	}
	keys, err := c.keys(s.Merchant)
	if err != nil {
		return nil, err
	}
	var attempt *billing.Attempt
	var number billing.Secret
	err = c.update(ctx, s, func(tx *store.Tx) error {
		who, err := owner(tx)
		if err != nil {
			return err
		}
		mint := &minting{s: s, tx: tx, keys: keys, owner: who, lease: c.Now().Add(c.Lease)}
		attempt, number, err = mint.verification(ctx, account.Name(), r)
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // from here on a client that hangs up changes nothing
	c.Step(ctx, "verify: intention committed")
	request := requestFor(s.Merchant, attempt, s.Now)
	request.Number, request.SecurityCode = number, r.SecurityCode
	outcome := c.ask(ctx, account, attempt, request)
	c.Step(ctx, "verify: answered")
	answers := []Answer{{Attempt: attempt, Outcome: outcome, until: c.Now().Add(c.Lease)}}
	if _, err := c.settle(ctx, s.Merchant, s.Merchant.Now(c.Now()), answers); err != nil {
		return nil, err
	}
	v := &Verification{Attempt: attempt, Void: answers[0].void}
	if v.Void != nil {
		c.letGoNow(ctx, s.Merchant, attempt, v.Void)
	}
	return v, nil
}

// verification writes down the intention to look at a card.
func (m *minting) verification(ctx context.Context, processor string, r *VerifyRequest) (*billing.Attempt, billing.Secret, error) {
	s, owner, tx := m.s, m.owner, m.tx
	b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
	if err != nil {
		return nil, billing.Secret{}, err
	}
	currency := r.Currency
	if currency == "" {
		currency = s.Merchant.Currency
	}
	a := &billing.Attempt{
		MerchantID: s.Merchant.ID, ID: billing.AttemptID(tx.NewID()), AccountID: owner.AccountID, CustomerID: owner.ID,
		Kind: billing.AskAuthorize, Processor: processor, Amount: billing.Minor(r.Amount, currency), Tax: billing.Minor(0, currency),
		Payer: r.Payer, State: billing.Sending, CreatedAt: s.Now, LeaseUntil: m.lease,
		Details: billing.Details{Creator: s.Login.Name, Extra: r.Extra, Adopts: r.Adopts, Enrolls: r.Enrolls},
	}
	a.Reference = strconv.FormatInt(int64(a.ID), 10)
	number, err := m.instrument(ctx, a, ChargeRequest{Method: r.Method, Instrument: r.Instrument, Number: r.Number, Expiry: r.Expiry, Adopts: r.Adopts})
	if err != nil {
		return nil, billing.Secret{}, err
	}
	if !a.Instrument.IsCard() {
		return nil, billing.Secret{}, billing.FieldError(billing.State, "type", "only a card can be looked at without charging it")
	}
	if a.Payer.Holder == "" {
		a.Payer.Holder = owner.Name()
	}
	b.attempts = append(b.attempts, a)
	return a, number, b.flush(ctx)
}

// applyVerification takes an outcome of a look at a card into the books, or of
// letting go of it. An approval writes down, in the same transaction, that the
// amount is to be let go of: a crash between the two forgets nothing.
func (b *book) applyVerification(ctx context.Context, a *billing.Attempt, o billing.Outcome, wall time.Time) error {
	void := a.Kind == billing.AskVoid
	switch {
	case o.State == billing.AttemptPending:
		o = billing.Outcome{State: billing.AttemptUnknown, ProcessorID: o.ProcessorID, Message: "the processor has not decided yet"}
	case void && o.State == billing.AttemptDeclined && o.NotDone && a.Unseen < patience:
		o.State = billing.AttemptUnknown // the processor was out of reach, and is asked again
	}
	b.learn(a, o, wall)
	switch o.State {
	case billing.AttemptUnknown:
		if void {
			return nil
		}
		return b.dismiss(ctx, a) // who asked is told that the card is not known to be good
	case billing.AttemptApproved:
		if void {
			return nil
		}
		if a.Details.Note != importNote { // what is imported had a void of its own, or lapses
			b.hold(a, o, wall)
		}
		b.enrolled(a)
		return b.adopt(ctx, a.CustomerID, a.Details.Adopts)
	case billing.AttemptDeclined:
		if void {
			b.holdOn(a, wall)
			return nil
		}
		if err := b.dismiss(ctx, a); err != nil {
			return err
		}
		return b.markStale(ctx, a)
	case billing.AttemptPending, billing.Sending:
	}
	panic("cashier: an outcome in state " + string(o.State))
}

// hold writes down that what was authorised is to be let go of.
func (b *book) hold(a *billing.Attempt, o billing.Outcome, wall time.Time) {
	amount := a.Amount
	if !o.Amount.IsZero() {
		amount = o.Amount
	}
	until := b.until
	if until.IsZero() {
		until = wall
	}
	b.mintVoid(a, a.ID, amount, until)
}

// mostVoids is how often a processor is asked to let go of one authorisation that
// it refuses to let go of. After that it lapses by itself, as they all do.
const mostVoids = 8

// holdOn has a void that was refused asked for again later, under a reference of
// its own: the processor would answer the old one as before.
func (b *book) holdOn(void *billing.Attempt, wall time.Time) {
	round := void.Details.Round + 1
	if round < mostVoids {
		b.mintVoid(void, void.Parent, void.Amount, wall.Add(billing.AskAgain(round))).Details.Round = round
	}
}

// mintVoid writes the attempt that lets go of an authorisation. like is one of the
// same card.
func (b *book) mintVoid(like *billing.Attempt, parent billing.AttemptID, amount billing.Money, until time.Time) *billing.Attempt {
	v := &billing.Attempt{
		MerchantID: like.MerchantID, ID: billing.AttemptID(b.tx.NewID()), AccountID: like.AccountID, CustomerID: like.CustomerID,
		PaymentMethodID: like.PaymentMethodID, Parent: parent, Kind: billing.AskVoid, Processor: like.Processor, Amount: amount,
		Tax: billing.Minor(0, amount.Currency()), Instrument: like.Instrument, Masked: like.Masked, State: billing.Sending,
		Details: billing.Details{Creator: billing.System}, CreatedAt: b.at, LeaseUntil: until,
	}
	v.Reference = strconv.FormatInt(int64(v.ID), 10)
	b.attempts = append(b.attempts, v)
	return v
}

// voidOf finds the void of an authorisation that was written down just now.
func (b *book) voidOf(id billing.AttemptID) *billing.Attempt {
	for _, v := range b.attempts {
		if v.Parent == id {
			return v
		}
	}
	return nil
}

// letGoNow has the processor let go of what it has just authorised. If that fails
// the rescue sees to it; the card is good all the same.
func (c *Cashier) letGoNow(ctx context.Context, m *billing.Merchant, authorized, void *billing.Attempt) {
	answer, err := c.askVoid(ctx, m, authorized, void, m.Now(c.Now()))
	c.Step(ctx, "verify: void answered")
	if err == nil {
		_, err = c.settle(ctx, m, m.Now(c.Now()), []Answer{answer})
	}
	if err != nil {
		c.Log.ErrorContext(ctx, "what was authorised is not let go of yet", "merchant", m.Code, "attempt", int64(authorized.ID), "error", err)
	}
}

// letGo sends a void that the processor has not seen.
func (c *Cashier) letGo(ctx context.Context, m *billing.Merchant, void *billing.Attempt, at time.Time) (Answer, error) {
	var parent *billing.Attempt
	err := c.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		parent, err = v.Attempt(ctx, void.Parent)
		return err
	})
	if store.AboutRow(err) {
		return c.neverSent(void, "the authorisation is missing or cannot be read"), nil
	}
	if err != nil {
		return Answer{}, err
	}
	return c.askVoid(ctx, m, parent, void, at)
}

func (c *Cashier) askVoid(ctx context.Context, m *billing.Merchant, authorized, void *billing.Attempt, at time.Time) (Answer, error) {
	account, err := c.account(ctx, m)
	if err != nil {
		return Answer{}, err
	}
	request := requestFor(m, void, at)
	request.Original, request.OriginalID = authorized.Reference, authorized.ProcessorID
	return Answer{Attempt: void, Outcome: c.ask(ctx, account, void, request)}, nil
}

// tellHeld has the log say that an authorisation was not let go of.
func (c *Cashier) tellHeld(ctx context.Context, m *billing.Merchant, a *billing.Attempt) {
	if a.Kind == billing.AskVoid && a.State != billing.AttemptApproved {
		c.Log.WarnContext(ctx, "what was authorised is not let go of yet", "merchant", m.Code, "attempt", int64(a.Parent), "void", string(a.State),
			"response", string(a.Response))
	}
}
