package bench_test

import (
	"context"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/perennial-billing/perennial/bench"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestSmallBenches runs each bench on little: that both sides wrote the same
// rows and that the books are right is checked by the bench itself.
func TestSmallBenches(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, url string) {
		site := bench.Site{Folder: t.TempDir(), Now: time.Now}
		if strings.HasPrefix(url, "postgres") {
			site.DB = url
		}
		for name, run := range map[string]func(context.Context) (*bench.Report, error){
			"renewals":    bench.Renewals{Site: site, Subscriptions: 200, Due: 100, Merchants: 2, Rounds: 1}.Run,
			"a slow bank": bench.Renewals{Site: site, Subscriptions: 200, Due: 100, Merchants: 2, Rounds: 1, Latency: time.Millisecond}.Run,
			"charges":     bench.Charges{Site: site, Charges: 40, Clients: 4, Merchants: 2, Rounds: 1}.Run,
			"spread":      bench.Spread{Charges: bench.Charges{Site: site, Charges: 40, Clients: 4, Merchants: 4, Rounds: 1}}.Run,
			"history":     bench.History{Site: site, Customers: 4, Months: 5, Rounds: 1}.Run,
			"due":         bench.Due{Site: site, Subscriptions: 5000, Smallest: 100, Due: 70, Rounds: 2}.Run,
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
				if len(report.Bars) == 0 || report.Ours.Median == 0 || report.Theirs.Median == 0 || report.Median == 0 {
					t.Errorf("the report:\n%s", &text)
				}
				if name != "due" && !strings.Contains(text.String(), "entries sum to zero") {
					t.Errorf("the books were not looked through:\n%s", &text)
				}
			})
		}
	})
}

// TestRefusals refuses numbers that make no sense before anything is made.
func TestRefusals(t *testing.T) {
	site := bench.Site{Folder: t.TempDir(), Now: time.Now}
	for name, run := range map[string]func(context.Context) (*bench.Report, error){
		"more due than there are": bench.Renewals{Site: site, Subscriptions: 10, Due: 100}.Run,
		"below zero":              bench.Renewals{Site: site, Rounds: -1}.Run,
		"fewer than merchants":    bench.Charges{Site: site, Charges: 3, Merchants: 4}.Run,
		"an address of no engine": bench.Charges{Site: bench.Site{DB: "mysql://x/y", Now: time.Now}}.Run,
		"too few customers":       bench.History{Site: site, Customers: 1}.Run,
		"a large set of few":      bench.Due{Site: site, Subscriptions: 10, Smallest: 100, Due: 5}.Run,
	} {
		if _, err := run(context.Background()); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}

// TestTable writes a line for each bar, and says which are not met.
func TestTable(t *testing.T) {
	reports := []*bench.Report{{
		Bench: "renewals", Machine: &bench.Machine{Database: "PostgreSQL 17.2"}, Median: 412,
		Ours: bench.Range{Median: 1234}, Theirs: bench.Range{Median: 3000},
		Bars: []bench.Bar{
			{Figure: "ratio", Bound: "at least 0.350", Came: "0.412", Met: true},
			{Figure: "renewals a second", Bound: "at least 9,000", Came: "1,234"},
		},
	}}
	var text strings.Builder
	if err := bench.WriteTable(&text, reports); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| renewals | PostgreSQL | 1,234 | 3,000 | 0.412 (0.000 to 0.000) | ratio at least 0.350 | 0.412 | met |",
		"| renewals a second at least 9,000 | 1,234 | NOT MET |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}
