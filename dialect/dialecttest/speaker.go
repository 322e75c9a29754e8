package dialecttest

import (
	"reflect"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// Speaker says the verbs of billing in one tongue, to the Counter that the
// dialect's test made it for. Every story is about one customer. Things have
// names in a story; how a name becomes a code or an id is the speaker's affair.
//
// A verb that is nil cannot be said; the reason then stands in Unsayable under
// the name of the field. A verb that is refused fails the test: what is to be
// refused is a matter of the wire.
type Speaker struct {
	Plan       func(testing.TB, Plan)
	SignUp     func(testing.TB)                                // makes the customer
	Given      func(t testing.TB, subscription, number string) // learns of a sale that was brought in for the customer
	AddCard    func(testing.TB, Card)                          // keeps a card
	AddBank    func(testing.TB, Bank)                          // keeps a bank account
	RenewCard  func(t testing.TB, name, expiry string)
	Retire     func(t testing.TB, method string) // the card or bank account is no longer used
	Subscribe  func(testing.TB, Subscription)
	Switch     func(t testing.TB, subscription, method string) // pays with another card from now on
	Freeze     func(t testing.TB, subscription, from string, billings int)
	Pause      func(t testing.TB, subscription, from string)
	Resume     func(t testing.TB, subscription string)
	Cancel     func(t testing.TB, subscription, on string)   // "" is at once
	LetEnd     func(t testing.TB, subscription, last string) // cancels it with what is paid, whose last day is told
	Invoice    func(t testing.TB, name string, amount int64)
	Fee        func(t testing.TB, name string, amount int64)
	Credit     func(t testing.TB, name string, amount int64)
	TakeCash   func(t testing.TB, name string, amount int64)
	Charge     func(testing.TB, Payment)         // whatever the processor says of it
	PayOut     func(testing.TB, Payment)         // to a card, without a payment before
	Reverse    func(t testing.TB, name string)   // an invoice, credit or payment
	Deactivate func(t testing.TB, inactive bool) // the customer, or activates again

	// Unsayable says why a verb is nil, by the name of its field.
	Unsayable map[string]string
}

// Plan is a price with a rhythm, in cents.
type Plan struct {
	Name   string
	Cycle  billing.Cycle
	Amount int64
	Tax    int64
}

// Card is a card as a story has it; Expiry is MMYY.
type Card struct {
	Name       string
	Instrument billing.Instrument
	Number     string
	Expiry     string
}

// Bank is a checking account.
type Bank struct {
	Name, Number, Routing string
}

// Subscription is for a term of Length billings, or without end if that is 0.
type Subscription struct {
	Name, Plan, Method string
	Length             int
	First              string // day of the first billing
}

// Payment is made with what is kept under Method, or with Card, which is not
// kept. It covers the invoices that it names first.
type Payment struct {
	Name     string
	Amount   int64
	Method   string
	Card     Card
	Invoices []string
}

// complaints holds the reasons against the verbs: each verb has a function or a
// reason, and none has both.
func (s *Speaker) complaints() (list []string) {
	v := reflect.ValueOf(*s)
	verbs := map[string]bool{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Type.Kind() != reflect.Func {
			continue
		}
		verbs[field.Name] = true
		why, excused := s.Unsayable[field.Name]
		switch {
		case v.Field(i).IsNil() && why == "":
			list = append(list, field.Name+" is not said, and no reason is given")
		case !v.Field(i).IsNil() && excused:
			list = append(list, field.Name+" has become sayable, take it off the list")
		}
	}
	for name := range s.Unsayable {
		if !verbs[name] {
			list = append(list, name+" is no verb, and needs no reason")
		}
	}
	return list
}
