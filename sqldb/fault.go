package sqldb

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// SQLite's primary result codes for a statement that its values do not fit.
const (
	liteTooBig     = 18
	liteConstraint = 19
	liteMismatch   = 20
)

// IsFailure says whether err comes from the database, the line to it or the end of a context, and would come with
// other rows as well. It is false for errors that are about the values of a row: a column that does not fit its
// destination, a constraint that is not kept, PostgreSQL's class 22. It is false too for errors of the closure's own,
// which are about what it has read. See [DB.Update].
func IsFailure(err error) bool {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded, ErrClosed, ErrReadOnly, ErrBusy, ErrOutcomeUnknown} {
		if errors.Is(err, e) {
			return true
		}
	}
	if state := sqlState(err); state != "" {
		return !strings.HasPrefix(state, "22") && !strings.HasPrefix(state, "23")
	}
	if code := liteCode(err) & 0xff; code != 0 {
		return code != liteTooBig && code != liteConstraint && code != liteMismatch
	}
	if err == nil {
		return false
	}
	statement, scan := (*dbError)(nil), pgx.ScanArgError{}
	if !errors.As(err, &statement) {
		return strings.Contains(err.Error(), "sqldb: ") // of the beginning or the end of a transaction
	}
	return !errors.As(err, &scan) && !liteScanError.MatchString(statement.err.Error())
}
