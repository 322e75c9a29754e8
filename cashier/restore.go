package cashier

import (
	"context"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/store"
)

// Comparison is what became of holding a merchant's books against what its
// processor lists.
type Comparison struct {
	Processor string
	Listed    bool             // the processor lists what it did; if not, nothing is known
	Since     time.Time        // what was compared lies after this instant of the merchant's clock
	Seen      int              // deeds compared
	Missing   []processor.Deed // of which the books know nothing
}

// overlap is how far behind the latest deed a comparison begins the next time.
// What was asked for at one time may reach the processor's list later, but no
// later than the lease of its attempt allows.
const overlap = time.Hour

// Compare holds the books against what the merchant's processor lists as done
// since they were last compared. Each intention is committed before it is sent,
// so what the processor lists and the books lack was committed to other books: a
// state that was lost, or a copy. If nothing is missing the comparison is noted,
// and the next begins where it ended. It does not depend on Ready.
func (c *Cashier) Compare(ctx context.Context, m *billing.Merchant) (Comparison, error) {
	account, err := c.Processor(m)
	if err != nil {
		return Comparison{}, err
	}
	found := Comparison{Processor: account.Name(), Listed: account.Lists()}
	if !found.Listed {
		return found, nil
	}
	err = c.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		found.Since, err = v.Compared(ctx, found.Processor)
		return err
	})
	if err != nil {
		return found, err
	}
	at, seq := found.Since, int64(0)
	for {
		list, err := account.Deeds(ctx, m.Code, at, seq)
		if err != nil {
			return found, err
		}
		if len(list) == 0 {
			break
		}
		missing, err := c.unknown(ctx, m, list)
		if err != nil {
			return found, err
		}
		found.Seen += len(list)
		found.Missing = append(found.Missing, missing...)
		last := list[len(list)-1]
		at, seq = last.At, last.Seq
	}
	if upto := at.Add(-overlap); len(found.Missing) == 0 && upto.After(found.Since) {
		err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
			return tx.SetCompared(ctx, found.Processor, upto, c.Now())
		})
	}
	return found, err
}

// unknown picks the deeds whose references the books do not know. The books are
// read after the list, so what is being done meanwhile is no false alarm.
func (c *Cashier) unknown(ctx context.Context, m *billing.Merchant, list []processor.Deed) (missing []processor.Deed, err error) {
	references := make([]string, len(list))
	for i, d := range list {
		references[i] = d.Reference
	}
	err = c.Store.View(ctx, m.ID, func(v *store.View) error {
		known, err := v.KnownReferences(ctx, references)
		missing = nil
		for _, d := range list {
			if _, ok := known[d.Reference]; !ok {
				missing = append(missing, d)
			}
		}
		return err
	})
	return missing, err
}

// Import writes what a processor did, and the books lost, into the books as if
// they had never lost it: the attempt under its reference, and through the rules
// by which every answer is settled the payment and its entries. A payment then
// stands on the account of its customer and covers what is owed there, now or
// when the billing run makes the invoice anew, so that nothing is charged for it
// again. It returns the deeds whose customer the books do not know: their money
// stands on the account of a customer made for that, for a person to move. Doing
// it twice is doing it once.
func (c *Cashier) Import(ctx context.Context, m *billing.Merchant, deeds []processor.Deed) (strays []processor.Deed, err error) {
	account, err := c.Processor(m)
	if err != nil {
		return nil, err
	}
	for _, d := range deeds {
		attempt, stray, err := c.importIntention(ctx, m, account.Name(), d)
		if err != nil {
			return strays, err
		}
		if stray {
			strays = append(strays, d)
		}
		if attempt == nil || attempt.Final() {
			continue
		}
		if _, err := c.Settle(ctx, m, d.At, []Answer{{Attempt: attempt, Outcome: d.Outcome}}); err != nil {
			return strays, err
		}
	}
	return strays, nil
}

// importIntention writes the attempt that the books lost, nil if they have it.
func (c *Cashier) importIntention(ctx context.Context, m *billing.Merchant, name string, d processor.Deed) (attempt *billing.Attempt, stray bool, err error) {
	err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		attempt, stray = nil, false
		known, err := tx.AttemptByReference(ctx, d.Reference)
		if err == nil {
			if known.Details.Note == importNote && !known.Final() {
				attempt = known // an import that was broken off
			}
			return nil
		}
		if billing.KindOf(err) != billing.NotFound {
			return err
		}
		a := &billing.Attempt{
			MerchantID: m.ID, ID: billing.AttemptID(tx.NewID()), ActivityID: billing.ActivityID(tx.NewID()), Kind: d.Kind, Processor: name,
			Reference: d.Reference, Amount: d.Amount, Tax: m.Money(0), Instrument: d.Instrument, Masked: d.Masked, State: billing.Sending,
			Details: billing.Details{Note: importNote, Creator: billing.System}, CreatedAt: d.At, LeaseUntil: c.Now().Add(c.Lease),
		}
		a.Tax = billing.Minor(0, d.Amount.Currency())
		if d.Kind == billing.AskAuthorize {
			a.ActivityID = 0
		}
		if stray, err = place(ctx, tx, m, a, d); err != nil {
			return err
		}
		if d.Outcome.State == billing.AttemptDeclined && d.Kind != billing.AskCredit {
			// Nothing was moved. It is noted so that the processor's list and the
			// books agree, and counts as no try.
			a.Claim = d.Kind == billing.AskCharge
			a.State, a.Response, a.Message, a.ProcessorID = d.Outcome.State, d.Outcome.Response, d.Outcome.Message, d.Outcome.ProcessorID
			a.AnsweredAt, a.LeaseUntil = d.At, time.Time{}
		}
		attempt = a
		return tx.InsertAttempts(ctx, []*billing.Attempt{a})
	})
	if err == nil && attempt != nil {
		c.Step(ctx, "import: intention committed")
	}
	return attempt, stray, err
}

// importNote marks what was taken in after books were restored.
const importNote = "found at the processor after the books were restored"

// place finds whose attempt an act was: the payer's of the act that it takes
// back, or the customer's that was named to the processor.
func place(ctx context.Context, tx *store.Tx, m *billing.Merchant, a *billing.Attempt, d processor.Deed) (stray bool, err error) {
	if d.Kind == billing.AskVoid || d.Kind == billing.AskRefund {
		parent, err := tx.AttemptByReference(ctx, d.Original)
		if err == nil {
			a.AccountID, a.CustomerID, a.Parent, a.PaymentMethodID = parent.AccountID, parent.CustomerID, parent.ID, parent.PaymentMethodID
			a.Instrument, a.Masked = parent.Instrument, parent.Masked
			if a.Details.Targets = []billing.ActivityID{parent.ActivityID}; parent.Kind == billing.AskAuthorize {
				a.ActivityID, a.Details.Targets = 0, nil
			}
			return false, nil
		}
		if billing.KindOf(err) != billing.NotFound || d.Outcome.State != billing.AttemptDeclined {
			return false, err
		}
	}
	id, err := strconv.ParseInt(d.Customer, 10, 64)
	if err == nil {
		owner, err := tx.Customer(ctx, billing.CustomerID(id))
		if err == nil {
			a.AccountID, a.CustomerID = owner.AccountID, owner.ID
			return false, nil
		}
		if billing.KindOf(err) != billing.NotFound {
			return false, err
		}
	}
	owner, err := lostAndFound(ctx, tx, m, d.At)
	if err != nil {
		return false, err
	}
	a.AccountID, a.CustomerID = owner.AccountID, owner.ID
	return true, nil
}

// LostAndFound is the code of the customer on whose account money stands that
// belongs to a customer whom the restored books do not know.
const LostAndFound = "perennial-lost-and-found"

// lostAndFound finds or makes that customer, in the merchant's first account.
func lostAndFound(ctx context.Context, tx *store.Tx, m *billing.Merchant, at time.Time) (*billing.Customer, error) {
	accounts, err := tx.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, billing.Errorf(billing.State, "merchant %s has no account to which lost money could be booked", m.Code)
	}
	s := &Session{Merchant: m}
	scope := s.scope(store.CustomerNoun, accounts[0].ID, 0)
	id, err := tx.Resolve(ctx, store.CustomerNoun, scope, LostAndFound)
	if err == nil {
		return tx.Customer(ctx, billing.CustomerID(id))
	}
	if billing.KindOf(err) != billing.NotFound {
		return nil, err
	}
	c := &billing.Customer{MerchantID: m.ID, ID: billing.CustomerID(tx.NewID()), AccountID: accounts[0].ID, Code: LostAndFound,
		FirstName: "Lost", LastName: "and found", CreatedAt: at, UpdatedAt: at}
	if err := tx.InsertCustomers(ctx, c); err != nil {
		return nil, err
	}
	return c, reserve(ctx, tx, store.CustomerNoun, scope, c.Code, int64(c.ID))
}
