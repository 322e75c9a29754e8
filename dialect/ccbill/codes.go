package ccbill

import (
	"errors"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
)

// result is a value of "results" (5.1). As an error it is the answer to a request
// that was not carried out.
type result int

// The results.
const (
	done              result = 1
	failed            result = 0   // the action was tried and had no effect
	badAuthentication result = -1  // arguments of authentication are missing or invalid
	badSubscription   result = -2  // the id is malformed, or of a kind that cannot take the action
	noSubscription    result = -3  // there is no such subscription
	notYours          result = -4  // it belongs to another account
	badArguments      result = -5  // arguments of the action are missing or invalid
	unknownAction     result = -6  // there is no such action
	internal          result = -7  // a fault of ours, or a refusal without a code of its own
	badAddress        result = -8  // the caller's address is not on the list
	notPermitted      result = -9  // the user is deactivated or may not do this
	noDataLink        result = -10 // the account has no Data Link
	tooCheap          result = -11 // no discount below a recurring price of 5.00
	lockedOut         result = -12 // three failed logins within the hour
	tooManyRefunds    result = -15
	tooManyVoids      result = -16
	tooManyCharges    result = -23 // velocity: a count
	tooMuchMoney      result = -24 // velocity: an amount
)

func (r result) Error() string { return "results " + r.String() }

func (r result) String() string { return strconv.Itoa(int(r)) }

// resultOf is the answer to an error of a verb.
func resultOf(err error) result {
	var own result
	if errors.As(err, &own) {
		return own
	}
	var velocity *billing.VelocityRefusal
	if errors.As(err, &velocity) {
		switch velocity.Kind {
		case billing.OverCount, billing.Guarded:
			return tooManyCharges
		case billing.OverAmount:
			return tooMuchMoney
		case billing.NoRate:
			return internal
		}
	}
	switch billing.KindOf(err) {
	case billing.Invalid, billing.Missing:
		return badArguments
	case billing.NotFound:
		return noSubscription
	case billing.State, billing.Forbidden:
		return badSubscription
	case billing.Unauthenticated:
		return badAuthentication
	case billing.Internal, billing.Duplicate, billing.Conflict, billing.InProgress, billing.Limited, billing.Unavailable:
	}
	return internal
}

// decline is a declineCode (5.2).
type decline int

// The declines that are given.
const (
	badCard          decline = 5
	badExpiry        decline = 6
	badAccount       decline = 7
	badRouting       decline = 8
	declined         decline = 11
	deniedByBank     decline = 24
	bankError        decline = 25
	badSetUp         decline = 26
	systemError      decline = 27
	stillProcessed   decline = 15
	previousDeclined decline = 18
	cardExpired      decline = 29
	noFunds          decline = 31
	bankOutOfReach   decline = 36
	refusedByIssuer  decline = 38
	cardNotAccepted  decline = 40
	merchantInactive decline = 41
)

// declineTexts have no commas and no quotes, for clients that split by hand
// (3.4).
var declineTexts = map[decline]string{
	badCard:          "Credit card not valid",
	badExpiry:        "Check expiration date",
	badAccount:       "Check bank account number",
	badRouting:       "Check routing number",
	declined:         "Transaction declined",
	stillProcessed:   "Account still being processed",
	previousDeclined: "Previous attempt was declined",
	deniedByBank:     "Transaction denied by bank",
	bankError:        "Bank error",
	badSetUp:         "Card processing set up wrongly for merchant",
	systemError:      "System error please try again",
	cardExpired:      "Card expired",
	noFunds:          "Insufficient funds",
	bankOutOfReach:   "Unable to contact bank",
	refusedByIssuer:  "Refused by issuing bank",
	cardNotAccepted:  "Card not accepted by this merchant",
	merchantInactive: "Merchant inactive",
}

// declines translate a processor's verdict. What is not here is the issuer's
// refusal of a card, deniedByBank, and of a bank account, declined.
var declines = map[billing.ResponseCode]decline{
	"": systemError, "19": systemError, billing.SystemMalfunction: systemError,
	"03": badSetUp, "58": badSetUp, "12": badSetUp,
	"04": refusedByIssuer, "07": refusedByIssuer, "41": refusedByIssuer, "43": refusedByIssuer, "59": refusedByIssuer, "62": refusedByIssuer,
	"06": bankError,
	"14": badCard, "15": badCard, "42": badCard, "46": badCard,
	"51": noFunds, "R01": noFunds, "R09": noFunds,
	"54": cardExpired, "80": badExpiry,
	"57":                      cardNotAccepted,
	billing.IssuerUnavailable: bankOutOfReach,
	"R02":                     badAccount, "R03": badAccount, "R04": badAccount, "R12": badAccount, "R20": badAccount,
	"R13": badRouting,
}

func declineOf(code billing.ResponseCode) decline {
	if d, ok := declines[code]; ok {
		return d
	}
	if len(code) == 3 { // a return of a bank debit
		return declined
	}
	return deniedByBank
}
