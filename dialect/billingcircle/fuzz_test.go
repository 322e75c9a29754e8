package billingcircle

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadParams: the reader is fed what anyone on the internet may send. It must
// not panic, and what it reads is text without white space around it, within bounds.
func FuzzReadParams(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "method=createclient&c_city=a+b&c_city=%E4&%=%zz&=&&x=%0")
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nfetchclient\r\n--b--\r\n")
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n@\r\n--b")
	f.Add("application/json", `{"a":1}`)
	f.Add("", "a=1")
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		p, err := readParams(r)
		if err != nil && len(body) <= longestBody {
			t.Fatalf("refused: %v", err)
		}
		if len(p.values) > mostPairs {
			t.Fatalf("%d fields", len(p.values))
		}
		p.rename(builtinAliases)
		for name, value := range p.values {
			if name == "" || !utf8.ValidString(value) || strings.TrimSpace(value) != value {
				t.Errorf("%q is %q", name, value)
			}
		}
		for _, m := range methods() {
			if err := m.check(p, settings{}); err != nil {
				a := failureOf(err).answer(nil)
				if line := a.line(); strings.Count(line, ",") != 3 || strings.ContainsAny(line, "\r\n") || a.subcode == 1000 {
					t.Errorf("%s: %s", m.name, line)
				}
			}
		}
	})
}

// TestTables: each case has a number with a text, each method is in its place, and
// what is optional or required is a field.
func TestTables(t *testing.T) {
	for why, code := range codes {
		if texts[code] == "" {
			t.Errorf("%s has no text", why)
		}
	}
	list := methods()
	if len(list) != 17 {
		t.Errorf("%d methods", len(list))
	}
	seen := map[string]bool{}
	for i := range fields {
		if seen[fields[i].name] {
			t.Errorf("%s is there twice", fields[i].name)
		}
		seen[fields[i].name] = true
	}
	for _, m := range list {
		for _, kind := range []string{byCard, byBank, byHand} {
			p := params{values: map[string]string{"c_chargemethod": kind, "s_recurringtype": installments}}
			for _, name := range append(m.required(p, settings{}), m.optional...) {
				if fieldNamed(name) == nil {
					t.Errorf("%s: %s is no field", m.name, name)
				}
			}
		}
	}
}

// TestLine: an answer is four values whatever is in it.
func TestLine(t *testing.T) {
	a := &answer{code: 2, subcode: 1000, text: "no, not\r\nnow\u2028", data: "a,b"}
	if got := a.line(); got != "2,1000,no  not  now ,a b" {
		t.Errorf("%q", got)
	}
}
