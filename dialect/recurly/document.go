package recurly

import (
	"strconv"
	"strings"
	"time"
)

// document is an answer that is being written: a declaration, then an element a
// line, indented by two spaces, always as a pair of tags (2.2). One client loses
// every other element where there are no line breaks between them.
type document struct {
	b     strings.Builder
	depth int
}

func newDocument() *document {
	d := &document{}
	d.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	return d
}

func (d *document) String() string { return d.b.String() }

// The attributes that tell a reader what an element holds.
const (
	asInteger    = ` type="integer"`
	asBoolean    = ` type="boolean"`
	asDatetime   = ` type="datetime"`
	asArray      = ` type="array"`
	asCollection = ` type="collection"`
	asNil        = ` nil="true"`
)

func (d *document) indent() { d.b.WriteString(strings.Repeat("  ", d.depth)) }

// within writes an element with others in it.
func (d *document) within(name, attributes string, inside func()) {
	d.indent()
	d.b.WriteString("<" + name + attributes + ">\n")
	d.depth++
	inside()
	d.depth--
	d.indent()
	d.b.WriteString("</" + name + ">\n")
}

// leaf writes an element with a text in it.
func (d *document) leaf(name, attributes, text string) {
	d.indent()
	d.b.WriteString("<" + name + attributes + ">" + escaped.Replace(printable(text)) + "</" + name + ">\n")
}

// text writes a text; none is an empty element.
func (d *document) text(name, text string) { d.leaf(name, "", text) }

// textOrNil writes a text; none is nil.
func (d *document) textOrNil(name, text string) {
	if text == "" {
		d.leaf(name, asNil, "")
		return
	}
	d.leaf(name, "", text)
}

func (d *document) integer(name string, n int64) { d.leaf(name, asInteger, strconv.FormatInt(n, 10)) }

func (d *document) boolean(name string, yes bool) { d.leaf(name, asBoolean, strconv.FormatBool(yes)) }

// datetime writes an instant; none is nil.
func (d *document) datetime(name string, at time.Time) {
	if at.IsZero() {
		d.leaf(name, asNil+asDatetime, "")
		return
	}
	d.leaf(name, asDatetime, at.UTC().Format(time.RFC3339))
}

// page writes a list with its counters before its items (2.3).
func (d *document) page(name string, p page, total int64, items func()) {
	d.within(name, asCollection, func() {
		d.integer("current_page", p.number)
		d.integer("per_page", perPage)
		d.integer("total_entries", total)
		items()
	})
}

var (
	escaped   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
	attribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\r", "&#13;", "\t", "&#9;")
)

// printable takes out what XML has no way to say.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r != 0xFFFE && r != 0xFFFF:
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
