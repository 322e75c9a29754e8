package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// schemaPrefix begins the names of the schemas that benches make. What an
// interrupted bench left behind can be told by it.
const schemaPrefix = "perennial_bench_"

// booksFile is the name of a server's database in its data folder.
const booksFile = "perennial.db"

// closing bounds the removal of what a bench made.
const closing = time.Minute

// ground is what a bench builds on: a folder, and in PostgreSQL schemas, of its
// own.
type ground struct {
	server  string // address of the PostgreSQL database, "" on SQLite
	folder  string
	name    string // begins the names of the schemas
	schemas []string
	open    []func() error // what must be closed before anything is removed, in this order
}

// on runs a bench on ground of its own, which it removes afterwards.
func (s *Site) on(ctx context.Context, report *Report, run func(*ground) error) (_ *Report, err error) {
	start := s.Now()
	g, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.remove(ctx)) }()
	if err := run(g); err != nil {
		return nil, err
	}
	report.Duration = s.Now().Sub(start).Milliseconds()
	return report, nil
}

// open makes the ground, unless merchants live there.
func (s *Site) open(ctx context.Context) (*ground, error) {
	if s.DB != "" && !strings.HasPrefix(s.DB, "postgres://") && !strings.HasPrefix(s.DB, "postgresql://") {
		return nil, errors.New("bench: the address must be one of PostgreSQL, postgres://…; for SQLite name a folder")
	}
	if err := s.vacant(ctx); err != nil {
		return nil, err
	}
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("bench: choose a name: %w", err)
	}
	folder, err := os.MkdirTemp(s.Folder, "perennial-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: make a folder: %w", err)
	}
	return &ground{server: s.DB, folder: folder, name: schemaPrefix + hex.EncodeToString(b[:])}, nil
}

// engine is what the books of the ground lie on.
func (g *ground) engine() sqldb.Engine {
	if g.server == "" {
		return sqldb.SQLite
	}
	return sqldb.PostgreSQL
}

// file is the address of an SQLite file on the ground.
func (g *ground) file(name string) string {
	return "sqlite:" + filepath.Join(g.folder, name+".db")
}

// database makes an empty database and returns its address.
func (g *ground) database(ctx context.Context, name string) (string, error) {
	if g.server == "" {
		return g.file(name), nil
	}
	u, err := url.Parse(g.server)
	if err != nil { // not wrapped: it holds the address
		return "", errors.New("bench: the address of the database cannot be read")
	}
	schema := g.name + "_" + name
	db, err := sqldb.Open(ctx, g.server, sqldb.Options{Schema: schema, MaxConns: 1})
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	g.schemas = append(g.schemas, schema)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), db.Close()
}

// remove closes and removes all that was made. It does so also when ctx has ended.
func (g *ground) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	var faults []error
	for _, end := range g.open {
		faults = append(faults, end())
	}
	if len(g.schemas) > 0 {
		faults = append(faults, g.drop(ctx))
	}
	return errors.Join(append(faults, os.RemoveAll(g.folder))...)
}

func (g *ground) drop(ctx context.Context) (err error) {
	db, err := sqldb.Open(ctx, g.server, sqldb.Options{MaxConns: 1})
	if err != nil {
		return fmt.Errorf("bench: remove the schemas %s: %w", strings.Join(g.schemas, ", "), err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, schema := range g.schemas {
		err := db.Update(ctx, func(t *sqldb.Tx) error {
			_, err := t.Exec(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE")
			return err
		})
		if err != nil {
			return fmt.Errorf("bench: remove the schema %s: %w", schema, err)
		}
	}
	return nil
}

// vacant refuses a place where merchants live: a bench takes all that the
// machine has, and nobody's customers shall wait for it.
func (s *Site) vacant(ctx context.Context) (err error) {
	address := s.DB
	if address == "" {
		path := filepath.Join(s.Folder, booksFile)
		if _, err := os.Stat(path); err != nil || s.Folder == "" {
			return nil // no books there
		}
		address = "sqlite:" + path
	}
	db, err := sqldb.Open(ctx, address, sqldb.Options{ReadOnly: true, MaxConns: 1})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(ctx, func(t *sqldb.Tx) error {
		places, err := sqldb.Query(ctx, t, sqldb.Scalar[string], merchantTables(t.Engine()))
		if err != nil {
			return err
		}
		for _, place := range places {
			var lived bool
			table := `"` + strings.ReplaceAll(place, `"`, `""`) + `".merchant`
			if err := t.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&lived); err != nil {
				return err
			}
			if lived {
				return errors.New("bench: merchants live in this database: name an empty one, because a bench takes all that the machine has")
			}
		}
		return nil
	})
}

// merchantTables finds the schemas of the address that have a table of merchants.
func merchantTables(e sqldb.Engine) string {
	if e == sqldb.SQLite {
		return "SELECT 'main' FROM sqlite_master WHERE type = 'table' AND name = 'merchant'"
	}
	return "SELECT CAST(schemaname AS TEXT) FROM pg_tables WHERE tablename = 'merchant' AND schemaname = ANY (current_schemas(false))"
}
