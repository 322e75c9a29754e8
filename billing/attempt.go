package billing

import (
	"encoding/json"
	"time"
)

// AttemptKind is what a processor is asked for.
type AttemptKind string

// The kinds of asking.
const (
	AskCharge AttemptKind = "charge" // authorise and capture a card, or debit a bank account
	AskVoid   AttemptKind = "void"   // take back a charge before it is settled
	AskRefund AttemptKind = "refund" // pay back a settled charge
	AskCredit AttemptKind = "credit" // pay to a card or account without an original charge

	// AskAuthorize asks whether a card would pay, and takes no money: it is voided
	// at once, and has no activity (protocols/recurly-v1.md 6.4).
	AskAuthorize AttemptKind = "authorize"
)

// AttemptState is what we know of an attempt.
type AttemptState string

// The states. Sending and unknown are those that must be cleared up before
// anything else is asked for the same debt; pending settles later; the other
// two are final, but for a late return or chargeback.
const (
	Sending         AttemptState = "sending" // committed, perhaps sent
	AttemptUnknown  AttemptState = "unknown" // sent, no word came back
	AttemptPending  AttemptState = "pending" // accepted, settles or returns later
	AttemptApproved AttemptState = "approved"
	AttemptDeclined AttemptState = "declined"
)

// Attempt is one asking of a processor. It is written down before it is sent
// and bears the reference by which the processor knows it: asking twice with
// one reference is asking once.
type Attempt struct {
	MerchantID      MerchantID
	ID              AttemptID
	AccountID       AccountID
	CustomerID      CustomerID
	SubscriptionID  SubscriptionID  // whose billing caused it, 0 if none
	PaymentMethodID PaymentMethodID // 0 for a number that came with the request
	ActivityID      ActivityID      // the activity that it becomes, 0 of a look at a card
	Parent          AttemptID       // the charge or authorisation that a void or refund takes back, 0 if none
	Kind            AttemptKind
	Claim           bool // an automatic claim: becomes a Claim, not a Payment
	Processor       string
	Reference       string
	Amount          Money
	Tax             Money
	Instrument      Instrument
	Masked          string
	Expiry          string // MMYY, cards
	Routing         string // bank accounts
	Token           string
	Payer           Payer
	Details         Details
	State           AttemptState
	Response        ResponseCode
	Message         string // the processor's own words
	ApprovalCode    string // of the issuer, "" on a decline
	ProcessorID     string // the processor's own name for the transaction
	CreatedAt       time.Time
	AnsweredAt      time.Time // zero while no answer came
	CheckAt         time.Time // by the merchant's clock: when a pending claim is asked about, else zero
	LeaseUntil      time.Time // by the world's clock: when another worker may ask after it, else zero
	Checks          int       // askings after an unknown outcome
	Unseen          int       // of which the processor said that it has not seen the request
	UnsettledAt     time.Time // by the merchant's clock: since when a person must say what became of it, else zero
	SettledBy       string    // the person who said what became of it, "" if the processor did
	Contradiction   string    // what the processor said later against the person, "" if nothing
}

// Payer is who pays, as the processor was told.
type Payer struct {
	Holder  string  `json:"holder,omitempty"`
	Address Address `json:"address,omitzero"`
	Phone   string  `json:"phone,omitempty"`
	Email   string  `json:"email,omitempty"`
}

// Details are what the request for a charge said of the activity that it will
// become; they travel with the attempt so that a crash loses nothing.
type Details struct {
	Code        string       `json:"code,omitempty"`
	Note        string       `json:"note,omitempty"`
	Creator     string       `json:"creator,omitempty"`
	Due         string       `json:"due,omitempty"` // 2006-01-02
	InvoiceList string       `json:"invoice_list,omitempty"`
	Targets     []ActivityID `json:"targets,omitempty"` // the debts to be covered first, in order
	Sale        *Sale        `json:"sale,omitempty"`    // the subscription that comes of an approval

	// Ends is the subscription that ends at once when what paid for it is taken
	// back, 0 if none does.
	Ends SubscriptionID `json:"ends,omitempty"`

	// Adopts is the payment method with which is paid, where it becomes the
	// customer's one and only with the approval: the subscriptions are paid with it
	// from then on, and those before it are forgotten. If this is declined, it is
	// itself forgotten. 0 where nothing of the kind happens.
	Adopts PaymentMethodID `json:"adopts,omitempty"`

	// Enrolls says that the customer came into being with this attempt. If it is
	// declined, the customer's code is free again.
	Enrolls bool `json:"enrolls,omitempty"`

	// Keeps says of a refund that what was paid for stays paid: what is given back is
	// not owed again.
	Keeps bool `json:"keeps,omitempty"`

	// Round counts the voids of an authorisation that were refused before this one.
	Round int `json:"round,omitempty"`

	// Extra is what the request said that means nothing to the core, for
	// whoever is told of the outcome; never a password or a number of a card.
	Extra map[string]string `json:"extra,omitempty"`
}

// Erase takes out what somebody said, and leaves what the books need.
func (d *Details) Erase() {
	d.Code, d.Note, d.InvoiceList, d.Extra = "", "", "", nil
	if d.Sale != nil {
		sale := *d.Sale
		sale.Number, sale.Previous = "", ""
		d.Sale = &sale
	}
}

// JSON is the form in which details are kept; none are kept as "".
func (d Details) JSON() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic("billing: details that do not marshal: " + err.Error())
	}
	if string(text) == "{}" {
		return ""
	}
	return string(text)
}

// Final reports whether the attempt's outcome is known for good.
func (a *Attempt) Final() bool {
	return a.State == AttemptApproved || a.State == AttemptDeclined
}

// Verifies reports whether the attempt belongs to the look at a card that takes
// no money: the authorisation, or the void that lets go of it. Neither is in the
// customer's account.
func (a *Attempt) Verifies() bool {
	return a.Kind == AskAuthorize || a.Kind == AskVoid && a.ActivityID == 0
}

// Outcome is what a processor said of an attempt.
type Outcome struct {
	State        AttemptState // approved, pending, declined or unknown
	Response     ResponseCode
	Message      string
	ApprovalCode string
	ProcessorID  string
	Amount       Money     // what was approved, which may be less than asked; zero means all
	SettlesAt    time.Time // when a pending claim is expected to be settled or returned, by the merchant's clock
	Unseen       bool      // of unknown: the processor says that it has not seen the request, which may still be on its way
	Incredible   bool      // of unknown: what the processor says cannot be of this attempt, and a person must say what is
	NotDone      bool      // of a decline: the processor surely did nothing and judged nothing, as when it was out of reach
}

// NoticeKind is news of a charge that was thought finished.
type NoticeKind string

// The kinds of notice.
const (
	NoticeChargeback         NoticeKind = "chargeback"          // the cardholder's bank took the money back
	NoticeChargebackReversed NoticeKind = "chargeback-reversed" // and gave it back to the merchant
	NoticeReturn             NoticeKind = "return"              // a settled bank debit came back late
	NoticeChange             NoticeKind = "change"              // a bank account's data changed: NACHA notification of change
)

// Notice is news from a processor that nobody asked for.
type Notice struct {
	Seq       int64 // order of the processor's notices of a merchant, from 1
	Kind      NoticeKind
	Reference string // of the attempt that it is about
	Response  ResponseCode
	Amount    Money
	Number    Secret // changed account number, if any
	Routing   string // changed routing number, if any
	At        time.Time
}
