package processor

import (
	"context"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// Deed is one act in a processor's own list of what it was asked for.
type Deed struct {
	At         time.Time // the merchant's time of the request
	Seq        int64     // orders what has the same At
	Kind       billing.AttemptKind
	Reference  string // ours
	Original   string // of a void or refund: the reference of the act taken back
	Customer   string // Request.Customer, "" if the processor does not keep it
	Instrument billing.Instrument
	Masked     string
	Amount     billing.Money   // moved, or asked for if declined
	Outcome    billing.Outcome // the first answer: approved, pending or declined
}

// Lister is a driver whose processor lists what it was asked for. It is how books
// that were restored from a copy find what happened since: the processor's list
// is the one thing that was not put back.
type Lister interface {
	// Deeds lists the merchant's deeds in the order of (At, Seq) that come after
	// the one named, at most some hundred; none means that there are no more.
	// What is still on its way may appear later, at its own time.
	Deeds(ctx context.Context, merchant string, after time.Time, seq int64) ([]Deed, error)
}

// Lists reports whether the processor lists what it was asked for.
func (a *Account) Lists() bool {
	_, ok := a.driver.(Lister)
	return ok
}

// Deeds lists what the processor was asked for, as Lister does. It is an error
// to ask a processor that does not list, or if what it lists makes no sense.
func (a *Account) Deeds(ctx context.Context, merchant string, after time.Time, seq int64) ([]Deed, error) {
	l, ok := a.driver.(Lister)
	if !ok {
		return nil, fmt.Errorf("processor: %s does not list what it did", a.name)
	}
	start := a.now()
	list, err := run(a, ctx, func(ctx context.Context) ([]Deed, error) { return l.Deeds(ctx, merchant, after, seq) })
	if err == nil {
		err = checkDeeds(list, after, seq)
	}
	seen := Observation{Processor: a.name, Act: "deeds", Took: a.now().Sub(start)}
	if err != nil {
		seen.Trouble = redactor{}.text(err.Error(), maxMessage)
		err = fmt.Errorf("processor: %s: list: %w", a.name, redacted(err))
	}
	a.observe(seen)
	return list, err
}

// checkDeeds refuses a list of which something makes no sense: the caller must
// not pass over anything.
func checkDeeds(list []Deed, after time.Time, seq int64) error {
	for i := range list {
		d := &list[i]
		good := d.At.After(after) || d.At.Equal(after) && d.Seq > seq
		good = good && d.Reference != "" && len(d.Reference) <= maxReference && len(d.Original) <= maxReference &&
			d.Amount.Sign() > 0 && d.Amount.Currency() != ""
		switch d.Kind {
		case billing.AskCharge, billing.AskCredit, billing.AskAuthorize:
		case billing.AskVoid, billing.AskRefund:
			good = good && (d.Original != "" || d.Outcome.State == billing.AttemptDeclined)
		default:
			good = false
		}
		switch d.Outcome.State {
		case billing.AttemptApproved, billing.AttemptPending, billing.AttemptDeclined:
		case billing.Sending, billing.AttemptUnknown:
			good = false
		default:
			good = false
		}
		if !good {
			return fmt.Errorf("the entry after (%s, %d) is malformed", after.UTC().Format(time.RFC3339), seq)
		}
		after, seq = d.At, d.Seq
	}
	return nil
}
