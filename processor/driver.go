// Package processor is the seam to those who move the money: acquirers,
// gateways, clearing houses, and the sandbox bank.
//
// A Driver speaks one processor's wire and does nothing else. Account is the
// concrete type that the rest of the product holds; it carries the caution that
// every processor needs, once: a deadline of its own that no impatient client
// can shorten, a bound on what is under way, and a judgement of the answer that
// leaves only four outcomes. Approved is money moved; pending is accepted and
// settles or returns later; declined is surely not moved; and everything else,
// a time-out, a cut line, an answer that contradicts itself, is unknown. Unknown
// is never treated as declined, because the customer may have been charged.
//
// What a processor can do beyond the Driver's four methods is an optional
// interface (Creditor, Authorizer, Noticer, Lister). Package processortest holds the suite that
// every driver passes, for the methods and for the optional interfaces that it
// has.
package processor

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// Request is one thing asked of a processor. Void and refund need Original or
// OriginalID or, for drivers of any processor, best both.
type Request struct {
	Merchant     string             // code of the merchant: selects its account with the processor
	Reference    string             // our name for the act, and its idempotency key with the processor
	Original     string             // reference of the act that a void or refund is about
	OriginalID   string             // the processor's own id of that act
	Amount       billing.Money      // positive; of a void, what the original was approved for
	Instrument   billing.Instrument // a card or a bank account
	Number       billing.Secret     // of the card or bank account; a void or refund may lack it
	Expiry       string             // MMYY, cards
	Routing      string             // bank accounts
	SecurityCode billing.Secret     // of the card; mostly absent, because it is never kept
	Payer        billing.Payer      // who pays, for the checks of the processor
	Customer     string             // our name for who pays, to be kept beside the act where the processor can
	Recurring    bool               // one of a series that the cardholder agreed to: no customer is present
	At           time.Time          // the merchant's time; only a sandbox makes use of it
}

// Driver speaks the wire of one processor. Its methods are safe for concurrent
// use, obey the deadline of ctx, and send at most one request that moves money.
//
// The three acts are idempotent by (Merchant, Reference): the same act asked
// again answers the outcome of the first and moves nothing. An outcome is
// returned for whatever the processor decided, a decline included. An error
// means that it is not known whether the act was done, unless it wraps
// ErrNotSent or ErrRefused, which both say that it surely was not. No error
// holds a number, a security code, or a piece of an answer that may echo one.
//
// Amounts in outcomes are what was approved, zero for all of it.
type Driver interface {
	// Name is the short name under which the processor's money is booked, as
	// in "cash:sandbox": 2 to 20 small letters, digits and hyphens.
	Name() string

	// Charge takes money: it authorises and captures a card, or begins the
	// debit of a bank account, which stays pending for days.
	Charge(ctx context.Context, r Request) (billing.Outcome, error)

	// Void takes back a whole act that is not settled yet: a charge, a refund or
	// credit, or an authorisation.
	Void(ctx context.Context, r Request) (billing.Outcome, error)

	// Refund pays back all or a part of a charge. All refunds of a charge
	// together never exceed it.
	Refund(ctx context.Context, r Request) (billing.Outcome, error)

	// Lookup tells the outcome of the act that bears our reference, as it is
	// now: a pending claim may meanwhile have settled or been returned. at is
	// the merchant's time, for sandboxes. An act that the processor is still
	// busy with is unknown. ErrNotFound says that the processor has not seen
	// the reference, which does not prove that it never will: the request may
	// still be on its way. Sending it once more under the same reference is
	// the safe way on.
	Lookup(ctx context.Context, merchant, reference string, at time.Time) (billing.Outcome, error)
}

// Creditor is a driver that can pay to a card or bank account without an
// original charge.
type Creditor interface {
	// Credit pays out. The rules of Driver hold.
	Credit(ctx context.Context, r Request) (billing.Outcome, error)
}

// Authorizer is a driver that can ask whether a card would pay, and take nothing.
type Authorizer interface {
	// Authorize holds an amount of a card and captures nothing. A Void of it lets
	// go of what is held; without one it lapses at the issuer's after some days. The
	// rules of Driver hold; a bank account is declined.
	Authorize(ctx context.Context, r Request) (billing.Outcome, error)
}

// Noticer is a driver whose processor tells of what happens to charges that
// were thought finished: chargebacks, late returns, notifications of change.
type Noticer interface {
	// Notices lists the merchant's notices after the one with Seq after (0
	// for the beginning) in rising order of Seq, at most some hundred; an
	// empty list means that there are no more for now. at is the merchant's
	// time, for sandboxes. Asking again with the same after gives the same
	// notices, perhaps followed by newer ones.
	Notices(ctx context.Context, merchant string, after int64, at time.Time) ([]billing.Notice, error)
}

// Errors that a driver wraps to say what it is sure of. Each other error of an
// act means that its outcome is unknown.
var (
	// ErrNotFound is Lookup's: the processor has not seen the reference.
	ErrNotFound = errors.New("processor: reference not found")

	// ErrNotSent says that the request surely never reached the processor:
	// no connection came about.
	ErrNotSent = errors.New("processor: not sent")

	// ErrRefused says that the processor refused to look at the request: bad
	// credentials, a malformed field, too many requests. Nothing was done.
	ErrRefused = errors.New("processor: refused")

	// ErrConflict says that the reference was used before for another act,
	// amount or number. Nothing was done now, but what was done before under
	// that reference is not what was asked.
	ErrConflict = errors.New("processor: reference used for something else")
)
