package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/perennial-billing/perennial/vault"
)

// keysCommand is about the master key.
type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Make the master key of new books."`
}

// Help is shown by perennial keys --help.
func (keysCommand) Help() string {
	return `Card and bank numbers lie in the database sealed under keys of each merchant, which are themselves wrapped by the master key. The master key is not in the database: the two together open the numbers, each alone does not.`
}

// keysCreateCommand makes a master key.
type keysCreateCommand struct {
	place
}

// Help is shown by perennial keys create --help.
func (keysCreateCommand) Help() string {
	return `Writes a new master key to master.key in the data folder, or to the file that --master-key-file names, readable by its owner alone. A file that is there is never replaced.

Keep a copy, apart from the copies of the database: without the key the numbers are lost.

Examples:

  perennial keys create
  perennial keys create --master-key-file /etc/perennial/master.key`
}

// Run makes the key.
func (c *keysCreateCommand) Run(p *process) error {
	path, err := createMasterKey(c.place)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a master key at %s already; nothing was changed", path)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "A new master key is at %s. Keep a copy apart from those of the database: without it the card numbers are lost.\n", path)
	return err
}

// createMasterKey makes a master key where the place says that it lies.
func createMasterKey(l place) (path string, err error) {
	path = l.masterKeyPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return path, fmt.Errorf("cannot make the folder of the master key: %w", err)
	}
	_, err = vault.CreateMasterKey(path)
	return path, err
}
