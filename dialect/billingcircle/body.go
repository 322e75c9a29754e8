package billingcircle

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Bounds of a request. What is longer, or has more, has no fields at all.
const (
	longestBody = 256 << 10
	mostPairs   = 500
	longestName = 100
)

// params are the pairs of a request. Values have no white space around them.
type params struct {
	values map[string]string
	twice  map[string]bool // names that came more than once
}

// get is the value of a field, "" if it was not sent or is empty.
func (p params) get(name string) string { return p.values[name] }

// has reports whether a field was sent with a value; an empty one counts as not
// sent (1).
func (p params) has(name string) bool { return p.values[name] != "" }

// sent reports whether a field was sent, be it empty.
func (p params) sent(name string) bool {
	_, ok := p.values[name]
	return ok
}

func (p params) add(name, value string) {
	if _, ok := p.values[name]; ok {
		p.twice[name] = true
		return
	}
	p.values[name] = strings.TrimSpace(text(value))
}

// rename has fields of other names count as those of the wire. A field that came
// under both names came twice.
func (p params) rename(aliases map[string]string) {
	for alias, name := range aliases {
		value, ok := p.values[alias]
		if !ok {
			continue
		}
		if p.twice[alias] {
			p.twice[name] = true
		}
		delete(p.values, alias)
		p.add(name, value)
	}
}

// errTooLong is the error of a body beyond the bounds.
var errTooLong = errors.New("billingcircle: the body is too long")

// readParams reads the pairs of a body: a form, or a form in parts, as PHP's cURL
// sends it when it is given an array (1). Of anything else, and of what breaks off,
// there are none.
func readParams(r *http.Request) (params, error) {
	none := params{values: map[string]string{}, twice: map[string]bool{}}
	body := http.MaxBytesReader(nil, r.Body, longestBody)
	kind, more, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return none, nil
	}
	p := params{values: map[string]string{}, twice: map[string]bool{}}
	switch kind {
	case "", "application/x-www-form-urlencoded": // scripts that write the request by hand forget the header
		err = p.readForm(body)
	case "multipart/form-data":
		err = p.readParts(body, more["boundary"])
	default:
		return none, nil
	}
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return none, errTooLong
	case err != nil:
		return none, nil
	}
	return p, nil
}

var (
	errMany   = errors.New("billingcircle: the body has too many fields")
	errBroken = errors.New("billingcircle: the body breaks off")
)

func (p params) readForm(body io.Reader) error {
	all, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	pairs := strings.SplitN(strings.Trim(string(all), "\r\n"), "&", mostPairs+1)
	if len(pairs) > mostPairs {
		return errMany
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if name = unescape(name); name != "" && len(name) <= longestName {
			p.add(name, unescape(value))
		}
	}
	return nil
}

func (p params) readParts(body io.Reader, boundary string) error {
	all, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if boundary == "" || !bytes.Contains(all, []byte("--"+boundary+"--")) {
		return errBroken
	}
	parts := multipart.NewReader(bytes.NewReader(all), boundary)
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == mostPairs {
			return errMany
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if name := part.FormName(); name != "" && len(name) <= longestName {
			p.add(name, string(value))
		}
	}
}

// unescape reads a name or value of a form as PHP did: a percent sign that begins
// no escape stands for itself.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b.WriteByte(byte(hex(s[i+1])<<4 | hex(s[i+2])))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hex is the value of a hexadecimal digit, -1 for anything else.
func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// text is UTF-8, or what the same bytes are in ISO-8859-1 (1).
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
