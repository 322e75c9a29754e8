package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/perennial-billing/perennial/bench"
)

// benchCommand measures the product against the bare database.
type benchCommand struct {
	Renewals benchRenewals `cmd:"" help:"A billing run against hand-made SQL that writes the same rows without logic, in batches."`
	Charges  benchCharges  `cmd:"" help:"Charges over HTTP against hand-made SQL that writes the same rows without logic, a transaction each."`
}

// benchSite is the flags that all benches share.
type benchSite struct {
	DB      string `name:"db" help:"PostgreSQL database to bench on, as postgres://user:password@host/database. The bench makes schemas of its own in it and removes them; it refuses a database in which merchants live." env:"PERENNIAL_BENCH_DB" placeholder:"URL" xor:"place"`
	Data    string `help:"Folder to bench SQLite in; the files are removed afterwards. Its disk is what is measured. The system's folder for temporary files if neither this nor --db is given." placeholder:"DIR" type:"existingdir" xor:"place"`
	JSON    string `name:"json" help:"Write the report to a file, too, as JSON." placeholder:"FILE"`
	Profile string `help:"Write a CPU profile of the program, for go tool pprof." placeholder:"FILE"`
}

// site is where to bench.
func (s benchSite) site() bench.Site {
	return bench.Site{DB: s.DB, Folder: s.Data, Now: time.Now, Progress: os.Stderr}
}

// measure runs a bench, and writes its report to standard output and, if wanted,
// to a file.
func (s benchSite) measure(ctx context.Context, run func(context.Context) (*bench.Report, error)) (err error) {
	if s.Profile != "" {
		f, err := os.Create(s.Profile)
		if err != nil {
			return fmt.Errorf("the profile: %w", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(fmt.Errorf("the profile: %w", err), f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	report, err := run(ctx)
	if err != nil {
		return err
	}
	return s.write(os.Stdout, report)
}

func (s benchSite) write(w io.Writer, report *bench.Report) error {
	if s.JSON != "" {
		text, err := report.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.JSON, text, 0o644); err != nil {
			return fmt.Errorf("the report: %w", err)
		}
	}
	return report.Write(w)
}

// benchRenewals is `perennial bench renewals`.
type benchRenewals struct {
	benchSite
	Subscriptions int           `help:"Subscriptions in all." default:"100000" placeholder:"N"`
	Due           int           `help:"Of which due in each round." default:"20000" placeholder:"N"`
	Merchants     int           `help:"Merchants that share them." default:"8" placeholder:"N"`
	Rounds        int           `help:"Rounds; in each both sides renew all that is due." default:"3" placeholder:"N"`
	InFlight      int           `help:"Charges under way at once." default:"64" placeholder:"N"`
	Latency       time.Duration `help:"Let the bank take this long for a charge, such as 200ms, and compare the run with what the bank allows." placeholder:"TIME"`
}

// Run runs the bench.
func (b *benchRenewals) Run(ctx context.Context) error {
	return b.measure(ctx, bench.Renewals{
		Site: b.site(), Subscriptions: b.Subscriptions, Due: b.Due, Merchants: b.Merchants, Rounds: b.Rounds,
		InFlight: b.InFlight, Latency: b.Latency,
	}.Run)
}

// benchCharges is `perennial bench charges`.
type benchCharges struct {
	benchSite
	Charges   int `help:"Charges in each round." default:"4000" placeholder:"N"`
	Clients   int `help:"Clients at once." default:"32" placeholder:"N"`
	Merchants int `help:"Merchants that share them." default:"8" placeholder:"N"`
	Rounds    int `help:"Rounds; in each both sides make all charges." default:"3" placeholder:"N"`
}

// Run runs the bench.
func (b *benchCharges) Run(ctx context.Context) error {
	return b.measure(ctx, bench.Charges{
		Site: b.site(), Charges: b.Charges, Clients: b.Clients, Merchants: b.Merchants, Rounds: b.Rounds,
	}.Run)
}
