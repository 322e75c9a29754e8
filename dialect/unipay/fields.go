package unipay

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// maxFields is how many names one request may hold. The richest object, a
// transaction with its processing information, has fewer than 40.
const maxFields = 100

// maxDepth is how many levels of nesting below the object itself are read, and
// thrown away, before the request is refused. Answers have one.
const maxDepth = 4

// Fields is one decoded request: names with texts, in the order in which they
// arrived, whatever the format was. A name occurs once.
//
// Fields hold card numbers and passwords, so a value is only reachable by
// asking for its name; printed in any way, Fields show their names and nothing
// else. The zero Fields hold nothing. Fields do not change after decoding.
type Fields struct {
	set func() *fieldSet // a closure for the reason given at Secret; nil if empty
}

type fieldSet struct {
	list  []field
	index map[string]int
}

type field struct {
	name, value string
	kind        fieldKind
}

type fieldKind uint8

const (
	plainField  fieldKind = iota // a text
	nullField                    // JSON null: present, and not given
	nestedField                  // an object, an array or an element, thrown away
)

// lookup returns the field of a name.
func (f Fields) lookup(name string) (field, bool) {
	if f.set == nil {
		return field{}, false
	}
	set := f.set()
	i, ok := set.index[name]
	if !ok {
		return field{}, false
	}
	return set.list[i], true
}

// Names returns the names of the fields in the order of the request, also of
// those that were null or nested. Names come from the client.
func (f Fields) Names() []string {
	if f.set == nil {
		return nil
	}
	list := f.set().list
	names := make([]string, len(list))
	for i, fd := range list {
		names[i] = fd.name
	}
	return names
}

// String lists the names that are safe to show; the others show as "?".
func (f Fields) String() string {
	names := f.Names()
	for i, name := range names {
		if !showable(name) {
			names[i] = "?"
		}
	}
	return "{" + strings.Join(names, " ") + "}"
}

// GoString lists names like String.
func (f Fields) GoString() string { return f.String() }

// Format lists names like String for every verb and flag.
func (f Fields) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// MarshalText lists names like String.
func (f Fields) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// LogValue logs names like String.
func (f Fields) LogValue() slog.Value { return slog.StringValue(f.String()) }

// showable reports whether a name that a client sent looks like the name of a
// field. A form such as "4111111111111111=&..." makes a card number a name.
func showable(name string) bool {
	digits := 0
	for _, r := range name {
		switch {
		case isASCIILetter(r), r == '-', r == '.':
		case isDigit(r):
			digits++
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxShown && digits <= 1
}

const maxShown = 40

// collector builds Fields while a request is read.
type collector struct{ set fieldSet }

func (c *collector) fields() Fields {
	if len(c.set.list) == 0 {
		return Fields{}
	}
	return Fields{set: func() *fieldSet { return &c.set }}
}

// add takes one field, of which the request may not have another.
func (c *collector) add(fd field) error {
	if _, found := c.set.index[fd.name]; found {
		return unreadable("%s is given twice", theField(fd.name))
	}
	return c.append(fd)
}

// merge takes one field that may repeat what is known, as form fields may that
// stand both in the body and in the query string, but may not contradict it.
// A null is no statement and gives way.
func (c *collector) merge(fd field) error {
	i, found := c.set.index[fd.name]
	if !found {
		return c.append(fd)
	}
	known := c.set.list[i]
	switch {
	case known == fd:
		return nil
	case known.kind == nullField:
		if err := legible(fd); err != nil {
			return err
		}
		c.set.list[i] = fd
		return nil
	default:
		return unreadable("%s is given twice with different values", theField(fd.name))
	}
}

func (c *collector) append(fd field) error {
	if err := legible(fd); err != nil {
		return err
	}
	if len(c.set.list) >= maxFields {
		return unreadable("the request has more than %d fields", maxFields)
	}
	if c.set.index == nil {
		c.set.index = make(map[string]int)
	}
	c.set.index[fd.name] = len(c.set.list)
	c.set.list = append(c.set.list, fd)
	return nil
}

// legible refuses texts that no field of the API can hold, in a name or in a
// value: broken UTF-8, control characters and what XML cannot write at all.
// U+FFFD is refused because decoders put it where they met something broken.
func legible(fd field) error {
	switch {
	case fd.name == "":
		return unreadable("a field has no name")
	case !clean(fd.name):
		return unreadable("the name of a field holds a control character or is not UTF-8")
	case !clean(fd.value):
		return unreadable("%s holds a control character or is not UTF-8", theField(fd.name))
	}
	return nil
}

func clean(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		switch {
		case r < ' ', 0x7f <= r && r <= 0x9f: // C0, DEL, C1
			return false
		case r == utf8.RuneError, r == 0xfffe, r == 0xffff:
			return false
		}
	}
	return true
}

// theField names a field in a message if its name can be shown.
func theField(name string) string {
	if showable(name) {
		return "the field " + name
	}
	return "a field"
}

// unreadable is F03 with a message that must not hold a value.
func unreadable(format string, args ...any) *Failure {
	return Fail(Unreadable, "", fmt.Sprintf(format, args...))
}
