package audit

import (
	"context"
	"maps"
	"slices"

	"github.com/perennial-billing/perennial/billing"
)

// sheet is a page of activities with everything that speaks of them.
type sheet struct {
	list     []*billing.Activity
	known    map[billing.ActivityID]*billing.Activity // those of the list, and those that they name
	entries  map[billing.ActivityID][]billing.Entry
	from, to map[billing.ActivityID][]*billing.Allocation // that hold, by source and by target
	attempts map[billing.AttemptID]*billing.Attempt
	lines    map[billing.ActivityID][]*billing.Line
	bills    map[billing.ActivityID]*billing.Bill
}

// accounts reads the accounts of all customers, line by line.
func (a *auditor) accounts(ctx context.Context) error {
	t := tally{auditor: a}
	var last billing.Activity
	for {
		list, err := a.view.ActivitiesAcross(ctx, last.CustomerID, last.ID, a.page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			t.close()
			return nil
		}
		last = *list[len(list)-1]
		s, err := a.sheet(ctx, list)
		if err != nil {
			return err
		}
		for _, act := range list {
			a.checkEntries(s, act)
			a.checkCover(s, act)
			a.checkAllocations(s, act)
			a.checkReversal(s, act)
			a.checkHold(s, act)
			a.checkSource(s, act)
			a.checkLines(s, act)
			t.add(s, act)
		}
	}
}

// sheet reads what speaks of a page of activities.
func (a *auditor) sheet(ctx context.Context, list []*billing.Activity) (*sheet, error) {
	s := &sheet{list: list, known: make(map[billing.ActivityID]*billing.Activity)}
	ids := make([]billing.ActivityID, len(list))
	for i, act := range list {
		ids[i] = act.ID
		s.known[act.ID] = act
	}
	from, err := a.view.AllocationsFrom(ctx, ids)
	if err != nil {
		return nil, err
	}
	to, err := a.view.AllocationsTo(ctx, ids)
	if err != nil {
		return nil, err
	}
	s.from = holding(from, func(m *billing.Allocation) billing.ActivityID { return m.Source })
	s.to = holding(to, func(m *billing.Allocation) billing.ActivityID { return m.Target })
	if err := a.partners(ctx, s, from); err != nil {
		return nil, err
	}
	everyone := slices.Collect(maps.Keys(s.known))
	if s.entries, err = a.view.EntriesOf(ctx, everyone); err != nil {
		return nil, err
	}
	asked := make(map[billing.AttemptID]bool)
	for _, act := range s.known {
		asked[act.AttemptID], asked[act.ClaimedBy] = true, true
	}
	delete(asked, 0)
	if s.attempts, err = a.view.AttemptsByID(ctx, slices.Collect(maps.Keys(asked))); err != nil {
		return nil, err
	}
	if s.lines, err = a.view.LinesOf(ctx, ids); err != nil {
		return nil, err
	}
	s.bills, err = a.view.BillsByID(ctx, ids)
	return s, err
}

// partners reads the activities that those of the page name.
func (a *auditor) partners(ctx context.Context, s *sheet, from []*billing.Allocation) error {
	named := make(map[billing.ActivityID]bool)
	for _, act := range s.list {
		named[act.Adjusts], named[act.AdjustedBy] = true, true
	}
	for _, m := range from {
		named[m.Target] = named[m.Target] || m.EndedAt.IsZero()
	}
	var absent []billing.ActivityID
	for id, wanted := range named {
		if wanted && id != 0 && s.known[id] == nil {
			absent = append(absent, id)
		}
	}
	list, err := a.view.ActivitiesByID(ctx, absent)
	for _, act := range list {
		s.known[act.ID] = act
	}
	return err
}

// holding groups the allocations that hold.
func holding(list []*billing.Allocation, by func(*billing.Allocation) billing.ActivityID) map[billing.ActivityID][]*billing.Allocation {
	groups := make(map[billing.ActivityID][]*billing.Allocation)
	for _, m := range list {
		if m.EndedAt.IsZero() {
			groups[by(m)] = append(groups[by(m)], m)
		}
	}
	return groups
}

// moved reports whether an activity moved value in the books: it is posted or
// pending, or it was and has been declined since (its decline is posted then).
func (s *sheet) moved(act *billing.Activity) bool {
	switch act.State {
	case billing.Posted, billing.Pending:
		return true
	case billing.Declined:
		no := s.known[act.AdjustedBy]
		return act.Kind != billing.Decline && no != nil && no.Kind == billing.Decline && no.State == billing.Posted
	case billing.Unknown:
	}
	return false
}

// checkCover holds an activity's amount against what is open of it and what
// covers it. What moved nothing is never open and covers nothing.
func (a *auditor) checkCover(s *sheet, act *billing.Activity) {
	var covered int64
	for _, side := range [][]*billing.Allocation{s.from[act.ID], s.to[act.ID]} {
		for _, m := range side {
			covered += m.Amount.Minor()
		}
	}
	c, open := act.Amount.Currency(), act.Open.Minor()
	want := act.Amount.Minor()
	if !s.moved(act) {
		want = 0
	}
	switch {
	case open < 0 || open > act.Amount.Minor():
		a.fault(Cover, "%s: %s is open of %s", a.name(act), act.Open, act.Amount)
	case open+covered != want:
		a.fault(Cover, "%s: %s is open and %s is covered of %s", a.name(act), act.Open, billing.Minor(covered, c), billing.Minor(want, c))
	}
}

// checkAllocations looks at what an activity covers.
func (a *auditor) checkAllocations(s *sheet, act *billing.Activity) {
	for _, m := range s.from[act.ID] {
		target := s.known[m.Target]
		if target == nil {
			a.fault(Allocations, "allocation %d: its target %d does not exist", m.ID, m.Target)
			continue
		}
		pair := target.Adjusts == act.ID || act.Adjusts == target.ID
		switch {
		case act.Kind.Side() != billing.CreditSide || target.Kind.Side() != billing.Debit:
			a.fault(Allocations, "allocation %d: %s does not cover %s", m.ID, a.name(act), a.name(target))
		case m.SourceKind != act.Kind || m.TargetKind != target.Kind:
			a.fault(Allocations, "allocation %d: it says %s covers %s, but it joins %s with %s", m.ID, m.SourceKind, m.TargetKind, a.name(act), a.name(target))
		case m.CustomerID != act.CustomerID || m.CustomerID != target.CustomerID:
			a.fault(Allocations, "allocation %d: %s and %s are of different customers", m.ID, a.name(act), a.name(target))
		case m.Amount.Currency() != act.Amount.Currency() || m.Amount.Currency() != target.Amount.Currency():
			a.fault(Allocations, "allocation %d: %s and %s are of different currencies", m.ID, a.name(act), a.name(target))
		case m.Amount.Sign() <= 0:
			a.fault(Allocations, "allocation %d: it covers %s", m.ID, m.Amount)
		case !pair && (!final(act) || !final(target)):
			a.fault(Allocations, "allocation %d: %s is %s and %s is %s", m.ID, a.name(act), act.State, a.name(target), target.State)
		}
	}
}

// final reports whether an activity has value to cover or be covered with.
func final(act *billing.Activity) bool {
	return act.State == billing.Posted || act.State == billing.Pending
}

// takesBack lists which kinds may take an activity of a kind back.
func takesBack(k billing.ActivityKind) []billing.ActivityKind {
	if r := k.Reversal(); r != "" {
		return []billing.ActivityKind{r}
	}
	if k == billing.Payment || k == billing.Claim {
		return []billing.ActivityKind{billing.Void, billing.Refund, billing.Chargeback, billing.Decline}
	}
	return nil
}

// checkReversal looks at both ends of what takes an activity back.
func (a *auditor) checkReversal(s *sheet, act *billing.Activity) {
	if act.AdjustedBy != 0 {
		by := s.known[act.AdjustedBy]
		switch {
		case by == nil:
			a.fault(Reversals, "%s is taken back by %d, which does not exist", a.name(act), act.AdjustedBy)
		case by.Adjusts != act.ID:
			a.fault(Reversals, "%s is taken back by %s, which does not take it back", a.name(act), a.name(by))
		}
	}
	if act.Adjusts == 0 {
		return
	}
	of := s.known[act.Adjusts]
	switch {
	case of == nil:
		a.fault(Reversals, "%s takes %d back, which does not exist", a.name(act), act.Adjusts)
	case of.AdjustedBy != act.ID:
		a.fault(Reversals, "%s takes %s back, which is not taken back by it", a.name(act), a.name(of))
	case of.CustomerID != act.CustomerID:
		a.fault(Reversals, "%s takes %s back, which is another customer's", a.name(act), a.name(of))
	case !slices.Contains(takesBack(of.Kind), act.Kind):
		a.fault(Reversals, "%s cannot take %s back", a.name(act), a.name(of))
	case act.Amount.Currency() != of.Amount.Currency() || act.Amount.Minor() > of.Amount.Minor() ||
		act.Amount != of.Amount && act.Kind != billing.Chargeback && act.Kind != billing.Decline: // of what was refunded in part the rest comes back
		a.fault(Reversals, "%s of %s takes %s of %s back", a.name(act), act.Amount, a.name(of), of.Amount)
	}
}

// checkHold looks at the attempt that holds a debt, or a payment that is being
// taken back: it must be under way, else nobody will ever let go.
func (a *auditor) checkHold(s *sheet, act *billing.Activity) {
	if act.ClaimedBy == 0 {
		return
	}
	by := s.attempts[act.ClaimedBy]
	switch {
	case by == nil:
		a.fault(Claims, "%s is held by attempt %d, which does not exist", a.name(act), act.ClaimedBy)
	case by.State != billing.Sending && by.State != billing.AttemptUnknown:
		a.fault(Claims, "%s is held by %s, which is %s", a.name(act), named(by), by.State)
	case !slices.Contains(by.Details.Targets, act.ID):
		a.fault(Claims, "%s is held by %s, which is not about it", a.name(act), named(by))
	}
}

// checkSource looks at the attempt behind an activity.
func (a *auditor) checkSource(s *sheet, act *billing.Activity) {
	if act.AttemptID == 0 {
		return
	}
	by := s.attempts[act.AttemptID]
	if by == nil {
		a.fault(Attempts, "%s is of attempt %d, which does not exist", a.name(act), act.AttemptID)
		return
	}
	switch act.Kind {
	case billing.Decline, billing.Chargeback, billing.ChargebackReversal: // a later fate of a charge
		if by.Kind != billing.AskCharge || by.CustomerID != act.CustomerID {
			a.fault(Attempts, "%s is of %s", a.name(act), named(by))
		}
	case billing.RefundReversal: // money that had left came back
		if by.ActivityID != act.Adjusts {
			a.fault(Attempts, "%s is of %s", a.name(act), named(by))
		}
	default:
		if by.ActivityID != act.ID {
			a.fault(Attempts, "%s is of %s, which is to become activity %d", a.name(act), named(by), by.ActivityID)
		}
	}
}

// tally sums one customer's account while its lines go by.
type tally struct {
	*auditor
	customer billing.CustomerID
	sums     map[billing.Currency]*sums
}

// sums are what a customer owes in one currency, told in three ways.
type sums struct{ entries, activities, open int64 }

func (t *tally) add(s *sheet, act *billing.Activity) {
	if act.CustomerID != t.customer {
		t.close()
		t.customer, t.sums = act.CustomerID, make(map[billing.Currency]*sums)
	}
	for _, e := range s.entries[act.ID] {
		if e.Ledger == billing.Receivable {
			t.of(e.Amount).entries += e.Amount.Minor()
		}
	}
	if s.moved(act) {
		t.of(act.Amount).activities += int64(act.Kind.Side()) * act.Amount.Minor()
	}
	t.of(act.Open).open += int64(act.Kind.Side()) * act.Open.Minor()
}

func (t *tally) of(m billing.Money) *sums {
	c := m.Currency()
	if t.sums[c] == nil {
		t.sums[c] = &sums{}
	}
	return t.sums[c]
}

// close holds the sums of the customer whose last line has gone by against each
// other.
func (t *tally) close() {
	for _, c := range slices.Sorted(maps.Keys(t.sums)) {
		if s := t.sums[c]; s.entries != s.activities || s.entries != s.open {
			t.fault(Receivable, "customer %d owes %s by the entries, %s by the activities and %s by what is open", t.customer,
				billing.Minor(s.entries, c), billing.Minor(s.activities, c), billing.Minor(s.open, c))
		}
	}
}
