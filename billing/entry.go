package billing

import "time"

// Ledger is an account of the merchant's books. Entries on cash and transit
// name the processor or the till behind a colon, as in "cash:sandbox".
type Ledger string

// The accounts. Receivable is kept per customer.
const (
	Receivable Ledger = "receivable" // asset: what customers owe
	Revenue    Ledger = "revenue"    // income from plans and invoices
	FeeIncome  Ledger = "fees"       // income from fees
	TaxPayable Ledger = "tax"        // liability: tax collected for others
	Credits    Ledger = "credits"    // contra income: credits and allowances given
	WriteOffs  Ledger = "write-offs" // expense: debts given up
	CashAt     Ledger = "cash:"      // asset: money that a processor or till holds for the merchant
	TransitAt  Ledger = "transit:"   // asset: claims that are in clearing
)

// Entry is one double-entry posting: positive is a debit, negative a credit.
// The entries of an activity sum to zero in each currency.
type Entry struct {
	MerchantID MerchantID
	ActivityID ActivityID // what it explains
	Seq        int        // order within the activity, from 0
	Ledger     Ledger
	CustomerID CustomerID // of a receivable, else 0
	Amount     Money
	PostedAt   time.Time
}

// Postings are the entries of an activity when it is made. adjusted is the
// activity that it takes back, nil if none; processor is the name under which
// its money lies. A payment or refund that was declined, or of whose outcome
// nobody has told us, moves nothing and has no entries.
func Postings(a, adjusted *Activity, processor string) []Entry {
	switch a.Kind {
	case Invoice:
		return charge(a, Revenue)
	case ServiceFee, LateFee, AccessFee, CollectionFee, RecoveryFee:
		return charge(a, FeeIncome)
	case Credit:
		return pair(a, Credits, Receivable)
	case WriteOff:
		return pair(a, WriteOffs, Receivable)
	case Payment, Claim, Refund, Chargeback:
		switch a.State {
		case Posted:
			return flow(a, till(a.Instrument, processor), Receivable)
		case Pending:
			return flow(a, TransitAt+Ledger(processor), Receivable)
		case Declined, Unknown:
		}
		return nil
	case Decline:
		if adjusted.State == Posted && a.Amount.Minor() < adjusted.Amount.Minor() {
			// It came back after a part of it had been refunded: only the rest did.
			return flow(a, till(a.Instrument, processor), Receivable)
		}
		// adjusted still has the state it had before it was declined.
		return negate(a, Postings(adjusted, nil, processor))
	case InvoiceReversal, CreditReversal, Void, RefundReversal, ChargebackReversal:
		return negate(a, Postings(adjusted, nil, processor))
	}
	panic("billing: no postings for " + string(a.Kind))
}

// SettlementPostings are the entries of a pending claim or refund when it is
// settled: what was in transit comes to lie at the processor, or leaves it.
func SettlementPostings(a *Activity, processor string) []Entry {
	return flow(a, till(a.Instrument, processor), TransitAt+Ledger(processor))
}

// till is the account on which the value of a payment lies.
func till(i Instrument, processor string) Ledger {
	switch {
	case i.IsCard(), i.IsBank():
		return CashAt + Ledger(processor)
	case i == Allowance:
		return Credits
	case i == WrittenOff, i == Settlement, i == PaymentPlan:
		return WriteOffs // a debt moved into a payment plan is written off here and invoiced anew there
	}
	return CashAt + Ledger(i)
}

func charge(a *Activity, income Ledger) []Entry {
	c := a.Amount.Currency()
	entries := []Entry{
		posting(a, 0, Receivable, a.Amount),
		posting(a, 1, income, Minor(a.Tax.Minor()-a.Amount.Minor(), c)),
	}
	if !a.Tax.IsZero() {
		entries = append(entries, posting(a, 2, TaxPayable, a.Tax.Neg()))
	}
	return entries
}

func pair(a *Activity, debit, credit Ledger) []Entry {
	return []Entry{posting(a, 0, debit, a.Amount), posting(a, 1, credit, a.Amount.Neg())}
}

// flow is money that comes from one account to another, or goes back if the
// activity is of the debit side: a refund, a chargeback.
func flow(a *Activity, to, from Ledger) []Entry {
	if a.Kind.Side() == Debit {
		to, from = from, to
	}
	return pair(a, to, from)
}

func negate(a *Activity, of []Entry) []Entry {
	entries := make([]Entry, len(of))
	for i, e := range of {
		entries[i] = posting(a, i, e.Ledger, e.Amount.Neg())
	}
	return entries
}

func posting(a *Activity, seq int, l Ledger, amount Money) Entry {
	e := Entry{MerchantID: a.MerchantID, ActivityID: a.ID, Seq: seq, Ledger: l, Amount: amount, PostedAt: a.CreatedAt}
	if l == Receivable {
		e.CustomerID = a.CustomerID
	}
	return e
}
