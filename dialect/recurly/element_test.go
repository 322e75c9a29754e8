package recurly

import (
	"strings"
	"testing"
)

// show writes a tree in one line.
func (e *element) show() string {
	if e == nil {
		return "none"
	}
	s := e.name
	if e.null {
		s += "!"
	}
	if len(e.children) == 0 {
		return s + "=" + e.text
	}
	var parts []string
	for _, c := range e.children {
		parts = append(parts, c.show())
	}
	return s + "(" + strings.Join(parts, " ") + ")"
}

func TestReadXML(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"underscored", `<?xml version="1.0"?><billing_info><first_name>Verena</first_name><address2/></billing_info>`, "billing_info(first_name=Verena address2=)"},
		{"dashed, with types", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<account>\n  <account-code type=\"integer\">17953</account-code>\n  <accept-language nil=\"true\"/>\n</account>\n",
			"account(account_code=17953 accept_language!=)"},
		{"byte order mark and line ends of Windows", "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<charge>\r\n  <quantity> 1 </quantity>\r\n</charge>", "charge(quantity=1)"},
		{"java's declaration", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><a><accountCode>x</accountCode></a>`, "a(accountCode=x)"},
		{"entities of XML", `<a><b>Tom &amp; Co &lt;&#65;&gt;</b></a>`, "a(b=Tom & Co <A>)"},
		{"character data", `<a><b><![CDATA[1 < 2]]></b></a>`, "a(b=1 < 2)"},
		{"comments mean nothing", `<!-- x --><a><!-- y --><b>1</b></a><!-- z -->`, "a(b=1)"},
		{"a prefix means nothing", `<x:a xmlns:x="urn:x"><x:b>1</x:b></x:a>`, "a(b=1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := readXML([]byte(c.text))
			if err != nil || e.show() != c.want {
				t.Errorf("got %s, %v; want %s", e.show(), err, c.want)
			}
		})
	}
}

func TestReadXMLRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	if _, err := readXML([]byte(deep(maxDepth))); err != nil {
		t.Errorf("%d elements within each other are refused", maxDepth)
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"blanks":               "  \n",
		"text":                 "hello",
		"an ampersand":         "<a>Tom & Co</a>",
		"an element open":      "<a><b></a>",
		"two roots":            "<a/><b/>",
		"text behind":          "<a/>x",
		"a document type":      `<!DOCTYPE a><a/>`,
		"an external entity":   `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
		"a bomb":               `<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;</a>`,
		"an unknown entity":    "<a>&nbsp;</a>",
		"an unknown encoding":  `<?xml version="1.0" encoding="UTF-16"?><a/>`,
		"what is no UTF-8":     "<a>\xff</a>",
		"a control character":  "<a>\x01</a>",
		"too deep":             deep(maxDepth + 1),
		"too many elements":    "<a>" + strings.Repeat("<b/>", maxElements) + "</a>",
		"too many comments":    "<a>" + strings.Repeat("<!---->", maxElements) + "</a>",
		"too large":            "<a>" + strings.Repeat("x", maxBody) + "</a>",
		"half a declaration":   "<?xml",
		"an attribute repeats": `<a b="1" b=></a>`,
	} {
		if e, err := readXML([]byte(text)); err == nil {
			t.Errorf("%s is read as %s", name, e.show())
		}
	}
}

func TestBlank(t *testing.T) {
	for text, want := range map[string]bool{
		"<billing-info>\n  <credit-card>\n  </credit-card>\n</billing-info>": true,
		"<b/>":                       true,
		`<b nil="true"/>`:            true,
		"<b><c><d> </d></c><e/></b>": true,
		"<b><c><d>1</d></c></b>":     false,
		"<b>1</b>":                   false,
	} {
		e, err := readXML([]byte(text))
		if err != nil || e.blank() != want {
			t.Errorf("%s: blank is %v, %v", text, e.blank(), err)
		}
	}
	if !(*element)(nil).blank() {
		t.Error("what is not there says something")
	}
}

func FuzzReadXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><billing_info><first_name>Verena</first_name></billing_info>`))
	f.Add([]byte("\xef\xbb\xbf<a><b nil=\"true\"/><c>&amp;</c></a>"))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := readXML(body)
		if (e == nil) == (err == nil) {
			t.Fatal("neither a tree nor an error, or both")
		}
		if err != nil {
			return
		}
		if len(e.show()) > 8*len(body)+64 {
			t.Error("more is read than there was")
		}
		readBillingInfo(e.child("billing_info"))
		d := newDocument()
		d.echo(e)
		if _, err := readXML([]byte(d.String())); err != nil && len(d.String()) < maxBody {
			t.Errorf("what was written cannot be read again: %q", d.String())
		}
	})
}

// echo writes a tree as a document, for tests.
func (d *document) echo(e *element) {
	if len(e.children) == 0 {
		d.text("x", e.text)
		return
	}
	d.within("y", "", func() {
		for _, c := range e.children {
			d.echo(c)
		}
	})
}
