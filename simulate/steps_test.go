package simulate_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/perennial-billing/perennial/simulate"
	"github.com/perennial-billing/perennial/sqldb"
)

// named finds the steps that the cashier names.
var named = regexp.MustCompile(`(?:Step\(ctx, |committed\(ctx, |step: )"([^"]+)"`)

// TestEveryStep: stories come to each step that the cashier names, and have
// processes die at each. A step that is added is one that stories must reach.
func TestEveryStep(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "cashier", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range named.FindAllSubmatch(text, -1) {
			want[string(found[1])] = true
		}
	}
	delete(want, "import: intention committed") // of books that are restored, which is a story of its own
	if len(want) < 17 {
		t.Fatalf("the cashier names %d steps only: is this still how it names them?", len(want))
	}
	s := stage(t, sqldb.SQLite)
	for seed, all := uint64(1), len(want); len(want) > 0; seed++ {
		if seed > 600 {
			t.Fatalf("of %d steps no story up to seed %d has a process die at %q", all, seed-1, slices.Sorted(maps.Keys(want)))
		}
		story := simulate.Tell(seed)
		if story.Deaths == 0 {
			continue
		}
		r := playStory(t, s, story)
		for step := range r.Deaths {
			delete(want, step)
		}
	}
}
