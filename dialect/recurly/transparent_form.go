package recurly

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of a form (13.1).
const (
	maxForm  = 64 << 10 // bytes
	maxPairs = 300
	maxNests = 6 // brackets behind a name
)

// form is the pairs of a form as a tree: a[b][0][c]=d is a document with c in an
// item of the list b in a. It is an element, so that what reads a document reads
// a form too.
type form struct {
	root  *element
	pairs int
}

func newForm() *form { return &form{root: &element{}} }

// addQuery adds the pairs of a URL-encoded text, or reports that it is none, or
// too much.
func (f *form) addQuery(text string) bool {
	if len(text) > maxForm {
		return false
	}
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		if f.pairs++; f.pairs > maxPairs {
			return false
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || printable(name+value) != name+value || !f.add(name, strings.TrimSpace(value)) {
			return false
		}
	}
	return true
}

// add sets one value. What comes twice is what it was the last time, and so what
// is added later wins.
func (f *form) add(name, value string) bool {
	first, rest, _ := strings.Cut(name, "[")
	path := []string{underscored(first)}
	if rest != "" {
		if !strings.HasSuffix(rest, "]") {
			return false
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(rest, "]"), "][") {
			path = append(path, underscored(part))
		}
	}
	if len(path) > maxNests || path[0] == "" {
		return false
	}
	at := f.root
	for _, part := range path {
		next := at.child(part)
		if next == nil || part == "" {
			next = &element{name: part}
			at.children = append(at.children, next)
		}
		at = next
	}
	at.text, at.children = value, nil
	return true
}

// items turns the numbered children of a list into items of a name, in their
// order, so that it is the list that a document would have.
func items(e *element, item string) *element {
	if e == nil {
		return nil
	}
	list := &element{name: e.name, children: slices.Clone(e.children)}
	slices.SortStableFunc(list.children, func(a, b *element) int { return cmp.Compare(number(a.name), number(b.name)) })
	for i, c := range list.children {
		list.children[i] = &element{name: item, text: c.text, children: c.children}
	}
	return list
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return maxPairs
	}
	return n
}

// timeForms are how the clients write the time of a form, in UTC (13.1).
var timeForms = []string{time.RFC3339, "02/Jan/2006 15:04:05 UTC", "2/Jan/2006 15:04:05 UTC", "2006-01-02 15:04:05 UTC", "02/Jan/2006:15:04:05 UTC"}

func readTime(text string) (time.Time, bool) {
	for _, layout := range timeForms {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
