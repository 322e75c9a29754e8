package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// name tells which activity it is.
func (a *auditor) name(act *billing.Activity) string { return fmt.Sprintf("%s %d", act.Kind, act.ID) }

// named tells which attempt it is.
func named(a *billing.Attempt) string { return fmt.Sprintf("attempt %d (%s)", a.ID, a.Kind) }

// checkEntries holds the entries of an activity against those that its kind and
// state call for.
func (a *auditor) checkEntries(s *sheet, act *billing.Activity) {
	have := s.entries[act.ID]
	var sum int64
	for _, e := range have {
		switch {
		case e.Amount.Currency() != act.Amount.Currency():
			a.fault(Entries, "%s of %s has an entry of %s", a.name(act), act.Amount, e.Amount)
			return
		case e.Ledger == billing.Receivable && e.CustomerID != act.CustomerID:
			a.fault(Entries, "%s of customer %d has an entry on the receivable of customer %d", a.name(act), act.CustomerID, e.CustomerID)
			return
		}
		sum += e.Amount.Minor()
	}
	if sum != 0 {
		a.fault(Entries, "%s: its entries sum to %s", a.name(act), billing.Minor(sum, act.Amount.Currency()))
		return
	}
	of := s.known[act.Adjusts]
	if act.Adjusts != 0 && of == nil {
		return // said already
	}
	allowed := a.postings(s, act, of)
	got := digest(have)
	for _, want := range allowed {
		if digest(want) == got {
			a.checkCancels(s, act, of)
			return
		}
	}
	switch {
	case len(have) == 0:
		a.fault(Entries, "%s is %s and has no entries", a.name(act), act.State)
	case len(allowed) == 1 && len(allowed[0]) == 0:
		a.fault(Entries, "%s is %s and has entries", a.name(act), act.State)
	default:
		a.fault(Entries, "%s of %s has entries %s, which are not those of what is %s", a.name(act), act.Amount, got, act.State)
	}
}

// postings are the entries that an activity may have: one set for most, several
// where the books leave the way open by which it came to its state. of is the
// activity that it takes back, nil if none.
func (a *auditor) postings(s *sheet, act, of *billing.Activity) [][]billing.Entry {
	switch act.Kind {
	case billing.Payment, billing.Claim:
		return a.paymentPostings(s, act)
	case billing.Decline:
		if act.State == billing.Declined {
			return [][]billing.Entry{nil}
		}
	case billing.Void, billing.InvoiceReversal, billing.CreditReversal, billing.RefundReversal, billing.ChargebackReversal:
	case billing.Invoice, billing.ServiceFee, billing.LateFee, billing.AccessFee, billing.CollectionFee, billing.RecoveryFee,
		billing.Credit, billing.Refund, billing.Chargeback, billing.WriteOff:
		return [][]billing.Entry{billing.Postings(act, nil, s.processor(act))}
	}
	if of == nil {
		return nil // a reversal of nothing, which checkReversal does not see
	}
	// What is taken back was posted or pending; in which of the two it was when
	// it was taken back, its own entries tell (see checkCancels).
	sets := make([][]billing.Entry, 0, 2)
	for _, state := range []billing.ActivityState{billing.Posted, billing.Pending} {
		then := *of
		then.State = state
		sets = append(sets, billing.Postings(act, &then, s.processor(of)))
	}
	return sets
}

// paymentPostings are the entries that a payment or claim may have: what card
// charges have at once, bank debits get in two steps, pending and settled.
func (a *auditor) paymentPostings(s *sheet, act *billing.Activity) [][]billing.Entry {
	in := func(state billing.ActivityState) []billing.Entry {
		then := *act
		then.State = state
		return billing.Postings(&then, nil, s.processor(act))
	}
	atOnce, pending := in(billing.Posted), in(billing.Pending)
	settled := slices.Concat(pending, billing.SettlementPostings(act, s.processor(act)))
	switch act.State {
	case billing.Posted:
		if by := s.known[act.AdjustedBy]; by != nil && by.Kind == billing.Void {
			return [][]billing.Entry{atOnce, settled, pending} // it may have been voided in clearing
		}
		return [][]billing.Entry{atOnce, settled}
	case billing.Pending:
		return [][]billing.Entry{pending}
	case billing.Declined:
		if s.moved(act) { // a claim that came back
			return [][]billing.Entry{atOnce, settled, pending}
		}
	case billing.Unknown:
	}
	return [][]billing.Entry{nil}
}

// processor is the name under which the money of an activity lies.
func (s *sheet) processor(act *billing.Activity) string {
	if by := s.attempts[act.AttemptID]; by != nil {
		return by.Processor
	}
	return ""
}

// checkCancels sees that what takes an activity back cancels its entries on each
// ledger. A refund and a chargeback are payments of their own the other way, and
// cancel as much as they are of.
func (a *auditor) checkCancels(s *sheet, act, of *billing.Activity) {
	if of == nil || act.State == billing.Declined {
		return
	}
	left := make(map[billing.Ledger]int64)
	for _, e := range slices.Concat(s.entries[of.ID], s.entries[act.ID]) {
		left[e.Ledger] += e.Amount.Minor()
	}
	rest := of.Amount.Minor() - act.Amount.Minor()
	for _, l := range slices.Sorted(maps.Keys(left)) {
		if n := left[l]; n != 0 && n != rest && n != -rest {
			a.fault(Entries, "%s leaves %s of %s on %s", a.name(act), billing.Minor(n, of.Amount.Currency()), a.name(of), l)
			return
		}
	}
}

// digest is a set of entries as text, whatever the order: by ledger, those of
// one ledger summed where they go the same way.
func digest(list []billing.Entry) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y billing.Entry) int {
		return cmp.Or(cmp.Compare(x.Ledger, y.Ledger), cmp.Compare(x.Amount.Minor(), y.Amount.Minor()))
	})
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = string(e.Ledger) + " " + e.Amount.String()
	}
	return strings.Join(parts, ", ")
}
