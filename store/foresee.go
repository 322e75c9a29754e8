package store

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// What the hottest verbs read is known before they begin. Where each read would
// be a round trip to the database, they are made together: these say which ones
// will come. They change nothing of what is read, nor of its order.

// ForeseeCharge tells that a customer will be read, locked and its open account
// read, and one of its payment methods too unless that is 0.
func (t *Tx) ForeseeCharge(ctx context.Context, c billing.CustomerID, m billing.PaymentMethodID) error {
	ids := []billing.CustomerID{c}
	asks := []sqldb.Ask{t.askCustomer(c), t.askLockCustomers(ids), t.askOpenActivities(ids)}
	if m != 0 {
		asks = append(asks, t.askPaymentMethod(m))
	}
	return t.tx.Ahead(ctx, false, asks...)
}

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

// ForeseeAccounts tells that the merchant's accounts are all that will be read.
func (v *View) ForeseeAccounts(ctx context.Context) error {
	return v.tx.Ahead(ctx, true, v.askAccounts())
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
