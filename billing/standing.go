package billing

// Standing is where a customer stands with the merchant, in more words than active
// and inactive. Customer.Active is what counts for billing and agrees with it.
type Standing string

// The standings. "" is a customer of whom only Active is known.
const (
	StandingPending    Standing = "pending"    // known, not confirmed yet
	StandingActive     Standing = "active"     //
	StandingInactive   Standing = "inactive"   //
	StandingFraudulent Standing = "fraudulent" // blocked
	StandingClosed     Standing = "closed"     // gone, may come back

	// StandingGone is a customer of whom nothing is left but what the books need: one
	// who was erased, or was to come into being with a payment that was declined. No
	// name finds it and no list shows it.
	StandingGone Standing = "gone"
)

// Check refuses what is no standing that a customer can be given.
func (s Standing) Check() error {
	switch s {
	case StandingPending, StandingActive, StandingInactive, StandingFraudulent, StandingClosed:
		return nil
	case StandingGone:
	}
	return FieldError(Invalid, "standing", "must be pending, active, inactive, fraudulent or closed")
}

// Profile is what else is known of a customer: kept and shown, without meaning to
// the rules.
type Profile struct {
	Username       string   `json:"username,omitempty"`
	AcceptLanguage string   `json:"accept_language,omitempty"`
	HostedToken    string   `json:"hosted_token,omitempty"` // 32 hex digits
	Fax            string   `json:"fax,omitempty"`
	Shipping       Address  `json:"shipping,omitzero"`
	Custom         []string `json:"custom,omitempty"`   // the merchant's own fields, in their order
	Password       string   `json:"password,omitempty"` // of the portal, argon2id in PHC form
	PaysBy         string   `json:"pays_by,omitempty"`  // cc, echeck or manual, where the merchant has said so
}

// MethodDetails is what else was said of a card or bank account.
type MethodDetails struct {
	FirstName   string `json:"first_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	VATNumber   string `json:"vat_number,omitempty"`
	IPAddress   string `json:"ip_address,omitempty"` // from which the data were given
	Brand       string `json:"brand,omitempty"`      // as the wire names it, where the instrument does not tell
	BankName    string `json:"bank_name,omitempty"`
	AccountType string `json:"account_type,omitempty"` // in the wire's words
	StartDate   string `json:"start,omitempty"`        // MMYY, of the few cards that have one
	IssueNumber string `json:"issue,omitempty"`
}
