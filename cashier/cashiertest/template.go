package cashiertest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// template is an SQLite database that was made once in this process and is copied
// for each shop: shops are opened by the hundred, and to migrate a database takes
// longer than most tests.
type template struct {
	once sync.Once
	file []byte
	err  error
}

var books, bank template

// place puts a copy at an address, if that is one of SQLite. build makes the
// original at the address that it is given, and closes it.
func (t *template) place(address string, build func(address string) error) error {
	path, lite := strings.CutPrefix(address, "sqlite:")
	if !lite {
		return nil
	}
	t.once.Do(func() { t.file, t.err = original(build) })
	if t.err != nil {
		return t.err
	}
	return os.WriteFile(path, t.file, 0o600)
}

func original(build func(address string) error) ([]byte, error) {
	dir, err := os.MkdirTemp("", "perennial-template")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := build("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
