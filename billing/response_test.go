package billing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

// listed are the codes of the table in the source.
func listed(t *testing.T) []billing.ResponseCode {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), "response.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var codes []billing.ResponseCode
	ast.Inspect(tree, func(n ast.Node) bool {
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
				code, err := strconv.Unquote(key.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, billing.ResponseCode(code))
			}
		}
		return true
	})
	if len(codes) < 60 {
		t.Fatalf("only %d codes found", len(codes))
	}
	return codes
}

func TestEveryCodeIsDescribed(t *testing.T) {
	form := regexp.MustCompile(`^([0-9]{2}|N7|R[013]|R[0-9]{2}|C0[0-9])$`)
	for _, c := range listed(t) {
		text := c.Text()
		if !c.Known() || text == "" || strings.Contains(text, "unlisted") || text != strings.TrimSpace(text) {
			t.Errorf("%s: known %v, %q", c, c.Known(), text)
		}
		if !form.MatchString(string(c)) {
			t.Errorf("%s is no code of field 39 and none of NACHA", c)
		}
		switch s := c.Severity(); s {
		case billing.Good:
			if c.Stale() {
				t.Errorf("%s is an approval and asks for new data", c)
			}
		case billing.Soft:
			if c.Stale() {
				t.Errorf("%s needs new data and may be tried with the old", c)
			}
		case billing.Hard:
		default:
			t.Errorf("%s has severity %d", c, s)
		}
	}
}

// protocols/unipay.md 5.3, and beyond it the rules that the table names.
func TestSeverities(t *testing.T) {
	for _, c := range []struct {
		why      string
		severity billing.Severity
		stale    bool
		codes    string
	}{
		{"approvals", billing.Good, false, "00 10"},
		{"notifications of change", billing.Good, false, "C01 C02 C03 C04 C05 C06 C07"},
		{"D01 denied by the bank", billing.Soft, false, "05"},
		{"D02 invalid expiration date", billing.Hard, true, "80"},
		{"D03 insufficient funds", billing.Soft, false, "51"},
		{"D04 pick up card", billing.Hard, false, "04 07"},
		{"D05 invalid card number", billing.Hard, true, "14 15"},
		{"D06 no account", billing.Hard, true, "42 46"},
		{"D07 invalid PIN", billing.Soft, false, "55"},
		{"D08 security code", billing.Soft, false, "82 N7"},
		{"D09 duplicate transaction", billing.Soft, false, "94"},
		{"D10 lost or stolen", billing.Hard, false, "41 43"},
		{"D12 not permitted", billing.Soft, false, "57"},
		{"D14 not found", billing.Hard, false, "25"},
		{"D15 exceeds maximum", billing.Soft, false, "61 65"},
		{"D16 expired", billing.Hard, true, "54"},
		{"D17 re-enter", billing.Soft, false, "19"},
		{"D18 bad amount", billing.Soft, false, "13"},
		{"D21 PIN tries exceeded", billing.Soft, false, "75"},
		{"D27 transaction error", billing.Hard, false, "06 12"},
		{"D29 restricted", billing.Soft, false, "62"},
		{"D30 refer to issuer", billing.Soft, false, "01 02"},
		{"D33, D34 merchant not authorised", billing.Hard, false, "03 58"},
		{"E02, E09 network", billing.Soft, false, "91 96"},
		{"the issuer may approve another day", billing.Soft, false, "59 78 93"},
		{"the cardholder forbade it (Visa)", billing.Hard, false, "R0 R1 R3"},
		{"returns for want of funds", billing.Soft, false, "R01 R09"},
		{"returns that need new data", billing.Hard, true, "R02 R03 R04 R12 R13 R20"},
		{"returns that may not be presented again", billing.Hard, false, "R05 R06 R07 R08 R10 R11 R14 R15 R16 R23 R24 R29"},
	} {
		t.Run(c.why, func(t *testing.T) {
			for _, code := range strings.Fields(c.codes) {
				r := billing.ResponseCode(code)
				if !r.Known() || r.Severity() != c.severity || r.Stale() != c.stale {
					t.Errorf("%s: known %v, severity %d, stale %v", r, r.Known(), r.Severity(), r.Stale())
				}
			}
		})
	}
}

// The table above has every code of the source.
func TestSeveritiesForgetNoCode(t *testing.T) {
	text, err := parser.ParseFile(token.NewFileSet(), "response_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	ast.Inspect(text, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				for _, word := range strings.Fields(s) {
					told[word] = true
				}
			}
		}
		return true
	})
	for _, c := range listed(t) {
		if !told[string(c)] {
			t.Errorf("%s is new: say in TestSeverities what it is", c)
		}
	}
}

func TestNoReturnButForWantOfFundsIsTriedAgain(t *testing.T) {
	for n := range 100 {
		c := billing.ResponseCode("R" + strconv.Itoa(n/10) + strconv.Itoa(n%10))
		want := billing.Hard
		if n == 1 || n == 9 {
			want = billing.Soft
		}
		if got := c.Severity(); got != want {
			t.Errorf("%s has severity %d, want %d", c, got, want)
		}
	}
}

func TestUnlistedCodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := billing.ResponseCode(rapid.StringMatching(`[0-9A-QS-Z][0-9A-Z]{0,2}`).Draw(t, "code"))
		if c.Known() {
			return
		}
		if c.Severity() != billing.Soft || c.Stale() || c.Text() != "unlisted response "+string(c) {
			t.Fatalf("%s: severity %d, stale %v, %q", c, c.Severity(), c.Stale(), c.Text())
		}
	})
}

func TestNamedCodes(t *testing.T) {
	for code, want := range map[billing.ResponseCode]string{
		billing.Approved: "approved", billing.PartiallyApproved: "partially approved",
		billing.IssuerUnavailable: "issuer or network unavailable", billing.SystemMalfunction: "system malfunction",
	} {
		if got := code.Text(); got != want {
			t.Errorf("%s is %q, want %q", code, got, want)
		}
	}
}
