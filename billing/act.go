package billing

import "time"

// Act is something that a person did by hand, and why: the audit trail.
type Act struct {
	MerchantID MerchantID
	ID         int64
	Act        string // what was done, such as "attempt settled as approved"
	Noun       string // what it was done to: attempt, login, or a ParkedNoun
	Object     int64  // its id
	Who        string
	Reason     string // in the person's own words
	At         time.Time
}

// Resolved is the act of who has seen to a contradiction between a person and a
// processor.
const Resolved = "contradiction resolved"
