package setup_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/setup"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestParse holds each way of being wrong against its message.
func TestParse(t *testing.T) {
	const head = "merchants:\n- code: demo\n"
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "the file names no merchants; it begins with the key merchants"},
		{"comments", "# nothing\n---\n# nothing\n", "the file names no merchants; it begins with the key merchants"},
		{"a list", "- code: demo", "line 1: must be keys with values"},
		{"syntax", "merchants:\n\t- code", "yaml: line 2: found character that cannot start any token"},
		{"unknown key", head + "  naem: Demo\n", "line 3: merchants[0]: unknown key naem; the keys here are code, name, mode, zone, currency, clock, settings, velocity, accounts, logins, secrets, plans, coupons, customers, endpoints"},
		{"endpoints", head + "  endpoints: [{code: a, url: \"https://u:s3cret@example.com\"}, {code: a, hmac_key: x, hmac_key_env: Y}, {code: b, url: gopher://x}]\n",
			"line 3: merchants[0].endpoints[0].url: must not hold a name and password; give them as login and password\n" +
				"line 3: merchants[0].endpoints[1].code: comes twice; it is in line 3 as merchants[0].endpoints[0].code\n" +
				"line 3: merchants[0].endpoints[1].hmac_key_env: and hmac_key exclude each other\n" +
				"line 3: merchants[0].endpoints[2].url: must begin with https:// or http://"},
		{"key that may be a secret", head + "  S3cret!: x\n", "line 3: merchants[0]: unknown key; the keys here are code, name, mode, zone, currency, clock, settings, velocity, accounts, logins, secrets, plans, coupons, customers, endpoints"},
		{"key twice", head + "  name: A\n  name: B\n", "line 4: merchants[0]: the key name comes twice"},
		{"merge", head + "  <<: {name: A}\n", "line 3: merchants[0]: unknown key; the keys here are code, name, mode, zone, currency, clock, settings, velocity, accounts, logins, secrets, plans, coupons, customers, endpoints"},
		{"alias", "merchants:\n- &m {code: demo}\n- *m\n", "line 3: merchants[1]: aliases (*name) are not read; write the value out"},
		{"tag", head + "  name: !secret x\n", "line 3: merchants[0].name: tags (!name) are not read; write the value without one"},
		{"binary", head + "  name: !!binary aGVsbG8=\n", "line 3: merchants[0].name: tags (!name) are not read; write the value without one"},
		{"no code", "merchants:\n- name: A\n", "line 2: merchants[0].code: is required"},
		{"empty element", "merchants:\n-\n", "line 2: merchants[0]: must not be empty"},
		{"code", "merchants:\n- code: a/b\n", "line 2: merchants[0].code: must be up to 40 letters, digits and . _ -, beginning with a letter or digit"},
		{"twice", head + "- code: demo\n", "line 3: merchants[1].code: comes twice; it is in line 2 as merchants[0].code"},
		{"twice in two documents", head + "---\n" + head, "line 5: document 2.merchants[0].code: comes twice; it is in line 2 as merchants[0].code"},
		{"mode", head + "  mode: prod\n", "line 3: merchants[0].mode: must be one of test, live"},
		{"zone", head + "  zone: Mars/Base\n", "line 3: merchants[0].zone: must be a time zone of the IANA database, such as America/New_York"},
		{"local zone", head + "  zone: Local\n", "line 3: merchants[0].zone: must be a time zone of the IANA database, such as America/New_York"},
		{"currency", head + "  currency: usd\n", "line 3: merchants[0].currency: must be a currency code of ISO 4217, such as USD"},
		{"live clock", head + "  mode: live\n  clock: {start: 2020-01-01, mode: frozen}\n", "line 4: merchants[0].clock: a live merchant has the clock of the world; only a test merchant's is set"},
		{"clock", head + "  clock: {start: noon, mode: frozen}\n", "line 3: merchants[0].clock.start: must be a time such as 2020-01-01T09:00:00, by the merchant's zone"},
		{"half a clock", head + "  clock: {mode: frozen}\n", "line 3: merchants[0].clock.start: is required"},
		{"setting", head + "  settings:\n    retries: 3\n", "line 4: merchants[0].settings: unknown key retries; the keys here are balancing, code_scope, retry_days, close_sales_days, billing_day, allow_past_billing, write_off_after_days, first_bill_number, fees, forget_after_months, dialects"},
		{"setting type", head + "  settings:\n    retry_days: [3, seven]\n", "line 4: merchants[0].settings.retry_days[1]: must be a whole number such as 1999"},
		{"rule", head + "  velocity:\n    rules:\n    - {name: a, count: 3, window: 1d}\n    - name: b\n      count: 3\n      window: a week\n",
			"line 8: merchants[0].velocity.rules[1].window: must be a length of time such as 90m, 24h or 7d, at most 366d"},
		{"rule key", head + "  velocity:\n    rules: [{name: a, limit: 3}]\n", "line 4: merchants[0].velocity.rules[0]: unknown key limit; the keys here are name, count, amount, currency, window, account, type, attempts, renewals, first_days, first_purchases, disabled"},
		{"velocity among the settings", head + "  settings: {velocity: {}}\n", "line 3: merchants[0].settings: unknown key velocity; the keys here are balancing, code_scope, retry_days, close_sales_days, billing_day, allow_past_billing, write_off_after_days, first_bill_number, fees, forget_after_months, dialects"},
		{"account", head + "  accounts: [{name: A}]\n", "line 3: merchants[0].accounts[0].code: is required"},
		{"account twice", head + "  accounts:\n  - code: 1\n  - code: '1'\n", "line 5: merchants[0].accounts[1].code: comes twice; it is in line 4 as merchants[0].accounts[0].code"},
		{"role", head + "  logins: [{name: a, role: root}]\n", "line 3: merchants[0].logins[0].role: must be one of api, admin, clerk"},
		{"two passwords", head + "  logins: [{name: a, password: b, password_env: C}]\n", "line 3: merchants[0].logins[0]: only one of password, password_env, password_hash, api_key and api_key_env can be given"},
		{"hash", head + "  logins: [{name: a, password_hash: plain}]\n", "line 3: merchants[0].logins[0].password_hash: must be argon2id in PHC form, $argon2id$v=19$m=...,t=...,p=...$salt$hash, with m up to 262144, t up to 10 and p up to 16"},
		{"costly hash", head + "  logins: [{name: a, password_hash: \"$argon2id$v=19$m=1048576,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g\"}]\n", "line 3: merchants[0].logins[0].password_hash: must be argon2id in PHC form, $argon2id$v=19$m=...,t=...,p=...$salt$hash, with m up to 262144, t up to 10 and p up to 16"},
		{"address", head + "  logins: [{name: a, allowed_ips: [10.0.0.0/8, 10.0.0.300]}]\n", "line 3: merchants[0].logins[0].allowed_ips: element 1 must be an address such as 192.0.2.1, a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20"},
		{"yes", head + "  logins: [{name: a, disabled: yes}]\n", "line 3: merchants[0].logins[0].disabled: must be true or false"},
		{"decimal amount", head + "  plans: [{account: a, code: p, amount: 19.99}]\n", "line 3: merchants[0].plans[0].amount: must be a whole number such as 1999"},
		{"octal amount", head + "  plans: [{account: a, code: p, amount: 010}]\n", "line 3: merchants[0].plans[0].amount: must be a whole number such as 1999"},
		{"amount in quotes", head + "  plans: [{account: a, code: p, amount: '10'}]\n", "line 3: merchants[0].plans[0].amount: must be a whole number such as 1999"},
		{"huge amount", head + "  plans: [{account: a, code: p, amount: 10000000000}]\n", "line 3: merchants[0].plans[0].amount: must be from 0 to 9999999999"},
		{"cycle", head + "  plans: [{account: a, code: p, cycle: daily}]\n", "line 3: merchants[0].plans[0].cycle: must be one of weekly, monthly, quarterly, half-yearly, yearly"},
		{"customer twice", head + "  customers: [{account: a, code: c}, {account: b, code: c}, {account: a, code: c}]\n", "line 3: merchants[0].customers[2].code: comes twice; it is in line 3 as merchants[0].customers[0].code"},
		{"country", head + "  customers: [{account: a, code: c, address: {country: Germany}}]\n", "line 3: merchants[0].customers[0].address.country: must be a country code of two or three capital letters (ISO 3166-1)"},
		{"card", head + "  customers: [{account: a, code: c, payment_methods: [{code: m, type: visa-credit, number: 4111111111111112, expiry: 1330}]}]\n",
			"line 3: merchants[0].customers[0].payment_methods[0].number: must be a card number: 13 to 19 digits, the last of them a right check digit\n" +
				"line 3: merchants[0].customers[0].payment_methods[0].expiry: must be month and year as MMYY, such as 0430"},
		{"cash", head + "  customers: [{account: a, code: c, payment_methods: [{code: m, type: cash}]}]\n", "line 3: merchants[0].customers[0].payment_methods[0].type: must be one of visa-credit, visa-debit, mastercard-credit, mastercard-debit, discover-credit, discover-debit, amex-credit, checking, savings"},
		{"date", head + "  customers: [{account: a, code: c, subscriptions: [{code: s, first_date: 2021-02-29}]}]\n", "line 3: merchants[0].customers[0].subscriptions[0].first_date: must be a date such as 2020-01-31"},
		{"length of a perpetual term", head + "  customers: [{account: a, code: c, subscriptions: [{code: s, term: perpetual, length: 3}]}]\n", "line 3: merchants[0].customers[0].subscriptions[0].length: is for a fixed term"},
		{"billed without a date", head + "  customers: [{account: a, code: c, subscriptions: [{code: s, billed: 3}]}]\n", "line 3: merchants[0].customers[0].subscriptions[0].first_date: is required where billings were made already"},
		{"control character", head + "  name: \"a\\nb\"\n", "line 3: merchants[0].name: must be a text of at most 500 characters in one line"},
		{"long text", head + "  name: " + strings.Repeat("é", 501) + "\n", "line 3: merchants[0].name: must be a text of at most 500 characters in one line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := setup.Parse(strings.NewReader(c.file))
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

// TestParseBounds refuses what is too much, without reading it all.
func TestParseBounds(t *testing.T) {
	endless := &repeated{text: "# more\n"}
	if _, err := setup.Parse(endless); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("an endless file: %v", err)
	}
	if endless.read > setup.MaxSize+1<<20 {
		t.Errorf("%d bytes of it were read", endless.read)
	}
	deep := "merchants:\n- code: demo\n  settings: {dialects: {unipay: " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "}}\n"
	if _, err := setup.Parse(strings.NewReader(deep)); err == nil || !strings.Contains(err.Error(), "is nested too deep") {
		t.Errorf("a deep file: %v", err)
	}
	_, err := setup.Parse(strings.NewReader("merchants:\n" + strings.Repeat("- name: x\n", 60)))
	if err == nil || !strings.HasSuffix(err.Error(), "\nand 10 more") {
		t.Errorf("sixty problems: %v", err)
	}
	if _, err := setup.Parse(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("a broken reader: %v", err)
	}
}

type repeated struct {
	text string
	read int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, strings.Repeat(r.text, len(p)/len(r.text)+1))
	r.read += n
	return n, nil
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestCanary puts secrets into every place where something can be wrong with
// them, and looks for them in what is said, printed and reported.
func TestCanary(t *testing.T) {
	const password, number = "c4nary-Passw0rd", "4000000000000002"
	const head = "merchants:\n- {code: demo, name: Demo, mode: test, zone: UTC, currency: USD, accounts: [{code: a}], "
	card := func(rest string) string {
		return head + "customers: [{account: a, code: c, payment_methods: [{code: m, type: visa-credit, " + rest + "}]}]}\n"
	}
	c := open(t, sqldbtest.Address(t, sqldbtest.Engines[0]))
	files := []string{
		head + "logins: [{name: l, role: api, password: " + password + "}]}\n",
		head + "logins: [{name: l, role: api, password: another}]}\n", // it differs from the one before
		head + "logins: [{name: l, role: api, password: [" + password + "]}]}\n",
		head + "logins: [{name: l, role: api, password: {" + password + ": x}}]}\n",
		head + "logins: [{name: l, role: api, password: *" + password + "}]}\n",
		head + "logins: [{name: l, role: api, password: !" + password + " x}]}\n",
		head + "logins: [{name: l, role: api, password: " + password + ", password_env: " + password + "}]}\n",
		head + "logins: [{name: l, role: api, password_env: " + password + "}]}\n",
		head + "logins: [{name: l, role: api, password_hash: " + password + "}]}\n",
		head + "logins: [{name: l, role: " + password + ", " + password + ": x}]}\n",
		head + "logins: [" + password + "]}\n",
		head + "logins: {name: " + password + ": x}}\n",
		head + "logins: [{name: l, role: api, password: \"" + password + "\n",
		card("number: " + number + ", expiry: 0430"),
		card("number: 4111111111111111, expiry: 0430"), // it differs from the one before
		card("number: " + number + "1, expiry: 0430"),
		card("number: " + number + ", expiry: " + number),
		card("number: [" + number + "], expiry: 0430"),
		card("expiry: 0430, " + number + ": x"),
		card("number: *n" + number + ", expiry: 0430"),
		card("number: " + number + ", routing: 021000021"),
	}
	said := 0
	for _, text := range files {
		f, err := setup.Parse(strings.NewReader(text))
		words := fmt.Sprintf("%v %+v %#v", err, f, f)
		if err == nil {
			changes, err := f.Apply(context.Background(), options(c))
			words += fmt.Sprintf("%v %v %+v", err, changes, changes)
		}
		if err != nil {
			said++
		}
		for _, secret := range []string{password, number} {
			if strings.Contains(words, secret) {
				t.Errorf("the secret is told:\n%s\nof\n%s", words, text)
			}
		}
	}
	if said < 15 {
		t.Errorf("only %d of the files were found wrong when read", said)
	}
}

// FuzzParse looks for a text that breaks the reader.
func FuzzParse(f *testing.F) {
	f.Add("merchants:\n- code: demo\n  settings: {dialects: {unipay: {a: [1, x, 0x1f, .inf, ~]}}}\n")
	f.Add("merchants: [{code: &a demo, plans: [{amount: *a}]}]\n---\n- x\n")
	f.Add("? {a: b}\n: c\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := setup.Parse(strings.NewReader(text))
		if (file == nil) == (err == nil) {
			t.Errorf("file %v, error %v", file, err)
		}
	})
}
