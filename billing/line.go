package billing

import (
	"cmp"
	"slices"
	"time"
)

// LineKind is what a line of an invoice or credit is for.
type LineKind string

// The kinds of line. Discount lines are negative, adjustments may be, credit lines
// explain a Credit; all others are positive.
const (
	LinePlan       LineKind = "plan"       // a billing at the subscription's own price
	LineAddOn      LineKind = "add-on"     // what comes with it
	LineSetup      LineKind = "setup"      // once, when a subscription begins
	LineCharge     LineKind = "charge"     // asked for by the merchant, once
	LineAdjustment LineKind = "adjustment" // of one billing of a subscription
	LineProration  LineKind = "proration"  // the rest of a period at a new price
	LineCredit     LineKind = "credit"     // given by the merchant, or for time that was not used
	LineDiscount   LineKind = "discount"   // of a coupon
)

// Line says what a part of an invoice or credit is for. A line without activity
// waits for the customer's next invoice, or the next of its subscription, and is
// in no ledger until then. The lines of an invoice add up to its amount without
// tax, so a line is never changed once it has an activity; what is owed at most is
// nought, and a discount never exceeds what it is of.
type Line struct {
	MerchantID     MerchantID
	ID             LineID
	CustomerID     CustomerID
	SubscriptionID SubscriptionID // whose next invoice it waits for or stands on, 0 for any of the customer's
	ActivityID     ActivityID     // the invoice or credit that it stands on, 0 while it waits
	Kind           LineKind
	Code           string // of the plan, add-on or coupon, "" for none
	Description    string
	Quantity       int
	Unit           Money     // of one piece; Amount is Quantity times it where there are pieces
	Amount         Money     // negative lowers what is owed
	From, To       time.Time // what the service is for, by the merchant's clock; zero for none
	CreatedAt      time.Time
}

// Waiting reports whether the line waits for an invoice.
func (l *Line) Waiting() bool { return l.ActivityID == 0 }

// Bill is what an invoice says beside its amount, where it says more.
type Bill struct {
	MerchantID MerchantID
	ActivityID ActivityID // the invoice
	CustomerID CustomerID
	Number     int64 // counts the merchant's invoices without gaps, 0 until it is numbered
	CreatedAt  time.Time
}

// Invoiced is what an invoice with some lines comes to.
type Invoiced struct {
	Subtotal Money // of its lines
	Tax      Money // on top
	Total    Money
}

// Sum adds up the lines of an invoice and the tax at a rate in thousandths of a
// percent. Less than nought is an error of the caller, who leaves out what would
// lead there; more than an amount can be is refused.
func Sum(lines []Line, rate int, c Currency) (s Invoiced, err error) {
	s.Subtotal = Minor(0, c)
	for i := range lines {
		if s.Subtotal, err = s.Subtotal.Add(lines[i].Amount); err != nil {
			return s, err
		}
	}
	if s.Subtotal.Sign() < 0 {
		return s, Errorf(Internal, "the lines of an invoice add up to less than nought")
	}
	s.Tax = TaxOf(s.Subtotal, rate)
	if s.Total, err = s.Subtotal.Add(s.Tax); err == nil && s.Subtotal.Minor() > MaxAmount {
		err = FieldError(Invalid, "amount", "makes an invoice above %d", int64(MaxAmount))
	}
	return s, err
}

// Gather chooses, of lines that wait, those that the next invoice takes along:
// all in their order, but for those that would bring it below nought, which wait
// on. own is what it comes to without them; amounts of another currency wait too.
func Gather(waiting []Line, own Money) (taken []Line, err error) {
	sum := own
	for _, negative := range []bool{false, true} { // what is owed first, then what lowers it
		for _, l := range waiting {
			if l.Amount.Currency() != own.Currency() || (l.Amount.Sign() < 0) != negative {
				continue
			}
			with, err := sum.Add(l.Amount)
			if err != nil {
				return nil, err
			}
			if with.Sign() >= 0 {
				sum = with
				taken = append(taken, l)
			}
		}
	}
	slices.SortStableFunc(taken, func(a, b Line) int { return cmp.Compare(a.ID, b.ID) })
	return taken, nil
}
