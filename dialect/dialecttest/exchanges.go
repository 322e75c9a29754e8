package dialecttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Exchanges plays one text archive against a Counter and compares what comes
// with what stands there. The sections of an archive are done in their order:
//
//	settings        the merchant's settings, as JSON
//	NAME.request    a request: method and URL, headers, a blank line, the body
//	NAME.response   the answer to it: status, the headers that matter, a blank line, the body
//	NAME.clock      a day to which the merchant's clock is moved, and all is done that falls due
//	books           the books, see Books
//	events          the outbox, see Events
//	journal         the bank's journal, see Journal
//
// A request is sent with the login User unless it has an Authorization header of
// its own; "none" sends none. A body that is "@FILE" is the file, byte for byte;
// else the line break at its end is not part of it. {{NAME}} in a request is the
// id that the answer NAME gave, the first in it. In answers ids are shown as
// id-1, id-2 and so on in the order of their appearance.
func Exchanges(t *testing.T, c *Counter, file string) {
	t.Helper()
	if Updating() && c.Store.Engine() != sqldb.SQLite {
		t.Skip("golden files are written by what SQLite does")
	}
	text, err := os.ReadFile(file)
	check(t, err)
	archive := txtar.Parse(text)
	p := &player{t: t, c: c, dir: filepath.Dir(file), ids: map[string]string{}, shown: map[string]string{}}
	for i := range archive.Files {
		f := &archive.Files[i]
		want := string(f.Data)
		got, golden := p.play(f.Name, want)
		if !golden {
			continue
		}
		if Updating() {
			f.Data = []byte(got)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", file, f.Name, diff)
		}
	}
	if Updating() && !t.Failed() {
		check(t, os.WriteFile(file, txtar.Format(archive), 0o644))
	}
}

// player is an archive being played.
type player struct {
	t     *testing.T
	c     *Counter
	dir   string
	last  string            // the answer to the last request, as it is shown
	ids   map[string]string // by the name of the answer that gave them
	shown map[string]string // how each id is shown
}

// play does one section. It returns what is to be compared, if it is one that
// says what is expected.
func (p *player) play(name, text string) (got string, golden bool) {
	p.t.Helper()
	step, kind, stepped := strings.Cut(name, ".")
	switch {
	case name == "books":
		return Books(p.t, p.c.Shop), true
	case name == "events":
		return Events(p.t, p.c.Shop), true
	case name == "journal":
		return Journal(p.t, p.c.Shop), true
	case name == "settings":
		p.c.Configure(func(s *billing.Settings) { check(p.t, json.Unmarshal([]byte(text), s)) })
		return "", false
	case stepped && kind == "request":
		p.request(step, text)
		return "", false
	case stepped && kind == "response":
		return p.last, true
	case stepped && kind == "clock":
		p.c.MoveTo(strings.TrimSpace(text))
		return "", false
	}
	p.t.Fatalf("a section that means nothing: %s", name)
	return "", false
}

var placeholder = regexp.MustCompile(`\{\{([^}]*)\}\}`)

// request sends one request and keeps the answer.
func (p *player) request(step, text string) {
	p.t.Helper()
	text = placeholder.ReplaceAllStringFunc(text, func(s string) string {
		id, ok := p.ids[s[2:len(s)-2]]
		if !ok {
			p.t.Fatalf("%s: no answer gave %s", step, s)
		}
		return id
	})
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	if path, ok := strings.CutPrefix(body, "@"); ok {
		data, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(path)))
		check(p.t, err)
		body = string(data)
	}
	first, lines, _ := strings.Cut(head, "\n")
	method, url, ok := strings.Cut(strings.TrimSpace(first), " ")
	if !ok {
		p.t.Fatalf("%s: no method and URL", step)
	}
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(strings.TrimSuffix(lines, "\n") + "\n\n"))).ReadMIMEHeader()
	check(p.t, err)
	reply := p.c.Ask(method, url, http.Header(header), body)
	p.last = p.show(reply)
	if id := idPattern.FindString(reply.Body); id != "" {
		p.ids[step] = id
	}
}

// Reply is an answer.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Ask sends a request to the listener, with the login User unless the header
// says who is asking, and returns the answer.
func (c *Counter) Ask(method, url string, header http.Header, body string) Reply {
	c.T.Helper()
	r, err := http.NewRequest(method, c.URL+url, strings.NewReader(body))
	check(c.T, err)
	for name, values := range header {
		r.Header[name] = values
	}
	switch r.Header.Get("Authorization") {
	case "":
		r.SetBasicAuth(User, Password)
	case "none":
		r.Header.Del("Authorization")
	}
	res, err := http.DefaultClient.Do(r)
	check(c.T, err)
	text, err := io.ReadAll(res.Body)
	check(c.T, err)
	check(c.T, res.Body.Close())
	return Reply{Status: res.StatusCode, Header: res.Header, Body: string(text)}
}

// shownHeaders are the headers of an answer that an archive shows.
var shownHeaders = []string{"Content-Type", "WWW-Authenticate", "Allow", "Retry-After", "Idempotent-Replayed"}

// show writes an answer as an archive has it.
func (p *player) show(r Reply) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", r.Status)
	for _, name := range shownHeaders {
		for _, value := range r.Header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", p.hideIDs(r.Body))
	return b.String()
}

var (
	// Ids of the core, made at the time at which the wall of a shop stands, numbers
	// of 19 digits (protocols/ccbill.md 3.3), and 32 hexadecimal digits
	// (protocols/recurly-v1.md 2.2).
	idPattern = regexp.MustCompile(`\b(?:[1-9]\d{17,18}|01\d{17}|[0-9a-f]{32})\b`)

	// Tokens hold the id of their payment method.
	tokenPattern = regexp.MustCompile(`\b(CC|BA)0*([1-9]\d{17,18})(\d{4})\b`)
)

// hideIDs shows ids by the order in which they appear.
func (p *player) hideIDs(text string) string {
	text = tokenPattern.ReplaceAllStringFunc(text, func(token string) string {
		parts := tokenPattern.FindStringSubmatch(token)
		return parts[1] + "-" + p.name(parts[2]) + "-" + parts[3]
	})
	return idPattern.ReplaceAllStringFunc(text, p.name)
}

func (p *player) name(id string) string {
	if _, ok := p.shown[id]; !ok {
		p.shown[id] = fmt.Sprintf("id-%d", len(p.shown)+1)
	}
	return p.shown[id]
}

// Archives lists the archives of a directory in the order of their names.
func Archives(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	check(t, err)
	if len(files) == 0 {
		t.Fatalf("no archives in %s", dir)
	}
	slices.Sort(files)
	return files
}

// Requests lists the methods and URLs that an archive asks for, without their
// query strings.
func Requests(t testing.TB, file string) (list [][2]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	for _, f := range txtar.Parse(text).Files {
		if strings.HasSuffix(f.Name, ".request") {
			first, _, _ := strings.Cut(string(f.Data), "\n")
			method, url, _ := strings.Cut(strings.TrimSpace(first), " ")
			url, _, _ = strings.Cut(url, "?")
			list = append(list, [2]string{method, url})
		}
	}
	return list
}
