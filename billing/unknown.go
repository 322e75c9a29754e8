package billing

import "time"

// What is asked of a processor about an attempt of which it has told nothing
// definite. An asking is counted when it is answered, the first being the act
// itself.
const (
	// AsksBeforePerson is after how many askings in vain a person must find out
	// what became of an attempt: by the pauses of AskAgain after 22 hours. The
	// processor is still asked, once a day.
	AsksBeforePerson = 10

	// AsksInVain is after how many askings a processor is asked no more whether it
	// agrees with the person who settled an attempt: a month.
	AsksInVain = 40

	// LongestClearing is how many days a claim may be in clearing before a person
	// must find out what became of it. Bank debits settle or return within a week;
	// a return for want of authorisation takes up to sixty days, and comes as news
	// of a claim that had settled.
	LongestClearing = 30
)

// AskAgain is how long to wait before a processor is asked again about an attempt
// of which it has told nothing definite, after a number of askings. It begins
// with seconds, because most answers are only late; goes on with minutes and
// hours, because a processor that is down is down for that long; and is never
// more than a day.
func AskAgain(asked int) time.Duration {
	pauses := [...]time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
		time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	}
	if asked < 1 {
		asked = 1
	}
	if asked > len(pauses) {
		return 24 * time.Hour
	}
	return pauses[asked-1]
}

// Contradicts says in words how what a processor tells of an attempt differs from
// what a person settled it as, "" if it does not. A claim that is still in
// clearing agrees with its approval.
func (a *Attempt) Contradicts(o Outcome) string {
	switch o.State {
	case AttemptApproved, AttemptPending:
		if a.State == AttemptDeclined {
			return string(o.State)
		}
		if !o.Amount.IsZero() && o.Amount != a.Amount {
			return string(o.State) + " for " + o.Amount.String()
		}
	case AttemptDeclined:
		if a.State == AttemptApproved {
			return "declined, " + string(o.Response) + " " + o.Response.Text()
		}
	case AttemptUnknown, Sending:
	}
	return ""
}
