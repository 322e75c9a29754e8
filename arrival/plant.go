package arrival

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// Options say how staged subscriptions are planted.
type Options struct {
	Cashier  *cashier.Cashier
	Merchant *billing.Merchant // who goes on billing them
	DryRun   bool              // do everything but the writing
	Progress func(Tally)       // told after each page; may be nil
}

// Tally is what became of the subscriptions of an import.
type Tally struct {
	Planted int // or would be, in a dry run
	Known   int // were there already
	Refused int // cannot be planted
}

// Done is how many subscriptions have been looked at.
func (t Tally) Done() int { return t.Planted + t.Known + t.Refused }

// perPage is how many subscriptions are in memory at once, and atOnce how many
// are planted at once, so that they share the waiting for the disk.
const (
	perPage = 200
	atOnce  = 16
)

// Plant plants what was staged, subscription by subscription. What cannot be
// planted is refused; an error is trouble of ours, after which the import may be
// begun again.
func (s *Stage) Plant(ctx context.Context, o Options) (Tally, error) {
	var t Tally
	after := ""
	for {
		page, err := s.page(ctx, after, perPage)
		if err != nil || len(page) == 0 {
			return t, err
		}
		after = page[len(page)-1].number
		outcomes := o.plantAll(ctx, page)
		for i, err := range outcomes {
			var no *wrong
			switch {
			case err == nil:
				t.Planted++
			case errors.Is(err, errKnown):
				t.Known++
			case errors.As(err, &no):
				t.Refused++
				s.Refuse(Refusal{File: no.file, Line: no.line, Number: page[i].number, Why: no.why})
			default:
				return t, fmt.Errorf("arrival: subscription %s: %w", page[i].number, err)
			}
		}
		if o.Progress != nil {
			o.Progress(t)
		}
	}
}

// errKnown says that a subscription was planted before.
var errKnown = errors.New("arrival: known already")

// plantAll plants a page, several at once, and returns what became of each.
func (o Options) plantAll(ctx context.Context, page []*staged) []error {
	outcomes := make([]error, len(page))
	var wait sync.WaitGroup
	for worker := range min(atOnce, len(page)) {
		wait.Go(func() {
			for i := worker; i < len(page); i += atOnce {
				outcomes[i] = o.plant(ctx, page[i])
			}
		})
	}
	wait.Wait()
	return outcomes
}

// plant plants one subscription: the customer, the card, and then what was sold.
// Each is made only if it is not there, so that an import that was stopped
// between two of them goes on where it was. The card has the customer's code.
func (o Options) plant(ctx context.Context, one *staged) error {
	s := o.Cashier.System(o.Merchant)
	if err := known(ctx, s, one.number); err != nil {
		return err
	}
	h, err := historyOf(one.records, s.Today())
	if err != nil {
		return err
	}
	if one.card == nil {
		return wrongAt(one.records[0], "has no card in the card file")
	}
	if err := h.hasAccount(ctx, s); err != nil {
		return err
	}
	if _, _, err := s.Planting(h.request); err != nil {
		return h.refused(err)
	}
	if o.DryRun {
		return nil
	}
	for tries := 1; ; tries++ {
		err := o.write(ctx, s, h, one.card)
		if billing.KindOf(err) != billing.Duplicate || tries == 5 {
			return h.refused(err)
		}
		// Somebody else plants the same, or the account's first sale.
		if err := known(ctx, s, one.number); err != nil {
			return err
		}
	}
}

// refused tells what is wrong with a subscription from trouble of ours.
func (h *history) refused(err error) error {
	var e *billing.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	}
	switch e.Kind {
	case billing.Invalid, billing.Missing, billing.NotFound, billing.Duplicate, billing.State, billing.Forbidden:
		field := e.Field
		if field != "" {
			field += ": "
		}
		return &wrong{h.place, "cannot be planted: " + field + e.Message}
	case billing.Internal, billing.Unauthenticated, billing.Conflict, billing.InProgress, billing.Limited, billing.Unavailable:
	}
	return err
}

// known returns errKnown if a number is taken.
func known(ctx context.Context, s *cashier.Session, number string) error {
	return s.Books.View(ctx, func(v *store.View) error {
		have, err := v.Numbered(ctx, number)
		if err == nil && len(have) > 0 {
			err = errKnown
		}
		return err
	})
}

// hasAccount refuses a subscription of an account that is not there.
func (h *history) hasAccount(ctx context.Context, s *cashier.Session) error {
	return s.Books.View(ctx, func(v *store.View) error {
		_, err := v.AccountByCode(ctx, h.account)
		if billing.KindOf(err) == billing.NotFound {
			return &wrong{h.place, "is of subaccount " + h.account + ", which the merchant does not have: make it with perennial apply"}
		}
		return err
	})
}

func (o Options) write(ctx context.Context, s *cashier.Session, h *history, card *Card) error {
	customer, method, err := o.find(ctx, s, h)
	if err != nil {
		return err
	}
	if customer.IsZero() {
		made := h.customer
		if err := o.Cashier.Enroll(ctx, s, h.account, &made); err != nil {
			return err
		}
		customer = cashier.Ref{ID: int64(made.ID)}
	}
	if method.IsZero() {
		m, err := o.Cashier.AddPaymentMethod(ctx, s, customer, cashier.MethodRequest{Code: h.customer.Code, Instrument: card.Instrument,
			Number: card.Number, Expiry: card.Expiry, Routing: card.Routing, Holder: h.customer.Name(), Address: h.customer.Address,
			Email: h.customer.Email, Active: true})
		if err != nil {
			return err
		}
		method = cashier.Ref{ID: int64(m.ID)}
	}
	r := h.request
	r.Method = method
	_, err = o.Cashier.Plant(ctx, s, customer, r)
	return err
}

// find looks for what an import that was stopped has made.
func (o Options) find(ctx context.Context, s *cashier.Session, h *history) (customer, method cashier.Ref, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		customer, method = cashier.Ref{}, cashier.Ref{}
		c, err := s.Customer(ctx, v, cashier.Ref{Code: h.customer.Code})
		if billing.KindOf(err) == billing.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		customer = cashier.Ref{ID: int64(c.ID)}
		m, err := s.PaymentMethod(ctx, v, c, cashier.Ref{Code: h.customer.Code})
		if billing.KindOf(err) == billing.NotFound {
			return nil
		}
		if err == nil {
			method = cashier.Ref{ID: int64(m.ID)}
		}
		return err
	})
	return customer, method, err
}
