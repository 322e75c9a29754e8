package cashier_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

func usd(minor int64) billing.Money { return billing.Minor(minor, "USD") }

func pointer[T any](v T) *T { return &v }

// field is the field at fault of an error.
func field(err error) string {
	var e *billing.Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}

func (s *shop) coupon(k billing.Coupon) {
	s.t.Helper()
	k.Active = true
	ok(s.t, s.Cashier.DefineCoupon(context.Background(), s.Session(), &k))
}

func (s *shop) customer(code string) (c *billing.Customer, err error) {
	s.t.Helper()
	ctx := context.Background()
	session := s.Session()
	err = s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		c, err = session.Customer(ctx, v, cashier.Ref{Code: code})
		return err
	})
	return c, err
}

// events are the kinds of a customer's events, in their order.
func (s *shop) events(c billing.CustomerID) string {
	s.t.Helper()
	ctx := context.Background()
	var kinds []string
	ok(s.t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		list, err := v.Events(ctx, store.Page{Limit: 10000})
		kinds = nil
		for _, e := range list {
			if e.CustomerID == c {
				kinds = append(kinds, string(e.Kind))
			}
		}
		return err
	}))
	return strings.Join(kinds, " ")
}

// rescued has everything be asked about until all is known.
func (s *shop) rescued() {
	s.t.Helper()
	t := s.t.(*testing.T)
	rescue(t, s.Shop, 2*time.Minute, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour)
	for _, a := range attempts(t, s.Shop) {
		if !a.Final() {
			s.t.Errorf("%s %s is %s", a.Kind, a.Reference, a.State)
		}
	}
}

// dying runs a verb in a process that dies at a step.
func (s *shop) dying(step string, do func()) {
	s.t.Helper()
	s.Cashier.Step = func(_ context.Context, name string) {
		if name == step {
			panic("dies")
		}
	}
	defer func() {
		s.Cashier.Step = func(context.Context, string) {}
		if recover() == nil {
			s.t.Error("it did not die")
		}
	}()
	do()
}
