package recurly

import (
	"net/http"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// transactionCode is what became of a transaction, in the words of section 16.
type transactionCode string

// The codes that this package gives.
const (
	approved                transactionCode = "approved"
	declined                transactionCode = "declined"
	declinedSaveable        transactionCode = "declined_saveable"
	insufficientFunds       transactionCode = "insufficient_funds"
	callIssuer              transactionCode = "call_issuer"
	restrictedCard          transactionCode = "restricted_card"
	cardTypeNotAccepted     transactionCode = "card_type_not_accepted"
	invalidIssuer           transactionCode = "invalid_issuer"
	invalidTransaction      transactionCode = "invalid_transaction"
	cardholderRequestedStop transactionCode = "cardholder_requested_stop"
	tooManyAttempts         transactionCode = "too_many_attempts"
	invalidData             transactionCode = "invalid_data"
	declinedCardNumber      transactionCode = "declined_card_number"
	declinedExpirationDate  transactionCode = "declined_expiration_date"
	fraudAddress            transactionCode = "fraud_address"
	fraudSecurityCode       transactionCode = "fraud_security_code"
	fraudStolenCard         transactionCode = "fraud_stolen_card"
	fraudIPAddress          transactionCode = "fraud_ip_address"
	fraudGateway            transactionCode = "fraud_gateway"
	fraudVelocity           transactionCode = "fraud_velocity"
	fraudVerification       transactionCode = "fraud_advanced_verification"
	gatewayTimeout          transactionCode = "gateway_timeout"
	gatewayError            transactionCode = "gateway_error"
	duplicateTransaction    transactionCode = "duplicate_transaction"
	transactionSettled      transactionCode = "transaction_settled"
	transactionVoided       transactionCode = "transaction_already_voided"
	transactionRefunded     transactionCode = "transaction_already_refunded"
	creditExceedsCapture    transactionCode = "total_credit_exceeds_capture"
)

// refusal is how a decline is told: where it stands, with which code, in which
// words.
type refusal struct {
	field string
	code  transactionCode
	text  string
}

// byResponse are the responses that have a code of their own (15, 16). What a
// processor says with the others is declined.
var byResponse = map[billing.ResponseCode]refusal{
	"01": {"number", callIssuer, "must be approved by the bank that issued the card; call it"},
	"02": {"number", callIssuer, "must be approved by the bank that issued the card; call it"},
	"04": {"number", fraudStolenCard, "was declined"},
	"07": {"number", fraudStolenCard, "was declined"},
	"12": {"number", invalidData, "was declined because of invalid data"},
	"13": {"number", invalidTransaction, "was declined for this amount"},
	"14": {"number", declinedCardNumber, "was declined; check the number"},
	"15": {"number", invalidIssuer, "was declined; its bank is not known"},
	"41": {"number", fraudStolenCard, "was declined"},
	"43": {"number", fraudStolenCard, "was declined"},
	"42": {"number", declinedCardNumber, "was declined; check the number"},
	"46": {"number", declinedCardNumber, "was declined; its account is closed"},
	"51": {"number", insufficientFunds, "was declined for insufficient funds"},
	"54": {"year", declinedExpirationDate, "was declined; check when the card expires"},
	"57": {"number", restrictedCard, "was declined; the card may not be used for this"},
	"58": {"number", cardTypeNotAccepted, "is of a type that is not accepted"},
	"59": {"number", fraudGateway, "was declined"},
	"61": {"number", insufficientFunds, "was declined for its limit"},
	"62": {"number", restrictedCard, "was declined; the card may not be used for this"},
	"65": {"number", tooManyAttempts, "was declined; it was used too often"},
	"80": {"year", declinedExpirationDate, "was declined; check when the card expires"},
	"82": {"verification_value", fraudSecurityCode, "does not match"},
	"N7": {"verification_value", fraudSecurityCode, "does not match"},
	"91": {"", gatewayTimeout, "The payment gateway did not answer in time; try again"},
	"94": {"", duplicateTransaction, "A similar transaction was made a moment ago"},
	"96": {"", gatewayError, "The payment gateway has an error; try again later"},
	"R0": {"number", cardholderRequestedStop, "was declined; the cardholder has stopped payments"},
	"R1": {"number", cardholderRequestedStop, "was declined; the cardholder has stopped payments"},
	"R3": {"number", cardholderRequestedStop, "was declined; the cardholder has stopped payments"},
}

// byMessage are the words of the sandbox bank with which a decline says more than
// its response does (15).
var byMessage = []struct {
	words string
	refusal
}{
	{"street and postal code differ", refusal{"address1", fraudAddress, "does not match the card"}},
	{"street differs", refusal{"address1", fraudAddress, "does not match the card"}},
	{"postal code differs", refusal{"zip", fraudAddress, "does not match the card"}},
	{"extra verification failed", refusal{"number", fraudVerification, "failed the extra verification"}},
	{"fraud filter", refusal{"number", fraudGateway, "was declined"}},
	{"fraudulent address on the network", refusal{"ip_address", fraudIPAddress, "was declined"}},
	{"card type not taken", refusal{"number", cardTypeNotAccepted, "is of a type that is not accepted"}},
	{"good to keep", refusal{"number", declinedSaveable, "was declined"}},
}

// refusalOf is how a declined attempt is told.
func refusalOf(a *billing.Attempt) refusal {
	for _, m := range byMessage {
		if strings.Contains(strings.ToLower(a.Message), m.words) {
			return m.refusal
		}
	}
	if r, ok := byResponse[a.Response]; ok {
		return r
	}
	return refusal{"number", declined, "was declined"}
}

// declineOf is the answer to a declined attempt, or to one of which nobody knows
// the outcome: nothing is said to have happened then (6.4).
func declineOf(a *billing.Attempt) *failure {
	r := refusalOf(a)
	if a.State != billing.AttemptDeclined {
		r = byResponse[billing.IssuerUnavailable]
	}
	return &failure{status: http.StatusUnprocessableEntity, mistakes: []mistake{{r.field, string(r.code), r.text}}}
}
