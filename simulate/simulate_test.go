package simulate_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	_ "time/tzdata"

	"github.com/perennial-billing/perennial/simulate"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
)

func stage(t testing.TB, e sqldb.Engine) *simulate.Stage {
	t.Helper()
	o := simulate.Options{Open: store.Open, Dir: t.TempDir()}
	if e == sqldb.PostgreSQL {
		o.Postgres = sqldbtest.Address(t, e)
	}
	s, err := simulate.Build(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestSeeds plays stories from seed 1 on, on each engine.
func TestSeeds(t *testing.T) {
	for e, n := range map[sqldb.Engine]int{sqldb.SQLite: 300, sqldb.PostgreSQL: 36} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			s := stage(t, e)
			for seed := uint64(1); seed <= uint64(n); seed++ {
				play(t, s, seed)
			}
		})
	}
}

func play(t *testing.T, s *simulate.Stage, seed uint64) *simulate.Result {
	t.Helper()
	ctx := context.Background()
	r, err := s.Play(ctx, simulate.Tell(seed))
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if len(r.Faults) > 0 {
		story, short, err := s.Shrink(ctx, simulate.Tell(seed), r.Faults[0].Rule)
		if err != nil {
			t.Fatal(err)
		}
		t.Fatalf("seed %d: %v\n%s\n%s\n%s", seed, r.Faults, story, strings.Join(short.Log, "\n"), short.Books)
	}
	return r
}

// TestSameSeedSameBooks plays stories twice: the books must be the same to the
// last id.
func TestSameSeedSameBooks(t *testing.T) {
	for _, e := range sqldbtest.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			s := stage(t, e)
			for seed := uint64(1); seed <= 8; seed++ {
				if one, two := play(t, s, seed), play(t, s, seed); one.Books != two.Books {
					t.Errorf("seed %d: the books differ:\n%s\n%s", seed, one.Books, two.Books)
				}
			}
		})
	}
}

// TestOneSeed plays the seed in SIMULATE_SEED, for looking closely.
func TestOneSeed(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SIMULATE_SEED"), 10, 64)
	if err != nil {
		t.Skip("no SIMULATE_SEED")
	}
	s := stage(t, sqldb.SQLite)
	if os.Getenv("SIMULATE_RAW") != "" {
		r, err := s.Play(context.Background(), simulate.Tell(seed))
		t.Fatalf("%v %v\n%s\n%s", err, r.Faults, simulate.Tell(seed), strings.Join(r.Log, "\n"))
	}
	play(t, s, seed)
}

// TestHunt plays the seeds FROM-TO in SIMULATE_HUNT and lists what it finds.
func TestHunt(t *testing.T) {
	from, to, ok := strings.Cut(os.Getenv("SIMULATE_HUNT"), "-")
	if !ok {
		t.Skip("no SIMULATE_HUNT")
	}
	a, _ := strconv.ParseUint(from, 10, 64)
	b, _ := strconv.ParseUint(to, 10, 64)
	e := sqldb.SQLite
	if os.Getenv("SIMULATE_ENGINE") == "postgres" {
		e = sqldb.PostgreSQL
	}
	s := stage(t, e)
	rules, steps, deaths := map[string]int{}, map[string]int{}, map[string]int{}
	for seed := a; seed <= b; seed++ {
		r, err := s.Play(context.Background(), simulate.Tell(seed))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for k, n := range r.Steps {
			steps[k] += n
		}
		for k, n := range r.Deaths {
			deaths[k] += n
		}
		if len(r.Faults) > 0 {
			rules[r.Faults[0].Rule]++
			if rules[r.Faults[0].Rule] <= 4 {
				t.Errorf("seed %d: %v", seed, r.Faults[0])
			}
		}
	}
	t.Logf("faults %v\nsteps %v\ndeaths %v", rules, steps, deaths)
}
