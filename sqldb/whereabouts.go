package sqldb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Whereabouts is what only the database itself can say of where it is. A copy of it, restored or put elsewhere, says
// something else, whatever is in its tables.
type Whereabouts struct {
	// Place names the database: on PostgreSQL the cluster, the database in it and the table that was asked about, which
	// a streaming replica shares and a restored dump does not; on SQLite the file by its path and number.
	Place string

	// Line is the timeline of PostgreSQL, which changes when a replica is promoted or an archive is recovered to a
	// point in time; "" on SQLite.
	Line string

	// Time is the clock of PostgreSQL's machine; zero on SQLite, whose clock is the process's own.
	Time time.Time
}

// Whereabouts asks a PostgreSQL that is the primary, or an SQLite file, where it is. table names a table of the
// transaction's schema.
func (t *Tx) Whereabouts(ctx context.Context, table string) (w Whereabouts, err error) {
	if t.engine == SQLite {
		w.Place, err = t.db.lite.place()
		return w, err
	}
	var us int64
	err = t.QueryRow(ctx, `SELECT CAST((SELECT system_identifier FROM pg_control_system()) AS TEXT) || '/' ||
			CAST((SELECT oid FROM pg_database WHERE datname = current_database()) AS TEXT) || '/' ||
			CAST(CAST(CAST(CAST($1 AS text) AS regclass) AS oid) AS TEXT),
		substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
		CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`, table).Scan(&w.Place, &w.Line, &us)
	w.Time = time.UnixMicro(us).UTC()
	return w, err
}

// place names the file.
func (l *liteDB) place() (string, error) {
	path, err := filepath.Abs(l.path)
	if err != nil {
		return "", fmt.Errorf("sqldb: the path of the database file: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("sqldb: cannot reach the database file: %w", err)
	}
	return fmt.Sprintf("%s#%d", path, fileNumber(info)), nil
}
