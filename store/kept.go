package store

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// kept is a value that a column keeps as JSON, "" being none.
type kept struct {
	text string
	into any
}

func (k kept) read() error {
	if k.text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(k.text), k.into); err != nil {
		return fmt.Errorf("not the JSON of a %T: %w", k.into, err)
	}
	return nil
}

// toJSON is how a value is kept: "" if it is the zero of its type.
func toJSON(value any) string {
	if reflect.ValueOf(value).IsZero() {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("store: a %T that does not marshal: %v", value, err))
	}
	return string(text)
}
