package billingcircle

import (
	"errors"
	"net/http"

	"github.com/perennial-billing/perennial/billing"
)

// refusal is a case in which a request is refused. Its name is that of the settings,
// where a merchant may give it another number.
type refusal string

// The cases. Those that are documented have a number and a text of their own (5.1);
// the others use one of these (5.2).
const (
	unknownError     refusal = "unknown_error"
	badCredentials   refusal = "invalid_credentials"
	noCredentials    refusal = "missing_credentials"
	noAccess         refusal = "no_access"
	noMethod         refusal = "no_method"
	badMethod        refusal = "invalid_method"
	missing          refusal = "missing_field"
	invalid          refusal = "invalid_field"
	clientExists     refusal = "client_exists"
	nothingToChange  refusal = "nothing_to_change"
	startPassed      refusal = "start_passed"
	monthlyDay       refusal = "monthly_day"
	quarterlyDay     refusal = "quarterly_day"
	installmentCount refusal = "installment_count"
	recurringCount   refusal = "recurring_count"

	noClient        refusal = "unknown_client"
	noSchedule      refusal = "unknown_schedule"
	belowZero       refusal = "adjustment_below_zero"
	notVerified     refusal = "not_verified"
	notVerifiable   refusal = "not_verifiable"
	cannotConfirm   refusal = "not_confirmable"
	scheduleOver    refusal = "schedule_over"
	sentTwice       refusal = "sent_twice"
	anotherClient   refusal = "another_client"
	wrongInstrument refusal = "wrong_instrument"
)

// codes are the numbers of the cases.
var codes = map[refusal]int{
	unknownError: 1000, badCredentials: 1001, noCredentials: 1002, noAccess: 1003, noMethod: 1004, badMethod: 1005, missing: 1006,
	invalid: 1007, clientExists: 1008, nothingToChange: 1009, startPassed: 1010, monthlyDay: 1011, quarterlyDay: 1012,
	installmentCount: 1013, recurringCount: 1014,
	noClient: 1007, noSchedule: 1007, belowZero: 1007, notVerified: 1000, notVerifiable: 1007, cannotConfirm: 1007, scheduleOver: 1007,
	sentTwice: 1007, anotherClient: 1007, wrongInstrument: 1007,
}

// texts are the words of the numbers. Those that end in a colon take a detail.
var texts = map[int]string{
	1000: "Unknown Error",
	1001: "Invalid Credentials",
	1002: "Missing Credentials",
	1003: "Credentials used do not have access to this feature",
	1004: "The METHOD field is required",
	1005: "Invalid Method:",
	1006: "A required field is missing:",
	1007: "A required field is invalid:",
	1008: "There is already a client record with that merchantid",
	1009: "No valid fields were found",
	1010: "Start Date must not be before the current date. Server runs EST. Current Date:",
	1011: "Monthly/Bimonthly billed transactions can only run from the 1st through 28th of each month",
	1012: "Quarterly billed transactions can only run from the 1st through 28th of each month",
	1013: "Number of intervals must be greater than 1 for installment billing",
	1014: "Number of intervals must be either 0 or greater than 1 for subscription billing",
}

// failure is why a request is refused, and which field is to blame.
type failure struct {
	why    refusal
	field  string
	detail string // behind a text that ends in a colon; "" is the field
	text   string // in place of the text of the number
	status int    // of HTTP, 0 for 200
	cause  error
}

// Error is for the log.
func (f *failure) Error() string { return "billingcircle: " + string(f.why) + " " + f.field }

func (f *failure) Unwrap() error { return f.cause }

func refuse(why refusal, field string) *failure { return &failure{why: why, field: field} }

// answer is the line for a failure, with the numbers of a merchant's settings.
func (f *failure) answer(numbers map[refusal]int) *answer {
	code, ok := numbers[f.why]
	if !ok {
		code = codes[f.why]
	}
	text := f.text
	if text == "" {
		if text = texts[code]; text == "" {
			text = texts[codes[f.why]] // a number of the merchant's own
		}
		if text[len(text)-1] == ':' {
			detail := f.detail
			if detail == "" {
				detail = f.field
			}
			text += " " + detail
		}
	}
	a := &answer{code: 2, subcode: code, text: text, data: f.field, status: f.status, outcome: string(f.why)}
	if a.outcome == string(invalid) || a.outcome == string(missing) {
		a.outcome += " " + f.field
	}
	return a
}

// failureOf is the failure behind an error: what is not ours is an unknown error.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{why: unknownError, cause: err}
	switch billing.KindOf(err) {
	case billing.Limited:
		f = &failure{why: badCredentials, status: http.StatusTooManyRequests, cause: err}
	case billing.Unauthenticated:
		f = &failure{why: badCredentials}
	case billing.Forbidden:
		f = &failure{why: noAccess, field: "username"}
	}
	return f
}

// gatewayTexts are the gateway's own words for an answer of a bank (3.3). What is
// not here was declined.
var gatewayTexts = map[billing.ResponseCode]string{
	"14": "The credit card number is invalid.",
	"80": "The credit card expiration date is invalid.",
	"54": "The credit card has expired.",
	"94": "A duplicate transaction has been submitted.",
}

const declinedText = "This transaction has been declined."

// gatewayText is what the gateway would say of a decline.
func gatewayText(r billing.ResponseCode) string {
	if t, ok := gatewayTexts[r]; ok {
		return t
	}
	return declinedText
}
