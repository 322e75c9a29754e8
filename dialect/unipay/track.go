package unipay

import "strings"

// track is what a magnetic stripe says of a card (ISO/IEC 7813).
type track struct {
	number string // digits
	expiry string // MMYY
	holder string // track 1 only
}

// readTrack reads track 1, track 2, or both one after the other, as readers
// type them: with or without the sentinels "%", ";" and "?", and for track 2
// also in the form of a chip's track 2 equivalent data, with D for the separator
// and F to fill up (EMV book 3, tag 57). It reports false for all else, and for
// two tracks of two cards.
func readTrack(data string) (track, bool) {
	data = strings.Trim(data, " ")
	first, rest := data, ""
	if end := strings.IndexByte(data, '?'); end >= 0 {
		first, rest = data[:end], data[end+1:]
	}
	if body, ok := strings.CutPrefix(strings.TrimPrefix(first, "%"), "B"); ok {
		t, ok := readTrack1(body)
		// Between the tracks may stand a check character, which may be
		// anything, also ";" itself.
		_, second, _ := strings.Cut(rest, ";")
		second = strings.TrimPrefix(second, ";")
		if !ok || second == "" {
			return t, ok
		}
		two, ok := readTrack2(second)
		return t, ok && two.number == t.number && two.expiry == t.expiry
	}
	return readTrack2(first)
}

// readTrack1 reads what stands behind the format code B: number, name, expiry
// and more, with carets between.
func readTrack1(body string) (track, bool) {
	parts := strings.SplitN(body, "^", 3)
	if len(parts) != 3 {
		return track{}, false
	}
	// The standard writes a name as SURNAME/GIVEN NAMES.TITLE.
	name, _, _ := strings.Cut(strings.Trim(parts[1], " "), ".")
	if surname, given, ok := strings.Cut(name, "/"); ok {
		name = strings.TrimSpace(strings.TrimSpace(given) + " " + strings.TrimSpace(surname))
	}
	if !nameText.fits(name, maxHolder) {
		name = "" // a card without a name has blanks or a slash there
	}
	return stripe(parts[0], parts[2], name)
}

// readTrack2 reads number, separator, expiry and more.
func readTrack2(body string) (track, bool) {
	body = strings.TrimPrefix(body, ";")
	body, _, _ = strings.Cut(body, "?")
	number, rest, ok := strings.Cut(body, "=")
	if !ok {
		number, rest, ok = strings.Cut(strings.TrimRight(body, "F"), "D")
	}
	if !ok || !digitText.fits(rest, maxDiscretionary) {
		return track{}, false
	}
	return stripe(number, rest, "")
}

// maxDiscretionary is more than a track 2 has behind its separator.
const maxDiscretionary = 40

// stripe puts together number and expiry, which a stripe has as YYMM at the
// beginning of rest. A card without an expiry date has a separator there, and
// cannot be charged here.
func stripe(number, rest, holder string) (track, bool) {
	if len(rest) < 4 || !digitText.fits(rest[:4], 4) || !digitText.fits(number, 19) {
		return track{}, false
	}
	return track{number: number, expiry: rest[2:4] + rest[:2], holder: holder}, true
}
