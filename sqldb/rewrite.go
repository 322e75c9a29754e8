package sqldb

import (
	"fmt"
	"strconv"
	"strings"
)

// rewrite turns the parameters $1, $2 … of a statement into SQLite's ?1, ?2 … and returns how many arguments it takes.
//
// SQLite reads $1 too, but as a *name*, numbered by where it first appears: `$2 … $1` would be bound the wrong way
// round by drivers that go by that number. Quoted text and comments are left alone. Statements in which parameters
// are missing in between are refused, as PostgreSQL refuses them.
func rewrite(q string) (string, int, error) {
	var b strings.Builder
	b.Grow(len(q))
	seen := map[int]bool{}
	last := 0
	for i := 0; i < len(q); {
		switch c := q[i]; {
		case c == '\'' || c == '"':
			end := closing(q, i)
			b.WriteString(q[i:end])
			i = end
		case strings.HasPrefix(q[i:], "--"):
			end := i + strings.IndexByte(q[i:]+"\n", '\n')
			b.WriteString(q[i:end])
			i = end
		case strings.HasPrefix(q[i:], "/*"):
			end := len(q)
			if n := strings.Index(q[i+2:], "*/"); n >= 0 {
				end = i + 2 + n + 2
			}
			b.WriteString(q[i:end])
			i = end
		case c == '$' && i+1 < len(q) && isDigit(q[i+1]):
			end := i + 1
			for end < len(q) && isDigit(q[end]) {
				end++
			}
			n, err := strconv.Atoi(q[i+1 : end])
			if err != nil || n < 1 || n > maxParams {
				return "", 0, fmt.Errorf("parameter %s is not between $1 and $%d", q[i:end], maxParams)
			}
			seen[n] = true
			last = max(last, n)
			b.WriteByte('?')
			b.WriteString(strconv.Itoa(n))
			i = end
		case c == '?':
			return "", 0, fmt.Errorf("parameters are written $1, $2, not ?")
		default:
			b.WriteByte(c)
			i++
		}
	}
	if len(seen) != last {
		return "", 0, fmt.Errorf("parameters go up to $%d, but not all before it are used", last)
	}
	return b.String(), last, nil
}

// maxParams is SQLite's SQLITE_MAX_VARIABLE_NUMBER; PostgreSQL's is 65,535.
const maxParams = 32766

// closing returns the index after the quoted text that begins at i; a doubled quote inside it stands for itself.
func closing(q string, i int) int {
	quote := q[i]
	for j := i + 1; j < len(q); j++ {
		if q[j] != quote {
			continue
		}
		if j+1 < len(q) && q[j+1] == quote {
			j++
			continue
		}
		return j + 1
	}
	return len(q)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
