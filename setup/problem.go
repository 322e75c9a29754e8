package setup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line int    // of the file, from 1; 0 if it concerns no line
	Path string // such as merchants[0].plans[1].amount
	Text string // what is wrong or allowed; never the value that stands there
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Text
}

// Problems are all that is wrong with a file, by line. They are the error that
// Parse and Apply return while nothing has been written.
type Problems []Problem

// mostShown bounds how many problems an error's text lists.
const mostShown = 50

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i == mostShown {
			fmt.Fprintf(&b, "\nand %d more", len(ps)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// orNil returns the problems as an error, in the order of their lines.
func (ps Problems) orNil() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return ps
}

// add notes a problem with a key of a mapping, or with the mapping itself if
// the key is "".
func (ps *Problems) add(at place, key, format string, args ...any) {
	path, line := at.of(key)
	*ps = append(*ps, Problem{line, path, fmt.Sprintf(format, args...)})
}

// place is where a mapping stands in the file.
type place struct {
	path  string
	line  int
	lines map[string]int // of its keys
}

// of is where a key stands, or where it should.
func (p place) of(key string) (path string, line int) {
	if key == "" {
		return p.path, p.line
	}
	line, ok := p.lines[key]
	if !ok {
		line = p.line
	}
	if p.path == "" {
		return key, line
	}
	return p.path + "." + key, line
}
