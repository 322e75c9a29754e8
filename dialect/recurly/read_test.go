package recurly

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadCredentials(t *testing.T) {
	for _, c := range []struct {
		header, key, name, password string
		bare, ok                    bool
	}{
		{header: "Basic dGVzdC1hcGkta2V5Og==", key: "test-api-key", ok: true},
		{header: "Basic dGVzdC1hcGkta2V5", key: "test-api-key", ok: true}, // net: without the colon
		{header: "basic dGVzdC1hcGkta2V5Og", key: "test-api-key", ok: true},
		{header: "dGVzdC1hcGkta2V5Og==", key: "test-api-key", bare: true, ok: true}, // java: without the word
		{header: "dGVzdC1hcGkta2V5Og=="},
		{header: "Basic dXNlckBleGFtcGxlLmNvbTpwYXNzOndvcmQ=", name: "user@example.com", password: "pass:word", ok: true},
		{header: "Bearer dGVzdC1hcGkta2V5Og==", bare: true},
		{header: "Basic ???", bare: true}, {header: "Basic", bare: true}, {header: "", bare: true}, {header: "Basic Og==", bare: true},
	} {
		got, ok := readCredentials(c.header, c.bare)
		if ok != c.ok || got.key.Reveal() != c.key || got.name != c.name || got.password.Reveal() != c.password {
			t.Errorf("%q: %q %q %q %v", c.header, got.key.Reveal(), got.name, got.password.Reveal(), ok)
		}
	}
}

func TestAdmitsXML(t *testing.T) {
	for accept, want := range map[string]bool{
		"application/xml": true, "*/*": true, "text/html, image/gif, *; q=.2, */*; q=.2": true, "application/json, text/xml;q=0.5": true,
		"application/*": true, "text/html": false, "application/json": false, "application/xml;q=0": false, "application/xml; q=0.0, text/html": false,
	} {
		if got := admitsXML([]string{accept}); got != want {
			t.Errorf("%s: %v", accept, got)
		}
	}
	if !admitsXML(nil) {
		t.Error("no Accept is refused")
	}
}

func TestParse(t *testing.T) {
	s := &server{routes: tree()}
	for _, c := range []struct{ method, path, pattern, codes string }{
		{"PUT", "/accounts/abc+1/billing_info", "accounts/:account/billing_info", "abc+1|abc 1"},
		{"PUT", "/accounts/abc%201/billing_info.xml", "accounts/:account/billing_info", "abc 1"},
		{"GET", "/accounts/a%2B1.xml", "accounts/:account", "a+1"},
		{"GET", "/accounts/1795309171.1271-billing", "accounts/:account", "1795309171.1271-billing"},
		{"GET", "/accounts/a.xml.xml", "accounts/:account", "a.xml"},
		{"GET", "/recurly/accounts/verena@test.com/", "accounts/:account", "verena@test.com"},
		{"POST", "/accounts/", "accounts", ""}, {"GET", "/accounts.xml", "accounts", ""},
		{"POST", "/transactions/", "transactions", ""}, {"GET", "/company/plans", "company/plans", ""}, {"GET", "/site/plans/gold.xml", "site/plans/:plan", "gold"},
		{"POST", "/accounts/C/subscription/reactivate", "accounts/:account/subscription/reactivate", "C"},
		{"POST", "/transparent/demo/billing_info", "transparent/:site/billing_info", ""},
		{"GET", "/transparent/results/0123", "transparent/results/:id", ""},
		{"GET", "/accounts/%2e%2e/billing_info", "accounts/:account/billing_info", ".."},
	} {
		u, err := url.ParseRequestURI(c.path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.parse(c.method, u)
		codes := strings.Join(slices.Concat(got.account, got.plan), "|")
		if err != nil || got.pattern != c.pattern || codes != c.codes {
			t.Errorf("%s %s: %q %q %v", c.method, c.path, got.pattern, codes, err)
		}
	}
	for path, want := range map[string]int{
		"/v2/accounts": 404, "/accounts/a/b": 404, "/accounts//billing_info": 404, "/adjustments": 404, "/coupons": 404,
		"/accounts/" + strings.Repeat("a", maxPath): 404,
	} {
		u := &url.URL{Path: path, RawPath: path}
		if _, err := s.parse("GET", u); err == nil || failureOf(err).status != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	u, _ := url.Parse("/accounts/a/billing_info")
	_, err := s.parse("POST", u)
	if f := failureOf(err); f.status != 405 || f.allow != "DELETE, GET, PUT" || len(f.mistakes) == 0 {
		t.Errorf("POST of billing information: %+v", f)
	}
}

func TestReadCents(t *testing.T) {
	for _, c := range []struct {
		inside string
		want   int64
		given  bool
		ok     bool
	}{
		{"<amount_in_cents>999</amount_in_cents>", 999, true, true},
		{"<amount_in_cents>999</amount_in_cents><amount>1</amount>", 999, true, true},
		{"<amount>9.99</amount>", 999, true, true}, {"<amount>10.0</amount>", 1000, true, true}, {"<amount>10</amount>", 1000, true, true},
		{"<amount>-5.25</amount>", -525, true, true}, {"<amount_in_cents>-5</amount_in_cents>", -5, true, true},
		{"<amount_in_cents>1000.0</amount_in_cents>", 1000, true, true},
		{"<amount_in_cents></amount_in_cents><amount>1.5</amount>", 150, true, true},
		{"", 0, false, true}, {"<amount></amount>", 0, false, true},
		{"<amount>9.999</amount>", 0, true, false}, {"<amount>1e3</amount>", 0, true, false}, {"<amount>1,5</amount>", 0, true, false},
		{"<amount_in_cents>ten</amount_in_cents>", 0, true, false}, {"<amount_in_cents>10.5</amount_in_cents>", 0, true, false},
		{"<amount_in_cents>99999999999999999999</amount_in_cents>", 0, true, false}, {"<amount>999999999999</amount>", 0, true, false},
	} {
		e, err := readXML([]byte("<charge>" + c.inside + "</charge>"))
		if err != nil {
			t.Fatal(err)
		}
		got, given, ok := readCents(e, "amount", "USD")
		if ok != c.ok || given != c.given || ok && got != c.want {
			t.Errorf("%s: %d %v %v", c.inside, got, given, ok)
		}
	}
}

func TestReadMoment(t *testing.T) {
	noon := time.Date(2011, 9, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2011-09-01T12:00:00": noon, "2011-09-01T12:00:00Z": noon, "2011-09-01T14:00:00+02:00": noon, "2011-09-01": noon.Add(-12 * time.Hour),
		"2011-09-01 12:00:00": noon,
	} {
		if got, ok := readMoment(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "tomorrow", "2011-13-01", "0000-01-01", "9999-01-01"} {
		if got, ok := readMoment(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestForm(t *testing.T) {
	f := newForm()
	if !f.addQuery("account%5Baccount_code%5D=howdy&billing_info[credit_card][number]=4111+1111&subscription[add_ons][1][add_on_code]=b" +
		"&subscription[add_ons][0][add_on_code]=a&subscription[add_ons][0][quantity]=2&plain=x&empty=&account[account_code]=later") {
		t.Fatal("the form is refused")
	}
	sub := f.root.child("subscription")
	*sub.child("add_ons") = *items(sub.child("add_ons"), "add_on")
	want := "(account(account_code=later) billing_info(credit_card(number=4111 1111)) subscription(add_ons(add_on(add_on_code=a quantity=2) add_on(add_on_code=b))) plain=x empty=)"
	if got := f.root.show(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, bad := range []string{"a[b=1", "a[b]c=1", "%zz=1", "a=%00", "a=%ff", "=1", "[a]=1", "a[b][c][d][e][f][g]=1", strings.Repeat("a=1&", maxPairs+1), "a=" + strings.Repeat("x", maxForm)} {
		if newForm().addQuery(bad) {
			t.Errorf("%.40q is taken", bad)
		}
	}
	for _, text := range []string{"2011-09-01T12:00:00Z", "01/Sep/2011 12:00:00 UTC", "1/Sep/2011 12:00:00 UTC"} {
		if at, ok := readTime(text); !ok || !at.Equal(time.Date(2011, 9, 1, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v %v", text, at, ok)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add("account%5Baccount_code%5D=howdy&time=2011-09-01T12%3A00%3A00Z", "billing_info[credit_card][number]=1&subscription[add_ons][0][add_on_code]=a")
	f.Add("a[]=1&a[]=2", "subscription=x&subscription[unit_amount_in_cents]=1")
	f.Fuzz(func(t *testing.T, protected, free string) {
		p := &transparentPost{exchange: &exchange{}, kind: "subscription", root: newForm().root}
		one := newForm()
		if !one.addQuery(free) {
			return
		}
		one.root = freePairs(one.root, false)
		if s := one.root.child("subscription"); s != nil && (s.child("unit_amount_in_cents") != nil || s.child("trial_ends_at") != nil) || one.root.child("transaction") != nil {
			t.Error("an amount that nothing protects counts")
		}
		if one.addQuery(protected) {
			p.root = one.root
			readBillingInfo(p.object().child("account").child("billing_info"))
		}
	})
}
