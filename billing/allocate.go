package billing

import "sort"

// Allocate matches open credits with open debits of one customer, oldest credit
// first, in the merchant's order of debts, and returns the matches. It lowers
// Open of what it is given. Debts that a claim under way covers are left to it,
// amounts of different currencies never meet, and what was declined or has no
// known outcome is neither money nor debt (protocols/unipay.md 6.2).
func Allocate(debits, credits []*Activity, order Balancing) []Allocation {
	debits = rank(debits, order)
	credits = append([]*Activity(nil), credits...)
	sort.SliceStable(credits, func(i, j int) bool { return credits[i].ID < credits[j].ID })
	var matches []Allocation
	for _, c := range credits {
		for _, d := range debits {
			if d.ClaimedBy == 0 {
				if m, ok := Match(c, d); ok {
					matches = append(matches, m)
				}
			}
		}
	}
	return matches
}

// Match covers as much of a debit as a credit can, lowering Open of both; ok is
// false if nothing could be matched. It does not ask whether a claim is under
// way for the debit: the payment that a claim becomes is matched with it here.
func Match(credit, debit *Activity) (m Allocation, ok bool) {
	if !credit.matchable() || !debit.matchable() || credit.Open.Currency() != debit.Open.Currency() {
		return Allocation{}, false
	}
	amount := min(credit.Open.Minor(), debit.Open.Minor())
	c := credit.Open.Currency()
	credit.Open = Minor(credit.Open.Minor()-amount, c)
	debit.Open = Minor(debit.Open.Minor()-amount, c)
	return Allocation{
		MerchantID: credit.MerchantID, CustomerID: credit.CustomerID,
		Source: credit.ID, Target: debit.ID, SourceKind: credit.Kind, TargetKind: debit.Kind,
		Amount: Minor(amount, c),
	}, true
}

// matchable reports whether something of the activity is left to be matched.
func (a *Activity) matchable() bool {
	return a.Open.Sign() > 0 && a.State != Declined && a.State != Unknown
}

// rank orders debits. Oldest first is by due date and id. Invoice first takes
// the oldest invoice, then everything that is no invoice, then the later
// invoices (protocols/unipay.md 3.10). The oldest invoice is the oldest that is
// still owed, in each currency by itself, for amounts of two never meet.
func rank(debits []*Activity, order Balancing) []*Activity {
	ranked := append([]*Activity(nil), debits...)
	sort.SliceStable(ranked, func(i, j int) bool {
		a, b := ranked[i], ranked[j]
		if a.Due != b.Due {
			return a.Due.Before(b.Due)
		}
		return a.ID < b.ID
	})
	if order != InvoiceFirst {
		return ranked
	}
	var first, fees, later []*Activity
	oldest := map[Currency]bool{}
	for _, d := range ranked {
		switch c := d.Open.Currency(); {
		case d.Kind != Invoice:
			fees = append(fees, d)
		case d.matchable() && !oldest[c]:
			oldest[c] = true
			first = append(first, d)
		default:
			later = append(later, d)
		}
	}
	return append(append(first, fees...), later...)
}
