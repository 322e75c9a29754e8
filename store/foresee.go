package store

import (
	"context"
	"errors"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// What the hottest verbs read is known before they begin. Where each read would
// be a round trip to the database, they are made together: these say which ones
// will come. They change nothing of what is read, nor of its order.

// ForeseeCharges reads and locks customers, as LockCustomers does, and reads some
// payment methods, and tells that the customers' open accounts will be read next.
// What it has read is what Customer, LockCustomers and PaymentMethod say of them
// from here on: it is for transactions that change neither.
func (t *Tx) ForeseeCharges(ctx context.Context, customers []billing.CustomerID, methods []billing.PaymentMethodID) error {
	asks := []sqldb.Ask{t.askLockCustomers(customers)}
	if len(methods) > 0 {
		asks = append(asks, t.askPaymentMethods(methods))
	}
	if err := t.tx.Ahead(ctx, false, append(asks, t.askOpenActivities(customers))...); err != nil {
		return err
	}
	known := &known{customers: make(map[billing.CustomerID]*billing.Customer, len(customers))}
	list, err := t.LockCustomers(ctx, customers)
	if err != nil {
		return err
	}
	for _, c := range list {
		known.customers[c.ID] = c
	}
	if len(methods) > 0 {
		if known.methods, err = t.PaymentMethodsByID(ctx, methods); err != nil {
			return err
		}
	}
	t.known = known
	return nil
}

// known is what a transaction has read once and for all.
type known struct {
	customers map[billing.CustomerID]*billing.Customer // locked
	methods   map[billing.PaymentMethodID]*billing.PaymentMethod
}

// customer is a customer that is known, nil if it is not.
func (k *known) customer(id billing.CustomerID) *billing.Customer {
	if k == nil {
		return nil
	}
	return k.customers[id]
}

// locked are customers if all of them are known.
func (k *known) locked(ids []billing.CustomerID) (list []*billing.Customer) {
	for _, id := range ids {
		c := k.customer(id)
		if c == nil {
			return nil
		}
		list = append(list, c)
	}
	return list
}

// method is a payment method that is known, nil if it is not.
func (k *known) method(id billing.PaymentMethodID) *billing.PaymentMethod {
	if k == nil {
		return nil
	}
	return k.methods[id]
}

// Hasten has a transaction fail where it would have to wait for rows that another
// one has locked.
func (t *Tx) Hasten() { t.tx.Hasten() }

// Locked reports whether a transaction in haste failed because another one has
// locked what it wanted.
func Locked(err error) bool { return sqldb.IsLocked(err) }

// Undone reports whether an error of an Update means that surely nothing was
// stored.
func Undone(err error) bool { return err != nil && !errors.Is(err, sqldb.ErrOutcomeUnknown) }

// ForeseeSettle tells that attempts will be locked as they are now, their
// customers be locked and their open accounts read, and events be written.
func (t *Tx) ForeseeSettle(ctx context.Context, list []*billing.Attempt, customers []billing.CustomerID) error {
	err := t.tx.Ahead(ctx, false, t.askLockCurrent(list), t.askLockCustomers(customers), t.askOpenActivities(customers), t.askTold())
	if err != nil {
		return err
	}
	_, err = t.told(ctx)
	return err
}

// Gather runs fn, whose writes may travel together: an error of one of them may
// come from a later statement or from the end of the transaction.
func (t *Tx) Gather(fn func() error) error { return t.tx.Gather(fn) }

// Identify finds the login of a name in the directory, and its merchant, by one
// look. On books that are spread over several machines a look that does not say
// the merchant would go to all of them, so there the merchant is found first.
func (s *Store) Identify(ctx context.Context, kind, name string) (m *billing.Merchant, l *billing.Login, err error) {
	spread, err := s.isSpread(ctx)
	if err != nil {
		return nil, nil, err
	}
	if spread {
		return s.identifyFirst(ctx, kind, name)
	}
	const whose = ` FROM directory WHERE kind = $1 AND name = $2)`
	merchant := sqldb.Ask{Query: `SELECT ` + merchantColumns + ` FROM merchant WHERE id = (SELECT merchant_id` + whose, Args: []any{kind, name}}
	login := sqldb.Ask{Query: `SELECT ` + loginColumns + ` FROM login
		WHERE merchant_id = (SELECT merchant_id` + whose + ` AND id = (SELECT object_id` + whose, Args: []any{kind, name}}
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Ahead(ctx, true, merchant, login); err != nil {
			return err
		}
		if m, err = sqldb.One(ctx, tx, scanMerchant, merchant.Query, merchant.Args...); err != nil {
			return notFound(err, kind)
		}
		l, err = sqldb.One(ctx, tx, scanLogin, login.Query, login.Args...)
		return notFound(err, kind)
	})
	return m, l, err
}

// Known is a login that was found by its name.
type Known struct {
	Merchant *billing.Merchant
	Login    *billing.Login
}

// IdentifyAll is Identify for several names, by one look. Names that are not in
// the directory are left out.
func (s *Store) IdentifyAll(ctx context.Context, kind string, names []string) (map[string]Known, error) {
	spread, err := s.isSpread(ctx)
	if err != nil {
		return nil, err
	}
	if spread {
		return s.identifyEach(ctx, kind, names)
	}
	found := make(map[string]Known, len(names))
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		merchants := sqldb.Ask{Query: `SELECT ` + merchantColumns + ` FROM merchant
			WHERE id IN (SELECT merchant_id FROM directory WHERE kind = $1 AND name ` + tx.In(2) + `)`, Args: []any{kind, sqldb.List(names)}}
		logins := sqldb.Ask{Query: `SELECT entered, ` + loginColumns + ` FROM (SELECT name AS entered, merchant_id AS owner, object_id FROM directory
			WHERE kind = $1 AND name ` + tx.In(2) + `) AS d JOIN login ON merchant_id = owner AND id = object_id`, Args: merchants.Args}
		if err := tx.Ahead(ctx, true, merchants, logins); err != nil {
			return err
		}
		owners := make(map[billing.MerchantID]*billing.Merchant)
		list, err := sqldb.Query(ctx, tx, scanMerchant, merchants.Query, merchants.Args...)
		if err != nil {
			return err
		}
		for _, m := range list {
			owners[m.ID] = m
		}
		_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (l *billing.Login, err error) {
			var name string
			if l, err = scanLogin(after{r, &name}); err != nil {
				return nil, err
			}
			if m := owners[l.MerchantID]; m != nil {
				own := *m // each asks for itself
				found[name] = Known{&own, l}
			}
			return l, nil
		}, logins.Query, logins.Args...)
		return err
	})
	return found, err
}

// after is a row with one column before those that are scanned.
type after struct {
	sqldb.Row
	first any
}

// Scan scans the column before and the others.
func (a after) Scan(dest ...any) error { return a.Row.Scan(append([]any{a.first}, dest...)...) }

func (s *Store) identifyEach(ctx context.Context, kind string, names []string) (map[string]Known, error) {
	found := make(map[string]Known, len(names))
	for _, name := range names {
		m, l, err := s.identifyFirst(ctx, kind, name)
		if billing.KindOf(err) == billing.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[name] = Known{m, l}
	}
	return found, nil
}

func (s *Store) identifyFirst(ctx context.Context, kind, name string) (m *billing.Merchant, l *billing.Login, err error) {
	id, err := s.Lookup(ctx, kind, name)
	if err != nil {
		return nil, nil, err
	}
	err = s.View(ctx, id.Merchant, func(v *View) error {
		if m, err = v.Merchant(ctx); err != nil {
			return err
		}
		l, err = v.Login(ctx, billing.LoginID(id.Object))
		return err
	})
	return m, l, err
}
