package unipay

import (
	"fmt"
	"io"
	"log/slog"
)

// dots is what a Secret shows of itself. The number of dots says nothing about
// the length of the text.
const dots = "•••"

// Secret is a text that must not be seen: a card or account number, track
// data, a security code, a password. The only way to the text is Reveal.
//
// The text is kept inside a closure because package fmt prints the unexported
// fields of a surrounding struct without asking them, and for a verb that does
// not fit (%s of a struct) even follows pointers; of a function it can show
// only an address. It also makes == impossible, which would compare nothing.
type Secret struct{ text func() string }

// NewSecret hides a text. An empty text gives the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: func() string { return text }}
}

// Given reports whether there is a text.
func (s Secret) Given() bool { return s.text != nil }

// Reveal returns the text, empty for the zero Secret. Each call of it is a
// place to look at in a review.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// Equal reports whether two Secrets hide the same text. It is for tests (its
// name is the one that go-cmp looks for) and takes no constant time.
func (s Secret) Equal(t Secret) bool { return s.Reveal() == t.Reveal() }

// String returns dots, or nothing for the zero Secret.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return dots
}

// GoString returns dots.
func (s Secret) GoString() string { return s.String() }

// Format prints dots for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText gives dots to encoders of all kinds.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON gives dots as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue logs dots.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
