package billing

import "time"

// Deal is what an approval brings about beside the payment, where an invoice with
// lines comes with it: with a subscription that begins, with one that changes, or
// alone. It is priced when it is asked for and travels with the attempt as it was
// then, so that who approves late approves the same.
type Deal struct {
	Currency Currency   `json:"currency"`
	Invoice  ActivityID `json:"invoice,omitempty"` // that there will be, 0 where there is none
	Items    []Item     `json:"items,omitempty"`   // its lines
	TaxRate  int        `json:"tax_rate,omitempty"`

	Begins  *Beginning `json:"begins,omitempty"`  // the subscription that begins, nil if none does
	Changes *Changing  `json:"changes,omitempty"` // what changes of one, nil if nothing does

	// Redemption is the coupon that lowers the invoice by Discount, 0 if none does.
	// Redeems says that it came into the customer's hands for this: if nothing comes
	// of it the coupon goes back.
	Redemption RedemptionID `json:"redemption,omitempty"`
	Discount   int64        `json:"discount,omitempty"`
	Redeems    bool         `json:"redeems,omitempty"`
}

// Beginning is a subscription that does not exist yet.
type Beginning struct {
	PlanName    string      `json:"plan_name"`
	Cycle       Cycle       `json:"cycle"`
	First       Date        `json:"first"` // billing date 0
	Composition Composition `json:"composition"`
}

// Changing is a change that takes effect at once.
type Changing struct {
	Change    Change `json:"change"`
	Period    int    `json:"period"`           // the next billing when it was asked for
	Credit    []Item `json:"credit,omitempty"` // for what was not used
	CreditTax int64  `json:"credit_tax,omitempty"`
	Value     int64  `json:"value,omitempty"` // what the rest of the period is invoiced for, less discounts
}

// Item is a line as it travels.
type Item struct {
	Kind        LineKind  `json:"kind"`
	Code        string    `json:"code,omitempty"`
	Description string    `json:"description,omitempty"`
	Quantity    int       `json:"quantity"`
	Unit        int64     `json:"unit"`
	Amount      int64     `json:"amount"`
	From        time.Time `json:"from,omitzero"`
	To          time.Time `json:"to,omitzero"`
}

// Items are lines as they travel.
func Items(lines []Line) []Item {
	items := make([]Item, len(lines))
	for i, l := range lines {
		items[i] = Item{l.Kind, l.Code, l.Description, l.Quantity, l.Unit.Minor(), l.Amount.Minor(), l.From, l.To}
	}
	return items
}

// Lines are items as they stand on an invoice of a subscription, 0 for none.
func Lines(items []Item, c Currency, s SubscriptionID) []Line {
	lines := make([]Line, len(items))
	for i, t := range items {
		lines[i] = Line{SubscriptionID: s, Kind: t.Kind, Code: t.Code, Description: t.Description, Quantity: t.Quantity,
			Unit: Minor(t.Unit, c), Amount: Minor(t.Amount, c), From: t.From, To: t.To}
	}
	return lines
}

// Sells reports whether a subscription comes into being with the sale.
func (s *Sale) Sells() bool { return s.Deal == nil || s.Deal.Begins != nil }
