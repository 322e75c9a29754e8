package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// TestRestore is the drill of docs/operating.md: books are backed up, bill on,
// are lost and put back. They charge nothing before they have been adopted, and
// then nothing twice and nothing is forgotten.
func TestRestore(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		drill(t, testPlace(t, sqldb.SQLite), func(t *testing.T, l place) func() place {
			t.Helper()
			path := filePath(l.books())
			books := readFile(t, path) // nothing else writes meanwhile, and the log is longer than before at most
			log := readFile(t, path+"-wal")
			return func() place {
				if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				for name, text := range map[string][]byte{path: books, path + "-wal": log} {
					if err := os.WriteFile(name, text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				return l
			}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		drill(t, testPlace(t, sqldb.PostgreSQL), dumpPostgres)
	})
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// dumpPostgres dumps the books, and returns how to restore them into a database
// of their own.
func dumpPostgres(t *testing.T, l place) func() place {
	t.Helper()
	u, err := url.Parse(l.DB)
	if err != nil {
		t.Fatal("the address cannot be read")
	}
	schema := u.Query().Get("search_path")
	dump := filepath.Join(t.TempDir(), "books.dump")
	pgTool(t, u, "pg_dump", "--format=custom", "--schema="+schema, "--file="+dump)
	return func() place {
		name := fmt.Sprintf("restored_%s", schema)
		pgTool(t, u, "psql", "--quiet", "--command=CREATE DATABASE "+name)
		t.Cleanup(func() { pgTool(t, u, "psql", "--quiet", "--command=DROP DATABASE "+name+" WITH (FORCE)") })
		restored := *u
		restored.Path = "/" + name
		pgTool(t, &restored, "pg_restore", "--dbname="+name, dump)
		l.DB = restored.String()
		return l
	}
}

// pgTool runs one of PostgreSQL's programs on a database.
func pgTool(t *testing.T, u *url.URL, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			t.Skipf("there is no %s, without which books on PostgreSQL are neither dumped nor restored", name)
		}
		path = found[len(found)-1]
	}
	cmd := exec.Command(path, args...)
	password, _ := u.User.Password()
	cmd.Env = []string{"PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(), "PGUSER=" + u.User.Username(), "PGPASSWORD=" + password,
		"PGDATABASE=" + strings.TrimPrefix(u.Path, "/")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// drill does the drill. backUp copies the books, and returns how they are put
// back.
func drill(t *testing.T, l place, backUp func(*testing.T, place) func() place) {
	ctx := context.Background()
	p := testProcess(t)
	c, err := p.openCore(ctx, coreOptions{place: l, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&gateway{core: c}).plant(ctx, p, "2019-12-31"); err != nil {
		t.Fatal(err)
	}
	const many = 5
	for i := range many {
		subscribe(t, c, fmt.Sprintf("c%d", i), "4111111111111111", "2020-01-01")
	}
	day(t, c, "2020-01-01")
	restore := backUp(t, l)

	// What the backup does not know: a month, a sale, a customer, a refund.
	if err := c.node.Beat(ctx); err != nil {
		t.Fatal(err)
	}
	day(t, c, "2020-02-01")
	sell(t, c, "c0")
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	lost := &billing.Customer{Code: "lost", FirstName: "New", LastName: "Customer", Active: true}
	if err := c.cashier.Enroll(ctx, c.cashier.System(m), demoAccount, lost); err != nil {
		t.Fatal(err)
	}
	sell(t, c, "lost")
	refundJanuary(t, c, "c1")
	before := bankLines(t, c)
	if n := len(before); n != 2*many+3 {
		t.Fatalf("the bank has %d lines", n)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	restored(t, restore(), before, many)
}

// sell charges 7.00 to a card that comes with the request.
func sell(t *testing.T, c *core, customer string) {
	t.Helper()
	if err := trySelling(c, customer); err != nil {
		t.Fatal(err)
	}
}

func trySelling(c *core, customer string) error {
	ctx := context.Background()
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		return err
	}
	_, err = c.cashier.Charge(ctx, c.cashier.System(m), cashier.Ref{Code: customer}, cashier.ChargeRequest{Amount: 700,
		Instrument: billing.VisaCredit, Number: billing.NewSecret("4111111111111111"), Expiry: "0430"})
	return err
}

// restored goes on with the drill on the books that were put back.
func restored(t *testing.T, l place, before []sandbox.Line, many int) {
	t.Helper()
	ctx := context.Background()
	c := openTestCore(t, l)
	err := c.node.Ready(ctx)
	if billing.KindOf(err) != billing.Unavailable || !strings.Contains(err.Error(), "older") {
		t.Fatalf("the restored books may be worked on: %v", err)
	}
	if err := trySelling(c, "c2"); billing.KindOf(err) != billing.Unavailable {
		t.Errorf("a sale on restored books: %v", err)
	}
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	setDay(t, c, "2020-02-01")
	if _, err := c.runner.Merchant(ctx, m.ID); billing.KindOf(err) != billing.Unavailable {
		t.Errorf("a billing run on restored books: %v", err)
	}
	if got := bankLines(t, c); len(got) != len(before) {
		t.Fatalf("the bank had %d lines and has %d", len(before), len(got))
	}
	if !isFile(l.books()) { // and a copy that is started elsewhere
		elsewhere := l
		elsewhere.NodeFile = filepath.Join(t.TempDir(), nodeFile)
		if err := openTestCore(t, elsewhere).node.Ready(ctx); err == nil || !strings.Contains(err.Error(), "copy") {
			t.Errorf("a copy that is started elsewhere: %v", err)
		}
	}

	var out bytes.Buffer
	p := testProcess(t)
	p.stdout = &out
	if err := (&restoreCheckCommand{place: l}).Run(ctx, p); !errors.Is(err, errSilent) {
		t.Errorf("check: %v", err)
	}
	if n := strings.Count(out.String(), " under reference "); n != many+3 {
		t.Errorf("check lists %d acts, want %d:\n%s", n, many+3, out.String())
	}
	out.Reset()
	if err := (&restoreAdoptCommand{place: l, Reason: "the drill"}).Run(ctx, p); err != nil {
		t.Fatalf("adopt: %v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "put to "+cashier.LostAndFound); n != 1 {
		t.Errorf("adopt:\n%s", out.String())
	}
	proveBooks(t, l)
	if err := c.node.Beat(ctx); err != nil { // the server that was waiting
		t.Fatal(err)
	}
	if err := c.node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	// February again: all of it was paid, but that the refund opened a debt of c1
	// anew, which its February payment now covers, so that February is claimed.
	day(t, c, "2020-02-01")
	if got := bankLines(t, c); len(got) != len(before)+1 {
		t.Errorf("February was billed again: the bank had %d lines and has %d", len(before), len(got))
	}
	day(t, c, "2020-03-01")
	var taken int64
	for _, line := range bankLines(t, c) {
		switch line.Kind {
		case sandbox.LineCapture:
			taken += line.Amount.Minor()
		case sandbox.LineRefund, sandbox.LineVoid:
			taken -= line.Amount.Minor()
		default:
			t.Errorf("the bank has a %s", line.Kind)
		}
	}
	// Three months of each; the sale to c0 is a part of its March, and that to the
	// customer who was lost is money on account.
	if want := int64(3*many*1999 + 700); taken != want {
		t.Errorf("the bank took %d in all, want %d", taken, want)
	}
	proveBooks(t, l)
}

// setDay sets the demo merchant's clock to nine in the morning of a day.
func setDay(t *testing.T, c *core, date string) {
	t.Helper()
	ctx := context.Background()
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	d, err := billing.ParseDate(date)
	if err != nil {
		t.Fatal(err)
	}
	at := m.Start(d).Add(9 * time.Hour)
	if now := m.Now(c.now()); at.Before(now) {
		at = now
	}
	if _, err := c.cashier.SetClock(ctx, m.ID, billing.ClockFrozen, at); err != nil {
		t.Fatal(err)
	}
}

// day sets the clock and does all that is due.
func day(t *testing.T, c *core, date string) {
	t.Helper()
	setDay(t, c, date)
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.runner.Merchant(context.Background(), m.ID); err != nil {
		t.Fatal(err)
	}
}

// bankLines is the demo merchant's journal at the bank.
func bankLines(t *testing.T, c *core) []sandbox.Line {
	t.Helper()
	lines, err := c.bank.Journal(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// refundJanuary takes the first payment of a customer back.
func refundJanuary(t *testing.T, c *core, code string) {
	t.Helper()
	ctx := context.Background()
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	s := c.cashier.System(m)
	var owner *billing.Customer
	var list []*billing.Activity
	err = s.Books.View(ctx, func(v *store.View) error {
		if owner, err = s.Customer(ctx, v, cashier.Ref{Code: code}); err != nil {
			return err
		}
		list, err = v.Activities(ctx, owner.ID, store.ActivityFilter{Kind: billing.Claim, Page: store.Page{Limit: 10}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(a *billing.Activity) bool { return a.AdjustedBy == 0 })
	if _, err := c.cashier.Reverse(ctx, s, cashier.Ref{Code: code}, cashier.Ref{ID: int64(list[i].ID)}, "a test"); err != nil {
		t.Fatal(err)
	}
}
