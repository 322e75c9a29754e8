package cashier

import (
	"context"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Order is an attempt that is written down and not yet sent: what the billing
// run hands to Send.
type Order struct {
	Attempt *billing.Attempt
	Ask     bool                   // ask what became of it, do not send it: Rescue's
	method  *billing.PaymentMethod // whose number is charged
}

// Batch is what one step of the billing run did.
type Batch struct {
	Events   int     // subscriptions, debts or attempts that were moved on
	Invoices int     // of which invoices
	Bills    int     // of which bills, which are to be numbered
	Orders   []Order // attempts to be sent
}

// committed is the batch of a transaction, and nothing of one that failed: what
// that had written down is gone, and an order of it must never be sent.
func (c *Cashier) committed(ctx context.Context, step string, batch Batch, err error) (Batch, error) {
	if err != nil {
		return Batch{}, err
	}
	if batch.Events > 0 {
		c.Step(ctx, step)
	}
	return batch, nil
}

// Bill takes up to limit subscriptions past their next event: the invoice is
// made, prepayments are used up, and what remains owed is claimed, in one
// transaction per batch (protocols/unipay.md 6.3, steps 1 to 3). Subscriptions
// that another worker holds are left to it. until bounds when an event is taken
// up, latest its date.
func (c *Cashier) Bill(ctx context.Context, m *billing.Merchant, at, until time.Time, latest billing.Date, limit int) (batch Batch, err error) {
	account, err := c.processorName(ctx, m)
	if err != nil {
		return Batch{}, err
	}
	bill := func(claim func(*store.Tx) ([]*billing.Subscription, error)) (batch Batch, err error) {
		err = c.guarded(ctx, m, func(tx *store.Tx) error {
			batch = Batch{}
			subs, err := claim(tx)
			if err != nil || len(subs) == 0 {
				return err
			}
			batch, err = c.bill(ctx, tx, desk{m, at, account}, subs)
			return err
		})
		return batch, err
	}
	batch, err = bill(func(tx *store.Tx) ([]*billing.Subscription, error) { return tx.ClaimDue(ctx, until, latest, limit) })
	if store.AboutRow(err) {
		s := &sifting{c: c, m: m, queue: store.SubscriptionQueue, at: at, try: func(ids []store.Waiting) (Batch, error) {
			return bill(func(tx *store.Tx) ([]*billing.Subscription, error) {
				return tx.ClaimDueOf(ctx, rowsOf(ids), until, latest)
			})
		}}
		batch, err = s.sift(ctx, until, latest, limit)
	}
	return c.committed(ctx, "bill: committed", batch, err)
}

// desk is where a batch is written: whose, as of when, and the name under which
// the merchant's money lies.
type desk struct {
	merchant  *billing.Merchant
	at        time.Time
	processor string
}

// bill takes subscriptions past their next event, in a transaction.
func (c *Cashier) bill(ctx context.Context, tx *store.Tx, d desk, subs []*billing.Subscription) (batch Batch, err error) {
	adjusted, err := tx.OpenAdjustments(ctx, adjustedIDs(subs))
	if err != nil {
		return batch, err
	}
	b, err := openBook(ctx, tx, d.merchant, d.at, owners(subs))
	if err != nil {
		return batch, err
	}
	if err := b.lookAhead(ctx, composedOwners(subs)); err != nil {
		return batch, err
	}
	for _, s := range subs {
		invoiced, err := b.advance(ctx, s, adjusted[s.ID])
		if err != nil {
			return batch, err
		}
		batch.Events++
		batch.Invoices += invoiced
	}
	batch.Bills = len(b.bills)
	for _, id := range owners(subs) {
		b.balance(id)
	}
	if batch.Orders, err = b.claim(ctx, d.processor, owners(subs), c.Now().Add(c.Lease)); err != nil {
		return batch, err
	}
	return batch, b.flush(ctx)
}

// advance takes one subscription past its next event and posts the invoice
// that the event calls for, if any.
func (b *book) advance(ctx context.Context, s *billing.Subscription, adjustments []billing.Adjustment) (invoices int, err error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	due := s.Advance(adjustments)
	if due != nil && !due.Frozen && s.Composition != nil {
		waited := s.Change != nil
		changed, err := s.Renew(due, adjustments)
		if err != nil {
			return 0, err
		}
		if changed {
			b.reword(s)
		}
		if waited {
			b.event(billing.SubscriptionChanged, s.CustomerID, int64(s.ID))
		}
	}
	s.UpdatedAt = b.at
	b.schedule(s)
	if len(adjustments) > 0 {
		if err := b.tx.SaveAdjustments(ctx, s, adjustments, b.at); err != nil {
			return 0, err
		}
		b.event(billing.SubscriptionChanged, s.CustomerID, int64(s.ID))
	}
	if s.Ended() {
		b.event(billing.SubscriptionEnded, s.CustomerID, int64(s.ID))
	}
	if due == nil {
		return 0, nil
	}
	invoice, err := b.invoiceOf(ctx, s, due)
	if err != nil || invoice == nil {
		return 0, err
	}
	invoice.CollectAt = b.merchant.Start(due.Date)
	if invoice.CollectAt.Before(b.at) {
		invoice.CollectAt = b.at
	}
	if invoice.Open.IsZero() {
		invoice.CollectAt, invoice.AgeAt = time.Time{}, time.Time{} // a free billing
		b.paid[s.ID] = true
	}
	return 1, nil
}

// invoiceOf posts the invoice of a billing, nil if nothing is to be invoiced.
func (b *book) invoiceOf(ctx context.Context, s *billing.Subscription, due *billing.Due) (*billing.Activity, error) {
	if s.Composition != nil {
		return b.billLines(ctx, s, due)
	}
	amount, err := s.Price(due.Period)
	tax, note := s.PriceTax(due.Period), ""
	if due.Frozen {
		amount, tax, note = b.merchant.Money(b.merchant.Settings.Fees.FrozenBilling), b.merchant.Money(0), "fee while frozen"
	}
	if err != nil || due.Frozen && amount.IsZero() {
		return nil, err
	}
	invoice := b.post(&billing.Activity{
		AccountID: s.AccountID, CustomerID: s.CustomerID, Kind: billing.Invoice, Amount: amount, Tax: tax, Due: due.Date,
		SubscriptionID: s.ID, Period: due.Period, Note: note,
	}, nil, "")
	b.event(billing.InvoiceIssued, s.CustomerID, int64(invoice.ID))
	return invoice, nil
}

// Collect claims the debts of customers for whom a claim is due: retries,
// debts that can be paid with something new, invoices made before their billing
// date (protocols/unipay.md 6.3, 6.4).
func (c *Cashier) Collect(ctx context.Context, m *billing.Merchant, at time.Time, limit int) (batch Batch, err error) {
	account, err := c.processorName(ctx, m)
	if err != nil {
		return Batch{}, err
	}
	collect := func(find func(*store.Tx) ([]billing.CustomerID, error)) (batch Batch, err error) {
		err = c.guarded(ctx, m, func(tx *store.Tx) error {
			batch = Batch{}
			found, err := find(tx)
			if err != nil || len(found) == 0 {
				return err
			}
			ids := distinct(found)
			b, err := openBook(ctx, tx, m, at, ids)
			if err != nil {
				return err
			}
			for _, id := range ids {
				b.balance(id)
			}
			if batch.Orders, err = b.claim(ctx, account, ids, c.Now().Add(c.Lease)); err != nil {
				return err
			}
			batch.Events = len(found)
			return b.flush(ctx)
		})
		return batch, err
	}
	batch, err = collect(func(tx *store.Tx) ([]billing.CustomerID, error) { return tx.CollectableCustomers(ctx, at, limit) })
	if store.AboutRow(err) {
		s := &sifting{c: c, m: m, queue: store.CollectQueue, at: at, try: func(debts []store.Waiting) (Batch, error) {
			return collect(func(*store.Tx) ([]billing.CustomerID, error) { return customersOf(debts), nil })
		}}
		batch, err = s.sift(ctx, at, billing.Date{}, limit)
	}
	return c.committed(ctx, "collect: committed", batch, err)
}

// group is what one claim covers: the debts of a customer that are paid with
// one payment method, in one currency.
type group struct {
	customer billing.CustomerID
	method   billing.PaymentMethodID
	currency billing.Currency
}

// claim writes an attempt for each customer with a debt whose claim is due. The
// claim covers all that the customer owes by today, but for debts that another
// subscription pays with another payment method (protocols/unipay.md 6.4). A
// debt that cannot be claimed, because there is no payment method for it or the
// customer or the method is inactive, waits until that changes.
func (b *book) claim(ctx context.Context, processor string, customers []billing.CustomerID, lease time.Time) ([]Order, error) {
	methods, err := b.methodsOf(ctx, customers...)
	if err != nil {
		return nil, err
	}
	var due []group
	seen := make(map[group]billing.SubscriptionID)
	var wanted []billing.PaymentMethodID
	for _, id := range customers {
		for _, d := range b.open[id] {
			if !collectable(d) || d.CollectAt.IsZero() || d.CollectAt.After(b.at) {
				continue
			}
			g := group{id, methods[d.SubscriptionID], d.Open.Currency()}
			if _, ok := seen[g]; !ok {
				seen[g] = d.SubscriptionID
				due = append(due, g)
				wanted = append(wanted, g.method)
			}
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	vaulted, err := b.tx.PaymentMethodsByID(ctx, wanted)
	if err != nil {
		return nil, err
	}
	var orders []Order
	for _, g := range due {
		m := vaulted[g.method]
		if m == nil && g.method != 0 {
			return nil, billing.Errorf(billing.Internal, "the payment method is missing")
		}
		covered := b.covered(g, methods)
		if m == nil || !m.Active || !b.customers[g.customer].Active {
			for _, d := range covered {
				if !d.CollectAt.IsZero() {
					d.CollectAt = time.Time{}
					b.touch(d)
				}
			}
			continue
		}
		a, err := b.claimFor(covered, m, processor, lease)
		if err != nil {
			return nil, err
		}
		a.SubscriptionID = seen[g]
		orders = append(orders, Order{Attempt: a, method: m})
	}
	return orders, nil
}

func collectable(d *billing.Activity) bool {
	return d.Kind.IsDebt() && d.Open.Sign() > 0 && d.ClaimedBy == 0
}

// covered are the debts that a claim takes along.
func (b *book) covered(g group, methods map[billing.SubscriptionID]billing.PaymentMethodID) []*billing.Activity {
	var debts []*billing.Activity
	for _, d := range b.open[g.customer] {
		if collectable(d) && d.Open.Currency() == g.currency && !d.Due.After(b.today()) &&
			(d.SubscriptionID == 0 || methods[d.SubscriptionID] == g.method) {
			debts = append(debts, d)
		}
	}
	return debts
}

// claimFor writes the attempt that covers debts, and claims them for it.
func (b *book) claimFor(debts []*billing.Activity, m *billing.PaymentMethod, processor string, lease time.Time) (*billing.Attempt, error) {
	a := &billing.Attempt{
		MerchantID: m.MerchantID, ID: billing.AttemptID(b.tx.NewID()), AccountID: m.AccountID, CustomerID: m.CustomerID,
		ActivityID: billing.ActivityID(b.tx.NewID()), Kind: billing.AskCharge, Claim: true, Processor: processor,
		State: billing.Sending, CreatedAt: b.at, LeaseUntil: lease,
	}
	a.Reference = strconv.FormatInt(int64(a.ID), 10)
	payWith(a, m)
	var err error
	for _, d := range debts {
		if a.Amount, err = a.Amount.Add(d.Open); err != nil {
			return nil, err
		}
		if d.Open == d.Amount {
			if a.Tax, err = a.Tax.Add(d.Tax); err != nil {
				return nil, err
			}
		}
		a.Details.Targets = append(a.Details.Targets, d.ID)
		d.ClaimedBy, d.CollectAt = a.ID, time.Time{}
		b.touch(d)
	}
	a.Details.Creator = billing.System
	b.attempts = append(b.attempts, a)
	if b.merchant.Settings.Velocity.CountsRenewals() {
		b.counted = append(b.counted, store.CountedCharge{Fingerprint: m.Fingerprint, AttemptID: a.ID, At: b.at, Renewal: true})
	}
	return a, nil
}

// Send asks the processor what an order says: step 3. When the number cannot be
// opened it does not ask: nothing was charged, and Settle parks the debts.
func (c *Cashier) Send(ctx context.Context, m *billing.Merchant, o Order, at time.Time) (Answer, error) {
	account, err := c.account(ctx, m)
	if err != nil {
		return Answer{}, err
	}
	r := requestFor(m, o.Attempt, at)
	if o.Attempt.Kind != billing.AskCharge {
		return Answer{}, billing.Errorf(billing.Internal, "only charges are sent by a billing run")
	}
	keys, err := c.keys(m)
	if err != nil {
		return Answer{}, err
	}
	number, err := keys.Open(o.method.Sealed, sealedFor(o.method.ID))
	if err != nil {
		return unfit(o.Attempt, "the number of the payment method cannot be opened"), nil
	}
	r.Number = billing.NewSecret(string(number))
	c.Step(ctx, "send: begins")
	outcome := c.ask(ctx, account, o.Attempt, r)
	c.Step(ctx, "send: answered")
	return Answer{Attempt: o.Attempt, Outcome: outcome}, nil
}

// Grow charges late fees and writes off old debts whose day has come.
func (c *Cashier) Grow(ctx context.Context, m *billing.Merchant, at time.Time, limit int) (batch Batch, err error) {
	if err := c.Ready(ctx); err != nil {
		return Batch{}, err
	}
	grow := func(find func(*store.Tx) ([]billing.CustomerID, error)) (batch Batch, err error) {
		err = c.guarded(ctx, m, func(tx *store.Tx) error {
			batch = Batch{}
			found, err := find(tx)
			if err != nil || len(found) == 0 {
				return err
			}
			ids := distinct(found)
			b, err := openBook(ctx, tx, m, at, ids)
			if err != nil {
				return err
			}
			for _, id := range ids {
				for _, d := range append([]*billing.Activity(nil), b.open[id]...) {
					if d.Kind.IsDebt() && !d.AgeAt.IsZero() && !d.AgeAt.After(at) {
						b.grow(d)
						batch.Events++
					}
				}
				b.balance(id)
			}
			return b.flush(ctx)
		})
		return batch, err
	}
	batch, err = grow(func(tx *store.Tx) ([]billing.CustomerID, error) { return tx.AgingCustomers(ctx, at, limit) })
	if store.AboutRow(err) {
		s := &sifting{c: c, m: m, queue: store.AgeQueue, at: at, try: func(debts []store.Waiting) (Batch, error) {
			return grow(func(*store.Tx) ([]billing.CustomerID, error) { return customersOf(debts), nil })
		}}
		batch, err = s.sift(ctx, at, billing.Date{}, limit)
	}
	return c.committed(ctx, "grow: committed", batch, err)
}

// grow takes one debt past the day on which its age matters. A debt that is
// being claimed at this moment waits for the outcome until the next day.
func (b *book) grow(d *billing.Activity) {
	day := b.merchant.Today(d.AgeAt)
	b.touch(d)
	if d.ClaimedBy != 0 {
		d.AgeAt = b.merchant.Start(b.today().AddDays(1))
		return
	}
	switch d.GrowthOn(b.merchant, day) {
	case billing.GrowsLate:
		if d.Kind == billing.Invoice {
			b.fee(billing.LateFee, b.merchant.Settings.Fees.Late, b.customers[d.CustomerID], d.SubscriptionID, "late fee")
		}
	case billing.GrowsOld:
		off := b.post(&billing.Activity{AccountID: d.AccountID, CustomerID: d.CustomerID, Kind: billing.WriteOff,
			Instrument: billing.WrittenOff, Amount: d.Open, SubscriptionID: d.SubscriptionID, Period: -1, Note: "written off by age"}, nil, "")
		b.match(off, d)
		b.event(billing.ActivityRecorded, d.CustomerID, int64(off.ID))
	case billing.NoGrowth:
	}
	d.Age(b.merchant, day)
	if d.Open.IsZero() {
		d.AgeAt = time.Time{}
	}
}

// processorName is the name under which a merchant's money lies.
func (c *Cashier) processorName(ctx context.Context, m *billing.Merchant) (string, error) {
	account, err := c.account(ctx, m)
	if err != nil {
		return "", err
	}
	return account.Name(), nil
}

func owners(subs []*billing.Subscription) []billing.CustomerID {
	ids := make([]billing.CustomerID, len(subs))
	for i, s := range subs {
		ids[i] = s.CustomerID
	}
	return distinct(ids)
}

func distinct(ids []billing.CustomerID) []billing.CustomerID {
	seen := make(map[billing.CustomerID]bool, len(ids))
	var once []billing.CustomerID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	return once
}

func adjustedIDs(subs []*billing.Subscription) []billing.SubscriptionID {
	var ids []billing.SubscriptionID
	for _, s := range subs {
		if s.Adjusted {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
