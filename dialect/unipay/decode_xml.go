package unipay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// decodeXML reads one element whose attributes are the fields. Elements inside
// it are noted by name and thrown away, which is where processingInfo goes.
// roots are the names the element may have; its namespace does not matter.
//
// What the API never needs is refused rather than understood: a DOCTYPE and
// with it every entity of one's own, processing instructions, text between the
// elements, a second document.
func decodeXML(c *collector, body []byte, roots []string) error {
	foreignCharset := false
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		foreignCharset = true
		return nil, errors.New("not UTF-8")
	}
	x := xmlReader{fields: c, roots: roots}
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return x.end()
		case foreignCharset:
			return unreadable("the character set of the body is not UTF-8")
		case err != nil:
			line, _ := d.InputPos()
			return unreadable("the body is not well-formed XML, near line %d", line)
		}
		if err := x.take(token); err != nil {
			return err
		}
	}
}

// xmlReader is the state between two tokens.
type xmlReader struct {
	fields   *collector
	roots    []string
	depth    int  // of open elements
	declared bool // <?xml ... ?> was read
	seen     bool // the root element was begun
}

func (x *xmlReader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		x.depth++
		return x.start(t)
	case xml.EndElement:
		x.depth--
	case xml.CharData:
		// Text deeper down belongs to something that is thrown away.
		if x.depth <= 1 && len(bytes.TrimSpace(t)) > 0 {
			return unreadable("the body has text outside of attributes; a field is an attribute of the element")
		}
	case xml.Directive:
		return unreadable("a DOCTYPE is not accepted")
	case xml.ProcInst:
		if t.Target != "xml" || x.declared || x.seen {
			return unreadable("processing instructions are not accepted")
		}
		x.declared = true
	}
	return nil
}

func (x *xmlReader) start(element xml.StartElement) error {
	switch {
	case x.depth == 1 && x.seen:
		return unreadable("the body has more than one XML document")
	case x.depth == 1:
		x.seen = true
		if !slices.Contains(x.roots, element.Name.Local) {
			return unreadable("the XML element must be called %s", strings.Join(x.roots, " or "))
		}
		return x.attributes(element.Attr)
	case x.depth > maxDepth+1:
		return unreadable("the body is nested more than %d levels deep", maxDepth)
	case x.depth == 2:
		// Elements of one name may follow each other: that is a list.
		return x.fields.merge(field{name: element.Name.Local, kind: nestedField})
	}
	return nil
}

// attributes takes the attributes of the root. The XML package of the standard
// library does not refuse an attribute that is given twice; add does.
// Attributes in a namespace, and the declarations of namespaces, say nothing to
// this API.
func (x *xmlReader) attributes(list []xml.Attr) error {
	for _, a := range list {
		if a.Name.Space != "" || a.Name.Local == "xmlns" {
			continue
		}
		if err := x.fields.add(field{name: a.Name.Local, value: unbreak(a.Value)}); err != nil {
			return err
		}
	}
	return nil
}

// unbreak makes line breaks and tabs inside an attribute blanks, which XML asks
// of every reader (3.3.3, attribute-value normalization) and package xml leaves
// to its user.
func unbreak(s string) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(s)
}

func (x *xmlReader) end() error {
	if !x.seen {
		return unreadable("the body has no XML element")
	}
	return nil
}
