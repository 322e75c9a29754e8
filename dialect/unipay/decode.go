package unipay

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Decode reads the parameters of a call from the body, in the format of its
// Content-Type, and from the query string, which is always XURL. The two are
// one: a name may stand in both with the same value (1.4).
//
// Actions that take no object (find, load, cancel ...) take XURL only, because
// a JSON body that went unread would turn "cancel in June" into "cancel now".
//
// limit is the greatest size of the body in bytes; the query string is held to
// it too. An http.MaxBytesReader around the body is understood. The Format is
// that of the body, 0 without one, and is valid as far as known even with an
// error. Every error is a *Failure of code F03: it says what is wrong and
// where, and repeats no value.
func Decode(r *http.Request, call Call, limit int64) (Fields, Format, error) {
	if int64(len(r.URL.RawQuery)) > limit {
		return Fields{}, 0, Fail(TooLarge, "", "the query string is too long")
	}
	body, err := readBody(r, limit)
	if err != nil {
		return Fields{}, 0, err
	}
	var c collector
	format, err := decodeBody(&c, r.Header, body, call)
	if err != nil {
		return Fields{}, format, err
	}
	if err := decodeXURL(&c, r.URL.RawQuery); err != nil {
		return Fields{}, format, err
	}
	return c.fields(), format, nil
}

// readBody reads at most limit bytes. The cause of a failed read is kept for
// the log; it comes from the connection, not from the content.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, Fail(TooLarge, "", "the body is too large")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), err == nil && int64(len(body)) > limit:
		return nil, Fail(TooLarge, "", "the body is too large")
	case err != nil:
		return nil, Fail(Unreadable, "", "the body did not arrive in full").because(err)
	}
	return body, nil
}

// byteOrderMark may stand at the beginning of JSON and XML; it means nothing
// in UTF-8.
const byteOrderMark = "\ufeff"

func decodeBody(c *collector, h http.Header, body []byte, call Call) (Format, error) {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	if len(bytes.TrimSpace(body)) == 0 {
		return 0, nil
	}
	format, err := requestFormat(h.Get("Content-Type"))
	if err != nil {
		return format, err
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return format, Fail(UnsupportedBody, "", "compressed bodies are not accepted")
	}
	looks := sniff(body)
	if format == 0 {
		format = looks
	}
	switch {
	case !utf8.Valid(body):
		return format, unreadable("the body is not UTF-8")
	case format != XURL && !call.Action.takesObject():
		return format, unreadable("~%s takes its parameters from the query string or a form, not from %s", call.Action, format)
	case format != looks:
		// The commonest mistake of all: curl -d sends JSON as a form.
		return format, unreadable("the body is not %s, as its Content-Type says", format)
	}
	switch format {
	case JSON:
		return format, decodeJSON(c, body)
	case XML:
		return format, decodeXML(c, body, call.roots())
	default:
		// Files end with a line break, and so do forms sent from files.
		return format, decodeXURL(c, strings.TrimRight(string(body), "\r\n"))
	}
}

// sniff guesses the format of a body from its first byte that is not blank:
// neither "{" nor "<" can begin a form.
func sniff(body []byte) Format {
	switch body = bytes.TrimSpace(body); {
	case bytes.HasPrefix(body, []byte("{")):
		return JSON
	case bytes.HasPrefix(body, []byte("<")):
		return XML
	default:
		return XURL
	}
}

// decodeXURL reads name=value pairs. Empty pairs are nothing, as at the end of
// the published query string sample, and a name without "=" has an empty
// value. In a dotted name the part before the dot is a nested object.
func decodeXURL(c *collector, text string) error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return unreadable("the form has a percent sign without two hexadecimal digits")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return unreadable("the form has a percent sign without two hexadecimal digits")
		}
		fd := field{name: name, value: value}
		if outer, _, dotted := strings.Cut(name, "."); dotted {
			if err := legible(fd); err != nil {
				return err
			}
			fd = field{name: outer, kind: nestedField}
		}
		if err := c.merge(fd); err != nil {
			return err
		}
	}
	return nil
}
