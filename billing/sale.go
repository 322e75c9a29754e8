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
		s.Anchors = []Anchor{{1, on.AddDays(t.InitialDays)}}
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

// Sale is a subscription that comes into being when its first charge is
// approved. It travels with the attempt, so that a crash between the two loses
// nothing.
type Sale struct {
	SubscriptionID SubscriptionID  `json:"subscription"`
	PlanID         PlanID          `json:"plan"`
	MethodID       PaymentMethodID `json:"method"`
	Terms          Terms           `json:"terms"`
	Number         string          `json:"number,omitempty"`   // by which another system's clients will know it
	Previous       string          `json:"previous,omitempty"` // number of the transaction whose card it is charged to
}
