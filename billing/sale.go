package billing

// Endless is the number of rebills of a subscription that runs until it is
// cancelled.
const Endless = -1

// Terms are what a subscription is sold on where no plan says so: a price that
// is charged at once for a first phase, and then another for each of a series of
// billings.
type Terms struct {
	Currency      Currency `json:"currency"`
	Initial       int64    `json:"initial"`                  // minor units, tax included
	InitialDays   int      `json:"initial_days,omitempty"`   // for how long it pays, 0 for a sale of something that does not last
	Recurring     int64    `json:"recurring,omitempty"`      // minor units of each rebill, tax included
	RecurringDays int      `json:"recurring_days,omitempty"` // from one to the next
	Rebills       int      `json:"rebills,omitempty"`        // billings after the first; Endless until it is cancelled
	Lifetime      bool     `json:"lifetime,omitempty"`       // the one price pays for ever
}

// Check refuses terms that are out of range or contradict themselves.
func (t Terms) Check() error {
	for _, p := range []struct {
		field string
		value int64
	}{{"initial", t.Initial}, {"recurring", t.Recurring}} {
		if p.value < 0 || p.value > MaxAmount {
			return FieldError(Invalid, p.field, "must be from 0 to %d", int64(MaxAmount))
		}
	}
	for _, d := range []struct {
		field string
		value int
	}{{"initial_days", t.InitialDays}, {"recurring_days", t.RecurringDays}} {
		if d.value < 0 || d.value > MaxDays {
			return FieldError(Invalid, d.field, "must be from 0 to %d", MaxDays)
		}
	}
	switch {
	case t.Rebills < Endless || t.Rebills >= MaxPeriods:
		return FieldError(Invalid, "rebills", "must be from 0 to %d, or without end", MaxPeriods-1)
	case t.Rebills != 0 && (t.Recurring == 0 || t.RecurringDays == 0):
		return FieldError(Invalid, "recurring", "price and days are required where there are rebills")
	case t.Rebills != 0 && t.InitialDays == 0:
		return FieldError(Invalid, "initial_days", "must be at least 1 where there are rebills")
	case t.Rebills != 0 && t.Lifetime:
		return FieldError(Invalid, "lifetime", "and rebills exclude each other")
	case t.Rebills == 0 && t.Initial == 0:
		return FieldError(Invalid, "initial", "must not be 0 where there are no rebills")
	}
	return nil
}

// Begin gives a subscription these terms from a day on, which is billing date 0.
// Nothing of it is billed yet.
func (t Terms) Begin(s *Subscription, on Date) {
	s.FirstDate, s.Status = on, Unbilled
	s.Term, s.Length = Fixed, 1+t.Rebills
	if t.Rebills == Endless {
		s.Term, s.Length = Perpetual, 0
	}
	days := t.RecurringDays
	if t.Rebills == 0 {
		days = t.InitialDays
	}
	s.Cycle = Days(max(days, 1))
	if days != t.InitialDays || days == 0 {
		s.Anchors = []Anchor{{Period: 1, Date: on.AddDays(t.InitialDays)}}
	}
	initial := Minor(t.Initial, t.Currency)
	s.Amount, s.Tax, s.Initial = Minor(t.Recurring, t.Currency), Minor(0, t.Currency), &initial
	switch {
	case t.Lifetime:
		s.Access = EndlessAccess
	case t.InitialDays > 0:
		s.Access = PaidAccess
	}
	s.Schedule(nil)
}

// Past is what another system did of a sale that comes here.
type Past struct {
	SignedUp  Date
	Rebilled  int  // rebills that were paid
	Next      Date // of the next billing, zero if it is the one that the terms give
	Cancelled bool // nothing is billed any more
	Ends      Date // last day of access of a cancelled one, zero if it is the end of what is paid
	TakenBack TakenBack
}

// TakenBack counts the payments that were given or taken back elsewhere, before
// the subscription came here.
type TakenBack struct {
	Refunds     int `json:"refunds,omitempty"`
	Voids       int `json:"voids,omitempty"`
	Chargebacks int `json:"chargebacks,omitempty"`
	Returns     int `json:"returns,omitempty"` // of bank debits
}

// Any reports whether there are any.
func (t TakenBack) Any() bool { return t != TakenBack{} }

// Check refuses counts that cannot be.
func (t TakenBack) Check() error {
	for _, c := range []struct {
		field string
		value int
	}{{"refunds", t.Refunds}, {"voids", t.Voids}, {"chargebacks", t.Chargebacks}, {"returns", t.Returns}} {
		if c.value < 0 || c.value > MaxPeriods {
			return FieldError(Invalid, c.field, "must be from 0 to %d", MaxPeriods)
		}
	}
	return nil
}

// Resume gives a subscription these terms as another system left it on a day,
// and returns the adjustments that tell of its end, if that is known.
func (t Terms) Resume(s *Subscription, past Past, today Date) ([]Adjustment, error) {
	switch {
	case past.SignedUp.IsZero() || past.SignedUp.After(today):
		return nil, FieldError(Invalid, "signed_up", "must be given and must not lie in the future")
	case past.Rebilled < 0 || past.Rebilled >= MaxPeriods || t.Rebills != Endless && past.Rebilled > t.Rebills:
		return nil, FieldError(Invalid, "rebilled", "must be from 0 to the number of rebills")
	}
	if err := past.TakenBack.Check(); err != nil {
		return nil, err
	}
	t.Begin(s, past.SignedUp)
	s.TakenBack = past.TakenBack
	s.Status, s.Period, s.Issued = Current, 1+past.Rebilled, 1+past.Rebilled
	s.LastDate = s.BillingDate(past.Rebilled)
	if !past.Next.IsZero() && past.Next != s.BillingDate(s.Period) {
		if past.Next.Before(past.SignedUp) {
			return nil, FieldError(Invalid, "next", "lies before the subscription")
		}
		s.anchor(Anchor{Period: s.Period, Date: past.Next})
	}
	if s.LastDate.After(today) {
		s.LastDate = today // it was billed ahead of its date
	}
	var adjustments []Adjustment
	if past.Cancelled {
		last := past.Ends
		if last.IsZero() {
			last = s.PaidThrough()
		}
		adjustments = append(adjustments, Adjustment{Kind: Cancel, Effective: last, State: Waiting})
	}
	s.Schedule(adjustments)
	for {
		switch {
		case s.Complete() && s.Access == AnyAccess:
			s.Expire()
			return adjustments, nil
		case s.NextDate.IsZero() || s.NextDate.After(today):
			return adjustments, nil
		case !past.Cancelled && !s.Complete():
			return adjustments, nil // a billing is due
		}
		s.Advance(adjustments) // the end is past
	}
}

// Sale is what comes into being when a charge is approved: a subscription on terms
// of its own, or a deal. It travels with the attempt, so that a crash between the
// two loses nothing.
type Sale struct {
	SubscriptionID SubscriptionID  `json:"subscription,omitempty"`
	PlanID         PlanID          `json:"plan,omitempty"`
	MethodID       PaymentMethodID `json:"method,omitempty"`
	Terms          Terms           `json:"terms,omitzero"` // where there is no deal
	Deal           *Deal           `json:"deal,omitempty"`
	Number         string          `json:"number,omitempty"`   // by which another system's clients will know it
	Previous       string          `json:"previous,omitempty"` // number of the transaction whose card it is charged to

	// Replaces is the subscription, of Replaced, that ends at once when this one
	// begins, 0 if none does.
	Replaces SubscriptionID `json:"replaces,omitempty"`
	Replaced CustomerID     `json:"replaced,omitempty"`
}
