package billingcircle

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
)

// object is the activity that the event names.
func (r *reading) object(ctx context.Context) (*billing.Activity, error) {
	return r.View.Activity(ctx, billing.ActivityID(r.Event.ObjectID))
}

// free is a bill of nought, which is paid as soon as it is made (4.5).
func (r *reading) free(ctx context.Context) ([]fact, error) {
	bill, err := r.object(ctx)
	if err != nil || !bill.Amount.IsZero() {
		return nil, err
	}
	return []fact{{kind: paid, move: moveName(bill.ID, bill.ID), bill: bill, by: r.method}}, nil
}

// shares are what a movement of money was for, bill by bill: of gives or gave the
// money, move is what names the transaction.
func (r *reading) shares(ctx context.Context, kind string, move, of *billing.Activity, amount billing.Money) ([]fact, error) {
	covered, debts, err := r.View.Covered(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	var list []fact
	for _, t := range billing.Apportion(billing.Turnover{Activity: move.ID, Subtotal: amount.Minor()}, covered[of.ID], debts) {
		if t.Debt != 0 {
			list = append(list, fact{kind: kind, move: moveName(move.ID, t.Debt), bill: debts[t.Debt], subtotal: t.Subtotal, tax: t.Tax,
				by: methodOf(move.Instrument)})
		}
	}
	return list, nil
}

// approved is money that came in for bills, be it after a refusal.
func (r *reading) approved(ctx context.Context) ([]fact, error) {
	pay, err := r.object(ctx)
	if err != nil {
		return nil, err
	}
	again, err := r.resubmitted(ctx, pay)
	if err != nil {
		return nil, err
	}
	list, err := r.shares(ctx, paid, pay, pay, pay.Amount)
	return append(again, list...), err
}

// pending is a bank debit that was accepted: that is no result yet, but where the
// bank had refused before it is told that it is being asked again.
func (r *reading) pending(ctx context.Context) ([]fact, error) {
	pay, err := r.object(ctx)
	if err != nil {
		return nil, err
	}
	return r.resubmitted(ctx, pay)
}

// declined is a refusal, or a bank debit that came back.
func (r *reading) declined(ctx context.Context) ([]fact, error) {
	pay, err := r.object(ctx)
	if err != nil {
		return nil, err
	}
	move := pay
	if pay.AdjustedBy != 0 {
		back, err := r.View.Activity(ctx, pay.AdjustedBy)
		if err != nil {
			return nil, err
		}
		if back.State == billing.Posted { // it had been accepted
			if back.Kind != billing.Decline {
				return nil, nil // a refund that came back to the merchant
			}
			move = back
		}
	}
	again, err := r.resubmitted(ctx, pay)
	if err != nil {
		return nil, err
	}
	bills, at, err := r.asked(ctx, pay)
	if err != nil || at == nil {
		return nil, err
	}
	list := again
	for _, d := range bills {
		amount := d.Amount.Minor()
		if len(bills) == 1 {
			amount = at.Amount.Minor()
		}
		tax := d.TaxOn(min(amount, d.Amount.Minor()))
		list = append(list, fact{kind: declined, move: moveName(move.ID, d.ID), bill: d, subtotal: amount - tax, tax: tax, by: methodOf(pay.Instrument)})
	}
	return list, nil
}

// asked are the bills for which a processor was asked, and the asking; nil if it
// was for none.
func (r *reading) asked(ctx context.Context, pay *billing.Activity) ([]*billing.Activity, *billing.Attempt, error) {
	if pay.AttemptID == 0 {
		return nil, nil, nil
	}
	at, err := r.View.Attempt(ctx, pay.AttemptID)
	if err != nil || at.Kind != billing.AskCharge {
		return nil, nil, err
	}
	bills, err := r.View.ActivitiesByID(ctx, at.Details.Targets)
	return bills, at, err
}

// resubmitted tells, of each bill that a payment is for and that was refused
// before, that it was sent again. That is told once, whatever comes of it later.
func (r *reading) resubmitted(ctx context.Context, pay *billing.Activity) ([]fact, error) {
	bills, at, err := r.asked(ctx, pay)
	if err != nil || at == nil {
		return nil, err
	}
	var list []fact
	for _, d := range bills {
		refused, err := r.View.RefusedBefore(ctx, d, pay.ID)
		if err != nil {
			return nil, err
		}
		if refused {
			amount := d.Amount.Minor()
			if len(bills) == 1 {
				amount = at.Amount.Minor()
			}
			tax := d.TaxOn(min(amount, d.Amount.Minor()))
			list = append(list, fact{kind: resubmitted, move: moveName(billing.ActivityID(at.ID), d.ID), bill: d, subtotal: amount - tax, tax: tax,
				by: methodOf(pay.Instrument)})
		}
	}
	return list, nil
}

// givenBack is money that went back to the client, or was taken back by its bank.
func (r *reading) givenBack(ctx context.Context) ([]fact, error) {
	a, err := r.object(ctx)
	if err != nil {
		return nil, err
	}
	pay, by := a, a
	switch {
	case a.Kind.Side() == billing.CreditSide && a.AdjustedBy != 0:
		by, err = r.View.Activity(ctx, a.AdjustedBy)
	case a.Kind.Side() == billing.Debit && a.Adjusts != 0:
		pay, err = r.View.Activity(ctx, a.Adjusts)
	case a.Kind.Side() == billing.Debit && a.AttemptID != 0:
		var at *billing.Attempt
		if at, err = r.View.Attempt(ctx, a.AttemptID); err == nil && len(at.Details.Targets) == 1 {
			pay, err = r.View.Activity(ctx, at.Details.Targets[0])
		}
	default:
		return nil, nil // a chargeback that was given back to the merchant
	}
	if err != nil {
		return nil, err
	}
	return r.shares(ctx, credited, by, pay, by.Amount)
}

// recorded is what somebody wrote down, or time: money that a client paid by hand,
// and bills that were given up or taken back.
func (r *reading) recorded(ctx context.Context) ([]fact, error) {
	a, err := r.object(ctx)
	if err != nil {
		return nil, err
	}
	switch a.Kind {
	case billing.Payment:
		return r.shares(ctx, paid, a, a, a.Amount)
	case billing.WriteOff:
		list, err := r.shares(ctx, closed, a, a, a.Amount)
		for i := range list {
			list[i].by = r.method
		}
		return list, err
	case billing.InvoiceReversal:
		bill, err := r.View.Activity(ctx, a.Adjusts)
		if err != nil {
			return nil, err
		}
		return []fact{{kind: closed, move: moveName(a.ID, bill.ID), bill: bill, subtotal: bill.Amount.Minor() - bill.Tax.Minor(), tax: bill.Tax.Minor(),
			by: r.method}}, nil
	}
	return nil, nil
}
