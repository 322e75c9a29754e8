package sandbox

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// tablesJSON is what the bank does with which amount, card and account, as data
// (protocols/unipay.md 5.4 and recurly-v1.md 15; README.md shows it to people).
//
//go:embed tables.json
var tablesJSON []byte

// Tables are the bank's test data: what it does with which amount, card and
// bank account. What no table lists is approved.
type Tables struct {
	Amounts  map[string][]Band                `json:"amounts"` // by name, such as "current"
	Cards    []Card                           `json:"cards"`
	Accounts []Account                        `json:"accounts"`
	Changes  map[billing.ResponseCode]Changed `json:"changes"` // what a notification of change tells
}

// Names of the tables of amounts.
const (
	Current = "current" // the default
	Older   = "older"   // protocols/unipay.md 5.4, reseller variant

	AuthorizeNet = "authorize.net" // protocols/billing-circle.md 9: the number decides, but for bank debits above 100
	None         = "none"          // protocols/recurly-v1.md 15: the number alone decides
)

// Band is what happens to charges from one amount to another, in minor units of
// whatever currency, both included.
type Band struct {
	From      int64                `json:"from"`
	To        int64                `json:"to"`
	UniPay    string               `json:"unipay,omitempty"`     // UniPay's word for it
	Card      billing.ResponseCode `json:"card,omitempty"`       // answer to a card, "" approved
	Less      int64                `json:"less,omitempty"`       // minor units by which a card is approved for less
	CardLater string               `json:"card_later,omitempty"` // what becomes of an approved card charge later
	Bank      string               `json:"bank,omitempty"`       // what becomes of a claim later, "" that it settles
	BankNow   billing.ResponseCode `json:"bank_now,omitempty"`   // answer to a claim, "" accepted
}

// Card is a card number with a meaning. A card without any behaviour goes by
// amount, like every number that is not in the table.
type Card struct {
	Number     string               `json:"number"`
	Instrument billing.Instrument   `json:"instrument"`
	Name       string               `json:"name"`               // what it is or does
	Response   billing.ResponseCode `json:"response,omitempty"` // answer to a charge
	Message    string               `json:"message,omitempty"`  // words of that answer, or of an approval where there is none, if not the code's
	Good       int                  `json:"good,omitempty"`     // charges of a merchant that are approved before Response sets in
	Bad        int                  `json:"bad,omitempty"`      // charges of a merchant that get Response before it ends
	Refunds    billing.ResponseCode `json:"refunds,omitempty"`  // answer to a refund
	Later      string               `json:"later,omitempty"`    // what becomes of an approved charge later
	Trouble    Trouble              `json:"trouble,omitempty"`  // what goes wrong with the line
}

// Account is a bank account number with a meaning. One without Later goes by
// amount, like every number that is not in the table.
type Account struct {
	Number  string `json:"number"`
	Routing string `json:"routing,omitempty"`
	Name    string `json:"name"`
	Later   string `json:"later,omitempty"` // what becomes of a claim
}

// Changed is what a notification of change tells of a bank account.
type Changed struct {
	Number  string `json:"number,omitempty"`
	Routing string `json:"routing,omitempty"`
}

// LoadTables reads the tables that are built in.
func LoadTables() Tables {
	var t Tables
	d := json.NewDecoder(strings.NewReader(string(tablesJSON)))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		panic("sandbox: the tables that are built in: " + err.Error())
	}
	return t
}

// band finds the row for an amount, the zero Band if there is none.
func (t *Tables) band(table string, minor int64) Band {
	for _, b := range t.Amounts[table] {
		if minor >= b.From && minor <= b.To {
			return b
		}
	}
	return Band{}
}

// card finds a card by its number, nil if it has no row.
func (t *Tables) card(number string) *Card {
	for i := range t.Cards {
		if t.Cards[i].Number == number {
			return &t.Cards[i]
		}
	}
	return nil
}

// account finds a bank account by its number, nil if it has no row.
func (t *Tables) account(number string) *Account {
	for i := range t.Accounts {
		if t.Accounts[i].Number == number {
			return &t.Accounts[i]
		}
	}
	return nil
}

// counts reports whether the card's answer depends on earlier charges.
func (c *Card) counts() bool { return c.Good > 0 || c.Bad > 0 }

// byNumber reports whether the card behaves by its number, not by amount.
func (c *Card) byNumber() bool {
	return c.Response != "" || c.Later != "" || c.Trouble != "" || c.Refunds != "" || c.Message != ""
}

// answer is the card's answer to a charge after so many earlier ones.
func (c *Card) answer(earlier int64) billing.ResponseCode {
	switch {
	case c.Response == "",
		c.Good > 0 && earlier < int64(c.Good),
		c.Bad > 0 && earlier >= int64(c.Bad):
		return billing.Approved
	}
	return c.Response
}
