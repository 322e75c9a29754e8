package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// unsettled notes that no look-up tells what became of an attempt, and that a
// person must.
func (b *book) unsettled(a *billing.Attempt) {
	if a.UnsettledAt.IsZero() {
		a.UnsettledAt = b.at
		b.event(billing.PaymentUnsettled, a.CustomerID, int64(a.ID))
	}
}

// Verdict is what a person found out about an attempt.
type Verdict struct {
	Approved bool
	Code     billing.ResponseCode // "" is 00 for an approval and 91 for a decline
	Who      string
	Reason   string // required: what was seen, and where
}

// check refuses a verdict without a reason, or whose code says the opposite.
func (v *Verdict) check() error {
	if v.Reason == "" || v.Who == "" {
		return billing.FieldError(billing.Missing, "reason", "say who settles it and what was seen")
	}
	if v.Code == "" {
		v.Code = billing.IssuerUnavailable
		if v.Approved {
			v.Code = billing.Approved
		}
	}
	if !v.Code.Known() || (v.Code.Severity() == billing.Good) != v.Approved {
		return billing.FieldError(billing.Invalid, "code", "must be a known code of an approval or of a decline, as the verdict is")
	}
	return nil
}

// SettleByHand writes down what a person found out about an attempt whose outcome
// the processor does not tell. It is the same as if the processor had said so at
// this moment, and the deed is noted in the same transaction. It is done once: an
// outcome that is known, from the processor or from another person, is refused.
//
// The processor is still asked for a month. If it comes to say otherwise, the
// person's word stands, because what followed from it cannot be taken back by a
// rule; the contradiction is kept on the attempt, told as an event and by the
// log, and is a fault of the audit until a person resolves it.
func (c *Cashier) SettleByHand(ctx context.Context, m *billing.Merchant, id billing.AttemptID, v Verdict) (a *billing.Attempt, err error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	wall := c.Now()
	err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		locked, err := tx.LockAttempts(ctx, []billing.AttemptID{id})
		if err != nil {
			return err
		}
		if a = locked[id]; a == nil {
			return billing.Errorf(billing.NotFound, "attempt not found")
		}
		if err := settleable(a, wall); err != nil {
			return err
		}
		b, err := openBook(ctx, tx, m, m.Now(wall), concerned(a))
		if err != nil {
			return err
		}
		existing := a.Details.Targets
		if a.State != billing.Sending {
			existing = append(existing[:len(existing):len(existing)], a.ActivityID)
		}
		if err := b.load(ctx, existing...); err != nil {
			return err
		}
		o := billing.Outcome{State: billing.AttemptDeclined, Response: v.Code, Message: "settled by hand"}
		if v.Approved {
			o.State = billing.AttemptApproved
		}
		if err := b.apply(ctx, a, o, wall); err != nil {
			return err
		}
		if !a.Final() {
			return billing.Errorf(billing.State, "the claim is being taken back, whose outcome decides")
		}
		a.SettledBy, a.LeaseUntil = v.Who, wall.Add(billing.AskAgain(a.Checks))
		b.answered = append(b.answered, a)
		for _, id := range concerned(a) {
			b.balance(id)
		}
		if err := tx.Unpark(ctx, billing.ParkedAttempt, []int64{int64(id)}, b.at); err != nil {
			return err
		}
		act := billing.Act{Act: "settled as " + string(o.State), Noun: attemptNoun, Object: int64(id), Who: v.Who, Reason: v.Reason, At: wall}
		if err := tx.InsertAct(ctx, act); err != nil {
			return err
		}
		return b.flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	c.Step(ctx, "settle by hand: committed")
	return a, nil
}

// attemptNoun is what an attempt is called in the audit trail.
const attemptNoun = "attempt"

// settleable refuses an attempt whose outcome is known, or will be in a moment.
func settleable(a *billing.Attempt, wall time.Time) error {
	switch a.State {
	case billing.AttemptApproved, billing.AttemptDeclined:
		by := "the processor"
		if a.SettledBy != "" {
			by = a.SettledBy
		}
		return billing.Errorf(billing.State, "the attempt is %s already, says %s", a.State, by)
	case billing.Sending:
		if a.LeaseUntil.After(wall) {
			return billing.Errorf(billing.State, "the attempt is being sent at this moment")
		}
	case billing.AttemptPending:
		if a.UnsettledAt.IsZero() {
			return billing.Errorf(billing.State, "the claim is in clearing, and the processor has not been asked in vain for long enough")
		}
	case billing.AttemptUnknown:
	}
	return nil
}

// hear takes what a processor says of an attempt that a person has settled.
func (b *book) hear(a *billing.Attempt, o billing.Outcome, wall time.Time) {
	a.LeaseUntil = time.Time{}
	if a.Contradiction != "" {
		return
	}
	switch says := a.Contradicts(o); {
	case says != "":
		b.contradict(a, says)
	case o.State == billing.AttemptUnknown || o.State == billing.AttemptPending:
		if a.Checks++; a.Checks < billing.AsksInVain {
			a.LeaseUntil = wall.Add(billing.AskAgain(a.Checks))
		}
	}
}

// contradict notes that the processor says otherwise than the person did.
func (b *book) contradict(a *billing.Attempt, says string) {
	a.Contradiction, a.LeaseUntil = says, time.Time{}
	b.event(billing.PaymentContradicted, a.CustomerID, int64(a.ID))
}

// Resolve notes that a person has seen to a contradiction: paid back at the
// processor what was taken twice, say, or recorded what is missing. The audit
// takes it for a note from then on.
func (c *Cashier) Resolve(ctx context.Context, m *billing.Merchant, id billing.AttemptID, act billing.Act) error {
	return c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		a, err := tx.Attempt(ctx, id)
		if err != nil {
			return err
		}
		if a.Contradiction == "" {
			return billing.Errorf(billing.State, "the processor has not contradicted anybody about this attempt")
		}
		act.Act, act.Noun, act.Object, act.At = billing.Resolved, attemptNoun, int64(id), c.Now()
		return tx.InsertAct(ctx, act)
	})
}
