package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/store"
)

// report is what a billing run did, by currency.
type report struct {
	Invoices  int                       `json:"invoices"`
	Collected int                       `json:"collected"` // claims that are money
	Pending   int                       `json:"pending"`   // claims in clearing
	Declined  int                       `json:"declined"`
	Unknown   int                       `json:"unknown"`
	Amounts   map[billing.Currency]sums `json:"amounts"`
}

// sums are a report's amounts of one currency, in minor units.
type sums struct {
	Collected int64 `json:"collected"`
	Pending   int64 `json:"pending"`
	Declined  int64 `json:"declined"`
	Unknown   int64 `json:"unknown"`
}

// reportOf is what a run says of itself.
func reportOf(s billrun.Summary) report {
	r := report{
		Invoices: s.Invoices, Collected: s.Collected, Pending: s.Pending, Declined: s.Declined, Unknown: s.Unknown,
		Amounts: map[billing.Currency]sums{},
	}
	for c, a := range s.Amounts {
		r.Amounts[c] = sums{Collected: a.Collected, Pending: a.Pending, Declined: a.Declined, Unknown: a.Unknown}
	}
	return r
}

// print writes the report as a table.
func (r report) print(w io.Writer) error {
	currencies := slices.Sorted(maps.Keys(r.Amounts))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		name  string
		count int
		sum   func(sums) int64
	}{
		{"invoices", r.Invoices, nil},
		{"collected", r.Collected, func(s sums) int64 { return s.Collected }},
		{"in clearing", r.Pending, func(s sums) int64 { return s.Pending }},
		{"declined", r.Declined, func(s sums) int64 { return s.Declined }},
		{"unknown", r.Unknown, func(s sums) int64 { return s.Unknown }},
	} {
		fmt.Fprintf(t, "%s\t%s\t", row.name, strconv.Itoa(row.count))
		for _, c := range currencies {
			if row.sum != nil {
				fmt.Fprint(t, billing.Minor(row.sum(r.Amounts[c]), c))
			}
			fmt.Fprint(t, "\t")
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// eventsPage is how many events are read at a time.
const eventsPage = 500

// since reports from the books what became of a merchant's subscriptions after a
// mark: every invoice once, and every claim once, in the state in which it is by
// now. Unlike what a run says of itself, this holds the work of others.
func (c *core) since(ctx context.Context, m *billing.Merchant, mark int64) (report, error) {
	r := report{Amounts: map[billing.Currency]sums{}}
	counted := make(map[billing.ActivityID]bool)
	for {
		var events []billing.Event
		err := c.store.View(ctx, m.ID, func(v *store.View) (err error) {
			events, err = v.Events(ctx, store.Page{After: mark, Limit: eventsPage})
			if err != nil {
				return err
			}
			list, err := v.ActivitiesByID(ctx, moved(events, counted))
			for _, a := range list {
				r.count(a)
			}
			return err
		})
		if err != nil {
			return report{}, err
		}
		if len(events) < eventsPage {
			return r, nil
		}
		mark = int64(events[len(events)-1].ID)
	}
}

// moved are the activities that events tell of and that are not counted yet.
func moved(events []billing.Event, counted map[billing.ActivityID]bool) []billing.ActivityID {
	var ids []billing.ActivityID
	for _, e := range events {
		switch e.Kind {
		case billing.InvoiceIssued, billing.PaymentApproved, billing.PaymentPending, billing.PaymentDeclined, billing.PaymentUnknown:
		default:
			continue
		}
		if id := billing.ActivityID(e.ObjectID); !counted[id] {
			counted[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// count counts an activity of a billing run; others came from elsewhere.
func (r *report) count(a *billing.Activity) {
	if a.Kind == billing.Invoice && a.SubscriptionID != 0 {
		r.Invoices++
	}
	if a.Kind != billing.Claim {
		return
	}
	s := r.Amounts[a.Amount.Currency()]
	switch a.State {
	case billing.Posted:
		r.Collected++
		s.Collected += a.Amount.Minor()
	case billing.Pending:
		r.Pending++
		s.Pending += a.Amount.Minor()
	case billing.Declined:
		r.Declined++
		s.Declined += a.Amount.Minor()
	case billing.Unknown:
		r.Unknown++
		s.Unknown += a.Amount.Minor()
	}
	r.Amounts[a.Amount.Currency()] = s
}
