package simulate

import (
	"fmt"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
)

// ledgers are the books of one merchant as the judge sees them: read by SQL of
// its own, not by the store's, so that one does not excuse the other.
type ledgers struct {
	shop        *shop
	merchant    *billing.Merchant
	today       billing.Date
	activities  []*item
	activity    map[int64]*item
	allocations []allocation
	entries     []entry
	attempts    []*attempt
	attempt     map[int64]*attempt
	subs        []*subscription
	adjustments []adjustment
	inactive    map[int64]bool // customers and payment methods
	keys        map[string]int64
	journal     []sandbox.Line
	papers
}

// item is an activity.
type item struct {
	id, customer, amount, tax, open, subscription, period, attempt, adjustedBy, adjusts, collectAt, tries, claimedBy int64
	kind                                                                                                             billing.ActivityKind
	state                                                                                                            billing.ActivityState
	due                                                                                                              string
	created                                                                                                          int64
}

type allocation struct{ source, target, amount, created, ended int64 }

type entry struct {
	activity, seq, customer, amount int64
	ledger                          string
}

type attempt struct {
	id, customer, activity, parent, amount, check, lease, created int64
	kind                                                          billing.AttemptKind
	claim                                                         bool
	reference, details, message                                   string
	state                                                         billing.AttemptState
	response                                                      billing.ResponseCode
}

type subscription struct {
	id, customer, method, length, amount, period, issued int64
	term                                                 billing.Term
	cycle                                                billing.Cycle
	first, invoicing, next, last                         string
	status                                               billing.SubscriptionStatus
	created                                              int64
	composed, piecemeal                                  bool
	initial                                              int64
	access                                               billing.Access
	anchors                                              []billing.Anchor
}

type adjustment struct {
	id, subscription, length, created int64
	kind                              billing.AdjustmentKind
	from, to, state                   string
}

// readAll reads the books of a merchant.
func (w *world) read(s *shop) (*ledgers, error) {
	l := &ledgers{shop: s, activity: map[int64]*item{}, attempt: map[int64]*attempt{}, inactive: map[int64]bool{}, keys: map[string]int64{}}
	m, err := w.books.MerchantByCode(w.ctx, s.code)
	if err != nil {
		return nil, err
	}
	l.merchant, l.today = m, m.Today(m.Now(w.wall))
	err = w.db.View(w.ctx, func(tx *sqldb.Tx) error {
		for _, read := range []func(*sqldb.Tx) error{
			func(tx *sqldb.Tx) error { return w.readActivities(tx, l) },
			func(tx *sqldb.Tx) error { return w.readMoney(tx, l) },
			func(tx *sqldb.Tx) error { return w.readSubscriptions(tx, l) },
			func(tx *sqldb.Tx) error { return l.readPapers(w.ctx, tx) },
		} {
			if err := read(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.journal, err = w.bank.Journal(w.ctx, s.code)
	return l, err
}

func (w *world) readActivities(tx *sqldb.Tx, l *ledgers) (err error) {
	l.activities, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (*item, error) {
		a := &item{}
		err := r.Scan(&a.id, &a.customer, &a.kind, &a.amount, &a.tax, &a.open, &a.state, &a.due, &a.subscription, &a.period, &a.attempt,
			&a.adjustedBy, &a.adjusts, &a.collectAt, &a.tries, &a.claimedBy, &a.created)
		return a, err
	}, `SELECT id, customer_id, kind, amount, tax, open, state, due, COALESCE(subscription_id, 0), COALESCE(period, -1), COALESCE(attempt_id, 0),
			COALESCE(adjusted_by, 0), COALESCE(adjusts, 0), COALESCE(collect_at, 0), tries, COALESCE(claimed_by, 0), created_at
		FROM activity WHERE merchant_id = $1 ORDER BY id`, int64(l.shop.id))
	for _, a := range l.activities {
		l.activity[a.id] = a
	}
	if err != nil {
		return err
	}
	l.attempts, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (*attempt, error) {
		a := &attempt{}
		err := r.Scan(&a.id, &a.customer, &a.activity, &a.parent, &a.kind, &a.claim, &a.reference, &a.amount, &a.details, &a.state, &a.response,
			&a.message, &a.check, &a.lease, &a.created)
		return a, err
	}, `SELECT id, customer_id, activity_id, COALESCE(parent_id, 0), kind, claim, reference, amount, details, state, response, message,
			COALESCE(check_at, 0), COALESCE(lease_until, 0), created_at
		FROM attempt WHERE merchant_id = $1 ORDER BY id`, int64(l.shop.id))
	for _, a := range l.attempts {
		l.attempt[a.id] = a
	}
	return err
}

func (w *world) readMoney(tx *sqldb.Tx, l *ledgers) (err error) {
	l.allocations, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (a allocation, err error) {
		err = r.Scan(&a.source, &a.target, &a.amount, &a.created, &a.ended)
		return a, err
	}, `SELECT source_id, target_id, amount, created_at, COALESCE(ended_at, 0) FROM allocation WHERE merchant_id = $1 ORDER BY id`, int64(l.shop.id))
	if err != nil {
		return err
	}
	l.entries, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (e entry, err error) {
		err = r.Scan(&e.activity, &e.seq, &e.ledger, &e.customer, &e.amount)
		return e, err
	}, `SELECT activity_id, seq, ledger, COALESCE(customer_id, 0), amount FROM entry WHERE merchant_id = $1 ORDER BY activity_id, seq`, int64(l.shop.id))
	if err != nil {
		return err
	}
	_, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (id int64, err error) {
		var key string
		err = r.Scan(&key, &id)
		l.keys[key] = id
		return id, err
	}, `SELECT key, object_id FROM idempotency WHERE merchant_id = $1 ORDER BY key`, int64(l.shop.id))
	return err
}

func (w *world) readSubscriptions(tx *sqldb.Tx, l *ledgers) (err error) {
	l.subs, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (*subscription, error) {
		s := &subscription{}
		var composition, anchors string
		err := r.Scan(&s.id, &s.customer, &s.method, &s.term, &s.length, &s.amount, &s.cycle, &s.first, &s.invoicing, &s.status, &s.period,
			&s.issued, &s.next, &s.last, &s.created, &composition, &anchors, &s.initial, &s.access)
		if err == nil && anchors != "" {
			s.anchors, err = billing.ParseAnchors(anchors)
		}
		s.composed, s.piecemeal = composition != "", strings.Contains(composition, `"plan":`)
		return s, err
	}, `SELECT id, customer_id, payment_method_id, term, length, amount + tax, cycle, first_date, first_invoicing, status, period, issued,
			next_date, last_date, created_at, composition, anchors, COALESCE(initial_amount, -1), access
		FROM subscription WHERE merchant_id = $1 ORDER BY id`, int64(l.shop.id))
	if err != nil {
		return err
	}
	l.adjustments, err = sqldb.Query(w.ctx, tx, func(r sqldb.Row) (a adjustment, err error) {
		err = r.Scan(&a.id, &a.subscription, &a.kind, &a.from, &a.to, &a.length, &a.state, &a.created)
		return a, err
	}, `SELECT id, subscription_id, kind, effective_date, end_date, length, state, created_at FROM adjustment
		WHERE merchant_id = $1 ORDER BY id`, int64(l.shop.id))
	if err != nil {
		return err
	}
	for _, table := range []string{"customer", "payment_method"} {
		_, err := sqldb.Query(w.ctx, tx, func(r sqldb.Row) (id int64, err error) {
			var active bool
			err = r.Scan(&id, &active)
			l.inactive[id] = l.inactive[id] || !active
			return id, err
		}, `SELECT id, active FROM `+table+` WHERE merchant_id = $1`, int64(l.shop.id))
		if err != nil {
			return err
		}
	}
	return nil
}

// text shows the books, for comparison and for people.
func (l *ledgers) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "merchant %s on %s\n", l.shop.code, l.today)
	for _, s := range l.subs {
		fmt.Fprintf(&b, "subscription %+v\n", *s)
	}
	for _, a := range l.adjustments {
		fmt.Fprintf(&b, "adjustment %+v\n", a)
	}
	for _, a := range l.activities {
		fmt.Fprintf(&b, "activity %+v\n", *a)
	}
	for _, a := range l.attempts {
		fmt.Fprintf(&b, "attempt %+v\n", *a)
	}
	for _, a := range l.allocations {
		fmt.Fprintf(&b, "allocation %+v\n", a)
	}
	for _, e := range l.entries {
		fmt.Fprintf(&b, "entry %+v\n", e)
	}
	for _, j := range l.journal {
		fmt.Fprintf(&b, "journal %d %s %s %s of %s %s %s\n", j.Seq, j.At.UTC().Format("2006-01-02T15:04"), j.Kind, j.Reference, j.Original, j.Response, j.Amount.Decimal())
	}
	return b.String()
}
