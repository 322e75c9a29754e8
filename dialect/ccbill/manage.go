package ccbill

import (
	"context"
	"errors"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// cancel stops the rebilling; access runs to the end of what is paid. Of what is
// cancelled, over or was billed once it says that it is done (4.2).
func cancel(ctx context.Context, x *exchange) (answer, error) {
	o, err := x.sale(ctx)
	if err != nil {
		return nil, err
	}
	customer, sub := o.refs()
	_, err = x.Cashier.CancelAtEnd(ctx, x.caller.wide(), customer, sub, dataLink)
	if billing.KindOf(err) == billing.State {
		err = nil
	}
	return results(done), err
}

// dataLink is the note on what is done through this wire.
const dataLink = "Data Link"

// extend adds days to the next billing, or to the end of what is paid (4.3).
func extend(ctx context.Context, x *exchange) (answer, error) {
	text := x.params.get("extendLength")
	days, err := strconv.Atoi(text)
	if !digits(text, 1, 4) || err != nil || days < 1 || days > x.choices.MaxExtendDays {
		return nil, badArguments
	}
	o, err := x.sale(ctx)
	if err != nil {
		return nil, err
	}
	customer, sub := o.refs()
	_, err = x.Cashier.Extend(ctx, x.caller.wide(), customer, sub, days)
	if billing.KindOf(err) == billing.State {
		return results(failed), nil
	}
	return results(done), err
}

// leastDiscounted is the recurring price below which there is no discount, in
// minor units (4.5).
const leastDiscounted = 500

// discount takes something off the price of each rebill from the next on, or
// replaces it (4.5).
func discount(ctx context.Context, x *exchange) (answer, error) {
	off, price := x.params.get("discountAmount"), x.params.get("newRecurringPrice")
	if (off == "") == (price == "") {
		return nil, badArguments
	}
	if _, ok := readPrice(off+price, "USD"); !ok {
		return nil, badArguments
	}
	o, err := x.sale(ctx)
	if err != nil {
		return nil, err
	}
	customer, sub := o.refs()
	_, err = x.Cashier.Reprice(ctx, x.caller.wide(), customer, sub, func(s *billing.Subscription) (billing.Money, error) {
		amount, ok := readPrice(off+price, s.Amount.Currency())
		if off != "" {
			amount = s.Amount.Minor() - amount
		}
		switch {
		case s.Ended():
			return billing.Money{}, failed
		case s.Complete():
			return billing.Money{}, badSubscription
		case s.Amount.Minor() < leastDiscounted:
			return billing.Money{}, tooCheap
		case !ok || amount <= 0 || amount == s.Amount.Minor():
			return billing.Money{}, badArguments
		}
		account := x.subaccountOf(s)
		if most := account.MaxPrice; amount < account.MinPrice || most > 0 && amount > most {
			return billing.Money{}, internal
		}
		return billing.Minor(amount, s.Amount.Currency()), nil
	})
	return results(done), err
}

// subaccountOf has the limits of the subaccount of a subscription.
func (x *exchange) subaccountOf(s *billing.Subscription) subaccount {
	for _, a := range x.caller.accounts {
		if a.ID == s.AccountID {
			return x.choices.Subaccounts[a.Code]
		}
	}
	return subaccount{}
}

// refund pays the initial transaction back, or a part of it, and ends the
// subscription (4.4).
func refund(ctx context.Context, x *exchange) (answer, error) {
	return x.takeBack(ctx, billing.AskRefund, true)
}

// void takes the initial transaction back on the day on which it was made.
func void(ctx context.Context, x *exchange) (answer, error) {
	return x.takeBack(ctx, billing.AskVoid, false)
}

// voidOrRefund does the one or the other; a void is of the whole, whatever the
// amount.
func voidOrRefund(ctx context.Context, x *exchange) (answer, error) {
	return x.takeBack(ctx, "", true)
}

func (x *exchange) takeBack(ctx context.Context, by billing.AttemptKind, part bool) (answer, error) {
	text := ""
	if part {
		text = x.params.get("amount")
	}
	if text != "" {
		if minor, ok := readPrice(text, "USD"); !ok || minor == 0 {
			return nil, badArguments
		}
	}
	o, err := x.sale(ctx)
	if err != nil {
		return nil, err
	}
	r := cashier.RefundRequest{By: by, Ends: true, Note: dataLink}
	if text != "" {
		if amount, ok := readPrice(text, o.sub.Amount.Currency()); ok {
			r.Amount = amount
		} else {
			return nil, badArguments
		}
	}
	pay, err := x.payment(ctx, o.sub)
	if err != nil {
		return nil, err
	}
	if err := x.withinQuota(ctx, by, pay); err != nil {
		return nil, err
	}
	_, err = x.Cashier.Refund(ctx, x.caller.wide(), pay.ID, r)
	var refused *billing.Error
	switch {
	case errors.As(err, &refused) && refused.Kind == billing.State && refused.Field == "void":
		return nil, badSubscription // it is settled: its type cannot be voided any more
	case errors.As(err, &refused) && refused.Kind == billing.State:
		return nil, internal // too old, given back already, or charged back
	}
	return results(done), err
}

// payment is the transaction that a refund is about: the initial one, or where
// that was made elsewhere the last that was made here.
func (x *exchange) payment(ctx context.Context, s *billing.Subscription) (*billing.Activity, error) {
	account, err := x.ledger(ctx, s)
	if err != nil {
		return nil, err
	}
	var first, last *billing.Activity
	for _, a := range account {
		if (a.Kind == billing.Payment || a.Kind == billing.Claim) && a.SubscriptionID == s.ID && a.State != billing.Declined {
			if first == nil {
				first = a
			}
			last = a
		}
	}
	switch {
	case first == nil:
		return nil, internal // it was paid elsewhere, or not at all
	case s.SignedUpAt.IsZero():
		return first, nil
	}
	return last, nil
}

// ledger is the account of the buyer of a subscription, line by line.
func (x *exchange) ledger(ctx context.Context, s *billing.Subscription) (list []*billing.Activity, err error) {
	err = x.caller.Books.View(ctx, func(v *store.View) error {
		list, err = ledgerOf(ctx, v, s)
		return err
	})
	return list, err
}

// mostLines bounds how many lines of one account are read: a century of weeks
// with a few lines for each.
const mostLines = 50_000

func ledgerOf(ctx context.Context, v *store.View, s *billing.Subscription) ([]*billing.Activity, error) {
	return v.Activities(ctx, s.CustomerID, store.ActivityFilter{Page: store.Page{Limit: mostLines}})
}

// withinQuota refuses a refund or void beyond the merchant's quota (4.4). What
// does either counts as a void on the day on which that is possible.
func (x *exchange) withinQuota(ctx context.Context, by billing.AttemptKind, pay *billing.Activity) error {
	if by == "" {
		by = billing.AskRefund
		if m := x.caller.Merchant; m.Today(pay.CreatedAt) == x.caller.Today() {
			by = billing.AskVoid
		}
	}
	most, kind, over := x.choices.RefundQuota, billing.Refund, tooManyRefunds
	if by == billing.AskVoid {
		most, kind, over = x.choices.VoidQuota, billing.Void, tooManyVoids
	}
	if most.Count == 0 {
		return nil
	}
	return x.caller.Books.View(ctx, func(v *store.View) error {
		n, err := v.CountActivities(ctx, kind, x.caller.Now.AddDate(0, 0, -most.Days))
		if err == nil && n >= int64(most.Count) {
			err = over
		}
		return err
	})
}
