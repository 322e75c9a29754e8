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
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// Options say where stories are played.
type Options struct {
	// Dir is a folder for databases; what is in it is the simulator's. One in
	// memory will do: no story pulls the plug of the machine.
	Dir string

	// Postgres is the address of a PostgreSQL database or schema that is used
	// for nothing else: it is emptied before each story. "" plays on SQLite.
	Postgres string
}

// Stage is where stories are played, one at a time: a database for the books, one
// for the bank. Each story begins on empty ones. Several stages play at once.
type Stage struct {
	vault   *vault.Vault
	books   *sqldb.DB
	bank    *sqldb.DB
	stories int // that were played
}

// Build makes a stage.
func Build(ctx context.Context, o Options) (s *Stage, err error) {
	key, err := vault.NewMasterKey()
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	s = &Stage{}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if s.vault, err = vault.New(key); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if s.bank, err = sqldb.Open(ctx, "sqlite:"+filepath.Join(o.Dir, "bank.db"), sqldb.Options{Volatile: true}); err != nil {
		return nil, fmt.Errorf("simulate: the bank: %w", err)
	}
	if _, err := sandbox.New(ctx, s.bank, sandbox.Options{}); err != nil {
		return nil, fmt.Errorf("simulate: the bank: %w", err)
	}
	address := "sqlite:" + filepath.Join(o.Dir, "books.db")
	if o.Postgres != "" {
		if address, err = hasty(o.Postgres); err != nil {
			return nil, err
		}
		address = near(ctx, address)
	}
	if s.books, err = sqldb.Open(ctx, address, sqldb.Options{Volatile: true, MaxConns: 3}); err != nil {
		return nil, fmt.Errorf("simulate: the books: %w", err)
	}
	if err := s.store(birth).Migrate(ctx); err != nil {
		return nil, fmt.Errorf("simulate: the books: %w", err)
	}
	if s.books.Engine() == sqldb.PostgreSQL {
		return s, s.still(ctx)
	}
	return s, nil
}

// hasty has PostgreSQL commit without waiting for the disk, and plan each
// statement once and the same way however little is in the tables: else the
// order of what a statement does not order could change from story to story.
func hasty(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("simulate: that is not the address of a PostgreSQL database")
	}
	q := u.Query()
	for name, value := range map[string]string{"synchronous_commit": "off", "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"} {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// near is the address of the same server by its socket, if that can be reached:
// a round trip then costs a fifth less.
func near(ctx context.Context, address string) string {
	look := func(address string) (started, dirs, port string, err error) {
		db, err := sqldb.Open(ctx, address, sqldb.Options{MaxConns: 1})
		if err != nil {
			return "", "", "", err
		}
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, `SELECT CAST(pg_postmaster_start_time() AS TEXT), current_setting('unix_socket_directories'),
				current_setting('port')`).Scan(&started, &dirs, &port)
		})
		return started, dirs, port, errors.Join(err, db.Close())
	}
	started, dirs, port, err := look(address)
	u, parseErr := url.Parse(address)
	if err != nil || parseErr != nil {
		return address // whoever opens it says what is wrong
	}
	dir, _, _ := strings.Cut(dirs, ",")
	q := u.Query()
	q.Set("host", dir)
	q.Set("port", port)
	u.Host, u.RawQuery = "", q.Encode()
	if there, _, _, err := look(u.String()); dir == "" || err != nil || there != started {
		return address
	}
	return u.String()
}

// birth is when each simulated world begins.
func birth() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) }

// store is the books in the hands of a world with a clock of its own.
func (s *Stage) store(now func() time.Time) *store.Store {
	return store.New(s.books, store.Options{Now: now, Node: 1})
}

// Close releases what the stage holds. The folder is the caller's to remove.
func (s *Stage) Close() error {
	var errs []error
	for _, db := range []*sqldb.DB{s.books, s.bank} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
