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

// naming is how objects of a noun are found by a reference.
type naming[T any] struct {
	noun   store.Noun
	scopes func() ([]int64, error) // in which a code may lie; asked for only when there is a code to look up
	load   func(id int64) (T, error)
}

// find loads the object that a reference means. A numeric code also means the
// object of that id, because an object without a code of its own has its id for
// one (protocols/unipay.md 1.5).
func (n naming[T]) find(ctx context.Context, v *store.View, r Ref) (object T, err error) {
	if r.ID != 0 {
		if object, err = n.load(r.ID); billing.KindOf(err) != billing.NotFound {
			return object, err
		}
	}
	if r.Code != "" {
		scopes, err := n.scopes()
		if err != nil {
			return object, err
		}
		ids, err := v.ResolveIn(ctx, n.noun, scopes, r.Code)
		if err != nil {
			return object, err
		}
		if len(ids) > 0 {
			return n.load(slices.Min(ids))
		}
		if id, err := strconv.ParseInt(r.Code, 10, 64); err == nil && id != r.ID {
			if object, err = n.load(id); billing.KindOf(err) != billing.NotFound {
				return object, err
			}
		}
	}
	var none T
	return none, billing.Errorf(billing.NotFound, "%s not found", n.noun)
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
func (s *Session) Customer(ctx context.Context, v *store.View, r Ref) (*billing.Customer, error) {
	return naming[*billing.Customer]{
		noun: store.CustomerNoun, scopes: func() ([]int64, error) { return s.accountScopes(ctx, v) },
		load: func(id int64) (*billing.Customer, error) {
			c, err := v.Customer(ctx, billing.CustomerID(id))
			if err == nil && (!s.Login.Reaches(c.AccountID) || c.Standing == billing.StandingGone) {
				return nil, billing.Errorf(billing.NotFound, "customer not found")
			}
			return c, err
		},
	}.find(ctx, v, r)
}

// Plan finds a plan of an account that the login reaches.
func (s *Session) Plan(ctx context.Context, v *store.View, r Ref) (*billing.Plan, error) {
	return naming[*billing.Plan]{
		noun: store.PlanNoun, scopes: func() ([]int64, error) { return s.accountScopes(ctx, v) },
		load: func(id int64) (*billing.Plan, error) {
			p, err := v.Plan(ctx, billing.PlanID(id))
			if err == nil && !s.Login.Reaches(p.AccountID) {
				return nil, billing.Errorf(billing.NotFound, "plan not found")
			}
			return p, err
		},
	}.find(ctx, v, r)
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
	return naming[*billing.PaymentMethod]{store.PaymentMethodNoun, s.ownScope(store.PaymentMethodNoun, c), load}.find(ctx, v, r)
}

// ownScope is the scope in which a code of something that a customer has may lie.
func (s *Session) ownScope(n store.Noun, c *billing.Customer) func() ([]int64, error) {
	return func() ([]int64, error) { return []int64{s.scope(n, c.AccountID, c.ID)}, nil }
}

// Subscription finds a subscription of a customer.
func (s *Session) Subscription(ctx context.Context, v *store.View, c *billing.Customer, r Ref) (*billing.Subscription, error) {
	load := func(id int64) (*billing.Subscription, error) {
		sub, err := v.Subscription(ctx, billing.SubscriptionID(id))
		if err == nil && (sub.CustomerID != c.ID || sub.Status == billing.Gone) {
			return nil, billing.Errorf(billing.NotFound, "subscription not found")
		}
		return sub, err
	}
	return naming[*billing.Subscription]{store.SubscriptionNoun, s.ownScope(store.SubscriptionNoun, c), load}.find(ctx, v, r)
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
	return naming[*billing.Activity]{store.ActivityNoun, s.ownScope(store.ActivityNoun, c), load}.find(ctx, v, r)
}
