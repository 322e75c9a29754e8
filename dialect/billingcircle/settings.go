package billingcircle

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/perennial-billing/perennial/billing"
)

// Name is the name of this dialect, under which a merchant's settings hold its
// switches. A merchant whose settings have none under it has no Connect URL.
const Name = "billing-circle"

// settings are a merchant's switches of this wire. The zero value is every default.
type settings struct {
	// TestTwin is the code of the merchant whose data the testing URL works on
	// (1.2). Its logins have the same names behind its own code.
	TestTwin string `json:"test_twin"`

	// Account is the code of the account in which clients are kept; the first, if
	// none is named.
	Account string `json:"account"`

	// AllowedIPs are the addresses from which the URL can be used, as ranges; none
	// is any (1).
	AllowedIPs []string `json:"allowed_ips"`

	// Required and Optional change which fields createclient asks for (3.1).
	Required []string `json:"required"`
	Optional []string `json:"optional"`

	// MaxLengths gives fields other lengths (3.1).
	MaxLengths map[string]int `json:"max_lengths"`

	// Aliases are other names of fields (10, 4).
	Aliases map[string]string `json:"aliases"`

	// Codes gives cases other numbers (5.2).
	Codes map[refusal]int `json:"codes"`

	// NoHeaderRow leaves the first row of reports out (3.11).
	NoHeaderRow bool `json:"no_header_row"`

	// FirstNumbers are the ids with which each series begins (9).
	FirstNumbers numbering `json:"first_numbers"`
}

// numbering is where the series of ids begin. A series that has begun goes on.
type numbering struct {
	Client      int64 `json:"client"`
	Schedule    int64 `json:"schedule"`
	Invoice     int64 `json:"invoice"`
	Transaction int64 `json:"transaction"`
}

// CheckSettings reports whether a merchant's switches of this wire, the member
// "billing-circle" of the dialects in its settings, can be understood. Unknown
// switches are refused.
func CheckSettings(raw json.RawMessage) error {
	_, err := readSettings(raw)
	return err
}

func readSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(bytes.TrimSpace(raw)) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		err := d.Decode(&s)
		if err == nil {
			if _, more := d.Token(); !errors.Is(more, io.EOF) {
				err = errors.New("more than one value")
			}
		}
		if err != nil {
			return settings{}, &billing.Error{Kind: billing.Invalid, Field: "dialects." + Name,
				Message: "must be an object with the switches of the Billing Circle dialect, see docs/billing-circle.md", Err: err}
		}
	}
	if err := s.check(); err != nil {
		return settings{}, err
	}
	return s.withDefaults(), nil
}

// longestValue is the greatest length that a merchant may give a field.
const longestValue = 1000

func (s settings) check() error {
	wrong := func(field, message string) error {
		return billing.FieldError(billing.Invalid, "dialects."+Name+"."+field, "%s", message)
	}
	for _, r := range s.AllowedIPs {
		if _, err := billing.ParseAddressRange(r); err != nil {
			return wrong("allowed_ips", "each must be an address, a prefix or a range")
		}
	}
	for list, names := range map[string][]string{"required": s.Required, "optional": s.Optional} {
		for _, n := range names {
			if f := fieldNamed(n); f == nil || !strings.HasPrefix(n, "c_") || n == "c_merchantid" || n == "c_clientid" || n == "c_status" {
				return wrong(list, "must be fields of createclient")
			}
		}
	}
	for n, most := range s.MaxLengths {
		if f := fieldNamed(n); f == nil || most < 1 || most > longestValue {
			return wrong("max_lengths", "must be fields with a length from 1 to 1000")
		}
	}
	for alias, n := range s.Aliases {
		if fieldNamed(n) == nil || fieldNamed(alias) != nil || alias == "" || len(alias) > longestName || credential(alias) {
			return wrong("aliases", "must be names that are no fields, each with the field that it stands for")
		}
	}
	for why, code := range s.Codes {
		if _, known := codes[why]; !known || code < 1000 || code > 9999 {
			return wrong("codes", "must be cases with a number from 1000 to 9999")
		}
	}
	for _, n := range []int64{s.FirstNumbers.Client, s.FirstNumbers.Schedule, s.FirstNumbers.Invoice, s.FirstNumbers.Transaction} {
		if n < 0 || n > 1<<31 {
			return wrong("first_numbers", "must be from 1 to 2147483648")
		}
	}
	return nil
}

func credential(name string) bool {
	return name == "method" || name == "companyid" || name == "username" || name == "password"
}

// builtinAliases are names that the wire itself uses elsewhere (3.1).
var builtinAliases = map[string]string{"c_address1": "c_address", "c_postal": "c_zip", "c_saddress1": "c_saddress", "c_spostal": "c_szip"}

func (s settings) withDefaults() settings {
	first := &s.FirstNumbers
	for n, value := range map[*int64]int64{&first.Client: 1234, &first.Schedule: 5001, &first.Invoice: 7001, &first.Transaction: 9001} {
		if *n == 0 {
			*n = value
		}
	}
	return s
}
