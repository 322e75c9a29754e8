package cashier

import (
	"context"
	"errors"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
	"github.com/perennial-billing/perennial/vault"
)

// intent is a charge that is to be written down before the processor is asked,
// and what came of that.
type intent struct {
	s         *Session
	r         *ChargeRequest                             // which payer may complete
	payer     func(*store.Tx) (*billing.Customer, error) // finds who pays, or makes it
	customer  billing.CustomerID                         // who that is, 0 if it is not known before
	keys      *vault.Keys
	processor string

	owner   *billing.Customer
	digest  []byte
	attempt *billing.Attempt
	number  billing.Secret
	earlier *billing.Attempt // that the idempotency key made before
	err     error
	alone   bool // to be tried alone
}

// intend writes an intention down, together with those of others that the same
// merchant has at this moment. One that cannot be written down, or an account
// that somebody else holds, spoils it for all of them; then each goes its own way,
// and only what cannot be written down fails. The charges of merchants with
// velocity controls go alone from the first: they lock consumers one by one.
func (c *Cashier) intend(ctx context.Context, i *intent) error {
	if i.customer == 0 || i.s.Rehearsal || i.s.Merchant.Settings.Velocity.Active() {
		return c.intendAlone(ctx, i)
	}
	i.err = errLeft
	if err := c.intents.join(ctx, i.s.Merchant.ID, i, c.intendTogether); err != nil {
		return err
	}
	if i.alone {
		return c.intendAlone(ctx, i)
	}
	return i.err
}

// errLeft is what remains of those for whom somebody else was to do something
// and did not come back.
var errLeft = billing.Errorf(billing.Internal, "what was done together with others was broken off")

// goAlone reports whether those who failed together, so many of them, are to try
// it each alone, and for as long as it likes: nothing was stored, and it may have
// been another's fault.
func goAlone(err error, together int) bool {
	return store.Undone(err) && (together > 1 || store.Locked(err) || errors.Is(err, context.DeadlineExceeded))
}

func (c *Cashier) intendAlone(ctx context.Context, i *intent) error {
	return c.update(ctx, i.s, func(tx *store.Tx) error { return c.mint(ctx, tx, []*intent{i}) })
}

func (c *Cashier) intendTogether(ctx context.Context, list []*intent) {
	last := list[len(list)-1]
	err := c.Store.Update(ctx, last.s.Merchant.ID, func(tx *store.Tx) error {
		tx.Hasten()
		return c.mint(ctx, tx, list)
	})
	for _, i := range list {
		i.err, i.alone = err, goAlone(err, len(list))
	}
}

// mint writes down intentions of one merchant's, all or nothing.
func (c *Cashier) mint(ctx context.Context, tx *store.Tx, list []*intent) error {
	if err := foresee(ctx, tx, list); err != nil {
		return err
	}
	var owners []billing.CustomerID
	var left []*intent
	for _, i := range list {
		var err error
		i.attempt, i.earlier = nil, nil
		if i.owner, err = i.payer(tx); err != nil {
			return err
		}
		i.digest = i.r.digest(i.keys, i.owner.ID)
		if i.earlier, err = replay(ctx, &tx.View, i.r.Key, i.digest); err != nil {
			return err
		}
		if i.earlier == nil {
			left, owners = append(left, i), append(owners, i.owner.ID)
		}
	}
	if len(left) == 0 {
		return nil
	}
	s := left[len(left)-1].s
	b, err := openBook(ctx, tx, s.Merchant, s.Now, distinct(owners))
	if err != nil {
		return err
	}
	lease := c.Now().Add(c.Lease)
	for _, i := range left {
		m := &minting{s: i.s, tx: tx, b: b, keys: i.keys, owner: i.owner, lease: lease, origin: i.r.origin}
		if i.attempt, i.number, err = m.charge(ctx, i.processor, *i.r); err != nil {
			return err
		}
		if i.r.Key == "" {
			continue
		}
		taken, err := tx.UseKey(ctx, store.Key{Scope: chargeScope, Key: i.r.Key, Digest: i.digest, ObjectID: int64(i.attempt.ID), At: i.s.Now})
		if err == nil && taken {
			err = inProgress()
		}
		if err != nil {
			return err
		}
	}
	return b.flush(ctx)
}

// foresee tells the books which customers and payment methods will be read.
func foresee(ctx context.Context, tx *store.Tx, list []*intent) error {
	var customers []billing.CustomerID
	var methods []billing.PaymentMethodID
	for _, i := range list {
		if i.customer != 0 {
			customers = append(customers, i.customer)
		}
		if i.r.Method.ID != 0 {
			methods = append(methods, billing.PaymentMethodID(i.r.Method.ID))
		}
	}
	if len(customers) == 0 {
		return nil
	}
	return tx.ForeseeCharges(ctx, distinct(customers), methods)
}
