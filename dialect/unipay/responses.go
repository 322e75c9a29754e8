package unipay

// ResponseCode is the verdict of a processor on a transaction that was carried
// out: processingInfo.responseCode (5.3). It is not a failure code, although
// F02 and F03 look like ones.
type ResponseCode string

// The response codes that this package is asked for by name; the table has all.
const (
	ResponseApproved     ResponseCode = "A01"
	ResponseCreditPosted ResponseCode = "A02"
	ResponseVoidPosted   ResponseCode = "A03"
	ResponsePartial      ResponseCode = "A05"
	ResponseDenied       ResponseCode = "D01"
	ResponseOther        ResponseCode = "D26" // a decline for which nothing else fits
	ResponseError        ResponseCode = "D27"
	ResponseNoAnswer     ResponseCode = "E09"
	ResponseChargeback   ResponseCode = "Z02"
)

// ResponseKind says what a response means for a retry (5.3).
type ResponseKind uint8

// The kinds. Notice is for what is neither a yes nor a no: notices of change
// and chargebacks, which come later and on their own.
const (
	Good ResponseKind = iota + 1
	Soft              // a decline that may be tried again with the same data
	Hard              // a decline that may not
	Notice
)

// String returns the kind in one word.
func (k ResponseKind) String() string {
	switch k {
	case Good:
		return "good"
	case Soft:
		return "soft"
	case Hard:
		return "hard"
	case Notice:
		return "notice"
	default:
		return "unknown"
	}
}

// Response is one row of the table of response codes.
type Response struct {
	Code    ResponseCode
	Message string // for processingInfo.responseMessage
	Kind    ResponseKind
}

// Lookup returns the row of a code, and false for one that is not published.
func (c ResponseCode) Lookup() (Response, bool) {
	for _, r := range responses {
		if r.Code == c {
			return r, true
		}
	}
	return Response{}, false
}

// Responses returns the table in the order of 5.3.
func Responses() []Response {
	return append([]Response(nil), responses...)
}

// responses is the table of 5.3, with the messages in the short wording given
// there. D26, E09, F02 and F03 exist, but their wording was not readable.
var responses = []Response{
	{ResponseApproved, "Approved", Good},
	{ResponseCreditPosted, "Credit posted", Good},
	{ResponseVoidPosted, "Void posted", Good},
	{ResponsePartial, "Partially approved", Good},
	{ResponseDenied, "Denied by customer's bank", Soft},
	{"D02", "Invalid expiration date", Hard},
	{"D03", "Insufficient funds", Soft},
	{"D04", "Hold - pick up card", Hard},
	{"D05", "Invalid card number", Hard},
	{"D06", "No account", Hard},
	{"D07", "Invalid PIN", Soft},
	{"D08", "CSC invalid", Soft},
	{"D09", "Duplicate transaction", Soft},
	{"D10", "Lost or stolen card", Hard},
	{"D12", "Transaction not permitted", Soft},
	{"D14", "Not found", Hard},
	{"D15", "Exceeds maximum", Soft},
	{"D16", "Card expired", Hard},
	{"D17", "Re-enter", Soft},
	{"D18", "Bad amount", Soft},
	{"D21", "PIN tries exceeded", Soft},
	{ResponseOther, "Declined", Soft},
	{ResponseError, "Transaction error", Hard},
	{"D29", "Card restricted", Soft},
	{"D30", "Call issuer", Soft},
	{"D33", "Merchant not authorised", Hard},
	{"D34", "User not authorised", Hard},
	{"E02", "Network unavailable", Soft},
	{ResponseNoAnswer, "Connectivity failure", Soft},
	{"F02", "Format failure at the processor", Notice},
	{"F03", "Format failure at the processor", Notice},
	{ResponseChargeback, "Chargeback received", Notice},
	{"C01", "Account number changed", Notice},
	{"C02", "Routing number changed", Notice},
	{"C03", "Routing and account number changed", Notice},
	{"C04", "Name on account changed", Notice},
	{"C05", "Account type changed", Notice},
	{"C06", "Account number and type changed", Notice},
	{"N01", "Insufficient funds", Soft},
	{"N02", "Account closed", Hard},
	{"N03", "Routing number wrong", Hard},
	{"N04", "Account number wrong", Hard},
	{"N05", "Account blocked", Hard},
	{"N06", "Wrong account type", Hard},
	{"N07", "Payment stopped", Hard},
	{"N08", "Account transferred", Hard},
	{"N09", "Re-instated", Soft},
}
