package simulate

import (
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// end brings the world to rest: who stands still goes on, the bank answers
// again, what is late arrives, leases run out, and time passes until every claim
// of before has had its fate.
func (w *world) end() {
	w.log("the end")
	w.deaths = 0
	r := lottery(w.story.Seed, 3)
	w.settle(r, -1)
	w.line.down, w.line.twice, w.line.crossed, w.line.repeat = 0, 0, 0, 0
	for _, s := range w.shops {
		w.check(w.bank.SetFaults(w.ctx, s.code))
	}
	_, err := w.bank.Deliver(w.ctx)
	w.check(err)
	w.rest()
	late := 0 // the latest day on which a bank has something to say of what it did
	for _, s := range w.shops {
		late = max(late, s.terms.SettleDays+2*s.terms.LateDays)
	}
	for _, days := range []int{1, late + 1, 1} {
		live := false
		for _, s := range w.shops {
			if s.mode == billing.Live {
				if live {
					continue // they share the world's clock
				}
				live = true
			}
			w.forward(s, w.processes[0], days)
		}
		w.rest()
	}
}

// mostRounds bounds how often workers run before the end, an hour apart. The
// pauses between the askings after an unknown outcome grow to a day, and a bank
// that has not seen a request is asked a few times more before it counts as never
// sent: all must be known well before eight days are over.
const mostRounds = 8 * 24

// rest has workers run until no attempt is in anybody's hands.
func (w *world) rest() {
	for round := range mostRounds {
		r := lottery(w.story.Seed, 1000+uint64(round))
		w.run(w.processes[round%len(w.processes)])
		w.settle(r, -1)
		held := false
		for _, s := range w.shops {
			work, err := w.work(s)
			w.check(err)
			held = held || !work.Lease.IsZero()
		}
		if !held || len(w.result.Faults) > 0 {
			return
		}
		w.wall = w.wall.Add(time.Hour)
	}
	w.fault("attempt", "an attempt has no outcome though the bank has answered for %d hours", mostRounds)
}

func (w *world) work(s *shop) (work store.Work, err error) {
	err = w.books.View(w.ctx, s.id, func(v *store.View) error {
		work, err = v.Work(w.ctx)
		return err
	})
	if err != nil {
		err = fmt.Errorf("work of %s: %w", s.code, err)
	}
	return work, err
}
