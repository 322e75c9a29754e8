package cashier_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// openLogin gives the shop a login "api-demo" with password "demo-password".
func openLogin(t *testing.T, s *cashiertest.Shop, change func(*billing.Login)) {
	t.Helper()
	hash, err := cashier.HashPassword(billing.NewSecret("demo-password"))
	if err != nil {
		t.Fatal(err)
	}
	l := &billing.Login{Name: "api-demo", Role: billing.RoleAPI, PasswordHash: hash, CreatedAt: s.Wall.Now()}
	change(l)
	ctx := context.Background()
	err = s.Store.Update(ctx, s.Merchant.ID, func(tx *store.Tx) error {
		if err := tx.InsertLogin(ctx, l); err != nil {
			return err
		}
		return tx.Enter(ctx, cashier.LoginDirectory, l.Name, int64(l.ID))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAuthenticate(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		openLogin(t, s, func(l *billing.Login) { l.AllowedIPs = []string{"192.0.2.0/24", "2001:db8::1"} })
		home := netip.MustParseAddr("192.0.2.7")
		for _, c := range []struct {
			name, password string
			from           netip.Addr
			want           billing.Kind
		}{
			{"api-demo", "wrong", home, billing.Unauthenticated},
			{"api-demo", "", home, billing.Unauthenticated},
			{"nobody", "demo-password", home, billing.Unauthenticated},
			{"api-demo", "demo-password", netip.MustParseAddr("198.51.100.1"), billing.Unauthenticated},
			{"api-demo", "demo-password", netip.MustParseAddr("::ffff:192.0.2.9"), -1},
			{"api-demo", "demo-password", home, -1},
		} {
			session, err := s.Cashier.Authenticate(context.Background(), cashier.Proof{Name: c.name, Password: billing.NewSecret(c.password), Address: c.from})
			switch {
			case c.want < 0 && err != nil:
				t.Errorf("%s from %s: %v", c.name, c.from, err)
			case c.want < 0 && session.Merchant.Code != "demo":
				t.Errorf("the session is of merchant %s", session.Merchant.Code)
			case c.want >= 0 && billing.KindOf(err) != c.want:
				t.Errorf("%s from %s: %v", c.name, c.from, err)
			}
			if err != nil && strings.Contains(err.Error(), "demo-password") {
				t.Errorf("the error tells the password: %v", err)
			}
		}
	})
}

// TestLockOut guesses until the login locks: the right password is then refused
// too, but not to a client that this process has seen prove it, and the lock
// ends by itself.
func TestLockOut(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		openLogin(t, s, func(*billing.Login) {})
		ctx := context.Background()
		try := func(c *cashier.Cashier, password string) error {
			_, err := c.Authenticate(ctx, cashier.Proof{Name: "api-demo", Password: billing.NewSecret(password)})
			return err
		}
		if err := try(s.Cashier, "demo-password"); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := try(s.Cashier, "guess"); billing.KindOf(err) != billing.Unauthenticated {
				t.Fatalf("a wrong guess: %v", err)
			}
		}
		stranger := cashier.New(s.Cashier.Options)
		if err := try(stranger, "demo-password"); billing.KindOf(err) != billing.Limited {
			t.Errorf("the right password while locked: %v", err)
		}
		if err := try(s.Cashier, "demo-password"); err != nil {
			t.Errorf("a client that proved it before is locked out by a stranger's guesses: %v", err)
		}
		s.Wall.Forward(16 * time.Minute)
		if err := try(stranger, "demo-password"); err != nil {
			t.Errorf("after the lock: %v", err)
		}
	})
}
