package billing

import (
	"errors"
	"fmt"
)

// Kind sorts errors by what the caller can do about them. Each dialect turns
// each kind into its own code and status, in one exhaustive switch.
type Kind int

// The closed list of kinds.
const (
	Internal        Kind = iota // our fault; the text stays in the log
	Invalid                     // a value is malformed or out of range
	Missing                     // a required value is absent
	NotFound                    // no such thing, or not the caller's
	Duplicate                   // the code or key is taken
	State                       // the thing is in no state for this
	Unauthenticated             // who is asking could not be proved
	Forbidden                   // proved, but not permitted
	Conflict                    // an idempotency key came again with other input
	InProgress                  // an idempotency key came again while its first use is under way
	Limited                     // too much, too often
	Unavailable                 // not now; nothing was done
	OutcomeUnknown              // it was asked for and nobody knows yet whether it was done: it is being cleared up and must not be repeated
)

// Error is the one error type whose text may be shown to a client. Message is
// a sentence for people and never holds a secret or the client's own input;
// the cause is for the log.
type Error struct {
	Kind    Kind
	Field   string // the core's name of the field at fault, "" if none
	Message string
	Err     error // cause, may be nil
}

// Error shows the message and the cause.
func (e *Error) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a field.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// FieldError makes an Error that names the field at fault.
func FieldError(k Kind, field, format string, args ...any) *Error {
	return &Error{Kind: k, Field: field, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain, Internal if there
// is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
