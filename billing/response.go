package billing

// ResponseCode is a processor's verdict in the trade's own codes: two
// characters of ISO 8583 field 39 for cards, R and two digits of a NACHA return
// or C and two digits of a NACHA notification of change for bank debits. (R0, R1
// and R3, of one digit, are Visa's and belong to field 39.) Each driver
// translates its processor's words into these, each dialect out of them.
type ResponseCode string

// The codes that the core itself gives or asks about.
const (
	Approved          ResponseCode = "00"
	PartiallyApproved ResponseCode = "10"
	IssuerUnavailable ResponseCode = "91"
	SystemMalfunction ResponseCode = "96"
)

// Severity decides whether a decline may be tried again with the same data.
type Severity int

// The severities.
const (
	Good Severity = iota
	Soft          // may be tried again
	Hard          // not before the payment method changes
)

type response struct {
	text     string
	severity Severity
	stale    bool // the payment method needs new data
}

// responses lists ISO 8583:1987 field 39 as the card networks use it, and the
// return reasons of the NACHA operating rules, appendix four. Which of them are
// hard follows protocols/unipay.md 5.3; where that is silent, Visa's category 1
// (the issuer will never approve) is hard for cards, and every return but those
// for want of funds, R01 and R09, for bank debits, because no others may be
// presented again (NACHA operating rules 2.12.4).
var responses = map[ResponseCode]response{
	"00": {"approved", Good, false},
	"01": {"refer to card issuer", Soft, false},
	"02": {"refer to card issuer, special condition", Soft, false},
	"03": {"invalid merchant", Hard, false},
	"04": {"pick up card", Hard, false},
	"05": {"do not honour", Soft, false},
	"06": {"error", Hard, false},
	"07": {"pick up card, special condition", Hard, false},
	"10": {"partially approved", Good, false},
	"12": {"invalid transaction", Hard, false},
	"13": {"invalid amount", Soft, false},
	"14": {"invalid card number", Hard, true},
	"15": {"no such issuer", Hard, true},
	"19": {"re-enter transaction", Soft, false},
	"25": {"original not found", Hard, false},
	"41": {"lost card", Hard, false},
	"42": {"no such account", Hard, true},
	"43": {"stolen card", Hard, false},
	"46": {"closed account", Hard, true},
	"51": {"insufficient funds", Soft, false},
	"54": {"expired card", Hard, true},
	"55": {"incorrect PIN", Soft, false},
	"57": {"transaction not permitted to cardholder", Soft, false},
	"58": {"transaction not permitted to terminal", Hard, false},
	"59": {"suspected fraud", Soft, false},
	"61": {"exceeds amount limit", Soft, false},
	"62": {"restricted card", Soft, false},
	"65": {"exceeds frequency limit", Soft, false},
	"75": {"PIN tries exceeded", Soft, false},
	"78": {"card is blocked or not yet activated", Soft, false},
	"80": {"invalid expiration date", Hard, true},
	"82": {"security code is wrong", Soft, false},
	"91": {"issuer or network unavailable", Soft, false},
	"93": {"transaction would break a law", Soft, false},
	"94": {"duplicate transaction", Soft, false},
	"96": {"system malfunction", Soft, false},
	"N7": {"security code is wrong", Soft, false},
	"R0": {"cardholder stopped this payment", Hard, false},
	"R1": {"cardholder revoked the authorisation", Hard, false},
	"R3": {"cardholder revoked all authorisations", Hard, false},

	"R01": {"insufficient funds", Soft, false},
	"R02": {"account closed", Hard, true},
	"R03": {"no account", Hard, true},
	"R04": {"invalid account number", Hard, true},
	"R05": {"consumer account debited as a corporate one", Hard, false},
	"R06": {"returned at the request of the originating bank", Hard, false},
	"R07": {"authorisation revoked by customer", Hard, false},
	"R08": {"payment stopped", Hard, false},
	"R09": {"uncollected funds", Soft, false},
	"R10": {"customer says not authorised", Hard, false},
	"R11": {"customer says not as authorised", Hard, false},
	"R12": {"account sold to another bank", Hard, true},
	"R13": {"invalid routing number", Hard, true},
	"R14": {"payee for the account holder deceased", Hard, false},
	"R15": {"account holder deceased", Hard, false},
	"R16": {"account frozen", Hard, false},
	"R20": {"not a transaction account", Hard, true},
	"R23": {"customer refused the credit", Hard, false},
	"R24": {"duplicate entry", Hard, false},
	"R29": {"corporate customer says not authorised", Hard, false},

	"C01": {"changed account number", Good, false},
	"C02": {"changed routing number", Good, false},
	"C03": {"changed routing and account number", Good, false},
	"C04": {"changed name", Good, false},
	"C05": {"changed account type", Good, false},
	"C06": {"changed account number and type", Good, false},
	"C07": {"changed routing number, account number and type", Good, false},
}

// Text describes the code in a few words; a code that is not in the table is
// described as such.
func (c ResponseCode) Text() string {
	if r, ok := responses[c]; ok {
		return r.text
	}
	return "unlisted response " + string(c)
}

// Severity tells whether a decline with this code may be tried again. A code
// that is not in the table is soft, for the schedule bounds the tries, except a
// return of a bank debit: see the table.
func (c ResponseCode) Severity() Severity {
	if r, ok := responses[c]; ok {
		return r.severity
	}
	if len(c) == 3 && c[0] == 'R' {
		return Hard
	}
	return Soft
}

// Stale reports whether the code means that the payment method's data are out
// of date.
func (c ResponseCode) Stale() bool { return responses[c].stale }

// Known reports whether the code is in the table.
func (c ResponseCode) Known() bool {
	_, ok := responses[c]
	return ok
}
