package unipay

import (
	"context"
	"errors"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// failureOf turns an error of any kind into a Failure: the one place where the
// core's kinds of error become codes of this API (5.2). names are the fields of
// the action at hand that the core calls otherwise, nil if there are none.
//
// Only the text of a billing.Error is shown. Anything else is our own trouble,
// and its text is for the log.
func failureOf(err error, names map[string]string) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	var e *billing.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return Fail(Unavailable, "", "the request was given up").because(err)
		}
		return AsFailure(err)
	}
	field := e.Field
	if name, ok := names[field]; ok {
		field = name
	}
	situation := situationOf(e.Kind, field)
	var refusal *billing.VelocityRefusal
	if errors.As(err, &refusal) {
		situation = BadState // published, and unlike L03 no invitation to try again in a moment
	}
	if situation == Unexpected {
		return AsFailure(err)
	}
	message := vocabulary.Replace(e.Message)
	if field != "" {
		message = field + ": " + message
	}
	f = Fail(situation, field, message).because(err)
	if situation == TooMany || situation == Unavailable {
		f.RetryAfter = retryAfter
	}
	return f
}

// vocabulary turns the core's names of things, where they stand in a message,
// into this wire's.
var vocabulary = strings.NewReplacer("payment method", "payment option", "payment_method", "payment option", "activity", "transaction")

// retryAfter is how many seconds a client is told to wait when the core does not
// say it more exactly.
const retryAfter = 5

// situationOf sorts the kinds of error. A value that is malformed as such was
// refused by the Read functions with F02, so what the core calls invalid is a
// value that is well-formed and still wrong, for which V21 is published.
func situationOf(k billing.Kind, field string) Situation {
	switch k {
	case billing.Internal:
		return Unexpected
	case billing.Invalid:
		return BadValue
	case billing.Missing:
		return Missing
	case billing.NotFound:
		return NotFound
	case billing.Duplicate:
		return DuplicateCode
	case billing.State:
		return BadState
	case billing.Unauthenticated:
		return BadCredentials
	case billing.Forbidden:
		if field == "accountNumber" {
			return RawDataRefused
		}
		return NotPermitted
	case billing.Conflict, billing.InProgress:
		return KeyConflict
	case billing.Limited:
		return TooMany
	case billing.Unavailable, billing.OutcomeUnknown: // an action that has no answer for the latter
		return Unavailable
	}
	return Unexpected
}

// processingNames are the fields of a ProcessingRequest that are called
// otherwise on a payment option, which is where the core has its names from:
// here type is the type of the transaction.
var processingNames = map[string]string{"type": "accountType"}
