package billing

import (
	"fmt"
	"log/slog"
)

// Secret is a value that must not be seen: a card number, a security code, a
// password. It prints as dots in every format, cannot be marshalled and is not
// a type that a database takes. Reveal is the only way to the value, so that a
// search for it finds each place that handles one. Comparing two with == says
// nothing of what they hide.
type Secret struct {
	// A pointer, because package fmt does not ask the methods of what lies in an
	// unexported field of another struct: it prints the memory, which here is an
	// address.
	value *string
}

// NewSecret hides a value. Hiding "" gives the zero value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the hidden value, "" if there is none.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether nothing is hidden.
func (s Secret) IsZero() bool { return s.value == nil }

// String prints dots.
func (s Secret) String() string { return "•••" }

// GoString prints dots.
func (s Secret) GoString() string { return "•••" }

// Format prints dots for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("•••")) }

// LogValue logs dots.
func (s Secret) LogValue() slog.Value { return slog.StringValue("•••") }

// MarshalText refuses.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("billing: a secret cannot be marshalled")
}

// Mask shows the first digit, the last four and asterisks between, in the
// length of the number (protocols/unipay.md 2.2): "4***********1111". A number
// of fewer than nine digits shows its last two only, and never more than half.
func Mask(number string) string {
	b := []byte(number)
	head, tail := 1, 4
	if len(b) < 9 {
		head, tail = 0, min(2, len(b)/2)
	}
	for i := head; i < len(b)-tail; i++ {
		b[i] = '*'
	}
	return string(b)
}
