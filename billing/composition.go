package billing

// Composition is what a subscription's amount is made of, where it is more than
// one amount. A subscription that has one issues invoices with lines (Bill) and
// takes along the lines that wait for it.
type Composition struct {
	PlanCode string  `json:"plan,omitempty"`
	Quantity int     `json:"quantity,omitempty"` // of the plan, from 1
	Unit     int64   `json:"unit"`               // minor units of one
	AddOns   []AddOn `json:"add_ons,omitempty"`
	Setup    int64   `json:"setup,omitempty"` // minor units, once, on the first invoice

	// Trial is the first billing date of a subscription that began with a trial,
	// zero if it had none; until then nothing is billed.
	Trial Date `json:"trial,omitzero"`

	// TaxRate is the tax that each invoice bears on top, in thousandths of a
	// percent of what its lines add up to (protocols/billing-circle.md 3.6).
	TaxRate int `json:"tax_rate,omitempty"`

	// Installments is nil where no total was agreed on (protocols/billing-circle.md
	// 4.1).
	Installments *Installments `json:"installments,omitempty"`

	// Held says that the merchant would have nothing billed, see Subscription.Held.
	Held bool `json:"held,omitempty"`

	// Texts are lines for the customer to read, without amounts of their own.
	Texts []string `json:"texts,omitempty"`
}

// AddOn is something that comes with a plan for a price of its own.
type AddOn struct {
	Code     string `json:"code"`
	Name     string `json:"name,omitempty"`
	Quantity int    `json:"quantity,omitempty"` // from 1; of what a plan offers 0
	Unit     int64  `json:"unit"`               // minor units of one
}

// Change is what a subscription will be from its next billing on. What is nil
// stays as it is.
type Change struct {
	PlanID   PlanID   `json:"plan_id,omitempty"` // 0 stays
	PlanCode string   `json:"plan,omitempty"`
	PlanName string   `json:"plan_name,omitempty"`
	Cycle    Cycle    `json:"cycle,omitempty"`
	Quantity *int     `json:"quantity,omitempty"`
	Unit     *int64   `json:"unit,omitempty"`
	AddOns   *[]AddOn `json:"add_ons,omitempty"`
}

// Offer is what else a plan offers beside its price and rhythm.
type Offer struct {
	Description string  `json:"description,omitempty"`
	SuccessURL  string  `json:"success_url,omitempty"`
	CancelURL   string  `json:"cancel_url,omitempty"`
	Setup       int64   `json:"setup,omitempty"`        // minor units, once
	TrialLength int     `json:"trial_length,omitempty"` // of TrialUnit, 0 for no trial
	TrialUnit   string  `json:"trial_unit,omitempty"`   // days or months
	AddOns      []AddOn `json:"add_ons,omitempty"`      // that can come with it
}
