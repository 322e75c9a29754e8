package simulate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	_ "time/tzdata"

	"github.com/perennial-billing/perennial/simulate"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

func stage(t testing.TB, e sqldb.Engine) *simulate.Stage {
	t.Helper()
	o := simulate.Options{Dir: t.TempDir()}
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

// TestSeeds plays stories from seed 1 on, on each engine, several at once. How
// many more have been played, see the README.
func TestSeeds(t *testing.T) {
	const jobs = 2
	for e, n := range map[sqldb.Engine]uint64{sqldb.SQLite: 200, sqldb.PostgreSQL: 24} {
		for job := range uint64(jobs) {
			t.Run(fmt.Sprintf("%s %d", e, job), func(t *testing.T) {
				t.Parallel()
				s := stage(t, e)
				for seed := 1 + job; seed <= n; seed += jobs {
					play(t, s, seed)
				}
			})
		}
	}
}

func play(t *testing.T, s *simulate.Stage, seed uint64) *simulate.Result {
	t.Helper()
	return playStory(t, s, simulate.Tell(seed))
}

func playStory(t *testing.T, s *simulate.Stage, story simulate.Story) *simulate.Result {
	t.Helper()
	ctx := context.Background()
	r, err := s.Play(ctx, story)
	if err != nil {
		t.Fatalf("seed %d: %v", story.Seed, err)
	}
	if len(r.Faults) > 0 {
		story, short, err := s.Shrink(ctx, story, r.Faults[0].Rule)
		if err != nil {
			t.Fatal(err)
		}
		t.Fatalf("seed %d: %v\n%s\n%s\n%s", story.Seed, r.Faults, story, strings.Join(short.Log, "\n"), short.Books)
	}
	return r
}

// TestSameSeedSameBooks plays stories in several places: the books must be the
// same to the last id, on a stage that has seen others, on a new one, and on the
// other engine.
func TestSameSeedSameBooks(t *testing.T) {
	const seeds = 8
	books := make([]string, seeds)
	used := stage(t, sqldb.SQLite)
	for i := range books {
		books[i] = play(t, used, uint64(i+1)).Books
	}
	for _, e := range sqldbtest.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			s := stage(t, e)
			for i := seeds - 1; i >= 0; i-- {
				if again := play(t, s, uint64(i+1)).Books; again != books[i] {
					t.Errorf("seed %d: the books differ:\n%s\n%s", i+1, books[i], again)
				}
			}
		})
	}
}
