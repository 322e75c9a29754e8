package unipay

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Greatest lengths in characters that are used in more than one place, from
// the tables of section 2 unless said otherwise.
const (
	maxCode          = 60
	maxPersonName    = 125
	maxOrganization  = 255
	maxEmail         = 100
	maxPhone         = 15
	maxStreet        = 128
	maxCity          = 50
	maxState         = 3
	maxZip           = 10
	maxCountry       = 2
	maxMethodCountry = 3 // payment options have three, customers two
	maxHolder        = 150
	maxAccessory     = 80
	maxToken         = 50
	maxPlanName      = 255

	// Lengths for which nothing is published.
	maxNote          = 1024
	maxAccountNumber = 34   // the longest IBAN
	maxCSC           = 4    // American Express
	maxAccountData   = 1024 // three tracks and an EMV block
	maxUserName      = 100
	maxPassword      = 256
)

// pattern is one of the named text patterns of 1.6. The exact expressions are
// not published; these are the suggestions there, widened where a plain name
// or address would be refused (README.md, "Patterns").
type pattern struct {
	words   string // what the text may hold, for failure messages
	allowed func(rune) bool

	// wordy asks for at least one letter or digit, so that a required field
	// cannot be filled with blanks or dots.
	wordy bool
}

// fits reports whether s has 1 to limit characters, all of them allowed.
func (p pattern) fits(s string, limit int) bool {
	return s != "" && utf8.RuneCountInString(s) <= limit && p.holds(s)
}

func (p pattern) holds(s string) bool {
	word := false
	for _, r := range s {
		if !p.allowed(r) {
			return false
		}
		word = word || unicode.IsLetter(r) || unicode.IsNumber(r)
	}
	return word || !p.wordy
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isASCIILetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// isWord takes the letters of all scripts, with their combining marks: a name
// in Devanagari or in decomposed Latin is not writable without them.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

// isJoiner is the pair of invisible characters that Persian, Indic scripts and
// emoji need. All other invisible characters, above all those that reverse the
// direction of writing, stay out.
func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

var (
	codeText = pattern{
		words:   "letters A to Z, digits and . _ - : @ /",
		allowed: func(r rune) bool { return isASCIILetter(r) || isDigit(r) || strings.ContainsRune("._-:@/", r) },
	}
	nameText = pattern{
		words: "letters, digits, blanks and . , ' & -",
		allowed: func(r rune) bool {
			return isWord(r) || isJoiner(r) || strings.ContainsRune(" .,'\u2019&-", r)
		},
		wordy: true,
	}
	streetText = pattern{
		words: "letters, digits, blanks and . , ' # & / -",
		allowed: func(r rune) bool {
			return isWord(r) || isJoiner(r) || strings.ContainsRune(" .,'\u2019#&/-", r)
		},
		wordy: true,
	}
	letterText  = pattern{words: "letters A to Z", allowed: isASCIILetter}
	digitText   = pattern{words: "digits", allowed: isDigit}
	accountText = pattern{
		words:   "letters A to Z and digits",
		allowed: func(r rune) bool { return isASCIILetter(r) || isDigit(r) },
	}
	tokenText = pattern{
		words:   "letters A to Z, digits, - and _",
		allowed: func(r rune) bool { return isASCIILetter(r) || isDigit(r) || r == '-' || r == '_' },
	}
	anyText = pattern{
		words:   "printable characters",
		allowed: func(r rune) bool { return unicode.IsGraphic(r) || isJoiner(r) },
	}
)
