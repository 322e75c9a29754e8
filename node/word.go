package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/perennial-billing/perennial/store"
)

// word is what a node keeps outside of the database: how far the books had come
// when it last saw them.
type word struct {
	Name  string `json:"installation"`
	Epoch int64  `json:"epoch"`
	Mark  int64  `json:"mark"`
}

func wordOf(i store.Installation) word { return word{i.Name, i.Epoch, i.Mark} }

// after reports whether the word tells of a later state than another.
func (w word) after(o word) bool {
	return w.Epoch > o.Epoch || w.Epoch == o.Epoch && w.Mark > o.Mark
}

// maxWord bounds the file, in bytes.
const maxWord = 4096

// readWord reads a node's file; one that is not there is no word.
func readWord(path string) (word, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return word{}, nil
	}
	if err != nil {
		return word{}, err
	}
	var w word
	if len(text) > maxWord || json.Unmarshal(text, &w) != nil || w.Name == "" {
		return word{}, errors.New("it is damaged; if it can be spared, take it away")
	}
	return w, nil
}

// keep writes the word so that a crash leaves the old or the new one. What is
// there and later is left alone: several processes may share the file.
func (w word) keep(path string) error {
	if have, err := readWord(path); err != nil || have.Name == w.Name && !w.after(have) {
		return err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // no secret; an operator's command and the server share it
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), os.Remove(f.Name()))
	}
	return nil
}
