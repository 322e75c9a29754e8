package recurly

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// The bounds of a document that is read (2.1). What any client sends is below a
// tenth of each.
const (
	maxBody     = 64 << 10 // bytes
	maxDepth    = 16       // elements within each other
	maxElements = 2000
)

// element is an element of a document: its name with dashes turned to
// underscores, and either other elements or a text, without the blanks around it.
type element struct {
	name     string
	text     string
	null     bool // nil="true": what it stands for is to be nothing
	children []*element
}

var errXML = errors.New("recurly: a document that is not read")

// readXML reads a document into its root element. It reads more leniently than
// it writes (2.1): a byte order mark goes before, attributes beside nil mean
// nothing. A document type is refused, and with it every entity that is not
// XML's own.
func readXML(body []byte) (*element, error) {
	if len(body) > maxBody {
		return nil, errXML
	}
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	d.CharsetReader = charset
	var root *element
	var open []*element
	count := 0
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errXML
		}
		switch t := token.(type) {
		case xml.StartElement:
			count++
			if count > maxElements || len(open) == maxDepth || root != nil && len(open) == 0 {
				return nil, errXML
			}
			e := begin(t)
			if len(open) == 0 {
				root = e
			} else {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			}
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].name != underscored(t.Name.Local) {
				return nil, errXML
			}
			e := open[len(open)-1]
			e.text = strings.TrimSpace(e.text)
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errXML
			}
		case xml.Comment, xml.ProcInst:
			if count++; count > maxElements {
				return nil, errXML
			}
		case xml.Directive:
			return nil, errXML
		}
	}
	if root == nil || len(open) > 0 {
		return nil, errXML
	}
	return root, nil
}

// charset takes the encodings whose text is UTF-8 already.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return in, nil
	}
	return nil, errXML
}

func begin(t xml.StartElement) *element {
	e := &element{name: underscored(t.Name.Local)}
	for _, a := range t.Attr {
		if a.Name.Local == "nil" && a.Value == "true" {
			e.null = true
		}
	}
	return e
}

// underscored is a name as the protocol writes it; one client dashes (2.1).
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// child finds the first element of a name within this one, nil if there is none.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// list is the elements of a name within this one.
func (e *element) list(name string) (found []*element) {
	for _, c := range e.children {
		if c.name == name {
			found = append(found, c)
		}
	}
	return found
}

// value is the text of the element of a name within this one, "" if there is
// none; given tells an empty one from none.
func (e *element) value(name string) (text string, given bool) {
	c := e.child(name)
	if c == nil {
		return "", false
	}
	if c.null {
		return "", true
	}
	return c.text, true
}

// text is value without asking whether it was given.
func (e *element) textOf(name string) string {
	text, _ := e.value(name)
	return text
}

// blank reports whether nothing within says anything. Such a billing_info counts
// as none: one client sends it with every account (2.1).
func (e *element) blank() bool {
	if e == nil || e.null {
		return true
	}
	if len(e.children) == 0 {
		return e.text == ""
	}
	for _, c := range e.children {
		if !c.blank() {
			return false
		}
	}
	return true
}
