package setup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones do not depend on the machine

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/setup"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// wall is the world's time of the tests.
var wall = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// open makes empty books and a cashier that has no processor: setting up moves
// no money.
func open(t *testing.T, address string) *cashier.Cashier {
	t.Helper()
	ctx := context.Background()
	now := func() time.Time { return wall }
	st, err := store.Open(ctx, address, store.Options{Now: now, MaxConns: 8, Volatile: true})
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	check(t, st.Migrate(ctx))
	key, err := vault.NewMasterKey()
	check(t, err)
	v, err := vault.New(key)
	check(t, err)
	return cashier.New(cashier.Options{Store: st, Vault: v, Now: now, Log: slog.New(slog.DiscardHandler),
		Processor: func(*billing.Merchant) (*processor.Account, error) {
			return nil, errors.New("setting up asked for a processor")
		}})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// options are those of the tests: one environment variable, one dialect.
func options(c *cashier.Cashier) setup.Options {
	return setup.Options{
		Cashier: c,
		Env: func(name string) (string, bool) {
			return "from-the-environment", name == "DEMO_PASSWORD"
		},
		Dialects: map[string]func(json.RawMessage) error{"unipay": func(text json.RawMessage) error {
			var switches struct {
				Strict bool `json:"strict"`
				Codes  int  `json:"codes"`
			}
			d := json.NewDecoder(strings.NewReader(string(text)))
			d.DisallowUnknownFields()
			if err := d.Decode(&switches); err != nil {
				return errors.New("must have the keys strict and codes")
			}
			return nil
		}},
		Forms: []*notify.Form{{Dialect: "hooks", PerAccount: 2, Check: func(text json.RawMessage) error {
			if len(text) > 0 && string(text) != `{"format":"json"}` {
				return billing.FieldError(billing.Invalid, "format", "must be json")
			}
			return nil
		}}},
	}
}

// outcome applies a text and shows what came of it: a line a change, or the
// problems.
func outcome(t *testing.T, o setup.Options, text string) string {
	t.Helper()
	f, err := setup.Parse(strings.NewReader(text))
	if err != nil {
		return problems(t, err)
	}
	var reported []string
	o.Report = func(c setup.Change) { reported = append(reported, c.String()) }
	changes, err := f.Apply(context.Background(), o)
	if err != nil {
		if len(changes) > 0 {
			t.Errorf("%d changes beside problems", len(changes))
		}
		return problems(t, err)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	if diff := cmp.Diff(lines, reported); diff != "" {
		t.Errorf("reported differs from returned (-returned +reported):\n%s", diff)
	}
	return strings.Join(lines, "\n") + "\n"
}

func problems(t *testing.T, err error) string {
	t.Helper()
	var ps setup.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("not a list of problems: %v", err)
	}
	return ps.Error() + "\n"
}

// TestApply runs the archives in testdata. Each is a story on books of its own:
// N.yaml is applied and N.want is what it reports. Each file is first applied
// dry, which must report the same, and then once more, which must change
// nothing.
func TestApply(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	check(t, err)
	if len(archives) == 0 {
		t.Fatal("no stories")
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			sqldbtest.RunAddress(t, func(t *testing.T, address string) {
				archive, err := txtar.ParseFile(name)
				check(t, err)
				c := open(t, address)
				for i := 0; i+1 < len(archive.Files); i += 2 {
					story(t, c, archive.Files[i], archive.Files[i+1])
				}
			})
		})
	}
}

func story(t *testing.T, c *cashier.Cashier, file, want txtar.File) {
	t.Helper()
	if strings.TrimSuffix(file.Name, ".yaml") != strings.TrimSuffix(want.Name, ".want") {
		t.Fatalf("%s is followed by %s", file.Name, want.Name)
	}
	o := options(c)
	o.DryRun = true
	dry := outcome(t, o, string(file.Data))
	if diff := cmp.Diff(string(want.Data), dry); diff != "" {
		t.Errorf("%s, dry (-want +got):\n%s", file.Name, diff)
	}
	o.DryRun = false
	got := outcome(t, o, string(file.Data))
	if diff := cmp.Diff(dry, got); diff != "" {
		t.Errorf("%s, applied after the dry run (-dry +applied):\n%s", file.Name, diff)
	}
	if !strings.Contains(got, "line ") && !strings.HasPrefix(got, "the file") {
		for line := range strings.Lines(outcome(t, o, string(file.Data))) {
			if !strings.HasPrefix(line, "keep ") {
				t.Errorf("%s, applied twice: %s", file.Name, line)
			}
		}
	}
}

// example is the file in the README.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	check(t, err)
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	if !ok {
		t.Fatal("README.md has no example")
	}
	file, _, _ := strings.Cut(rest, "```")
	return file
}

// TestExample applies the file in the README and looks at the books.
func TestExample(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := context.Background()
		c := open(t, address)
		want := `create merchant demo
create account demo/2001
create login demo/api-demo
create plan demo/2001/standard_monthly
create customer demo/2001/customer1
create payment method demo/2001/customer1/card1
create payment method demo/2001/customer1/account1
create subscription demo/2001/customer1/subscription1
`
		if diff := cmp.Diff(want, outcome(t, options(c), example(t))); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		s, err := c.Authenticate(ctx, cashier.Proof{Name: "api-demo", Password: billing.NewSecret("demo-password"), Address: addr("127.0.0.1")})
		check(t, err)
		if got := s.Now.In(s.Merchant.Zone).Format(time.DateTime); got != "2020-01-01 09:00:00" {
			t.Errorf("the clock shows %s", got)
		}
		if f := s.Merchant.Settings.Fees; f.Late != 500 || f.LateAfterDays != 10 {
			t.Errorf("fees %+v", f)
		}
		check(t, s.Books.View(ctx, func(v *store.View) error {
			customer, err := s.Customer(ctx, v, cashier.Ref{Code: "customer1"})
			if err != nil {
				return err
			}
			card, err := s.PaymentMethod(ctx, v, customer, cashier.Ref{Code: "card1"})
			if err != nil {
				return err
			}
			sub, err := s.Subscription(ctx, v, customer, cashier.Ref{Code: "subscription1"})
			if err != nil {
				return err
			}
			got := fmt.Sprintln(customer.Name(), customer.Email, customer.Address, card.Masked, card.Expiry, card.Holder,
				sub.Amount, sub.Tax, sub.Term, sub.Length, sub.NextDate, sub.PaymentMethodID == card.ID, s.Login.Accounts[0] == customer.AccountID)
			want := "John Smith john@example.com 1 Main Street, New York, NY, 10001, US 4***********1111 0430 John Smith " +
				"19.99 USD 1.60 USD fixed 12 2020-01-15 true true\n"
			if got != want {
				t.Errorf("the books say\n%swant\n%s", got, want)
			}
			return nil
		}))
	})
}

// TestLoginStays changes a login's password and sees that the old one is refused
// and a lock is lifted.
func TestLoginStays(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		ctx := context.Background()
		c := open(t, address)
		outcome(t, options(c), example(t))
		prove := func(password string) error {
			_, err := c.Authenticate(ctx, cashier.Proof{Name: "api-demo", Password: billing.NewSecret(password), Address: addr("127.0.0.1")})
			return err
		}
		for range 10 {
			if err := prove("guess"); billing.KindOf(err) != billing.Unauthenticated {
				t.Fatal(err)
			}
		}
		if err := prove("demo-password"); billing.KindOf(err) != billing.Limited {
			t.Fatalf("the login is not locked: %v", err)
		}
		changed := strings.Replace(example(t), "demo-password", "another-password", 1)
		if got := outcome(t, options(c), changed); !strings.Contains(got, "change login demo/api-demo: password\n") {
			t.Errorf("changes:\n%s", got)
		}
		check(t, prove("another-password"))
		if err := prove("demo-password"); billing.KindOf(err) != billing.Unauthenticated {
			t.Errorf("the old password: %v", err)
		}
	})
}

// TestCodeScopes takes one code for two customers, two methods and so on, as far
// as each scope allows it.
func TestCodeScopes(t *testing.T) {
	const file = `
merchants:
- {code: demo, name: Demo, mode: test, zone: UTC, currency: USD, settings: {code_scope: SCOPE},
   accounts: [{code: a}, {code: b}],
   customers: [
     {account: a, code: one, payment_methods: [{code: card, type: visa-credit, number: 4111111111111111, expiry: 0430}]},
     {account: a, code: two, payment_methods: [{code: card, type: visa-credit, number: 4111111111111111, expiry: 0430}]},
     {account: b, code: one}]}
`
	for scope, want := range map[string]string{
		"account":  "merchants[0].customers[1].payment_methods[0].code",
		"merchant": "merchants[0].customers[1].payment_methods[0].code merchants[0].customers[2].code",
		"customer": "",
	} {
		t.Run(scope, func(t *testing.T) {
			c := open(t, sqldbtest.Address(t, sqldbtest.Engines[0]))
			f, err := setup.Parse(strings.NewReader(strings.Replace(file, "SCOPE", scope, 1)))
			check(t, err)
			_, err = f.Apply(context.Background(), options(c))
			var ps setup.Problems
			if errors.As(err, &ps); err != nil && len(ps) == 0 {
				t.Fatal(err)
			}
			var paths []string
			for _, p := range ps {
				paths = append(paths, p.Path)
			}
			if got := strings.Join(paths, " "); got != want {
				t.Errorf("problems at %q, want %q", got, want)
			}
		})
	}
}

// TestInterrupted lets the writing fail in the middle; applying again does the
// rest.
func TestInterrupted(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		c := open(t, address)
		f, err := setup.Parse(strings.NewReader(example(t)))
		check(t, err)
		for stop := 1; ; stop++ {
			ctx, cancel := context.WithCancel(context.Background())
			o, made := options(c), 0
			o.Report = func(c setup.Change) {
				if c.Action != setup.Keep {
					if made++; made == 1 {
						cancel() // the next write fails
					}
				}
			}
			changes, err := f.Apply(ctx, o)
			cancel()
			if made == 0 {
				check(t, err)
				if stop != 9 || changes.Count(setup.Keep) != 8 {
					t.Errorf("round %d: %s", stop, changes)
				}
				return
			}
			if err == nil && stop < 8 || stop > 8 {
				t.Fatalf("round %d: %s, %v", stop, changes, err)
			}
		}
	})
}
