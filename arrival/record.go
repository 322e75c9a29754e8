package arrival

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
)

// The types of records in an extract (protocols/ccbill.md 6.2).
const (
	recordNew          = "NEW"
	recordRebill       = "REBILL"
	recordRefund       = "REFUND"
	recordVoid         = "VOID"
	recordChargeback   = "CHARGEBACK"
	recordExpire       = "EXPIRE"
	recordCancellation = "CANCELLATION"
	recordActive       = "ACTIVEMEMBERS"
)

// columns is how many columns a record of each type has at least.
var columns = map[string]int{
	recordNew: 22, recordRebill: 7, recordRefund: 6, recordVoid: 6, recordChargeback: 6, recordExpire: 7, recordCancellation: 5,
	recordActive: 10,
}

// What stands in columns 7 and 8 of a NEW record is the consumer's login at the
// merchant's site. It is not read: a password has no business here.
const (
	columnUsername = 7
	columnPassword = 8
)

// The bounds of a record.
const (
	maxRecord = 64 << 10 // bytes
	maxField  = 500      // characters
)

// record is one line of an extract.
type record struct {
	place
	kind    string
	client  string // clientAccnum
	account string // clientSubacc
	number  string // of the subscription, without leading zeros
	fields  []string
}

// place is a line of a file.
type place struct {
	file string
	line int
}

// parseRecord reads a line of an extract. Its errors do not repeat what stands
// there: it is about a person.
func parseRecord(text []byte) (*record, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not text in UTF-8")
	}
	fields, err := csv.NewReader(bytes.NewReader(text)).Read()
	if err != nil {
		return nil, errors.New("is no line of values in quotes with commas between")
	}
	kind := strings.ToUpper(fields[0])
	least, known := columns[kind]
	switch {
	case !known && len(fields) > 1:
		return nil, errors.New("is of no type that is known: NEW, REBILL, REFUND, VOID, CHARGEBACK, EXPIRE, CANCELLATION, ACTIVEMEMBERS")
	case !known:
		return nil, errors.New("is no record")
	case len(fields) < least:
		return nil, errors.New("has " + strconv.Itoa(len(fields)) + " columns; a " + kind + " record has " + strconv.Itoa(least))
	}
	for _, f := range fields {
		if utf8.RuneCountInString(f) > maxField || strings.ContainsFunc(f, unicode.IsControl) {
			return nil, errors.New("has a value that is too long, or has control characters in it")
		}
	}
	if kind == recordNew {
		fields[columnUsername], fields[columnPassword] = "", ""
	}
	r := &record{kind: kind, client: fields[1], account: fields[2], number: strings.TrimLeft(fields[3], "0"), fields: fields}
	if !isDigits(r.client, 6, 6) || !isDigits(r.account, 4, 4) || !isNumber(fields[3]) {
		return nil, errors.New("must have an account of 6 digits, a subaccount of 4 and a subscription number of up to 20 in columns 2 to 4")
	}
	return r, nil
}

// mst is the time of all extracts: Arizona's, the same in summer and winter.
func mst() *time.Location { return time.FixedZone("MST", -7*60*60) }

// moment reads a timestamp of an extract.
func moment(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateTime, "20060102150405"} {
		if t, err := time.ParseInLocation(layout, text, mst()); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// day reads a date, or the date of a timestamp as it stands there.
func day(text string) (billing.Date, bool) {
	if len(text) > 10 {
		text = text[:10]
	}
	for _, layout := range []string{time.DateOnly, "20060102"} {
		t, err := time.Parse(layout, text)
		if err != nil && len(text) == 10 && layout == "20060102" {
			t, err = time.Parse(layout, text[:8])
		}
		if err == nil {
			return billing.DateOf(t), true
		}
	}
	return billing.Date{}, false
}
