package store

import (
	"context"
	"slices"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Transaction is what a processor was asked for, as merchants see it: a payment, a
// refund, or a look at a card. A void is no transaction of its own but the end of
// the one that it takes back.
type Transaction struct {
	Attempt  *billing.Attempt
	Activity *billing.Activity    // nil of a look at a card
	Original *billing.Activity    // of a refund: the payment that it gives back, nil of a credit without one
	Void     *billing.Activity    // that took the whole back before it was settled, nil if none did
	Refunds  []*billing.Activity  // of it, in order
	Invoices []billing.ActivityID // that it pays, the first first; of a decline what it was for, of a refund what was paid
}

// GivenBack is how much of a payment was refunded, in minor units.
func (t *Transaction) GivenBack() (minor int64) {
	for _, r := range t.Refunds {
		minor += r.Amount.Minor()
	}
	return minor
}

// TransactionShow is which transactions a list shows.
type TransactionShow string

// What is shown; "" is all.
const (
	ShowSuccessful TransactionShow = "successful" // approved, or in clearing, and not voided
	ShowFailed     TransactionShow = "failed"     // declined, or come back
	ShowVoided     TransactionShow = "voided"
	ShowPayments   TransactionShow = "payments" // also looks at cards
	ShowRefunds    TransactionShow = "refunds"
)

// TransactionFilter narrows a list of transactions.
type TransactionFilter struct {
	Customer      billing.CustomerID  // 0 is all of the merchant
	Accounts      []billing.AccountID // none means all
	Show          TransactionShow
	Offset, Limit int
}

// voided holds of an activity a that a void has taken back.
const voided = `EXISTS (SELECT 1 FROM activity v WHERE v.merchant_id = a.merchant_id AND v.id = a.adjusted_by AND v.kind = 'void')`

// shown are the conditions on activities and on looks at cards, "" if none is shown.
func (s TransactionShow) shown() (activities, looks string) {
	switch s {
	case ShowSuccessful:
		return `state IN ('posted', 'pending') AND NOT ` + voided, `state = 'approved'`
	case ShowFailed:
		return `state = 'declined'`, `state = 'declined'`
	case ShowVoided:
		return voided, ""
	case ShowPayments:
		return `kind <> 'refund'`, `state <> 'sending'`
	case ShowRefunds:
		return `kind = 'refund'`, ""
	}
	return `kind <> ''`, `state <> 'sending'`
}

// transactions makes the statement that finds the ids of transactions; bound is how
// many of each part are looked at, 0 for all.
func (v *View) transactions(f TransactionFilter, bound int) (statement string, args []any) {
	arg := func(value any) string {
		args = append(args, value)
		return "$" + strconv.Itoa(len(args))
	}
	arg(v.merchant)
	more := ""
	if f.Customer != 0 {
		more += ` AND customer_id = ` + arg(f.Customer)
	}
	if len(f.Accounts) > 0 {
		arg(sqldb.List(ints(f.Accounts)))
		more += ` AND account_id ` + v.tx.In(len(args))
	}
	if bound > 0 {
		more += ` ORDER BY id DESC LIMIT ` + arg(int64(bound))
	}
	activities, looks := f.Show.shown()
	parts := `SELECT id FROM activity a WHERE merchant_id = $1 AND kind IN ('payment', 'claim', 'refund') AND attempt_id IS NOT NULL AND ` + activities + `
		AND NOT EXISTS (SELECT 1 FROM subscription s WHERE s.merchant_id = a.merchant_id AND s.id = a.subscription_id AND s.status = 'gone')
		AND NOT EXISTS (SELECT 1 FROM customer c WHERE c.merchant_id = a.merchant_id AND c.id = a.customer_id AND c.standing = 'gone')` + more
	if looks == "" {
		return parts, args
	}
	look := `SELECT id FROM attempt t WHERE merchant_id = $1 AND kind = 'authorize' AND ` + looks + `
		AND NOT EXISTS (SELECT 1 FROM customer c WHERE c.merchant_id = t.merchant_id AND c.id = t.customer_id AND c.standing = 'gone')` + more
	return `SELECT id FROM (` + parts + `) AS p UNION ALL SELECT id FROM (` + look + `) AS q`, args
}

// Transactions lists transactions, the newest first.
func (v *View) Transactions(ctx context.Context, f TransactionFilter) ([]*Transaction, error) {
	if f.Limit < 1 {
		return nil, nil
	}
	// Ids rise with time, those of activities and attempts alike.
	statement, args := v.transactions(f, f.Offset+f.Limit)
	n := len(args)
	ids, err := sqldb.Query(ctx, v.tx, sqldb.Scalar[int64],
		`SELECT id FROM (`+statement+`) AS x ORDER BY id DESC LIMIT $`+strconv.Itoa(n+1)+` OFFSET $`+strconv.Itoa(n+2),
		append(args, int64(f.Limit), int64(f.Offset))...)
	if err != nil {
		return nil, err
	}
	return v.transactionsOf(ctx, ids)
}

// CountTransactions counts what Transactions lists without a page.
func (v *View) CountTransactions(ctx context.Context, f TransactionFilter) (n int64, err error) {
	statement, args := v.transactions(f, 0)
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*) FROM (`+statement+`) AS x`, args...).Scan(&n)
	return n, err
}

// Transaction reads one transaction by its attempt.
func (v *View) Transaction(ctx context.Context, id billing.AttemptID) (*Transaction, error) {
	a, err := v.Attempt(ctx, id)
	if err != nil {
		return nil, notFound(err, "transaction")
	}
	of := int64(a.ActivityID)
	if a.Kind == billing.AskAuthorize {
		of = int64(a.ID)
	}
	list, err := v.transactionsOf(ctx, []int64{of})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Attempt.ID != id {
		return nil, billing.Errorf(billing.NotFound, "transaction not found")
	}
	return list[0], nil
}

// transactionsOf reads transactions by the ids of their activities or, of looks at
// cards, of their attempts, in the order of the ids.
func (v *View) transactionsOf(ctx context.Context, ids []int64) ([]*Transaction, error) {
	found := make(map[int64]*Transaction, len(ids))
	activities, err := v.ActivitiesByID(ctx, typed[billing.ActivityID](ids))
	if err != nil {
		return nil, err
	}
	attempts := typed[billing.AttemptID](ids)
	for _, a := range activities {
		found[int64(a.ID)] = &Transaction{Activity: a}
		attempts = append(attempts, a.AttemptID)
	}
	asked, err := v.AttemptsByID(ctx, attempts)
	if err != nil {
		return nil, err
	}
	for id, a := range asked {
		if a.Kind == billing.AskAuthorize {
			found[int64(id)] = &Transaction{Attempt: a}
		}
	}
	var charges []billing.AttemptID
	for _, t := range found {
		if t.Activity != nil {
			t.Attempt = asked[t.Activity.AttemptID]
			charges = append(charges, t.Attempt.ID, t.Attempt.Parent)
		}
	}
	if err := v.undone(ctx, found, charges); err != nil {
		return nil, err
	}
	list := make([]*Transaction, 0, len(ids))
	for _, id := range ids {
		if t := found[id]; t != nil {
			list = append(list, t)
		}
	}
	return list, v.invoicesOf(ctx, list)
}

// undone fills in what took transactions back, and what refunds give back.
func (v *View) undone(ctx context.Context, found map[int64]*Transaction, charges []billing.AttemptID) error {
	if len(charges) == 0 {
		return nil
	}
	by := make(map[billing.AttemptID]*Transaction, len(found))
	for _, t := range found {
		by[t.Attempt.ID] = t
	}
	list, err := sqldb.Query(ctx, v.tx, scanActivity, `SELECT `+activityColumns+` FROM activity WHERE merchant_id = $1 AND id IN (
			SELECT activity_id FROM attempt WHERE merchant_id = $1 AND parent_id `+v.tx.In(2)+` AND kind IN ('void', 'refund')
		) ORDER BY id`, v.merchant, sqldb.List(ints(charges)))
	if err != nil || len(list) == 0 {
		return err
	}
	ids := make([]billing.AttemptID, len(list))
	for i, a := range list {
		ids[i] = a.AttemptID
	}
	undoing, err := v.AttemptsByID(ctx, ids)
	if err != nil {
		return err
	}
	var originals []billing.AttemptID
	for _, a := range list {
		parent := undoing[a.AttemptID].Parent
		if t := by[parent]; t != nil && a.Kind == billing.Void {
			t.Void = a
		} else if t != nil {
			t.Refunds = append(t.Refunds, a)
		}
		if by[a.AttemptID] != nil {
			originals = append(originals, parent)
		}
	}
	return v.originals(ctx, by, originals)
}

// originals fills in the payments that refunds give back.
func (v *View) originals(ctx context.Context, by map[billing.AttemptID]*Transaction, charges []billing.AttemptID) error {
	of, err := v.AttemptsByID(ctx, charges)
	if err != nil || len(of) == 0 {
		return err
	}
	var ids []billing.ActivityID
	for _, a := range of {
		ids = append(ids, a.ActivityID)
	}
	list, err := v.ActivitiesByID(ctx, ids)
	if err != nil {
		return err
	}
	payments := make(map[billing.AttemptID]*billing.Activity, len(list))
	for _, a := range list {
		payments[a.AttemptID] = a
	}
	for _, t := range by {
		if t.Attempt.Parent != 0 {
			t.Original = payments[t.Attempt.Parent]
		}
	}
	return nil
}

// invoicesOf fills in the invoices that payments cover, or covered before they were
// taken back, the one that is covered first before the others. A refund has those of
// its payment.
func (v *View) invoicesOf(ctx context.Context, list []*Transaction) error {
	var payments []billing.ActivityID
	for _, t := range list {
		for _, a := range []*billing.Activity{t.Activity, t.Original} {
			if a != nil {
				payments = append(payments, a.ID)
			}
		}
	}
	matches, err := v.AllocationsFrom(ctx, payments)
	if err != nil {
		return err
	}
	covered := make(map[billing.ActivityID][]billing.ActivityID)
	for _, now := range []bool{true, false} { // what it covers now comes first
		for _, m := range matches {
			if m.TargetKind == billing.Invoice && m.EndedAt.IsZero() == now && !slices.Contains(covered[m.Source], m.Target) {
				covered[m.Source] = append(covered[m.Source], m.Target)
			}
		}
	}
	for _, t := range list {
		switch {
		case t.Original != nil:
			t.Invoices = covered[t.Original.ID]
		case t.Activity != nil:
			t.Invoices = covered[t.Activity.ID]
			if len(t.Invoices) == 0 { // it was declined: what it was for
				t.Invoices = t.Attempt.Details.Targets
			}
		}
	}
	return nil
}

func typed[T ~int64](ids []int64) []T {
	list := make([]T, len(ids))
	for i, id := range ids {
		list[i] = T(id)
	}
	return list
}
