package dialecttest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// Books writes a merchant's books down without anything that differs from one
// run or one dialect to the next: in place of ids, customers and the activities
// of each are numbered in the order of their making; reference codes, notes and
// names are left out. What is left is what happened and what is owed.
func Books(t testing.TB, s *cashiertest.Shop) string {
	t.Helper()
	ctx := context.Background()
	var b strings.Builder
	check(t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		b.Reset()
		customers, err := v.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: everything}})
		if err != nil {
			return err
		}
		for i, c := range customers {
			fmt.Fprintf(&b, "customer %d%s\n", i+1, unless(c.Active, " inactive"))
			d := dump{v: v, zone: s.Merchant, b: &b, number: map[billing.ActivityID]int{}}
			if err := d.customer(ctx, c); err != nil {
				return err
			}
		}
		balances, err := v.Balances(ctx)
		if err != nil {
			return err
		}
		b.WriteString("ledger\n")
		for _, l := range balances {
			fmt.Fprintf(&b, "  %s %s\n", l.Ledger, l.Amount)
		}
		return nil
	}))
	return b.String()
}

// everything is more rows than any test makes.
const everything = 100_000

// dump writes down the account of one customer.
type dump struct {
	v      *store.View
	zone   *billing.Merchant
	b      *strings.Builder
	number map[billing.ActivityID]int
}

func (d *dump) customer(ctx context.Context, c *billing.Customer) error {
	subs, err := d.v.Subscriptions(ctx, c.ID, store.SubscriptionFilter{Page: store.Page{Limit: everything}})
	if err != nil {
		return err
	}
	series := map[billing.SubscriptionID]int{}
	for i, s := range subs {
		series[s.ID] = i + 1
		fmt.Fprintf(d.b, "  subscription %d %s %s %s%s from %s, %d issued, %s%s\n", i+1, s.Term, s.Cycle, s.Amount,
			unless(s.Tax.IsZero(), " tax "+s.Tax.String()), s.FirstDate, s.Issued, s.Status,
			unless(s.NextDate.IsZero(), ", next "+s.NextDate.String()))
	}
	list, err := d.v.Activities(ctx, c.ID, store.ActivityFilter{Page: store.Page{Limit: everything}})
	if err != nil {
		return err
	}
	var attempts []billing.AttemptID
	for i, a := range list {
		d.number[a.ID] = i + 1
		attempts = append(attempts, a.AttemptID)
	}
	behind, err := d.v.AttemptsByID(ctx, attempts)
	if err != nil {
		return err
	}
	for _, a := range list {
		if err := d.activity(ctx, a, behind[a.AttemptID], series[a.SubscriptionID]); err != nil {
			return err
		}
	}
	return nil
}

// activity writes a line for an activity, and below it what a processor said of
// it, what it covers, and its entries.
func (d *dump) activity(ctx context.Context, a *billing.Activity, at *billing.Attempt, series int) error {
	fmt.Fprintf(d.b, "  #%d %s %s %s open %s %s due %s", d.number[a.ID], a.CreatedAt.In(d.zone.Zone).Format("2006-01-02"), a.Kind,
		a.Amount, a.Open.Decimal(), a.State, a.Due)
	d.b.WriteString(unless(a.Tax.IsZero(), " tax "+a.Tax.Decimal()) + unless(a.Instrument == "", " by "+string(a.Instrument)))
	if series > 0 {
		fmt.Fprintf(d.b, " of subscription %d", series)
	}
	if a.Period >= 0 {
		fmt.Fprintf(d.b, " for billing %d", a.Period)
	}
	if a.AdjustedBy != 0 {
		fmt.Fprintf(d.b, " taken back by #%d", d.number[a.AdjustedBy])
	}
	if !a.CollectAt.IsZero() {
		d.b.WriteString(" claimed next " + d.zone.Today(a.CollectAt).String())
	}
	d.b.WriteString("\n")
	if at != nil {
		fmt.Fprintf(d.b, "     %s %s %s answered %s\n", at.Kind, at.Amount, at.State, orNone(string(at.Response)))
	}
	matches, err := d.v.Allocations(ctx, a.ID, a.ID, 0, store.Page{Limit: everything})
	if err != nil {
		return err
	}
	for _, m := range matches {
		fmt.Fprintf(d.b, "     covers %s of #%d\n", m.Amount.Decimal(), d.number[m.Target])
	}
	entries, err := d.v.Entries(ctx, a.ID)
	for _, e := range entries {
		fmt.Fprintf(d.b, "     %s %s\n", e.Ledger, e.Amount.Decimal())
	}
	return err
}

// Events lists the outbox, an event a line: its kind and the number of its
// customer.
func Events(t testing.TB, s *cashiertest.Shop) string {
	t.Helper()
	ctx := context.Background()
	var b strings.Builder
	check(t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		b.Reset()
		customers, err := v.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: everything}})
		if err != nil {
			return err
		}
		number := map[billing.CustomerID]int{}
		for i, c := range customers {
			number[c.ID] = i + 1
		}
		events, err := v.Events(ctx, store.Page{Limit: everything})
		for _, e := range events {
			fmt.Fprintf(&b, "%s%s\n", e.Kind, unless(e.CustomerID == 0, fmt.Sprintf(" of customer %d", number[e.CustomerID])))
		}
		return err
	}))
	return b.String()
}

// Journal lists what the bank did for the shop's merchant, a line an act: kind,
// amount, the number in part, and the bank's answer.
func Journal(t testing.TB, s *cashiertest.Shop) string {
	t.Helper()
	lines, err := s.Bank.Journal(context.Background(), s.Merchant.Code)
	check(t, err)
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s %s %s\n", l.Kind, l.Amount, l.Masked, orNone(string(l.Response)))
	}
	return b.String()
}

// unless is a text, or nothing.
func unless(no bool, text string) string {
	if no {
		return ""
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
