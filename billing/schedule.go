package billing

// What follows is of schedules: subscriptions whose price is agreed with one
// customer, that may be a total in installments, bear tax by a rate, and are held
// and released (protocols/billing-circle.md 4).

// TaxOf is the tax on an amount at a rate in thousandths of a percent, rounded
// half up. Nothing is owed on less than nothing.
func TaxOf(amount Money, rate int) Money {
	const whole = 100_000
	tax := max(0, amount.Minor()) * int64(rate)
	return Minor((tax+whole/2)/whole, amount.Currency())
}

// MaxTaxRate bounds a rate of tax, in thousandths of a percent.
const MaxTaxRate = 100_000

// Split divides a total evenly over n bills: each is base, and the first bears
// the remainder on top.
func Split(total int64, n int) (base, remainder int64) {
	base = total / int64(n)
	return base, total - base*int64(n)
}

// ScheduleKind is how a schedule bills.
type ScheduleKind string

// The kinds (protocols/billing-circle.md 4.1).
const (
	Recurring      ScheduleKind = "recurring"    // an amount each time
	InInstallments ScheduleKind = "installments" // a total over a number of bills
	Once           ScheduleKind = "once"         // one bill
)

// ScheduleTerms are what a schedule is agreed on.
type ScheduleTerms struct {
	Kind    ScheduleKind
	Title   string
	Texts   []string // lines for the customer to read, without amounts
	Cycle   Cycle    // of Once it means nothing
	Count   int      // bills in all, 0 for no end; of Once it means nothing
	Amount  int64    // minor units of each bill, or the total of installments
	TaxRate int      // thousandths of a percent, on top
	Start   Date     // of the next bill; zero leaves it where it is
}

// Check refuses terms that are out of range or contradict themselves. Start must
// not lie before today, and on the days of a month that not every month has only
// for the rhythms of weeks and years; what is wrong with it is of field "start" in
// the one case and "day" in the other.
func (t ScheduleTerms) Check(today Date) error {
	switch {
	case t.Amount < 1 || t.Amount > MaxAmount:
		return FieldError(Invalid, "amount", "must be from 1 to %d", int64(MaxAmount))
	case t.TaxRate < 0 || t.TaxRate > MaxTaxRate:
		return FieldError(Invalid, "tax_rate", "must be from 0 to %d thousandths of a percent", MaxTaxRate)
	case t.Kind == InInstallments && (t.Count < 2 || t.Count > MaxPeriods):
		return FieldError(Invalid, "count", "must be from 2 to %d", MaxPeriods)
	case t.Kind == Recurring && (t.Count < 0 || t.Count == 1 || t.Count > MaxPeriods):
		return FieldError(Invalid, "count", "must be 0 for no end, or from 2 to %d", MaxPeriods)
	case t.Kind != Once && !t.Cycle.valid():
		return FieldError(Invalid, "cycle", "must be a rhythm")
	case t.Start.IsZero():
		return nil
	case t.Start.Before(today):
		return FieldError(Invalid, "start", "must not lie before today")
	case t.Kind != Once && t.Start.Day > 28 && t.Cycle.shortened():
		return FieldError(Invalid, "day", "must be from the 1st to the 28th of a month")
	}
	return nil
}

// shortened reports whether a rhythm is one of months, which may lack a day; a
// year lacks only 29 February.
func (c Cycle) shortened() bool {
	return c == Semimonthly || c == Monthly || c == Quarterly || c == HalfYearly
}

// ScheduleTerms are the terms that hold, with no start.
func (s *Subscription) ScheduleTerms() ScheduleTerms {
	t := ScheduleTerms{Kind: Recurring, Title: s.PlanName, Cycle: s.Cycle, Count: s.Length, Amount: s.Amount.Minor()}
	c := s.Composition
	if c == nil {
		return t
	}
	t.TaxRate, t.Texts = c.TaxRate, c.Texts
	switch {
	case c.Once:
		t.Kind, t.Count = Once, 0
	case c.Installments != nil:
		t.Kind, t.Amount, t.Count = InInstallments, c.Installments.Total, s.Length-c.Installments.Since
	}
	return t
}

// Agree gives a schedule other terms from the next bill on. The terms are checked;
// what is refused here is what they would leave of the bills that were made.
func (s *Subscription) Agree(t ScheduleTerms, adjustments []Adjustment) error {
	currency := s.Amount.Currency()
	before := s.ScheduleTerms()
	made := s.Issued
	if t.Kind == InInstallments && before.Kind != t.Kind {
		made = 0 // they begin now
	} else if before.Kind == InInstallments && t.Kind == before.Kind {
		made -= s.Composition.Installments.Since
	}
	if t.Kind != Once && t.Count > 0 && t.Count <= made {
		return FieldError(Invalid, "length", "must leave a bill beside the %d that were made", made)
	}
	was, c := *s, Composition{}
	if s.Composition != nil {
		c = *s.Composition
	}
	s.Composition, s.PlanName = &c, t.Title
	c.TaxRate, c.Texts, c.Once = t.TaxRate, t.Texts, t.Kind == Once
	switch t.Kind {
	case InInstallments:
		if before.Kind == t.Kind && before.Amount == t.Amount && before.Count == t.Count {
			break // what was agreed on is spread already
		}
		if err := s.Spread(t.Amount, t.Count); err != nil {
			*s = was
			return err
		}
	case Once:
		s.Term, s.Length = Fixed, s.Issued+1
		c.Installments, s.Amount = nil, Minor(t.Amount, currency)
	case Recurring:
		s.Term, s.Length = Fixed, t.Count
		if t.Count == 0 {
			s.Term = Perpetual
		}
		c.Installments, s.Amount = nil, Minor(t.Amount, currency)
	}
	s.Tax = TaxOf(s.Amount, t.TaxRate)
	if t.Kind != Once && t.Cycle != s.Cycle { // what was billed pays until the date of the next
		s.changeRhythm(t.Cycle, Anchor{Period: s.Period, Date: s.BillingDate(s.Period)})
	}
	if !t.Start.IsZero() {
		s.MoveNext(t.Start, adjustments)
	}
	s.Schedule(adjustments)
	return nil
}

// Installments is how a total that was agreed on is spread over bills, which are
// counted from 0. Those before Since were made on other terms, those from there to
// From have billed Before; from there on each is the subscription's amount, and
// that of From has Remainder on top.
type Installments struct {
	Total     int64 `json:"total"`
	Since     int   `json:"since,omitempty"`
	From      int   `json:"from,omitempty"`
	Before    int64 `json:"before,omitempty"`
	Remainder int64 `json:"remainder,omitempty"`
}

// share is what bill i of a schedule costs, counted from 0, before tax and
// adjustments.
func (s *Subscription) share(i int) Money {
	c := s.Composition
	if c == nil || c.Installments == nil || i != c.Installments.From {
		return s.Amount
	}
	return Minor(s.Amount.Minor()+c.Installments.Remainder, s.Amount.Currency())
}

// Share is what the bill that Advance has called for last costs, before tax and
// adjustments. It goes by the number of bills and not by the date, because a
// schedule that was held has dates without bills.
func (s *Subscription) Share() Money { return s.share(s.Issued - 1) }

// NextShare is what the bill to come costs, before tax and adjustments.
func (s *Subscription) NextShare() Money { return s.share(s.Issued) }

// Spread has a schedule bill a total in n bills, those of an earlier spreading
// among them: what is left of the total is divided evenly over the bills that are
// left. It refuses what leaves less than a minor unit for each.
func (s *Subscription) Spread(total int64, n int) error {
	i := Installments{Since: s.Issued, From: s.Issued}
	if s.Composition.Installments != nil {
		i = *s.Composition.Installments
	}
	for k := i.From; k < s.Issued; k++ {
		i.Before += s.share(k).Minor()
	}
	left, bills := total-i.Before, n-(s.Issued-i.Since)
	switch {
	case bills < 0 || bills == 0 && left != 0:
		return FieldError(Invalid, "length", "must leave a bill for what is not billed yet")
	case left < int64(bills) || total > MaxAmount:
		return FieldError(Invalid, "amount", "must be at least one minor unit for each bill")
	}
	i.Total, i.From, i.Remainder = total, s.Issued, 0
	if bills > 0 {
		var base int64
		base, i.Remainder = Split(left, bills)
		s.Amount = Minor(base, s.Amount.Currency())
	}
	s.Term, s.Length, s.Composition.Installments = Fixed, i.Since+n, &i
	return nil
}

// Held reports whether a schedule is held by the merchant. One whose customer is
// not active is held as well, whether its own merchant would have it so or not,
// which is why that wish is kept.
func (s *Subscription) Held(customer *Customer) bool {
	if s.Composition == nil {
		return s.Status == Paused
	}
	if customer.Active {
		return s.Status == Paused
	}
	return s.Composition.Held
}

// Hold stops the billings of a schedule at once: what is due and waits for the
// next run is not billed either. What is held or over stays as it is.
func (s *Subscription) Hold(today Date, adjustments []Adjustment, note string) []Adjustment {
	if s.Ended() || s.Complete() || openPause(adjustments) != nil {
		return adjustments
	}
	s.Status = Paused
	adjustments = append(adjustments, Adjustment{Kind: Pause, Effective: today, Note: note, State: InForce})
	s.Schedule(adjustments)
	return adjustments
}

// Release lets the billings of a held schedule go on. One that was billed before
// goes on with the first date that is not before today: what it missed stays
// missed. Of one that was never billed, and whose dates have passed, the last of
// them is billed now, once (protocols/billing-circle.md 3.2, 3.6, 4.4).
func (s *Subscription) Release(today Date, adjustments []Adjustment) {
	a := openPause(adjustments)
	if a == nil {
		return
	}
	a.State, a.End = Done, today
	from := today
	if s.Issued == 0 {
		for from = s.FirstDate; s.recurs() && !s.BillingDate(s.Period+1).After(today); {
			s.Period++
		}
	}
	s.goOn(from, adjustments)
	s.Schedule(adjustments)
}

// recurs reports whether more than one billing is agreed on.
func (s *Subscription) recurs() bool { return s.Term != Fixed || s.Length > s.Issued+1 }

// MoveNext moves the next billing to a day, and counts the ones after it from
// there.
func (s *Subscription) MoveNext(on Date, adjustments []Adjustment) {
	if s.Issued == 0 {
		s.FirstDate, s.Anchors, s.Period = on, nil, 0
	} else {
		s.anchor(Anchor{Period: s.Period, Date: on})
	}
	s.Schedule(adjustments)
}

// StartDate is the day from which the billing dates are counted that are to come.
func (s *Subscription) StartDate() Date {
	if n := len(s.Anchors); n > 0 {
		return s.Anchors[n-1].Date
	}
	return s.FirstDate
}

// EndDate is the date of the last billing of a fixed term, if nothing holds it up;
// zero for one without end.
func (s *Subscription) EndDate() Date {
	switch {
	case s.Term != Fixed:
		return Date{}
	case s.Complete() || s.Ended():
		return s.LastDate
	}
	return s.BillingDate(s.Period + s.Length - s.Issued - 1)
}
