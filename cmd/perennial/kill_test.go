package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// many is how many subscriptions are due when the server is killed.
const many = 1000

// A server is killed without warning in the middle of a run, with a bank that
// answers slowly, is started again, killed again and started again: no invoice
// twice, no capture twice, none missing, by the bank's own journal.
func TestKilledInTheMiddle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	t.Run("bank apart", func(t *testing.T) {
		t.Parallel()
		onEngines(t, func(t *testing.T, l place) { killInTheMiddle(t, l, true) })
	})
	// The bank dies with the server: what it had done is in its journal, what
	// was on its way is lost.
	t.Run("bank embedded", func(t *testing.T) {
		t.Parallel()
		killInTheMiddle(t, testPlace(t, sqldb.SQLite), false)
	})
}

func killInTheMiddle(t *testing.T, l place, apart bool) {
	const slow = 300 * time.Millisecond
	subs := seed(t, l, many)
	arguments := []string{"demo", "--listen", "127.0.0.1:0", "--json", "--processor-timeout", "2s"}
	if apart {
		bank := start(t, l, "bank", "serve", "--listen", "127.0.0.1:0", "--json", "--latency", slow.String())
		arguments = append(arguments, "--bank-url", bank.url)
	} else {
		arguments = append(arguments, "--bank-latency", slow.String())
	}
	for _, enough := range []int{many / 5, many / 2} {
		server := start(t, l, arguments...)
		waitForCaptures(t, l, enough)
		server.kill()
		if n, _ := captures(t, l); n >= many {
			t.Fatalf("the server was killed after %d captures, which is too late to prove anything", n)
		}
	}
	start(t, l, arguments...)
	waitForCaptures(t, l, many)
	waitUntilQuiet(t, l)
	prove(t, l, subs)
}

// A server that is told to stop in the middle of a run and of a request answers
// the request, sees through what is under way, and ends without complaint.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	const some, slow = 600, time.Second // some ten seconds of work
	l := testPlace(t, sqldb.SQLite)
	subs := seed(t, l, some)
	server := start(t, l, "demo", "--listen", "127.0.0.1:0", "--json", "--bank-latency", slow.String())
	waitUntilBusy(t, l, func(attempts int64) bool { return attempts >= 20 })
	var answer string
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		answer = charge(t, server.url, "customer0")
	}()
	waitUntilBusy(t, l, func(int64) bool {
		return strings.Contains(get(t, server.url+"/metrics"), "\nperennial_http_requests_in_flight 1\n")
	})
	if err := server.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-asked
	<-server.ended
	if server.err != nil {
		t.Errorf("the server ended with %v", server.err)
	}
	if !strings.Contains(answer, `"responseCode":"A01"`) {
		t.Errorf("the request in flight was answered with %s", answer)
	}
	n, _ := captures(t, l)
	if n >= some {
		t.Errorf("the server was stopped after %d captures, which is too late to prove anything", n)
	}
	c := openTestCore(t, l)
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	err = c.store.View(context.Background(), m.ID, func(v *store.View) error {
		work, err := v.Work(context.Background())
		if err == nil && (work.Busy || !work.Lease.IsZero()) {
			t.Error("an attempt was left behind")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, l, "demo", "--listen", "127.0.0.1:0", "--json")
	waitForCaptures(t, l, some+1)
	waitUntilQuiet(t, l)
	proveBooks(t, l)
	if n, minor := captures(t, l); n != len(subs)+1 || minor != int64(some+1)*1999 {
		t.Errorf("%d captures, %d in all", n, minor)
	}
}

// A second signal does not wait for a bank that takes its time.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	l := testPlace(t, sqldb.SQLite)
	seed(t, l, 1)
	server := start(t, l, "demo", "--listen", "127.0.0.1:0", "--json", "--bank-latency", "5m", "--processor-timeout", "10m")
	waitUntilBusy(t, l, func(attempts int64) bool { return attempts == 1 })
	waitFor(t, "ended", func() bool {
		select {
		case <-server.ended:
			return true
		default:
			_ = server.process.Process.Signal(syscall.SIGTERM) // it may just have ended
			return false
		}
	})
	var exit *exec.ExitError
	if !errors.As(server.err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("the server ended with %v, want a signal", server.err)
	}
}

// charge charges a customer's card over the UniPay wire, and returns the answer.
func charge(t *testing.T, url, customer string) string {
	r, err := http.NewRequest(http.MethodPost, url+"/api/v01/customers/*"+customer+"/transactions/~process", strings.NewReader(
		`{"type":"AP","accountType":"VC","amount":"1999","accountNumber":"4111111111111111","accountAccessory":"1230","holderName":"John Smith"}`))
	if err != nil {
		t.Error(err)
		return ""
	}
	r.SetBasicAuth(demoUser, demoPassword)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// waitUntilBusy waits until something holds of the number of attempts under way.
func waitUntilBusy(t *testing.T, l place, holds func(attempts int64) bool) {
	t.Helper()
	c := openTestCore(t, l)
	m, err := c.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "busy", func() bool {
		var waits store.Backlog
		err := c.store.View(context.Background(), m.ID, func(v *store.View) (err error) {
			waits, err = v.Backlog(context.Background(), m.Now(time.Now()))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return holds(waits.Unknown)
	})
}

// get is the body behind a URL.
func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// seed makes customers with a card and a subscription whose first date has come
// by the demo's clock, which stands.
func seed(t *testing.T, l place, n int) map[billing.CustomerID]billing.SubscriptionID {
	t.Helper()
	ctx := context.Background()
	g := testGateway(t, l, "2020-01-01")
	subs := make(map[billing.CustomerID]billing.SubscriptionID, n)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for w := range 20 {
		workers.Go(func() {
			for i := w; i < n && !t.Failed(); i += 20 {
				s := subscribe(t, g.core, fmt.Sprint("customer", i), "4111111111111111", "2020-02-01")
				mu.Lock()
				subs[s.CustomerID] = s.ID
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	m, err := g.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	at, err := parseMoment("2020-02-01T12:00", m.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.cashier.SetClock(ctx, m.ID, billing.ClockFrozen, at); err != nil {
		t.Fatal(err)
	}
	return subs
}

// start starts a server on a place, which ends with the test at the latest.
func start(t *testing.T, l place, args ...string) *server {
	t.Helper()
	args = append(args, "--data", l.Data)
	if l.DB != "" {
		args = append(args, "--db", l.DB, "--bank-db", l.BankDB)
	}
	s, err := startServer(t.TempDir(), os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", args[0], s.output())
		}
	})
	return s
}

// waitFor waits until something holds of what other processes do.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not %s", patience, what)
		}
	}
}

func waitForCaptures(t *testing.T, l place, n int) {
	t.Helper()
	bank, books, err := openBank(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	waitFor(t, fmt.Sprint(n, " captures"), func() bool {
		totals, err := bank.Totals(context.Background(), demoMerchant)
		if err != nil {
			t.Fatal(err)
		}
		for _, total := range totals {
			if total.Kind == sandbox.LineCapture && total.Count >= int64(n) {
				return true
			}
		}
		return false
	})
}

// waitUntilQuiet waits until no attempt is under way or unknown, and nothing due.
func waitUntilQuiet(t *testing.T, l place) {
	t.Helper()
	g := openTestCore(t, l)
	m, err := g.merchant(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all done", func() bool {
		var waits store.Backlog
		left, err := g.anythingLeft(context.Background(), m.ID)
		if err == nil {
			err = g.store.View(context.Background(), m.ID, func(v *store.View) (err error) {
				waits, err = v.Backlog(context.Background(), m.Now(time.Now()))
				return err
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		return !left && waits.Unknown == 0
	})
}

// openTestCore opens the parts on a place, for a test to look at the books.
func openTestCore(t *testing.T, l place) *core {
	t.Helper()
	c, err := testProcess(t).openCore(context.Background(), coreOptions{place: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// proveBooks audits the books beside the bank's journal.
func proveBooks(t *testing.T, l place) {
	t.Helper()
	var out bytes.Buffer
	p := testProcess(t)
	p.stdout = &out
	if err := (&auditCommand{place: l}).Run(context.Background(), p); err != nil {
		t.Errorf("the audit: %v\n%s", err, out.String())
	}
}

// prove holds the books and the bank's journal against what was due: for each
// customer one invoice, covered, and one capture of it.
func prove(t *testing.T, l place, subs map[billing.CustomerID]billing.SubscriptionID) {
	t.Helper()
	ctx := context.Background()
	c := openTestCore(t, l)
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	bank, books, err := openBank(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	lines, err := bank.Journal(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	captured := make(map[billing.CustomerID]int)
	err = c.store.View(ctx, m.ID, func(v *store.View) error {
		for i := range lines {
			if lines[i].Kind != sandbox.LineCapture {
				continue
			}
			a, err := v.AttemptByReference(ctx, lines[i].Reference)
			if err != nil {
				return fmt.Errorf("the bank captured for %s: %w", lines[i].Reference, err)
			}
			if lines[i].Amount.Minor() != 1999 || a.State != billing.AttemptApproved {
				t.Errorf("attempt %s of %s is %s, and the bank captured %s", a.Reference, a.Amount, a.State, lines[i].Amount)
			}
			captured[a.CustomerID]++
		}
		for owner := range subs {
			list, err := v.Activities(ctx, owner, store.ActivityFilter{Page: store.Page{Limit: 100}})
			if err != nil {
				return err
			}
			invoices, claims := 0, 0
			for _, a := range list {
				switch {
				case a.Kind == billing.Invoice && a.Open.IsZero():
					invoices++
				case a.Kind == billing.Claim && a.State == billing.Posted && a.Open.IsZero():
					claims++
				default:
					t.Errorf("customer %d: unexpected %s of %s in state %s with %s open", owner, a.Kind, a.Amount, a.State, a.Open)
				}
			}
			if invoices != 1 || claims != 1 || captured[owner] != 1 {
				t.Errorf("customer %d: %d invoices, %d claims, %d captures", owner, invoices, claims, captured[owner])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	proveBooks(t, l)
	if len(captured) != len(subs) {
		t.Errorf("the bank captured from %d customers of %d", len(captured), len(subs))
	}
}
