package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/simulate"
	"github.com/perennial-billing/perennial/sqldb"
)

// simulateCommand plays seeded stories against a lying bank, on databases of its
// own, and looks for lost money.
type simulateCommand struct {
	Seed     uint64 `help:"Seed of the first story; the next ones follow it." default:"1"`
	Stories  int    `help:"How many stories; 0 plays until told to stop." default:"100"`
	Engine   string `help:"Database that the books are kept on: sqlite, postgres, or both: then each story is played on both, and must leave the same books." enum:"sqlite,postgres,both" default:"sqlite"`
	Postgres string `help:"PostgreSQL server, as postgres://user:password@host/database: the books are kept in schemas of their own, which are dropped afterwards." env:"PERENNIAL_TEST_POSTGRES" placeholder:"URL"`
	Jobs     int    `help:"How many stories are played at once; 0 is one a core. A seed leaves the same books however many there are." default:"0"`
	Whole    bool   `help:"Show a story that fails as it is, without looking for a shorter one."`
}

// Run plays the stories.
func (c *simulateCommand) Run(ctx context.Context, p *process) (err error) {
	dir, err := os.MkdirTemp(inMemory(), "perennial-simulate-")
	if err != nil {
		return fmt.Errorf("folder for the databases: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.Jobs <= 0 {
		c.Jobs = runtime.GOMAXPROCS(0)
	}
	var troupes []*troupe
	defer func() {
		for _, t := range troupes {
			err = errors.Join(err, t.close())
		}
	}()
	for job := range c.Jobs {
		t, err := c.gather(ctx, filepath.Join(dir, fmt.Sprint(job)), fmt.Sprintf("perennial_simulate_%d_%d", os.Getpid(), job))
		if t != nil {
			troupes = append(troupes, t)
		}
		if err != nil {
			return err
		}
	}
	return c.play(ctx, p, troupes)
}

// inMemory is a folder that is kept in memory, "" if the system has none.
func inMemory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err != nil || !info.IsDir() {
		return ""
	}
	return shm
}

// troupe plays one story at a time, on a stage for each engine.
type troupe struct {
	engines []string
	stages  []*simulate.Stage
	drops   []func() // of schemas
}

func (c *simulateCommand) gather(ctx context.Context, dir, schema string) (*troupe, error) {
	t := &troupe{engines: []string{c.Engine}}
	if c.Engine == "both" {
		t.engines = []string{"sqlite", "postgres"}
	}
	for _, engine := range t.engines {
		o := simulate.Options{Dir: filepath.Join(dir, engine)}
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return t, fmt.Errorf("folder for the databases: %w", err)
		}
		if engine == "postgres" {
			address, drop, err := ownSchema(ctx, c.Postgres, schema)
			if err != nil {
				return t, err
			}
			t.drops = append(t.drops, drop)
			o.Postgres = address
		}
		stage, err := simulate.Build(ctx, o)
		if err != nil {
			return t, err
		}
		t.stages = append(t.stages, stage)
	}
	return t, nil
}

func (t *troupe) close() (err error) {
	for _, s := range t.stages {
		err = errors.Join(err, s.Close())
	}
	for _, drop := range t.drops {
		drop()
	}
	return err
}

// played is what became of one seed.
type played struct {
	story   simulate.Story
	results []*simulate.Result // by engine, up to the first with a fault
	on      int                // the engine on which a fault came up
	troupe  *troupe
	err     error
}

func (o *played) failed() bool {
	return o.err != nil || len(o.results[len(o.results)-1].Faults) > 0
}

// play plays a story on each engine.
func (t *troupe) play(ctx context.Context, seed uint64) *played {
	o := &played{story: simulate.Tell(seed), troupe: t}
	for i, stage := range t.stages {
		r, err := stage.Play(ctx, o.story)
		if err != nil {
			o.err = fmt.Errorf("seed %d on %s: %w", seed, t.engines[i], err)
			return o
		}
		if i > 0 && len(r.Faults) == 0 && r.Books != o.results[0].Books {
			o.err = fmt.Errorf("seed %d leaves other books on %s than on %s:\n%s", seed, t.engines[0], t.engines[i], firstDifference(o.results[0].Books, r.Books))
			return o
		}
		o.results, o.on = append(o.results, r), i
		if len(r.Faults) > 0 {
			return o
		}
	}
	return o
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return as[i] + "\n" + bs[i]
		}
	}
	return fmt.Sprintf("%d and %d lines", len(as), len(bs))
}

// tally sums what the stories went through.
type tally struct {
	stories, attempts, captured, came, died int
	steps                                   map[string]int // deaths by step
}

func (t *tally) add(o *played) {
	t.stories++
	for _, r := range o.results {
		t.attempts += r.Attempts
		t.captured += r.Captured
		for _, n := range r.Steps {
			t.came += n
		}
		for step, n := range r.Deaths {
			t.died += n
			t.steps[step] += n
		}
	}
}

// tellEvery is how often the command says how far it is.
const tellEvery = 10 * time.Second

// play has the troupes play seed after seed, until there are no more, one fails,
// or somebody stops it; a story that has begun is played to its end.
func (c *simulateCommand) play(ctx context.Context, p *process, troupes []*troupe) error {
	outcomes, done := make(chan *played), make(chan struct{})
	seeds := make(chan uint64)
	go func() {
		defer close(seeds)
		for seed := c.Seed; c.Stories == 0 || seed-c.Seed < uint64(c.Stories); seed++ {
			select {
			case seeds <- seed:
			case <-ctx.Done():
				return
			case <-done:
				return
			}
		}
	}()
	var players sync.WaitGroup
	for _, t := range troupes {
		players.Go(func() {
			for seed := range seeds {
				outcomes <- t.play(context.WithoutCancel(ctx), seed)
			}
		})
	}
	go func() { players.Wait(); close(outcomes) }()
	began := p.now()
	sum, bad := c.listen(p, outcomes, func() { close(done) })
	if bad != nil {
		return c.failed(ctx, p, bad)
	}
	c.conclude(p, sum, p.now().Sub(began))
	return nil
}

// listen counts outcomes and tells of them. On the first bad one it has the
// playing stopped; of several it returns the one with the lowest seed.
func (c *simulateCommand) listen(p *process, outcomes <-chan *played, stop func()) (sum *tally, bad *played) {
	sum = &tally{steps: map[string]int{}}
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	began, upTo := p.now(), c.Seed
	for {
		select {
		case o, more := <-outcomes:
			switch {
			case !more:
				return sum, bad
			case !o.failed():
				sum.add(o)
				upTo = max(upTo, o.story.Seed)
			case bad == nil:
				stop()
				bad = o
			case o.story.Seed < bad.story.Seed:
				bad = o
			}
		case <-tick.C:
			fmt.Fprintf(p.stderr, "%d stories on %s, up to seed %d, %s: no fault\n", sum.stories, c.where(), upTo, pace(sum.stories, p.now().Sub(began)))
		}
	}
}

// where names the engines.
func (c *simulateCommand) where() string {
	if c.Engine == "both" {
		return "sqlite and on postgres"
	}
	return c.Engine
}

// pace is a number of stories a second, with one decimal.
func pace(n int, d time.Duration) string {
	tenths := int64(n) * 10 * int64(time.Second) / max(int64(d), 1)
	return fmt.Sprintf("%d.%d a second", tenths/10, tenths%10)
}

func (c *simulateCommand) conclude(p *process, sum *tally, d time.Duration) {
	fmt.Fprintf(p.stdout, "%d stories on %s from seed %d on, in %s, %s: no fault. %d attempts, %d captures and claims at the bank; processes came to %d named steps and died at %d of them:\n",
		sum.stories, c.where(), c.Seed, d.Round(time.Second), pace(sum.stories, d), sum.attempts, sum.captured, sum.came, sum.died)
	for _, step := range slices.Sorted(maps.Keys(sum.steps)) {
		fmt.Fprintf(p.stdout, "  %6d %s\n", sum.steps[step], step)
	}
}

// failed shows a story that broke a promise, as short as it can be told.
func (c *simulateCommand) failed(ctx context.Context, p *process, o *played) error {
	if o.err != nil {
		return o.err
	}
	story, r := o.story, o.results[o.on]
	for _, f := range r.Faults {
		fmt.Fprintf(p.stdout, "seed %d: %v\n", story.Seed, f)
	}
	if !c.Whole {
		var err error
		if story, r, err = o.troupe.stages[o.on].Shrink(context.WithoutCancel(ctx), story, r.Faults[0].Rule); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "\nThe shortest story found that ends so:\n")
	}
	fmt.Fprintf(p.stdout, "%s\n%s\n\n%s\n", story, strings.Join(r.Log, "\n"), r.Books)
	fmt.Fprintf(p.stdout, "Again: perennial simulate --engine %s --seed %d --stories 1\n", o.troupe.engines[o.on], story.Seed)
	return errSilent
}

// ownSchema makes a schema on a PostgreSQL server. It returns an address that
// leads into it, and what drops it.
func ownSchema(ctx context.Context, server, schema string) (address string, drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", nil, errors.New("name a PostgreSQL server with --postgres, or run under scripts/with-postgres")
	}
	db, err := sqldb.Open(ctx, server, sqldb.Options{Schema: schema, MaxConns: 1})
	if err != nil {
		return "", nil, fmt.Errorf("schema %s: %w", schema, err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), func() {
		ctx := context.WithoutCancel(ctx)
		_ = db.Update(ctx, func(tx *sqldb.Tx) error { // it is named after this process and harms nobody
			_, err := tx.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE")
			return err
		})
		_ = db.Close()
	}, nil
}
