package unipay

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxAmount is the greatest amount a request may name: 99,999,999.99 in cents.
const maxAmount = 99_999_999_99

// maxInteger bounds counts and numbers of merchant accounts: a Java Integer,
// which is what the documentation's "Integer" is.
const maxInteger = math.MaxInt32

// reader takes typed values out of Fields. The first failure wins: after it
// every method returns "not given" and does nothing (section 8, 4).
type reader struct {
	fields Fields
	first  *Failure
}

// result is the error of the reading; never a nil *Failure in an error.
func (r *reader) result() error {
	if r.first == nil {
		return nil
	}
	return r.first
}

// fail notes a failure about a field of ours, whose name may be shown.
func (r *reader) fail(s Situation, name, message string) {
	if r.first == nil {
		r.first = Fail(s, name, message)
	}
}

// raw returns the text of a field. Absent, null and empty are "not given"
// (1.6); a nested value under a name that should be plain is malformed, so that
// {"amount":["1999"]} is not read as an amount left out.
func (r *reader) raw(name string) (string, bool) {
	if r.first != nil {
		return "", false
	}
	fd, found := r.fields.lookup(name)
	if !found || fd.kind == nullField {
		return "", false
	}
	if fd.kind == nestedField {
		r.fail(Malformed, name, name+" must be a plain value, not a nested one")
		return "", false
	}
	return fd.value, fd.value != ""
}

// given reports whether a field is given, without reading it.
func (r *reader) given(name string) bool {
	_, ok := r.raw(name)
	return ok
}

// require fails for the first of the names that is not given.
func (r *reader) require(names ...string) {
	for _, name := range names {
		if !r.given(name) {
			r.fail(Missing, name, name+" is required")
		}
	}
}

func (r *reader) text(name string, limit int, p pattern) Opt[string] {
	s, ok := r.raw(name)
	switch {
	case !ok:
		return Opt[string]{}
	case !p.fits(s, math.MaxInt):
		message := name + " may hold " + p.words + " only"
		if p.wordy {
			message += ", and needs a letter or a digit"
		}
		r.fail(Malformed, name, message)
		return Opt[string]{}
	case !p.fits(s, limit):
		r.fail(Malformed, name, name+" is longer than "+strconv.Itoa(limit)+" characters")
		return Opt[string]{}
	}
	return Some(s)
}

func (r *reader) secret(name string, limit int, p pattern) Secret {
	return NewSecret(r.text(name, limit, p).Value)
}

// code reads the reference code that a client chooses for a new object.
func (r *reader) code() Opt[string] { return r.text("code", maxCode, codeText) }

// integer reads decimal digits between the bounds. There is no sign on this
// wire, and leading zeros mean nothing.
func (r *reader) integer(name string, least, most int64) Opt[int64] {
	s, ok := r.raw(name)
	if !ok {
		return Opt[int64]{}
	}
	if !digitText.fits(s, maxDigits) {
		r.fail(Malformed, name, name+" must be a whole number written in digits")
		return Opt[int64]{}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		r.fail(Malformed, name, name+" must be between "+strconv.FormatInt(least, 10)+" and "+strconv.FormatInt(most, 10))
		return Opt[int64]{}
	}
	return Some(n)
}

// maxDigits is more than an int64 has.
const maxDigits = 25

// amount reads cents. Zero is read; whether it makes sense is not decided here.
func (r *reader) amount(name string) Opt[int64] {
	if s, ok := r.raw(name); ok && !digitText.fits(s, maxDigits) {
		r.fail(Malformed, name, name+" must be a number of cents: digits only, without sign and decimal point")
	}
	return r.integer(name, 0, maxAmount)
}

// date reads a real date in the form yyyy-MM-dd, from the year 1900 on, and
// returns it in that form. A time of day behind it is refused: requests have
// dates only (1.6), and to drop the time would change what was asked.
func (r *reader) date(name string) Opt[string] {
	s, ok := r.raw(name)
	if !ok {
		return Opt[string]{}
	}
	day, err := time.Parse(DateLayout, s)
	if err != nil || day.Year() < 1900 {
		r.fail(Malformed, name, name+" must be a date in the form yyyy-MM-dd")
		return Opt[string]{}
	}
	return Some(s)
}

// boolean reads true, false, 1 and 0 (1.6).
func (r *reader) boolean(name string) Opt[bool] {
	s, ok := r.raw(name)
	if !ok {
		return Opt[bool]{}
	}
	switch s {
	case "true", "1":
		return Some(true)
	case "false", "0":
		return Some(false)
	}
	r.fail(Malformed, name, name+" must be true or false")
	return Opt[bool]{}
}

// ref reads the name of another object: a number or a code (1.5).
func (r *reader) ref(name string) Opt[Ref] {
	s, ok := r.raw(name)
	if !ok {
		return Opt[Ref]{}
	}
	ref, ok := ParseRef(s)
	if !ok {
		r.fail(Malformed, name, name+" must be an id, or an asterisk and a reference code")
		return Opt[Ref]{}
	}
	return Some(ref)
}

// maxRefs is how many references a list may have.
const maxRefs = 100

// refs reads references with commas between them, and blanks around the commas
// if the client likes (section 9, 25).
func (r *reader) refs(name string) []Ref {
	s, ok := r.raw(name)
	if !ok {
		return nil
	}
	var list []Ref
	for part := range strings.SplitSeq(s, ",") {
		ref, ok := ParseRef(strings.Trim(part, " "))
		if !ok || len(list) >= maxRefs {
			r.fail(Malformed, name, name+" must be at most "+strconv.Itoa(maxRefs)+" ids or codes with commas between them")
			return nil
		}
		list = append(list, ref)
	}
	return list
}

// oneOf reads a code of an enumeration. It is a function because a method
// cannot have a type of its own.
func oneOf[T ~string](r *reader, name string, list []code[T]) Opt[T] {
	s, ok := r.raw(name)
	if !ok {
		return Opt[T]{}
	}
	codes := make([]string, 0, len(list))
	for _, row := range list {
		if string(row.code) == s {
			return Some(row.code)
		}
		codes = append(codes, string(row.code))
	}
	r.fail(Malformed, name, name+" must be one of "+strings.Join(codes, ", "))
	return Opt[T]{}
}
