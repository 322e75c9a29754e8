package recurly

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// testKey is the API key of the requests that were seen (17).
const testKey = "test-api-key"

// open puts this dialect before a shop that is a site, with an API key, a private
// key and a login, at a bank that looks at numbers and not at amounts.
func open(t testing.TB, shop *cashiertest.Shop) *dialecttest.Counter {
	t.Helper()
	must(t, shop.Bank.SetTerms(context.Background(), shop.Merchant.Code, sandbox.Terms{Amounts: sandbox.None}))
	c := openBare(t, shop)
	stock(t, c)
	return c
}

// openBare does so at a bank that looks at amounts, and without plans.
func openBare(t testing.TB, shop *cashiertest.Shop) *dialecttest.Counter {
	t.Helper()
	c := dialecttest.Serve(t, shop, func(c *dialecttest.Counter, log *slog.Logger) (string, http.Handler) {
		return "/", New(Options{Cashier: shop.Cashier, Wake: func() { c.Wakes.Add(1) }, Log: log})
	})
	must(t, shop.Cashier.KeepSecret(context.Background(), shop.Merchant, PrivateKey, testPrivateKey))
	configure(c, `{}`)
	c.Admit()
	admitKey(t, c, testKey)
	return c
}

// stock makes what is made in the console: a plan with add-ons, and coupons.
func stock(t testing.TB, c *dialecttest.Counter) {
	t.Helper()
	ctx, m := context.Background(), c.Merchant
	gold := &billing.Plan{Code: "gold", Name: "Gold plan", Cycle: billing.Monthly, Amount: m.Money(1000), Tax: m.Money(0), Active: true,
		Offer: billing.Offer{AddOns: []billing.AddOn{{Code: "special", Name: "Special", Unit: 500}, {Code: "extra", Name: "Extra", Unit: 100}}}}
	must(t, c.Cashier.CreatePlan(ctx, c.Session(), c.Account.Code, gold))
	for _, k := range []*billing.Coupon{
		{Code: "vip50", Name: "50 percent", Percent: 50, Lasts: billing.LastsForever, Active: true},
		{Code: "coupon", Name: "Three off", Amount: m.Money(300), Lasts: billing.LastsOnce, Active: true},
		{Code: "old", Name: "Over", Percent: 10, Lasts: billing.LastsForever, RedeemBy: billing.Date{Year: 2019, Month: 1, Day: 1}, Active: true},
	} {
		if k.Percent > 0 {
			k.Amount = m.Money(0)
		}
		must(t, c.Cashier.DefineCoupon(ctx, c.Session(), k))
	}
}

// configure sets the switches of the site.
func configure(c *dialecttest.Counter, switches string) {
	c.Configure(func(s *billing.Settings) {
		s.ForgetAfterMonths = 12
		s.Dialects = map[string]json.RawMessage{Name: json.RawMessage(switches)}
	})
}

// admitKey gives the shop's merchant a login with an API key.
func admitKey(t testing.TB, c *dialecttest.Counter, key string) {
	t.Helper()
	hash, err := cashier.HashPassword(billing.NewSecret(key))
	must(t, err)
	l := &billing.Login{Name: "shop", Role: billing.RoleAPI, AllowRawData: true, PasswordHash: hash, CreatedAt: c.Wall.Now()}
	ctx := context.Background()
	must(t, c.Store.Update(ctx, c.Merchant.ID, func(tx *store.Tx) error {
		if err := tx.InsertLogin(ctx, l); err != nil {
			return err
		}
		return tx.Enter(ctx, cashier.KeyDirectory, cashier.KeyName(billing.NewSecret(key)), int64(l.ID))
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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

// TestEveryRouteIsExchanged: for each method of each address there is an exchange.
func TestEveryRouteIsExchanged(t *testing.T) {
	s, seen := &server{routes: tree()}, map[string]bool{}
	for _, file := range dialecttest.Archives(t, "testdata/exchanges") {
		for _, r := range dialecttest.Requests(t, file) {
			u, err := url.ParseRequestURI(strings.NewReplacer("{{", "", "}}", "").Replace(r[1]))
			must(t, err)
			if c, err := s.parse(r[0], u); err == nil {
				seen[r[0]+" "+c.pattern] = true
			}
		}
	}
	for _, rt := range tree() {
		for method := range rt.verbs {
			if !seen[method+" "+rt.pattern] && !strings.HasPrefix(rt.pattern, "transparent/") { // whose forms are signed with the time
				t.Errorf("no archive has %s %s", method, rt.pattern)
			}
		}
	}
}

// ask sends a request with the API key.
func ask(c *dialecttest.Counter, method, path, body string) dialecttest.Reply {
	c.T.Helper()
	header := http.Header{"Authorization": {"Basic dGVzdC1hcGkta2V5Og=="}, "Accept": {"application/xml"}}
	if body != "" {
		header.Set("Content-Type", "application/xml; charset=utf-8")
	}
	return c.Ask(method, path, header, body)
}
