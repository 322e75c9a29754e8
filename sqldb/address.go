package sqldb

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// address is a parsed database address.
type address struct {
	engine Engine
	path   string   // SQLite: the file
	url    string   // PostgreSQL: the address as given
	parsed *url.URL // PostgreSQL: the same, or nil if net/url cannot read it (pgx may)
}

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
			return address{}, errors.New(`sqldb: the database must be a file, for its readers have connections of their own: use "sqlite:perennial.db"`)
		}
		return address{engine: SQLite, path: rest}, nil
	case found && (scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//"):
		u, err := url.Parse(s)
		if err != nil {
			u = nil
		}
		return address{engine: PostgreSQL, url: s, parsed: u}, nil
	case found && schemeForm.MatchString(scheme) && strings.HasPrefix(rest, "//"):
		return address{}, fmt.Errorf("sqldb: no engine for database addresses that begin with %q: use %s", scheme+"://", forms)
	}
	return address{}, errors.New("sqldb: the database address has no known form: use " + forms)
}

// redact replaces the passwords of a in text, which must come from something that has read the address.
func (a address) redact(text string) string {
	if a.parsed == nil {
		return "(not shown, since it may contain the password)"
	}
	var secrets []string
	if password, ok := a.parsed.User.Password(); ok {
		_, raw, _ := strings.Cut(a.parsed.User.String(), ":")
		secrets = append(secrets, password, raw)
		if _, written, ok := strings.Cut(a.url, "://"); ok { // as written, if the escaping is not the usual one
			user, _, _ := strings.Cut(written, "@")
			_, raw, _ := strings.Cut(user, ":")
			secrets = append(secrets, raw)
		}
	}
	for name, values := range a.parsed.Query() {
		if strings.Contains(name, "password") {
			for _, v := range values {
				secrets = append(secrets, v, url.QueryEscape(v))
			}
		}
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "xxxxx")
		}
	}
	return text
}
