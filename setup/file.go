package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/perennial-billing/perennial/billing"
)

// MaxSize bounds a file, in bytes. A customer with a card and a subscription
// takes about 500; larger migrations come in several files.
const MaxSize = 16 << 20

// File is a set-up file that is right in itself.
type File struct {
	merchants []*merchant
}

// The types below are the file's mappings; the tags are its keys. A pointer, or
// a zero value that is not a value of the key, tells absence.

type document struct {
	Where     place
	Merchants []*merchant `yaml:"merchants"`
}

type merchant struct {
	Where     place
	Code      string           `yaml:"code"`
	Name      string           `yaml:"name"`
	Mode      billing.Mode     `yaml:"mode"`
	Zone      string           `yaml:"zone"`
	Currency  billing.Currency `yaml:"currency"`
	Clock     *clock           `yaml:"clock"`
	Settings  settings         `yaml:"settings"`
	Velocity  *velocity        `yaml:"velocity"`
	Accounts  []*account       `yaml:"accounts"`
	Logins    []*login         `yaml:"logins"`
	Secrets   []*secret        `yaml:"secrets"`
	Plans     []*plan          `yaml:"plans"`
	Coupons   []*coupon        `yaml:"coupons"`
	Customers []*customer      `yaml:"customers"`
	Endpoints []*endpoint      `yaml:"endpoints"`
}

type clock struct {
	Where place
	Start string            `yaml:"start"`
	Mode  billing.ClockMode `yaml:"mode"`
}

// settings are a merchant's, as far as the file gives them.
type settings struct {
	Where place
	given billing.Settings
	text  json.RawMessage // the keys that are given, nil if none are
}

// velocity is a merchant's controls, which the file gives all together.
type velocity struct {
	Where place
	given billing.Velocity
}

type account struct {
	Where place
	Code  string `yaml:"code"`
	Name  string `yaml:"name"`
}

type login struct {
	Where        place
	Name         string         `yaml:"name"`
	Role         billing.Role   `yaml:"role"`
	Password     billing.Secret `yaml:"password"`
	PasswordEnv  string         `yaml:"password_env"`
	PasswordHash billing.Secret `yaml:"password_hash"`
	APIKey       billing.Secret `yaml:"api_key"`
	APIKeyEnv    string         `yaml:"api_key_env"`
	Accounts     []string       `yaml:"accounts"`
	AllowRawData *bool          `yaml:"allow_raw_data"`
	AllowedIPs   []string       `yaml:"allowed_ips"`
	Disabled     *bool          `yaml:"disabled"`
}

type plan struct {
	Where   place
	Account string        `yaml:"account"`
	Code    string        `yaml:"code"`
	Name    string        `yaml:"name"`
	Cycle   billing.Cycle `yaml:"cycle"`
	Amount  *int64        `yaml:"amount"`
	Tax     *int64        `yaml:"tax"`
	Active  *bool         `yaml:"active"`

	Description *string  `yaml:"description"`
	SuccessURL  *string  `yaml:"success_url"`
	CancelURL   *string  `yaml:"cancel_url"`
	Setup       *int64   `yaml:"setup_fee"`
	TrialLength *int64   `yaml:"trial_length"`
	TrialUnit   *string  `yaml:"trial_unit"`
	AddOns      []*addOn `yaml:"add_ons"`
}

// addOn is something that a plan offers beside itself.
type addOn struct {
	Where  place
	Code   string `yaml:"code"`
	Name   string `yaml:"name"`
	Amount *int64 `yaml:"amount"`
}

// secret is what a merchant and its clients prove messages to each other with.
type secret struct {
	Where    place
	Name     string         `yaml:"name"`
	Value    billing.Secret `yaml:"value"`
	ValueEnv string         `yaml:"value_env"`
}

type coupon struct {
	Where          place
	Code           string              `yaml:"code"`
	Name           *string             `yaml:"name"`
	Percent        *int64              `yaml:"percent"`
	Amount         *int64              `yaml:"amount"`
	Lasts          billing.CouponLasts `yaml:"lasts"`
	Months         *int64              `yaml:"months"`
	RedeemBy       billing.Date        `yaml:"redeem_by"`
	MaxRedemptions *int64              `yaml:"max_redemptions"`
	Plans          []string            `yaml:"plans"`
	Active         *bool               `yaml:"active"`
}

type customer struct {
	Where         place
	Account       string          `yaml:"account"`
	Code          string          `yaml:"code"`
	FirstName     *string         `yaml:"first_name"`
	LastName      *string         `yaml:"last_name"`
	Organization  *string         `yaml:"organization"`
	Email         *string         `yaml:"email"`
	Phone         *string         `yaml:"phone"`
	Address       address         `yaml:"address"`
	Active        *bool           `yaml:"active"`
	Methods       []*method       `yaml:"payment_methods"`
	Subscriptions []*subscription `yaml:"subscriptions"`
	Sale          *sale           `yaml:"sale"`
}

type address struct {
	Where   place
	Street1 *string `yaml:"street1"`
	Street2 *string `yaml:"street2"`
	City    *string `yaml:"city"`
	State   *string `yaml:"state"`
	Zip     *string `yaml:"zip"`
	Country *string `yaml:"country"`
}

type method struct {
	Where   place
	Code    string             `yaml:"code"`
	Type    billing.Instrument `yaml:"type"`
	Number  billing.Secret     `yaml:"number"`
	Expiry  *string            `yaml:"expiry"`
	Routing string             `yaml:"routing"`
	Holder  *string            `yaml:"holder"`
	Address address            `yaml:"address"`
	Phone   *string            `yaml:"phone"`
	Email   *string            `yaml:"email"`
	Active  *bool              `yaml:"active"`
}

type subscription struct {
	Where          place
	Code           string       `yaml:"code"`
	Plan           string       `yaml:"plan"`
	PaymentMethod  string       `yaml:"payment_method"`
	Term           billing.Term `yaml:"term"`
	Length         *int64       `yaml:"length"`
	Amount         *int64       `yaml:"amount"`
	Tax            *int64       `yaml:"tax"`
	FirstDate      billing.Date `yaml:"first_date"`
	FirstInvoicing billing.Date `yaml:"first_invoicing_date"`
	Billed         *int64       `yaml:"billed"`
	Note           *string      `yaml:"note"`
}

// Parse reads a file of one or more YAML documents, at most MaxSize bytes. What
// is wrong is returned as Problems, all of it at once; nothing is held against
// any books yet.
func Parse(r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("setup: read the file: %w", err)
	}
	if len(text) > MaxSize {
		return nil, Problems{{Text: fmt.Sprintf("the file is larger than %d MiB; divide it into several", MaxSize>>20)}}
	}
	var f File
	var problems Problems
	decoder := decoder{&problems}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for number := 1; ; number++ {
		var root yaml.Node
		err := documents.Decode(&root)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, Problems{{Text: redact(err)}}
		}
		if len(root.Content) == 0 || isNull(root.Content[0]) {
			continue // a document of comments
		}
		path := ""
		if number > 1 {
			path = fmt.Sprintf("document %d", number)
		}
		var doc document
		decoder.value(root.Content[0], reflect.ValueOf(&doc).Elem(), path)
		f.merchants = append(f.merchants, doc.Merchants...)
	}
	if len(problems) == 0 {
		f.check(&problems)
	}
	if err := problems.orNil(); err != nil {
		return nil, err
	}
	return &f, nil
}

var inQuotes = regexp.MustCompile(`(?s)'.*'`)

// redact is the text of a syntax error without what it quotes from the file:
// *s3cret without quotes around it is an unknown anchor, and may be a password.
func redact(err error) string {
	return inQuotes.ReplaceAllString(err.Error(), "'...'")
}
