package billing

import "time"

// ActivityKind is what an activity of a customer's account is. The words of
// UniPay's list stand beside (protocols/unipay.md 3.1).
type ActivityKind string

// The kinds. The first group states or takes back what is owed, the second
// moves value.
const (
	Invoice         ActivityKind = "invoice"          // RI
	ServiceFee      ActivityKind = "service-fee"      // RF
	LateFee         ActivityKind = "late-fee"         // RL
	AccessFee       ActivityKind = "access-fee"       // RA
	CollectionFee   ActivityKind = "collection-fee"   // RO: the account goes to a collection agency
	RecoveryFee     ActivityKind = "recovery-fee"     // RN: the account comes back from it
	Credit          ActivityKind = "credit"           // RC
	CreditReversal  ActivityKind = "credit-reversal"  // RX
	InvoiceReversal ActivityKind = "invoice-reversal" // RR: of an invoice or fee

	Payment            ActivityKind = "payment"             // AP: in real time
	Claim              ActivityKind = "claim"               // AC: in a billing run, or through a clearing house
	Void               ActivityKind = "void"                // AV
	Refund             ActivityKind = "refund"              // AR
	RefundReversal     ActivityKind = "refund-reversal"     // AX
	Decline            ActivityKind = "decline"             // AD
	Chargeback         ActivityKind = "chargeback"          // AG
	ChargebackReversal ActivityKind = "chargeback-reversal" // AS
	WriteOff           ActivityKind = "write-off"           // AA
)

// Side says whether an activity raises or lowers what the customer owes.
type Side int

// The sides.
const (
	Debit      Side = +1
	CreditSide Side = -1
)

// Side returns the side of a kind.
func (k ActivityKind) Side() Side {
	switch k {
	case Invoice, ServiceFee, LateFee, AccessFee, CollectionFee, RecoveryFee, CreditReversal,
		Void, Refund, Decline, Chargeback:
		return Debit
	case Credit, InvoiceReversal, Payment, Claim, RefundReversal, ChargebackReversal, WriteOff:
		return CreditSide
	}
	panic("billing: activity of no kind: " + string(k))
}

// IsDebt reports whether the kind states a debt that can be collected, age and
// be written off.
func (k ActivityKind) IsDebt() bool {
	switch k {
	case Invoice, ServiceFee, LateFee, AccessFee, CollectionFee, RecoveryFee:
		return true
	}
	return false
}

// Reversal is the kind that takes an activity of kind k back, "" if nothing
// does. A payment is voided or refunded, which the state decides, so it is not
// answered here (protocols/unipay.md 4.6).
func (k ActivityKind) Reversal() ActivityKind {
	switch k {
	case Invoice, ServiceFee, LateFee, AccessFee, CollectionFee, RecoveryFee:
		return InvoiceReversal
	case Credit:
		return CreditReversal
	case Refund:
		return RefundReversal
	case Chargeback:
		return ChargebackReversal
	}
	return ""
}

// ActivityState is how certain an activity is.
type ActivityState string

// The states. Only posted is final money; pending is a claim that its clearing
// house may still return; unknown is a payment whose outcome nobody has told us.
const (
	Posted   ActivityState = "posted"
	Pending  ActivityState = "pending"
	Declined ActivityState = "declined"
	Unknown  ActivityState = "unknown"
)

// Activity is one line of a customer's account. Amount is positive; its side
// says which way it goes. Open is what no allocation has matched yet.
type Activity struct {
	MerchantID     MerchantID
	ID             ActivityID
	AccountID      AccountID
	CustomerID     CustomerID
	Code           string
	Kind           ActivityKind
	Instrument     Instrument // "" where no value moves
	Amount         Money
	Tax            Money // part of Amount
	Open           Money
	State          ActivityState
	Due            Date
	SubscriptionID SubscriptionID // 0 if none
	Period         int            // index of the billing date that an invoice bills, -1 if none
	AttemptID      AttemptID      // the asking of a processor behind it, 0 if none
	Masked         string
	Note           string
	Creator        string     // name of the login, or "system"
	AdjustedBy     ActivityID // the activity that takes this one back, 0 if none
	Adjusts        ActivityID // the activity that this one takes back, 0 if none
	InvoiceList    string     // the debts that a payment named, as it named them
	CreatedAt      time.Time

	// What follows is of debts alone.

	CollectAt  time.Time // when it is claimed next, zero if never by itself
	Tries      int       // declined claims so far
	DeclinedOn Date      // of the first decline since the payment method last changed
	ClaimedBy  AttemptID // the claim under way for it: as long as it stands no other is made
	AgeAt      time.Time // when the late fee or the write-off falls due, zero if neither will
}

// System is the creator of what no login asked for.
const System = "system"

// Allocation says that Source, a credit, covers Amount of Target, a debit.
type Allocation struct {
	MerchantID MerchantID
	ID         AllocationID
	CustomerID CustomerID
	Source     ActivityID
	Target     ActivityID
	SourceKind ActivityKind
	TargetKind ActivityKind
	Amount     Money
	CreatedAt  time.Time
	EndedAt    time.Time // when a reversal dissolved it, zero while it holds
}
