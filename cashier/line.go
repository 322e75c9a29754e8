package cashier

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// LineRequest asks for a charge, credit or adjustment.
type LineRequest struct {
	Code        string
	Description string
	Quantity    int    // 0 is 1
	Unit        *int64 // minor units of one; Amount is then left out
	Amount      int64  // minor units
	From, To    time.Time
}

// maxDescription bounds what a line says, in bytes.
const maxDescription = 1000

// line is the line that a request asks for.
func (r *LineRequest) line(s *Session, kind billing.LineKind) (*billing.Line, error) {
	l := &billing.Line{MerchantID: s.Merchant.ID, Kind: kind, Code: r.Code, Description: r.Description, Quantity: r.Quantity,
		From: r.From, To: r.To, CreatedAt: s.Now}
	if l.Quantity == 0 {
		l.Quantity = 1
	}
	if l.Quantity < 1 || l.Quantity > billing.MaxQuantity {
		return nil, billing.FieldError(billing.Invalid, "quantity", "must be from 1 to %d", billing.MaxQuantity)
	}
	l.Amount, l.Unit = s.Merchant.Money(r.Amount), s.Merchant.Money(r.Amount)
	if r.Unit != nil {
		l.Unit = s.Merchant.Money(*r.Unit)
		var err error
		if l.Amount, err = l.Unit.MulDiv(int64(l.Quantity), 1); err != nil {
			return nil, billing.FieldError(billing.Invalid, "amount", "must be from 1 to %d", int64(billing.MaxAmount))
		}
	} else if l.Quantity > 1 {
		unit, err := l.Amount.MulDiv(1, int64(l.Quantity))
		if err != nil {
			return nil, err
		}
		l.Unit = unit // what does not divide is told by the amount
	}
	least := int64(1)
	if kind == billing.LineAdjustment {
		least = -billing.MaxAmount
	}
	switch n := l.Amount.Minor(); {
	case n < least || n > billing.MaxAmount || n == 0:
		return nil, billing.FieldError(billing.Invalid, "amount", "must be from 1 to %d", int64(billing.MaxAmount))
	case len(l.Description) > maxDescription || len(l.Code) > maxDescription:
		return nil, billing.FieldError(billing.Invalid, "description", "must not be longer than %d bytes", maxDescription)
	case !r.From.IsZero() && !r.To.IsZero() && r.To.Before(r.From):
		return nil, billing.FieldError(billing.Invalid, "end_date", "lies before the start date")
	}
	return l, nil
}

// AddCharge notes a charge that the customer's next invoice takes along. Until then
// it is in no ledger, and can be removed.
func (c *Cashier) AddCharge(ctx context.Context, s *Session, customer Ref, r LineRequest) (l *billing.Line, err error) {
	if _, err := r.line(s, billing.LineCharge); err != nil {
		return nil, err
	}
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.lockCustomer(ctx, tx, customer)
		if err != nil {
			return err
		}
		if l, err = r.line(s, billing.LineCharge); err != nil {
			return err
		}
		return wait(ctx, tx, l, owner.ID, 0)
	})
	return l, err
}

// lockCustomer finds a customer and keeps other writers of the account waiting.
func (s *Session) lockCustomer(ctx context.Context, tx *store.Tx, r Ref) (*billing.Customer, error) {
	owner, err := s.Customer(ctx, &tx.View, r)
	if err != nil {
		return nil, err
	}
	list, err := tx.LockCustomers(ctx, []billing.CustomerID{owner.ID})
	if err != nil || len(list) == 0 {
		return owner, err
	}
	return list[0], nil
}

// wait writes a line that waits for an invoice.
func wait(ctx context.Context, tx *store.Tx, l *billing.Line, c billing.CustomerID, sub billing.SubscriptionID) error {
	l.ID, l.CustomerID, l.SubscriptionID = billing.LineID(tx.NewID()), c, sub
	return tx.InsertLines(ctx, []*billing.Line{l})
}

// GiveCredit gives the customer a credit. It covers what is owed, or else what will
// be, and can be removed while it has covered nothing. Its line is negative.
func (c *Cashier) GiveCredit(ctx context.Context, s *Session, customer Ref, r LineRequest) (l *billing.Line, err error) {
	if _, err := r.line(s, billing.LineCredit); err != nil {
		return nil, err
	}
	err = c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if l, err = r.line(s, billing.LineCredit); err != nil {
			return err
		}
		l.Amount, l.Unit = l.Amount.Neg(), l.Unit.Neg()
		b.credit(agreement{owner: owner, creator: s.Login.Name, note: r.Description}, []billing.Line{*l}, s.Merchant.Money(0), 0)
		l = b.lines[0]
		b.balance(owner.ID)
		return b.flush(ctx)
	})
	return l, err
}

// AddAdjustment notes what is added to the next billing of a subscription, or taken
// off it. It is refused where that would come to less than nought
// (protocols/billing-circle.md 3.8).
func (c *Cashier) AddAdjustment(ctx context.Context, s *Session, customer, sub Ref, r LineRequest) (l *billing.Line, err error) {
	if _, err := r.line(s, billing.LineAdjustment); err != nil {
		return nil, err
	}
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		named, err := s.Subscription(ctx, &tx.View, owner, sub)
		if err != nil {
			return err
		}
		locked, err := tx.LockSubscriptionOf(ctx, owner.ID, named.ID)
		if err != nil {
			return err
		}
		if _, err := tx.LockCustomers(ctx, []billing.CustomerID{owner.ID}); err != nil {
			return err
		}
		l, err = s.adjust(ctx, tx, locked, r)
		return err
	})
	return l, err
}

// adjust writes an adjustment of a subscription that the caller has locked, or is
// about to make, in the caller's transaction.
func (s *Session) adjust(ctx context.Context, tx *store.Tx, sub *billing.Subscription, r LineRequest) (*billing.Line, error) {
	l, err := r.line(s, billing.LineAdjustment)
	if err != nil {
		return nil, err
	}
	switch {
	case sub.Ended() || sub.Complete():
		return nil, billing.Errorf(billing.State, "the subscription has no more billings")
	case sub.Composition == nil:
		return nil, billing.Errorf(billing.State, "the invoices of this subscription have no lines")
	case sub.Amount.Currency() != l.Amount.Currency():
		return nil, billing.Errorf(billing.State, "the subscription is in another currency")
	}
	waiting, err := waitingFor(ctx, tx, sub)
	if err != nil {
		return nil, err
	}
	if sum := sub.NextShare().Minor() + l.Amount.Minor() + waiting; sum < 0 || sum > billing.MaxAmount {
		return nil, billing.FieldError(billing.Invalid, "adjustment", "would bring the next bill below nought, or above %d", int64(billing.MaxAmount))
	}
	return l, wait(ctx, tx, l, sub.CustomerID, sub.ID)
}

// waitingFor is what the lines come to that wait for the next billing of a
// subscription.
func waitingFor(ctx context.Context, tx *store.Tx, sub *billing.Subscription) (sum int64, err error) {
	waiting, err := tx.WaitingLines(ctx, []billing.CustomerID{sub.CustomerID})
	for _, w := range waiting[sub.CustomerID] {
		if w.SubscriptionID == sub.ID {
			sum += w.Amount.Minor()
		}
	}
	return sum, err
}

// RemoveLine removes a charge or adjustment that waits, or takes back a credit that
// has covered nothing. Anything else is in a state to stay (State).
func (c *Cashier) RemoveLine(ctx context.Context, s *Session, customer Ref, id billing.LineID) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		l, err := tx.Line(ctx, id)
		if err != nil {
			return err
		}
		if l.CustomerID != owner.ID {
			return billing.Errorf(billing.NotFound, "line not found")
		}
		switch {
		case l.Waiting():
			return tx.DeleteLine(ctx, id)
		case l.Kind != billing.LineCredit:
			return billing.Errorf(billing.State, "the line stands on an invoice")
		}
		if err := b.load(ctx, l.ActivityID); err != nil {
			return err
		}
		credit := b.known[l.ActivityID]
		if credit == nil || credit.Kind != billing.Credit || credit.Open != credit.Amount || credit.AdjustedBy != 0 || l.SubscriptionID != 0 {
			return billing.Errorf(billing.State, "the credit is used")
		}
		by := &billing.Activity{Creator: s.Login.Name}
		if _, err := b.reverse(ctx, credit, billing.CreditReversal, by, ""); err != nil {
			return err
		}
		b.event(billing.ActivityRecorded, owner.ID, int64(by.ID))
		if err := b.flush(ctx); err != nil {
			return err
		}
		return tx.DeleteLine(ctx, id)
	})
}

// PurchaseRequest asks to sell something once.
type PurchaseRequest struct {
	Party
	Line  LineRequest
	Note  string
	Extra map[string]string // see billing.Details
}

// Purchased is what became of a purchase. If it was not approved there is no
// invoice.
type Purchased struct {
	Customer *billing.Customer
	Invoice  *billing.Activity
	Attempt  *billing.Attempt
}

// Purchase makes a charge, its invoice and the payment in one: what is asked for is
// charged, whatever credits there are. A decline leaves nothing but the attempt
// (protocols/recurly-v1.md 10.1).
func (c *Cashier) Purchase(ctx context.Context, s *Session, r PurchaseRequest) (*Purchased, error) {
	if _, err := r.Line.line(s, billing.LineCharge); err != nil {
		return nil, err
	}
	done := &Purchased{}
	var sale *billing.Sale
	attempt, err := c.strike(ctx, s, r.SecurityCode, func(tx *store.Tx) (*bargain, error) {
		g, err := c.party(ctx, s, tx, &r.Party)
		if err != nil {
			return nil, err
		}
		l, err := r.Line.line(s, billing.LineCharge)
		if err != nil {
			return nil, err
		}
		g.due, g.tax, g.note, g.extra = l.Amount, s.Merchant.Money(0), r.Note, r.Extra
		g.sale = &billing.Sale{MethodID: g.method, Deal: &billing.Deal{Currency: l.Amount.Currency(), Invoice: billing.ActivityID(tx.NewID()),
			Items: billing.Items([]billing.Line{*l})}}
		done.Customer, sale = g.owner, g.sale
		return g, nil
	})
	if err != nil {
		return nil, err
	}
	done.Attempt = attempt
	if billed(attempt) {
		err = s.Books.View(ctx, func(v *store.View) (err error) {
			done.Invoice, err = dealt(ctx, v, sale)
			return err
		})
	}
	return done, err
}
