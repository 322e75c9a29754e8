package billingcircle

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
)

// field is a field of the wire: its greatest length in characters, 0 where only
// the rule bounds it, and what its value must be; nil is any text.
type field struct {
	name string
	most int
	rule func(string) bool
}

// fields are all fields in the order of their tables (1.3, 3.1, 3.6, 3.8, 3.11,
// 3.12), which is the order in which they are looked at (5.2).
var fields = slices.Concat([]field{
	{"c_merchantid", 255, nil},
	{"c_clientid", 18, digits},
	{"c_company", 30, nil},
	{"c_firstname", 30, nil},
	{"c_lastname", 30, nil},
	{"c_address", 100, nil},
	{"c_address2", 100, nil},
	{"c_city", 100, nil},
	{"c_state", 2, state},
	{"c_zip", 20, nil},
	{"c_country", 2, country},
	{"c_saddress", 100, nil},
	{"c_saddress2", 100, nil},
	{"c_scity", 100, nil},
	{"c_sstate", 2, state},
	{"c_szip", 20, nil},
	{"c_scountry", 2, country},
	{"c_phone", 20, nil},
	{"c_fax", 20, nil},
	{"c_email", 255, email},
	{"c_chargemethod", 0, word(byCard, byBank, byHand)},
	{"c_ccname", 60, nil},
	{"c_ccnumber", 40, cardNumber},
	{"c_ccexpmonth", 2, month},
	{"c_ccexpyear", 4, year},
	{"c_cccvv", 4, func(s string) bool { return digits(s) && len(s) >= 3 }},
	{"c_bankname", 50, nil},
	{"c_bankacctname", 50, nil},
	{"c_bankabacode", 9, billing.CheckRouting},
	{"c_bankacctnum", 20, billing.Checking.CheckNumber},
	{"c_bankaccttype", 0, word("CHECKING", "BUSINESSCHECKING", "SAVINGS")},
	{"c_password", 100, nil},
}, customFields(), []field{
	{"c_status", 0, word("active", "inactive", "pending", "fraudulent", "closed")},
	{"c_note", 255, nil},
	{"s_scheduleid", 18, digits},
	{"s_startdate", 10, date},
	{"s_recurringtype", 0, word(subscription, installments, single)},
	{"s_title", 100, nil},
	{"s_lineitems", 4000, nil},
	{"s_interval", 0, func(s string) bool { return intervals[s] != "" }},
	{"s_numofintervals", 5, integer},
	{"s_amount", 12, amount},
	{"s_taxrate", 7, taxRate},
	{"s_adjustment", 13, func(s string) bool { return amount(strings.TrimLeft(s, "+-")) && !strings.ContainsAny(s[1:], "+-") }},
	{"s_adjustmentnote", 255, nil},
	{"s_status", 0, word("active", "inactive", "closed")},
	{"r_startdate", 10, date},
	{"r_enddate", 10, date},
	{"r_chargetype", 0, word("net", "gross", "credits")},
	{"r_groupby", 0, func(s string) bool { return groupings[s] != nil }},
	{"r_type", 0, word(outstanding, declined, manual)},
	{"testmode", 0, word("0", "1", "true", "false", "yes", "no")},
})

// customFields are the merchant's own (3.1).
func customFields() (list []field) {
	for i := range customs {
		list = append(list, field{customName(i), 255, nil})
	}
	return list
}

// customs is how many fields of its own a merchant has.
const customs = 20

func customName(i int) string { return "c_custom" + strconv.Itoa(i+1) }

// The ways in which a client pays (3.1).
const (
	byCard = "cc"
	byBank = "echeck"
	byHand = "manual"
)

// fieldNamed finds a field, nil if there is none.
func fieldNamed(name string) *field {
	if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
		return &fields[i]
	}
	return nil
}

// fits reports whether a value can be one of the field.
func (f *field) fits(value string, lengths map[string]int) bool {
	most := f.most
	if n, ok := lengths[f.name]; ok {
		most = n
	}
	if most > 0 && utf8.RuneCountInString(value) > most {
		return false
	}
	return readable(value) && (f.rule == nil || f.rule(value))
}

// readable reports whether a value is a text that can be kept: line breaks and
// tabulators aside it has no control characters.
func readable(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f })
}

// word makes the rule of a field that takes one of several words.
func word(words ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(words, s) }
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func integer(s string) bool { return digits(strings.TrimPrefix(s, "-")) }

func date(s string) bool { _, err := billing.ParseDate(s); return err == nil }

// decimal makes the rule of an amount with up to so many decimals.
func decimal(places int) func(string) bool {
	return func(s string) bool {
		whole, part, pointed := strings.Cut(s, ".")
		return digits(whole) && (!pointed || digits(part) && len(part) <= places)
	}
}

// amount is the rule of money: more than nothing, with up to two decimals.
func amount(s string) bool { return decimal(2)(s) && strings.Trim(s, "0.") != "" }

// taxRate is the rule of a percentage up to 100 with up to three decimals.
func taxRate(s string) bool {
	whole, part, _ := strings.Cut(s, ".")
	n, err := strconv.Atoi(whole)
	return decimal(3)(s) && err == nil && (n < 100 || n == 100 && strings.Trim(part, "0") == "")
}

func email(s string) bool {
	name, host, ok := strings.Cut(s, "@")
	return ok && name != "" && host != "" && !strings.ContainsAny(s, " \t\r\n,<>") && !strings.Contains(host, "@")
}

// cardDigits are the digits of a card number, which may be written in groups.
func cardDigits(s string) string { return strings.NewReplacer(" ", "", "-", "").Replace(s) }

func cardNumber(s string) bool {
	brand, ok := billing.BrandOf(cardDigits(s))
	return ok && brand.CheckNumber(cardDigits(s))
}

func month(s string) bool {
	n, err := strconv.Atoi(s)
	return digits(s) && err == nil && n >= 1 && n <= 12
}

func year(s string) bool { return digits(s) && len(s) == 4 }

// state reports whether a text is the code of a state of the USA or a province of
// Canada.
func state(s string) bool { return slices.Contains(states, strings.ToUpper(s)) }

var states = strings.Fields(`AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI
	SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR UM VI AA AE AP AB BC MB NB NL NS NT NU ON PE QC SK YT`)

// country reports whether a text is a country of ISO 3166-1, in two letters.
func country(s string) bool { return slices.Contains(countries, strings.ToUpper(s)) }

var countries = strings.Fields(`AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
	CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ
	GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA
	MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
	QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ
	VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`)
