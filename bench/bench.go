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

// timed runs one part of a round and returns how long it took.
func (s *Site) timed(part func() error) (time.Duration, error) {
	start := s.Now()
	err := part()
	return s.Now().Sub(start), err
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
