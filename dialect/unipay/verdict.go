package unipay

import "github.com/perennial-billing/perennial/billing"

// clearing is what a payment says whose outcome nobody has told us yet (see
// README.md, "When the outcome is not known").
const clearing = "The outcome of this payment is not known yet and is being cleared up. Do not repeat the payment."

// verdict is the response code of a transaction, and its words: what the
// processor said of the attempt behind it, or for a chargeback what the bank
// said of it later (5.3). It is a function of what we know now, so that a load
// tells the final verdict on what process could not tell.
func verdict(kind billing.ActivityKind, a *billing.Attempt) (ResponseCode, string) {
	code := responseTo(a)
	switch {
	case kind == billing.Chargeback:
		code = ResponseChargeback
	case a.State == billing.AttemptUnknown || a.State == billing.Sending:
		return ResponseNoAnswer, clearing
	}
	row, _ := code.Lookup()
	return code, row.Message
}

func responseTo(a *billing.Attempt) ResponseCode {
	switch a.State {
	case billing.AttemptApproved, billing.AttemptPending:
		return approval(a)
	case billing.AttemptDeclined:
		return refusal(a.Response)
	case billing.AttemptUnknown, billing.Sending:
	}
	return ResponseNoAnswer
}

// approval tells the ways of saying yes apart. A bank debit that is accepted and
// settles later is approved too (4.6).
func approval(a *billing.Attempt) ResponseCode {
	switch a.Kind {
	case billing.AskVoid:
		return ResponseVoidPosted
	case billing.AskRefund, billing.AskCredit:
		return ResponseCreditPosted
	case billing.AskCharge, billing.AskAuthorize:
	}
	if c, ok := approvals[a.Response]; ok {
		return c
	}
	return ResponseApproved
}

// approvals are the good answers to a charge that say more than yes: approved
// in part, and the notifications of change with which a clearing house settles
// a debit, whose codes NACHA and this wire share.
var approvals = map[billing.ResponseCode]ResponseCode{
	billing.PartiallyApproved: ResponsePartial,

	"C01": "C01",
	"C02": "C02",
	"C03": "C03",
	"C04": "C04",
	"C05": "C05",
	"C06": "C06",
	"C07": "C03", // routing and account number, and type
}

// refusal translates the trade's code of a decline or return. A code that the
// table does not have is D26, the decline for which nothing is published but
// its number, or where trying again is in vain D27, a transaction error.
func refusal(code billing.ResponseCode) ResponseCode {
	if c, ok := refusals[code]; ok {
		return c
	}
	if code.Severity() == billing.Hard {
		return ResponseError
	}
	return ResponseOther
}

// refusals translates ISO 8583 field 39 and the return reasons of NACHA. The
// latter are many more than the nine that the wire has: each has the one whose
// words come nearest.
var refusals = map[billing.ResponseCode]ResponseCode{
	"01": "D30",
	"02": "D30",
	"03": "D33",
	"04": "D04",
	"05": ResponseDenied,
	"06": ResponseError,
	"07": "D04",
	"12": ResponseError,
	"13": "D18",
	"14": "D05",
	"15": "D05", // no such issuer
	"19": "D17",
	"25": "D14",
	"41": "D10",
	"42": "D06",
	"43": "D10",
	"46": "D06", // closed account
	"51": "D03",
	"54": "D16",
	"55": "D07",
	"57": "D12",
	"58": "D34",
	"59": ResponseDenied, // suspected fraud
	"61": "D15",
	"62": "D29",
	"65": "D15", // too often
	"75": "D21",
	"78": "D29", // blocked, or not yet activated
	"80": "D02",
	"82": "D08",
	"91": "E02",
	"93": "D12", // against a law
	"94": "D09",
	"96": ResponseNoAnswer,
	"N7": "D08",
	"R0": "N07", // stopped by the cardholder, as R1 and R3
	"R1": "N07",
	"R3": "N07",

	"R01": "N01", // insufficient funds
	"R02": "N02", // account closed
	"R03": "N04", // no account: the number names none
	"R04": "N04", // invalid account number
	"R05": "N06", // a consumer's account debited as a company's
	"R06": "N07", // called back by the originating bank
	"R07": "N07", // authorisation revoked
	"R08": "N07", // payment stopped
	"R09": "N01", // uncollected funds
	"R10": "N07", // not authorised, says the customer
	"R11": "N07", // not as authorised, says the customer
	"R12": "N08", // account sold to another bank
	"R13": "N03", // invalid routing number
	"R14": "N05", // the payee has died
	"R15": "N05", // the holder has died
	"R16": "N05", // account frozen
	"R20": "N06", // not a transaction account
	"R23": "N07", // refused by the customer
	"R24": "D09", // duplicate entry
	"R29": "N07", // not authorised, says the company
}
