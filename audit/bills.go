package audit

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// checkLines holds an activity's amount against the lines that explain it. An invoice
// with a bill is its lines and the tax on them; else only a credit has lines, which
// are negative.
func (a *auditor) checkLines(s *sheet, act *billing.Activity) {
	lines, bill := s.lines[act.ID], s.bills[act.ID]
	if bill == nil && len(lines) == 0 {
		return
	}
	sum := billing.Minor(0, act.Amount.Currency())
	for _, l := range lines {
		if l.CustomerID != act.CustomerID {
			a.fault(Lines, "%s has line %d of another customer", a.name(act), l.ID)
			return
		}
		with, err := sum.Add(l.Amount)
		if err != nil {
			a.fault(Lines, "%s in %s has a line of %s", a.name(act), act.Amount.Currency(), l.Amount)
			return
		}
		sum = with
	}
	switch {
	case bill != nil && (act.Kind != billing.Invoice || bill.CustomerID != act.CustomerID):
		a.fault(Lines, "%s has a bill that is not its own", a.name(act))
	case bill == nil && act.Kind != billing.Credit:
		a.fault(Lines, "%s has lines and no bill", a.name(act))
	case bill != nil && sum.Minor()+act.Tax.Minor() != act.Amount.Minor():
		a.fault(Lines, "%s of %s, of which %s is tax, has lines of %s", a.name(act), act.Amount, act.Tax, sum)
	case bill == nil && act.Tax.Minor()-sum.Minor() != act.Amount.Minor():
		a.fault(Lines, "%s of %s, of which %s is tax, has lines of %s", a.name(act), act.Amount, act.Tax, sum)
	}
}

// bills looks at what belongs to no one activity: the numbers of bills, the lines
// that wait, and what coupons have lowered.
func (a *auditor) bills(ctx context.Context) error {
	n, err := a.view.BillNumbers(ctx)
	if err != nil {
		return err
	}
	if n.Count > 0 && n.Last-n.First+1 != n.Count {
		a.fault(Lines, "%d bills are numbered from %d to %d", n.Count, n.First, n.Last)
	}
	if n.Count > 0 && n.Counter != n.Last {
		a.fault(Lines, "the last bill has number %d, and the counter stands at %d", n.Last, n.Counter)
	}
	strays, err := a.view.StrayLines(ctx, Most)
	if err != nil {
		return err
	}
	for _, l := range strays {
		a.fault(Lines, "line %d of kind %s waits for an invoice, which only charges and adjustments do", l.ID, l.Kind)
	}
	for page := (store.Page{Limit: a.page}); ; {
		list, err := a.view.Coupons(ctx, page)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, c := range list {
			if err := a.checkCoupon(ctx, c); err != nil {
				return err
			}
		}
		page.After = int64(list[len(list)-1].ID)
	}
}

// checkCoupon holds what redemptions of a coupon say that they have lowered against
// the lines that do so.
func (a *auditor) checkCoupon(ctx context.Context, c *billing.Coupon) error {
	wrong, err := a.view.Misdiscounted(ctx, c, Most)
	for _, w := range wrong {
		a.fault(Lines, "coupon %d of customer %d has lowered invoices by %d, and their lines by %d", c.ID, w.Customer, w.ByRedemptions, w.ByLines)
	}
	return err
}
