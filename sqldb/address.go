package sqldb

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// address is a parsed database address.
type address struct {
	engine Engine
	path   string // SQLite: the file
	url    string // PostgreSQL: the address as given
}

// errPGAddress says nothing about what is wrong: whatever text there is about it may hold a part of the password.
var errPGAddress = errors.New("sqldb: the PostgreSQL address cannot be read: its form is " +
	"postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; special characters of the password are written " +
	"%40 for @, %2F for /, %3A for :, %3F for ?, %23 for #, %25 for %; check these, and the parameters after the question mark")

var schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]{1,15}$`)

// parseAddress tells the engines apart. Its errors repeat nothing of the address but a scheme, since any part of a
// mistyped address may be a password.
func parseAddress(s string) (address, error) {
	const forms = `"sqlite:perennial.db" or "postgres://USER:PASSWORD@HOST:5432/DATABASE"`
	if s == "" {
		return address{}, errors.New("sqldb: no database address given: use " + forms)
	}
	scheme, rest, found := strings.Cut(s, ":")
	switch {
	case found && scheme == "sqlite":
		if after, ok := strings.CutPrefix(rest, "//"); ok { // sqlite:///var/lib/x.db
			rest = after
		}
		if rest == "" {
			return address{}, errors.New(`sqldb: the database address names no file: use "sqlite:perennial.db"`)
		}
		if strings.HasPrefix(rest, ":memory:") || strings.ContainsRune(rest, 0) {
			return address{}, errors.New("sqldb: the database must be a file, for its readers have connections of their own: " +
				`use "sqlite:perennial.db"`)
		}
		return address{engine: SQLite, path: rest}, nil
	case found && (scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//"):
		// A second @, or one after the host, comes from a password that is not escaped. pgx would take its rest for
		// the name of the host or the database, and show it in errors.
		if authority := strings.IndexAny(rest[2:], "/?#"); strings.Count(rest, "@") > 1 ||
			authority >= 0 && strings.Contains(rest[2+authority:], "@") {
			return address{}, errPGAddress
		}
		return address{engine: PostgreSQL, url: s}, nil
	case found && schemeForm.MatchString(scheme) && strings.HasPrefix(rest, "//"):
		return address{}, fmt.Errorf("sqldb: no engine for database addresses that begin with %q: use %s", scheme+"://", forms)
	}
	return address{}, errors.New("sqldb: the database address has no known form: use " + forms)
}
