package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrNoRows means that a query for one row found none.
	ErrNoRows = sql.ErrNoRows

	// ErrClosed means that the DB has been closed.
	ErrClosed = errors.New("sqldb: database is closed")

	// ErrReadOnly means that the DB was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("sqldb: database is opened for reading only")

	// ErrBusy means that another process kept the write lock of an SQLite file for longer than 10 seconds.
	ErrBusy = errors.New("sqldb: another process holds the write lock of the database")

	// ErrOutcomeUnknown means that the connection to PostgreSQL was lost during COMMIT, so that the work may or may
	// not have been stored. Look before doing it again.
	ErrOutcomeUnknown = errors.New("sqldb: connection lost during COMMIT, outcome unknown")
)

// SQLite's extended result codes, sqlite.org/rescode.html, and PostgreSQL's SQLSTATEs, appendix A of its manual.
const (
	liteBusy       = 5 // primary code
	liteNotADB     = 26
	litePrimaryKey = 1555
	liteUnique     = 2067
	liteRowID      = 2579

	pgUnique               = "23505"
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
	pgLockNotAvailable     = "55P03"
	pgFeatureNotSupported  = "0A000" // among others: "cached plan must not change result type", after a migration
	pgUndefinedTable       = "42P01"
)

// dbError shows a text that is safe and unwraps to an error whose text may not be.
type dbError struct {
	text string
	err  error
}

func (e *dbError) Error() string { return e.text }
func (e *dbError) Unwrap() error { return e.err }

// statementError is err with the statement it belongs to and without any argument or stored value in its text.
func statementError(q string, err error) error {
	return &dbError{text: "sqldb: " + head(q) + ": " + safeText(err), err: err}
}

// head is the beginning of a statement, in one line.
func head(q string) string {
	const most = 80
	q = strings.Join(strings.Fields(q), " ")
	if len(q) > most {
		q = strings.ToValidUTF8(q[:most], "") + "…"
	}
	return q
}

var (
	liteScanError = regexp.MustCompile(`^sql: Scan error on column index \d+, name "[^"]*"`)
	pgArgError    = regexp.MustCompile(`failed to encode args\[(\d+)\]`)
)

// safeText is the text of err without values. The drivers put values into it in these places: an argument that does
// not fit its parameter's type (pgx), a column that does not fit its destination (both), and PostgreSQL's class 22,
// which quotes the input it could not read. PostgreSQL's Detail is not part of the text in the first place.
func safeText(err error) string {
	text := err.Error()
	if pe := (*pgconn.PgError)(nil); errors.As(err, &pe) {
		if before, _, found := strings.Cut(pe.Message, `"`); found && strings.HasPrefix(pe.Code, "22") {
			return pe.Severity + ": " + strings.TrimRight(before, ": ") + " (SQLSTATE " + pe.Code + ")"
		}
		return pe.Error()
	}
	if se := (pgx.ScanArgError{}); errors.As(err, &se) {
		return fmt.Sprintf("column %d (%s) does not fit its destination", se.ColumnIndex+1, se.FieldName)
	}
	if found := liteScanError.FindString(text); found != "" {
		return found + ": does not fit its destination"
	}
	if found := pgArgError.FindStringSubmatch(text); found != nil {
		return "the argument at index " + found[1] + " does not fit the type of its parameter"
	}
	return text
}

// retryable says whether PostgreSQL asks for the transaction to be run again.
func retryable(err error) bool {
	switch sqlState(err) {
	case pgSerializationFailure, pgDeadlock, pgFeatureNotSupported:
		return true
	}
	return false
}

// sqlState is the SQLSTATE in err, or "".
func sqlState(err error) string {
	if pe := (*pgconn.PgError)(nil); errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

// liteCode is the extended result code of SQLite in err, or 0.
func liteCode(err error) int {
	if se := (*sqlite.Error)(nil); errors.As(err, &se) {
		return se.Code()
	}
	return 0
}

// isContext says whether err comes from a context that ended.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// IsUnique says whether err comes from a second row with the same unique or primary key. See [UniqueKey].
func IsUnique(err error) bool {
	switch liteCode(err) {
	case litePrimaryKey, liteUnique, liteRowID:
		return true
	}
	return sqlState(err) == pgUnique
}

// IsLocked says whether err comes from a statement that would have had to wait for rows that others have locked, in a
// transaction that was told not to ([Tx.Hasten]).
func IsLocked(err error) bool { return sqlState(err) == pgLockNotAvailable }

var liteUniqueKey = regexp.MustCompile(`UNIQUE constraint failed: (?:index '([^']+)'|([^()]+))`)

// UniqueKey names the key that made [IsUnique] true, in the same words on both engines: "invoice(merchant_id,number)"
// for a key on columns, in the order of the index, or the name of the index if it is on an expression. It returns ""
// for other errors. It contains no values.
func UniqueKey(err error) string {
	if !IsUnique(err) {
		return ""
	}
	if pe := (*pgconn.PgError)(nil); errors.As(err, &pe) {
		return pgUniqueKey(pe)
	}
	se := (*sqlite.Error)(nil)
	if !errors.As(err, &se) {
		return ""
	}
	// "constraint failed: UNIQUE constraint failed: invoice.merchant_id, invoice.number (2067)"
	m := liteUniqueKey.FindStringSubmatch(se.Error())
	if m == nil {
		return ""
	}
	if m[1] != "" {
		return m[1]
	}
	var table string
	var cols []string
	for part := range strings.SplitSeq(strings.TrimSpace(m[2]), ", ") {
		t, col, _ := strings.Cut(part, ".")
		table = t
		cols = append(cols, col)
	}
	return table + "(" + strings.Join(cols, ",") + ")"
}

// pgUniqueKey reads the columns out of the error's Detail, "Key (merchant_id, number)=(1, 2) already exists.", whose
// words depend on the server's language and whose brackets do not.
func pgUniqueKey(pe *pgconn.PgError) string {
	_, rest, found := strings.Cut(pe.Detail, "(")
	if !found {
		return pe.ConstraintName // the user may not see the row
	}
	key, _, found := strings.Cut(rest, ")=(")
	if !found || strings.ContainsAny(key, "()") { // an expression
		return pe.ConstraintName
	}
	cols := strings.Split(key, ", ")
	for i, col := range cols {
		cols[i] = strings.Trim(col, `"`)
	}
	return pe.TableName + "(" + strings.Join(cols, ",") + ")"
}
