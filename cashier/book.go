package cashier

import (
	"context"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// book is the accounts of some customers, open on the desk of one transaction:
// the customers are locked, what is open in their accounts is read, and every
// change is collected and written at once by flush. A charge is a book of one
// customer, a batch of a billing run a book of hundreds; the rules are the same.
type book struct {
	tx        *store.Tx
	merchant  *billing.Merchant
	at        time.Time // the merchant's time of everything that is written
	customers map[billing.CustomerID]*billing.Customer
	open      map[billing.CustomerID][]*billing.Activity // open when read, or made since
	known     map[billing.ActivityID]*billing.Activity

	inserted    []*billing.Activity
	changed     []*billing.Activity
	dirty       map[billing.ActivityID]bool
	allocations []billing.Allocation
	entries     []billing.Entry
	events      []billing.Event
	attempts    []*billing.Attempt                     // new
	counted     []store.CountedCharge                  // by velocity controls, of attempts
	asked       map[billing.AttemptID]*billing.Attempt // of which answers are being written down
	answered    []*billing.Attempt                     // changed
	subs        []*billing.Subscription
	held        map[billing.SubscriptionID]*billing.Subscription // see subscriptions
	born        []*billing.Subscription                          // made in this transaction
	paid        map[billing.SubscriptionID]bool                  // whose invoices were covered
	settledNow  []billing.ActivityID                             // claims that were pending and are money now
	parked      []billing.Parked                                 // debts that cannot be claimed
	unparked    map[billing.ParkedNoun][]int64                   // what a verb has put into its queue again

	// What follows is of invoices with lines, and empty where there are none.

	pending  map[billing.CustomerID]*pending // what customers bring to the next one
	bills    []*billing.Bill
	lines    []*billing.Line         // new
	placed   []*billing.Line         // that waited, and stand on an invoice now
	redeemed []*billing.Redemption   // changed
	reworded []*billing.Subscription // what they are for has changed
	until    time.Time               // see Answer
}

func openBook(ctx context.Context, tx *store.Tx, m *billing.Merchant, at time.Time, ids []billing.CustomerID) (*book, error) {
	b := &book{tx: tx, merchant: m, at: at,
		customers: make(map[billing.CustomerID]*billing.Customer, len(ids)),
		open:      make(map[billing.CustomerID][]*billing.Activity, len(ids)),
		known:     make(map[billing.ActivityID]*billing.Activity),
		dirty:     make(map[billing.ActivityID]bool),
		paid:      make(map[billing.SubscriptionID]bool),
	}
	customers, err := tx.LockCustomers(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, c := range customers {
		b.customers[c.ID] = c
	}
	for _, id := range ids {
		if b.customers[id] == nil {
			return nil, billing.Errorf(billing.Internal, "the customer is missing")
		}
	}
	open, err := tx.OpenActivities(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, a := range open {
		b.know(a)
	}
	return b, nil
}

// know takes an activity into the book, if it is not there, and returns the one
// copy that the book works on.
func (b *book) know(a *billing.Activity) *billing.Activity {
	if have, ok := b.known[a.ID]; ok {
		return have
	}
	b.known[a.ID] = a
	b.open[a.CustomerID] = append(b.open[a.CustomerID], a)
	return a
}

// load reads activities that are perhaps no longer open into the book.
func (b *book) load(ctx context.Context, ids ...billing.ActivityID) error {
	var absent []billing.ActivityID
	for _, id := range ids {
		if id != 0 && b.known[id] == nil {
			absent = append(absent, id)
		}
	}
	list, err := b.tx.ActivitiesByID(ctx, absent)
	for _, a := range list {
		b.know(a)
	}
	return err
}

// subscriptions locks subscriptions and reads them, each once in the life of the
// book: answers that come together may change the same one, and the second must see
// what the first has made of it.
func (b *book) subscriptions(ctx context.Context, ids ...billing.SubscriptionID) (list []*billing.Subscription, err error) {
	if b.held == nil {
		b.held = make(map[billing.SubscriptionID]*billing.Subscription)
	}
	for _, known := range [][]*billing.Subscription{b.subs, b.born} {
		for _, s := range known {
			b.held[s.ID] = s
		}
	}
	var absent []billing.SubscriptionID
	for _, id := range ids {
		if b.held[id] == nil {
			absent = append(absent, id)
		}
	}
	if len(absent) > 0 {
		read, err := b.tx.LockSubscriptions(ctx, absent)
		if err != nil {
			return nil, err
		}
		for _, s := range read {
			b.held[s.ID] = s
		}
	}
	for _, id := range ids {
		if s := b.held[id]; s != nil && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list, nil
}

// post puts a new activity into the book and writes its entries. adjusted is
// the activity that it takes back, in the state in which its money lay.
func (b *book) post(a, adjusted *billing.Activity, processor string) *billing.Activity {
	a.MerchantID, a.CreatedAt = b.merchant.ID, b.at
	if a.ID == 0 {
		a.ID = billing.ActivityID(b.tx.NewID())
	}
	if a.State == "" {
		a.State = billing.Posted
	}
	if a.Creator == "" {
		a.Creator = billing.System
	}
	if a.Due.IsZero() {
		a.Due = b.today()
	}
	if adjusted != nil {
		a.Adjusts = adjusted.ID
	}
	switch a.State {
	case billing.Posted, billing.Pending:
		a.Open = a.Amount
	case billing.Declined, billing.Unknown:
		a.Open = billing.Minor(0, a.Amount.Currency())
	}
	if a.Kind.IsDebt() {
		a.Age(b.merchant, b.today().AddDays(-1))
	}
	b.entries = append(b.entries, billing.Postings(a, adjusted, processor)...)
	b.inserted = append(b.inserted, a)
	b.dirty[a.ID] = true
	return b.know(a)
}

func (b *book) today() billing.Date { return b.merchant.Today(b.at) }

// touch notes that an activity must be written.
func (b *book) touch(a *billing.Activity) {
	if !b.dirty[a.ID] {
		b.dirty[a.ID] = true
		b.changed = append(b.changed, a)
	}
}

// match covers as much of a debit as a credit can.
func (b *book) match(credit, debit *billing.Activity) {
	if m, ok := billing.Match(credit, debit); ok {
		b.record(m)
	}
}

// balance lets everything open in a customer's account cover what it can, by
// the merchant's rule.
func (b *book) balance(c billing.CustomerID) {
	var debits, credits []*billing.Activity
	for _, a := range b.open[c] {
		switch {
		case a.Open.Sign() <= 0:
		case a.Kind.Side() == billing.Debit:
			debits = append(debits, a)
		default:
			credits = append(credits, a)
		}
	}
	for _, m := range billing.Allocate(debits, credits, b.merchant.Settings.Balancing) {
		b.record(m)
	}
}

// record writes a match that was made, and what follows for a debt that is
// covered by it.
func (b *book) record(m billing.Allocation) {
	m.CreatedAt = b.at
	b.allocations = append(b.allocations, m)
	b.touch(b.known[m.Source])
	debt := b.known[m.Target]
	b.touch(debt)
	if debt.Kind.IsDebt() && debt.Open.IsZero() {
		debt.CollectAt, debt.AgeAt = time.Time{}, time.Time{}
		if debt.SubscriptionID != 0 {
			b.paid[debt.SubscriptionID] = true
		}
	}
}

// dissolve ends the allocations of an activity: what they covered is open
// again. It returns the activities on the other side.
func (b *book) dissolve(ctx context.Context, a *billing.Activity) ([]*billing.Activity, error) {
	ended, err := b.tx.EndAllocations(ctx, a.ID, b.at)
	if err != nil {
		return nil, err
	}
	var others []*billing.Activity
	for _, m := range ended {
		id := m.Target
		if id == a.ID {
			id = m.Source
		}
		if err := b.load(ctx, id); err != nil {
			return nil, err
		}
		other := b.known[id]
		for _, side := range []*billing.Activity{a, other} {
			side.Open = billing.Minor(side.Open.Minor()+m.Amount.Minor(), m.Amount.Currency())
			b.touch(side)
		}
		if other.Kind.IsDebt() {
			other.Age(b.merchant, b.today())
		}
		others = append(others, other)
	}
	return others, nil
}

// reverse takes an activity back by a new one of the same amount: its
// allocations are dissolved, the two cover each other, and what was freed is
// balanced anew (protocols/unipay.md 4.6).
func (b *book) reverse(ctx context.Context, a *billing.Activity, k billing.ActivityKind, by *billing.Activity, processor string) ([]*billing.Activity, error) {
	freed, err := b.dissolve(ctx, a)
	if err != nil {
		return nil, err
	}
	by.AccountID, by.CustomerID, by.Kind = a.AccountID, a.CustomerID, k
	by.Instrument, by.Masked = a.Instrument, a.Masked
	if by.Amount.IsZero() {
		by.Amount, by.Tax = a.Amount, a.Tax
	}
	by.SubscriptionID, by.Period = a.SubscriptionID, -1
	b.post(by, a, processor)
	if by.Kind.Side() == billing.Debit {
		b.match(a, by)
	} else {
		b.match(by, a)
	}
	a.AdjustedBy = by.ID
	a.CollectAt, a.AgeAt = time.Time{}, time.Time{}
	b.touch(a)
	return freed, nil
}

// fee charges the customer one of the merchant's fees; a fee of nought is none.
func (b *book) fee(kind billing.ActivityKind, amount int64, c *billing.Customer, sub billing.SubscriptionID, note string) {
	if amount == 0 {
		return
	}
	f := b.post(&billing.Activity{AccountID: c.AccountID, CustomerID: c.ID, Kind: kind, Amount: b.merchant.Money(amount),
		SubscriptionID: sub, Period: -1, Note: note}, nil, "")
	b.event(billing.ActivityRecorded, c.ID, int64(f.ID))
}

// renew lets the debts of a customer that pass be claimed anew, because they
// can be paid with something new.
func (b *book) renew(c billing.CustomerID, pass func(*billing.Activity) bool) {
	for _, d := range b.open[c] {
		if d.Kind.IsDebt() && d.Open.Sign() > 0 && d.SubscriptionID != 0 && !d.Due.After(b.today()) && pass(d) {
			d.Renewed(b.at)
			b.touch(d)
			b.unpark(billing.ParkedDebt, int64(d.ID))
		}
	}
}

// renewPaidWith lets the debts of the subscriptions that a payment method pays
// be claimed anew.
func (b *book) renewPaidWith(ctx context.Context, m *billing.PaymentMethod) error {
	methods, err := b.methodsOf(ctx, m.CustomerID)
	if err != nil {
		return err
	}
	b.renew(m.CustomerID, func(d *billing.Activity) bool { return methods[d.SubscriptionID] == m.ID })
	return nil
}

// methodsOf tells which payment method pays each subscription with an open debt
// in the book, for the customers given.
func (b *book) methodsOf(ctx context.Context, customers ...billing.CustomerID) (map[billing.SubscriptionID]billing.PaymentMethodID, error) {
	methods := make(map[billing.SubscriptionID]billing.PaymentMethodID)
	for _, s := range b.subs {
		methods[s.ID] = s.PaymentMethodID
	}
	var absent []billing.SubscriptionID
	for _, c := range customers {
		for _, d := range b.open[c] {
			if d.SubscriptionID == 0 || !d.Kind.IsDebt() || d.Open.Sign() <= 0 {
				continue
			}
			if _, ok := methods[d.SubscriptionID]; !ok {
				methods[d.SubscriptionID] = 0
				absent = append(absent, d.SubscriptionID)
			}
		}
	}
	if len(absent) == 0 {
		return methods, nil
	}
	found, err := b.tx.MethodsOfSubscriptions(ctx, absent)
	for id, m := range found {
		methods[id] = m
	}
	return methods, err
}

// unpark notes that work which is perhaps parked is in its queue again.
func (b *book) unpark(n billing.ParkedNoun, id int64) {
	if b.unparked == nil {
		b.unparked = make(map[billing.ParkedNoun][]int64)
	}
	b.unparked[n] = append(b.unparked[n], id)
}

func (b *book) event(k billing.EventKind, c billing.CustomerID, object int64) {
	b.events = append(b.events, billing.Event{MerchantID: b.merchant.ID, Kind: k, CustomerID: c, ObjectID: object, CreatedAt: b.at})
}

// flush writes everything, and ends the fixed terms whose last invoice is paid.
func (b *book) flush(ctx context.Context) error {
	return b.tx.Gather(func() error { return b.write(ctx) })
}

func (b *book) write(ctx context.Context) error {
	for _, write := range []func() error{
		func() error { return b.tx.InsertSubscriptions(ctx, b.born...) },
		func() error { return b.tx.InsertActivities(ctx, b.inserted) },
		func() error { return b.writeBills(ctx) },
		func() error { return b.tx.UpdateActivities(ctx, b.changed) },
		func() error { return b.tx.InsertAllocations(ctx, b.allocations) },
		func() error { return b.tx.InsertEntries(ctx, b.entries) },
		func() error { return b.tx.InsertAttempts(ctx, b.attempts) },
		func() error { return b.tx.InsertCounted(ctx, b.counted) },
		func() error { return b.tx.UpdateAttempts(ctx, b.answered) },
		func() error { return b.expire(ctx) },
		func() error { return b.tx.UpdateSubscriptions(ctx, b.subs) },
		func() error { return b.tx.InsertParked(ctx, b.parked...) },
		func() error {
			for _, n := range []billing.ParkedNoun{billing.ParkedSubscription, billing.ParkedDebt} {
				if err := b.tx.Unpark(ctx, n, b.unparked[n], b.at); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return b.tx.InsertEvents(ctx, b.events) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// expire ends fixed terms that have issued their last invoice and owe nothing
// any more, not even by way of a pending claim (protocols/unipay.md 6.3).
func (b *book) expire(ctx context.Context) error {
	settled, err := b.tx.CoveredSubscriptions(ctx, b.settledNow)
	if err != nil {
		return err
	}
	for _, id := range settled {
		b.paid[id] = true
	}
	if len(b.paid) == 0 {
		return nil
	}
	var complete []*billing.Subscription
	have := make(map[billing.SubscriptionID]bool, len(b.subs))
	for _, s := range b.subs {
		have[s.ID] = true
		if b.paid[s.ID] && s.Complete() && s.Access == billing.AnyAccess && !s.Ended() {
			complete = append(complete, s)
		}
	}
	var others []billing.SubscriptionID
	for id := range b.paid {
		if !have[id] {
			others = append(others, id)
		}
	}
	locked, err := b.tx.LockComplete(ctx, others)
	if err != nil {
		return err
	}
	complete = append(complete, locked...)
	if len(complete) == 0 {
		return nil
	}
	unsettled, err := b.tx.Unsettled(ctx, complete)
	if err != nil {
		return err
	}
	for _, s := range complete {
		if unsettled[s.ID] {
			continue
		}
		s.Expire()
		s.NextAt, s.UpdatedAt = time.Time{}, b.at
		b.event(billing.SubscriptionEnded, s.CustomerID, int64(s.ID))
		if !have[s.ID] {
			b.subs = append(b.subs, s)
		}
	}
	return nil
}
