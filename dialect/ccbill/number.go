package ccbill

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// zone is Arizona's, the whole year (1).
var zone = time.FixedZone("MST", -7*60*60)

// stationNumber is the processing station that our numbers name (3.3).
const stationNumber = 1

// The kinds of payment in digits 9 and 10 of a number (3.3).
const (
	byCard = 1
	byTest = 2
	byACH  = 6
)

// paymentKind is what a number says of a payment.
func paymentKind(m *billing.Merchant, i billing.Instrument) int {
	switch {
	case m.Mode == billing.Test:
		return byTest
	case i.IsBank():
		return byACH
	}
	return byCard
}

// numberAt makes a number of 19 digits for a transaction of an instant (3.3).
// The last nine are random; whoever keeps it sees to it that it is no other's.
func numberAt(at time.Time, kind int) string {
	at = at.In(zone)
	weekday := int(at.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	sequence, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		panic("ccbill: no randomness: " + err.Error())
	}
	return fmt.Sprintf("%02d%02d%03d%d%02d%09d", stationNumber, at.Year()%100, at.YearDay(), weekday, kind, sequence)
}

// Canonical is the form in which a number is kept: without leading zeros, for
// ids are compared as numbers (3.3). ok is false for what is no number of 1 to
// 20 digits.
func Canonical(number string) (form string, ok bool) {
	if !digits(number, 1, 20) {
		return "", false
	}
	form = strings.TrimLeft(number, "0")
	return form, form != ""
}

// Printed is a number of canonical form as answers and webhooks print it: 19
// digits. Ids from before September 2006 are shorter and get zeros too.
func Printed(form string) string {
	return strings.Repeat("0", max(0, 19-len(form))) + form
}
