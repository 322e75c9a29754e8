package sqldb

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// listArg is the argument for [Tx.In]: each engine gets it in its own form.
type listArg struct {
	ints  []int64
	texts []string // used if ints is nil
}

// List makes the argument that belongs to [Tx.In]: t.Exec(ctx, "DELETE FROM x WHERE id "+t.In(1), sqldb.List(ids)).
// An empty list matches nothing.
func List[T ~int64 | ~string](values []T) any {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Int64:
		l := listArg{ints: make([]int64, len(values))}
		for i, v := range values {
			l.ints[i] = reflect.ValueOf(v).Int()
		}
		return l
	default:
		l := listArg{texts: make([]string, len(values))}
		for i, v := range values {
			l.texts[i] = reflect.ValueOf(v).String()
		}
		return l
	}
}

// OrNull is an argument that is NULL if v is the zero value. [Null] is its counterpart for scanning.
func OrNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// normal returns args as int64, string, bool, []byte and nil alone, so that both engines bind the same. It copies only
// if it has to. Its errors name the position and the type of an argument, never its value.
func normal(e Engine, args []any) ([]any, error) {
	out := args
	for i, arg := range args {
		v, err := plain(arg)
		if err != nil {
			return nil, fmt.Errorf("argument $%d %w", i+1, err)
		}
		if l, ok := v.(listArg); ok {
			if v, err = l.argument(e); err != nil {
				return nil, fmt.Errorf("argument $%d %w", i+1, err)
			}
		} else if same(v, arg) {
			continue
		}
		if &out[0] == &args[0] {
			out = make([]any, len(args))
			copy(out, args)
		}
		out[i] = v
	}
	return out, nil
}

// same says whether plain has left arg as it was.
func same(v, arg any) bool {
	switch v.(type) {
	case int64:
		_, ok := arg.(int64)
		return ok
	case string:
		_, ok := arg.(string)
		return ok
	case bool:
		_, ok := arg.(bool)
		return ok
	case []byte:
		_, ok := arg.([]byte)
		return ok
	}
	return arg == nil
}

// plain returns v as int64, string, bool, []byte, listArg or nil.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, int64, bool, listArg:
		return v, nil
	case string:
		return v, checkText(v)
	case []byte:
		if v == nil {
			return nil, nil
		}
		return v, nil
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if r.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("of type %T is beyond the 63 bits of a BIGINT", v)
		}
		return int64(r.Uint()), nil
	case reflect.Bool:
		return r.Bool(), nil
	case reflect.String:
		return r.String(), checkText(r.String())
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			if r.IsNil() {
				return nil, nil
			}
			return r.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("has type %T; allowed are integers, strings, bools, []byte, nil and List", v)
}

// checkText refuses on both engines what PostgreSQL's text cannot hold.
func checkText(s string) error {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return fmt.Errorf("is not UTF-8 text without NUL: use []byte for bytes")
	}
	return nil
}

// argument is l as the engine takes it: an array, or a JSON array for json_each.
func (l listArg) argument(e Engine) (any, error) {
	for _, s := range l.texts {
		if err := checkText(s); err != nil {
			return nil, err
		}
	}
	if e == PostgreSQL {
		if l.ints != nil {
			return l.ints, nil
		}
		return l.texts, nil
	}
	var text []byte
	var err error
	if l.ints != nil {
		text, err = json.Marshal(l.ints)
	} else {
		text, err = json.Marshal(l.texts)
	}
	if err != nil {
		return nil, fmt.Errorf("is a list that JSON cannot hold")
	}
	return string(text), nil
}
