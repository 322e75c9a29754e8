package store

import (
	"context"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Subscribing narrows a list of customers by their subscriptions.
type Subscribing string

// Who subscribes.
const (
	Anyone     Subscribing = ""
	Subscribes Subscribing = "subscribes" // has a subscription that has not ended
	PastDue    Subscribing = "past-due"   // and an invoice that is not paid
	Abstains   Subscribing = "abstains"   // has none
)

// having is the condition on a row of customer.
func (s Subscribing) having() string {
	const live = `EXISTS (SELECT 1 FROM subscription s WHERE s.merchant_id = customer.merchant_id AND s.customer_id = customer.id
		AND s.status NOT IN ('cancelled', 'expired'))`
	switch s {
	case Subscribes:
		return " AND " + live
	case PastDue:
		return " AND " + live + ` AND EXISTS (SELECT 1 FROM activity a WHERE a.merchant_id = customer.merchant_id
			AND a.customer_id = customer.id AND a.open > 0 AND a.kind = 'invoice')`
	case Abstains:
		return " AND NOT " + live
	}
	return ""
}

// CustomerList lists customers of some accounts, none meaning all, the newest
// first, and counts all that the list is a part of.
func (v *View) CustomerList(ctx context.Context, accounts []billing.AccountID, which Subscribing, offset, limit int) (list []*billing.Customer, total int64, err error) {
	args := []any{v.merchant, string(billing.StandingGone)}
	where := ` FROM customer WHERE merchant_id = $1 AND standing <> $2`
	if len(accounts) > 0 {
		args = append(args, sqldb.List(ints(accounts)))
		where += ` AND account_id ` + v.tx.In(3)
	}
	where += which.having()
	if err := v.tx.QueryRow(ctx, `SELECT COUNT(*)`+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	page := ` ORDER BY id DESC LIMIT $3 OFFSET $4`
	if len(accounts) > 0 {
		page = strings.NewReplacer("$3", "$4", "$4", "$5").Replace(page)
	}
	list, err = sqldb.Query(ctx, v.tx, scanCustomer, `SELECT `+customerColumns+where+page, append(args, int64(limit), int64(offset))...)
	return list, total, err
}

// Owed tells what customers owe in a currency, in minor units: what is open of
// debts and what waits for an invoice, less what is open of credits. Who owes
// nothing is left out, and who has credit has less than nothing.
func (v *View) Owed(ctx context.Context, customers []billing.CustomerID, c billing.Currency) (map[billing.CustomerID]int64, error) {
	owed := make(map[billing.CustomerID]int64, len(customers))
	if len(customers) == 0 {
		return owed, nil
	}
	open, err := v.OpenActivities(ctx, customers)
	if err != nil {
		return nil, err
	}
	for _, a := range open {
		if a.Open.Currency() == c && a.State != billing.Unknown {
			owed[a.CustomerID] += int64(a.Kind.Side()) * a.Open.Minor()
		}
	}
	waiting, err := v.WaitingLines(ctx, customers)
	for id, lines := range waiting {
		for _, l := range lines {
			if l.Amount.Currency() == c {
				owed[id] += l.Amount.Minor()
			}
		}
	}
	return owed, err
}
