package billing

import (
	"cmp"
	"slices"
	"time"
)

// Turnover is money that came in or went back for one bill, or for none: what
// reports are added up from.
type Turnover struct {
	Activity     ActivityID // that moved it
	Debt         ActivityID // the bill, 0 for none
	Customer     CustomerID
	Subscription SubscriptionID // of the bill, 0 for none
	Instrument   Instrument
	At           time.Time // when it was settled
	Subtotal     int64     // minor units, less than nought where money went back
	Tax          int64
}

// Total is what was moved, tax included.
func (t Turnover) Total() int64 { return t.Subtotal + t.Tax }

// Apportion says for which bills money was moved: as much for each as was covered
// of it, in order, the tax in proportion; what is left was for none. move is signed,
// and what it says beside its amount holds for all parts.
func Apportion(move Turnover, covered []Allocation, debts map[ActivityID]*Activity) []Turnover {
	left, sign := move.Subtotal, int64(1)
	if left < 0 {
		left, sign = -left, -1
	}
	var parts []Turnover
	for _, c := range covered {
		d := debts[c.Target]
		share := min(left, c.Amount.Minor())
		if d == nil || !d.Kind.IsDebt() || share == 0 {
			continue
		}
		left -= share
		part := move
		part.Debt, part.Subscription = d.ID, d.SubscriptionID
		part.Tax = sign * d.TaxOn(share)
		part.Subtotal = sign*share - part.Tax
		parts = append(parts, part)
	}
	if left > 0 {
		move.Subtotal, move.Tax = sign*left, 0
		parts = append(parts, move)
	}
	return parts
}

// TaxOn is the tax in a part of a debt, in minor units.
func (a *Activity) TaxOn(part int64) int64 {
	if a.Amount.IsZero() {
		return 0
	}
	tax, err := a.Tax.MulDiv(part, a.Amount.Minor())
	if err != nil {
		return 0 // a part is never more than the whole
	}
	return tax.Minor()
}

// TurnoverGroup is what several come to that have a key in common.
type TurnoverGroup[K any] struct {
	Key      K
	Count    int
	Subtotal int64
	Tax      int64
}

// Total is what the group comes to, tax included.
func (g TurnoverGroup[K]) Total() int64 { return g.Subtotal + g.Tax }

// GroupTurnover adds up by a key, and lists the groups in the order of the keys.
func GroupTurnover[K cmp.Ordered](list []Turnover, key func(Turnover) K) []TurnoverGroup[K] {
	groups := make(map[K]*TurnoverGroup[K])
	var keys []K
	for _, t := range list {
		k := key(t)
		g, ok := groups[k]
		if !ok {
			g = &TurnoverGroup[K]{Key: k}
			groups[k], keys = g, append(keys, k)
		}
		g.Count++
		g.Subtotal += t.Subtotal
		g.Tax += t.Tax
	}
	slices.Sort(keys)
	sums := make([]TurnoverGroup[K], len(keys))
	for i, k := range keys {
		sums[i] = *groups[k]
	}
	return sums
}

// BillState is how far the paying of a bill has come.
type BillState string

// The states of a bill (protocols/billing-circle.md 3.9).
const (
	BillPaid        BillState = "paid"
	BillDeclined    BillState = "declined"    // the bank has said no, and is not being asked
	BillResubmitted BillState = "resubmitted" // the bank has said no, and is being asked again
	BillOutstanding BillState = "outstanding" // unpaid, without a no
	BillClosed      BillState = "closed"      // given up or taken back
)

// BillState tells how far the paying of a debt has come. clearing says that what
// covers it is not money yet, givenUp that what covers it is no money at all.
func (a *Activity) BillState(clearing, givenUp bool) BillState {
	switch {
	case a.AdjustedBy != 0 || a.Open.IsZero() && givenUp:
		return BillClosed
	case a.Open.IsZero() && !clearing:
		return BillPaid
	case a.Tries == 0:
		return BillOutstanding
	case clearing || a.ClaimedBy != 0:
		return BillResubmitted
	}
	return BillDeclined
}
