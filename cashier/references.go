package cashier

import (
	"context"
	"slices"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Ref names an object as a client did: by id, by code, or by something that may
// be either, in which case the id is tried first. The zero Ref names nothing.
type Ref struct {
	ID   int64
	Code string
}

// IsZero reports whether nothing is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// scope is where codes of a noun must be unique: the merchant's setting, except
// that customers and plans, which no customer holds, are then unique within
// their account.
func (s *Session) scope(n store.Noun, account billing.AccountID, customer billing.CustomerID) int64 {
	switch s.Merchant.Settings.CodeScope {
	case billing.WithinMerchant:
		return 0
	case billing.WithinCustomer:
		if n != store.CustomerNoun && n != store.PlanNoun {
			return int64(customer)
		}
	case billing.WithinAccount:
	}
	return int64(account)
}

// resolve finds the id that a reference means within scopes. A numeric code
// also means the object of that id, because an object without a code of its own
// has its id for one (protocols/unipay.md 1.5).
func resolve(ctx context.Context, v *store.View, n store.Noun, scopes []int64, r Ref, exists func(int64) (bool, error)) (int64, error) {
	if r.ID != 0 {
		ok, err := exists(r.ID)
		if err != nil || ok {
			return r.ID, err
		}
	}
	if r.Code != "" {
		ids, err := v.ResolveIn(ctx, n, scopes, r.Code)
		if err != nil {
			return 0, err
		}
		if len(ids) > 0 {
			return slices.Min(ids), nil
		}
		if id, err := strconv.ParseInt(r.Code, 10, 64); err == nil && id != r.ID {
			ok, err := exists(id)
			if err != nil || ok {
				return id, err
			}
		}
	}
	return 0, billing.Errorf(billing.NotFound, "%s not found", n)
}

// found tells absence from failure.
func found(err error) (bool, error) {
	if billing.KindOf(err) == billing.NotFound {
		return false, nil
	}
	return err == nil, err
}

// accountScopes are the scopes in which a code of a customer or plan may lie.
func (s *Session) accountScopes(ctx context.Context, v *store.View) ([]int64, error) {
	if s.Merchant.Settings.CodeScope == billing.WithinMerchant {
		return []int64{0}, nil
	}
	accounts, err := v.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	var scopes []int64
	for _, a := range accounts {
		if s.Login.Reaches(a.ID) {
			scopes = append(scopes, int64(a.ID))
		}
	}
	return scopes, nil
}

// Account finds an account that the login reaches.
func (s *Session) Account(ctx context.Context, v *store.View, code string) (*billing.Account, error) {
	a, err := v.AccountByCode(ctx, code)
	if err == nil && !s.Login.Reaches(a.ID) {
		err = billing.Errorf(billing.Forbidden, "this login does not reach that account")
	}
	return a, err
}

// Customer finds a customer of an account that the login reaches; any other is
// as if it did not exist.
func (s *Session) Customer(ctx context.Context, v *store.View, r Ref) (c *billing.Customer, err error) {
	scopes, err := s.accountScopes(ctx, v)
	if err != nil {
		return nil, err
	}
	load := func(id int64) (bool, error) {
		c, err = v.Customer(ctx, billing.CustomerID(id))
		if err == nil && !s.Login.Reaches(c.AccountID) {
			return false, nil
		}
		return found(err)
	}
	id, err := resolve(ctx, v, store.CustomerNoun, scopes, r, load)
	if err != nil {
		return nil, err
	}
	return v.Customer(ctx, billing.CustomerID(id))
}

// Plan finds a plan of an account that the login reaches.
func (s *Session) Plan(ctx context.Context, v *store.View, r Ref) (p *billing.Plan, err error) {
	scopes, err := s.accountScopes(ctx, v)
	if err != nil {
		return nil, err
	}
	id, err := resolve(ctx, v, store.PlanNoun, scopes, r, func(id int64) (bool, error) {
		p, err = v.Plan(ctx, billing.PlanID(id))
		if err == nil && !s.Login.Reaches(p.AccountID) {
			return false, nil
		}
		return found(err)
	})
	if err != nil {
		return nil, err
	}
	return v.Plan(ctx, billing.PlanID(id))
}

// PaymentMethod finds a payment method of a customer.
func (s *Session) PaymentMethod(ctx context.Context, v *store.View, c *billing.Customer, r Ref) (*billing.PaymentMethod, error) {
	load := func(id int64) (*billing.PaymentMethod, error) {
		m, err := v.PaymentMethod(ctx, billing.PaymentMethodID(id))
		if err == nil && m.CustomerID != c.ID {
			return nil, billing.Errorf(billing.NotFound, "payment method not found")
		}
		return m, err
	}
	return named(ctx, v, store.PaymentMethodNoun, s.scope(store.PaymentMethodNoun, c.AccountID, c.ID), r, load)
}

// Subscription finds a subscription of a customer.
func (s *Session) Subscription(ctx context.Context, v *store.View, c *billing.Customer, r Ref) (*billing.Subscription, error) {
	load := func(id int64) (*billing.Subscription, error) {
		sub, err := v.Subscription(ctx, billing.SubscriptionID(id))
		if err == nil && sub.CustomerID != c.ID {
			return nil, billing.Errorf(billing.NotFound, "subscription not found")
		}
		return sub, err
	}
	return named(ctx, v, store.SubscriptionNoun, s.scope(store.SubscriptionNoun, c.AccountID, c.ID), r, load)
}

// Activity finds an activity of a customer's account.
func (s *Session) Activity(ctx context.Context, v *store.View, c *billing.Customer, r Ref) (*billing.Activity, error) {
	load := func(id int64) (*billing.Activity, error) {
		a, err := v.Activity(ctx, billing.ActivityID(id))
		if err == nil && a.CustomerID != c.ID {
			return nil, billing.Errorf(billing.NotFound, "transaction not found")
		}
		return a, err
	}
	return named(ctx, v, store.ActivityNoun, s.scope(store.ActivityNoun, c.AccountID, c.ID), r, load)
}

// named loads the object that a reference means within one scope.
func named[T any](ctx context.Context, v *store.View, n store.Noun, scope int64, r Ref, load func(int64) (T, error)) (object T, err error) {
	id, err := resolve(ctx, v, n, []int64{scope}, r, func(id int64) (bool, error) {
		_, err := load(id)
		return found(err)
	})
	if err != nil {
		return object, err
	}
	return load(id)
}
