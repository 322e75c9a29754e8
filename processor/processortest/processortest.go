// Package processortest is the suite that every processor.Driver passes.
//
// A driver's own test supplies a Harness: the driver, some numbers with a known
// behaviour, a way to make things go wrong, and a look at the processor's own
// books. The suite owns the meaning: what each method must answer, and above
// all what must be found in those books after a line was cut or a request was
// sent twice. When a driver turns out to be wrong in the field, the suite grows,
// not the driver's private test.
package processortest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// Trouble is something that goes wrong on request.
type Trouble string

// The troubles. All but Busy hit the next act, Busy the next look-up.
const (
	TimeoutBefore Trouble = "time-out before the act" // nothing is done, nothing is answered
	TimeoutAfter  Trouble = "time-out after the act"  // the act is done, nothing is answered
	CutBefore     Trouble = "cut before the act"
	CutAfter      Trouble = "cut after the act"
	CutMidway     Trouble = "cut in the middle of the answer" // the act is done
	ErrorAfter    Trouble = "server error after the act"
	Malformed     Trouble = "malformed answer after the act"
	Busy          Trouble = "still busy"
)

// acted reports whether the processor does the act in spite of the trouble.
func (t Trouble) acted() bool { return t != TimeoutBefore && t != CutBefore }

// silent reports whether the processor never answers.
func (t Trouble) silent() bool { return t == TimeoutBefore || t == TimeoutAfter }

var troubles = []Trouble{TimeoutBefore, TimeoutAfter, CutBefore, CutAfter, CutMidway, ErrorAfter, Malformed}

// Number is a card or bank account with what belongs to it.
type Number struct {
	Instrument billing.Instrument
	Number     string
	Expiry     string // MMYY, cards
	Routing    string // bank accounts
}

// Decline is a charge that is declined.
type Decline struct {
	Number   Number
	Minor    int64 // in dollars' minor units
	Response billing.ResponseCode
}

// Movement is an approved act in the processor's own books.
type Movement struct {
	Kind      billing.AttemptKind
	Reference string
	Amount    billing.Money
}

// Harness is what a driver's test knows about its processor.
type Harness struct {
	Driver   processor.Driver
	Merchant string    // whose books are empty
	Other    string    // another merchant
	At       time.Time // the merchant's time when the test begins

	Card    Number    // is approved for whatever is between 5 and 69.99 dollars, 500 and 6999 yen, 0.5 and 6.999 dinars
	Second  Number    // so is this one; its last four digits differ
	Decline []Decline // at least one soft and one hard decline

	Account  Number        // a bank account whose claims settle; zero if the processor debits none
	Returned Number        // one whose claims come back
	Return   string        // with this code
	Settles  time.Duration // so long after the claim

	Chargeback Number        // a card whose charges are charged back; needed for a Noticer
	LateReturn Number        // a bank account whose claims settle and come back late; zero if there is none
	Change     Number        // a bank account whose claims bring a notification of change; zero if there is none
	Late       time.Duration // how long after a charge or settlement the chargeback or late return comes

	// Disturb makes the trouble hit the next act or look-up of Merchant, once.
	Disturb func(*testing.T, Trouble)

	// Silent receives when the processor has fallen silent on a request, so
	// that the suite knows when to give up.
	Silent <-chan struct{}

	// Books are the approved acts of a merchant in the processor's own books,
	// in order.
	Books func(t *testing.T, merchant string) []Movement

	// Kept is all that the processor has kept, raw, to be searched for
	// numbers. Nil if it cannot be had.
	Kept func(*testing.T) []byte

	// Unreachable is a driver whose processor nobody can connect to. Nil if
	// there is no line that could be missing.
	Unreachable processor.Driver
}

// SecurityCode is the security code of the suite's charges. It is found nowhere
// afterwards.
const SecurityCode = "9173"

// suite is a harness with the means to use it.
type suite struct {
	Harness
	last int // number of the last reference
}

// Run runs the suite. open gives each test a harness of its own.
func Run(t *testing.T, open func(*testing.T) Harness) {
	tests := []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"Name", (*suite).testName},
		{"Approve", (*suite).testApprove},
		{"Decline", (*suite).testDecline},
		{"Currencies", (*suite).testCurrencies},
		{"SameReference", (*suite).testSameReference},
		{"SameReferenceAtOnce", (*suite).testSameReferenceAtOnce},
		{"OtherAct", (*suite).testOtherAct},
		{"Merchants", (*suite).testMerchants},
		{"NotFound", (*suite).testNotFound},
		{"Trouble", (*suite).testTrouble},
		{"Busy", (*suite).testBusy},
		{"NotSent", (*suite).testNotSent},
		{"HangUp", (*suite).testHangUp},
		{"Refund", (*suite).testRefund},
		{"RefundsAtOnce", (*suite).testRefundsAtOnce},
		{"Void", (*suite).testVoid},
		{"Authorize", (*suite).testAuthorize},
		{"AuthorizeTrouble", (*suite).testAuthorizeTrouble},
		{"Deeds", (*suite).testDeeds},
		{"Claim", (*suite).testClaim},
		{"Credit", (*suite).testCredit},
		{"Notices", (*suite).testNotices},
		{"Secrets", (*suite).testSecrets},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(&suite{Harness: open(t)}, t) })
	}
}

// reference makes a reference that was not used before.
func (s *suite) reference() string {
	s.last++
	return fmt.Sprintf("t-%d", s.last)
}

// charge is a request for a charge under a new reference.
func (s *suite) charge(n Number, amount billing.Money) processor.Request {
	return processor.Request{
		Merchant: s.Merchant, Reference: s.reference(), Amount: amount, At: s.At,
		Instrument: n.Instrument, Number: billing.NewSecret(n.Number), Expiry: n.Expiry, Routing: n.Routing,
		SecurityCode: billing.NewSecret(SecurityCode), Payer: billing.Payer{Holder: "Erika Mustermann"},
	}
}

// back is a request that takes something of a charge back.
func (s *suite) back(original processor.Request, amount billing.Money) processor.Request {
	return processor.Request{
		Merchant: s.Merchant, Reference: s.reference(), Original: original.Reference, Amount: amount, At: s.At,
		Instrument: original.Instrument,
	}
}

// approved performs an act that must be approved.
func (s *suite) approved(t *testing.T, act func(context.Context, processor.Request) (billing.Outcome, error), r processor.Request) billing.Outcome {
	t.Helper()
	return s.answered(t, act, r, billing.AttemptApproved)
}

// answered performs an act that must come to a state, whatever the response,
// and be sound.
func (s *suite) answered(t *testing.T, act func(context.Context, processor.Request) (billing.Outcome, error), r processor.Request, state billing.AttemptState) billing.Outcome {
	t.Helper()
	out, err := act(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", r.Reference, err)
	}
	s.sound(t, r, out)
	if out.State != state {
		t.Fatalf("%s is %s (%s %s), want %s", r.Reference, out.State, out.Response, out.Message, state)
	}
	return out
}

// sound checks an outcome for contradictions.
func (s *suite) sound(t *testing.T, r processor.Request, out billing.Outcome) {
	t.Helper()
	good := out.Response.Severity() == billing.Good && out.Response != ""
	switch out.State {
	case billing.AttemptApproved, billing.AttemptPending:
		if !good {
			t.Errorf("%s is %s with response %q", r.Reference, out.State, out.Response)
		}
		if out.ProcessorID == "" {
			t.Errorf("%s is %s without an id of the processor", r.Reference, out.State)
		}
		if !out.Amount.IsZero() && out.Amount != r.Amount {
			t.Errorf("%s is %s for %s, was asked for %s", r.Reference, out.State, out.Amount, r.Amount)
		}
	case billing.AttemptDeclined:
		if good || out.Response == "" {
			t.Errorf("%s is declined with response %q", r.Reference, out.Response)
		}
		if out.ApprovalCode != "" {
			t.Errorf("%s is declined with an approval code", r.Reference)
		}
	default:
		t.Errorf("%s is %q: only a look-up may say unknown", r.Reference, out.State)
	}
}

// lookup looks an act up that must be found.
func (s *suite) lookup(t *testing.T, reference string, at time.Time) billing.Outcome {
	t.Helper()
	out, err := s.Driver.Lookup(t.Context(), s.Merchant, reference, at)
	if err != nil {
		t.Fatalf("look up %s: %v", reference, err)
	}
	return out
}

// books compares the processor's books of the merchant with what they must hold.
func (s *suite) books(t *testing.T, want ...Movement) {
	t.Helper()
	got := s.Books(t, s.Merchant)
	if diff := cmp.Diff(want, got, sameMoney); diff != "" {
		t.Errorf("the processor's books (-want +got):\n%s", diff)
	}
}

// disturbed performs an act that trouble hits and that must therefore end in an
// error.
func (s *suite) disturbed(t *testing.T, trouble Trouble, act func(context.Context, processor.Request) (billing.Outcome, error), r processor.Request) error {
	t.Helper()
	s.Disturb(t, trouble)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	if trouble.silent() {
		go func() {
			select {
			case <-s.Silent:
				giveUp()
			case <-ctx.Done():
			}
		}()
	}
	out, err := act(ctx, r)
	if err == nil {
		t.Fatalf("%s: %s, yet an outcome came: %s %s", r.Reference, trouble, out.State, out.Response)
	}
	return err
}

func usd(minor int64) billing.Money { return billing.Minor(minor, "USD") }

func moved(kind billing.AttemptKind, r processor.Request) Movement {
	return Movement{Kind: kind, Reference: r.Reference, Amount: r.Amount}
}

// sameMoney lets cmp compare amounts.
var sameMoney = cmp.Comparer(func(a, b billing.Money) bool { return a == b })

// same reports a difference of two outcomes that should be one.
func same(t *testing.T, what string, first, second billing.Outcome) {
	t.Helper()
	if diff := cmp.Diff(first, second, sameMoney); diff != "" {
		t.Errorf("%s (-first +second):\n%s", what, diff)
	}
}
