package unipay

import (
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// open puts this dialect before a shop, with its login.
func open(t testing.TB, shop *cashiertest.Shop) *dialecttest.Counter {
	t.Helper()
	c := dialecttest.Serve(t, shop, func(c *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
		return Prefix, New(Options{Cashier: shop.Cashier, Wake: func() { c.Wakes.Add(1) }, Log: log})
	})
	c.Admit()
	return c
}

// TestExchanges plays the archives, each on a shop of its own on either engine.
func TestExchanges(t *testing.T) {
	for _, file := range dialecttest.Archives(t, "testdata/exchanges") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				dialecttest.Exchanges(t, open(t, s), file)
			})
		})
	}
}

// TestEveryActionIsExchanged: for each of the three notations there is an
// archive in which every action occurs.
func TestEveryActionIsExchanged(t *testing.T) {
	for _, f := range []Format{JSON, XML, XURL} {
		file := filepath.Join("testdata", "exchanges", "actions-"+f.String()+".txtar")
		seen := map[string]bool{}
		for _, r := range dialecttest.Requests(t, file) {
			u, err := url.ParseRequestURI(strings.NewReplacer("{{", "", "}}", "").Replace(r[1]))
			if err != nil {
				t.Fatal(err)
			}
			if call, err := ParseCall(r[0], u); err == nil {
				seen[call.Pattern] = true
			}
		}
		for _, p := range Patterns() {
			if !seen[p] {
				t.Errorf("%s has no %s", file, p)
			}
		}
	}
}

// TestEveryPatternIsCarriedOut holds the table of actions against that of routes.
func TestEveryPatternIsCarriedOut(t *testing.T) {
	patterns := Patterns()
	for _, p := range patterns {
		if actions[p].carryOut == nil {
			t.Errorf("nothing carries out %s", p)
		}
	}
	for p := range actions {
		if !slices.Contains(patterns, p) {
			t.Errorf("no URL leads to %s", p)
		}
	}
}
