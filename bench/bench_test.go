package bench_test

import (
	"context"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/perennial-billing/perennial/bench"
)

// TestSmallBenches runs each bench on little: that both sides wrote the same
// rows and that the books are right is checked by the bench itself.
func TestSmallBenches(t *testing.T) {
	site := bench.Site{Folder: t.TempDir(), Now: time.Now}
	for name, run := range map[string]func(context.Context) (*bench.Report, error){
		"renewals": bench.Renewals{Site: site, Subscriptions: 200, Due: 100, Merchants: 2, Rounds: 1}.Run,
		"charges":  bench.Charges{Site: site, Charges: 40, Clients: 4, Merchants: 2, Rounds: 1}.Run,
	} {
		t.Run(name, func(t *testing.T) {
			report, err := run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.Write(&text); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text.String(), "entries sum to zero") || report.Rows == 0 {
				t.Errorf("the report:\n%s", &text)
			}
		})
	}
}

// TestRefusals refuses numbers that make no sense before anything is made.
func TestRefusals(t *testing.T) {
	site := bench.Site{Folder: t.TempDir(), Now: time.Now}
	for name, run := range map[string]func(context.Context) (*bench.Report, error){
		"more due than there are": bench.Renewals{Site: site, Subscriptions: 10, Due: 100}.Run,
		"below zero":              bench.Renewals{Site: site, Rounds: -1}.Run,
		"fewer than merchants":    bench.Charges{Site: site, Charges: 3, Merchants: 4}.Run,
		"an address of no engine": bench.Charges{Site: bench.Site{DB: "mysql://x/y", Now: time.Now}}.Run,
	} {
		if _, err := run(context.Background()); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}
