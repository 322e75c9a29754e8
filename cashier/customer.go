package cashier

import (
	"context"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Enroll makes a customer of an account. c holds what the client said; id and
// times are given here.
func (c *Cashier) Enroll(ctx context.Context, s *Session, account string, customer *billing.Customer) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		if err := s.enroll(ctx, tx, account, customer); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []billing.Event{s.event(billing.CustomerCreated, customer.ID, int64(customer.ID))})
	})
}

// enroll makes a customer, of whom nobody is told yet.
func (s *Session) enroll(ctx context.Context, tx *store.Tx, account string, customer *billing.Customer) error {
	a, err := s.Account(ctx, &tx.View, account)
	if err != nil {
		return err
	}
	customer.MerchantID, customer.AccountID = s.Merchant.ID, a.ID
	customer.ID = billing.CustomerID(tx.NewID())
	customer.CreatedAt, customer.UpdatedAt = s.Now, s.Now
	if err := tx.InsertCustomers(ctx, customer); err != nil {
		return err
	}
	scope := s.scope(store.CustomerNoun, a.ID, customer.ID)
	return reserve(ctx, tx, store.CustomerNoun, scope, customer.Code, int64(customer.ID))
}

// ModifyCustomer applies a change to a customer. One who becomes active again
// is claimed from for what is open.
func (c *Cashier) ModifyCustomer(ctx context.Context, s *Session, r Ref, change func(*billing.Customer)) (customer *billing.Customer, err error) {
	err = c.update(ctx, s, func(tx *store.Tx) error {
		customer, err = s.Customer(ctx, &tx.View, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{customer.ID})
		if err != nil {
			return err
		}
		customer = b.customers[customer.ID]
		active := customer.Active
		change(customer)
		customer.Agree(active)
		customer.UpdatedAt = s.Now
		if err := tx.UpdateCustomer(ctx, customer); err != nil {
			return err
		}
		if customer.Active && !active {
			b.renew(customer.ID, func(*billing.Activity) bool { return true })
		}
		b.event(billing.CustomerChanged, customer.ID, int64(customer.ID))
		return b.flush(ctx)
	})
	return customer, err
}

// reserve takes a code for a new object; no code, nothing to take.
func reserve(ctx context.Context, tx *store.Tx, n store.Noun, scope int64, code string, object int64) error {
	if code == "" {
		return nil
	}
	return tx.Reserve(ctx, n, scope, code, object)
}

func (s *Session) event(k billing.EventKind, c billing.CustomerID, object int64) billing.Event {
	return billing.Event{MerchantID: s.Merchant.ID, Kind: k, CustomerID: c, ObjectID: object, CreatedAt: s.Now}
}

// longestNote is how many characters a note may have.
const longestNote = 2000

// AddNote writes down something about a customer.
func (c *Cashier) AddNote(ctx context.Context, s *Session, customer Ref, text string) (n *billing.Note, err error) {
	if text == "" || utf8.RuneCountInString(text) > longestNote {
		return nil, billing.FieldError(billing.Invalid, "note", "must have from 1 to %d characters", longestNote)
	}
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		n = &billing.Note{MerchantID: s.Merchant.ID, ID: billing.NoteID(tx.NewID()), CustomerID: owner.ID, Text: text,
			Creator: s.Login.Name, CreatedAt: s.Now}
		return tx.InsertNote(ctx, n)
	})
	return n, err
}
