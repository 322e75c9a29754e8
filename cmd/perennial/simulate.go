package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/simulate"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// simulateCommand plays seeded stories against a lying bank, on databases of its
// own, and looks for lost money.
type simulateCommand struct {
	Seed     uint64 `help:"Seed of the first story; the next ones follow it." default:"1"`
	Stories  int    `help:"How many stories; 0 plays until told to stop." default:"100"`
	Engine   string `help:"Database that the books are kept on: sqlite or postgres." enum:"sqlite,postgres" default:"sqlite"`
	Postgres string `help:"PostgreSQL server, as postgres://user:password@host/database: the books are kept in a schema of their own, which is dropped afterwards." env:"PERENNIAL_TEST_POSTGRES" placeholder:"URL"`
	Whole    bool   `help:"Show a story that fails as it is, without looking for a shorter one."`
}

// Run plays the stories.
func (c *simulateCommand) Run(ctx context.Context, p *process) (err error) {
	dir, err := os.MkdirTemp("", "perennial-simulate-")
	if err != nil {
		return fmt.Errorf("folder for the databases: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := simulate.Options{Open: store.Open, Dir: dir}
	if c.Engine == "postgres" {
		schema := fmt.Sprintf("perennial_simulate_%d", os.Getpid())
		address, drop, err := ownSchema(ctx, c.Postgres, schema)
		if err != nil {
			return err
		}
		defer drop()
		o.Postgres = address
	}
	stage, err := simulate.Build(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	return c.play(ctx, p, stage)
}

// tally sums what the stories went through.
type tally struct {
	stories, attempts, captured, came, died int
	steps                                   map[string]int // deaths by step
}

func (t *tally) add(r *simulate.Result) {
	t.stories++
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

// tellEvery is how often the command says how far it is.
const tellEvery = 10 * time.Second

func (c *simulateCommand) play(ctx context.Context, p *process, stage *simulate.Stage) error {
	sum := tally{steps: map[string]int{}}
	told := p.now()
	for seed := c.Seed; (c.Stories == 0 || sum.stories < c.Stories) && ctx.Err() == nil; seed++ {
		story := simulate.Tell(seed)
		r, err := stage.Play(context.WithoutCancel(ctx), story)
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		if len(r.Faults) > 0 {
			return c.failed(ctx, p, stage, story, r)
		}
		sum.add(r)
		if p.now().Sub(told) > tellEvery {
			told = p.now()
			fmt.Fprintf(p.stderr, "%d stories on %s, up to seed %d: no fault\n", sum.stories, c.Engine, seed)
		}
	}
	fmt.Fprintf(p.stdout, "%d stories on %s from seed %d on: no fault. %d attempts, %d captures and claims at the bank; processes came to %d named steps and died at %d of them:\n",
		sum.stories, c.Engine, c.Seed, sum.attempts, sum.captured, sum.came, sum.died)
	for _, step := range slices.Sorted(maps.Keys(sum.steps)) {
		fmt.Fprintf(p.stdout, "  %6d %s\n", sum.steps[step], step)
	}
	return nil
}

// failed shows a story that broke a promise, as short as it can be told.
func (c *simulateCommand) failed(ctx context.Context, p *process, stage *simulate.Stage, story simulate.Story, r *simulate.Result) error {
	for _, f := range r.Faults {
		fmt.Fprintf(p.stdout, "seed %d: %v\n", story.Seed, f)
	}
	if !c.Whole {
		var err error
		if story, r, err = stage.Shrink(context.WithoutCancel(ctx), story, r.Faults[0].Rule); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "\nThe shortest story found that ends so:\n")
	}
	fmt.Fprintf(p.stdout, "%s\n%s\n\n%s\n", story, strings.Join(r.Log, "\n"), r.Books)
	fmt.Fprintf(p.stdout, "Again: perennial simulate --engine %s --seed %d --stories 1\n", c.Engine, story.Seed)
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
