package perennial

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// The laws of the house. What can be seen in the text of the tree is a test here and not a request in a guide.
// laws_tree_test.go reads the tree, laws_code_test.go has the checks, and laws_samples_test.go proves that each law
// can fail: a law without a sample that breaks it is itself an error.

// A law is something that every line of the tree obeys.
type law struct {
	name  string
	check func(*tree) []breach
}

// A breach is a place where a law is broken, and why that matters.
type breach struct {
	file   string
	line   int
	reason string
}

func (b breach) String() string { return fmt.Sprintf("%s:%d: %s", b.file, b.line, b.reason) }

var laws = []law{
	{"arrows", checkArrows},
	{"chain", checkChain},
	{"test packages", checkTestPackages},
	{"reserved", checkReserved},
	{"pure rules", checkPureRules},
	{"quiet imports", checkQuietImports},
	{"package comments", checkPackageComments},
	{"doc comments", checkDocs},
	{"floats", checkFloats},
	{"names", checkNames},
	{"sizes", checkSizes},
	{"goroutines", checkGoroutines},
	{"init", checkInit},
	{"state", checkState},
	{"sql", checkSQL},
	{"modules", checkModules},
}

// exceptions are the files that may break a law, each with its reason. One that is not needed any more fails the test.
var exceptions = []struct{ law, file, why string }{
	{"floats", "httpd/metrics.go", "the Prometheus library takes floats only, and a duration is not money"},
	{"floats", "cmd/perennial/metrics.go", "the Prometheus library takes floats only; a duration is not money, and a gauge keeps no books"},
}

// wideTypes are the types that may have more methods than the rest, each with its reason.
var wideTypes = map[string]string{
	"billing.Subscription":   "one method for each rule of a subscription's course and price; its files are by noun",
	"store.View":             "one method for each question to the books; its files are by noun, and splitting the type would not make fewer",
	"store.Tx":               "one method for each thing that is written; see store.View",
	"cashier.Cashier":        "one method for each verb of the product and for each step of a billing run",
	"cashier.book":           "every rule by which an account changes goes through the one desk that writes it",
	"setup.work":             "one merchant's part of a file, with a look, a check and a step for each of its nouns",
	"processor/sandbox.Bank": "a whole bank: acts, settlements, faults and journal, its files by each of these",
}

// anything allows every arrow.
const anything = "*"

// arrows says which of our packages each of our packages may import. The longest pattern that fits counts; a package
// that none fits is in breach until it is named here. Test packages, whose names end in "test", may import anything
// unless they are named.
var arrows = map[string][]string{
	".":                       {},
	"billing":                 {},
	"vault":                   {},
	"sqldb":                   {},
	"httpd":                   {},
	"store":                   {"billing", "sqldb"},
	"processor":               {"billing"},
	"processor/*":             {"billing", "processor"},
	"processor/processortest": {"billing", "processor"},
	"processor/sandbox":       {"billing", "processor", "sqldb"},
	"cashier":                 {"billing", "store", "vault", "processor"},
	"billrun":                 {"billing", "store", "cashier"},
	"notify":                  {"billing", "store", "cashier", "processor", "vault"},
	"dialect/*":               {"billing", "cashier", "store", "httpd", "notify"},
	"dialect/dialecttest":     {anything},
	"console":                 {"billing", "cashier", "store", "httpd"},
	"setup":                   {"billing", "cashier", "store", "notify"},
	"arrival":                 {"billing", "cashier", "store", "vault", "sqldb"},
	"audit":                   {"billing", "store"},
	"node":                    {"billing", "sqldb", "store"},
	"simulate":                {"billing", "store", "vault", "processor", "processor/sandbox", "sqldb", "cashier", "billrun", "dialect/unipay", "audit"},
	"bench":                   {anything},
	"cmd/perennial":           {anything},
}

// longestChain is how many arrows may lie between the command and the package furthest from it.
const longestChain = 6

// A reservation keeps a package, or some names of it, to a few places.
type reservation struct {
	path  string   // an import path; ending in "/..." with all below it; "./store" is our own
	names []string // names of it; none means the import itself
	where []string // directories, or with "/..." all below them too
	tests bool     // whether test code is bound as well
	why   string
}

var (
	inCommand   = []string{"cmd/perennial"}
	inProcessor = []string{"processor", "processor/...", "notify", "bench"}
	inDatabase  = []string{"sqldb", "sqldb/..."}
	inVault     = []string{"vault"}
	nowhere     []string

	// Where something must wait for time itself. A deadline needs none of this: it is context.WithTimeout.
	inWaiting = []string{
		"cmd/perennial",
		"sqldb",             // the pause before a transaction that lost a race is tried again
		"processor/sandbox", // a bank that answers as late as it is told to
		"billrun",           // looks at its queues every second
		"notify",            // and so does this
		"bench",             // has a bank that takes as long as it is told to
	}
)

var reservations = []reservation{
	{
		path: "time", names: []string{"Now", "Since", "Until"}, where: inCommand,
		why: "time is a value handed in, so that a year can be tested in a second",
	},
	{
		path: "time", names: []string{"After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, where: inWaiting,
		why: "waiting belongs to the command; a deadline is context.WithTimeout",
	},
	{
		path: "time", names: []string{"Sleep"}, where: nowhere, tests: true,
		why: "wait for what is to happen, not for time to pass",
	},
	{
		path: "os", names: []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, where: inCommand,
		why: "settings are handed down from the command",
	},
	{path: "os", names: []string{"Exit"}, where: inCommand, why: "only the command ends the process"},
	{path: "flag", where: inCommand, why: "settings are handed down from the command"},
	{path: "github.com/alecthomas/kong", where: inCommand, why: "settings are handed down from the command"},
	{path: "./store", names: []string{"Open"}, where: append(inCommand, "bench"), why: "only the command opens the books, and a bench those that it makes"},
	{path: "./store", names: []string{"New"}, where: append(inCommand, "store", "simulate"), why: "only the command opens the books, and the simulator those that it makes"},

	{path: "net/http", names: []string{
		"Client", "DefaultClient", "Get", "Head", "Post", "PostForm", "NewRequest", "NewRequestWithContext",
		"Transport", "DefaultTransport",
	}, where: inProcessor, why: "only processors and notices go out to the network"},
	{
		path: "net", names: []string{"Dial", "DialTimeout", "Dialer"}, where: inProcessor,
		why: "only processors and notices go out to the network",
	},

	{path: "database/sql/...", where: inDatabase, why: "one package speaks to the engines"},
	{path: "github.com/jackc/pgx/...", where: inDatabase, why: "one package speaks to the engines"},
	{path: "modernc.org/...", where: inDatabase, why: "one package speaks to the engines"},
	{path: "github.com/pressly/goose/...", where: inDatabase, why: "one package speaks to the engines"},

	{path: "crypto/aes", where: inVault, why: "one package enciphers"},
	{path: "crypto/cipher", where: inVault, why: "one package enciphers"},
	{path: "github.com/tink-crypto/...", where: inVault, why: "one package enciphers"},
	{path: "golang.org/x/crypto/chacha20poly1305", where: inVault, why: "one package enciphers"},

	{path: "testing/...", where: nowhere, why: "what tests need is not in the product"},
	{path: "net/http/httptest", where: nowhere, why: "what tests need is not in the product"},
	{path: "pgregory.net/rapid", where: nowhere, why: "what tests need is not in the product"},
	{path: "github.com/google/go-cmp/...", where: nowhere, why: "what tests need is not in the product"},
	{path: "github.com/rogpeppe/go-internal/...", where: nowhere, why: "what tests need is not in the product"},

	{path: "unsafe", where: nowhere, tests: true, why: "the product is plain Go"},
	{path: "C", where: nowhere, tests: true, why: "the product is plain Go and builds without a C compiler"},
}

// pureRules is where only values go in and come out; impure is what would let more through. Values that know how they
// are logged (log/slog) and addresses (net/netip) are values.
var (
	pureRules = []string{"billing", "billing/..."}
	impure    = []string{
		"os/...", "net", "net/http/...", "net/smtp", "io/fs", "log", "syscall", "database/...", "embed", "context",
	}
)

// quietImports are the packages that may be imported for their effect alone, and where.
var quietImports = map[string][]string{
	"embed":                {"..."},
	"time/tzdata":          inCommand,
	"modernc.org/...":      inDatabase,
	"github.com/jackc/...": inDatabase,
}

// noGoroutines are the directories whose code starts nothing: a verb, a rule or a handler ends when it returns.
var noGoroutines = []string{"billing", "cashier", "dialect/...", "console"}

// badWords say nothing about what a package or a file is for.
var badWords = []string{
	"util", "utils", "common", "helper", "helpers", "manager", "managers", "service", "services", "impl", "misc",
}

// The sizes beyond which a piece is too much for one reading. Tests are bound only by the size of a file.
const (
	longestFunction  = 100 // lines
	longestFile      = 800 // lines
	longestTest      = 1200
	mostParameters   = 5  // besides the context
	widestInterface  = 6  // methods
	mostMethods      = 40 // on one type
	mostModules      = 16 // direct ones in go.mod
	shortestOverview = 12 // words of a package comment
)

// TestLaws holds the tree against the laws.
func TestLaws(t *testing.T) {
	tr, err := readTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(tr.files, func(f *file) bool { return f.path == "httpd/server.go" }) {
		t.Fatalf("the tree was not read: %d files of Go, none of them httpd/server.go", len(tr.files))
	}
	used := make([]bool, len(exceptions))
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) {
			for _, b := range l.check(tr) {
				i := slices.IndexFunc(exceptions, func(e struct{ law, file, why string }) bool {
					return e.law == l.name && e.file == b.file
				})
				if i < 0 {
					t.Error(b)
					continue
				}
				used[i] = true
			}
		})
	}
	for i, e := range exceptions {
		if !used[i] && !t.Failed() {
			t.Errorf("the exception of %s from %q is not needed any more, take it out", e.file, e.law)
		}
	}
}

// within says whether a directory is one of a list.
func within(dir string, list []string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool { return matches(pattern, dir) })
}

// matches says whether a slash-separated name is the pattern, or if that ends in "..." begins with what is before it.
func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(name+"/", prefix)
	}
	return pattern == name
}

// isTestPackage says whether a package exists for tests, which its name then says.
func isTestPackage(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }
