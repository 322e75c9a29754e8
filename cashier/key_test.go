package cashier_test

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// TestAPIKeys: a key opens the session of its login, from where the login may come,
// and nothing else does; the directory does not show it.
func TestAPIKeys(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx, key := context.Background(), billing.NewSecret("0123456789abcdef")
		hash, err := cashier.HashPassword(key)
		if err != nil {
			t.Fatal(err)
		}
		l := &billing.Login{Name: "shop", Role: billing.RoleAPI, PasswordHash: hash, AllowedIPs: []string{"10.0.0.0/8"}, CreatedAt: s.Wall.Now()}
		enter := func(tx *store.Tx) error {
			return tx.Enter(ctx, cashier.KeyDirectory, cashier.KeyName(key), int64(l.ID))
		}
		update := func(fn func(*store.Tx) error) {
			t.Helper()
			if err := s.Store.Update(ctx, s.Merchant.ID, fn); err != nil {
				t.Fatal(err)
			}
		}
		update(func(tx *store.Tx) error {
			if err := tx.InsertLogin(ctx, l); err != nil {
				return err
			}
			return enter(tx)
		})
		home, away := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("192.0.2.1")
		for range 2 { // the second time it is known
			session, err := s.Cashier.AuthenticateKey(ctx, key, home)
			if err != nil || session.Login.Name != "shop" || session.Merchant.ID != s.Merchant.ID {
				t.Fatalf("the key opens %+v, %v", session, err)
			}
		}
		refused := func(what string, err error) {
			t.Helper()
			if billing.KindOf(err) != billing.Unauthenticated {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = s.Cashier.AuthenticateKey(ctx, key, away)
		refused("from elsewhere", err)
		_, err = s.Cashier.AuthenticateKey(ctx, billing.NewSecret("0123456789abcdeF"), home)
		refused("another key", err)
		_, err = s.Cashier.AuthenticateKey(ctx, billing.NewSecret("shop"), home)
		refused("the name of the login", err)
		_, err = s.Cashier.AuthenticateKey(ctx, billing.NewSecret(cashier.KeyName(key)), home)
		refused("the name in the directory", err)
		if name := cashier.KeyName(key); len(name) != 64 || bytes.Contains([]byte(name), []byte(key.Reveal())) {
			t.Errorf("the directory has %q", name)
		}
		if err := s.Store.Update(ctx, s.Merchant.ID, enter); billing.KindOf(err) != billing.Duplicate {
			t.Errorf("a key that is taken: %v", err)
		}
		update(func(tx *store.Tx) error { return tx.Leave(ctx, cashier.KeyDirectory, int64(l.ID)) })
		_, err = s.Cashier.AuthenticateKey(ctx, key, home)
		refused("a key that was given up", err)
		update(enter)
	})
}

// TestMerchantSecrets: a secret comes back as it was given last, and opens under
// its own name alone.
func TestMerchantSecrets(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		read := func(m *billing.Merchant, name string) string {
			t.Helper()
			secret, err := s.Cashier.MerchantSecret(ctx, m, name)
			if err != nil {
				t.Fatal(err)
			}
			return secret.Reveal()
		}
		if got := read(s.Merchant, "signing"); got != "" {
			t.Errorf("before it is given it is %q", got)
		}
		for _, value := range []string{"first", "second"} {
			if err := s.Cashier.KeepSecret(ctx, s.Merchant, "signing", billing.NewSecret(value)); err != nil {
				t.Fatal(err)
			}
			if got := read(s.Merchant, "signing"); got != value {
				t.Errorf("got %q, want %q", got, value)
			}
		}
		if got := read(s.Another("other").Merchant, "signing"); got != "" {
			t.Errorf("another merchant has %q", got)
		}
		err := s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
			sealed, err := tx.MerchantSecret(ctx, "signing")
			if err != nil {
				return err
			}
			if bytes.Contains(sealed, []byte("second")) {
				t.Error("the secret is not sealed")
			}
			return tx.PutMerchantSecret(ctx, "other", sealed, s.Wall.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cashier.MerchantSecret(ctx, s.Merchant, "other"); err == nil {
			t.Error("a secret opens under another name")
		}
	})
}

// TestPostedForms: what a form came to is there for a day, for its merchant, and
// is found by the signature under it.
func TestPostedForms(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		f := &store.PostedForm{Kind: "subscription", Proof: "abc", Status: http.StatusOK, Content: "<subscription></subscription>"}
		if err := s.Cashier.KeepForm(ctx, s.Merchant, f); err != nil {
			t.Fatal(err)
		}
		got, err := s.Cashier.Form(ctx, s.Session(), f.Key)
		if err != nil || *got != *f || len(f.Key) != 32 {
			t.Fatalf("got %+v, %v", got, err)
		}
		proved := func(proof string) (n int) {
			t.Helper()
			err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
				list, err := v.PostedForms(ctx, proof)
				n = len(list)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if proved("abc") != 1 || proved("abd") != 0 {
			t.Error("forms are not found by their signature")
		}
		if _, err := s.Cashier.Form(ctx, s.Another("other").Session(), f.Key); billing.KindOf(err) != billing.NotFound {
			t.Errorf("another merchant: %v", err)
		}
		for try, want := range map[int]bool{0: true, 1: true} {
			for range 2 {
				ours, err := s.Cashier.BeginForm(ctx, s.Merchant, "abc", try)
				if err != nil || ours != want {
					t.Errorf("try %d is ours: %v, %v", try, ours, err)
				}
				want = false
			}
		}
		s.Wall.Forward(24*time.Hour - time.Second)
		if _, err := s.Cashier.Form(ctx, s.Session(), f.Key); err != nil {
			t.Errorf("within a day: %v", err)
		}
		s.Wall.Forward(2 * time.Second)
		if _, err := s.Cashier.Form(ctx, s.Session(), f.Key); billing.KindOf(err) != billing.NotFound {
			t.Errorf("after a day: %v", err)
		}
		if err := s.Cashier.KeepForm(ctx, s.Merchant, &store.PostedForm{Kind: "transaction", Status: http.StatusOK}); err != nil {
			t.Fatal(err)
		}
		if proved("abc") != 0 {
			t.Error("what is old is kept")
		}
	})
}
