package ccbill

import (
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// lengths are the greatest lengths of the parameters of 3-D Secure (3.5).
var lengths = map[string]int{
	"threedscardtoken": 16, "threedseci": 2, "threedsstatus": 1, "threedssuccess": 5, "threedsversion": 20, "threedsxid": 50,
	"threedscavv": 1024, "threedscavvalgorithm": 28, "threedsdstransid": 36, "threedsacstransid": 36, "threedssdktransid": 36,
	"threedsauthenticationtype": 36, "threedsauthenticationvalue": 36, "threedsclienttransactionid": 36, "threedsamount": 16,
	"threedscurrency": 3, "threedserror": 16, "threedserrordetail": 1024, "threedserrorcode": 64, "threedsresponse": 1024,
}

// check3DS holds the parameters of 3-D Secure against the rules of 3.5: if there
// is any, either a result or an error is told in full. That the amount is that of
// the charge is seen when its currency is known.
func (p params) check3DS() error {
	given := false
	for name, most := range lengths {
		value := p.get(name)
		given = given || value != ""
		if len(value) > most {
			return badArguments
		}
	}
	if !given || p.get("threedsError") != "" {
		return nil
	}
	var required []string
	switch version := p.get("threedsVersion"); {
	case strings.HasPrefix(version, "1."):
		required = []string{"threedsXid", "threedsCavv", "threedsCavvAlgorithm"}
	case strings.HasPrefix(version, "2."):
		required = []string{"threedsDsTransId", "threedsAcsTransId"}
	default:
		return badArguments
	}
	for _, name := range append(required, "threedsEci", "threedsStatus", "threedsAmount") {
		if p.get(name) == "" {
			return badArguments
		}
	}
	if success := p.get("threedsSuccess"); success != "true" && success != "false" {
		return badArguments
	}
	return nil
}

// amountIs reports whether the amount that was authenticated is the one that is
// charged.
func (p params) amountIs(t billing.Terms) bool {
	minor, ok := readPrice(p.get("threedsAmount"), t.Currency)
	if code := p.get("threedsCurrency"); code != "" {
		c, known := currencyOf(code)
		ok = ok && known && c == t.Currency
	}
	return ok && minor == t.Initial
}

// extras are the parameters that mean nothing to the API: a webhook gives them
// back as X-NAME (8.4). What looks like a card's number is dropped, and so is
// what is longer than any token.
func (p params) extras() map[string]string {
	list := make(map[string]string)
	for key, value := range p.values {
		name := p.names[key]
		_, threeDS := lengths[key]
		if threeDS || slices.Contains(ours, key) || value == "" || len(name) > longestName || len(value) > longestValue || len(list) == mostExtras {
			continue
		}
		if hasCard(value) || hasCard(name) || strings.ToValidUTF8(name+value, "") != name+value {
			continue
		}
		list[name] = value
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// hasCard reports whether a text has a run of digits in it, blanks and hyphens
// between them aside, that may be a card's number.
func hasCard(s string) bool {
	run := ""
	for _, r := range s + "." {
		switch {
		case '0' <= r && r <= '9':
			run += string(r)
		case (r == ' ' || r == '-') && run != "":
		default:
			if billing.VisaCredit.CheckNumber(run) {
				return true
			}
			run = ""
		}
	}
	return false
}
