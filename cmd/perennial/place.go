package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/perennial-billing/perennial/vault"
)

// place says where the books, the sandbox bank and the master key are. Its flags
// are the same for every command, so that whatever opens one's books opens the
// server's.
type place struct {
	Config        string `help:"Settings file; see perennial serve --help." env:"PERENNIAL_CONFIG" placeholder:"FILE" type:"path" group:"place"`
	Data          string `help:"Folder of the embedded databases and of the master key." env:"PERENNIAL_DATA" default:"perennial-data" group:"place"`
	DB            string `name:"db" help:"Books in another database, as postgres://user:password@host/database; better given by the environment, where other users do not see the password." env:"PERENNIAL_DB" placeholder:"URL" group:"place"`
	MasterKeyFile string `help:"File of the master key, if it is not master.key in the folder. The variable PERENNIAL_MASTER_KEY may hold the key itself instead." env:"PERENNIAL_MASTER_KEY_FILE" placeholder:"FILE" type:"path" group:"place"`
	NodeFile      string `help:"File in which this node keeps what it knows of the books, if it is not node.json beside the master key. It must outlive the node, and no two nodes need the same." env:"PERENNIAL_NODE_FILE" placeholder:"FILE" type:"path" group:"place"`
	BankDB        string `name:"bank-db" help:"Books of the sandbox bank, if they are not bank.db in the folder or, with PostgreSQL, the schema sandbox_bank of the same database." env:"PERENNIAL_BANK_DB" placeholder:"URL" group:"place"`
	BankURL       string `name:"bank-url" help:"Address of a sandbox bank that is a process of its own: perennial bank serve." env:"PERENNIAL_BANK_URL" placeholder:"URL" group:"place"`
}

// flagGroups orders the flags in the help texts.
var flagGroups = []kong.Group{
	{Key: "place", Title: "Where things are (the same for every command):"},
	{Key: "listen", Title: "Listening:"},
	{Key: "billing", Title: "Billing:"},
	{Key: "webhooks", Title: "Telling merchants of events:"},
}

// The names of what lies in the data folder, and of the bank's schema.
const (
	booksFile     = "perennial.db"
	bankFile      = "bank.db"
	masterKeyFile = "master.key"
	bankSchema    = "sandbox_bank"
)

// masterKeyVariable is the environment variable that may hold the master key. It
// is no flag, because the arguments of a process can be read by its neighbours.
const masterKeyVariable = "PERENNIAL_MASTER_KEY"

// books is the address of the books' database.
func (l place) books() string {
	if l.DB != "" {
		return l.DB
	}
	return "sqlite:" + filepath.Join(l.Data, booksFile)
}

// bank is the address of the sandbox bank's database, and the schema in it.
func (l place) bank() (address, schema string) {
	switch {
	case l.BankDB != "":
		return l.BankDB, ""
	case l.DB != "" && !isFile(l.DB):
		return l.DB, bankSchema
	}
	return "sqlite:" + filepath.Join(l.Data, bankFile), ""
}

// masterKeyPath is where the master key lies.
func (l place) masterKeyPath() string {
	if l.MasterKeyFile != "" {
		return l.MasterKeyFile
	}
	return filepath.Join(l.Data, masterKeyFile)
}

// isFile reports whether a database address names an SQLite file.
func isFile(address string) bool { return strings.HasPrefix(address, "sqlite:") }

// filePath is the file that a database address names.
func filePath(address string) string {
	return strings.TrimPrefix(strings.TrimPrefix(address, "sqlite:"), "//")
}

// String names the books for people, without a password.
func (l place) String() string {
	if l.DB != "" {
		return withoutPassword(l.DB)
	}
	return l.Data
}

// withoutPassword is a database address that may be shown.
func withoutPassword(address string) string {
	if isFile(address) || address == "" {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "(an address that cannot be read, and may hold a password)"
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(name, "password") {
			q.Set(name, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}

// exists reports whether the books have been begun, as far as that can be told
// without a connection.
func (l place) exists() (bool, error) {
	if !isFile(l.books()) {
		return true, nil
	}
	_, err := os.Stat(filePath(l.books()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// makeFolder makes the data folder if something of ours will lie there.
func (l place) makeFolder() error {
	if err := os.MkdirAll(l.Data, 0o700); err != nil {
		return fmt.Errorf("cannot make the data folder: %w", err)
	}
	return nil
}

// masterKey reads the master key from where it is said to be.
func (p *process) masterKey(l place) (*vault.Vault, error) {
	text, _ := p.lookupEnv(masterKeyVariable)
	from := "the variable " + masterKeyVariable
	if text != "" && l.MasterKeyFile != "" {
		return nil, fmt.Errorf("two master keys are given, by %s and by --master-key-file: keep one of them", masterKeyVariable)
	}
	if text == "" {
		path := l.masterKeyPath()
		from = path
		var err error
		text, err = vault.ReadMasterKey(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no master key at %s: make one with `perennial keys create%s`, or name the file that has it with --master-key-file",
				path, l.flags())
		}
		if err != nil {
			return nil, err
		}
	}
	v, err := vault.New(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return v, nil
}

// flags are the arguments that name the same place in another command, for texts
// to paste. They begin with a blank, or are empty.
func (l place) flags() string {
	var b strings.Builder
	if l.Data != "perennial-data" {
		fmt.Fprintf(&b, " --data %s", quoted(l.Data))
	}
	if l.DB != "" && isFile(l.DB) {
		fmt.Fprintf(&b, " --db %s", quoted(l.DB))
	}
	if l.DB != "" && !isFile(l.DB) {
		b.WriteString(` --db "$PERENNIAL_DB"`)
	}
	if l.MasterKeyFile != "" {
		fmt.Fprintf(&b, " --master-key-file %s", quoted(l.MasterKeyFile))
	}
	if l.NodeFile != "" {
		fmt.Fprintf(&b, " --node-file %s", quoted(l.NodeFile))
	}
	return b.String()
}

// quoted is an argument as a shell wants it.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
