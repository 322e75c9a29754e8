package billing

import (
	"strings"
	"time"
)

// Customer is a person, perhaps of an organisation, who is billed.
type Customer struct {
	MerchantID   MerchantID
	ID           CustomerID
	AccountID    AccountID
	Code         string
	FirstName    string
	LastName     string
	Organization string
	Email        string
	Phone        string
	Active       bool // an inactive customer gets no new subscription and no automatic claim
	Address      Address
	Standing     Standing
	Profile      Profile
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Note is what somebody wrote down about a customer.
type Note struct {
	MerchantID MerchantID
	ID         NoteID
	CustomerID CustomerID
	Text       string
	Creator    string // name of the login
	CreatedAt  time.Time
}

// Name is first and last name, blank between.
func (c *Customer) Name() string { return strings.TrimSpace(c.FirstName + " " + c.LastName) }

// Gone is what is left of a customer of whom nothing is.
func (c *Customer) Gone(at time.Time) Customer {
	return Customer{MerchantID: c.MerchantID, ID: c.ID, AccountID: c.AccountID, Standing: StandingGone, CreatedAt: c.CreatedAt, UpdatedAt: at}
}

// Agree brings a customer's standing into line after Active was changed by itself;
// was is what it was before. A customer of whom only Active is known stays so.
func (c *Customer) Agree(was bool) {
	switch {
	case c.Standing == "" || c.Active == was:
	case c.Active:
		c.Standing = StandingActive
	default:
		c.Standing = StandingInactive
	}
}

// Plan is a price with a rhythm. It does not fix the term: one plan serves
// fixed and perpetual subscriptions, and a change of its price touches no
// subscription that exists (protocols/unipay.md 4.3).
type Plan struct {
	MerchantID MerchantID
	ID         PlanID
	AccountID  AccountID
	Code       string
	Name       string
	Cycle      Cycle
	Amount     Money // each billing, tax not included
	Tax        Money // each billing
	Active     bool  // an inactive plan takes no new subscription
	Offer      Offer
	CreatedAt  time.Time
	UpdatedAt  time.Time
}
