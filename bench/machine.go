package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/sqldb"
)

// Machine is the facts without which a rate means nothing.
type Machine struct {
	System   string   `json:"system"` // operating system and architecture
	Cores    int      `json:"cores"`  // that Go uses
	Go       string   `json:"go"`
	Commit   string   `json:"commit"`   // what the program was built from, "unknown" if that was not noted
	Database string   `json:"database"` // engine and version
	Settings []string `json:"settings"` // as name=value, asked of the database
	Fsync    int64    `json:"fsync_per_second,omitempty"`
	Commits  int64    `json:"commits_per_second"` // of one row each, one after the other, on one connection
}

// probe is how long fsync and commits are tried.
const probe = 300 * time.Millisecond

// look gathers the facts about the machine and the database at an address.
func (s *Site) look(ctx context.Context, g *ground, db *sqldb.DB) (*Machine, error) {
	m := &Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), Commit: commit()}
	err := db.Update(ctx, func(t *sqldb.Tx) (err error) { // on the connection that writes
		m.Database, m.Settings, err = settings(ctx, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bench: ask for the settings: %w", err)
	}
	if g.engine() == sqldb.SQLite { // PostgreSQL's disk may be another machine's
		if m.Fsync, err = s.fsyncs(g.folder); err != nil {
			return nil, err
		}
	}
	m.Commits, err = s.commits(ctx, db)
	return m, err
}

// commit is the revision that the program was built from.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "unknown", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(len(setting.Value), 12)]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = ", with changes"
		}
	}
	return revision + modified
}

// settings asks the engine for its version and for what decides how durable and
// how fast it writes.
func settings(ctx context.Context, t *sqldb.Tx) (database string, list []string, err error) {
	if t.Engine() == sqldb.SQLite {
		if err := t.QueryRow(ctx, "SELECT sqlite_version()").Scan(&database); err != nil {
			return "", nil, err
		}
		for _, name := range []string{"journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint"} {
			var value string
			if err := t.QueryRow(ctx, "PRAGMA "+name).Scan(&value); err != nil {
				return "", nil, err
			}
			if levels := []string{"off", "normal", "full", "extra"}; name == "synchronous" {
				if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < len(levels) {
					value = levels[n]
				}
			}
			list = append(list, name+"="+value)
		}
		return "SQLite " + database, list, nil
	}
	const names = `'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers', 'max_wal_size'`
	list, err = sqldb.Query(ctx, t, sqldb.Scalar[string],
		`SELECT name || '=' || current_setting(name) FROM pg_settings WHERE name IN (`+names+`) ORDER BY name`)
	if err != nil {
		return "", nil, err
	}
	if err := t.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&database); err != nil {
		return "", nil, err
	}
	database, _, _ = strings.Cut(database, " ")
	return "PostgreSQL " + database, list, nil
}

// fsyncs counts how often a second the disk under a folder takes 8 kB for good.
func (s *Site) fsyncs(folder string) (int64, error) {
	f, err := os.CreateTemp(folder, "fsync-")
	if err != nil {
		return 0, fmt.Errorf("bench: try the disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 8192)
	n, start := 0, s.Now()
	for s.Now().Sub(start) < probe {
		if _, err := f.WriteAt(page, int64(n%64)*int64(len(page))); err != nil {
			return 0, fmt.Errorf("bench: try the disk: %w", err)
		}
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("bench: try the disk: %w", err)
		}
		n++
	}
	return rate(n, s.Now().Sub(start)), nil
}

// commits counts how often a second one caller commits one row.
func (s *Site) commits(ctx context.Context, db *sqldb.DB) (int64, error) {
	update := func(q string, args ...any) error {
		return db.Update(ctx, func(t *sqldb.Tx) error {
			_, err := t.Exec(ctx, q, args...)
			return err
		})
	}
	if err := update("CREATE TABLE bench_probe (id BIGINT PRIMARY KEY)"); err != nil {
		return 0, fmt.Errorf("bench: try commits: %w", err)
	}
	n, start := 0, s.Now()
	for s.Now().Sub(start) < probe {
		if err := update("INSERT INTO bench_probe (id) VALUES ($1)", n); err != nil {
			return 0, fmt.Errorf("bench: try commits: %w", err)
		}
		n++
	}
	perSecond := rate(n, s.Now().Sub(start))
	if err := update("DROP TABLE bench_probe"); err != nil {
		return 0, fmt.Errorf("bench: try commits: %w", err)
	}
	return perSecond, nil
}

// forgetPeak gives back what memory is free and has the system count the most
// that the process has from here on.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile(filepath.Join("/proc", "self", "clear_refs"), []byte("5"), 0) // where there is none, peak is of all so far
}

// peak is the most memory that the process has had at one time since forgetPeak,
// in MiB, 0 where the system does not tell.
func peak() int64 {
	status, err := os.ReadFile(filepath.Join("/proc", "self", "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes / 1024
		}
	}
	return 0
}
