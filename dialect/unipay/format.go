package unipay

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// Format is one of the three notations of the API (1.4).
type Format uint8

// The formats. The zero Format is none: a request without a body.
const (
	JSON Format = iota + 1
	XML
	XURL // form or query-string encoding
)

// String returns the name of the format as the documentation has it.
func (f Format) String() string {
	switch f {
	case JSON:
		return "json"
	case XML:
		return "xml"
	case XURL:
		return "xurl"
	default:
		return "none"
	}
}

// ContentType is the header of an answer in this format.
func (f Format) ContentType() string {
	switch f {
	case XML:
		return "application/xml; charset=utf-8"
	case XURL:
		return "application/x-www-form-urlencoded; charset=utf-8"
	default:
		return "application/json; charset=utf-8"
	}
}

// formatOf maps a media type without parameters, in lower case; 0 for others.
func formatOf(mediaType string) Format {
	switch mediaType {
	case "application/json", "text/json":
		return JSON
	case "application/xml", "text/xml":
		return XML
	case "application/x-www-form-urlencoded":
		return XURL
	default:
		return 0
	}
}

// AnswerFormat chooses the format of an answer (1.4). The client's Accept
// decides. Without one, or when it names nothing we have, JSON and XML bodies
// are answered in kind and everything else in JSON: an XURL answer is only
// given to a client that asks for it, because the documentation lets few
// actions produce it.
//
// body is what Decode returned; 0 when the answer is a failure from before the
// body was read, in which case the Content-Type stands for it. A format is
// always found: 406 would help nobody.
//
// A list has no XURL form; Style.Write answers it in JSON.
func AnswerFormat(h http.Header, body Format) Format {
	if body == 0 {
		mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
		body = formatOf(mediaType)
	}
	usual := JSON
	if body == XML {
		usual = XML
	}
	return accepted(strings.Join(h.Values("Accept"), ","), usual)
}

// wish is what an Accept header says about one format.
type wish struct {
	format  Format
	quality int // thousandths
	detail  int // 2 named exactly, 1 by its half ("text/*"), 0 by "*/*"
	place   int // of the words in the header
}

// better reports whether a is to be preferred to b: first by quality, then by
// how exactly it was named, then by its place in the header.
func (a wish) better(b wish) bool {
	switch {
	case a.quality != b.quality:
		return a.quality > b.quality
	case a.detail != b.detail:
		return a.detail > b.detail
	default:
		return a.place < b.place
	}
}

// accepted returns the best format for an Accept header, usual when the header
// does not decide. A wildcard stands for JSON and XML, never for XURL.
func accepted(header string, usual Format) Format {
	wishes := make(map[Format]wish)
	place := 0
	for part := range strings.SplitSeq(header, ",") {
		place++
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, ok := quality(params["q"])
		if !ok {
			continue
		}
		formats, detail := wildcard(mediaType)
		for _, f := range formats {
			w := wish{format: f, quality: q, detail: detail, place: place}
			// What is said more exactly about a format replaces what is
			// said in general, even when it lowers the quality (RFC 9110,
			// 12.5.1). Two exact names for one format: the better counts.
			old, found := wishes[f]
			if !found || w.detail > old.detail || w.detail == old.detail && w.better(old) {
				wishes[f] = w
			}
		}
	}
	best := wish{}
	for _, f := range []Format{usual, JSON, XML, XURL} {
		if w, found := wishes[f]; found && w.quality > 0 && w.better(best) {
			best = w
		}
	}
	if best.format == 0 {
		return usual
	}
	return best.format
}

// wildcard returns the formats a media range stands for.
func wildcard(mediaType string) (formats []Format, detail int) {
	switch mediaType {
	case "*/*":
		return []Format{JSON, XML}, 0
	case "application/*", "text/*":
		return []Format{JSON, XML}, 1
	}
	if f := formatOf(mediaType); f != 0 {
		return []Format{f}, 2
	}
	return nil, 0
}

// quality reads a q parameter (RFC 9110, 12.4.2) as thousandths; absent is
// 1000.
func quality(s string) (int, bool) {
	if s == "" {
		return 1000, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	q := int(whole[0] - '0')
	for _, r := range (fraction + "000")[:3] {
		q = q*10 + int(r-'0')
	}
	return q, q <= 1000
}

// requestFormat reads the Content-Type header of a request with a body. The format
// is 0 when there is no header, and the body has to be looked at.
func requestFormat(contentType string) (Format, error) {
	if contentType == "" {
		return 0, nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, Fail(UnsupportedBody, "", "the Content-Type is malformed")
	}
	f := formatOf(mediaType)
	if f == 0 {
		return 0, Fail(UnsupportedBody, "", "the Content-Type is none of application/json, application/xml and application/x-www-form-urlencoded")
	}
	if charset, found := params["charset"]; found && !isUTF8(charset) {
		return f, Fail(UnsupportedBody, "", "the character set of the body is not UTF-8")
	}
	return f, nil
}

func isUTF8(charset string) bool {
	return slices.Contains([]string{"utf-8", "utf8"}, strings.ToLower(charset))
}
