package perennial

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// sample is a small tree that breaks one law in the lines that end in the word BREACH, and nowhere else. LINES(n)
// stands for n lines of code. A go.mod is supplied where there is none.
type sample struct {
	law, tree string
}

var samples = []sample{
	{"arrows", `
-- billing/money.go --
package billing
import "strings"
import "m/store" // BREACH
-- store/store.go --
package store
import "m/billing"
import "m/sqldb"
import "m/cashier" // BREACH
-- store/storetest/storetest.go --
package storetest
import "m/cashier"
-- billing/money_test.go --
package billing_test
import "m/store"
-- processor/processor.go --
package processor
import "m/sqldb" // BREACH
-- processor/sandbox/sandbox.go --
package sandbox
import "m/sqldb"
import "m/processor"
-- processor/stripe/stripe.go --
package stripe
import "m/processor"
import "m/processor/sandbox" // BREACH
-- processor/processortest/suite.go --
package processortest
import "m/processor"
import "m/cashier" // BREACH
-- dialect/unipay/unipay.go --
package unipay
import "m/httpd"
import "m/dialect/ccbill" // BREACH
import "m/vault" // BREACH
-- dialect/unipay/wire/wire.go --
package wire // BREACH
-- billrun/billrun.go --
package billrun
import "m/processor" // BREACH
-- mailer/mailer.go --
package mailer // BREACH
-- vault/vault.go --
package vault
import "m" // BREACH
-- cmd/perennial/main.go --
package main
import "m/billing"
import "m/dialect/unipay"
`},
	{"chain", `
-- a/a.go --
package a // BREACH
import "m/b"
-- b/b.go --
package b
import "m/c"
-- c/c.go --
package c
import "m/d"
import "m/g"
-- d/d.go --
package d
import "m/e"
-- e/e.go --
package e
import "m/f"
-- f/f.go --
package f
import "m/g"
-- g/g.go --
package g
import "m/h"
-- h/h.go --
package h
`},
	{"test packages", `
-- cashier/cashier.go --
package cashier
import "m/store/storetest" // BREACH
import "net/http/httptest"
-- cashier/cashier_test.go --
package cashier
import "m/store/storetest"
-- dialect/dialecttest/stories.go --
package dialecttest
import "m/store/storetest"
-- cmd/perennial/main.go --
package main
import "m/processor/processortest" // BREACH
`},
	{"reserved", `
-- cashier/charge.go --
package cashier
import (
	"time"
	clock "time"
	"os"
	"flag" // BREACH
	"net"
	"net/http"
	"database/sql" // BREACH
	"crypto/aes" // BREACH
	"crypto/sha256"
	"testing" // BREACH
	"unsafe" // BREACH
	"m/store"
)
func charge(t time.Time, d time.Duration) {
	_ = time.Now() // BREACH
	_ = clock.Now() // BREACH
	wake := time.Now // BREACH
	_ = time.Since(t) // BREACH
	_ = time.Until(t) // BREACH
	<-time.After(d) // BREACH
	time.Sleep(d) // BREACH
	_ = time.NewTimer(d) // BREACH
	_ = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	_ = os.Getenv("KEY") // BREACH
	os.Exit(1) // BREACH
	_ = http.StatusOK
	_, _ = http.Get("http://example.com") // BREACH
	c := &http.Client{} // BREACH
	_, _ = net.Dial("tcp", "example.com:80") // BREACH
	_ = store.Open // BREACH
	var store local
	store.Close()
}
-- cashier/charge_test.go --
package cashier
import (
	"database/sql"
	"net/http"
	"os"
	"testing"
	"time"
)
func TestCharge(t *testing.T) {
	_ = time.Now()
	_ = os.Getenv("KEY")
	_, _ = http.Get("http://127.0.0.1")
	time.Sleep(1) // BREACH
}
-- sqldb/sqldbtest/open.go --
package sqldbtest
import "os"
import "testing"
import "time"
var url = os.Getenv("URL")
func wait() { time.Sleep(1) } // BREACH
-- sqldb/sqldb.go --
package sqldb
import "time"
import "database/sql"
import "github.com/jackc/pgx/v5/stdlib"
import "github.com/pressly/goose/v3"
import "modernc.org/sqlite/lib"
var pause = time.NewTimer
var now = time.Now // BREACH
-- store/store.go --
package store
import "github.com/jackc/pgx/v5" // BREACH
import "github.com/pressly/goose/v3" // BREACH
import "modernc.org/sqlite" // BREACH
import "database/sql/driver" // BREACH
-- vault/vault.go --
package vault
import "crypto/cipher"
import "github.com/tink-crypto/tink-go/v2/aead"
-- processor/stripe/stripe.go --
package stripe
import "net/http"
import "github.com/tink-crypto/tink-go/v2/aead" // BREACH
var client http.Client
-- notify/notify.go --
package notify
import "net/http"
import "time"
var client http.Client
func f() { time.AfterFunc(1, nil) }
-- cmd/perennial/main.go --
package main
import "github.com/alecthomas/kong"
import "m/store"
import "net/http"
import "os"
import "time"
func main() {
	_, _, _ = time.Now, os.Getenv, store.Open
	_ = http.DefaultClient // BREACH
	time.Sleep(1) // BREACH
}
`},
	{"pure rules", `
-- billing/money.go --
package billing
import "fmt"
import "time"
import "os" // BREACH
import "net/http" // BREACH
import "net/netip"
import "log/slog"
import "log" // BREACH
import "database/sql" // BREACH
import "golang.org/x/text/currency" // BREACH
-- billing/money_test.go --
package billing
import "os"
import "pgregory.net/rapid"
-- store/store.go --
package store
import "os"
`},
	{"quiet imports", `
-- store/store.go --
package store
import _ "embed"
import _ "image/png" // BREACH
import . "strings" // BREACH
import _ "modernc.org/sqlite" // BREACH
-- sqldb/sqldb.go --
package sqldb
import _ "modernc.org/sqlite"
import _ "github.com/jackc/pgx/v5/stdlib"
-- cmd/perennial/main.go --
package main
import _ "time/tzdata"
import _ "m/processor/sandbox" // BREACH
-- cmd/perennial/main_test.go --
package main
import _ "image/png"
import . "fmt" // BREACH
`},
	{"package comments", `
-- billing/money.go --
package billing // BREACH
-- billing/plan.go --
package billing
-- store/store.go --
// Package store is the store.
package store // BREACH
-- vault/vault.go --
// This package seals the numbers of cards and bank accounts under a key of the merchant.
package vault // BREACH
-- httpd/doc.go --
// Package httpd carries every dialect on one listener and does for all what none should do twice.
package httpd
-- httpd/server.go --
// Package httpd is described twice, which is once too often for whoever has to keep it true.
package httpd // BREACH
-- store/storetest/open.go --
package storetest // BREACH
-- laws_test.go --
package m
-- cmd/perennial/main.go --
// Perennial is the one command: it serves, runs the billing and audits the books of all merchants.
package main
`},
	{"doc comments", `
-- billing/money.go --
package billing

type Money struct{} // BREACH

// Plan has a comment.
type Plan struct{}

// A group's comment is not the type's.
type (
	Rate struct{} // BREACH
	// Term has one.
	Term struct{}
	PlanID int64 // a plan
)

func Parse() {} // BREACH

func (m *Money) Add() {} // BREACH

// Sub has one.
func (m Money) Sub() {}

func (g Group[T]) Len() {} // BREACH

func (h hidden) Len() {}

func parse() {}

// Kinds of things.
const (
	KindA = 1
	KindB = 2
)

const (
	Alone = 1 // BREACH
	// Said has one.
	Said = 2
	Short = 3 // enough
	lower = 4
)

var Zero Money // BREACH
-- billing/money_test.go --
package billing

func Exported() {}
-- cmd/perennial/main.go --
package main

type Serve struct{}
`},
	{"floats", `
-- billing/money.go --
package billing
import "math"
import "math/big"
import "strconv"
import "time"
type Rate float64 // BREACH
func f(x float32, d time.Duration, r *big.Rat) { // BREACH
	_ = 1.5 // BREACH
	_ = 1e3 // BREACH
	_ = 2i // BREACH
	_ = 1000
	_ = "1.5"
	_ = math.MaxInt64
	_ = math.MinInt32
	_ = math.MaxUint32
	_ = math.Round // BREACH
	_ = math.MaxFloat64 // BREACH
	_, _ = strconv.ParseFloat("1", 64) // BREACH
	_, _ = strconv.ParseInt("1", 10, 64)
	_, _ = r.Float64() // BREACH
	_ = d.Hours() // BREACH
	_ = d.Milliseconds()
	_ = query("SELECT CAST(amount AS REAL) FROM x") // BREACH
	_ = query("SELECT 1::double precision") // BREACH
	_ = "as really expected"
}
-- billing/money_test.go --
package billing
var tolerated = 0.5
-- sqldb/migration/0001.sql --
-- a real comment
CREATE TABLE a (
	amount BIGINT,
	rate REAL, -- BREACH
	tax double precision, -- BREACH
	fee FLOAT8 -- BREACH
);
`},
	{"names", `
-- store/util.go --
package store // BREACH
-- store/sql_helpers.go --
package store // BREACH
-- store/invoice_test.go --
package store
-- cashier/helper_test.go --
package cashier // BREACH
-- common/money.go --
package common // BREACH
-- billing/serviceuser.go --
package billing
-- billing/impl/plan.go --
package plan // BREACH
-- httpd/x.go --
package httputil // BREACH
-- dialect/unipay/service.go --
package unipay // BREACH
-- processor/accountmanager.go --
package processor // BREACH
`},
	{"sizes", `
-- store/a.go --
package store // BREACH
LINES(800)
-- store/b.go --
package store
LINES(799)
-- store/c_test.go --
package store // BREACH
LINES(1200)
-- store/d_test.go --
package store
LINES(1199)
-- store/e.go --
package store
import "context"
func just() {
LINES(98)
}
func over() { // BREACH
LINES(99)
}
func five(ctx context.Context, a, b int, c, d, e string) {}
func six(ctx context.Context, a, b int, c, d, e, f string) {} // BREACH
func unnamed(int, int, int, int, int, int) {} // BREACH
type Six interface { a(); b(); c(); d(); e(); f() }
type Seven interface { a(); b(); c(); d(); e(); f(); g() } // BREACH
-- store/f.go --
package store
import "context"
func five2(ctx context.Context, a, b int, c, d, e string) {}
func (t *Book) m01() {}
METHODS(39)
func (t *Book) last() {} // BREACH
func (t *Book) more() {}
func (t *Other) m() {}
`},
	{"goroutines", `
-- cashier/charge.go --
package cashier
func f() {
	go f() // BREACH
}
-- dialect/unipay/handler.go --
package unipay
func f() {
	func() { go f() }() // BREACH
}
-- billing/plan.go --
package billing
func f() { go f() } // BREACH
-- console/page.go --
package console
func f() { go f() } // BREACH
-- cashier/charge_test.go --
package cashier
func g() { go g() }
-- billrun/run.go --
package billrun
func f() { go f() }
`},
	{"init", `
-- processor/stripe/stripe.go --
package stripe
func init() { register() } // BREACH
func (s stripe) init() {}
-- store/store_test.go --
package store
func init() {} // BREACH
`},
	{"state", `
-- store/cache.go --
package store
import "sync"
import "sync/atomic"
var seen = make(map[string]bool) // BREACH
var lock sync.Mutex // BREACH
var (
	count atomic.Int64 // BREACH
	last atomic.Pointer[int] // BREACH
	pool = sync.Pool{} // BREACH
	queue chan int = make(chan int) // BREACH
)
var table = map[string]int{"a": 1}
var days = sync.OnceValue(func() int { return 7 })
var errGone = errors.New("gone")
type cache struct { lock sync.Mutex }
func f() { m := make(map[string]bool) }
-- store/cache_test.go --
package store
var seen2 = make(map[string]bool)
`},
	{"sql", strings.ReplaceAll(`
-- store/invoice.go --
package store
const a = "SELECT * FROM invoice" // BREACH
const b = "SELECT count(*) FROM invoice"
const c = "select i.* from invoice i" // BREACH
const d = "INSERT INTO invoice (id) VALUES ($1) RETURNING *" // BREACH
const e = "SELECT DISTINCT * FROM invoice" // BREACH
const f = "SELECT id, amount * 2 FROM invoice"
const h = "INSERT INTO invoice (id) SELECT * FROM unnest($1::bigint[])"
const i = "SELECT * FROM unnest($1::bigint[]) UNION SELECT * FROM invoice" // BREACH
const g = 'SELECT id FROM invoice WHERE EXISTS (
	SELECT  * FROM line)' // BREACH
-- store/invoice_test.go --
package store
const j = "SELECT * FROM invoice"
-- sqldb/migration/0002.sql --
INSERT INTO b SELECT * FROM a; -- BREACH
INSERT INTO b SELECT id FROM a; -- not SELECT *
`, "'", "`")},
	{"modules", `
-- go.mod --
module m

go 1.26

require example.com/a v1.0.0
require (
	github.com/known/pgx/v5 v5.0.0
	github.com/unknown/pgy/v5 v5.0.0 // BREACH
	example.com/hidden v1.0.0 // indirect
)

replace example.com/a => ../a // BREACH
exclude (
	example.com/a v1.0.1 // BREACH
)
-- docs/design.md --
example.com/a because, known/pgx because
`},
	{"modules", `
-- go.mod --
module m
require (
MODULES(16)
	example.com/last v1.0.0 // BREACH
	example.com/more v1.0.0
)
`},
}

// honest is a tree that breaks no law.
const honest = `
-- doc.go --
// Package m is the root of a small gateway that has a listener, some rules and a command to run them.
package m
-- billing/money.go --
// Package billing has the nouns of the trade and the rules that can be decided from values alone.
package billing

// Money is an amount in minor units.
type Money struct{ minor int64 }
-- cmd/perennial/main.go --
// Perennial serves the gateway; it is the only place where the parts of it meet and where the clock is read.
package main

import (
	"os"
	"time"

	"m/billing"
)

func main() { go serve(time.Now(), os.Getenv("LISTEN"), billing.Money{}) }
-- sqldb/migration/0001.sql --
CREATE TABLE payment (amount BIGINT NOT NULL);
`

var repeated = regexp.MustCompile(`(?m)^(LINES|METHODS|MODULES)\((\d+)\)$`)

// plant makes a tree of a sample, and lists the places where it is marked.
func plant(t *testing.T, archive string) (tr *tree, marked []string) {
	t.Helper()
	archive = repeated.ReplaceAllStringFunc(archive, func(m string) string {
		parts := repeated.FindStringSubmatch(m)
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i := range n {
			switch parts[1] {
			case "LINES":
				b.WriteString("// ...\n")
			case "METHODS":
				fmt.Fprintf(&b, "func (t *Book) n%d() {}\n", i)
			case "MODULES":
				fmt.Fprintf(&b, "\texample.com/m%d v1.0.0\n", i)
			}
		}
		return strings.TrimSuffix(b.String(), "\n")
	})
	files := fstest.MapFS{"go.mod": {Data: []byte("module m\n")}}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		var clean strings.Builder
		eachLine(string(f.Data), func(number int, line string) {
			for _, mark := range []string{" // BREACH", " -- BREACH"} {
				if code, ok := strings.CutSuffix(line, mark); ok {
					line = code
					marked = append(marked, fmt.Sprintf("%s:%d", f.Name, number))
				}
			}
			clean.WriteString(line + "\n")
		})
		files[f.Name] = &fstest.MapFile{Data: []byte(clean.String())}
	}
	tr, err := readTree(files)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(marked)
	return tr, marked
}

// TestLawsBite holds each law against trees that break it: it must find the marked lines and no others.
func TestLawsBite(t *testing.T) {
	bitten := make(map[string]bool)
	for _, s := range samples {
		t.Run(s.law, func(t *testing.T) {
			i := slices.IndexFunc(laws, func(l law) bool { return l.name == s.law })
			if i < 0 {
				t.Fatalf("no law %q", s.law)
			}
			tr, want := plant(t, s.tree)
			if len(want) == 0 {
				t.Fatal("the sample has no breach")
			}
			var got []string
			for _, b := range laws[i].check(tr) {
				if b.reason == "" {
					t.Errorf("%s:%d: no reason given", b.file, b.line)
				}
				got = append(got, fmt.Sprintf("%s:%d", b.file, b.line))
			}
			slices.Sort(got)
			got = slices.Compact(got) // a line may break a law twice
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("breaches (-marked +found):\n%s", diff)
			}
			bitten[s.law] = true
		})
	}
	for _, l := range laws {
		if !bitten[l.name] {
			t.Errorf("no sample shows that the law %q can fail", l.name)
		}
	}
}

// TestLawsLetPass holds all laws against a tree that breaks none.
func TestLawsLetPass(t *testing.T) {
	tr, _ := plant(t, honest)
	if len(tr.files) != 3 || len(tr.scripts) != 1 {
		t.Fatalf("read %d files of Go and %d of SQL", len(tr.files), len(tr.scripts))
	}
	for _, l := range laws {
		for _, b := range l.check(tr) {
			t.Errorf("%s: %s", l.name, b)
		}
	}
}
