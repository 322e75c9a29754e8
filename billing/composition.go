package billing

import (
	"slices"
	"time"
)

// Composition is what a subscription's amount is made of, where it is more than
// one amount. A subscription that has one issues invoices with lines (Bill) and
// takes along the lines that wait for it.
type Composition struct {
	PlanCode string  `json:"plan,omitempty"`
	Quantity int     `json:"quantity,omitempty"` // of the plan, from 1; 0 where the amount itself is agreed on
	Unit     int64   `json:"unit"`               // minor units of one
	AddOns   []AddOn `json:"add_ons,omitempty"`

	// Trial is the first billing date of a subscription that began with a trial,
	// zero if it had none; until then nothing is billed. TrialEnds is the instant
	// that was asked for, zero if it is the start of that date.
	Trial     Date      `json:"trial,omitzero"`
	TrialEnds time.Time `json:"trial_ends,omitzero"`

	// TaxRate is the tax that each invoice bears on top, in thousandths of a
	// percent of what its lines add up to (protocols/billing-circle.md 3.6).
	TaxRate int `json:"tax_rate,omitempty"`

	// Installments is nil where no total was agreed on (protocols/billing-circle.md
	// 4.1).
	Installments *Installments `json:"installments,omitempty"`

	// Once says that there is one bill and no rhythm.
	Once bool `json:"once,omitempty"`

	// Held says that the merchant would have nothing billed, see Subscription.Held.
	Held bool `json:"held,omitempty"`

	// Texts are lines for the customer to read, without amounts of their own.
	Texts []string `json:"texts,omitempty"`

	// Began is the instant at which a period began by somebody's wish, the sign-up
	// or a change of rhythm; it tells of the running period where that began on the
	// same day.
	Began time.Time `json:"began,omitzero"`

	// Running says what the running period was invoiced for, where that is not the
	// amount: it was discounted, or changed within the period. nil otherwise.
	Running *Running `json:"running,omitempty"`
}

// AddOn is something that comes with a plan for a price of its own.
type AddOn struct {
	Code     string `json:"code"`
	Name     string `json:"name,omitempty"`
	Quantity int    `json:"quantity,omitempty"` // from 1; of what a plan offers 0
	Unit     int64  `json:"unit"`               // minor units of one
}

// The bounds of what a price is made of.
const (
	MaxQuantity = 1_000_000
	MaxAddOns   = 100
)

// Check refuses what is out of range or contradicts itself.
func (c *Composition) Check() error {
	switch {
	case c.Quantity < 0 || c.Quantity > MaxQuantity:
		return FieldError(Invalid, "quantity", "must be from 1 to %d", MaxQuantity)
	case c.Unit < 0 || c.Unit > MaxAmount:
		return FieldError(Invalid, "unit", "must be from 0 to %d", int64(MaxAmount))
	case len(c.AddOns) > MaxAddOns:
		return FieldError(Invalid, "add_ons", "must not be more than %d", MaxAddOns)
	case c.TaxRate < 0 || c.TaxRate > MaxTaxRate:
		return FieldError(Invalid, "tax_rate", "must be from 0 to %d thousandths of a percent", MaxTaxRate)
	}
	seen := make(map[string]bool, len(c.AddOns))
	for _, a := range c.AddOns {
		switch {
		case a.Code == "" || seen[a.Code]:
			return FieldError(Invalid, "add_ons", "must each have a code of its own")
		case a.Quantity < 1 || a.Quantity > MaxQuantity:
			return FieldError(Invalid, "add_ons", "must each have a quantity from 1 to %d", MaxQuantity)
		case a.Unit < 0 || a.Unit > MaxAmount:
			return FieldError(Invalid, "add_ons", "must each have a price from 0 to %d", int64(MaxAmount))
		}
		seen[a.Code] = true
	}
	return nil
}

// Amount is what one billing costs, tax not included: the plan's price times its
// quantity, and the add-ons. It refuses more than MaxAmount.
func (c *Composition) Amount(currency Currency) (Money, error) {
	sum := Minor(0, currency)
	pieces := append([]AddOn{{Quantity: c.Quantity, Unit: c.Unit}}, c.AddOns...)
	for _, p := range pieces {
		part, err := Minor(p.Unit, currency).MulDiv(int64(p.Quantity), 1)
		if err == nil {
			sum, err = sum.Add(part)
		}
		if err != nil || sum.Minor() > MaxAmount {
			return Money{}, FieldError(Invalid, "quantity", "makes an amount above %d", int64(MaxAmount))
		}
	}
	return sum, nil
}

// agreed reports whether the amount is one that was agreed on by itself, or is the
// price of one piece, which is the same.
func (c *Composition) agreed() bool { return c.Quantity <= 1 && len(c.AddOns) == 0 }

// Compose gives a subscription what its amount is made of, and that amount.
func (s *Subscription) Compose(c Composition) error {
	if c.Quantity < 1 {
		return FieldError(Invalid, "quantity", "must be from 1 to %d", MaxQuantity)
	}
	if err := c.Check(); err != nil {
		return err
	}
	amount, err := c.Amount(s.Amount.Currency())
	if err != nil {
		return err
	}
	s.Composition, s.Amount, s.Tax = &c, amount, Minor(0, amount.Currency())
	return nil
}

// PriceLines are the lines of what a composed subscription costs at billing k,
// which Advance has just called for: the plan and its add-ons, or the one amount
// that was agreed on.
func (s *Subscription) PriceLines(m *Merchant, k int) []Line {
	c, currency := s.Composition, s.Amount.Currency()
	from, to := m.Start(s.BillingDate(k)), m.Start(s.BillingDate(k+1))
	if !c.Began.IsZero() && m.Today(c.Began) == s.BillingDate(k) {
		from = c.Began
	}
	line := func(kind LineKind, code, name string, quantity int, unit int64) Line {
		return Line{SubscriptionID: s.ID, Kind: kind, Code: code, Description: name, Quantity: quantity,
			Unit: Minor(unit, currency), Amount: Minor(unit*int64(quantity), currency), From: from, To: to}
	}
	if c.agreed() {
		return []Line{line(LinePlan, c.PlanCode, s.PlanName, 1, s.Share().Minor())}
	}
	lines := []Line{line(LinePlan, c.PlanCode, s.PlanName, c.Quantity, c.Unit)}
	for _, a := range c.AddOns {
		name := a.Name
		if name == "" {
			name = a.Code
		}
		lines = append(lines, line(LineAddOn, a.Code, name, a.Quantity, a.Unit))
	}
	return lines
}

// Change is what a subscription will be from its next billing on, or from now on.
// What is nil stays as it is.
type Change struct {
	PlanID   PlanID   `json:"plan_id,omitempty"` // 0 stays
	PlanCode string   `json:"plan,omitempty"`
	PlanName string   `json:"plan_name,omitempty"`
	Cycle    Cycle    `json:"cycle,omitempty"`
	Quantity *int     `json:"quantity,omitempty"`
	Unit     *int64   `json:"unit,omitempty"`
	AddOns   *[]AddOn `json:"add_ons,omitempty"`
}

// Changed is the composition after a change.
func (c *Composition) Changed(by *Change) Composition {
	after := *c
	if by.PlanID != 0 {
		after.PlanCode = by.PlanCode
	}
	if by.Quantity != nil {
		after.Quantity = *by.Quantity
	}
	if by.Unit != nil {
		after.Unit = *by.Unit
	}
	if by.AddOns != nil {
		after.AddOns = slices.Clone(*by.AddOns)
	}
	return after
}

// changesRhythm reports whether a change brings another cycle.
func (s *Subscription) changesRhythm(by *Change) bool { return by.Cycle != "" && by.Cycle != s.Cycle }

// Apply has a change take effect, at its next billing date where the rhythm
// changes. Nothing that waited is left to wait.
func (s *Subscription) Apply(by *Change) error {
	return s.apply(by, Anchor{Period: s.Period, Date: s.BillingDate(s.Period)})
}

func (s *Subscription) apply(by *Change, from Anchor) error {
	if err := s.Changeable(); err != nil {
		return err
	}
	if err := s.Compose(s.Composition.Changed(by)); err != nil {
		return err
	}
	s.take(by, from)
	return nil
}

// take has the plan and rhythm of a change take effect.
func (s *Subscription) take(by *Change, from Anchor) {
	if by.PlanID != 0 {
		s.PlanID, s.PlanName = by.PlanID, by.PlanName
	}
	if s.changesRhythm(by) {
		s.changeRhythm(by.Cycle, from)
	}
	s.Change = nil
}

// Changeable refuses a change of the price of what has none that could be changed.
func (s *Subscription) Changeable() error {
	switch {
	case s.Ended() || s.Complete():
		return Errorf(State, "the subscription has no more billings")
	case s.Composition == nil || s.Composition.Installments != nil:
		return Errorf(State, "the price of this subscription is one amount")
	}
	return nil
}

// Renew takes what waits for a billing into effect, when Advance has called for it:
// a change, from the date of that billing on. What was said of the period before is
// over. It reports whether anything has changed.
func (s *Subscription) Renew(due *Due, adjustments []Adjustment) (changed bool, err error) {
	if by := s.Change; by != nil {
		if err := s.Compose(s.Composition.Changed(by)); err != nil {
			return false, err
		}
		s.take(by, Anchor{Period: due.Period, Date: due.Date})
		s.Schedule(adjustments)
		changed = true
	}
	if s.Composition.Running != nil {
		after := *s.Composition
		after.Running, s.Composition = nil, &after
		changed = true
	}
	return changed, nil
}

// Switch is what a change that takes effect at once comes to.
type Switch struct {
	Credit Money     // for what was invoiced and is not used
	Charge Money     // for the rest of the period at the new price, zero where a new period begins
	Anew   bool      // a new period begins, billed in full
	From   time.Time // when it takes effect
	Until  time.Time // end of the period that was running
	To     time.Time // the same, or the end of the one that begins
}

// SwitchTo has a change take effect at an instant: what is left of the running
// period is credited, and charged for at the new price. Another rhythm begins a
// new period. Before the first billing, as in a trial, nothing is credited or
// charged. The subscription is changed; where a new period begins its billing is
// due, for Advance to take (protocols/recurly-v1.md 7.4).
func (s *Subscription) SwitchTo(by *Change, m *Merchant, at time.Time) (Switch, error) {
	nought := Minor(0, s.Amount.Currency())
	sw := Switch{Credit: nought, Charge: nought, From: at, Until: s.PeriodTo(m), To: s.PeriodTo(m)}
	if s.Period == 0 {
		return sw, s.Apply(by)
	}
	var err error
	if sw.Credit, err = s.Unused(m, at); err != nil {
		return sw, err
	}
	from, anew := s.PeriodFrom(m), s.changesRhythm(by)
	if err := s.apply(by, Anchor{Period: s.Period, Date: m.Today(at)}); err != nil {
		return sw, err
	}
	if anew {
		sw.Anew, sw.To = true, m.Start(s.BillingDate(s.Period+1))
		s.Composition.Began, s.Composition.Running = at, nil
		s.Schedule(nil)
		return sw, nil
	}
	if sw.Charge, err = Prorate(s.Amount, from, sw.To, at); err == nil {
		s.Composition.Running = &Running{From: at, Value: sw.Charge.Minor()}
	}
	return sw, err
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

// Check refuses what is out of range.
func (o *Offer) Check() error {
	most := MaxDays
	if o.TrialUnit == InMonths {
		most = MaxMonths
	}
	switch {
	case o.Setup < 0 || o.Setup > MaxAmount:
		return FieldError(Invalid, "setup", "must be from 0 to %d", int64(MaxAmount))
	case o.TrialUnit != "" && o.TrialUnit != InDays && o.TrialUnit != InMonths:
		return FieldError(Invalid, "trial_unit", "must be days or months")
	case o.TrialLength < 0 || o.TrialLength > most:
		return FieldError(Invalid, "trial_length", "must be from 0 to %d", most)
	case o.TrialLength > 0 && o.TrialUnit == "":
		return FieldError(Missing, "trial_unit", "is required where there is a trial")
	}
	priced := Composition{Quantity: 1, AddOns: slices.Clone(o.AddOns)}
	for i := range priced.AddOns {
		priced.AddOns[i].Quantity = 1
	}
	return priced.Check()
}

// TrialEnd is the date on which a trial that begins on a day ends, zero if there
// is none.
func (o *Offer) TrialEnd(from Date) Date {
	switch {
	case o.TrialLength == 0:
		return Date{}
	case o.TrialUnit == InMonths:
		return from.AddMonths(o.TrialLength)
	}
	return from.AddDays(o.TrialLength)
}

// AddOn finds what can come with the plan by its code, nil if it is not offered.
func (o *Offer) AddOn(code string) *AddOn {
	for i := range o.AddOns {
		if o.AddOns[i].Code == code {
			return &o.AddOns[i]
		}
	}
	return nil
}
