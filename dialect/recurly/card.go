package recurly

import (
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// Types of cards as this wire names them (6.8).
const (
	visa            = "visa"
	master          = "master"
	americanExpress = "american_express"
	discover        = "discover"
	dinersClub      = "diners_club"
	jcb             = "jcb"
	maestro         = "maestro"
	laser           = "laser"
	unknownType     = "Unknown"
	bogus           = "bogus"
)

// issuer is a range of card numbers: their leading digits, and how many they are.
type issuer struct {
	kind     string
	from, to string // leading digits, both of one length
	lengths  string // "16", "16,18,19"
	younger  bool   // of MasterCard's second series
	dated    bool   // Switch and Solo: with a start date or an issue number
}

// issuers is the table of 6.8: the first that fits counts. It is that of
// ActiveMerchant in August 2011, the library that the live service was built on
// (inferred); the types that the seed does not list are shown as the table says.
var issuers = []issuer{
	{kind: master, from: "677189", to: "677189", lengths: "16"},
	{kind: visa, from: "4", to: "4", lengths: "13,16"},
	{kind: master, from: "51", to: "55", lengths: "16"},
	{kind: master, from: "2221", to: "2720", lengths: "16", younger: true},
	{kind: discover, from: "6011", to: "6011", lengths: "16"},
	{kind: discover, from: "65", to: "65", lengths: "16"},
	{kind: discover, from: "644", to: "649", lengths: "16"},
	{kind: discover, from: "62", to: "62", lengths: "16"},
	{kind: americanExpress, from: "34", to: "34", lengths: "15"},
	{kind: americanExpress, from: "37", to: "37", lengths: "15"},
	{kind: dinersClub, from: "300", to: "305", lengths: "14"},
	{kind: dinersClub, from: "36", to: "36", lengths: "14"},
	{kind: dinersClub, from: "38", to: "38", lengths: "14"},
	{kind: jcb, from: "3528", to: "3589", lengths: "16"},
	{kind: maestro, from: "6759", to: "6759", lengths: "16,18,19", dated: true},
	{kind: maestro, from: "6767", to: "6767", lengths: "16,18,19", dated: true},
	{kind: unknownType, from: "5019", to: "5019", lengths: "16"},
	{kind: laser, from: "6304", to: "6304", lengths: "16,17,18,19"},
	{kind: laser, from: "6706", to: "6706", lengths: "16,17,18,19"},
	{kind: laser, from: "6709", to: "6709", lengths: "16,17,18,19"},
	{kind: laser, from: "6771", to: "6771", lengths: "16,17,18,19"},
	{kind: unknownType, from: "600722", to: "600722", lengths: "16"},
	{kind: maestro, from: "50", to: "50", lengths: "14,15,16,17,18,19"},
	{kind: maestro, from: "56", to: "58", lengths: "14,15,16,17,18,19"},
	{kind: maestro, from: "6", to: "6", lengths: "14,15,16,17,18,19"},
}

// issuerOf finds the range of a number of digits; ok is false for none, which is
// a card all the same.
func issuerOf(number string, younger bool) (issuer, bool) {
	length := strconv.Itoa(len(number))
	for _, i := range issuers {
		n := len(i.from)
		if i.younger && !younger || len(number) < n || number[:n] < i.from || number[:n] > i.to {
			continue
		}
		for l := range strings.SplitSeq(i.lengths, ",") {
			if l == length {
				return i, true
			}
		}
	}
	return issuer{kind: unknownType}, false
}

// instrumentOf is what the books call a card of a type. They know four brands; for
// the others they have the network that carries them.
func instrumentOf(kind string) billing.Instrument {
	switch kind {
	case master:
		return billing.MastercardCredit
	case maestro, laser:
		return billing.MastercardDebit
	case americanExpress:
		return billing.AmexCredit
	case discover, dinersClub, jcb:
		return billing.DiscoverCredit
	}
	return billing.VisaCredit
}

// typeOf is the type of a card that is kept: what was noted when it came here, or
// for one that came by another wire what its instrument tells.
func typeOf(m *billing.PaymentMethod) string {
	if m.Details.Brand != "" {
		return m.Details.Brand
	}
	switch m.Instrument {
	case billing.VisaCredit, billing.VisaDebit:
		return visa
	case billing.MastercardCredit, billing.MastercardDebit:
		return master
	case billing.DiscoverCredit, billing.DiscoverDebit:
		return discover
	case billing.AmexCredit:
		return americanExpress
	}
	return unknownType
}

// lastFour is what may be seen of a number: nothing of one that is too short.
func lastFour(m *billing.PaymentMethod) string {
	return strings.Trim(m.Masked[max(0, len(m.Masked)-4):], "*")
}

// isBogus reports whether a number is one of those that the test gateway took
// beside whole ones: 1 is good, 2 is declined (6.3, 15).
func isBogus(number string) bool { return number == "1" || number == "2" }

// card is a card as a request has it. A number that was not given is not the same
// as an empty one.
type card struct {
	given    bool // the element credit_card
	numbered bool // the element number
	number   billing.Secret
	code     billing.Secret
	kind     string
	month    int
	year     int
	start    string // MMYY
	issue    string
	dated    bool // month or year was given
}

// expiry is the expiry date as the books have it.
func (c *card) expiry() string { return pad(c.month) + pad(c.year%100) }

func pad(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// readCard reads what is said of a card. It takes out the blanks and dashes that
// people write into numbers.
func readCard(e *element) (c card, fields map[string]string) {
	fields = make(map[string]string)
	if e == nil {
		return c, fields
	}
	c.given = true
	for _, name := range []string{"month", "year", "start_month", "start_year", "issue_number"} {
		fields[name] = e.textOf(name)
	}
	number, numbered := e.value("number")
	c.numbered = numbered
	c.number = billing.NewSecret(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(number))
	c.code = billing.NewSecret(e.textOf("verification_value"))
	return c, fields
}

// check finds what is wrong with a card, in the order of 6.3, 2 to 5. A kept card
// needs no number.
func (c *card) check(x *exchange, wrong *mistakes, fields map[string]string, kept bool) {
	s, m, now := x.choices, x.merchant(), x.session.Now
	number, pretended := c.number.Reveal(), false
	switch {
	case number == "" && (c.numbered || !kept):
		wrong.add("number", required)
	case number == "":
	case s.bogus(m) && isBogus(number):
		pretended, c.kind = true, bogus
	case !digits(number) || len(number) > 19 || len(number) < 14 && !(s.bogus(m) && number == "4222222222222") ||
		!billing.VisaCredit.CheckNumber(number):
		wrong.add("number", badNumber)
	default:
		c.kind = s.kindOf(number)
	}
	c.checkDates(wrong, fields, pretended, now)
	if code := c.code.Reveal(); code != "" && (!digits(code) || len(code) < 3 || len(code) > 4) {
		wrong.add("verification_value", invalid)
	} else if code == "" && s.CVVRequired && c.numbered {
		wrong.add("verification_value", required)
	}
	c.checkStart(wrong, fields, number, s)
}

func (s settings) kindOf(number string) string {
	i, _ := issuerOf(number, s.Mastercard2)
	return i.kind
}

// checkDates reads month and year; what is absent is the current one, and a card
// is good to the end of its month (6.3, 3). The bogus card never expires.
func (c *card) checkDates(wrong *mistakes, fields map[string]string, pretended bool, now time.Time) {
	now = now.UTC()
	c.month, c.year = int(now.Month()), now.Year()
	right := true
	if text := fields["month"]; text != "" {
		c.dated = true
		n, err := strconv.Atoi(text)
		if err != nil || !digits(text) || len(text) > 2 || n < 1 || n > 12 {
			wrong.add("month", badMonth)
			right = false
		} else {
			c.month = n
		}
	}
	if text := fields["year"]; text != "" {
		c.dated = true
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || !digits(text) || len(text) != 4 || n > now.Year()+20 || n < now.Year() && !pretended:
			wrong.add("year", badYear)
			right = false
		default:
			c.year = n
		}
	}
	if right && !pretended && c.year == now.Year() && c.month < int(now.Month()) {
		wrong.add("year", expired)
	}
}

// checkStart reads what only Switch and Solo cards have (6.3, 5).
func (c *card) checkStart(wrong *mistakes, fields map[string]string, number string, s settings) {
	month, year, issue := fields["start_month"], fields["start_year"], fields["issue_number"]
	m, err1 := strconv.Atoi(month)
	y, err2 := strconv.Atoi(year)
	if month != "" || year != "" {
		if err1 != nil || !digits(month) || m < 1 || m > 12 {
			wrong.add("start_month", badMonth)
		} else if err2 != nil || !digits(year) || y < 1980 || y > 2100 {
			wrong.add("start_year", badYear)
		} else {
			c.start = pad(m) + pad(y%100)
		}
	}
	if issue != "" && (!digits(issue) || len(issue) > 2) {
		wrong.add("issue_number", invalid)
	} else {
		c.issue = issue
	}
	if i, _ := issuerOf(number, s.Mastercard2); s.SwitchFields && i.dated && month == "" && year == "" && issue == "" {
		wrong.add("start_month", invalid)
		wrong.add("start_year", invalid)
		wrong.add("issue_number", empty)
	}
}

// digits reports whether a text is digits, one at least.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
