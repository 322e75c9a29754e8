package bench

import (
	"context"
	"time"
)

// Bench is one line of the table of bars.
type Bench struct {
	Name string
	Run  func(context.Context) (*Report, error)
}

// All is the benches of the table of bars, with its sizes divided by scale, which
// is 1 for the table itself. Those that need PostgreSQL are left out if the site
// has none; the others run on SQLite in the site's folder.
func All(site Site, scale int) []Bench {
	lite := site
	lite.DB = ""
	n := func(size int) int { return max(size/scale, 1) }
	var list []Bench
	both := func(name string, run func(Site) func(context.Context) (*Report, error)) {
		if site.DB != "" {
			list = append(list, Bench{name + " on PostgreSQL", run(site)})
		}
		list = append(list, Bench{name + " on SQLite", run(lite)})
	}
	if site.DB != "" {
		list = append(list,
			Bench{"renewals on PostgreSQL", Renewals{
				Site: site, Subscriptions: n(1_000_000), Due: n(100_000), Merchants: 8, Rounds: 1,
			}.Run},
			Bench{"renewals with a slow bank on PostgreSQL", Renewals{
				Site: site, Subscriptions: n(100_000), Due: n(25_600), Merchants: 1, Rounds: 2, InFlight: 256, Latency: 200 * time.Millisecond,
			}.Run})
	}
	list = append(list, Bench{"renewals on SQLite", Renewals{
		Site: lite, Subscriptions: n(100_000), Due: n(20_000), Merchants: 8, Rounds: 3,
	}.Run})
	both("charges", func(s Site) func(context.Context) (*Report, error) {
		return Charges{Site: s, Charges: n(8000), Merchants: 8, Rounds: 3}.Run
	})
	both("spread", func(s Site) func(context.Context) (*Report, error) {
		return Spread{Charges{Site: s, Charges: n(8000), Merchants: min(64, n(8000)), Rounds: 3}}.Run
	})
	both("history", func(s Site) func(context.Context) (*Report, error) {
		return History{Site: s, Customers: max(n(1000), 2)}.Run
	})
	for _, size := range []int{1_000_000, 10_000_000} {
		both("due", func(s Site) func(context.Context) (*Report, error) {
			return Due{Site: s, Subscriptions: n(size), Smallest: n(10_000), Due: n(1000)}.Run
		})
	}
	return list
}
