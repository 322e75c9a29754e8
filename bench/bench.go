// Package bench measures Perennial against the bare database.
//
// A speed by itself says more about a machine than about a program. So each bench
// does its work twice in one process, in rounds that take turns: once with the
// real parts of the product, and once as hand-made SQL that writes the same rows
// into a twin of the database and decides nothing. What counts is the ratio of
// the two; the rates beside it hold for the machine whose facts stand above them.
//
// The bare side is kept honest in two ways. Both sides write with the same
// durability, which is asked of the database and printed and not assumed. And
// after the last round the rows of both are counted, table by table: if the
// product has come to write a row more or less, the bench fails until the bare
// side does so too. The books are looked through as well: all that was due is
// collected once by the bank's own journal, and the entries sum to zero.
//
// A bench builds on ground of its own, a folder or schemas that it makes and
// removes, and refuses a database in which somebody's merchants live.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// Site says where a bench builds and what it has of the world.
type Site struct {
	// DB is the address of a PostgreSQL database. If it is empty the bench runs
	// on SQLite, in a folder that it makes in Folder.
	DB string

	// Folder is where the files of SQLite and of the bank lie, "" for the
	// system's folder for temporary files. Its disk is what is measured.
	Folder string

	// Now is the world's clock, which measures what the rounds take.
	Now func() time.Time

	// Progress is told what the bench is doing; may be nil.
	Progress io.Writer
}

// say tells of progress.
func (s *Site) say(format string, args ...any) {
	if s.Progress != nil {
		fmt.Fprintf(s.Progress, "bench: "+format+"\n", args...)
	}
}

// number is a number of an option and what it is where it was left open.
type number struct {
	value    *int
	standard int
}

// fill fills in what was left open.
func fill(numbers []number) error {
	for _, n := range numbers {
		if *n.value == 0 {
			*n.value = n.standard
		}
		if *n.value < 0 {
			return errors.New("bench: numbers must be above zero")
		}
	}
	return nil
}

// timed runs one part of a round and returns how long it took.
func (s *Site) timed(part func() error) (time.Duration, error) {
	start := s.Now()
	err := part()
	return s.Now().Sub(start), err
}

// warmUp is how many rounds go before those that count.
const warmUp = 1

// turns is the shape of every bench: two sides that do the same work in turn, a
// round each. A side returns how many units a second it did.
type turns struct {
	rounds        int // that count
	ours, against func(ctx context.Context, k int) (int64, error)
	warm          func(ctx context.Context) error // done when the rounds that do not count are over; may be nil
}

// take lets the sides take turns, and notes in the report what they did.
func (s *Site) take(ctx context.Context, report *Report, t turns) error {
	for k := range warmUp + t.rounds {
		forgetPeak()
		ours, err := t.ours(ctx, k)
		if err != nil {
			return err
		}
		most := peak()
		against, err := t.against(ctx, k)
		if err != nil {
			return err
		}
		s.say("%s, round %d: Perennial %s a second, against %s", report.Bench, k, grouped(ours), grouped(against))
		if k >= warmUp {
			report.add(Round{Perennial: ours, Against: against})
			report.PeakMiB = max(report.PeakMiB, most)
		}
		if k == warmUp-1 && t.warm != nil {
			if err := t.warm(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// tables are what a bench writes to, and how many rows of each it found.
type tables map[string]int64

// written are the tables whose rows are counted on both sides.
var written = []string{"activity", "attempt", "allocation", "entry", "event"}

// count counts the rows of the tables at an address.
func count(ctx context.Context, db *sqldb.DB) (tables, error) {
	rows := make(tables, len(written))
	err := db.View(ctx, func(t *sqldb.Tx) error {
		for _, name := range written {
			var n int64
			if err := t.QueryRow(ctx, "SELECT COUNT(*) FROM "+name).Scan(&n); err != nil {
				return err
			}
			rows[name] = n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bench: count the rows: %w", err)
	}
	return rows, nil
}

// since is what came in addition to an earlier count.
func (r tables) since(earlier tables) tables {
	added := make(tables, len(r))
	for name, n := range r {
		added[name] = n - earlier[name]
	}
	return added
}

// sum is the rows of all tables.
func (r tables) sum() (n int64) {
	for _, rows := range r {
		n += rows
	}
	return n
}

// same refuses a comparison of two sides that did not write the same.
func same(ours, bare tables) error {
	for _, name := range written {
		if ours[name] != bare[name] {
			return fmt.Errorf("bench: the two sides did different work: Perennial wrote %d rows of %s and the bare side %d",
				ours[name], name, bare[name])
		}
	}
	return nil
}
