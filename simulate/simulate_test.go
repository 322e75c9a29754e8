package simulate_test

import (
	"context"
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

// TestSeeds plays stories from seed 1 on, on each engine. How many more have been
// played, see the README.
func TestSeeds(t *testing.T) {
	for e, n := range map[sqldb.Engine]int{sqldb.SQLite: 80, sqldb.PostgreSQL: 12} {
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
