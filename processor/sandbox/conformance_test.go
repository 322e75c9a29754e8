package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/processortest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestDriver runs the suite of all drivers on both engines, with the bank in
// the same process and behind a real line.
func TestDriver(t *testing.T) {
	lines := []struct {
		name string
		line func(*testing.T, *sandbox.Bank) (string, http.RoundTripper)
	}{
		{"embedded", func(_ *testing.T, b *sandbox.Bank) (string, http.RoundTripper) {
			return sandbox.EmbeddedURL, sandbox.Embedded(b)
		}},
		{"http", overHTTP},
	}
	for _, e := range sqldbtest.Engines {
		for _, l := range lines {
			t.Run(e.String()+"/"+l.name, func(t *testing.T) {
				t.Parallel()
				processortest.Run(t, func(t *testing.T) processortest.Harness {
					return harness(t, sqldbtest.Address(t, e), l.line)
				})
			})
		}
	}
}

// open opens a test's database.
func open(t testing.TB, address string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), address, sqldb.Options{Volatile: true, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// overHTTP serves a bank on the loopback.
func overHTTP(t *testing.T, b *sandbox.Bank) (string, http.RoundTripper) {
	server := httptest.NewServer(b.Handler())
	line := &http.Transport{}
	t.Cleanup(func() {
		line.CloseIdleConnections()
		server.Close()
	})
	return server.URL, line
}

// troubles are the suite's troubles in the bank's words.
var troubles = map[processortest.Trouble]sandbox.Trouble{
	processortest.TimeoutBefore: sandbox.TimeoutBefore,
	processortest.TimeoutAfter:  sandbox.TimeoutAfter,
	processortest.CutBefore:     sandbox.CutBefore,
	processortest.CutAfter:      sandbox.CutAfter,
	processortest.CutMidway:     sandbox.CutMidway,
	processortest.ErrorAfter:    sandbox.ErrorAfter,
	processortest.Malformed:     sandbox.MalformedAfter,
	processortest.Busy:          sandbox.InProgress,
}

func harness(t *testing.T, address string, line func(*testing.T, *sandbox.Bank) (string, http.RoundTripper)) processortest.Harness {
	db := open(t, address)
	silent := make(chan struct{}, 1)
	bank, err := sandbox.New(t.Context(), db, sandbox.Options{Silent: func(string, string) { silent <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	driver := newDriver(t, bank, line)
	gone := httptest.NewServer(nil)
	gone.Close()
	unreachable, err := sandbox.NewDriver(gone.URL, &http.Transport{})
	if err != nil {
		t.Fatal(err)
	}
	card := func(number string) processortest.Number {
		return processortest.Number{Instrument: billing.VisaCredit, Number: number, Expiry: "1229"}
	}
	account := func(number string) processortest.Number {
		return processortest.Number{Instrument: billing.Checking, Number: number, Routing: "021000021"}
	}
	return processortest.Harness{
		Driver: driver, Merchant: "demo", Other: "other", At: noon,
		Card: card("4111111111111111"), Second: processortest.Number{Instrument: billing.MastercardCredit, Number: "5499740000000057", Expiry: "0125"},
		Decline: []processortest.Decline{
			{Number: card("4111111111111111"), Minor: 8000, Response: "51"},
			{Number: card("4111111111111111"), Minor: 11999, Response: "54"},
			{Number: card("4000000000009987"), Minor: 1999, Response: "41"},
			{Number: card("4111111111111112"), Minor: 1999, Response: "14"},
			{Number: account("123"), Minor: 1999, Response: "R04"},
		},
		Account: account("4099999992"), Returned: account("9000000101"), Return: "R01", Settles: 3 * 24 * time.Hour,
		Chargeback: card("4000000000000259"), LateReturn: account("9000000210"), Change: account("9000000303"), Late: 3 * 24 * time.Hour,
		Silent: silent,
		Disturb: func(t *testing.T, trouble processortest.Trouble) {
			f := sandbox.Fault{Do: troubles[trouble], Count: 1, On: []string{"charge", "authorize", "void", "refund", "credit"}}
			if trouble == processortest.Busy {
				f.On = []string{sandbox.OnLookup}
			}
			if err := bank.SetFaults(t.Context(), "demo", f); err != nil {
				t.Fatal(err)
			}
		},
		Books:       func(t *testing.T, merchant string) []processortest.Movement { return books(t, bank, merchant) },
		Kept:        func(t *testing.T) []byte { return kept(t, db, address) },
		Unreachable: unreachable,
	}
}

func newDriver(t *testing.T, bank *sandbox.Bank, line func(*testing.T, *sandbox.Bank) (string, http.RoundTripper)) *sandbox.Driver {
	t.Helper()
	driver, err := sandbox.NewDriver(line(t, bank))
	if err != nil {
		t.Fatal(err)
	}
	return driver
}

// books are the approved acts of a merchant's journal.
func books(t *testing.T, bank *sandbox.Bank, merchant string) []processortest.Movement {
	t.Helper()
	lines, err := bank.Journal(t.Context(), merchant)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[sandbox.LineKind]billing.AttemptKind{
		sandbox.LineCapture: billing.AskCharge, sandbox.LineSettlement: billing.AskCharge, sandbox.LineVoid: billing.AskVoid,
		sandbox.LineRefund: billing.AskRefund, sandbox.LineCredit: billing.AskCredit, sandbox.LineAuthorisation: billing.AskAuthorize,
	}
	var moved []processortest.Movement
	for _, l := range lines {
		if kind, ok := kinds[l.Kind]; ok && l.Good() {
			moved = append(moved, processortest.Movement{Kind: kind, Reference: l.Reference, Amount: l.Amount})
		}
	}
	return moved
}

// kept is all that the database holds: the files of SQLite as they are, the
// rows of PostgreSQL as text.
func kept(t *testing.T, db *sqldb.DB, address string) []byte {
	t.Helper()
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			text, err := os.ReadFile(file + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		return all
	}
	var rows []string
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{"journal", "notice", "treatment", "fault_use", "numbering"} {
			found, err := sqldb.Query(t.Context(), tx, sqldb.Scalar[string], "SELECT row_to_json("+table+")::text FROM "+table)
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Join(rows, "\n"))
}
