package unipay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/perennial-billing/perennial/billing"
)

// Name is the name of this dialect, under which a merchant's settings hold its
// switches.
const Name = "unipay"

// settings are a merchant's switches of this wire: the choices of section 9
// that concern nothing but the wire. The zero value is every default.
type settings struct {
	// Always200 answers failures with status 200, but for 401 (9, row 1).
	Always200 bool `json:"always_200"`

	// EmptyStrings sends fields without a value as empty texts (9, row 5).
	EmptyStrings bool `json:"empty_strings"`

	// ShowBalance gives customers the extra field balance: what the customer
	// owes in cents, negative for a credit (9, row 31).
	ShowBalance bool `json:"show_balance"`
}

// CheckSettings reports whether a merchant's switches of this wire, the member
// "unipay" of the dialects in its settings, can be understood. Unknown switches
// are refused. Nothing at all is every default.
func CheckSettings(raw json.RawMessage) error {
	_, err := readSettings(raw)
	return err
}

func readSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(bytes.TrimSpace(raw)) == 0 {
		return s, nil
	}
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
			Message: "must be an object with the switches always_200, empty_strings and show_balance, each true or false", Err: err}
	}
	return s, nil
}
