package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Span is a stretch of a merchant's time: From belongs to it, To does not. Oldest
// is the least id of an activity that can have been settled in it, 0 if that is not
// known: it spares looking through all that was ever posted.
type Span struct {
	From, To time.Time
	Currency billing.Currency // of what is asked for; sums of others mean nothing
	Oldest   billing.ActivityID
}

// OldestAt is the least id of an activity that was made at an instant of the
// world's time.
func OldestAt(at time.Time) billing.ActivityID {
	return billing.ActivityID(max(0, at.UnixMilli()-epoch) << (nodeBits + counterBits))
}

// Turnover lists what came in and went back in a span, as the postings on what
// holds the merchant's money have it: what is in clearing has not come in yet. It is
// in the order of settling; each part is for one bill, or for none.
func (v *View) Turnover(ctx context.Context, s Span) ([]billing.Turnover, error) {
	moves, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (m billing.Turnover, err error) {
		var at int64
		err = r.Scan(&m.Activity, &m.Subtotal, &at)
		m.At = instant(at)
		return m, err
	}, `SELECT activity_id, amount, posted_at FROM entry
		WHERE merchant_id = $1 AND activity_id >= $2 AND ledger LIKE 'cash:%' AND currency = $3 AND posted_at >= $4 AND posted_at < $5
		ORDER BY posted_at, activity_id, seq`, v.merchant, s.Oldest, s.Currency, s.From.UnixMicro(), s.To.UnixMicro())
	if err != nil {
		return nil, err
	}
	var list []billing.Turnover
	for part := range slices.Chunk(moves, 500) {
		if list, err = v.apportion(ctx, list, part); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// apportion finds out for which bills money was moved.
func (v *View) apportion(ctx context.Context, list, moves []billing.Turnover) ([]billing.Turnover, error) {
	ids := make([]billing.ActivityID, len(moves))
	for i, m := range moves {
		ids[i] = m.Activity
	}
	acts, err := v.activityMap(ctx, ids)
	if err != nil {
		return nil, err
	}
	origin, err := v.origins(ctx, acts)
	if err != nil {
		return nil, err
	}
	var payments []billing.ActivityID
	for _, id := range origin {
		payments = append(payments, id)
	}
	covered, debts, err := v.Covered(ctx, payments...)
	if err != nil {
		return nil, err
	}
	for _, m := range moves {
		a := acts[m.Activity]
		m.Customer, m.Instrument, m.Subscription = a.CustomerID, a.Instrument, a.SubscriptionID
		list = append(list, billing.Apportion(m, covered[origin[a.ID]], debts)...)
	}
	return list, nil
}

// Covered tells what payments have covered, and reads those debts. Of one that was
// taken back it is what it covered before.
func (v *View) Covered(ctx context.Context, payments ...billing.ActivityID) (map[billing.ActivityID][]billing.Allocation, map[billing.ActivityID]*billing.Activity, error) {
	if len(payments) == 0 {
		return nil, nil, nil
	}
	list, err := sqldb.Query(ctx, v.tx, scanAllocation, `SELECT `+allocationColumns+` FROM allocation
		WHERE merchant_id = $1 AND source_id `+v.tx.In(2)+` ORDER BY id`, v.merchant, sqldb.List(ints(payments)))
	if err != nil {
		return nil, nil, err
	}
	covered := make(map[billing.ActivityID][]billing.Allocation)
	last := make(map[billing.ActivityID]time.Time) // when what was dissolved last was
	holds := make(map[billing.ActivityID]bool)
	for _, a := range list {
		holds[a.Source] = holds[a.Source] || a.EndedAt.IsZero() && a.TargetKind.IsDebt()
		if a.EndedAt.After(last[a.Source]) {
			last[a.Source] = a.EndedAt
		}
	}
	var targets []billing.ActivityID
	for _, a := range list {
		counts := a.EndedAt.IsZero()
		if !holds[a.Source] {
			counts = !a.EndedAt.IsZero() && a.EndedAt.Equal(last[a.Source])
		}
		if counts {
			covered[a.Source] = append(covered[a.Source], *a)
			targets = append(targets, a.Target)
		}
	}
	debts, err := v.activityMap(ctx, targets)
	return covered, debts, err
}

// origins tells for each activity which payment says what its money was for: a
// payment itself, and of what gives one back the one that it gives back.
func (v *View) origins(ctx context.Context, acts map[billing.ActivityID]*billing.Activity) (map[billing.ActivityID]billing.ActivityID, error) {
	origin := make(map[billing.ActivityID]billing.ActivityID, len(acts))
	var attempts []billing.AttemptID
	for _, a := range acts {
		origin[a.ID] = a.ID
		if a.Adjusts != 0 {
			origin[a.ID] = a.Adjusts
		} else if a.Kind.Side() == billing.Debit && a.AttemptID != 0 {
			attempts = append(attempts, a.AttemptID)
		}
	}
	behind, err := v.AttemptsByID(ctx, attempts)
	for _, a := range acts { // what gives back a part names the payment in its attempt
		if at := behind[a.AttemptID]; at != nil && a.Adjusts == 0 && a.Kind.Side() == billing.Debit && len(at.Details.Targets) == 1 {
			origin[a.ID] = at.Details.Targets[0]
		}
	}
	return origin, err
}

func (v *View) activityMap(ctx context.Context, ids []billing.ActivityID) (map[billing.ActivityID]*billing.Activity, error) {
	list, err := v.ActivitiesByID(ctx, ids)
	found := make(map[billing.ActivityID]*billing.Activity, len(list))
	for _, a := range list {
		found[a.ID] = a
	}
	return found, err
}

// UnpaidDebts lists the debts that are not paid, by id: what is open, and what is
// covered by claims that are still in clearing.
func (v *View) UnpaidDebts(ctx context.Context) ([]*billing.Activity, error) {
	open, err := sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND open > 0 AND kind `+debtKinds, v.merchant)
	if err != nil {
		return nil, err
	}
	clearing, err := sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND open = 0 AND kind `+debtKinds+` AND id IN (SELECT l.target_id FROM attempt p
			JOIN allocation l ON l.merchant_id = p.merchant_id AND l.source_id = p.activity_id
			WHERE p.merchant_id = $1 AND p.check_at IS NOT NULL AND p.state = 'pending' AND l.ended_at IS NULL)`, v.merchant)
	list := append(open, clearing...)
	slices.SortFunc(list, func(a, b *billing.Activity) int { return cmp.Compare(a.ID, b.ID) })
	return list, err
}

const debtKinds = `IN ('invoice', 'service-fee', 'late-fee', 'access-fee', 'collection-fee', 'recovery-fee')`

// CoveredBy reads what covers a debt.
func (v *View) CoveredBy(ctx context.Context, debt billing.ActivityID) ([]*billing.Activity, error) {
	return sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity WHERE merchant_id = $1
		AND id IN (SELECT source_id FROM allocation WHERE merchant_id = $1 AND target_id = $2 AND ended_at IS NULL) ORDER BY id`, v.merchant, debt)
}

// LastInvoice reads the invoice of a customer that was made last; of one
// subscription, unless that is 0.
func (v *View) LastInvoice(ctx context.Context, c billing.CustomerID, s billing.SubscriptionID) (*billing.Activity, error) {
	of, args := "", []any{v.merchant, c}
	if s != 0 {
		of, args = " AND subscription_id = $3", append(args, s)
	}
	a, err := sqldb.One(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND customer_id = $2 AND kind = 'invoice'`+of+` ORDER BY id DESC LIMIT 1`, args...)
	return a, notFound(err, "invoice")
}

// FreeBills lists the invoices of subscriptions that were made in a span and cost
// nothing.
func (v *View) FreeBills(ctx context.Context, s Span) ([]*billing.Activity, error) {
	return sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND id >= $2 AND kind = 'invoice' AND amount = 0 AND subscription_id IS NOT NULL
			AND currency = $3 AND created_at >= $4 AND created_at < $5 ORDER BY id`,
		v.merchant, s.Oldest, s.Currency, s.From.UnixMicro(), s.To.UnixMicro())
}

// mostAskings bounds how many askings of a processor are looked through for one
// debt.
const mostAskings = 500

// LastAskingFor finds the last asking of a processor to pay a debt, nil if there was
// none.
func (v *View) LastAskingFor(ctx context.Context, debt *billing.Activity) (*billing.Attempt, error) {
	if debt.ClaimedBy != 0 {
		return v.Attempt(ctx, debt.ClaimedBy)
	}
	list, err := v.askings(ctx, debt, 0, false)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// RefusedBefore reports whether a debt was refused payment before a payment, whose
// id is later.
func (v *View) RefusedBefore(ctx context.Context, debt *billing.Activity, pay billing.ActivityID) (bool, error) {
	list, err := v.askings(ctx, debt, pay, true)
	return len(list) > 0, err
}

// askings lists the askings to pay a debt whose payment has an id below before, 0
// for all, the last first; refused narrows them to those that came to nothing.
func (v *View) askings(ctx context.Context, debt *billing.Activity, before billing.ActivityID, refused bool) ([]*billing.Attempt, error) {
	state := ""
	if refused {
		state = " AND state = 'declined'"
	}
	if before == 0 {
		before = math.MaxInt64
	}
	pays, err := sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity
		WHERE merchant_id = $1 AND customer_id = $2 AND id > $3 AND id < $4 AND kind IN ('claim', 'payment') AND attempt_id IS NOT NULL`+state+`
		ORDER BY id DESC LIMIT $5`, v.merchant, debt.CustomerID, debt.ID, before, int64(mostAskings))
	if err != nil {
		return nil, err
	}
	ids := make([]billing.AttemptID, len(pays))
	for i, p := range pays {
		ids[i] = p.AttemptID
	}
	behind, err := v.AttemptsByID(ctx, ids)
	var list []*billing.Attempt
	for _, p := range pays {
		if a := behind[p.AttemptID]; a != nil && slices.Contains(a.Details.Targets, debt.ID) {
			list = append(list, a)
		}
	}
	return list, err
}
