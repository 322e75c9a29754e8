package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
)

// Trouble is one thing that goes wrong between a client and the bank.
type Trouble string

// The troubles. "Before" means that nothing is done, "after" that the act is
// done and journalled and only the answer fails to arrive.
const (
	Decline        Trouble = "decline"         // the bank declines with Fault.Response
	TimeoutBefore  Trouble = "timeout-before"  // never acts; silent until the client gives up
	TimeoutAfter   Trouble = "timeout-after"   // acts; silent until the client gives up
	CutBefore      Trouble = "cut-before"      // never acts; the line breaks
	CutAfter       Trouble = "cut-after"       // acts; the line breaks before the answer
	CutMidway      Trouble = "cut-midway"      // acts; the line breaks in the middle of the answer
	ErrorBefore    Trouble = "error-before"    // never acts; answers with status 503
	ErrorAfter     Trouble = "error-after"     // acts; answers with status 500
	MalformedAfter Trouble = "malformed-after" // acts; answers with something that is no answer
	Late           Trouble = "late"            // silent; the request is on its way and arrives later, see Fault.Lookups
	InProgress     Trouble = "in-progress"     // acts; answers that it is still busy
	Unseen         Trouble = "unseen"          // of a look-up: says that it has not seen the reference
)

// Everyone stands for all merchants where faults are set.
const Everyone = "*"

// What faults can be set on, beside billing's kinds of attempt.
const (
	OnLookup  = "lookup"
	OnNotices = "notices"
)

// Fault is a disturbance on request. It fires on requests that match all it
// says of them; of several faults the first that fires counts, a merchant's own
// before Everyone's.
type Fault struct {
	On         []string `json:"on,omitempty"`          // charge, authorize, void, refund, credit, lookup, notices; empty is all but notices
	Reference  string   `json:"reference,omitempty"`   // pattern of path.Match for the reference, "" any
	Count      int      `json:"count,omitempty"`       // how many times it fires, 0 without end
	PerMillion int      `json:"per_million,omitempty"` // of a million requests so many; 0 all
	Seed       int64    `json:"seed,omitempty"`        // of the choice that PerMillion makes

	Do       Trouble              `json:"do,omitempty"`        // "" delays alone
	Response billing.ResponseCode `json:"response,omitempty"`  // of Decline
	Lookups  int                  `json:"lookups,omitempty"`   // of Late: look-ups that find nothing before the request arrives, -1 none makes it arrive
	BeforeMS int                  `json:"before_ms,omitempty"` // delay before the act, in milliseconds
	AfterMS  int                  `json:"after_ms,omitempty"`  // delay after the act, in milliseconds
}

// maxDelay bounds a delay, in milliseconds.
const maxDelay = 10 * 60 * 1000

// check refuses a fault that could never do what it says.
func (f *Fault) check() error {
	for _, on := range f.On {
		switch on {
		case string(billing.AskCharge), string(billing.AskAuthorize), string(billing.AskVoid), string(billing.AskRefund),
			string(billing.AskCredit), OnLookup, OnNotices:
		default:
			return billing.FieldError(billing.Invalid, "on", "must be charge, authorize, void, refund, credit, lookup or notices")
		}
		if !f.on(on) {
			return billing.FieldError(billing.Invalid, "on", "an act alone can be declined or late, a look-up alone unseeing")
		}
	}
	if _, err := path.Match(f.Reference, ""); err != nil {
		return billing.FieldError(billing.Invalid, "reference", "is a malformed pattern")
	}
	if f.Count < 0 || f.PerMillion < 0 || f.PerMillion > 1_000_000 || f.Lookups < -1 {
		return billing.FieldError(billing.Invalid, "count", "count, per_million and lookups are out of range")
	}
	if f.BeforeMS < 0 || f.BeforeMS > maxDelay || f.AfterMS < 0 || f.AfterMS > maxDelay {
		return billing.FieldError(billing.Invalid, "before_ms", "delays must be from 0 to %d", maxDelay)
	}
	switch f.Do {
	case Decline:
		if !f.Response.Known() || f.Response.Severity() == billing.Good {
			return billing.FieldError(billing.Invalid, "response", "must be the code of a decline")
		}
	case "", Late, TimeoutBefore, TimeoutAfter, CutBefore, CutAfter, CutMidway, ErrorBefore, ErrorAfter, MalformedAfter, InProgress, Unseen:
	default:
		return billing.FieldError(billing.Invalid, "do", "is no trouble that the bank knows")
	}
	return nil
}

// on reports whether the fault may fire on a kind of request. A trouble without
// a meaning there leaves it alone.
func (f *Fault) on(kind string) bool {
	act := kind != OnLookup && kind != OnNotices
	switch f.Do {
	case Decline, Late:
		if !act {
			return false
		}
	case Unseen:
		if kind != OnLookup {
			return false
		}
	}
	if len(f.On) == 0 {
		return kind != OnNotices
	}
	return slices.Contains(f.On, kind)
}

// matches reports whether the fault may fire on this request.
func (f *Fault) matches(kind, reference string) bool {
	if !f.on(kind) {
		return false
	}
	if f.Reference == "" {
		return true
	}
	ok, err := path.Match(f.Reference, reference)
	return ok && err == nil
}

// chosen draws the lot for the nth request of a kind and reference. It depends
// on nothing else, so that a run with the same seed and the same references has
// the same faults however its requests are interleaved.
func (f *Fault) chosen(kind, reference string, nth int) bool {
	if f.PerMillion == 0 {
		return true
	}
	h := fnv.New64a()
	for _, part := range []string{strconv.FormatInt(f.Seed, 10), kind, reference, strconv.Itoa(nth)} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	// The last step of splitmix64: neighbouring references differ in few bits.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return x%1_000_000 < uint64(f.PerMillion)
}

// before reports whether a trouble keeps the bank from acting.
func (t Trouble) before() bool {
	switch t {
	case TimeoutBefore, CutBefore, ErrorBefore, Late:
		return true
	}
	return false
}

func encodeFaults(faults []Fault) (string, error) {
	for i := range faults {
		if err := faults[i].check(); err != nil {
			return "", fmt.Errorf("sandbox: fault %d: %w", i, err)
		}
	}
	if len(faults) == 0 {
		return "", nil
	}
	text, err := json.Marshal(faults)
	if err != nil {
		return "", fmt.Errorf("sandbox: encode faults: %w", err)
	}
	return string(text), nil
}

func decodeFaults(text string) ([]Fault, error) {
	if text == "" {
		return nil, nil
	}
	var faults []Fault
	if err := json.Unmarshal([]byte(text), &faults); err != nil {
		return nil, fmt.Errorf("sandbox: decode faults: %w", err)
	}
	return faults, nil
}
