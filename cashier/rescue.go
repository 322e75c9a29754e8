package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Abandoned takes over attempts whose lease has run out: their worker died, or
// their outcome is unknown and it is time to ask again.
func (c *Cashier) Abandoned(ctx context.Context, m *billing.Merchant, limit int) (list []*billing.Attempt, err error) {
	wall := c.Now()
	return c.takeOver(ctx, m, takeover{queue: store.LeaseQueue, until: wall, at: m.Now(wall), step: "rescue: claimed", limit: limit,
		claim: func(tx *store.Tx) ([]*billing.Attempt, error) {
			return tx.ClaimAbandoned(ctx, wall, wall.Add(c.Lease), limit)
		}})
}

// Pending takes pending claims that are to be asked about.
func (c *Cashier) Pending(ctx context.Context, m *billing.Merchant, at time.Time, limit int) (list []*billing.Attempt, err error) {
	return c.takeOver(ctx, m, takeover{queue: store.PendingQueue, until: at, at: at, step: "pending: claimed", limit: limit,
		claim: func(tx *store.Tx) ([]*billing.Attempt, error) {
			return tx.ClaimPending(ctx, at, c.Now().Add(c.Lease), limit)
		}})
}

// takeover is how attempts are taken out of a queue.
type takeover struct {
	queue store.Queue
	until time.Time // by the queue's clock
	at    time.Time // the merchant's
	step  string
	limit int
	claim func(*store.Tx) ([]*billing.Attempt, error)
}

// takeOver leases attempts, and parks those that cannot be read.
func (c *Cashier) takeOver(ctx context.Context, m *billing.Merchant, t takeover) (list []*billing.Attempt, err error) {
	if err := c.Ready(ctx); err != nil {
		return nil, err
	}
	take := func(claim func(*store.Tx) ([]*billing.Attempt, error)) (taken []*billing.Attempt, err error) {
		err = c.guarded(ctx, m, func(tx *store.Tx) error {
			taken, err = claim(tx)
			return err
		})
		if err != nil {
			return nil, err // a lease that was not committed is nobody's
		}
		return taken, nil
	}
	if list, err = take(t.claim); store.AboutRow(err) {
		s := &sifting{c: c, m: m, queue: t.queue, at: t.at, try: func(some []store.Waiting) (Batch, error) {
			taken, err := take(func(tx *store.Tx) ([]*billing.Attempt, error) {
				return tx.ClaimAttempts(ctx, t.queue, rowsOf(some), t.until, c.Now().Add(c.Lease))
			})
			list = append(list, taken...)
			return Batch{Events: len(taken)}, err
		}}
		_, err = s.sift(ctx, t.until, billing.Date{}, t.limit)
	}
	if len(list) > 0 {
		c.Step(ctx, t.step)
	}
	return list, err
}

// Rescue asks the processor by our reference what became of an attempt. What
// the processor knows is the answer. What it has not seen is sent again under
// the same reference, so that even a first sending that arrives late cannot
// double it. A charge whose number came with the request cannot be, because the
// number is not kept; it is asked about a few times more, lest it is still on
// its way, and is then declined as never sent: nobody waits for it any more, and
// who did may have paid otherwise. A look at a card is likewise not sent again.
func (c *Cashier) Rescue(ctx context.Context, m *billing.Merchant, o Order, at time.Time) (Answer, error) {
	a := o.Attempt
	account, err := c.account(ctx, m)
	if err != nil {
		return Answer{}, err
	}
	outcome, found, err := account.Lookup(ctx, m.Code, a.Reference, at)
	c.Step(ctx, "rescue: looked up")
	switch {
	case err != nil:
		return Answer{Attempt: a, Outcome: billing.Outcome{State: keepState(a), Response: billing.SystemMalfunction, Message: "the processor does not answer"}}, nil
	case found:
		outcome = credible(a, outcome)
		c.Answered(a.Kind, outcome)
		return Answer{Attempt: a, Outcome: outcome}, nil
	case a.Final(): // a person settled it
		return Answer{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptUnknown, Unseen: true}}, nil
	case a.State == billing.AttemptPending:
		// It was accepted once. What a processor has forgotten it has not returned.
		return Answer{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptUnknown, Message: "the processor does not know the claim that it accepted"}}, nil
	case a.Kind == billing.AskCharge && a.PaymentMethodID != 0:
		return c.resend(ctx, m, a, at)
	case a.Kind == billing.AskVoid && a.Verifies():
		return c.letGo(ctx, m, a, at)
	}
	return c.neverArrived(a), nil
}

// neverArrived is the answer to an attempt that the processor has not seen and that
// is not sent again, once it was asked often enough.
func (c *Cashier) neverArrived(a *billing.Attempt) Answer {
	if a.Unseen < patience {
		return Answer{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptUnknown, Unseen: true, Message: "the processor has not seen the request yet"}}
	}
	return Answer{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptDeclined, Response: billing.IssuerUnavailable, NotDone: a.Claim, Unseen: true,
		Message: "the request never reached the processor; nothing was moved"}}
}

// credible is what a look-up told of an attempt, unless it is of another
// currency or of more than was asked: that is not what became of this attempt,
// and a person must say what is.
func credible(a *billing.Attempt, o billing.Outcome) billing.Outcome {
	if o.Amount.IsZero() {
		return o
	}
	if order, err := o.Amount.Cmp(a.Amount); err != nil || order > 0 {
		return billing.Outcome{State: billing.AttemptUnknown, Incredible: true, Message: "the processor knows another amount under this reference"}
	}
	return o
}

// patience is how often a processor must say that it has not seen a request
// before it counts as never sent. With the pauses between (billing.AskAgain), that
// is minutes after the last moment at which the request can have left.
const patience = 4

// keepState is the state of an attempt about which nothing new was learnt.
func keepState(a *billing.Attempt) billing.AttemptState {
	if a.State == billing.AttemptPending {
		return billing.AttemptPending
	}
	return billing.AttemptUnknown
}

// resend sends an attempt again under its own reference.
func (c *Cashier) resend(ctx context.Context, m *billing.Merchant, a *billing.Attempt, at time.Time) (Answer, error) {
	var method *billing.PaymentMethod
	err := c.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		method, err = v.PaymentMethod(ctx, a.PaymentMethodID)
		return err
	})
	if store.AboutRow(err) {
		return c.neverSent(a, "the payment method is missing or cannot be read"), nil
	}
	if err != nil {
		return Answer{}, err
	}
	if !method.Vaulted() { // it was forgotten meanwhile, and what it was to pay waits for something new
		return c.neverArrived(a), nil
	}
	answer, err := c.Send(ctx, m, Order{Attempt: a, method: method}, at)
	if answer.unfit != "" {
		return c.neverSent(a, answer.unfit), err
	}
	if answer.Outcome.NotDone { // this time; of the first sending nobody knows
		answer.Outcome = billing.Outcome{State: billing.AttemptUnknown, Response: answer.Outcome.Response, Message: answer.Outcome.Message}
	}
	return answer, err
}

// neverSent is the answer to an attempt that the processor has not seen and that
// cannot be sent again. It is asked about a few times more, lest the first
// sending is still on its way.
func (c *Cashier) neverSent(a *billing.Attempt, why string) Answer {
	if a.Unseen < patience {
		return Answer{Attempt: a, Outcome: billing.Outcome{State: billing.AttemptUnknown, Unseen: true, Message: "the processor has not seen the request yet"}}
	}
	answer := unfit(a, why)
	answer.Outcome.Unseen = true // by the processor, often enough: also another worker's sending will not arrive
	return answer
}

// unfit is the answer to an attempt that was not sent because its data are
// damaged.
func unfit(a *billing.Attempt, why string) Answer {
	return Answer{Attempt: a, unfit: why, Outcome: billing.Outcome{State: billing.AttemptDeclined, NotDone: true,
		Response: billing.SystemMalfunction, Message: "not sent: " + why}}
}
