package recurly

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/perennial-billing/perennial/billing"
)

// Name is the name of this dialect, under which a merchant's settings hold its
// switches. A merchant whose settings have none under it is no site of this wire.
const Name = "recurly"

// settings are a site's switches: what its owner chose in the console, and what
// this package chose where nothing public decides. The zero value is every
// default.
type settings struct {
	// Account is the code of the account in which customers and plans are made;
	// default the merchant's first.
	Account string `json:"account"`

	// AddressRequirement is which fields of an address are required: none, which is
	// the default, zip, street_zip or full (6.7).
	AddressRequirement string `json:"address_requirement"`

	// CVVRequired has a card need its verification value (6.3).
	CVVRequired bool `json:"cvv_required"`

	// SwitchFields has Switch and Solo cards need a start date or an issue number
	// (6.3).
	SwitchFields bool `json:"switch_fields"`

	// Mastercard2 knows MasterCard's numbers of 2016, which begin with 2 (6.8).
	Mastercard2 bool `json:"mastercard_2_series"`

	// BogusNumber takes the one-digit number 1 for a good card, and 2 for one that
	// is declined; default for merchants in test mode (6.3). In earnest it is never
	// taken.
	BogusNumber *bool `json:"bogus_number"`

	// ShowVerificationAmount lists the look at a card with its amount, as void, in
	// place of 0 and success (6.4).
	ShowVerificationAmount bool `json:"show_verification_amount"`

	// NoSubscriptionStatus answers the cancelling of a subscription that there is
	// not: 404, which is the default, or 412 as documented (7.5).
	NoSubscriptionStatus int `json:"no_subscription_status"`

	// Messages are worded as in "2011", which is the default, or as before in
	// "2010": with the name of the field in front (3.2).
	Messages string `json:"messages"`

	// KeepClosed leaves a closed account closed when it gets a subscription or
	// transaction, which is then refused; else that opens it again (5.3).
	KeepClosed bool `json:"keep_closed"`

	// RequireScheme refuses an Authorization header without the word Basic (1.2).
	RequireScheme bool `json:"require_scheme"`

	// TransparentMinutes is how old the time in a transparent post may be; default
	// 60 (13.1).
	TransparentMinutes int `json:"transparent_minutes"`
}

// The levels of address_requirement.
const (
	addressNone      = "none"
	addressZip       = "zip"
	addressStreetZip = "street_zip"
	addressFull      = "full"
)

// CheckSettings reports whether a merchant's switches of this wire, the member
// "recurly" of the dialects in its settings, can be understood. Unknown switches
// are refused.
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
				Message: "must be an object with the switches of the Recurly dialect, see docs/recurly.md", Err: err}
		}
	}
	return s.withDefaults(), s.check()
}

func (s settings) withDefaults() settings {
	if s.AddressRequirement == "" {
		s.AddressRequirement = addressNone
	}
	if s.NoSubscriptionStatus == 0 {
		s.NoSubscriptionStatus = 404
	}
	if s.TransparentMinutes == 0 {
		s.TransparentMinutes = 60
	}
	return s
}

func (s settings) check() error {
	wrong := func(field, message string) error {
		return billing.FieldError(billing.Invalid, "dialects."+Name+"."+field, "%s", message)
	}
	switch s.AddressRequirement {
	case "", addressNone, addressZip, addressStreetZip, addressFull:
	default:
		return wrong("address_requirement", "must be none, zip, street_zip or full")
	}
	switch {
	case s.NoSubscriptionStatus != 0 && s.NoSubscriptionStatus != 404 && s.NoSubscriptionStatus != 412:
		return wrong("no_subscription_status", "must be 404 or 412")
	case s.Messages != "" && s.Messages != "2010" && s.Messages != "2011":
		return wrong("messages", "must be 2010 or 2011")
	case s.TransparentMinutes < 0 || s.TransparentMinutes > 24*60:
		return wrong("transparent_minutes", "must be from 1 to 1440")
	}
	return nil
}

// bogus reports whether the numbers of the test gateway are taken.
func (s settings) bogus(m *billing.Merchant) bool {
	return m.Mode == billing.Test && (s.BogusNumber == nil || *s.BogusNumber)
}
