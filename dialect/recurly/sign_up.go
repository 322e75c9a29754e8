package recurly

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// buyer is who subscribes or buys: an account that is there, or one that comes
// into being if what it buys is paid (7.2, 10.1).
type buyer struct {
	owner   *billing.Customer      // nil if there is none yet
	made    *billing.Customer      // the one to come, where there is none
	kept    *billing.PaymentMethod // the billing information that is there, nil for none
	info    *billingInfo           // what is given of it, nil for nothing
	request cashier.BillingInfoRequest
	element *element // account
	closed  bool     // it was, before it was opened for this
}

// readBuyer finds who an element account is about, and all that is wrong with
// what it says. codes are those that the path names, none if it names nobody.
func (x *exchange) readBuyer(ctx context.Context, e *element, codes []string, wrong *mistakes) (b *buyer, err error) {
	b = &buyer{element: e, info: readBillingInfo(e.child("billing_info"))}
	code := e.textOf("account_code")
	switch {
	case len(codes) == 0 && code == "":
		wrong.add("account_code", blank)
		return b, nil
	case len(codes) == 0:
		codes = []string{code}
	case code != "" && !slices.Contains(codes, code):
		wrong.add("account_code", invalid) // the path says otherwise
		return b, nil
	case code != "":
		codes = []string{code}
	}
	if b.owner, err = x.accountIfAny(ctx, codes); err != nil {
		return nil, err
	}
	if e != nil {
		checkAccount(e, wrong)
	}
	who := b.owner
	if who == nil {
		code := codes[len(codes)-1] // of several, the one with blanks
		checkCode("account_code", code, wrong)
		b.made = newAccount(orEmpty(e), code)
		who = b.made
	} else {
		err = x.session.Books.View(ctx, func(v *store.View) (err error) {
			b.kept, err = billingInfoOf(ctx, v, who.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
		b.closed = who.Standing == billing.StandingClosed
	}
	if b.info != nil {
		named := *who
		if e != nil {
			applyAccount(e, &named)
		}
		b.request = b.info.check(x, &named, b.kept, wrong)
	}
	return b, nil
}

func orEmpty(e *element) *element {
	if e == nil {
		return &element{}
	}
	return e
}

// newCard reports whether a card is given that is to be the account's.
func (b *buyer) newCard() bool { return b.info != nil && !b.request.Number.IsZero() }

// party is who buys, and with what, for a verb that asks for money.
func (b *buyer) party(ctx context.Context, x *exchange) (p cashier.Party, err error) {
	if b.owner != nil {
		p.Customer = cashier.Ref{ID: int64(b.owner.ID)}
	} else {
		p.Enroll = b.made
		if p.Account, err = x.home(ctx); err != nil {
			return p, err
		}
	}
	switch {
	case b.newCard():
		adopt := b.request.MethodRequest
		p.Adopt, p.SecurityCode = &adopt, b.request.SecurityCode
	case b.kept != nil:
		p.Method = cashier.Ref{ID: int64(b.kept.ID)}
	}
	return p, nil
}

// settle does what is left to be done with an account that has bought: what was
// given of it beside the card changes it (7.2). What is bought is bought: if this
// fails it is logged, and the client is not told to try again.
func (b *buyer) settle(ctx context.Context, x *exchange) {
	if b.owner == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	_, err := x.change(ctx, b.owner, b.element)
	if err == nil && b.info != nil && !b.newCard() && b.kept != nil { // an address alone
		_, err = x.Cashier.SetBillingInfo(ctx, x.session, cashier.Ref{ID: int64(b.owner.ID)}, b.request)
	}
	if err != nil {
		x.Log.LogAttrs(ctx, slog.LevelError, "recurly: an account that has bought was not changed", slog.Int64("customer", int64(b.owner.ID)), slog.Any("error", err))
	}
}

// opened carries out what somebody buys, opening a closed account for it, and
// closing it again if it is sure that nothing comes of it (5.3).
func (b *buyer) opened(ctx context.Context, x *exchange, do func() error) error {
	if b.closed {
		var err error
		if b.owner, err = x.reopen(ctx, b.owner); err != nil {
			return err
		}
	}
	err := do()
	if err != nil && b.closed && !pending(err) {
		_, again := x.Cashier.CloseCustomer(context.WithoutCancel(ctx), x.session, cashier.Ref{ID: int64(b.owner.ID)})
		err = errors.Join(err, again)
	}
	return err
}

// pending reports whether a failure leaves open what became of a charge, so that it
// may still be approved.
func pending(err error) bool { return failureOf(err).mistakes[0].code == string(gatewayTimeout) }

// createSubscription is POST .../subscription (7.2).
func createSubscription(ctx context.Context, x *exchange) (answer, error) {
	c, s, err := x.signUp(ctx, x.call.account)
	if err != nil {
		return answer{}, err
	}
	return x.tell(ctx, http.StatusCreated, c, s)
}

// signUp makes the subscription that the body asks for.
func (x *exchange) signUp(ctx context.Context, codes []string) (*billing.Customer, *billing.Subscription, error) {
	var wrong mistakes
	t, err := x.readTerms(ctx, true, &wrong)
	if err != nil {
		return nil, nil, err
	}
	b, err := x.readBuyer(ctx, x.body.child("account"), codes, &wrong)
	if err != nil {
		return nil, nil, err
	}
	r := cashier.SignUpRequest{Plan: t.plan, Unit: t.unit, Coupon: x.body.textOf("coupon_code"), Only: true, Words: words}
	if t.quantity != nil {
		r.Quantity = *t.quantity
	}
	if t.addOns != nil {
		r.AddOns = *t.addOns
	}
	r.TrialEnds = readTrial(x, &wrong)
	if err := wrong.orNil(); err != nil {
		return nil, nil, err
	}
	if r.Party, err = b.party(ctx, x); err != nil {
		return nil, nil, err
	}
	var signed *cashier.SignedUp
	err = b.opened(ctx, x, func() (err error) {
		signed, err = b.signUp(ctx, x, r, t.free())
		return err
	})
	if err != nil {
		return nil, nil, couponInline(x, err)
	}
	b.settle(ctx, x)
	return signed.Customer, signed.Subscription, nil
}

// readTrial reads when a trial ends, zero if the plan says it (7.2).
func readTrial(x *exchange, wrong *mistakes) time.Time {
	text := x.body.textOf("trial_ends_at")
	if text == "" {
		return time.Time{}
	}
	at, ok := readMoment(text)
	switch {
	case !ok:
		wrong.add("trial_ends_at", invalid)
	case !at.After(x.session.Now):
		wrong.add("trial_ends_at", notAfterNow)
	}
	return at
}

// signUp signs up who buys. Where nothing is due the card is looked at first,
// as by a PUT of the billing information (7.2).
func (b *buyer) signUp(ctx context.Context, x *exchange, r cashier.SignUpRequest, free bool) (*cashier.SignedUp, error) {
	quote, err := x.Cashier.QuoteSignUp(ctx, x.session, r)
	if err != nil {
		return nil, err
	}
	if b.kept == nil && !b.newCard() && !(free && quote.Due.IsZero()) {
		return nil, refuse("number", required)
	}
	if quote.Due.IsZero() && b.newCard() {
		if err := b.verify(ctx, x); err != nil {
			return nil, err
		}
		if r.Party, err = b.party(ctx, x); err != nil {
			return nil, err
		}
	}
	signed, err := x.Cashier.SignUp(ctx, x.session, r)
	if err != nil {
		return nil, err
	}
	return signed, refusedBy(signed.Attempt)
}

// verify sets the billing information of who buys what costs nothing now.
func (b *buyer) verify(ctx context.Context, x *exchange) error {
	ref := cashier.Ref{}
	if b.owner != nil {
		ref.ID = int64(b.owner.ID)
	} else {
		b.request.Enroll = b.made
		var err error
		if b.request.Account, err = x.home(ctx); err != nil {
			return err
		}
	}
	info, err := x.Cashier.SetBillingInfo(ctx, x.session, ref, b.request)
	if err != nil {
		return err
	}
	if info.Refused != nil {
		return declineOf(info.Refused)
	}
	b.owner, b.kept, b.info = info.Customer, info.Method, nil
	return nil
}

// couponInline puts what is wrong with a coupon into the subscription that would
// have been, as documented (7.2, 3.3).
func couponInline(x *exchange, err error) error {
	var ours *billing.Error
	if !errors.As(err, &ours) || ours.Field != "coupon" {
		return err
	}
	f := refuse("coupon_code", invalid)
	f.cause = err
	f.show = func(d *document, errors func()) {
		d.within("subscription", "", func() {
			d.leaf("id", asNil, "")
			d.text("account_code", x.call.account[0])
			d.within("plan", "", func() { d.text("plan_code", x.body.textOf("plan_code")) })
			d.text("state", "pending")
			errors()
		})
	}
	return f
}
