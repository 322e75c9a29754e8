package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
)

// judge makes one of the four outcomes of what a driver returned for an act.
// trouble says why it is not the driver's own, "" if it is.
func judge(r *Request, answer billing.Outcome, err error) (out billing.Outcome, trouble string) {
	red := redactorFor(r)
	if err != nil {
		trouble = red.text(err.Error(), maxMessage)
		switch {
		case errors.Is(err, ErrConflict):
			// Nothing was done now, but something was before: a person or a
			// look-up must say what.
			return unknown("the processor knows this reference from another act"), trouble
		case errors.Is(err, ErrNotSent):
			return notDone(billing.IssuerUnavailable, "the processor could not be reached; nothing was sent"), trouble
		case errors.Is(err, ErrRefused):
			return notDone(billing.SystemMalfunction, "the processor refused the request; nothing was done"), trouble
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			return unknown("the processor did not answer in time"), trouble
		}
		return unknown("no clear answer came from the processor"), trouble
	}
	out, trouble = settle(red, r.Amount, answer)
	if trouble != "" {
		return unknown("the processor's answer contradicts itself or the request"), trouble
	}
	return out, ""
}

// notDone is a decline that says nothing of the payer.
func notDone(code billing.ResponseCode, message string) billing.Outcome {
	out := declined(code, message)
	out.NotDone = true
	return out
}

// settle cleans an outcome and checks that it makes sense; contradiction says
// why it does not. asked is what the act was asked for, zero if that is not
// known. An outcome may be of less than was asked, never of more.
func settle(red redactor, asked billing.Money, o billing.Outcome) (out billing.Outcome, contradiction string) {
	out = billing.Outcome{
		State: o.State, Response: o.Response, Message: red.text(o.Message, maxMessage),
		ApprovalCode: red.id(o.ApprovalCode, maxApproval), ProcessorID: red.id(o.ProcessorID, maxID),
	}
	if o.State != billing.AttemptUnknown && !validResponse(o.Response) {
		return out, "the response code is malformed"
	}
	switch o.State {
	case billing.AttemptApproved, billing.AttemptPending:
		if o.Response.Severity() != billing.Good {
			return out, fmt.Sprintf("%s, yet with response code %s", o.State, o.Response)
		}
		if o.State == billing.AttemptPending {
			out.SettlesAt = o.SettlesAt
		}
		return out, settleAmount(&out, asked, o.Amount)
	case billing.AttemptDeclined:
		if o.Response.Severity() == billing.Good {
			return out, fmt.Sprintf("declined, yet with response code %s", o.Response)
		}
		out.ApprovalCode = "" // of an approval alone
		return out, ""
	case billing.AttemptUnknown:
		if !validResponse(o.Response) {
			out.Response = ""
		}
		out.ApprovalCode = ""
		return out, ""
	case billing.Sending:
	}
	return out, "the state is malformed"
}

// settleAmount takes over the approved amount and keeps the response code true
// to it: a smaller amount is a partial approval whatever the code said.
func settleAmount(out *billing.Outcome, asked, approved billing.Money) (contradiction string) {
	if approved.IsZero() {
		if out.Response == billing.PartiallyApproved {
			return "partially approved, yet no amount is told"
		}
		return ""
	}
	if approved.Sign() < 0 || approved.Currency() == "" {
		return "the approved amount is malformed"
	}
	out.Amount = approved
	if asked.IsZero() {
		return "" // a look-up
	}
	switch order, err := approved.Cmp(asked); {
	case err != nil:
		return "approved in another currency"
	case order > 0:
		return "approved for more than was asked"
	case order < 0:
		out.Response = billing.PartiallyApproved
	case out.Response == billing.PartiallyApproved:
		return "partially approved, yet for the whole amount"
	}
	return ""
}

// checkNotices returns the notices up to the first that makes no sense.
func checkNotices(notices []billing.Notice, after int64) ([]billing.Notice, error) {
	for i := range notices {
		n := &notices[i]
		good := n.Seq > after && n.Reference != "" && len(n.Reference) <= maxReference &&
			(n.Response == "" || validResponse(n.Response)) && n.Amount.Sign() >= 0
		switch n.Kind {
		case billing.NoticeChargeback, billing.NoticeChargebackReversed, billing.NoticeReturn:
			good = good && n.Amount.Sign() > 0 && n.Amount.Currency() != ""
		case billing.NoticeChange:
		default:
			good = false
		}
		if !good {
			return notices[:i], fmt.Errorf("notice %d, after %d, is malformed", n.Seq, after)
		}
		after = n.Seq
	}
	return notices, nil
}

func declined(code billing.ResponseCode, message string) billing.Outcome {
	return billing.Outcome{State: billing.AttemptDeclined, Response: code, Message: message}
}

func unknown(message string) billing.Outcome {
	return billing.Outcome{State: billing.AttemptUnknown, Message: message}
}

// validResponse reports whether a code has the form that billing.ResponseCode
// describes.
func validResponse(c billing.ResponseCode) bool {
	if len(c) < 2 || len(c) > 3 {
		return false
	}
	for _, r := range c {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

// redactedError shows a driver's error without what may be a number in it.
type redactedError struct{ err error }

func redacted(err error) error { return redactedError{err} }

// Error is the cleaned text.
func (e redactedError) Error() string { return redactor{}.text(e.err.Error(), maxMessage) }

// Is lets errors.Is look at the driver's error without handing it out.
func (e redactedError) Is(target error) bool { return errors.Is(e.err, target) }
