package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
)

// outcome is a processor's answer to a charge that somebody waits for, and what
// came of writing it down.
type outcome struct {
	merchant *billing.Merchant
	answer   Answer
	err      error
	alone    bool // to be tried alone
}

// settleOne writes one answer down, together with those to others that the same
// merchant waits for at this moment. If that fails each goes its own way. It
// returns the activity that the attempt has become, nil if that was not looked at.
func (c *Cashier) settleOne(ctx context.Context, m *billing.Merchant, answer Answer) (*billing.Activity, error) {
	o := &outcome{merchant: m, answer: answer, err: errLeft}
	if err := c.outcomes.join(ctx, m.ID, o, c.settleTogether); err != nil {
		return nil, err
	}
	if !o.alone {
		if o.err == nil {
			c.Step(ctx, "settle: committed")
		}
		return o.answer.activity, o.err
	}
	answers := []Answer{answer}
	_, err := c.settle(ctx, m, m.Now(c.Now()), answers)
	return answers[0].activity, err
}

func (c *Cashier) settleTogether(ctx context.Context, list []*outcome) {
	m := list[len(list)-1].merchant
	answers := make([]Answer, len(list))
	for i, o := range list {
		answers[i] = o.answer
	}
	_, err := c.writeDown(ctx, m, m.Now(c.Now()), answers, true)
	for i, o := range list {
		o.answer, o.err, o.alone = answers[i], err, goAlone(err, len(list))
	}
}
