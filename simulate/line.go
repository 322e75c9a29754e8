package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/perennial-billing/perennial/processor/sandbox"
)

// line is the line to the bank. It can be down, it can carry a request twice, and
// it ends the waiting for a bank that has fallen silent: in a world whose clock
// stands, nobody waits for a deadline.
type line struct {
	bank *sandbox.Bank
	next http.RoundTripper

	mu      sync.Mutex
	down    int  // requests that cannot be sent
	acts    bool // of which only those that move money
	twice   int  // requests that arrive twice
	crossed int  // answers to acts that are those to an act before
	repeat  int  // answers that tell notices again
	before  []byte
	absent  map[string]int
	hangUp  context.CancelFunc // of the request under way
}

// mostAbsent is how often the bank may say of one reference that it has not seen
// it, though it has or will. A charge by a number that is kept nowhere is given
// up after some such answers: the cashier's promise holds for banks that do not
// lie for longer.
const mostAbsent = 2

// silent hears that the bank does not answer.
func (l *line) silent(string, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangUp()
}

// take uses up one of a number of times.
func (l *line) take(n *int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *n == 0 {
		return false
	}
	*n--
	return true
}

// RoundTrip carries a request to the bank.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.request(r)
	if err != nil || resp.StatusCode != http.StatusOK || r.Method != http.MethodPost {
		return resp, err
	}
	return l.cross(resp)
}

// cross puts, when it is the time for it, the answer to an act before in the
// place of the one that came.
func (l *line) cross(resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil { // the line broke in the middle, which the client shall see
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), breaking{err}))
		return resp, nil
	}
	told := body
	if l.before != nil && l.take(&l.crossed) {
		told = l.before
	}
	l.before = body
	resp.Body = io.NopCloser(bytes.NewReader(told))
	return resp, nil
}

// breaking is a line that is cut.
type breaking struct{ err error }

// Read fails.
func (b breaking) Read([]byte) (int, error) { return 0, b.err }

// request carries a request to the bank, or not.
func (l *line) request(r *http.Request) (*http.Response, error) {
	if (r.Method == http.MethodPost || !l.acts) && l.take(&l.down) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	if strings.HasSuffix(r.URL.Path, "/notices") && l.take(&l.repeat) {
		q := r.URL.Query()
		q.Set("after", "0")
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	looking := strings.Contains(r.URL.Path, "/references/")
	if looking {
		if err := l.honest(r); err != nil {
			return nil, err
		}
	}
	if r.Method == http.MethodPost && l.take(&l.twice) {
		return l.double(r)
	}
	resp, err := l.carry(r)
	if looking && err == nil && resp.StatusCode == http.StatusNotFound {
		l.mu.Lock()
		l.absent[path.Base(r.URL.Path)]++
		l.mu.Unlock()
	}
	return resp, err
}

// double carries a request twice and hands back the first answer. The second
// goes only after a good answer: a processor that says that it did nothing, and
// then does, breaks the contract of processor.Driver, on which the cashier rests.
func (l *line) double(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	second := r.Clone(r.Context())
	r.Body, second.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	resp, err := l.carry(r)
	if err == nil && resp.StatusCode == http.StatusOK {
		if again, err := l.carry(second); err == nil {
			_ = again.Body.Close()
		}
	}
	return resp, err
}

// honest ends the lies about a reference that the bank has often enough said not
// to have seen.
func (l *line) honest(r *http.Request) error {
	l.mu.Lock()
	n := l.absent[path.Base(r.URL.Path)]
	l.mu.Unlock()
	if n < mostAbsent {
		return nil
	}
	if _, err := l.bank.Deliver(r.Context()); err != nil {
		return err
	}
	return l.bank.SetFaults(r.Context(), strings.Split(r.URL.Path, "/")[3])
}

func (l *line) carry(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	l.mu.Lock()
	l.hangUp = cancel
	l.mu.Unlock()
	return l.next.RoundTrip(r.WithContext(ctx))
}
