package billing

import (
	"encoding/json"
	"time"
)

// Endpoint is an address at which a merchant wants to be told of events, in the
// form of one dialect.
type Endpoint struct {
	MerchantID MerchantID
	ID         EndpointID
	AccountID  AccountID // whose events are told; 0 is all accounts of the merchant
	Code       string
	Dialect    string // whose form messages have
	URL        string
	Login      string          // name of HTTP Basic, "" for none
	Settings   json.RawMessage // the dialect's own, nil for none
	Sealed     []byte          // EndpointSecrets, sealed by the merchant's keys for this endpoint alone; nil for none
	Disabled   bool            // nothing new is told, and what waits goes on waiting
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// EndpointSecrets are what proves to a receiver who is telling. Each may be
// absent.
type EndpointSecrets struct {
	Password Secret // of HTTP Basic
	HMACKey  Secret // signs every message
	Salt     Secret // of a dialect's own digests, such as CCBill's (protocols/ccbill.md 8.3)
}

// IsZero reports whether there are none.
func (s EndpointSecrets) IsZero() bool {
	return s.Password.IsZero() && s.HMACKey.IsZero() && s.Salt.IsZero()
}

// DeliveryState says how far a message has come.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryHeld    DeliveryState = "held"     // waits for the one before it in its lane
	DeliveryWaiting DeliveryState = "waiting"  // is sent when its time has come
	DeliveryDone    DeliveryState = "done"     // the receiver took it
	DeliveryGivenUp DeliveryState = "given-up" // all tries failed, or there was nothing that could be sent
)

// Delivery is one message to one endpoint. Query, content type and body are made
// once, so that every try sends the same. Times are the world's.
type Delivery struct {
	MerchantID  MerchantID
	ID          DeliveryID
	EndpointID  EndpointID
	EventID     EventID
	CustomerID  CustomerID // whom the body tells about, 0 if nobody
	Key         string     // what it tells, once for each endpoint
	Kind        string     // the dialect's name of what it tells
	Lane        int64      // within a lane the next goes when the one before has ended; 0 is no order
	Query       string     // added to the endpoint's URL
	ContentType string
	Body        []byte // nil once it was erased
	State       DeliveryState
	Tries       int       // that were begun
	RoundFrom   int       // tries before the present round: a resending begins a new one
	NextAt      time.Time // when it is sent next, zero if it is held or has ended
	LeaseUntil  time.Time // while a worker has it in hand
	CreatedAt   time.Time
	EndedAt     time.Time // zero while it is waiting or held
}

// Begin counts a try and takes the delivery in hand until an instant.
func (d *Delivery) Begin(until time.Time) {
	d.Tries++
	d.LeaseUntil = until
}

// Taken notes that the receiver has taken it.
func (d *Delivery) Taken(at time.Time) { d.end(DeliveryDone, at) }

// Refused notes that a try failed at an instant: the next one comes after the
// pause that belongs to it, or if there is none the delivery is given up.
func (d *Delivery) Refused(at time.Time, pauses []time.Duration) {
	failed := d.Tries - d.RoundFrom
	if failed < 1 || failed > len(pauses) {
		d.end(DeliveryGivenUp, at)
		return
	}
	d.LeaseUntil, d.NextAt = time.Time{}, at.Add(pauses[failed-1])
}

// GiveUp ends a delivery that is not to be tried again.
func (d *Delivery) GiveUp(at time.Time) { d.end(DeliveryGivenUp, at) }

func (d *Delivery) end(s DeliveryState, at time.Time) {
	d.State, d.EndedAt = s, at
	d.NextAt, d.LeaseUntil = time.Time{}, time.Time{}
}

// Resend has the delivery tried again now, whatever became of it, with a whole
// round of tries. It refuses what is in a worker's hands, and what was erased.
func (d *Delivery) Resend(at time.Time) error {
	switch {
	case d.LeaseUntil.After(at):
		return Errorf(State, "the message is being sent at this moment")
	case d.Body == nil:
		return Errorf(State, "the body of the message was erased: there is nothing to send")
	}
	d.State, d.RoundFrom, d.NextAt = DeliveryWaiting, d.Tries, at
	d.LeaseUntil, d.EndedAt = time.Time{}, time.Time{}
	return nil
}

// Try is what the sender saw of one try of a delivery.
type Try struct {
	DeliveryID DeliveryID
	Number     int // from 1
	At         time.Time
	Took       time.Duration // to the millisecond
	Status     int           // of HTTP; 0 if no answer came
	Answer     string        // the first bytes of the body, made printable
	Fault      string        // why no answer came, "" if one did
}
