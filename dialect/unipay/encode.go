package unipay

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
)

// Object is something that can be answered: one of the answer types of this
// package, or a *Failure.
type Object interface{ wire() object }

// object is the common shape of all answers: fields in their order, and at
// most one object inside.
type object struct {
	element string // in XML; also the field name of a child
	list    string // the XML element around a list of them
	fields  []entry
	child   *object
}

// entry is one field of an answer. Everything is a text on this wire.
type entry struct {
	name, value string
	newer       bool // see newer
}

// Answer is the content of a response: one object or a list.
type Answer struct {
	objects []object
	list    string // the XML element around a list; empty for one object
}

// One answers with one object.
func One(o Object) Answer { return Answer{objects: []object{o.wire()}} }

// Many answers with a list, which may be empty.
func Many[T Object](items []T) Answer {
	var none T
	a := Answer{list: none.wire().list, objects: make([]object, len(items))}
	for i, item := range items {
		a.objects[i] = item.wire()
	}
	return a
}

// Style is how answers are written, for clients that were written against an
// installation that behaves in one of these ways. The zero Style has the choices
// of section 9.
type Style struct {
	// EmptyStrings sends a field that has no value as an empty text, as in
	// the published samples, instead of leaving it out (section 9, 5).
	EmptyStrings bool

	// AlwaysOK answers failures with status 200, as the sister processing API
	// does (section 9, 1). A 401 keeps its status: it is the question in
	// HTTP's own dialogue, without which many clients never send a password.
	AlwaysOK bool

	// Realm is shown by clients that ask a person for a password. It must be
	// printable ASCII without quotes and backslashes; empty is "Billing API".
	Realm string
}

// Write sends an answer with status 200. It sends a list asked for in XURL as
// JSON, because XURL has no lists. The error is that of the connection.
func (s Style) Write(w http.ResponseWriter, f Format, a Answer) error {
	return s.send(w, f, http.StatusOK, a)
}

// WriteFailure sends an error as a failure; AsFailure says how errors that are
// none are shown. The error returned is that of the connection.
func (s Style) WriteFailure(w http.ResponseWriter, f Format, err error) error {
	failure := AsFailure(err)
	status := failure.Status
	h := w.Header()
	switch {
	case status == http.StatusUnauthorized:
		realm := s.Realm
		if realm == "" {
			realm = "Billing API"
		}
		h.Set("WWW-Authenticate", `Basic realm="`+realm+`", charset="UTF-8"`)
	case s.AlwaysOK:
		status = http.StatusOK
	}
	if failure.Allow != "" {
		h.Set("Allow", failure.Allow)
	}
	if failure.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(failure.RetryAfter))
	}
	return s.send(w, f, status, One(failure))
}

func (s Style) send(w http.ResponseWriter, f Format, status int, a Answer) error {
	body, f := s.encode(f, a)
	h := w.Header()
	h.Set("Content-Type", f.ContentType())
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// encode returns the body and the format it is really in.
func (s Style) encode(f Format, a Answer) ([]byte, Format) {
	var b bytes.Buffer
	switch {
	case f == XML:
		s.putXML(&b, a)
		return b.Bytes(), XML
	case f == XURL && a.list == "":
		s.putXURL(&b, "", a.objects[0])
		return b.Bytes(), XURL
	default:
		s.putJSON(&b, a)
		return b.Bytes(), JSON
	}
}

// sends reports whether a field is part of the answer.
func (s Style) sends(e entry) bool {
	return e.value != "" || s.EmptyStrings && !e.newer
}

// putJSON writes objects of texts only, and lists as arrays.
func (s Style) putJSON(b *bytes.Buffer, a Answer) {
	if a.list == "" {
		s.putJSONObject(b, a.objects[0])
		return
	}
	b.WriteByte('[')
	for i, ob := range a.objects {
		if i > 0 {
			b.WriteByte(',')
		}
		s.putJSONObject(b, ob)
	}
	b.WriteByte(']')
}

func (s Style) putJSONObject(b *bytes.Buffer, ob object) {
	b.WriteByte('{')
	separator := ""
	for _, e := range ob.fields {
		if !s.sends(e) {
			continue
		}
		b.WriteString(separator)
		separator = ","
		putJSONText(b, e.name)
		b.WriteByte(':')
		putJSONText(b, e.value)
	}
	if ob.child != nil {
		b.WriteString(separator)
		putJSONText(b, ob.child.element)
		b.WriteByte(':')
		s.putJSONObject(b, *ob.child)
	}
	b.WriteByte('}')
}

// putJSONText writes a JSON string. "&" and its kin are not escaped: the answer
// is never a part of a web page, and Smith & Sons stay readable.
func putJSONText(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("unipay: a string that JSON cannot hold: " + err.Error())
	}
	b.Truncate(b.Len() - 1) // the line break that Encode adds
}

// putXML writes elements with their fields as attributes. There is no XML
// declaration in the published samples, and UTF-8 needs none.
func (s Style) putXML(b *bytes.Buffer, a Answer) {
	if a.list == "" {
		s.putXMLElement(b, a.objects[0])
		return
	}
	if len(a.objects) == 0 {
		b.WriteString("<" + a.list + "/>")
		return
	}
	b.WriteString("<" + a.list + ">")
	for _, ob := range a.objects {
		s.putXMLElement(b, ob)
	}
	b.WriteString("</" + a.list + ">")
}

func (s Style) putXMLElement(b *bytes.Buffer, ob object) {
	b.WriteString("<" + ob.element)
	for _, e := range ob.fields {
		if !s.sends(e) {
			continue
		}
		b.WriteString(" " + e.name + `="`)
		// EscapeText turns what XML cannot hold into U+FFFD, so that a stray
		// byte in a processor's message cannot spoil the whole answer. It
		// fails only when the writer does, and a Buffer does not.
		if err := xml.EscapeText(b, []byte(e.value)); err != nil {
			panic("unipay: a buffer that fails: " + err.Error())
		}
		b.WriteByte('"')
	}
	if ob.child == nil {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	s.putXMLElement(b, *ob.child)
	b.WriteString("</" + ob.element + ">")
}

// putXURL writes name=value pairs; the fields of the object inside have its
// name and a dot in front.
func (s Style) putXURL(b *bytes.Buffer, prefix string, ob object) {
	for _, e := range ob.fields {
		if !s.sends(e) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(prefix+e.name) + "=" + url.QueryEscape(e.value))
	}
	if ob.child != nil {
		s.putXURL(b, prefix+ob.child.element+".", *ob.child)
	}
}
