package billrun

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// walksAtOnce is how many merchants are walked at the same time. It is larger
// than the machine needs, because most of a walk is waiting for the bank, and
// small enough that their batches fit in memory.
const walksAtOnce = 32

// crew walks many merchants at the same time, each of them once.
type crew struct {
	r     *Runner
	slots chan struct{}
	walks sync.WaitGroup
	done  func(Summary, error) // told of each walk, one at a time

	mu      sync.Mutex
	walking map[billing.MerchantID]bool
}

func (r *Runner) crew(done func(Summary, error)) *crew {
	return &crew{r: r, slots: make(chan struct{}, walksAtOnce), done: done, walking: make(map[billing.MerchantID]bool)}
}

// setOut finds the merchants that have work, and begins a walk for each that is
// not being walked already and need not rest. It returns when all have begun; an
// end of ctx ends the waiting too.
func (c *crew) setOut(ctx context.Context) error {
	due, err := c.r.Store.MerchantsDue(ctx, c.r.Now())
	if err != nil {
		return err
	}
	for _, id := range due {
		if ctx.Err() != nil {
			return nil
		}
		if c.r.rests(id) || !c.begin(id) {
			continue
		}
		if c.r.InFlight == 1 { // nothing happens at once
			c.walk(ctx, id)
			continue
		}
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		c.walks.Go(func() {
			defer func() { <-c.slots }()
			c.walk(ctx, id)
		})
	}
	return nil
}

func (c *crew) begin(id billing.MerchantID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	walking := c.walking[id]
	c.walking[id] = true
	return !walking
}

func (c *crew) walk(ctx context.Context, id billing.MerchantID) {
	sum, err := c.r.Merchant(ctx, id)
	c.r.note(id, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.walking, id)
	c.done(sum, err)
}

// Run works until ctx is done, and then stops at a safe point: nothing new is
// claimed, and what was sent is waited for and written down. Merchants do not
// wait for each other: what falls due for one is taken up while the bank of
// another takes its time.
func (r *Runner) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.Poll)
	defer ticker.Stop()
	failed := func(err error) {
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "billing run", "error", err)
		}
	}
	c := r.crew(func(_ Summary, err error) { failed(err) })
	defer c.walks.Wait()
	for {
		if r.Ready == nil || r.Ready(ctx) == nil { // else somebody has said why
			failed(c.setOut(ctx))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-r.wake:
		}
	}
}

// Once does all that is due now, for all merchants. A merchant whose work fails
// does not keep the others from theirs, and is left alone for a while; the
// errors are joined.
func (r *Runner) Once(ctx context.Context) (Summary, error) {
	var total Summary
	var faults []error
	c := r.crew(func(sum Summary, err error) {
		total.Add(sum)
		if err != nil {
			faults = append(faults, err)
		}
	})
	err := c.setOut(ctx)
	c.walks.Wait()
	return total, errors.Join(append(faults, err)...)
}

func (r *Runner) rests(id billing.MerchantID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Now().Before(r.resting[id].until)
}

func (r *Runner) note(id billing.MerchantID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.resting, id)
		return
	}
	failures := r.resting[id].failures + 1
	pause := min(time.Second<<min(failures-1, 10), longestRest)
	r.resting[id] = rest{failures: failures, until: r.Now().Add(pause)}
}
