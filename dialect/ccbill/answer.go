package ccbill

import (
	"encoding/xml"
	"net/http"
	"strings"
)

// field is a name and a value of an answer.
type field struct{ name, value string }

// answer is a document: its fields in the order in which they go out.
type answer []field

// results is the answer that is nothing but a code.
func results(r result) answer { return answer{{"results", r.String()}} }

// csv is the answer as two lines (3.4): every name and value in quotes, bare
// commas, a line feed after each line.
func (a answer) csv() string {
	var head, body strings.Builder
	for i, f := range a {
		if i > 0 {
			head.WriteByte(',')
			body.WriteByte(',')
		}
		head.WriteString(quoted(f.name))
		body.WriteString(quoted(f.value))
	}
	return head.String() + "\n" + body.String() + "\n"
}

// quoted puts quotes around a text, and doubles those in it. A line break would
// begin another record for clients that split by hand.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`"`, `""`, "\n", " ", "\r", " ").Replace(s) + `"`
}

// xml is the answer as a document (3.4): a code stands in the root element
// itself, fields stand below it.
func (a answer) xml() string {
	var b strings.Builder
	b.WriteString("<?xml version='1.0' standalone='yes'?>\n<results>")
	if len(a) == 1 && a[0].name == "results" {
		b.WriteString(a[0].value + "</results>\n")
		return b.String()
	}
	b.WriteByte('\n')
	for _, f := range a {
		b.WriteString("  <" + f.name + ">")
		_ = xml.EscapeText(&b, []byte(f.value)) // a strings.Builder takes everything
		b.WriteString("</" + f.name + ">\n")
	}
	b.WriteString("</results>\n")
	return b.String()
}

// write sends an answer. Its status is 200 whatever it says (1).
func write(w http.ResponseWriter, a answer, asXML bool) {
	text, kind := a.csv(), "text/plain; charset=utf-8"
	if asXML {
		text, kind = a.xml(), "text/xml; charset=utf-8"
	}
	send(w, kind, text)
}

func send(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write([]byte(text)) // it fails when the client has gone, and then nobody is left to be told
}
