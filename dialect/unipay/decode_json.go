package unipay

import (
	"bytes"
	"encoding/json"
	"errors"
)

// decodeJSON reads one flat object. Numbers and booleans are taken as the text
// they were written with, null as not given, and objects and arrays below the
// top are noted by name and thrown away.
func decodeJSON(c *collector, body []byte) error {
	// The token reader below does not promise to refuse all that is
	// malformed, and it reads several documents one after another. This
	// line does: one document, well-formed to its end.
	var document json.RawMessage
	if err := json.Unmarshal(body, &document); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return unreadable("the body is not well-formed JSON, near byte %d", syntax.Offset)
		}
		return unreadable("the body is not well-formed JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a number is kept digit by digit, never as a float
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return unreadable("the body is not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return unreadable("the body is not well-formed JSON, near byte %d", d.InputOffset())
		}
		name, ok := key.(string)
		if !ok {
			return unreadable("the body is not well-formed JSON, near byte %d", d.InputOffset())
		}
		fd, err := readJSONValue(d, name)
		if err != nil {
			return err
		}
		if err := c.add(fd); err != nil {
			return err
		}
	}
	return nil
}

func readJSONValue(d *json.Decoder, name string) (field, error) {
	token, err := d.Token()
	if err != nil {
		return field{}, unreadable("the body is not well-formed JSON, near byte %d", d.InputOffset())
	}
	switch v := token.(type) {
	case string:
		return field{name: name, value: v}, nil
	case json.Number:
		return field{name: name, value: v.String()}, nil
	case bool:
		if v {
			return field{name: name, value: "true"}, nil
		}
		return field{name: name, value: "false"}, nil
	case json.Delim:
		return field{name: name, kind: nestedField}, skipJSON(d)
	default: // nil
		return field{name: name, kind: nullField}, nil
	}
}

// skipJSON reads to the end of an object or array whose beginning was read.
func skipJSON(d *json.Decoder) error {
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err != nil {
			return unreadable("the body is not well-formed JSON, near byte %d", d.InputOffset())
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxDepth {
			return unreadable("the body is nested more than %d levels deep", maxDepth)
		}
	}
	return nil
}
