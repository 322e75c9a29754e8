package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// Defaults of Options.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMaxInFlight = 64
)

// Bounds of what is kept of a processor's words, in bytes.
const (
	maxMessage   = 200
	maxApproval  = 20
	maxReference = 100
	maxID        = 100
)

// Options of an Account. The zero value is every default.
type Options struct {
	// Timeout bounds one act with the processor. DefaultTimeout if zero.
	Timeout time.Duration

	// MaxInFlight bounds the acts under way at one time; more wait for at most
	// Timeout and are then not sent. DefaultMaxInFlight if zero.
	MaxInFlight int

	// Now is the clock that acts are timed with. It is needed by Observe alone;
	// without it, Took is zero.
	Now func() time.Time

	// Observe, if set, is told of each act when it is over. It must be quick
	// and safe for concurrent use.
	Observe func(Observation)
}

// Observation is one finished act, for metrics and logs. Nothing in it is secret.
type Observation struct {
	Processor string
	Act       string               // charge, authorize, void, refund, credit, lookup, notices or deeds
	State     billing.AttemptState // "" for notices and for a lookup that told nothing
	Response  billing.ResponseCode
	Took      time.Duration
	Trouble   string // why nothing was sent or nothing is known, "" if a clear answer came
}

// Account is our account with one processor: a driver and all the caution that
// is the same for every driver. It is safe for concurrent use.
type Account struct {
	driver  Driver
	name    string
	timeout time.Duration
	now     func() time.Time
	observe func(Observation)
	slots   chan struct{} // holds one value for each act under way
}

// New makes an account over a driver. It refuses a driver whose name cannot be
// part of a ledger account's, and options that make no sense.
func New(d Driver, o Options) (*Account, error) {
	name := d.Name()
	if !validName(name) {
		return nil, fmt.Errorf("processor: %q is no name for a driver: 2 to 20 small letters, digits and hyphens", bound(name, 40))
	}
	if o.Timeout < 0 || o.MaxInFlight < 0 {
		return nil, fmt.Errorf("processor: the options of %s are below zero", name)
	}
	a := &Account{driver: d, name: name, timeout: o.Timeout, now: o.Now, observe: o.Observe}
	if a.timeout == 0 {
		a.timeout = DefaultTimeout
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	a.slots = make(chan struct{}, o.MaxInFlight)
	if a.now == nil {
		a.now = func() time.Time { return time.Time{} }
	}
	if a.observe == nil {
		a.observe = func(Observation) {}
	}
	return a, nil
}

// Name is the driver's: what the processor is called in the books.
func (a *Account) Name() string { return a.name }

// Credits reports whether the processor pays out without an original charge.
func (a *Account) Credits() bool {
	_, ok := a.driver.(Creditor)
	return ok
}

// Authorizes reports whether the processor can be asked whether a card would pay.
func (a *Account) Authorizes() bool {
	_, ok := a.driver.(Authorizer)
	return ok
}

// Do performs one act and tells what is known of it, in the four states
// approved, pending, declined and unknown. It has no error: whatever goes wrong
// after the request may have left is an unknown outcome, and what surely never
// left is a decline with code 91 (96 where the processor refused to look at it).
//
// ctx carries values only. Its end is ignored, because a client that hangs up
// must not leave a charge half done; Do returns after Options.Timeout at the
// latest, or twice that where it had to wait for its turn.
func (a *Account) Do(ctx context.Context, kind billing.AttemptKind, r Request) billing.Outcome {
	act, out := a.prepare(kind, &r)
	trouble := out.Message
	start := a.now()
	if act != nil {
		answer, err := run(a, context.WithoutCancel(ctx), func(ctx context.Context) (billing.Outcome, error) {
			return act(ctx, r)
		})
		out, trouble = judge(&r, answer, err)
	}
	a.observe(Observation{
		Processor: a.name, Act: string(kind), State: out.State, Response: out.Response,
		Took: a.now().Sub(start), Trouble: trouble,
	})
	return out
}

// prepare finds the driver's method for a kind of act, or says with a decline
// why there is nothing to be sent.
func (a *Account) prepare(kind billing.AttemptKind, r *Request) (func(context.Context, Request) (billing.Outcome, error), billing.Outcome) {
	if r.Reference == "" || len(r.Reference) > maxReference || r.Merchant == "" {
		return nil, declined("12", "not sent: an act needs a merchant and a reference")
	}
	if r.Amount.Sign() <= 0 || r.Amount.Currency() == "" {
		return nil, declined("13", "not sent: an act needs an amount above zero")
	}
	switch kind {
	case billing.AskCharge:
		return a.driver.Charge, billing.Outcome{}
	case billing.AskAuthorize:
		z, ok := a.driver.(Authorizer)
		switch {
		case !ok:
			return nil, declined("58", "not sent: this processor does not authorise without taking the money")
		case !r.Instrument.IsCard():
			return nil, declined("12", "not sent: only a card can be authorised")
		}
		return z.Authorize, billing.Outcome{}
	case billing.AskVoid, billing.AskRefund:
		if r.Original == "" && r.OriginalID == "" {
			return nil, declined("25", "not sent: nothing is named that could be taken back")
		}
		if kind == billing.AskVoid {
			return a.driver.Void, billing.Outcome{}
		}
		return a.driver.Refund, billing.Outcome{}
	case billing.AskCredit:
		if c, ok := a.driver.(Creditor); ok {
			return c.Credit, billing.Outcome{}
		}
		return nil, declined("58", "not sent: this processor pays nothing out without a charge")
	}
	return nil, declined("12", "not sent: no such kind of act")
}

// Lookup asks the processor for the outcome of an earlier act by our reference.
// found is false if the processor has not seen it (see Driver.Lookup for what
// that proves). An act that the processor is still busy with is found and
// unknown. An error means that nothing was learned. Unlike Do it ends with ctx.
// The caller compares the outcome's amount with the attempt's.
func (a *Account) Lookup(ctx context.Context, merchant, reference string, at time.Time) (out billing.Outcome, found bool, err error) {
	start := a.now()
	answer, err := run(a, ctx, func(ctx context.Context) (billing.Outcome, error) {
		return a.driver.Lookup(ctx, merchant, reference, at)
	})
	seen := Observation{Processor: a.name, Act: "lookup"}
	switch {
	case errors.Is(err, ErrNotFound):
		err = nil
	case err != nil:
		seen.Trouble = redactor{}.text(err.Error(), maxMessage)
		err = fmt.Errorf("processor: %s: look-up: %w", a.name, redacted(err))
	default:
		var contradiction string
		out, contradiction = settle(redactor{}, billing.Money{}, answer)
		if contradiction != "" {
			seen.Trouble = contradiction
			err = fmt.Errorf("processor: %s: look-up: %s", a.name, contradiction)
			out = billing.Outcome{}
			break
		}
		found, seen.State, seen.Response = true, out.State, out.Response
	}
	seen.Took = a.now().Sub(start)
	a.observe(seen)
	return out, found, err
}

// Notices lists the processor's notices of a merchant after the one numbered
// after, in order, each once. A processor without notices has none. If one of
// them is malformed, those before it are returned together with an error.
func (a *Account) Notices(ctx context.Context, merchant string, after int64, at time.Time) ([]billing.Notice, error) {
	n, ok := a.driver.(Noticer)
	if !ok {
		return nil, nil
	}
	start := a.now()
	notices, err := run(a, ctx, func(ctx context.Context) ([]billing.Notice, error) {
		return n.Notices(ctx, merchant, after, at)
	})
	seen := Observation{Processor: a.name, Act: "notices"}
	if err != nil {
		notices, err = nil, fmt.Errorf("processor: %s: notices: %w", a.name, redacted(err))
	} else {
		notices, err = checkNotices(notices, after)
		if err != nil {
			err = fmt.Errorf("processor: %s: %w", a.name, err)
		}
	}
	if err != nil {
		seen.Trouble = redactor{}.text(err.Error(), maxMessage)
	}
	seen.Took = a.now().Sub(start)
	a.observe(seen)
	return notices, err
}

// run calls the driver under the account's own deadline and limit. It returns
// at the deadline even if the driver does not; the driver's place is then taken
// until it does, so that a processor that hangs cannot use up the machine.
func run[T any](a *Account, ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := a.enter(ctx); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	done := make(chan answer, 1)
	go func() {
		defer func() {
			// A driver that breaks has perhaps sent its request, so this is
			// an unknown outcome like any other.
			if v := recover(); v != nil {
				done <- answer{err: broken(v)}
			}
			cancel()
			<-a.slots
		}()
		v, err := call(ctx)
		done <- answer{v, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
	}
	select {
	case got := <-done:
		return got.value, got.err // both came at once: what is known counts
	default:
		return none, ctx.Err()
	}
}

// broken describes a panic. Only the runtime's own words are repeated, because a
// driver's may hold the request.
func broken(v any) error {
	if e, ok := v.(runtime.Error); ok {
		return fmt.Errorf("the driver broke: %w", e)
	}
	return errors.New("the driver broke")
}

// enter waits for a free place among the acts under way.
func (a *Account) enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: too many acts are under way", ErrNotSent)
	}
}

func validName(s string) bool {
	if len(s) < 2 || len(s) > 20 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
