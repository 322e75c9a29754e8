package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/bench"
)

// benchCommand measures the product against the bare database.
type benchCommand struct {
	All      benchAll      `cmd:"" help:"All benches with the sizes of docs/performance.md, and their bars in one table. Takes 10 to 20 minutes on two cores."`
	Renewals benchRenewals `cmd:"" help:"A billing run against hand-made SQL that writes the same rows without logic, in batches; or, with --latency, against what a slow bank allows."`
	Charges  benchCharges  `cmd:"" help:"Charges over HTTP against hand-made SQL that writes the same rows without logic, a transaction each."`
	Spread   benchSpread   `cmd:"" help:"Charges over HTTP of one merchant against those of many that share them."`
	History  benchHistory  `cmd:"" help:"A billing run over customers with years of history against one over new customers."`
	Due      benchDue      `cmd:"" help:"Finding and claiming what is due among many subscriptions against the same among few."`
}

// benchSite is the flags that all benches share.
type benchSite struct {
	DB      string `name:"db" help:"PostgreSQL database to bench on, as postgres://user:password@host/database. The bench makes schemas of its own in it and removes them; it refuses a database in which merchants live. SQLite if not given." env:"PERENNIAL_BENCH_DB" placeholder:"URL"`
	Data    string `help:"Folder to bench SQLite in; the files are removed afterwards. Its disk is what is measured. The system's folder for temporary files if not given." placeholder:"DIR" type:"existingdir"`
	JSON    string `name:"json" help:"Write the reports to a file, too, as JSON." placeholder:"FILE"`
	Profile string `help:"Write a CPU profile of the program, for go tool pprof." placeholder:"FILE"`
}

// site is where to bench.
func (s benchSite) site() bench.Site {
	return bench.Site{DB: s.DB, Folder: s.Data, Now: time.Now, Progress: os.Stderr}
}

// measure runs benches, and writes their reports to standard output and, if
// wanted, to a file. One that fails does not keep the others from running; what
// has been measured is in the file already if the command is broken off.
func (s benchSite) measure(ctx context.Context, list []bench.Bench) (err error) {
	end, err := s.profile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	var reports []*bench.Report
	var faults []error
	for i, b := range list {
		if len(list) > 1 {
			fmt.Fprintf(os.Stderr, "bench: %d of %d: %s\n", i+1, len(list), b.Name)
		}
		report, err := b.Run(ctx)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", b.Name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		reports = append(reports, report)
		if err := s.write(report, reports); err != nil {
			return errors.Join(append(faults, err)...)
		}
	}
	if len(list) > 1 {
		faults = append(faults, bench.WriteTable(os.Stdout, reports))
	}
	return errors.Join(faults...)
}

// write writes a report, and all so far to the file of reports.
func (s benchSite) write(report *bench.Report, all []*bench.Report) error {
	if s.JSON != "" {
		text, err := bench.JSON(all)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.JSON, text, 0o644); err != nil {
			return fmt.Errorf("the reports: %w", err)
		}
	}
	if err := report.Write(os.Stdout); err != nil {
		return err
	}
	_, err := fmt.Println()
	return err
}

// profile begins a CPU profile, if one is wanted, and returns what ends it.
func (s benchSite) profile() (end func() error, err error) {
	if s.Profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(s.Profile)
	if err != nil {
		return nil, fmt.Errorf("the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("the profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// one is the list of one bench.
func one(name string, run func(context.Context) (*bench.Report, error)) []bench.Bench {
	return []bench.Bench{{Name: name, Run: run}}
}

// benchAll is `perennial bench all`.
type benchAll struct {
	benchSite
	Scale int    `help:"Divide all sizes by this, for a quick look. The bars are meant for 1." default:"1" placeholder:"N"`
	Only  string `help:"Run only the benches whose names contain this, such as SQLite." placeholder:"TEXT"`
}

// Run runs the benches.
func (b *benchAll) Run(ctx context.Context) error {
	if b.Scale < 1 {
		return errors.New("--scale must be 1 or more")
	}
	if b.DB == "" {
		fmt.Fprintln(os.Stderr, "bench: without --db there is no PostgreSQL to bench on, only SQLite")
	}
	var list []bench.Bench
	for _, one := range bench.All(b.site(), b.Scale) {
		if strings.Contains(one.Name, b.Only) {
			list = append(list, one)
		}
	}
	return b.measure(ctx, list)
}

// benchRenewals is `perennial bench renewals`.
type benchRenewals struct {
	benchSite
	Subscriptions int           `help:"Subscriptions in all." default:"100000" placeholder:"N"`
	Due           int           `help:"Of which due in each round." default:"20000" placeholder:"N"`
	Merchants     int           `help:"Merchants that share them." default:"8" placeholder:"N"`
	Rounds        int           `help:"Rounds that count; in each both sides renew all that is due." default:"3" placeholder:"N"`
	InFlight      int           `help:"Charges under way at once." default:"64" placeholder:"N"`
	Latency       time.Duration `help:"Let the bank take this long for a charge, such as 200ms, and compare the run with what the bank allows." placeholder:"TIME"`
}

// Run runs the bench.
func (b *benchRenewals) Run(ctx context.Context) error {
	return b.measure(ctx, one("renewals", bench.Renewals{
		Site: b.site(), Subscriptions: b.Subscriptions, Due: b.Due, Merchants: b.Merchants, Rounds: b.Rounds,
		InFlight: b.InFlight, Latency: b.Latency,
	}.Run))
}

// benchCharges is `perennial bench charges`.
type benchCharges struct {
	benchSite
	Charges   int `help:"Charges in each round." default:"4000" placeholder:"N"`
	Clients   int `help:"Clients at once." default:"32" placeholder:"N"`
	Merchants int `help:"Merchants that share them." default:"8" placeholder:"N"`
	Rounds    int `help:"Rounds that count; in each both sides make all charges." default:"3" placeholder:"N"`
}

// Run runs the bench.
func (b *benchCharges) Run(ctx context.Context) error {
	return b.measure(ctx, one("charges", bench.Charges{
		Site: b.site(), Charges: b.Charges, Clients: b.Clients, Merchants: b.Merchants, Rounds: b.Rounds,
	}.Run))
}

// benchSpread is `perennial bench spread`.
type benchSpread struct {
	benchSite
	Charges   int `help:"Charges in each round." default:"4000" placeholder:"N"`
	Clients   int `help:"Clients at once." default:"32" placeholder:"N"`
	Merchants int `help:"Merchants of the side that is compared with one merchant." default:"64" placeholder:"N"`
	Rounds    int `help:"Rounds that count; in each both sides make all charges." default:"3" placeholder:"N"`
}

// Run runs the bench.
func (b *benchSpread) Run(ctx context.Context) error {
	return b.measure(ctx, one("spread", bench.Spread{Charges: bench.Charges{
		Site: b.site(), Charges: b.Charges, Clients: b.Clients, Merchants: b.Merchants, Rounds: b.Rounds,
	}}.Run))
}

// benchHistory is `perennial bench history`.
type benchHistory struct {
	benchSite
	Customers int `help:"Customers on each side." default:"1000" placeholder:"N"`
	Months    int `help:"Months that the older ones have been billed." default:"120" placeholder:"N"`
	Rounds    int `help:"Rounds that count; in each both sides renew all." default:"5" placeholder:"N"`
}

// Run runs the bench.
func (b *benchHistory) Run(ctx context.Context) error {
	return b.measure(ctx, one("history", bench.History{
		Site: b.site(), Customers: b.Customers, Months: b.Months, Rounds: b.Rounds,
	}.Run))
}

// benchDue is `perennial bench due`.
type benchDue struct {
	benchSite
	Sizes  []int `help:"Numbers of subscriptions; each is compared with the first." default:"10000,1000000,10000000" placeholder:"N,..."`
	Due    int   `help:"Subscriptions that are due in each round." default:"1000" placeholder:"N"`
	Rounds int   `help:"Rounds that count." default:"9" placeholder:"N"`
}

// Run runs the bench.
func (b *benchDue) Run(ctx context.Context) error {
	if len(b.Sizes) < 2 {
		return errors.New("--sizes must be two numbers at least, the smallest first")
	}
	var list []bench.Bench
	for _, size := range b.Sizes[1:] {
		list = append(list, bench.Bench{Name: fmt.Sprintf("due among %d", size), Run: bench.Due{
			Site: b.site(), Subscriptions: size, Smallest: b.Sizes[0], Due: b.Due, Rounds: b.Rounds,
		}.Run})
	}
	return b.measure(ctx, list)
}
