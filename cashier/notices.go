package cashier

import (
	"context"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Notices takes in what a processor tells of charges that were thought
// finished, once a day by the merchant's clock: chargebacks, late returns,
// changed bank accounts. It returns how many it took in.
func (c *Cashier) Notices(ctx context.Context, m *billing.Merchant, at time.Time) (int, error) {
	account, err := c.account(ctx, m)
	if err != nil {
		return 0, err
	}
	next := m.Start(m.Today(at).AddDays(1))
	notices, err := account.Notices(ctx, m.Code, m.NoticesCursor, at)
	c.Step(ctx, "notices: answered")
	if err != nil { // no reason to keep anything else waiting
		c.Log.WarnContext(ctx, "the processor gives no notices; it is asked again in an hour", "merchant", m.Code, "error", err)
		next = at.Add(postponement)
	}
	if len(notices) == 0 {
		return 0, c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
			_, err := tx.UpdateNotices(ctx, m.NoticesCursor, m.NoticesCursor, next)
			return err
		})
	}
	for i, n := range notices {
		when := at // more may be waiting
		if i == len(notices)-1 {
			when = next
		}
		taken, err := c.notice(ctx, m, at, n, when)
		if store.AboutRow(err) { // no reason to keep anything but later notices waiting
			c.Log.ErrorContext(ctx, "a notice cannot be taken into the books until they are mended; it is tried again in an hour",
				"merchant", m.Code, "reference", n.Reference, "kind", string(n.Kind), "reason", plain(err))
			return i, c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
				_, err := tx.UpdateNotices(ctx, m.NoticesCursor, m.NoticesCursor, at.Add(postponement))
				return err
			})
		}
		if err != nil || !taken {
			return i, err
		}
	}
	return len(notices), nil
}

// notice takes one notice into the books and moves the cursor past it, in one
// transaction: it is taken in once. A notice of a charge whose own outcome is not
// written down yet, or that is being taken back, waits until that is known, and
// with it those that came later.
func (c *Cashier) notice(ctx context.Context, m *billing.Merchant, at time.Time, n billing.Notice, next time.Time) (taken bool, err error) {
	err = c.guarded(ctx, m, func(tx *store.Tx) error {
		taken = true
		moved, err := tx.UpdateNotices(ctx, m.NoticesCursor, n.Seq, next)
		if err != nil || !moved {
			return err // another worker was first
		}
		named, err := tx.AttemptByReference(ctx, n.Reference)
		if billing.KindOf(err) == billing.NotFound {
			c.Log.ErrorContext(ctx, "processor gave notice of a charge that is not ours", "merchant", m.Code, "reference", n.Reference, "kind", string(n.Kind))
			return nil
		}
		if err != nil {
			return err
		}
		locked, err := tx.LockAttempts(ctx, []billing.AttemptID{named.ID})
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, m, at, []billing.CustomerID{named.CustomerID})
		if err != nil {
			return err
		}
		if err := b.load(ctx, append(named.Details.Targets, named.ActivityID)...); err != nil {
			return err
		}
		if a := locked[named.ID]; a.State == billing.Sending || a.State == billing.AttemptUnknown || b.takenBack(a) {
			taken = false
			_, err := tx.UpdateNotices(ctx, n.Seq, m.NoticesCursor, m.Start(m.Today(at).AddDays(1)))
			return err
		}
		if err := c.take(ctx, b, locked[named.ID], n); err != nil {
			return err
		}
		b.balance(named.CustomerID)
		return b.flush(ctx)
	})
	if err == nil && taken {
		m.NoticesCursor = n.Seq
		c.Step(ctx, "notice: committed")
	}
	return taken, err
}

func (c *Cashier) take(ctx context.Context, b *book, a *billing.Attempt, n billing.Notice) error {
	pay := b.known[a.ActivityID]
	if pay == nil {
		return billing.Errorf(billing.Internal, "a notice came of an attempt that has no outcome yet")
	}
	if a.SettledBy != "" && a.State == billing.AttemptDeclined && n.Kind != billing.NoticeChange {
		b.contradict(a, "a "+string(n.Kind)+" of a payment that was settled as declined")
		b.answered = append(b.answered, a)
		return nil
	}
	switch n.Kind {
	case billing.NoticeChange:
		return c.changeMethod(ctx, b, a, n)
	case billing.NoticeReturn:
		if pay.AdjustedBy != 0 {
			return nil
		}
		was := a.State
		a.State, a.Response, a.CheckAt, a.LeaseUntil = billing.AttemptDeclined, n.Response, time.Time{}, time.Time{}
		b.answered = append(b.answered, a)
		return b.decline(ctx, a, was, n.Amount)
	case billing.NoticeChargeback:
		return b.chargeback(ctx, a, pay, n)
	case billing.NoticeChargebackReversed:
		return b.chargebackReversed(ctx, a, pay, n)
	}
	return billing.Errorf(billing.Internal, "a notice of an unknown kind came")
}

// reason is what a notice says of why, which the card networks' do not always.
func reason(n billing.Notice) string {
	if n.Response == "" {
		return ""
	}
	return n.Response.Text()
}

// chargeback takes a payment back because the cardholder's bank did. The debt
// is open again, but is not claimed by itself: the customer disputes it. A
// payment that was refunded already is paid out twice, which the customer owes.
func (b *book) chargeback(ctx context.Context, a *billing.Attempt, pay *billing.Activity, n billing.Notice) error {
	by := &billing.Activity{AttemptID: a.ID, Note: reason(n)}
	if n.Amount.Sign() > 0 && n.Amount.Minor() < pay.Amount.Minor() {
		by.Amount = n.Amount
	}
	if pay.AdjustedBy == 0 {
		if _, err := b.reverse(ctx, pay, billing.Chargeback, by, a.Processor); err != nil {
			return err
		}
	} else {
		by.AccountID, by.CustomerID, by.Kind, by.Instrument = pay.AccountID, pay.CustomerID, billing.Chargeback, pay.Instrument
		by.Masked, by.SubscriptionID, by.Period = pay.Masked, pay.SubscriptionID, -1
		if by.Amount.IsZero() {
			by.Amount = pay.Amount
		}
		b.post(by, nil, a.Processor)
	}
	b.fee(billing.ServiceFee, b.merchant.Settings.Fees.Chargeback, b.customers[pay.CustomerID], pay.SubscriptionID, "chargeback fee")
	b.event(billing.PaymentChargedBack, pay.CustomerID, int64(pay.ID))
	if pay.SubscriptionID == 0 {
		return nil
	}
	return b.withAccess(ctx, []billing.SubscriptionID{pay.SubscriptionID}, func(sub *billing.Subscription) error {
		return b.stopSold(ctx, sub, "charged back") // what is disputed is not used on, nor charged again
	})
}

// chargebackReversed gives a payment back that a chargeback had taken, unless
// the merchant has done so by hand.
func (b *book) chargebackReversed(ctx context.Context, a *billing.Attempt, pay *billing.Activity, n billing.Notice) error {
	// It need not be what took the payment back in the books: that may have been
	// a refund before it.
	all, err := b.tx.Activities(ctx, pay.CustomerID, store.ActivityFilter{Kind: billing.Chargeback, Page: store.Page{Limit: mostChargebacks}})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(x *billing.Activity) bool { return x.AttemptID == a.ID && x.AdjustedBy == 0 })
	if i < 0 {
		return nil
	}
	back := b.know(all[i])
	by := &billing.Activity{AttemptID: a.ID, Note: reason(n)}
	_, err = b.reverse(ctx, back, billing.ChargebackReversal, by, a.Processor)
	return err
}

// mostChargebacks bounds how many chargebacks of one customer are looked through.
const mostChargebacks = 1000

// changeMethod takes a NACHA notification of change into the stored bank
// account (protocols/unipay.md 6.5).
func (c *Cashier) changeMethod(ctx context.Context, b *book, a *billing.Attempt, n billing.Notice) error {
	if a.PaymentMethodID == 0 {
		return nil
	}
	m, err := b.tx.PaymentMethod(ctx, a.PaymentMethodID)
	if err != nil || !m.Vaulted() { // what was forgotten stays so
		return err
	}
	keys, err := c.keys(b.merchant)
	if err != nil {
		return err
	}
	number := n.Number.Reveal()
	if number == "" {
		plain, err := keys.Open(m.Sealed, sealedFor(m.ID))
		if err != nil {
			return err
		}
		number = string(plain)
	}
	if n.Routing != "" {
		m.Routing = n.Routing
	}
	if err := seal(keys, m, number); err != nil {
		return err
	}
	m.UpdatedAt = b.at
	b.event(billing.PaymentMethodChanged, m.CustomerID, int64(m.ID))
	return b.tx.UpdatePaymentMethod(ctx, m)
}
