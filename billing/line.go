package billing

import "time"

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
