package billingcircle

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// answer is what a request comes to: the four values of a line, and of a report
// the lines that follow (2).
type answer struct {
	code    int // 1 or 2
	subcode int
	text    string
	data    string
	report  string // a line feed and the lines of CSV, "" if it is none
	status  int    // of HTTP, 0 for 200
	outcome string // for the log
}

// success is the answer to what was carried out.
func success(data string) *answer { return &answer{code: 1, subcode: 1, text: "Success", data: data} }

// line is the answer as it goes out: always four values, none of which has a comma
// or a line break in it, because callers split on them. A fourth value that a
// client may have written is percent-encoded.
func (a *answer) line() string {
	return strconv.Itoa(a.code) + "," + strconv.Itoa(a.subcode) + "," + flat(a.text) + "," + flat(a.data) + a.report
}

// flat is a text without what would end a value.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

func (a *answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write([]byte(a.line())) // it fails when the client has gone, and then nobody is left to be told
}

// query is a list of pairs in the order in which they go out.
type query struct{ b strings.Builder }

// add adds a pair, unless its value is empty.
func (q *query) add(name, value string) {
	if value != "" {
		q.always(name, value)
	}
}

func (q *query) always(name, value string) {
	if q.b.Len() > 0 {
		q.b.WriteByte('&')
	}
	q.b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value))
}

func (q *query) String() string { return q.b.String() }
