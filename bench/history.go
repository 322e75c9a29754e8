package bench

import (
	"context"
	"errors"
	"fmt"
)

// History are the options of the bench of that name.
type History struct {
	Site
	Customers int // on each side, default 1,000
	Months    int // that the older ones have been billed, default 120
	Rounds    int // of each side, default 5
}

// Run measures billing runs over customers that have been billed for years
// against those over as many new ones. What the years have left behind is
// written by the bare side of the renewals, invoice for invoice.
func (h History) Run(ctx context.Context) (*Report, error) {
	numbers := []number{{&h.Customers, 1000}, {&h.Months, 120}, {&h.Rounds, 5}}
	if err := fill(numbers); err != nil {
		return nil, err
	}
	const merchants = 2
	if h.Customers < merchants {
		return nil, errors.New("bench: there must be at least one customer for each merchant")
	}
	h.Customers -= h.Customers % merchants
	report := &Report{Bench: "history", Unit: "renewals"}
	report.Work = fmt.Sprintf("a billing run over %s customers that have been billed for %d months, %d rounds",
		grouped(int64(h.Customers)), h.Months, h.Rounds)
	report.Against = "the same with customers that are new"
	return h.on(ctx, report, func(g *ground) error {
		var sides [2]*planted
		for i, months := range []int{h.Months, 0} {
			p, err := h.openShop(ctx, g, []string{"old", "new"}[i], setup{inFlight: 64})
			if err != nil {
				return err
			}
			sides[i], err = h.plant(ctx, p, plantation{
				subscriptions: h.Customers, due: h.Customers, early: h.Customers, life: months, merchants: merchants, keep: true,
			})
			if err != nil {
				return err
			}
		}
		old, young := sides[0], sides[1]
		earlier := newBareRun(old, earlierID)
		for k := range h.Months {
			if err := earlier.round(ctx, k-h.Months); err != nil {
				return err
			}
		}
		h.say("planted %d months", h.Months)
		err := errors.Join(old.analyze(ctx), young.analyze(ctx))
		if err != nil {
			return err
		}
		if report.Machine, err = h.look(ctx, g, old.db); err != nil {
			return err
		}
		err = h.take(ctx, report, turns{
			rounds:  h.Rounds,
			ours:    func(ctx context.Context, k int) (int64, error) { return h.round(ctx, old, k) },
			against: func(ctx context.Context, k int) (int64, error) { return h.round(ctx, young, k) },
			warm:    func(ctx context.Context) error { return errors.Join(old.analyze(ctx), young.analyze(ctx)) },
		})
		if err != nil {
			return err
		}
		report.ratioBar(909) // 1 / 1.1
		for i, p := range sides {
			found, err := p.audit(ctx, (warmUp+h.Rounds)*h.Customers, []int{h.Months * h.Customers, 0}[i])
			if err != nil {
				return err
			}
			report.Checked = found
		}
		return nil
	})
}
