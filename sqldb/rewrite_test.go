package sqldb

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in, out string
		params  int
	}{
		{"SELECT 1", "SELECT 1", 0},
		{"SELECT a FROM t WHERE b = $1 AND c = $2", "SELECT a FROM t WHERE b = ?1 AND c = ?2", 2},
		{"SELECT $2, $1, $2", "SELECT ?2, ?1, ?2", 2},
		{"$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11", "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11", 11},
		{"SELECT '$1', '$2''$3', $1", "SELECT '$1', '$2''$3', ?1", 1},
		{`SELECT "$2" FROM t WHERE x = $1`, `SELECT "$2" FROM t WHERE x = ?1`, 1},
		{`SELECT "a""$2" , $1`, `SELECT "a""$2" , ?1`, 1},
		{"SELECT $1 -- not $2\n+ $2", "SELECT ?1 -- not $2\n+ ?2", 2},
		{"SELECT $1 -- the end $2", "SELECT ?1 -- the end $2", 1},
		{"SELECT /* $2 ' */ $1 /* open $3", "SELECT /* $2 ' */ ?1 /* open $3", 1},
		{"SELECT j ->> '$.a', 5 / 2, 3 - 1, '?' WHERE x=$1", "SELECT j ->> '$.a', 5 / 2, 3 - 1, '?' WHERE x=?1", 1},
		{"SELECT 'open $1", "SELECT 'open $1", 0},
		{"SELECT 'ü€', $1", "SELECT 'ü€', ?1", 1},
		{"a$", "a$", 0},
	} {
		out, params, err := rewrite(tc.in)
		if err != nil || out != tc.out || params != tc.params {
			t.Errorf("rewrite(%q) = %q, %d, %v; want %q, %d", tc.in, out, params, err, tc.out, tc.params)
		}
	}
	for _, in := range []string{"SELECT $0", "SELECT $2", "SELECT $1, $3", "SELECT ?", "SELECT ?1", "SELECT $99999", "$99999999999999999999"} {
		if out, params, err := rewrite(in); err == nil {
			t.Errorf("rewrite(%q) = %q, %d; want an error", in, out, params)
		}
	}
}

// TestRewriteTouchesParametersOnly builds statements out of pieces whose translation is known.
func TestRewriteTouchesParametersOnly(t *testing.T) {
	t.Parallel()
	inert := []string{"a", " ", "=", "'$1'", "''", "'it''s $7'", `"$2"`, "/* $3 -- ' */", "-- $4 '\n", "(", "1-2", "7/8", "$.", "ß"}
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.IntRange(0, len(inert)+2)).Draw(t, "pieces")
		var in, want strings.Builder
		uses := [3]bool{}
		for _, p := range pieces {
			if p < len(inert) {
				in.WriteString(inert[p] + " ")
				want.WriteString(inert[p] + " ")
				continue
			}
			n := p - len(inert)
			uses[n] = true
			digit := string(rune('1' + n))
			in.WriteString("$" + digit + " ")
			want.WriteString("?" + digit + " ")
		}
		params := 0
		for params < len(uses) && uses[params] {
			params++
		}
		gap := false
		for _, used := range uses[params:] {
			gap = gap || used
		}
		out, n, err := rewrite(in.String())
		if gap {
			if err == nil {
				t.Fatalf("rewrite(%q) = %q, %d; want an error", in.String(), out, n)
			}
			return
		}
		if err != nil || out != want.String() || n != params {
			t.Fatalf("rewrite(%q) = %q, %d, %v; want %q, %d", in.String(), out, n, err, want.String(), params)
		}
	})
}
