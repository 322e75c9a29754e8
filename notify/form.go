package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Form is how one dialect tells events. A dialect declares one, and the command
// hands it to the Courier.
type Form struct {
	Dialect string
	Policy  Policy

	// Tells reports whether events of a kind can mean a message. The others cost
	// nothing more.
	Tells func(billing.EventKind) bool

	// Encode turns one event into messages, none if nobody wants to know. It is
	// called in the transaction that makes the deliveries, perhaps more than once,
	// and reads the books as they are then, which may be a little after the event.
	// An error that is not the database's gives the event up, with a log: the
	// others must go on.
	Encode func(context.Context, *Telling) ([]Message, error)

	// Check says what is wrong with an endpoint's settings, which may be nil.
	Check func(json.RawMessage) error

	// Once reports whether an endpoint's settings say that a message which is not
	// taken at once is given up; nil is never.
	Once func(json.RawMessage) bool

	// PerAccount is how many endpoints may tell of one account, 0 for any number.
	PerAccount int
}

// Telling is an event that is to be told, and to whom.
type Telling struct {
	View      *store.View
	Merchant  *billing.Merchant
	Event     billing.Event
	Endpoints []Endpoint // of the dialect, none of them disabled; of any account

	// Number is the number by which an attempt is known on the dialect's wire. One
	// that has none gets the one that make gives, see cashier.AttemptNumber.
	Number func(ctx context.Context, id billing.AttemptID, make func() string) (string, error)

	// Count tells the small numbers of objects, see store.Tx.Count.
	Count func(ctx context.Context, n store.Noun, names []string, first int64) (map[string]int64, error)
}

// Endpoint is an endpoint with what is secret of it.
type Endpoint struct {
	*billing.Endpoint
	Secrets billing.EndpointSecrets
}

// Message is what an endpoint is told.
type Message struct {
	To          billing.EndpointID
	Key         string // what it tells, such as "RenewalSuccess/77": an endpoint is told each once
	Kind        string // the dialect's name of it, for people who look for it
	Customer    billing.CustomerID
	Lane        int64 // from 0; within a lane messages go one after the other; 0 is no order
	Query       string
	ContentType string
	Body        []byte
}

// Policy is how a dialect's messages are sent.
type Policy struct {
	// Pauses are the waits after each failed try; after one more try than there
	// are pauses a message is given up.
	Pauses []time.Duration

	Timeout   time.Duration // of one request, all in all; at most 1 minute
	Lifetime  time.Duration // a message older than this is given up untried; 0 is no such bound
	Redirects int           // how many redirects (307 and 308) are followed; 0 takes every redirect for a failure
	Gone      bool          // an answer of 410 gives the message up at once
}

// taken reports whether an answer means that the receiver has taken the message.
func taken(status int) bool { return status >= 200 && status < 300 }

// final reports whether a failed answer ends the tries.
func (p Policy) final(status int) bool { return p.Gone && status == http.StatusGone }
