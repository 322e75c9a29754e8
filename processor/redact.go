package processor

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
)

const dots = "•••"

// redactor cleans words that came from a processor before they are stored,
// logged or shown. Processors do echo what they were sent.
type redactor struct {
	number string // of the request, "" if it had none
	code   string // the security code of the request, "" if it had none
}

func redactorFor(r *Request) redactor {
	return redactor{number: r.Number.Reveal(), code: r.SecurityCode.Reveal()}
}

// text makes a sentence safe: at most limit bytes of printable characters, with
// dots for the request's number and security code and for whatever else may be
// a card number, also where blanks, hyphens, dots or slashes split it.
func (r redactor) text(s string, limit int) string {
	s = printable(s)
	var b strings.Builder
	for s != "" {
		start := strings.IndexFunc(s, asciiDigit)
		if start < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:start])
		end := digitGroup(s[start:]) + start
		r.writeGroup(&b, s[start:end])
		s = s[end:]
	}
	return bound(b.String(), limit)
}

// writeGroup writes a group of digits with separators between, with dots for
// what in it must not be seen.
func (r redactor) writeGroup(b *strings.Builder, group string) {
	if r.tells(group) {
		b.WriteString(dots)
		return
	}
	runs := digitRuns(group)
	written := 0
	for i := 0; i < len(runs); i++ {
		last := i
		for j := i; j < len(runs); j++ {
			if cardLike(strip(group[runs[i].from:runs[j].to])) {
				last = j
			}
		}
		from, to := runs[i].from, runs[last].to
		b.WriteString(group[written:from])
		if last > i || cardLike(group[from:to]) || group[from:to] == r.code {
			b.WriteString(dots)
		} else {
			b.WriteString(group[from:to])
		}
		i, written = last, to
	}
}

// id makes an opaque name safe: at most limit bytes of printable characters, or
// nothing at all if the request's number is in it. A shortened id would name
// something else, so one that is too long is dropped as well.
func (r redactor) id(s string, limit int) string {
	s = printable(s)
	if len(s) > limit {
		return ""
	}
	// A short account number may turn up in a long id by chance.
	if digits := strip(s); digits == r.number && digits != "" || len(r.number) >= 8 && r.tells(s) {
		return ""
	}
	return s
}

// tells reports whether the request's number can be read from s.
func (r redactor) tells(s string) bool {
	return r.number != "" && strings.Contains(strip(s), r.number)
}

// printable drops what cannot be shown. Digits of other scripts become a sign,
// because a number could be written in them.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case c == utf8.RuneError, !unicode.IsPrint(c):
			return ' '
		case c > unicode.MaxASCII && unicode.IsNumber(c):
			return '#'
		}
		return c
	}, s))
}

// bound shortens s to at most limit bytes without splitting a character.
func bound(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// digitGroup is the length of the longest prefix of s, which begins with a
// digit, that is digits with separators between them.
func digitGroup(s string) int {
	end := 0
	for i := range len(s) {
		switch c := rune(s[i]); {
		case asciiDigit(c):
			end = i + 1
		case !separator(c):
			return end
		}
	}
	return end
}

// span is a part of a string, from one byte offset to before another.
type span struct{ from, to int }

// digitRuns are the runs of digits in a group.
func digitRuns(group string) []span {
	var runs []span
	for i := range len(group) {
		switch {
		case !asciiDigit(rune(group[i])):
		case i > 0 && asciiDigit(rune(group[i-1])):
			runs[len(runs)-1].to = i + 1
		default:
			runs = append(runs, span{i, i + 1})
		}
	}
	return runs
}

// strip leaves the ASCII digits.
func strip(s string) string {
	return strings.Map(func(c rune) rune {
		if asciiDigit(c) {
			return c
		}
		return -1
	}, s)
}

func asciiDigit(c rune) bool { return c >= '0' && c <= '9' }

func separator(c rune) bool { return strings.ContainsRune(" -./,_", c) }

// cardLike reports whether digits could be the number of a card of any brand.
func cardLike(digits string) bool { return billing.VisaCredit.CheckNumber(digits) }
