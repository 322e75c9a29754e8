package httpd

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// Record is what becomes of a request in the log and the metrics. The listener makes one for each request; whoever
// handles the request notes on it what it learns. What is noted is logged as it stands: never a card number, a
// security code, a password or a whole address. Texts are clipped at 100 bytes. Safe for concurrent use.
type Record struct {
	id     string
	remote netip.Addr
	quiet  bool // routine of operators, not worth a line at level info

	mu                              sync.Mutex
	route, merchant, login, outcome string
	more                            []slog.Attr
}

type recordKey struct{}

// Note returns the record of the request that ctx belongs to. Outside a request it returns a record that nobody will
// read, so that a handler can be tested without the listener.
func Note(ctx context.Context) *Record {
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec
	}
	return &Record{}
}

// Remote returns the address of the client of a request: the peer's, or behind a trusted proxy the one the proxy
// reports. This is the address for allow lists and for [Brake]. It is the zero Addr if the request came from no
// network.
func Remote(r *http.Request) netip.Addr {
	if rec, ok := r.Context().Value(recordKey{}).(*Record); ok {
		return rec.remote
	}
	return clientAddr(r.RemoteAddr, nil, nil)
}

// ID returns the request's id, which is also in the answer's X-Request-Id: the client's own if it sent a sane one.
// It is empty outside a request.
func (rec *Record) ID() string { return rec.id }

// SetRoute notes the pattern of the route, like "POST /api/v01/transactions/~process", or the name of an action where
// the wire has only one address. It is a label of the metrics, so it must be one of a small number of constants; what
// follows a question mark is dropped, should an address get here by mistake.
func (rec *Record) SetRoute(pattern string) {
	pattern, _, _ = strings.Cut(pattern, "?")
	rec.set(&rec.route, pattern)
}

// SetMerchant notes whose books the request is about, by our id.
func (rec *Record) SetMerchant(id string) { rec.set(&rec.merchant, id) }

// SetLogin notes who is asking, by name and never by key or password.
func (rec *Record) SetLogin(name string) { rec.set(&rec.login, name) }

// SetOutcome notes what came of it in the dialect's own code, like "approved" or "-12". Wires that answer every
// request with status 200 are readable in the log only by this.
func (rec *Record) SetOutcome(code string) { rec.set(&rec.outcome, code) }

// Add notes further attributes for the line.
func (rec *Record) Add(attrs ...slog.Attr) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.more = append(rec.more, attrs...)
}

func (rec *Record) set(field *string, value string) {
	const longest = 100
	if len(value) > longest {
		value = strings.ToValidUTF8(value[:longest], "")
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	*field = value
}

func (rec *Record) routeOr(fallback string) string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.route == "" {
		return fallback
	}
	return rec.route
}

// notes returns the attributes that were noted, for the log line.
func (rec *Record) notes() []slog.Attr {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var attrs []slog.Attr
	for _, f := range []struct{ key, value string }{
		{"merchant", rec.merchant}, {"login", rec.login}, {"outcome", rec.outcome},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, f.value))
		}
	}
	return append(attrs, rec.more...)
}

// requestID returns the id a client sent if it is sane, else a new one of 26 letters and digits. Sane is one header
// of at most 64 letters, digits, dots, underscores and hyphens, with a letter among them: a text of digits alone may
// be a card number, and the id is logged.
func requestID(sent []string) string {
	if len(sent) != 1 || len(sent[0]) > 64 {
		return rand.Text()
	}
	letters := 0
	for _, c := range []byte(sent[0]) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters++
		case '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return rand.Text()
		}
	}
	if letters == 0 {
		return rand.Text()
	}
	return sent[0]
}
