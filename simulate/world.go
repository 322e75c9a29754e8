package simulate

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// Fault is what a story has brought to light.
type Fault struct {
	Rule string // which promise is broken, in a word or two
	Text string
}

// Error is the fault as one line.
func (f *Fault) Error() string { return f.Rule + ": " + f.Text }

// Result is what became of a story.
type Result struct {
	Faults   []*Fault       // none if every promise was kept
	Books    string         // the books and the journal as text: the same seed, the same text
	Log      []string       // what happened, act by act
	Steps    map[string]int // how often each named step was come to
	Deaths   map[string]int // and how often the process died there
	Attempts int            // askings of the processor in the books
	Captured int            // good captures and claims in the bank's journal
}

// world is one story's: clock, databases, bank, processes.
type world struct {
	ctx       context.Context
	books     *store.Store
	db        *sqldb.DB // the same books, read by SQL of the judge's own
	story     *Story
	wall      time.Time
	bank      *sandbox.Bank
	line      *line
	account   *processor.Account
	stage     *Stage
	processes []*process
	actors    []*actor // who stands still in the middle of something
	shops     []*shop
	deaths    int // per million steps, 0 while the world ends
	result    Result
}

// process is what dies at once: a cashier and a billing run, and whoever is in
// the middle of something there.
type process struct {
	cashier *cashier.Cashier
	runner  *billrun.Runner
	wire    http.Handler // the same, as clients reach it
}

// actor is someone in the middle of something: a coroutine that stands still at
// each named step.
type actor struct {
	name    string
	process *process
	stand   func(string) bool // called by the actor: false means death
	next    func() (string, bool)
	stop    func()
	came    bool // to any step at all
}

// died is what an actor's process dies of.
type died struct{}

type actorKey struct{}

// step is cashier.Options.Step: the actor stands still until it is its turn.
func step(ctx context.Context, name string) {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok && !a.stand(name) {
		panic(died{})
	}
}

// Play plays a story and judges it. An error says that it could not be played.
func (s *Stage) Play(ctx context.Context, story Story) (result *Result, err error) {
	w, err := s.perform(ctx, story)
	if err != nil {
		return nil, err
	}
	defer w.leave()
	if len(w.result.Faults) == 0 {
		if err := w.judge(); err != nil {
			return nil, fmt.Errorf("simulate: judge: %w", err)
		}
	}
	return &w.result, nil
}

// perform plays a story to its end and leaves the judging, and the leaving, to
// the caller.
func (s *Stage) perform(ctx context.Context, story Story) (w *world, err error) {
	w = &world{ctx: ctx, story: &story, wall: birth(), stage: s, deaths: story.Deaths,
		result: Result{Steps: map[string]int{}, Deaths: map[string]int{}}}
	if err := s.empty(ctx); err != nil {
		return nil, err
	}
	w.books, w.db = s.store(w.now), s.books
	if err := w.build(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	for i, act := range story.Acts {
		w.log("act %d: %s", i, act)
		w.play(act)
	}
	w.end()
	return w, nil
}

// leave ends whoever still stands somewhere.
func (w *world) leave() {
	for _, a := range w.actors {
		a.stop()
	}
}

// build puts a world together.
func (w *world) build() (err error) {
	w.line = &line{absent: map[string]int{}}
	if w.bank, err = sandbox.New(w.ctx, w.stage.bank, sandbox.Options{Silent: w.line.silent}); err != nil {
		return err
	}
	w.line.bank, w.line.next = w.bank, sandbox.Embedded(w.bank)
	driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, w.line)
	if err != nil {
		return err
	}
	if w.account, err = processor.New(driver, processor.Options{Timeout: time.Minute}); err != nil {
		return err
	}
	for range w.story.Processes {
		w.processes = append(w.processes, w.boot())
	}
	for m := range w.story.Merchants {
		if err := w.openShop(m); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) now() time.Time { return w.wall }

// boot starts a process. It knows nothing but what is in the books.
func (w *world) boot() *process {
	log := slog.New(&listener{w: w})
	c := cashier.New(cashier.Options{Store: w.books, Vault: w.stage.vault, Now: w.now, Log: log, Step: step,
		Processor: func(*billing.Merchant) (*processor.Account, error) { return w.account, nil }})
	batch := 1 + len(w.processes)*2 // small, so that work is divided among many
	r := billrun.New(billrun.Options{Store: w.books, Cashier: c, Now: w.now, Log: log, Batch: batch, InFlight: 1, Desks: mostSteps})
	return &process{cashier: c, runner: r, wire: unipay.New(unipay.Options{Cashier: c, Log: log})}
}

func (w *world) log(format string, args ...any) {
	w.result.Log = append(w.result.Log, fmt.Sprintf(format, args...))
}

func (w *world) fault(rule, format string, args ...any) {
	f := &Fault{rule, fmt.Sprintf(format, args...)}
	w.log("FAULT %v", f)
	w.result.Faults = append(w.result.Faults, f)
}

// begin has someone begin something in a process. do returns an error that is
// no fault if it is a refusal (billing.Error of a kind that is the client's).
func (w *world) begin(p *process, name string, do func(context.Context) error) *actor {
	a := &actor{name: name, process: p}
	a.next, a.stop = iter.Pull(func(yield func(string) bool) {
		a.stand = yield
		defer func() {
			switch v := recover().(type) {
			case nil, died:
			default:
				w.fault("panic", "%s: %v", name, v)
			}
		}()
		err := do(context.WithValue(w.ctx, actorKey{}, a))
		if err != nil && !refusal(err) {
			w.fault("error", "%s: %v", name, err)
		}
		if err != nil {
			w.log("  %s: %v", name, err)
		}
	})
	w.actors = append(w.actors, a)
	return a
}

// refusal tells an answer that a client may get from something that broke.
func refusal(err error) bool { return billing.KindOf(err) != billing.Internal }

// move lets one actor go on to its next step, and perhaps die there.
func (w *world) move(a *actor, r *rand.Rand) {
	name, standing := a.next()
	if !standing {
		w.actors = slices.DeleteFunc(w.actors, func(b *actor) bool { return a == b })
		w.log("  %s: done", a.name)
		return
	}
	a.came = true
	w.result.Steps[name]++
	w.log("  %s: %s", a.name, name)
	if name == "notices: answered" && r.IntN(10) > 0 {
		return // it comes daily, and would be where most die
	}
	if w.deaths > 0 && r.IntN(1_000_000) < w.deaths {
		w.result.Deaths[name]++
		w.kill(a.process)
	}
}

// kill ends a process with all that go on in it; another takes its place.
func (w *world) kill(p *process) {
	w.log("  a process dies")
	for _, a := range slices.Clone(w.actors) {
		if a.process == p {
			a.stop()
			w.actors = slices.DeleteFunc(w.actors, func(b *actor) bool { return a == b })
		}
	}
	i := slices.Index(w.processes, p)
	w.processes[i] = w.boot()
}

// mostSteps bounds the steps until all is done.
const mostSteps = 8000

// settle lets the actors move by lot. With most below zero it goes on until
// nobody is left.
func (w *world) settle(r *rand.Rand, most int) {
	for n := 0; len(w.actors) > 0 && (most < 0 || n < most); n++ {
		w.move(w.actors[r.IntN(len(w.actors))], r)
		if n > mostSteps {
			w.fault("no end", "someone has gone %d steps without an end: %s", mostSteps, w.actors[0].name)
			for _, a := range w.actors {
				a.stop()
			}
			w.actors = nil
		}
	}
}

// listener hears what the core logs. An error in the log is a fault: a run over
// a lying bank is no reason for one.
type listener struct {
	slog.Handler
	w *world
}

// Enabled lets everything through from warnings on.
func (l *listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle notes a record.
func (l *listener) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	h := slog.NewTextHandler(&b, nil)
	r.Time = time.Time{}
	if err := h.Handle(context.Background(), r); err != nil {
		return err
	}
	l.w.log("  log: %s", strings.TrimSpace(b.String()))
	if r.Level >= slog.LevelError {
		l.w.fault("error in the log", "%s", strings.TrimSpace(b.String()))
	}
	return nil
}

// WithAttrs and WithGroup are not made use of by the core.
func (l *listener) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup see WithAttrs.
func (l *listener) WithGroup(string) slog.Handler { return l }
