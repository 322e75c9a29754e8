package recurly

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDocument(t *testing.T) {
	d := newDocument()
	d.page("accounts", page{2}, 57, func() {
		d.within("account", "", func() {
			d.text("account_code", "a<b>&\"c\"\r\x00\xff")
			d.text("username", "")
			d.textOrNil("invoice_id", "")
			d.integer("balance_in_cents", -5)
			d.boolean("closed", false)
			d.datetime("created_at", time.Date(2011, 7, 20, 3, 49, 24, 5000, time.FixedZone("", 7200)))
			d.datetime("canceled_at", time.Time{})
		})
	})
	want := `<?xml version="1.0" encoding="UTF-8"?>
<accounts type="collection">
  <current_page type="integer">2</current_page>
  <per_page type="integer">20</per_page>
  <total_entries type="integer">57</total_entries>
  <account>
    <account_code>a&lt;b&gt;&amp;"c"&#13;` + "\uFFFD" + `</account_code>
    <username></username>
    <invoice_id nil="true"></invoice_id>
    <balance_in_cents type="integer">-5</balance_in_cents>
    <closed type="boolean">false</closed>
    <created_at type="datetime">2011-07-20T01:49:24Z</created_at>
    <canceled_at nil="true" type="datetime"></canceled_at>
  </account>
</accounts>
`
	if diff := cmp.Diff(want, d.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestErrors: the tag of the list has no attributes and does not stand at the
// beginning, and messages are as of 2011, or as of 2010 with the field in front.
func TestErrors(t *testing.T) {
	list := []mistake{{"account_code", "taken", taken}, {"", "", "Account not found"}, {"number", `<"&`, badNumber}}
	for older, want := range map[bool]string{
		false: `<?xml version="1.0" encoding="UTF-8"?>
<errors>
  <error field="account_code" code="taken">has already been taken</error>
  <error>Account not found</error>
  <error field="number" code="&lt;&quot;&amp;">is not a valid credit card number</error>
</errors>
`,
		true: `<?xml version="1.0" encoding="UTF-8"?>
<errors>
  <error field="account_code" code="taken">Account code has already been taken</error>
  <error>Account not found</error>
  <error field="number" code="&lt;&quot;&amp;">Number is not a valid credit card number</error>
</errors>
`} {
		d := newDocument()
		d.errors(list, older)
		if diff := cmp.Diff(want, d.String()); diff != "" {
			t.Errorf("older %v (-want +got):\n%s", older, diff)
		}
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []int64{1, 2, 3, 100, 911234567890123456, 911234567890123457, 1<<63 - 1} {
		for _, k := range []kind{lineKind, invoiceKind, moveKind} {
			text := shown(k, id)
			if len(text) != 32 || seen[text] {
				t.Errorf("%d is shown as %q", id, text)
			}
			seen[text] = true
			if got, ok := readID(k, text); !ok || got != id {
				t.Errorf("%s of %d is read as %d, %v", text, id, got, ok)
			}
			if got, ok := readID(k+1, text); ok {
				t.Errorf("%s of another kind is read as %d", text, got)
			}
			other := "0"
			if text[31] == '0' {
				other = "1"
			}
			if got, ok := readID(k, text[:31]+other); ok {
				t.Errorf("a changed %s is read as %d", text, got)
			}
		}
	}
	for _, text := range []string{"", "0", "00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "not-an-id-not-an-id-not-an-id-xx"} {
		if id, ok := readID(lineKind, text); ok {
			t.Errorf("%q is read as %d", text, id)
		}
	}
}
