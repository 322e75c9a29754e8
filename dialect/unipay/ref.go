package unipay

import (
	"strconv"
	"strings"
)

// Ref is how a client names an object: by its number or by its reference code
// (1.5). The zero Ref names nothing.
//
// An object is looked up by ID if that is not 0, and then, if there is no such
// object, by Code.
type Ref struct {
	// ID is the number of the object, above 0; 0 when the reference is a code.
	ID int64

	// Code is the reference code without its asterisk, 1 to 60 characters of
	// the pattern CODE. It is given for a number too, because "17" may also be
	// the code of an object whose client forgot the asterisk.
	Code string
}

// IsZero reports whether the Ref names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// ParseRef reads a reference by the tolerant rule of 1.5: after an asterisk
// stands a code; digits are a number, or else a code; all else is a code, as
// in the published sample 3, which leaves the asterisk out.
//
// Digits are a number only in the form in which this API prints numbers,
// without leading zeros and at most 2^63-1. "0017" is the code of somebody's
// customer far more often than a way to write 17, and to charge the wrong
// customer is the worst answer.
//
// It reports false for what cannot be the name of any object.
func ParseRef(s string) (Ref, bool) {
	code, starred := strings.CutPrefix(s, "*")
	if !codeText.fits(code, maxCode) {
		return Ref{}, false
	}
	if starred || !digitText.fits(code, maxCode) || code[0] == '0' {
		return Ref{Code: code}, true
	}
	id, err := strconv.ParseInt(code, 10, 64)
	if err != nil {
		return Ref{Code: code}, true
	}
	return Ref{ID: id, Code: code}, true
}
