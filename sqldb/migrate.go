package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// words are the words in {{}} that a migration may use, with their text for SQLite and PostgreSQL. SQLite's strict
// tables know no other types than these.
var words = map[string][2]string{
	"strict": {"STRICT", ""}, // after the closing bracket of CREATE TABLE
	"int":    {"INTEGER", "BIGINT"},
	"bool":   {"INTEGER", "BOOLEAN"},
	"text":   {"TEXT", `TEXT COLLATE "C"`}, // sorted by bytes on both
	"bytes":  {"BLOB", "BYTEA"},
}

// Migrate brings the schema up to the newest migration in fsys, and does nothing if it is there already. It is safe
// for several processes to do so at once, and harmless on a database that is newer than fsys.
//
// fsys has at its top the files NNNN_name.sql, in goose's form (-- +goose Up, -- +goose Down), the same for both
// engines. In them {{int}}, {{bool}}, {{text}} and {{bytes}} stand for column types, and {{strict}} ends a CREATE
// TABLE that SQLite shall check for types as PostgreSQL does. Each file is one transaction; goose's NO TRANSACTION is
// refused, since a file that failed half-way would have to be repaired by hand.
//
// table is the name of the table in which the versions are kept.
func (d *DB) Migrate(ctx context.Context, fsys fs.FS, table string) error {
	return d.migrate(ctx, fsys, table, math.MaxInt64)
}

// MigrateTo brings the schema up or down to the given version, 0 for none; it is meant for tests. The rules are those
// of [DB.Migrate].
func (d *DB) MigrateTo(ctx context.Context, fsys fs.FS, table string, version int64) error {
	if version < 0 {
		return fmt.Errorf("sqldb: migrate: there is no version %d", version)
	}
	return d.migrate(ctx, fsys, table, version)
}

// Version is the newest version that Migrate has brought the schema to, 0 if none.
func (d *DB) Version(ctx context.Context, table string) (int64, error) {
	version, _, err := d.version(ctx, table)
	return version, err
}

// version is Version; known says whether there is a table of versions.
func (d *DB) version(ctx context.Context, table string) (version int64, known bool, err error) {
	if !tableForm.MatchString(table) {
		return 0, false, fmt.Errorf("sqldb: %q is not a name for a table of versions", table)
	}
	q := gooseQueries{d.engine}
	err = d.View(ctx, func(t *Tx) error {
		if err := t.QueryRow(ctx, q.TableExists(table)).Scan(&known); err != nil || !known {
			return err
		}
		return t.QueryRow(ctx, q.GetLatestVersion(table)).Scan(Null(&version))
	})
	return version, known, err
}

var tableForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// migrate works without a lock that would outlive a killed process. Two processes may begin the same migration; the
// version's row, written in the migration's transaction, is unique, so that one of them fails and is undone. It then
// finds the version written and goes on from there.
func (d *DB) migrate(ctx context.Context, fsys fs.FS, table string, to int64) error {
	if d.readOnly {
		return ErrReadOnly
	}
	translated, err := translate(fsys, d.engine)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		before, known, err := d.version(ctx, table)
		if err != nil {
			return err
		}
		if !known {
			err = d.makeVersionTable(ctx, table)
		}
		if err == nil {
			err = d.goose(ctx, translated, table, to)
		}
		d.forgetSchema()
		if err == nil {
			return nil
		}
		after, versionErr := d.Version(ctx, table)
		if versionErr != nil || !collided(err) && after == before || try >= attempts {
			return fmt.Errorf("sqldb: migrate: %w", err)
		}
		if pause(ctx, try) != nil {
			return fmt.Errorf("sqldb: migrate: %w", err)
		}
	}
}

// makeVersionTable makes the table of versions. goose would, but it takes a second to get over a collision.
func (d *DB) makeVersionTable(ctx context.Context, table string) error {
	return d.Update(ctx, func(t *Tx) error {
		var exists bool // by now
		err := t.QueryRow(ctx, gooseQueries{d.engine}.TableExists(table)).Scan(&exists)
		if err != nil || exists {
			return err
		}
		if _, err := t.Exec(ctx, gooseQueries{}.CreateTable(table)); err != nil {
			return err
		}
		_, err = t.Exec(ctx, gooseQueries{}.InsertVersion(table), 0, true)
		return err
	})
}

// collided says whether err may come from another process that migrates. That process has committed if our statement
// failed because its table or row is there already, and may be about to if it was a deadlock.
func collided(err error) bool {
	switch sqlState(err) {
	case pgSerializationFailure, pgDeadlock, pgUnique,
		"42P06", "42P07", "42701", "42710": // duplicate schema, table, column, object
		return true
	}
	return liteCode(err)&0xff == liteBusy || IsUnique(err)
}

// forgetSchema drops what was learnt about the schema before a migration: plans of batches here, and PostgreSQL's
// prepared statements, whose results may have changed type.
func (d *DB) forgetSchema() {
	d.bulk.forget()
	if d.engine == PostgreSQL {
		d.pg.pool.Reset()
	}
}

// goose runs the migrations up or down to a version.
func (d *DB) goose(ctx context.Context, fsys fs.FS, table string, to int64) (err error) {
	var db *sql.DB
	if d.engine == PostgreSQL {
		db = stdlib.OpenDBFromPool(d.pg.pool)
	} else if db, err = openDSN(liteDSN(d.lite.path, d.lite.options, writing)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	store, err := database.NewStoreFromQuerier(table, gooseQueries{d.engine})
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, fsys, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	now, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if to < now {
		_, err = p.DownTo(ctx, to)
		return err
	}
	if to > 0 {
		_, err = p.UpTo(ctx, to)
	}
	return err
}

// gooseQueries are the statements by which goose keeps the table of versions. Unlike goose's own table, this one has
// the version as its primary key: see DB.migrate.
type gooseQueries struct{ engine Engine }

func (gooseQueries) CreateTable(table string) string {
	return "CREATE TABLE " + table + " (version_id BIGINT PRIMARY KEY, is_applied BOOLEAN NOT NULL," +
		" applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
}

func (gooseQueries) InsertVersion(table string) string {
	return "INSERT INTO " + table + " (version_id, is_applied) VALUES ($1, $2)"
}

func (gooseQueries) DeleteVersion(table string) string {
	return "DELETE FROM " + table + " WHERE version_id = $1"
}

func (gooseQueries) GetMigrationByVersion(table string) string {
	return "SELECT applied_at, is_applied FROM " + table + " WHERE version_id = $1"
}

func (gooseQueries) ListMigrations(table string) string {
	return "SELECT version_id, is_applied FROM " + table + " ORDER BY version_id DESC"
}

func (gooseQueries) GetLatestVersion(table string) string {
	return "SELECT max(version_id) FROM " + table
}

func (g gooseQueries) TableExists(table string) string {
	if g.engine == SQLite {
		return "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '" + table + "'"
	}
	return "SELECT count(*) > 0 FROM pg_tables WHERE schemaname = current_schema() AND tablename = '" + table + "'"
}

var (
	fileForm = regexp.MustCompile(`^[0-9]+_[a-z0-9_-]+\.sql$`)
	wordForm = regexp.MustCompile(`\{\{[^}]*\}\}`)
	noTxForm = regexp.MustCompile(`(?i)\+goose\s+NO\s+TRANSACTION`)
)

// translate reads the migrations in fsys and returns them in the words of the engine.
func translate(fsys fs.FS, e Engine) (fs.FS, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("sqldb: migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("sqldb: there are no migrations: no file *.sql at the top of the file system given")
	}
	files := memFS{}
	for _, name := range names {
		if !fileForm.MatchString(name) {
			return nil, fmt.Errorf("sqldb: migration %s: its name must have the form 0001_name.sql", name)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("sqldb: migrations: %w", err)
		}
		if noTxForm.Match(text) {
			return nil, fmt.Errorf("sqldb: migration %s: NO TRANSACTION is not allowed", name)
		}
		var unknown []byte
		files[name] = wordForm.ReplaceAllFunc(text, func(word []byte) []byte {
			pair, ok := words[string(word[2:len(word)-2])]
			if !ok {
				unknown = word
			}
			if e == SQLite {
				return []byte(pair[0])
			}
			return []byte(pair[1])
		})
		if unknown != nil {
			return nil, fmt.Errorf("sqldb: migration %s: %s is none of {{strict}}, {{int}}, {{bool}}, {{text}}, {{bytes}}",
				name, unknown)
		}
	}
	return files, nil
}

// memFS is a flat file system in memory: contents by name.
type memFS map[string][]byte

func (m memFS) Open(name string) (fs.File, error) {
	data, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return memFile{Reader: bytes.NewReader(data), info: memInfo{name: name, size: int64(len(data))}}, nil
}

// Glob implements fs.GlobFS, so that no folder has to be read.
func (m memFS) Glob(pattern string) ([]string, error) {
	var found []string
	for name := range m {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			found = append(found, name)
		}
	}
	return found, nil
}

type memFile struct {
	io.Reader
	info memInfo
}

func (f memFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (memFile) Close() error                 { return nil }

type memInfo struct {
	name string
	size int64
}

func (i memInfo) Name() string     { return i.name }
func (i memInfo) Size() int64      { return i.size }
func (memInfo) Mode() fs.FileMode  { return 0o444 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return nil }
