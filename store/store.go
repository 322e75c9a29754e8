// Package store keeps the books: one SQL store that runs on SQLite and on
// PostgreSQL with the same text. It stores and finds; what a thing means and
// whether it is allowed is decided in packages billing and cashier.
//
// A View reads, a Tx reads and writes, and each is bound to one merchant: no
// statement here sees another merchant's rows, so the schema can be spread by
// merchant and a forgotten condition cannot leak. The few statements of the
// installation as a whole (who is asking, which merchants have work) are methods
// of Store itself.
//
// One file per noun. Columns are listed once per table; times are kept as
// microseconds since 1970 UTC and civil dates as text.
package store

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

//go:embed migration/*.sql
var migrations embed.FS

// versionTable is where the migrations that have run are noted.
const versionTable = "perennial_version"

// Options say how a Store is opened.
type Options struct {
	Now      func() time.Time // the world's clock, for the time in ids
	Node     int64            // tells this process's ids from another's, 0 to choose at random
	MaxConns int              // connections to PostgreSQL, 0 for the default
	Saw      func(q string)   // told of each statement; for tests, see sqldb.Options
	Volatile bool             // SQLite without waiting for the disk: for benches only
}

// Store is the books on one database. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	ids    *idMaker
	codes  accountCodes
	spread atomic.Int32 // whether the books lie on several machines, as far as it is known
}

// Open connects to "postgres://…" or "sqlite:FILE". Migrate must have run on
// the database, by this process or an earlier one, before anything is read.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	db, err := sqldb.Open(ctx, url, sqldb.Options{MaxConns: o.MaxConns, Volatile: o.Volatile, Saw: o.Saw})
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	return New(db, o), nil
}

// New makes a Store on an open database, whose connections are kept as they are.
// Close closes the database.
func New(db *sqldb.DB, o Options) *Store {
	node := o.Node
	if node == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		node = int64(binary.BigEndian.Uint64(b[:]) >> 1)
	}
	return &Store{db: db, ids: &idMaker{now: o.Now, node: node % (1 << nodeBits)}}
}

// Close releases the connections.
func (s *Store) Close() error { return s.db.Close() }

// Ping asks whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Engine names the database engine.
func (s *Store) Engine() sqldb.Engine { return s.db.Engine() }

// Migrate brings the schema to this binary's version. It does nothing where
// that has been done.
func (s *Store) Migrate(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migration")
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	if err := s.db.Migrate(ctx, sub, versionTable); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return nil
}

// ErrTooNew says that the schema has left this binary's version behind: a later
// one has taken away what this one needs.
var ErrTooNew = errors.New("store: the schema is of a version that this program is too old for")

// Migrated reports whether the schema is at this binary's version, or at a later
// one that says that this one runs on it too. One that does not is ErrTooNew.
func (s *Store) Migrated(ctx context.Context) (bool, error) {
	newest, err := newestMigration()
	if err != nil {
		return false, err
	}
	version, err := s.db.Version(ctx, versionTable)
	if err != nil {
		return false, fmt.Errorf("store: version: %w", err)
	}
	if version <= newest {
		return version == newest, nil
	}
	var oldest int64
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT oldest FROM compatible WHERE id = 1`).Scan(&oldest)
	})
	if err != nil {
		return false, fmt.Errorf("store: version: %w", err)
	}
	if newest < oldest {
		return false, ErrTooNew
	}
	return true, nil
}

// newestMigration is the number of the last migration that this binary has.
func newestMigration() (int64, error) {
	files, err := migrations.ReadDir("migration")
	if err != nil {
		return 0, fmt.Errorf("store: migrations: %w", err)
	}
	number, _, _ := strings.Cut(files[len(files)-1].Name(), "_") // sorted by name
	newest, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("store: migrations: %w", err)
	}
	return newest, nil
}

// View reads a consistent state of one merchant's books.
type View struct {
	tx       *sqldb.Tx
	merchant billing.MerchantID
	known    *known // nil if nothing is
}

// Tx reads and writes one merchant's books, all or nothing.
type Tx struct {
	View
	ids      *idMaker
	listened *bool // what told has found
}

// View runs fn on a snapshot that cannot be written to.
func (s *Store) View(ctx context.Context, m billing.MerchantID, fn func(*View) error) error {
	return s.db.View(ctx, func(tx *sqldb.Tx) error {
		return fn(&View{tx: tx, merchant: m})
	})
}

// Update runs fn in a transaction. fn may run more than once, when the engine
// asks for a repetition, and so must have no effect outside the transaction
// that matters if it happens twice.
func (s *Store) Update(ctx context.Context, m billing.MerchantID, fn func(*Tx) error) error {
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		return fn(&Tx{View: View{tx: tx, merchant: m}, ids: s.ids})
	})
}

// Reader reads one merchant's books and nothing else. It is what dialects and
// pages hold.
type Reader struct {
	store    *Store
	merchant billing.MerchantID
}

// Reader returns a reader of one merchant's books.
func (s *Store) Reader(m billing.MerchantID) *Reader { return &Reader{s, m} }

// View runs fn on a snapshot.
func (r *Reader) View(ctx context.Context, fn func(*View) error) error {
	return r.store.View(ctx, r.merchant, fn)
}

// Merchant is the merchant whose books these are.
func (v *View) MerchantID() billing.MerchantID { return v.merchant }

const (
	nodeBits    = 10
	counterBits = 12
	epoch       = 1577836800000 // 2020-01-01 in milliseconds
)

// idMaker makes ids of 63 bits: 41 of milliseconds since 2020, 10 that tell
// processes apart, 12 that count. Within a process they rise strictly; between
// processes they sort by time.
type idMaker struct {
	now  func() time.Time
	node int64

	mu   sync.Mutex
	last int64 // milliseconds and count of the last id
}

func (m *idMaker) next() int64 {
	tick := (m.now().UnixMilli() - epoch) << counterBits
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last+1, tick)
	return m.last>>counterBits<<(nodeBits+counterBits) | m.node<<counterBits | m.last&(1<<counterBits-1)
}

// sit has the ids that follow bear a process's number.
func (m *idMaker) sit(number int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node = number % (1 << nodeBits)
}

// NewID makes an id for a new row.
func (t *Tx) NewID() int64 { return t.ids.next() }

// micros is how an instant is kept; no instant is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// instant is the inverse of micros, NULL having been read as 0.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// orNull keeps 0 as NULL, for columns that refer to another row.
func orNull[T ~int64](id T) any {
	if id == 0 {
		return nil
	}
	return int64(id)
}

// date is the inverse of Date.String.
func date(s string) (billing.Date, error) {
	if s == "" {
		return billing.Date{}, nil
	}
	return billing.ParseDate(s)
}

// notFound turns the absence of a row into an error that names the noun.
func notFound(err error, noun string) error {
	if errors.Is(err, sqldb.ErrNoRows) {
		return billing.Errorf(billing.NotFound, "%s not found", noun)
	}
	return err
}
