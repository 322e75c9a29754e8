package node

import (
	"sync"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// Clock tells the database's time on this machine, so that nodes whose clocks
// differ judge leases alike. Between two measurements it goes by this machine's
// monotonic clock. On SQLite, and before the first measurement, it is this
// machine's clock.
type Clock struct {
	source func() time.Time

	mu     sync.Mutex
	asked  time.Time     // by this machine, when the measurement began
	base   time.Time     // by this machine, when the offset was measured
	offset time.Duration // from this machine's clock to the database's
	last   time.Time
}

// slowest is how long an answer of the database may take to count as a
// measurement; half of it bounds the error.
const slowest = time.Second

// smallStep is by how much the clock may be corrected backwards without being
// seen to go back: it stands still meanwhile.
const smallStep = time.Second

// NewClock makes a clock on this machine's.
func NewClock(source func() time.Time) *Clock { return &Clock{source: source} }

// wall reads this machine's clock, and notes that a measurement begins.
func (c *Clock) wall() time.Time {
	now := c.source()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = now
	return now
}

// measure takes what the database says of the time in answer to a question that
// was begun with wall.
func (c *Clock) measure(w sqldb.Whereabouts) {
	now := c.source()
	c.mu.Lock()
	defer c.mu.Unlock()
	took := now.Sub(c.asked)
	if w.Time.IsZero() || took < 0 || took > slowest && !c.base.IsZero() {
		return
	}
	offset := w.Time.Sub(c.asked.Add(took / 2).Round(0))
	if change := offset - c.offset; c.base.IsZero() || change > took/2 || change < -took/2 || !steady(c.base, now) {
		c.offset = offset
	}
	c.base = now
}

// Now is the database's time.
func (c *Clock) Now() time.Time {
	now := c.source()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() {
		return now
	}
	at := c.base.Round(0).Add(c.offset).Add(now.Sub(c.base))
	if at.Before(c.last) && c.last.Sub(at) < smallStep {
		return c.last
	}
	c.last = at
	return at
}

// fresh reports whether less than a span has passed since an instant of this
// machine's, by both of its clocks. Where they differ the machine stood still,
// or somebody set its clock, and what is known of the time must be learnt anew.
func (c *Clock) fresh(since time.Time, span time.Duration) bool {
	now := c.source()
	return !since.IsZero() && now.Sub(since) < span && now.Round(0).Sub(since.Round(0)) < span && steady(since, now)
}

// steady reports whether the monotonic and the wall clock agree on how much time
// has passed.
func steady(since, now time.Time) bool {
	d := now.Sub(since) - now.Round(0).Sub(since.Round(0))
	return d < smallStep && d > -smallStep
}
