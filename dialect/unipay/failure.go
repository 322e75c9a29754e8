package unipay

import (
	"errors"
	"net/http"
)

// Situation is why a request failed, in the words of 5.2. Together with the
// table behind it, it is the one place where failure codes and HTTP statuses
// are chosen.
type Situation uint8

// The situations. Code and status stand in the table of README.md.
const (
	Unexpected      Situation = iota // S01: a failure of ours
	BadCredentials                   // L01: missing or wrong
	NotPermitted                     // L02: the user may not do this, or not for this merchant account
	RawDataRefused                   // L04: the user may not send card or account numbers in the clear
	Missing                          // F01: a required field is not given
	Malformed                        // F02: pattern, length, date, number, code of an enumeration
	Unreadable                       // F03: the body or query string as a whole
	TooLarge                         // F03: more bytes than allowed
	UnsupportedBody                  // F03: media type, character set or content coding
	BadValue                         // V21: well-formed and still wrong, as a card number with a false check digit
	BadState                         // V21: the object is not in a state that allows the action
	NotFound                         // V24: no such object, or not one this user may see
	DuplicateCode                    // V29: the reference code is taken
	KeyConflict                      // V29: an Idempotency-Key that stands for another request, or for one under way
	UnknownURL                       // U01: no such URL or action
	UnknownMethod                    // U01: the URL exists, the method does not fit
	TooMany                          // L03: too many failed logins, or too much at once
	Misconfigured                    // O01: the merchant's settings of this wire are malformed
	Unavailable                      // S01: for the moment, as while shutting down
)

// situations is the table of 5.2. V21, V24, V29 and L04 are published, the
// rest was chosen in the published classes: the first letter is always right.
var situations = map[Situation]struct {
	code   string
	status int
}{
	Unexpected:      {"S01", http.StatusInternalServerError},
	BadCredentials:  {"L01", http.StatusUnauthorized},
	NotPermitted:    {"L02", http.StatusForbidden},
	RawDataRefused:  {"L04", http.StatusForbidden},
	Missing:         {"F01", http.StatusBadRequest},
	Malformed:       {"F02", http.StatusBadRequest},
	Unreadable:      {"F03", http.StatusBadRequest},
	TooLarge:        {"F03", http.StatusRequestEntityTooLarge},
	UnsupportedBody: {"F03", http.StatusUnsupportedMediaType},
	BadValue:        {"V21", http.StatusBadRequest},
	BadState:        {"V21", http.StatusBadRequest},
	NotFound:        {"V24", http.StatusNotFound},
	DuplicateCode:   {"V29", http.StatusConflict},
	KeyConflict:     {"V29", http.StatusConflict},
	UnknownURL:      {"U01", http.StatusNotFound},
	UnknownMethod:   {"U01", http.StatusMethodNotAllowed},
	TooMany:         {"L03", http.StatusTooManyRequests},
	Misconfigured:   {"O01", http.StatusInternalServerError},
	Unavailable:     {"S01", http.StatusServiceUnavailable},
}

// Failure is what this API calls an exception: the request was not carried out,
// nothing was stored and nothing was sent to a processor (5.1). A payment that
// was declined is not a Failure but an answer.
type Failure struct {
	// Code is the failure code: a letter for the class and two digits.
	Code string

	// Message is for the client. It names a field and never holds its value.
	Message string

	// Status is the HTTP status.
	Status int

	// Field is the name of the field at fault, empty if it is none. It is
	// not sent on its own; the message has it.
	Field string

	// Allow is the Allow header of a 405, empty otherwise.
	Allow string

	// RetryAfter is the header of that name, in seconds; 0 sends none.
	RetryAfter int

	cause error
}

// Fail makes the Failure of a situation. field may be empty; message is read by
// the client and must not hold anything the client sent.
func Fail(s Situation, field, message string) *Failure {
	row, ok := situations[s]
	if !ok {
		row = situations[Unexpected]
	}
	return &Failure{Code: row.code, Status: row.status, Field: field, Message: message}
}

// because keeps the cause for the log. It must not hold a secret.
func (f *Failure) because(cause error) *Failure {
	f.cause = cause
	return f
}

// Error returns code and message.
func (f *Failure) Error() string { return "unipay: " + f.Code + ": " + f.Message }

// Unwrap returns the cause, which is for the log and not for the client.
func (f *Failure) Unwrap() error { return f.cause }

// AsFailure returns the Failure in an error's chain. An error without one is
// unexpected: the client reads that something went wrong and nothing more, and
// the log has the error as the cause.
func AsFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return Fail(Unexpected, "", "the request could not be carried out").because(err)
}

// wire is the body of a failure (5.2, inferred from the processing API).
func (f *Failure) wire() object {
	return object{
		element: "exception",
		fields: []entry{
			text("responseType", "exception"),
			text("failureCode", f.Code),
			text("failureMessage", f.Message),
		},
	}
}
