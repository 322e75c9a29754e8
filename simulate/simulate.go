// Package simulate hunts for lost money. It plays seeded random stories of
// merchants, customers, workers and a lying bank in one process with a clock of
// its own, has processes die and stand still at every named step of the core,
// and then asks one question: do the bank's journal and our books agree to the
// cent, with nothing taken twice and nothing due forgotten?
//
// Nothing of the core is replaced: the cashier, the store on either engine, the
// vault, the billing run and the processor account are those of the product. What
// is ours is what lies around them. Only one of the simulated workers moves at a
// time: each is a coroutine that stands still at the steps that the cashier
// names (cashier.Options.Step), and a seeded lot says who goes on and who dies.
// So the same seed gives the same books, and a story that fails can be told
// again, shortened (Shrink) and kept as a test.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// Options say where stories are played.
type Options struct {
	// Open opens books, as store.Open does.
	Open func(ctx context.Context, url string, o store.Options) (*store.Store, error)

	// Dir is a folder for databases; what is in it is the simulator's.
	Dir string

	// Postgres is the address of a PostgreSQL database or schema that is used
	// for nothing else: it is emptied before each story. "" plays on SQLite.
	Postgres string
}

// Stage is where stories are played, one at a time: a database for the books, one
// for the bank. Each story begins on empty ones.
type Stage struct {
	o     Options
	vault *vault.Vault
	db    *sqldb.DB // the books on PostgreSQL, for emptying and reading; nil on SQLite
}

// The databases in the folder: those that are copied for each story, and the
// copies.
const (
	emptyBooks = "empty-books.db"
	emptyBank  = "empty-bank.db"
	playBooks  = "books.db"
	playBank   = "bank.db"
)

// Build makes a stage.
func Build(ctx context.Context, o Options) (*Stage, error) {
	key, err := vault.NewMasterKey()
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	s := &Stage{o: o}
	if s.vault, err = vault.New(key); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	bank, err := sqldb.Open(ctx, s.file(emptyBank), sqldb.Options{Volatile: true})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	_, err = sandbox.New(ctx, bank, sandbox.Options{})
	if err = errors.Join(err, bank.Close()); err != nil {
		return nil, fmt.Errorf("simulate: the bank: %w", err)
	}
	address := s.o.Postgres
	if address == "" {
		address = s.file(emptyBooks)
	}
	books, err := o.Open(ctx, address, store.Options{Now: birth, Node: 1, Volatile: true, MaxConns: 2})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	err = books.Migrate(ctx)
	if err = errors.Join(err, books.Close()); err != nil {
		return nil, fmt.Errorf("simulate: the books: %w", err)
	}
	if o.Postgres != "" {
		if s.db, err = sqldb.Open(ctx, o.Postgres, sqldb.Options{MaxConns: 2}); err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
	}
	return s, nil
}

// birth is when each simulated world begins.
func birth() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) }

// Close releases what the stage holds. The folder is the caller's to remove.
func (s *Stage) Close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

func (s *Stage) file(name string) string { return "sqlite:" + filepath.Join(s.o.Dir, name) }

// set is the databases of one story.
type set struct {
	books  *store.Store
	db     *sqldb.DB // the same books, read by their SQL
	bankDB *sqldb.DB
	shared bool // db is the stage's and stays open
}

// open opens empty databases for a story.
func (s *Stage) open(ctx context.Context, now func() time.Time) (*set, error) {
	if err := s.copyFile(emptyBank, playBank); err != nil {
		return nil, err
	}
	address := s.o.Postgres
	if s.db == nil {
		address = s.file(playBooks)
		if err := s.copyFile(emptyBooks, playBooks); err != nil {
			return nil, err
		}
	} else if err := empty(ctx, s.db); err != nil {
		return nil, err
	}
	d := &set{db: s.db, shared: s.db != nil}
	var err error
	if d.books, err = s.o.Open(ctx, address, store.Options{Now: now, Node: 1, Volatile: true, MaxConns: 3}); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if d.bankDB, err = sqldb.Open(ctx, s.file(playBank), sqldb.Options{Volatile: true}); err == nil && d.db == nil {
		d.db, err = sqldb.Open(ctx, address, sqldb.Options{ReadOnly: true})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulate: %w", err), d.close())
	}
	return d, nil
}

func (d *set) close() error {
	err := d.books.Close()
	if d.bankDB != nil {
		err = errors.Join(err, d.bankDB.Close())
	}
	if d.db != nil && !d.shared {
		err = errors.Join(err, d.db.Close())
	}
	return err
}

// copyFile puts an empty database in the place of the last story's.
func (s *Stage) copyFile(from, to string) error {
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(s.o.Dir, to+end)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("simulate: %w", err)
		}
	}
	body, err := os.ReadFile(filepath.Join(s.o.Dir, from))
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.o.Dir, to), body, 0o600); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	return nil
}

// tables are those of the books, those that refer to others first.
var tables = [...]string{"idempotency", "event", "entry", "allocation", "activity", "attempt", "adjustment", "subscription", "plan",
	"payment_method", "customer", "reference", "login", "account", "directory", "merchant"}

// empty takes everything out of books on PostgreSQL.
func empty(ctx context.Context, db *sqldb.DB) error {
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, t := range tables {
			if _, err := tx.Exec(ctx, "DELETE FROM "+t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("simulate: empty the books: %w", err)
	}
	return nil
}
