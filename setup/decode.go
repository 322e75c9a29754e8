package setup

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/perennial-billing/perennial/billing"
)

// decoder takes the nodes of a document into the types of file.go. It is
// stricter than the YAML library's own: it knows the place of everything, refuses
// keys that it does not know or that come twice, guesses no types, and never
// repeats a value, which may be a password, in what it says.
type decoder struct{ problems *Problems }

// maxText bounds each text of a file, in characters.
const maxText = 500

// wholeNumber has no other reading: no leading zero that would make it octal,
// no sign but minus, no separators.
var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

// printableKey is a key that can be repeated in an error without fear that it
// is a secret in the wrong place.
var printableKey = regexp.MustCompile(`^[a-z][a-z_-]{0,30}$`)

func (d *decoder) wrong(n *yaml.Node, path, format string, args ...any) {
	*d.problems = append(*d.problems, Problem{n.Line, path, fmt.Sprintf(format, args...)})
}

// value takes a node into v, which is settable. What is null is absent.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *billing.Secret:
		if text, ok := d.text(n, path); ok {
			*p = billing.NewSecret(text)
		}
		return
	case *billing.Date:
		d.date(n, p, path)
		return
	case *settings:
		d.settings(n, p, path)
		return
	case *velocity:
		d.mapping(n, reflect.ValueOf(&p.given).Elem(), path)
		p.Where = place{path: path, line: n.Line, lines: linesBelow(n, "", map[string]int{})}
		return
	case *json.RawMessage:
		*p = d.opaque(n, path, 0)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.names(n, v, path)
	case reflect.String:
		if text, ok := d.text(n, path); ok {
			v.SetString(text)
		}
	case reflect.Int, reflect.Int64:
		d.number(n, v, path)
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
			d.wrong(n, path, "must be true or false")
			return
		}
		v.SetBool(n.Value == "true")
	default:
		panic("setup: a file has no values of type " + v.Type().String())
	}
}

// mapping takes a node into a struct, key by key.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if !d.kind(n, yaml.MappingNode, path, "must be keys with values") {
		return
	}
	fields, names := fieldsOf(v.Type())
	at := place{path: path, line: n.Line, lines: make(map[string]int, len(n.Content)/2)}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		index, known := fields[key.Value]
		_, twice := at.lines[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			d.wrong(key, path, "unknown key%s; the keys here are %s", shown(key), strings.Join(names, ", "))
			continue
		case twice:
			d.wrong(key, path, "the key %s comes twice", key.Value)
			continue
		}
		at.lines[key.Value] = key.Line
		sub, _ := at.of(key.Value)
		d.value(val, v.Field(index), sub)
	}
	if w := v.FieldByName("Where"); w.IsValid() {
		w.Set(reflect.ValueOf(at))
	}
}

// fieldsOf lists the keys of a struct, by its yaml tags or else its json tags.
func fieldsOf(t reflect.Type) (index map[string]int, names []string) {
	index = make(map[string]int, t.NumField())
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("yaml")
		if !ok {
			tag, _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
		}
		if tag != "" && tag != "-" {
			index[tag] = i
			names = append(names, tag)
		}
	}
	return index, names
}

// shown is an unknown key as an error may repeat it.
func shown(key *yaml.Node) string {
	if key.Kind != yaml.ScalarNode || !printableKey.MatchString(key.Value) {
		return ""
	}
	return " " + key.Value
}

// list takes a node into a slice; an empty list is a slice without elements,
// not nil.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if !d.kind(n, yaml.SequenceNode, path, "must be a list") {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		sub := path + "[" + strconv.Itoa(i) + "]"
		if isNull(c) {
			d.wrong(c, sub, "must not be empty")
			continue
		}
		d.value(c, v.Index(i), sub)
	}
}

// names takes a node into a map whose keys are free.
func (d *decoder) names(n *yaml.Node, v reflect.Value, path string) {
	if !d.kind(n, yaml.MappingNode, path, "must be keys with values") {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		name := reflect.ValueOf(key.Value)
		if key.Kind != yaml.ScalarNode || !printableKey.MatchString(key.Value) || v.MapIndex(name).IsValid() {
			d.wrong(key, path, "a key is not a name in small letters, or comes twice")
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(val, elem, path+"."+key.Value)
		v.SetMapIndex(name, elem)
	}
}

// kind refuses a node of another kind than is wanted, and what this package
// does not read at all.
func (d *decoder) kind(n *yaml.Node, want yaml.Kind, path, text string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.wrong(n, path, "aliases (*name) are not read; write the value out")
	case n.Kind != want:
		d.wrong(n, path, "%s", text)
	case !plainTag(n):
		d.wrong(n, path, "tags (!name) are not read; write the value without one")
	default:
		return true
	}
	return false
}

func plainTag(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!null", "!!map", "!!seq":
		return true
	}
	return false
}

// text reads a scalar as it is written: a card number, a code such as 2001 or
// an expiry such as 0430 needs no quotes.
func (d *decoder) text(n *yaml.Node, path string) (string, bool) {
	if !d.kind(n, yaml.ScalarNode, path, "must be a text") {
		return "", false
	}
	count := 0
	for _, r := range n.Value {
		count++
		if unicode.IsControl(r) || count > maxText {
			d.wrong(n, path, "must be a text of at most %d characters in one line", maxText)
			return "", false
		}
	}
	return n.Value, true
}

func (d *decoder) number(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || !wholeNumber.MatchString(n.Value) {
		d.wrong(n, path, "must be a whole number such as 1999")
		return
	}
	i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
	if err != nil {
		d.wrong(n, path, "is out of range")
		return
	}
	v.SetInt(i)
}

func (d *decoder) date(n *yaml.Node, p *billing.Date, path string) {
	day, err := billing.ParseDate(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.wrong(n, path, "must be a date such as 2020-01-31")
		return
	}
	*p = day
}

// settings reads a merchant's settings twice: into their Go type, which checks
// each key, and into JSON, which remembers which keys were given.
func (d *decoder) settings(n *yaml.Node, p *settings, path string) {
	before := len(*d.problems)
	d.mapping(n, reflect.ValueOf(&p.given).Elem(), path)
	if len(*d.problems) > before {
		return
	}
	p.text = d.opaque(n, path, 0)
	p.Where = place{path: path, line: n.Line, lines: linesBelow(n, "", map[string]int{})}
}

// linesBelow notes the line of each key below a node, by the key alone: the
// rules of settings name them so. An element of a list is key[0].
func linesBelow(n *yaml.Node, prefix string, lines map[string]int) map[string]int {
	if n.Kind == yaml.SequenceNode {
		for i, element := range n.Content {
			key := strings.TrimSuffix(prefix, ".") + "[" + strconv.Itoa(i) + "]"
			lines[key] = element.Line
			linesBelow(element, key+".", lines)
		}
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		lines[key] = n.Content[i].Line
		linesBelow(n.Content[i+1], key+".", lines)
	}
	return lines
}

// maxDepth bounds how deep values of free form may be nested.
const maxDepth = 32

// opaque turns a node into JSON, keys in the order of the file.
func (d *decoder) opaque(n *yaml.Node, path string, depth int) json.RawMessage {
	if depth > maxDepth {
		d.wrong(n, path, "is nested too deep")
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.opaqueObject(n, path, depth)
	case yaml.SequenceNode:
		parts := make([]string, len(n.Content))
		for i, c := range n.Content {
			parts[i] = string(d.opaque(c, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
		return json.RawMessage("[" + strings.Join(parts, ",") + "]")
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	switch n.ShortTag() {
	case "!!null":
		return json.RawMessage("null")
	case "!!bool":
		if n.Value == "true" || n.Value == "false" {
			return json.RawMessage(n.Value)
		}
		d.wrong(n, path, "must be true or false, or in quotes if it is a text")
		return nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.RawMessage(n.Value)
		}
		d.wrong(n, path, "must be a number such as 1999, or in quotes if it is a text")
		return nil
	}
	text, ok := d.text(n, path)
	if !ok {
		return nil
	}
	return quoted(text)
}

func (d *decoder) opaqueObject(n *yaml.Node, path string, depth int) json.RawMessage {
	var parts []string
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Value == "<<" || seen[key.Value] {
			d.wrong(key, path, "a key is not a plain name, or comes twice")
			continue
		}
		seen[key.Value] = true
		if isNull(n.Content[i+1]) {
			continue // absent, as everywhere in a file
		}
		parts = append(parts, string(quoted(key.Value))+":"+string(d.opaque(n.Content[i+1], path+"."+key.Value, depth+1)))
	}
	return json.RawMessage("{" + strings.Join(parts, ",") + "}")
}

func quoted(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("setup: a text that does not marshal: " + err.Error())
	}
	return b
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
