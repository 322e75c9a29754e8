package sqldb

import (
	"context"
	"errors"
	"fmt"
)

// Scrub writes an SQLite database anew, so that nothing is left in its files of what
// was deleted or overwritten: not in free pages, not in the unused parts of others,
// not in the write-ahead log. It takes about as long as copying the file, needs as
// much room again, and keeps writers waiting meanwhile. ErrBusy means that somebody
// was reading all the while: the log still has what was overwritten. On PostgreSQL it
// does nothing, see docs/privacy.md.
func (d *DB) Scrub(ctx context.Context) error {
	if d.engine != SQLite || d.readOnly {
		return nil
	}
	return d.lite.scrub(ctx)
}

func (l *liteDB) scrub(ctx context.Context) (err error) {
	own, err := openDSN(liteDSN(l.path, l.options, writing)) // a transaction of the writer's must not be open around it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	conn, err := own.Conn(ctx)
	if err != nil {
		return l.openError(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "VACUUM"); err != nil {
		return fmt.Errorf("sqldb: write the file anew: %w", l.openError(err))
	}
	var busy, inLog, done int64
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &done); err != nil {
		return fmt.Errorf("sqldb: empty the write-ahead log: %w", l.openError(err))
	}
	if busy != 0 {
		return fmt.Errorf("sqldb: empty the write-ahead log: %w", ErrBusy)
	}
	return nil
}
