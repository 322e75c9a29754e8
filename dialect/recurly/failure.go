package recurly

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// mistake is one error of an answer: a field of the object, "" for the object as
// a whole, and a code, "" for none (3.2).
type mistake struct{ field, code, text string }

// The messages of fields (3.2). Words of the live service, as far as they are
// known.
const (
	blank       = "can't be blank"
	empty       = "can't be empty"
	invalid     = "is invalid"
	taken       = "has already been taken"
	required    = "is required"
	noNumber    = "is not a number"
	badNumber   = "is not a valid credit card number"
	badMonth    = "is not a valid month"
	badYear     = "is not a valid year"
	expired     = "expired"
	tooLong     = "is too long"
	notAfterNow = "must be in the future"
)

// codeOf is the code that goes with a message, where one is known (3.2).
func codeOf(text string) string {
	switch text {
	case blank, empty:
		return "blank"
	case invalid:
		return "invalid"
	case taken:
		return "taken"
	}
	return ""
}

// failure is an answer that is not what was asked for. It has one mistake at
// least: one client cannot read an answer without (3.1).
type failure struct {
	status   int
	mistakes []mistake
	allow    string                  // of status 405
	wait     int                     // seconds, of status 429
	show     func(*document, func()) // writes the object with its errors inside in place of them alone (3.3), nil for that
	cause    error                   // for the log
}

func (f *failure) Error() string {
	var texts []string
	for _, m := range f.mistakes {
		texts = append(texts, strings.TrimSpace(m.field+" "+m.text))
	}
	return "recurly: " + strings.Join(texts, "; ")
}

func (f *failure) Unwrap() error { return f.cause }

// fail is a failure of the object as a whole.
func fail(status int, text string) *failure {
	return &failure{status: status, mistakes: []mistake{{text: text}}}
}

// notFound says which object there is not (3.2).
func notFound(noun string) *failure { return fail(http.StatusNotFound, noun+" not found") }

// refuse is a failure of one field.
func refuse(field, text string) *failure {
	return &failure{status: http.StatusUnprocessableEntity, mistakes: []mistake{{field, codeOf(text), text}}}
}

// mistakes collects what is wrong with a request, so that it is said all at once.
type mistakes []mistake

func (l *mistakes) add(field, text string) { *l = append(*l, mistake{field, codeOf(text), text}) }

// orNil is the failure that the mistakes make, nil if there are none.
func (l mistakes) orNil() error {
	if len(l) == 0 {
		return nil
	}
	return &failure{status: http.StatusUnprocessableEntity, mistakes: l}
}

// failureOf turns any error into one of this wire.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var ours *billing.Error
	if !errors.As(err, &ours) {
		return &failure{status: http.StatusInternalServerError, mistakes: []mistake{{text: "An internal error has occurred"}}, cause: err}
	}
	f = &failure{mistakes: []mistake{{field: fieldNames[ours.Field], text: ours.Message}}, cause: err}
	switch ours.Kind {
	case billing.Internal:
		f.status, f.mistakes[0] = http.StatusInternalServerError, mistake{text: "An internal error has occurred"}
	case billing.Invalid, billing.Missing, billing.State, billing.Conflict:
		f.status = http.StatusUnprocessableEntity
	case billing.Duplicate:
		f.status, f.mistakes[0].code = http.StatusUnprocessableEntity, "taken"
	case billing.InProgress:
		f.status, f.mistakes[0].code = http.StatusUnprocessableEntity, string(duplicateTransaction)
	case billing.OutcomeUnknown:
		f.status, f.mistakes[0].code = http.StatusUnprocessableEntity, string(gatewayTimeout)
	case billing.NotFound:
		f.status = http.StatusNotFound
	case billing.Unauthenticated:
		f.status = http.StatusUnauthorized
	case billing.Forbidden:
		f.status = http.StatusForbidden
	case billing.Limited: // by the controls on how much one consumer may be charged; too many logins say so themselves
		f.status, f.mistakes[0].code = http.StatusUnprocessableEntity, string(fraudVelocity)
	case billing.Unavailable:
		f.status = http.StatusServiceUnavailable
	}
	return f
}

// fieldNames are the core's names of fields as this wire has them. What is not
// here has no name on it.
var fieldNames = map[string]string{
	"accountNumber": "number", "accountAccessory": "year", "amount": "amount_in_cents", "code": "account_code", "currency": "currency",
	"quantity": "quantity", "coupon_code": "coupon_code", "plan_code": "plan_code", "add_ons": "add_ons", "unit_amount": "unit_amount_in_cents",
	"trial_ends_at": "trial_ends_at",
}

// errors writes the mistakes as an element (3.2). Its tag has no attributes: one
// client looks for its text.
func (d *document) errors(list []mistake, older bool) {
	d.within("errors", "", func() {
		for _, m := range list {
			attributes, text := "", m.text
			if m.field != "" {
				attributes = ` field="` + attribute.Replace(printable(m.field)) + `"`
				if older {
					text = humanized(m.field) + " " + text
				}
			}
			if m.code != "" {
				attributes += ` code="` + attribute.Replace(m.code) + `"`
			}
			d.leaf("error", attributes, text)
		}
	})
}

// humanized is the name of a field in words, as messages began with until 2011.
func humanized(field string) string {
	words := strings.ReplaceAll(strings.TrimSuffix(field, "_id"), "_", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// has reports whether a field has a mistake already.
func (l mistakes) has(field string) bool {
	return slices.ContainsFunc(l, func(m mistake) bool { return m.field == field })
}
