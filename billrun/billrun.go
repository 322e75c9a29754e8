// Package billrun does everything that happens because time passed: invoices,
// claims, retries, settlements and returns, late fees, and the rescue of
// attempts whose worker died.
//
// The rows of the books are the queue: a subscription's next event, a debt's
// next claim, a pending claim's next asking. Work is claimed in short
// transactions and acted on outside them, so any number of runs may work on one
// database and any of them may be killed: what it had claimed is found again.
//
// Time is walked, not jumped over. A merchant's due moments are taken one after
// the other, and for a test merchant, whose clock may have been moved by a year,
// each is done as of its own instant. So one jump and daily steps leave the same
// books, and when the worker woke up changes no date and no amount.
package billrun

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// Options are what a Runner works with. Zero values are the defaults.
type Options struct {
	Store    *store.Store
	Cashier  *cashier.Cashier
	Now      func() time.Time // the world's clock
	Log      *slog.Logger
	Batch    int            // rows claimed in one transaction; default 50 on SQLite, 500 on PostgreSQL
	InFlight int            // charges under way at once; default 64; 1 sends them one after the other, in the order of the books
	Desks    int            // transactions of the run at once; default by the engine; the simulator, whose workers stand still in them, sets many
	Poll     time.Duration  // how often the queues are looked at when nobody wakes the runner; default 1 s
	Progress func(Progress) // told after each batch, one at a time; may be nil

	// Ready says by an error that nothing may be billed now; the runner then
	// waits. Nil is always ready.
	Ready func(context.Context) error
}

// Progress is how far a run has come.
type Progress struct {
	Merchant *billing.Merchant
	From, At time.Time // the merchant's time at which the walk began, and where it is
	To       time.Time // where it goes
	Summary  Summary   // of the run so far
	Step     Summary   // of what was done since the last Progress of the run
}

// Summary counts what a run did.
type Summary struct {
	Events    int // subscriptions that were moved past their next event
	Invoices  int
	Collected int // claims approved, at once or after clearing
	Pending   int // claims that are in clearing
	Declined  int
	Unknown   int
	Notices   int
	Amounts   map[billing.Currency]Amounts
}

// Amounts are a run's sums of one currency, in minor units.
type Amounts struct {
	Collected, Pending, Declined, Unknown int64
}

// Add counts another summary in.
func (s *Summary) Add(o Summary) {
	s.Events += o.Events
	s.Invoices += o.Invoices
	s.Collected += o.Collected
	s.Pending += o.Pending
	s.Declined += o.Declined
	s.Unknown += o.Unknown
	s.Notices += o.Notices
	for c, a := range o.Amounts {
		sum := s.Amounts[c]
		sum.Collected += a.Collected
		sum.Pending += a.Pending
		sum.Declined += a.Declined
		sum.Unknown += a.Unknown
		if s.Amounts == nil {
			s.Amounts = make(map[billing.Currency]Amounts)
		}
		s.Amounts[c] = sum
	}
}

// clone copies a summary, for somebody who keeps it while it grows.
func (s Summary) clone() Summary {
	s.Amounts = maps.Clone(s.Amounts)
	return s
}

// counted is the summary of one answer of a processor.
func counted(a *billing.Attempt) Summary {
	var one Summary
	var sum Amounts
	switch a.State {
	case billing.AttemptApproved:
		one.Collected, sum.Collected = 1, a.Amount.Minor()
	case billing.AttemptPending:
		one.Pending, sum.Pending = 1, a.Amount.Minor()
	case billing.AttemptDeclined:
		one.Declined, sum.Declined = 1, a.Amount.Minor()
	case billing.AttemptUnknown, billing.Sending:
		one.Unknown, sum.Unknown = 1, a.Amount.Minor()
	}
	one.Amounts = map[billing.Currency]Amounts{a.Amount.Currency(): sum}
	return one
}

// Runner does the work that time brings.
type Runner struct {
	Options
	wake    chan struct{}
	places  *places       // InFlight of them
	desks   chan struct{} // the run's transactions at once
	telling sync.Mutex    // Progress

	mu      sync.Mutex
	resting map[billing.MerchantID]rest // whose last run failed
}

// rest is how long a merchant whose run failed is left alone.
type rest struct {
	failures int
	until    time.Time // by the world's clock
}

// longestRest bounds the pause after failures, which doubles from one second.
const longestRest = time.Minute

// New makes a Runner.
func New(o Options) *Runner {
	if o.Batch == 0 {
		o.Batch = o.Store.BatchSize()
	}
	if o.Desks == 0 {
		o.Desks = o.Store.Desks()
	}
	if o.InFlight == 0 {
		o.InFlight = 64
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return &Runner{Options: o, wake: make(chan struct{}, 1), places: newPlaces(o.InFlight),
		desks: make(chan struct{}, o.Desks), resting: make(map[billing.MerchantID]rest)}
}

// Wake has a waiting Run look at the queues now.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Merchant does all that is due now for one merchant, moment by moment.
func (r *Runner) Merchant(ctx context.Context, id billing.MerchantID) (Summary, error) {
	w := &walk{r: r, party: r.places.party()}
	for ctx.Err() == nil {
		work, err := w.look(ctx, id)
		if err != nil {
			return w.sum, err
		}
		wall := r.Now()
		if !work.Lease.IsZero() && !work.Lease.After(wall) {
			if err := w.rescue(ctx); err != nil {
				return w.sum, err
			}
			continue
		}
		now, first := w.m.Now(wall), work.First()
		if first.IsZero() || first.After(now) {
			break
		}
		at := now
		if w.m.Mode == billing.Test {
			if work.Busy {
				break // another worker is at an earlier moment, whose outcome decides what comes after
			}
			at = first
		}
		if w.from.IsZero() {
			w.from = at
		}
		w.to = now
		done := w.sum
		if err := w.moment(ctx, at, work); err != nil {
			return w.sum, err
		}
		if w.idle(done) {
			break // all that is due is in another worker's hands
		}
	}
	return w.sum, nil
}

// AsOf does all that is due now for one merchant and then bills what has a date
// up to a day, though the day's run that would take it up is still to come. The
// day must not lie after the merchant's today.
func (r *Runner) AsOf(ctx context.Context, id billing.MerchantID, day billing.Date) (Summary, error) {
	sum, err := r.Merchant(ctx, id)
	if err != nil {
		return sum, err
	}
	w := &walk{r: r, party: r.places.party(), sum: sum.clone()}
	if _, err := w.look(ctx, id); err != nil {
		return sum, err
	}
	now := w.m.Now(r.Now())
	today := w.m.Today(now)
	if day.After(today) {
		return sum, billing.Errorf(billing.State, "it is %s for merchant %s: nothing is billed before its day", today, w.m.Code)
	}
	w.from, w.to = now, now
	err = w.bill(ctx, now, w.m.Start(today.AddDays(1)), day)
	return w.sum, err
}

// walk is the way of one run through one merchant's due moments.
type walk struct {
	r        *Runner
	m        *billing.Merchant
	party    *party
	from, to time.Time

	mu    sync.Mutex // of what is counted while batches are claimed and answers written
	sum   Summary
	step  Summary // what was added since somebody was told
	moved int     // what was moved that the summary does not count
}

// add counts something that was done.
func (w *walk) add(s Summary) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.Add(s)
	w.step.Add(s)
}

// move counts what was moved that the summary does not count.
func (w *walk) move(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved += n
}

// tell tells of what was done.
func (w *walk) tell(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.telling.Lock()
	defer w.r.telling.Unlock()
	w.r.Progress(Progress{Merchant: w.m, From: w.from, At: at, To: w.to, Summary: w.sum.clone(), Step: w.step})
	w.step = Summary{}
}

func (w *walk) look(ctx context.Context, id billing.MerchantID) (work store.Work, err error) {
	err = w.r.Store.View(ctx, id, func(v *store.View) error {
		if w.m, err = v.Merchant(ctx); err != nil {
			return err
		}
		work, err = v.Work(ctx)
		return err
	})
	return work, err
}

// idle reports whether nothing has moved since an earlier summary.
func (w *walk) idle(since Summary) bool {
	moved := w.moved
	w.moved = 0
	return moved == 0 && w.sum.Events == since.Events && w.sum.Notices == since.Notices
}

// moment does all that is due at an instant of the merchant's clock: first what
// the bank has to say, then the daily steps in their order (protocols/unipay.md
// 6.3). A step whose queue had nothing due is passed over, unless one before it
// may have brought it work: most days have nothing but a question for notices.
func (w *walk) moment(ctx context.Context, at time.Time, work store.Work) error {
	told := w.sum.Notices
	if err := w.notices(ctx, at); err != nil {
		return err
	}
	moved := w.sum.Notices > told
	for _, step := range []struct {
		first time.Time // of its queue
		do    func(context.Context, time.Time) error
	}{
		{work.Pending, w.pending},
		{work.Age, w.grow},
		{work.Subscription, func(ctx context.Context, at time.Time) error { return w.bill(ctx, at, at, w.m.Today(at)) }},
		{work.Collect, w.collect},
	} {
		if ctx.Err() != nil {
			return nil
		}
		if !moved && (step.first.IsZero() || step.first.After(at)) {
			continue
		}
		moved = true
		if err := step.do(ctx, at); err != nil {
			return err
		}
	}
	if work.Forget.IsZero() || work.Forget.After(at) {
		return nil // none of the steps before makes work for this one
	}
	return w.forget(ctx, at)
}

// forget forgets the cards and accounts with which nothing was paid for long. It
// comes last, because what is paid on this day has been paid by now.
func (w *walk) forget(ctx context.Context, at time.Time) error {
	for ctx.Err() == nil {
		batch, err := w.r.Cashier.ForgetIdle(ctx, w.m, at, w.r.Batch)
		if err != nil || batch.Events == 0 {
			return err
		}
		w.move(batch.Events)
	}
	return nil
}

func (w *walk) notices(ctx context.Context, at time.Time) error {
	if w.m.NoticesAt.IsZero() || w.m.NoticesAt.After(at) {
		return nil
	}
	n, err := w.r.Cashier.Notices(ctx, w.m, at)
	w.add(Summary{Notices: n})
	w.move(1)
	w.tell(at)
	return err
}

func (w *walk) grow(ctx context.Context, at time.Time) error {
	for ctx.Err() == nil {
		batch, err := w.r.Cashier.Grow(ctx, w.m, at, w.r.Batch)
		if err != nil || batch.Events == 0 {
			return err
		}
		w.move(batch.Events)
	}
	return nil
}

func (w *walk) bill(ctx context.Context, at, until time.Time, latest billing.Date) error {
	bills := 0
	err := w.drain(ctx, at, func(limit int) (cashier.Batch, error) {
		batch, err := w.r.Cashier.Bill(ctx, w.m, at, until, latest, limit)
		bills += batch.Bills
		w.add(Summary{Events: batch.Events, Invoices: batch.Invoices})
		w.tell(at)
		return batch, err
	})
	if err != nil || bills == 0 {
		return err
	}
	return w.r.Cashier.NumberBills(ctx, w.m)
}

func (w *walk) collect(ctx context.Context, at time.Time) error {
	return w.drain(ctx, at, func(limit int) (cashier.Batch, error) {
		batch, err := w.r.Cashier.Collect(ctx, w.m, at, limit)
		w.move(batch.Events)
		return batch, err
	})
}

func (w *walk) pending(ctx context.Context, at time.Time) error {
	return w.drain(ctx, at, func(limit int) (cashier.Batch, error) {
		list, err := w.r.Cashier.Pending(ctx, w.m, at, limit)
		return w.asked(list), err
	})
}

// rescue asks after attempts whose lease has run out.
func (w *walk) rescue(ctx context.Context) error {
	now := w.m.Now(w.r.Now())
	return w.drain(ctx, now, func(limit int) (cashier.Batch, error) {
		list, err := w.r.Cashier.Abandoned(ctx, w.m, limit)
		return w.asked(list), err
	})
}

// asked makes a batch of attempts that are to be asked about.
func (w *walk) asked(list []*billing.Attempt) cashier.Batch {
	w.move(len(list))
	batch := cashier.Batch{Events: len(list)}
	for _, a := range list {
		batch.Orders = append(batch.Orders, cashier.Order{Attempt: a, Ask: true})
	}
	return batch
}

// claim takes up at most so many rows of a queue, in one transaction.
type claim func(limit int) (cashier.Batch, error)

// drain claims batch after batch until there is none, has the processor asked
// for each order of them, many at once, and writes down the answers in batches
// as they come. The next batch is claimed while the answers to the last are
// written, so that the database is not waited for twice. It returns when every
// answer is written, also when ctx ends.
func (w *walk) drain(ctx context.Context, at time.Time, next claim) error {
	acting := context.WithoutCancel(ctx) // what is claimed is seen through
	if w.r.InFlight == 1 {
		return w.drainInTurn(acting, ctx, at, next)
	}
	claiming, stop := context.WithCancel(ctx)
	defer stop()
	answers := newAnswers(w.r.Batch)
	claimed := make(chan error, 1)
	go func() {
		defer answers.close()
		claimed <- w.claim(claiming, next, answers, func(o cashier.Order) cashier.Answer { return w.send(acting, o, at) })
	}()
	var failure error
	for list := answers.gather(w.r.Batch); list != nil; list = answers.gather(w.r.Batch) {
		if err := w.settle(acting, at, list); err != nil {
			failure = errors.Join(failure, err)
			stop()
		}
	}
	return errors.Join(<-claimed, failure)
}

// claim claims batch after batch, and sends the orders of each, as many at a
// time as the walk has places. While the orders of one batch are sent the next
// one is claimed, so that no place waits for the database. It returns when all
// are answered.
func (w *walk) claim(ctx context.Context, next claim, answers *answers, send func(cashier.Order) cashier.Answer) error {
	var senders sync.WaitGroup
	defer senders.Wait()
	claimed, ended := make(chan []cashier.Order), make(chan error, 1)
	var took atomic.Int64
	go func() {
		defer close(claimed)
		ended <- w.claimAhead(ctx, next, claimed, &took)
	}()
	for orders := range claimed {
		begun := w.r.Now()
		answers.expect(len(orders))
		for _, o := range orders {
			w.party.take()
			senders.Go(func() {
				answer := send(o)
				w.party.leave()
				answers.put(answer)
			})
		}
		took.Store(int64(w.r.Now().Sub(begun)))
	}
	return <-ended
}

// claimAhead claims batch after batch and hands on the orders of each, whose
// sending is one batch behind; took is how long the last took to be sent.
func (w *walk) claimAhead(ctx context.Context, next claim, claimed chan<- []cashier.Order, took *atomic.Int64) error {
	limit := min(max(w.party.room(), fewest), w.r.Batch)
	for ctx.Err() == nil {
		var batch cashier.Batch
		err := w.r.atDesk(func() (err error) {
			batch, err = next(limit)
			return err
		})
		if err != nil || batch.Events == 0 {
			return err // nothing of this batch is written down, so nothing is sent
		}
		claimed <- batch.Orders
		if batch.Events < limit {
			return nil // what is left is in another worker's hands, or has come since and is found at the next look
		}
		limit = w.r.paced(limit, time.Duration(took.Load()))
	}
	return nil
}

// fewest is how many rows a walk claims at first, however few places are free.
const fewest = 16

// paced is how many rows are claimed next when those of the last batch took so
// long to be sent. Each must be on its way well before its lease runs out,
// however slow the bank is, though it waits for those of the batch before it.
func (r *Runner) paced(limit int, took time.Duration) int {
	if took > r.Cashier.Lease/8 {
		return max(limit/2, 1)
	}
	return min(2*limit, r.Batch)
}

// atDesk runs one of the run's transactions when there is a desk for it.
func (r *Runner) atDesk(work func() error) error {
	r.desks <- struct{}{}
	defer func() { <-r.desks }()
	return work()
}

// drainInTurn is drain without anything at once: a batch is claimed, sent order
// by order, and written down. acting is ctx without its end.
func (w *walk) drainInTurn(acting, ctx context.Context, at time.Time, next claim) error {
	for ctx.Err() == nil {
		batch, err := next(w.r.Batch)
		var answers []cashier.Answer
		for _, o := range batch.Orders {
			answers = append(answers, w.send(acting, o, at))
		}
		if len(answers) > 0 {
			err = errors.Join(err, w.settle(acting, at, answers))
		}
		if err != nil || batch.Events == 0 {
			return err
		}
	}
	return nil
}

// send asks the processor for one order. An order that cannot be sent keeps its
// lease and is found again when that runs out; its answer has no attempt.
func (w *walk) send(ctx context.Context, o cashier.Order, at time.Time) cashier.Answer {
	act := w.r.Cashier.Send
	if o.Ask {
		act = w.r.Cashier.Rescue
	}
	answer, err := act(ctx, w.m, o, at)
	if err != nil {
		w.r.Log.ErrorContext(ctx, "an attempt could not be sent", "merchant", w.m.Code, "attempt", int64(o.Attempt.ID), "error", err)
		return cashier.Answer{}
	}
	return answer
}

func (w *walk) settle(ctx context.Context, at time.Time, answers []cashier.Answer) error {
	sent := answers[:0]
	for _, a := range answers {
		if a.Attempt != nil {
			sent = append(sent, a)
		}
	}
	if len(sent) == 0 {
		return nil
	}
	err := w.r.atDesk(func() error {
		_, err := w.r.Cashier.Settle(ctx, w.m, at, sent)
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range sent {
		if a.Attempt.SettledBy == "" { // else a person settled it, and the processor was asked whether it agrees
			w.add(counted(a.Attempt))
		}
	}
	w.tell(at)
	return nil
}
