package billing

import "time"

// ParkedNoun is what kind of work is parked.
type ParkedNoun string

// The nouns. A debt is parked for its claim or for its growth, which fail apart.
const (
	ParkedSubscription ParkedNoun = "subscription" // its next event
	ParkedDebt         ParkedNoun = "debt"         // the claim for it
	ParkedAge          ParkedNoun = "age"          // the late fee or write-off of a debt
	ParkedAttempt      ParkedNoun = "attempt"      // the asking after it, or the writing down of its outcome
)

// Parked is work that cannot be done because its data are damaged. It is taken
// out of its queue, so that it costs the rest nothing, and waits for somebody to
// mend and release it.
type Parked struct {
	MerchantID MerchantID
	Noun       ParkedNoun
	ID         int64 // of the subscription, activity or attempt
	CustomerID CustomerID
	Code       string // of the object, "" if it has none; not kept with the parked work
	Customer   string // the customer's code; not kept with the parked work
	Reason     string // why it cannot be done, without any value that may be secret
	Due        time.Time
	Since      time.Time // when it was parked last, by the merchant's clock
	Tries      int       // how often it was parked
}

// Check refuses a subscription that the rules cannot bill, however it came to be
// so: a term, cycle, status or currency that there is not, a date that is
// missing, an amount below zero. What a verb makes always passes.
func (s *Subscription) Check() error {
	bad := func(what string) error { return Errorf(Internal, "the subscription's %s cannot be billed", what) }
	switch s.Term {
	case Fixed:
		if s.Length < 1 {
			return bad("length")
		}
	case Perpetual:
	default:
		return bad("term")
	}
	switch s.Status {
	case Unbilled, Current, Deferred, Frozen, Paused, Suspended, Cancelled, Expired:
	default:
		return bad("status")
	}
	_, unknown := ParseCurrency(string(s.Amount.Currency()))
	switch {
	case !s.Cycle.valid():
		return bad("cycle")
	case unknown != nil:
		return bad("currency")
	case s.FirstDate.IsZero():
		return bad("first date")
	case s.Amount.Sign() < 0 || s.Tax.Sign() < 0:
		return bad("amount")
	case s.Period < 0 || s.Issued < 0:
		return bad("count of billings")
	}
	return nil
}
