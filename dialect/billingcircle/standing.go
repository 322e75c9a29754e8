package billingcircle

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// The words for how far the paying of a schedule's bill has come (3.9).
const (
	fresh       = "new"
	paid        = "success"
	declined    = "declined"
	resubmitted = "resubmitted"
	outstanding = "outstanding"
	closed      = "closed"
	manual      = "manual" // of reports alone
)

var billWords = map[billing.BillState]string{
	billing.BillPaid: paid, billing.BillDeclined: declined, billing.BillResubmitted: resubmitted, billing.BillOutstanding: outstanding,
	billing.BillClosed: closed,
}

// checkScheduleStatus tells what became of the latest bill of a schedule (3.9).
func checkScheduleStatus(ctx context.Context, x *exchange) (*answer, error) {
	word := fresh
	err := x.session.Books.View(ctx, func(v *store.View) error {
		last, err := v.LastInvoice(ctx, x.customer.ID, x.schedule.ID)
		if billing.KindOf(err) == billing.NotFound {
			return nil
		}
		if err == nil {
			word, err = billWord(ctx, v, last)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return success(word), nil
}

// lastStatus is the same of the latest bill of a client, "" if there is none (3.4).
func lastStatus(ctx context.Context, v *store.View, c *billing.Customer) (string, error) {
	last, err := v.LastInvoice(ctx, c.ID, 0)
	if billing.KindOf(err) == billing.NotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return billWord(ctx, v, last)
}

// billWord is how far the paying of a bill has come.
func billWord(ctx context.Context, v *store.View, bill *billing.Activity) (string, error) {
	covering, err := v.CoveredBy(ctx, bill.ID)
	if err != nil {
		return "", err
	}
	clearing, givenUp := false, false
	for _, a := range covering {
		clearing = clearing || a.State == billing.Pending
		givenUp = givenUp || a.Kind == billing.WriteOff
	}
	return billWords[bill.BillState(clearing, givenUp)], nil
}

// erased reports whether a schedule was deleted.
func erased(s *billing.Subscription) bool { return s.Status == billing.Gone }
