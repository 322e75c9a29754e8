package sandbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/perennial-billing/perennial/billing"
)

// orderBody is the body of a request for an act. It holds a number and perhaps
// a security code, so it is never printed, and the bank keeps neither.
type orderBody struct {
	Reference    string             `json:"reference"`
	Original     string             `json:"original,omitempty"`
	OriginalID   string             `json:"original_id,omitempty"`
	Amount       int64              `json:"amount"` // minor units
	Currency     billing.Currency   `json:"currency"`
	Instrument   billing.Instrument `json:"instrument,omitempty"`
	Number       string             `json:"number,omitempty"`
	Expiry       string             `json:"expiry,omitempty"`
	Routing      string             `json:"routing,omitempty"`
	SecurityCode string             `json:"security_code,omitempty"`
	Payer        billing.Payer      `json:"payer,omitzero"`
	Customer     string             `json:"customer,omitempty"`
	Recurring    bool               `json:"recurring,omitempty"`
	At           time.Time          `json:"at"`
}

// answerBody is the answer to an act or a look-up.
type answerBody struct {
	ID           string               `json:"id"`
	Reference    string               `json:"reference"`
	State        billing.AttemptState `json:"state"`
	Response     billing.ResponseCode `json:"response,omitempty"`
	Message      string               `json:"message,omitempty"`
	ApprovalCode string               `json:"approval_code,omitempty"`
	Amount       int64                `json:"amount,omitempty"` // approved, minor units
	Currency     billing.Currency     `json:"currency,omitempty"`
	SettlesAt    time.Time            `json:"settles_at,omitzero"`
}

// noticeBody is one notice.
type noticeBody struct {
	Seq       int64                `json:"seq"`
	Kind      billing.NoticeKind   `json:"kind"`
	Reference string               `json:"reference"`
	Response  billing.ResponseCode `json:"response,omitempty"`
	Amount    int64                `json:"amount"` // minor units
	Currency  billing.Currency     `json:"currency"`
	Number    string               `json:"number,omitempty"`
	Routing   string               `json:"routing,omitempty"`
	At        time.Time            `json:"at"`
}

// refusalBody says why the bank did nothing.
type refusalBody struct {
	Error   string `json:"error"`
	Message string `json:"message,omitempty"`
}

// The words of refusalBody.Error.
const (
	wordInvalid     = "invalid"
	wordNotFound    = "not-found"
	wordConflict    = "conflict"
	wordUnavailable = "unavailable"
	wordInternal    = "internal"
)

// order is an act asked of the bank: what is left of orderBody once the number
// and the security code are gone.
type order struct {
	merchant   string
	kind       billing.AttemptKind
	reference  string
	original   string
	originalID int64
	amount     billing.Money
	instrument billing.Instrument
	masked     string
	expiry     string
	routing    string
	bad        billing.ResponseCode // answer to what is wrong with the number, "" nothing is
	card       *Card
	account    *Account
	customer   string
	at         time.Time
	forced     billing.ResponseCode // answer that a fault demands, "" none
}

// maxReference bounds references and merchant codes, in bytes.
const maxReference = 100

// order checks a body and leaves its secrets behind.
func (b *orderBody) order(t *Tables, merchant string, kind billing.AttemptKind) (*order, error) {
	currency, err := billing.ParseCurrency(string(b.Currency))
	switch {
	case err != nil:
		return nil, billing.FieldError(billing.Invalid, "currency", "must be a code of ISO 4217")
	case !plain(merchant):
		return nil, billing.FieldError(billing.Invalid, "merchant", "must be 1 to %d printable characters", maxReference)
	case !plain(b.Reference):
		return nil, billing.FieldError(billing.Invalid, "reference", "must be 1 to %d printable characters", maxReference)
	case b.Amount < 1 || b.Amount > billing.MaxAmount:
		return nil, billing.FieldError(billing.Invalid, "amount", "must be from 1 to %d minor units", int64(billing.MaxAmount))
	case b.At.IsZero():
		return nil, billing.FieldError(billing.Missing, "at", "the bank has no clock and must be told the time")
	}
	o := &order{
		merchant: merchant, kind: kind, reference: b.Reference,
		amount: billing.Minor(b.Amount, currency),
		at:     b.At.UTC().Truncate(time.Microsecond), // as the books keep it
	}
	if b.Customer != "" {
		if !plain(b.Customer) {
			return nil, billing.FieldError(billing.Invalid, "customer", "must be at most %d printable characters", maxReference)
		}
		o.customer = b.Customer
	}
	if kind == billing.AskVoid || kind == billing.AskRefund {
		o.original = b.Original
		if o.original == "" {
			o.originalID, err = parseID(b.OriginalID)
			if err != nil {
				return nil, billing.FieldError(billing.Missing, "original", "the reference or id of the original is needed")
			}
		}
		return o, nil
	}
	if !b.Instrument.IsCard() && !b.Instrument.IsBank() {
		return nil, billing.FieldError(billing.Invalid, "instrument", "must be a card or a bank account")
	}
	o.instrument, o.expiry, o.routing = b.Instrument, b.Expiry, b.Routing
	o.masked = billing.Mask(b.Number)
	if o.bad = b.check(t); o.bad != "" {
		// Such fields may hold anything, a number in the wrong place included.
		o.masked, o.expiry, o.routing = "", "", ""
		return o, nil
	}
	if kind == billing.AskAuthorize && !b.Instrument.IsCard() {
		return nil, billing.FieldError(billing.Invalid, "instrument", "only a card can be authorised")
	}
	if b.Instrument.IsCard() {
		o.card = t.card(b.Number)
	} else {
		o.account = t.account(b.Number)
	}
	return o, nil
}

// check is the answer to what is wrong with a number and what comes with it.
func (b *orderBody) check(t *Tables) billing.ResponseCode {
	good := b.Instrument.CheckNumber(b.Number)
	if b.Instrument.IsCard() && len(b.Number) < 3 {
		good = t.card(b.Number) != nil // what no card can have, and a test gateway takes for one
	}
	switch card := b.Instrument.IsCard(); {
	case card && !good:
		return "14"
	case card && !billing.CheckExpiry(b.Expiry):
		return "80"
	case !card && !good:
		return "R04"
	case !card && !routable(b.Routing):
		return "R13"
	}
	return ""
}

// plain reports whether s may be a reference or merchant code.
func plain(s string) bool {
	if s == "" || s == "." || s == ".." || s == Everyone || len(s) > maxReference { // dots are no segment of a path
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}

// routable reports whether s can be a routing number of some country: 6 to 9
// digits. The check digit is an American matter, and the bank serves Australian
// and Canadian test accounts too.
func routable(s string) bool {
	if len(s) < 6 || len(s) > 9 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// idPrefix begins the bank's own ids.
const idPrefix = "sb-"

func formatID(seq int64) string { return idPrefix + strconv.FormatInt(seq, 10) }

func parseID(s string) (int64, error) {
	digits, ok := strings.CutPrefix(s, idPrefix)
	seq, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || seq < 1 {
		return 0, fmt.Errorf("sandbox: not an id of this bank")
	}
	return seq, nil
}

// lineBody is a line of the journal as JSON.
type lineBody struct {
	Seq        int64                `json:"seq"`
	At         time.Time            `json:"at"`
	Kind       LineKind             `json:"kind"`
	Reference  string               `json:"reference"`
	Original   string               `json:"original,omitempty"`
	Response   billing.ResponseCode `json:"response,omitempty"`
	Amount     int64                `json:"amount"` // minor units
	Currency   billing.Currency     `json:"currency"`
	Instrument billing.Instrument   `json:"instrument,omitempty"`
	Masked     string               `json:"masked,omitempty"`
}

// MarshalJSON writes the line with its amount in minor units.
func (l Line) MarshalJSON() ([]byte, error) {
	return json.Marshal(lineBody{
		Seq: l.Seq, At: l.At, Kind: l.Kind, Reference: l.Reference, Original: l.Original, Response: l.Response,
		Amount: l.Amount.Minor(), Currency: l.Amount.Currency(), Instrument: l.Instrument, Masked: l.Masked,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Line) UnmarshalJSON(text []byte) error {
	var b lineBody
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	*l = Line{
		Seq: b.Seq, At: b.At, Kind: b.Kind, Reference: b.Reference, Original: b.Original, Response: b.Response,
		Amount: billing.Minor(b.Amount, b.Currency), Instrument: b.Instrument, Masked: b.Masked,
	}
	return nil
}

// totalBody is a total of the journal as JSON.
type totalBody struct {
	Kind     LineKind         `json:"kind"`
	Currency billing.Currency `json:"currency"`
	Count    int64            `json:"count"`
	Amount   int64            `json:"amount"` // minor units
	Declined int64            `json:"declined"`
}

// MarshalJSON writes the total with its amount in minor units.
func (t Total) MarshalJSON() ([]byte, error) {
	return json.Marshal(totalBody{Kind: t.Kind, Currency: t.Amount.Currency(), Count: t.Count, Amount: t.Amount.Minor(), Declined: t.Declined})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Total) UnmarshalJSON(text []byte) error {
	var b totalBody
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	*t = Total{Kind: b.Kind, Count: b.Count, Amount: billing.Minor(b.Amount, b.Currency), Declined: b.Declined}
	return nil
}
