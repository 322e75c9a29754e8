package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// Options are what a Courier works with. Zero values are the defaults.
type Options struct {
	Store   *store.Store
	Cashier *cashier.Cashier // opens the secrets of endpoints
	Now     func() time.Time // the world's clock, by which retries go
	Log     *slog.Logger
	Forms   []*Form

	Allow       []netip.Prefix // networks that messages are sent to though they are not of the public internet
	InFlight    int            // requests under way at once, in all; default 128
	PerEndpoint int            // of one endpoint, while it takes what is sent; default 4
	Poll        time.Duration  // how often the queues are looked at; default 1 s
	Keep        time.Duration  // how long a delivery that has ended is kept; default 30 days, negative for ever

	// Sent is told of each try, for metrics; may be nil.
	Sent func(dialect string, o Outcome)

	// Ready says by an error that the books are not known to be the right ones;
	// nothing is told then. Nil is always ready.
	Ready func(context.Context) error
}

// Outcome is what came of a try.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered"
	Failed    Outcome = "failed"   // and tried again later
	GivenUp   Outcome = "given-up" // and not tried again
)

const (
	longestTimeout = time.Minute

	// A worker that was stopped for longer than this between taking a message and
	// sending it does not send it any more: its lease may run out under its hands.
	leaseSlack = 20 * time.Second

	purgeEvery = 10 * time.Minute
	purgeBatch = 500
	rest       = 30 * time.Second // of a merchant whose queue cannot be worked on
)

// Courier delivers. Its life is New, Run.
type Courier struct {
	Options
	ways    map[string]*way // by dialect
	batch   int
	wake    chan struct{}
	flights sync.WaitGroup

	mu      sync.Mutex
	flying  int                        // workers, in all
	workers map[billing.EndpointID]int // of each endpoint
	failing map[billing.EndpointID]bool
	crowded bool // an endpoint found no free place: who is done makes way
	rests   map[billing.MerchantID]time.Time
	round   int
	purged  time.Time
	settled int // tries that were written down
}

// way is a form and the client that sends its messages.
type way struct {
	*Form
	client *http.Client
}

// New makes a Courier. It refuses forms that cannot be worked with.
func New(o Options) (*Courier, error) {
	if o.InFlight == 0 {
		o.InFlight = 128
	}
	if o.PerEndpoint == 0 {
		o.PerEndpoint = 4
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Sent == nil {
		o.Sent = func(string, Outcome) {}
	}
	c := &Courier{Options: o, ways: make(map[string]*way), batch: min(o.Store.BatchSize(), 200), wake: make(chan struct{}, 1),
		workers: make(map[billing.EndpointID]int), failing: make(map[billing.EndpointID]bool), rests: make(map[billing.MerchantID]time.Time)}
	transport := newTransport(guard{o.Allow})
	for _, f := range o.Forms {
		if f.Policy.Timeout <= 0 || f.Policy.Timeout > longestTimeout || c.ways[f.Dialect] != nil {
			return nil, fmt.Errorf("notify: the form of %s has no timeout up to %s, or comes twice", f.Dialect, longestTimeout)
		}
		c.ways[f.Dialect] = &way{f, newClient(transport, f.Policy)}
	}
	return c, nil
}

// Wake has a waiting Run look at the queues now.
func (c *Courier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx is done, and then waits for what is under way and writes it
// down: not longer than the longest timeout of a form.
func (c *Courier) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.Poll)
	defer ticker.Stop()
	defer c.flights.Wait()
	for {
		if _, err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.Log.ErrorContext(ctx, "deliveries", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-c.wake:
		}
	}
}

// Once tells and sends all that is due now, and returns when that is done.
func (c *Courier) Once(ctx context.Context) error {
	for ctx.Err() == nil {
		before := c.steps()
		told, err := c.look(ctx)
		c.flights.Wait()
		if err != nil || told == 0 && c.steps() == before {
			return err
		}
	}
	return nil
}

// steps counts the tries that were written down.
func (c *Courier) steps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled
}

// look goes once round the merchants that have something to be told, makes the
// deliveries of their events, and puts workers to the endpoints that have some
// due. It returns how many events were told.
func (c *Courier) look(ctx context.Context) (told int, err error) {
	if c.Ready != nil && c.Ready(ctx) != nil {
		return 0, nil // somebody has said why
	}
	ids, err := c.Store.ToTell(ctx, c.Now())
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.crowded = false
	c.round++
	first := c.round
	c.mu.Unlock()
	var faults []error
	for i := range ids {
		id := ids[(first+i)%len(ids)] // not always the same ones first
		if ctx.Err() != nil {
			break
		}
		if c.resting(id) {
			continue
		}
		n, err := c.merchant(ctx, id)
		told += n
		if err != nil {
			c.mu.Lock()
			c.rests[id] = c.Now().Add(rest)
			c.mu.Unlock()
			faults = append(faults, fmt.Errorf("notify: merchant %d: %w", id, err))
		}
	}
	return told, errors.Join(append(faults, c.purge(ctx))...)
}

func (c *Courier) resting(id billing.MerchantID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Now().Before(c.rests[id]) {
		return true
	}
	delete(c.rests, id)
	return false
}

// merchant does one merchant's part of a look.
func (c *Courier) merchant(ctx context.Context, id billing.MerchantID) (told int, err error) {
	for ctx.Err() == nil {
		n, err := c.fanOut(ctx, id)
		told += n
		if err != nil {
			return told, err
		}
		if n < c.batch {
			break
		}
	}
	var due map[billing.EndpointID]int
	err = c.Store.View(ctx, id, func(v *store.View) error {
		due, err = v.DueDeliveries(ctx, c.Now(), c.PerEndpoint)
		return err
	})
	for endpoint, n := range due {
		for range n {
			if !c.hire(endpoint) {
				break
			}
			acting := context.WithoutCancel(ctx)
			c.flights.Go(func() { c.work(ctx, acting, id, endpoint) })
		}
	}
	return told, err
}

// hire takes a place for a worker of an endpoint, if there is one.
func (c *Courier) hire(e billing.EndpointID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.PerEndpoint
	if c.failing[e] {
		most = 1 // a dead receiver holds one place, not all of them
	}
	if c.workers[e] >= most {
		return false
	}
	if c.flying >= c.InFlight {
		c.crowded = true
		return false
	}
	c.flying++
	c.workers[e]++
	return true
}

// dismiss reports whether a worker that has sent something is to go: its endpoint
// fails and another worker is at it, or others wait for a place.
func (c *Courier) dismiss(e billing.EndpointID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crowded || c.failing[e] && c.workers[e] > 1
}

func (c *Courier) leave(e billing.EndpointID) {
	c.mu.Lock()
	c.flying--
	c.workers[e]--
	if c.workers[e] == 0 {
		delete(c.workers, e)
	}
	crowded := c.crowded
	c.mu.Unlock()
	if crowded {
		c.Wake()
	}
}

func (c *Courier) note(e billing.EndpointID, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		delete(c.failing, e)
		return
	}
	c.failing[e] = true
}

// work sends what is due at an endpoint, one message after the other, until there
// is no more. What it has taken it sees through though ctx ends; acting is ctx
// without its end.
func (c *Courier) work(ctx, acting context.Context, m billing.MerchantID, e billing.EndpointID) {
	defer c.leave(e)
	for ctx.Err() == nil {
		j, err := c.take(acting, m, e)
		if err != nil {
			c.Log.ErrorContext(ctx, "a message could not be taken from the queue", "merchant", int64(m), "endpoint", int64(e), "error", err)
			return
		}
		if j == nil {
			return
		}
		var y *billing.Try
		if !j.late && !j.stale(c.Now()) {
			y = c.send(acting, j.to, j.delivery)
			c.note(e, taken(y.Status))
		}
		if err := c.settle(acting, j, y); err != nil {
			c.Log.ErrorContext(ctx, "a try could not be written down; the message is sent again when its lease has run out",
				"merchant", int64(m), "delivery", int64(j.delivery.ID), "error", err)
			return
		}
		if c.dismiss(e) {
			return
		}
	}
}

// job is a delivery in a worker's hands.
type job struct {
	to       Endpoint
	merchant billing.MerchantID
	delivery *billing.Delivery
	taken    time.Time
	late     bool // it is too old to be sent
}

// stale reports whether so much time has passed since the job was taken that it
// may be another worker's before it is done.
func (j *job) stale(now time.Time) bool { return now.Sub(j.taken) >= leaseSlack/2 }

// take claims the next delivery of an endpoint: the try is written down as begun
// before it is made.
func (c *Courier) take(ctx context.Context, id billing.MerchantID, e billing.EndpointID) (*job, error) {
	var j *job
	err := c.Store.Update(ctx, id, func(tx *store.Tx) error {
		j = nil
		endpoint, err := tx.Endpoint(ctx, e)
		if err != nil || endpoint.Disabled || c.ways[endpoint.Dialect] == nil {
			return err
		}
		policy := c.ways[endpoint.Dialect].Policy
		now := c.Now()
		d, err := tx.ClaimDelivery(ctx, e, now, now.Add(policy.Timeout+leaseSlack))
		if err != nil || d == nil {
			return err
		}
		m, err := tx.Merchant(ctx)
		if err != nil {
			return err
		}
		secrets, err := c.Cashier.EndpointSecrets(m, endpoint)
		if err != nil {
			return err
		}
		j = &job{to: Endpoint{endpoint, secrets}, merchant: id, delivery: d, taken: now,
			late: policy.Lifetime > 0 && now.Sub(d.CreatedAt) > policy.Lifetime && d.RoundFrom == 0}
		return nil
	})
	return j, err
}

// settle writes down what came of a try, nil if none was made, and lets the next
// of the lane go if this one has ended.
func (c *Courier) settle(ctx context.Context, j *job, y *billing.Try) error {
	var d *billing.Delivery
	form := c.ways[j.to.Dialect].Form
	policy, pauses, outcome := form.Policy, form.Policy.Pauses, Failed
	if form.Once != nil && form.Once(j.to.Settings) {
		pauses = nil
	}
	err := c.Store.Update(ctx, j.merchant, func(tx *store.Tx) error {
		if j.delivery.Lane != 0 { // held until the end, so that nobody lines up behind what ends now
			if _, err := tx.LockEndpoint(ctx, j.to.ID); err != nil {
				return err
			}
		}
		var err error
		if d, err = tx.LockDelivery(ctx, j.delivery.ID); err != nil {
			return err
		}
		if y != nil {
			if err := tx.InsertTry(ctx, y); err != nil {
				return err
			}
		}
		if !d.EndedAt.IsZero() {
			return nil // it was erased, or another worker was done with it
		}
		ours := d.LeaseUntil.UnixMicro() == j.delivery.LeaseUntil.UnixMicro() && d.Tries == j.delivery.Tries
		now := c.Now()
		switch {
		case y != nil && taken(y.Status):
			d.Taken(now)
		case !ours:
			return nil // another worker has it, whose try decides
		case j.late || y != nil && policy.final(y.Status):
			d.GiveUp(now)
		case y == nil:
			d.LeaseUntil, d.Tries = time.Time{}, d.Tries-1 // it was not tried; somebody else is quicker
		default:
			d.Refused(now, pauses)
		}
		if err := tx.UpdateDelivery(ctx, d); err != nil || d.EndedAt.IsZero() || d.Lane == 0 {
			return err
		}
		return tx.FreeLane(ctx, d.EndpointID, d.Lane, now)
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.settled++
	c.mu.Unlock()
	switch d.State {
	case billing.DeliveryDone:
		outcome = Delivered
	case billing.DeliveryGivenUp:
		outcome = GivenUp
		attributes := []any{"merchant", int64(j.merchant), "endpoint", j.to.Code, "delivery", int64(d.ID), "kind", d.Kind, "tries", d.Tries}
		if y != nil {
			attributes = append(attributes, "status", y.Status, "fault", y.Fault)
		}
		c.Log.WarnContext(ctx, "a message is given up", attributes...)
	case billing.DeliveryHeld, billing.DeliveryWaiting:
	}
	c.Sent(j.to.Dialect, outcome)
	return nil
}

// purge removes, now and then, deliveries that ended long ago.
func (c *Courier) purge(ctx context.Context) error {
	now := c.Now()
	c.mu.Lock()
	due := c.Keep > 0 && (c.purged.IsZero() || now.Sub(c.purged) >= purgeEvery)
	if due {
		c.purged = now
	}
	c.mu.Unlock()
	if !due {
		return nil
	}
	ids, err := c.Store.Telling(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		for n := purgeBatch; n == purgeBatch && ctx.Err() == nil; {
			err := c.Store.Update(ctx, id, func(tx *store.Tx) error {
				n, err = tx.PurgeDeliveries(ctx, now.Add(-c.Keep), purgeBatch)
				return err
			})
			if err != nil {
				return fmt.Errorf("notify: clear away old deliveries: %w", err)
			}
		}
	}
	return nil
}

// Resend has a delivery sent again, whatever became of it, with the same body and
// a round of tries of its own. It goes at once, whatever its lane. by is who wants
// that, and why, at the world's time.
func Resend(ctx context.Context, st *store.Store, which *billing.Delivery, by billing.Act) error {
	return st.Update(ctx, which.MerchantID, func(tx *store.Tx) error {
		if _, err := tx.LockEndpoint(ctx, which.EndpointID); err != nil {
			return err
		}
		d, err := tx.LockDelivery(ctx, which.ID)
		if err != nil {
			return err
		}
		if err := d.Resend(by.At); err != nil {
			return err
		}
		if err := tx.UpdateDelivery(ctx, d); err != nil {
			return err
		}
		by.Act, by.Noun, by.Object = "sent again", "message", int64(d.ID)
		return tx.InsertAct(ctx, by)
	})
}
