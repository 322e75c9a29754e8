package ccbill

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
)

// upgrade is upgradeSubscription (4.6): a new sale, charged to the card of a
// subscription, which ends when the charge is approved. Its terms are those of a
// price point of the target subaccount, or stand in the request.
func upgrade(ctx context.Context, x *exchange) (answer, error) {
	o, err := readUpgrade(x.params)
	if err != nil {
		return nil, err
	}
	from, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case from.refused:
		return x.sell(ctx, o, from, 0) // which denies it
	case from.sub == nil:
		return nil, badSubscription // a card that was kept has nothing to be upgraded
	case o.account != x.caller.Merchant.Code:
		return nil, notPermitted // the books of two accounts cannot change as one
	}
	return x.sell(ctx, o, from, from.sub.ID)
}

// ownTerms are the arguments by which a request has terms of its own.
var ownTerms = []string{"initialPrice", "initialPeriod", "recurringPrice", "recurringPeriod", "rebills", "currencyCode", "lifeTimeSubscription"}

// readUpgrade reads the arguments of an upgrade as those of a charge are read.
// It has either a price point or terms of its own, and a price: all else gives -5.
func readUpgrade(p params) (*offer, error) {
	switch p.get("specialOffer") {
	case "", "0", "1":
	default:
		return nil, badArguments
	}
	point := p.get("upgradeTypeId")
	if point == "" {
		o, err := readOffer(p, "upgradeClient")
		if err == nil && o.free() {
			err = badArguments
		}
		return o, err
	}
	for _, name := range ownTerms {
		if p.get(name) != "" {
			return nil, badArguments
		}
	}
	switch p.get("sharedAuthentication") {
	case "", "0", "1":
	default:
		return nil, badArguments
	}
	o := &offer{account: p.get("upgradeClientAccnum"), subaccount: p.get("upgradeClientSubacc"), pricePoint: point}
	if !digits(o.account, 6, 6) || !digits(o.subaccount, 4, 4) || !digits(point, 1, longestPricePoint) {
		return nil, badArguments
	}
	return o, p.check3DS()
}

// longestPricePoint is the greatest number of digits of an upgradeTypeId.
const longestPricePoint = 20

// free reports whether the first price is nought, in whatever currency.
func (o *offer) free() bool {
	price, ok := readPrice(o.initial, "USD")
	return ok && price == 0
}

// pricePoint finds the terms behind an upgradeTypeId.
func (a subaccount) pricePoint(id string) (billing.Terms, bool) {
	t, known := a.PricePoints[id]
	if t.Rebills == untilCancelled {
		t.Rebills = billing.Endless
	}
	return t, known
}

// checkPricePoints reports whether all price points can be sold.
func (a subaccount) checkPricePoints() bool {
	for id := range a.PricePoints {
		t, _ := a.pricePoint(id)
		if _, ok := numberOf(t.Currency); !ok || !digits(id, 1, longestPricePoint) || t.Initial == 0 || t.Check() != nil {
			return false
		}
	}
	return true
}
