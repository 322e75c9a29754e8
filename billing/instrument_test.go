package billing_test

import (
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

func TestInstruments(t *testing.T) {
	// protocols/unipay.md 3.2
	want := map[billing.Instrument]struct {
		unipay     string
		card, bank bool
	}{
		billing.AmexCredit: {"AC", true, false},
		billing.VisaCredit: {"VC", true, false}, billing.VisaDebit: {"VD", true, false},
		billing.MastercardCredit: {"MC", true, false}, billing.MastercardDebit: {"MD", true, false},
		billing.DiscoverCredit: {"DC", true, false}, billing.DiscoverDebit: {"DD", true, false},
		billing.Checking: {"BC", false, true}, billing.Savings: {"BS", false, true},
		billing.Cash: {"K", false, false}, billing.Check: {"H", false, false}, billing.External: {"E", false, false},
		billing.Allowance: {"L", false, false}, billing.Settlement: {"T", false, false},
		billing.WrittenOff: {"W", false, false}, billing.PaymentPlan: {"P", false, false},
	}
	all := constants(t, "instrument.go", "Instrument")
	if len(all) != len(want) {
		t.Errorf("the source has %d instruments, the test %d", len(all), len(want))
	}
	for _, v := range all {
		i := billing.Instrument(v)
		w, ok := want[i]
		if !ok {
			t.Errorf("%s is new: say here what it is", i)
		}
		if i.IsCard() != w.card || i.IsBank() != w.bank {
			t.Errorf("%s (%s): card %v, bank %v", i, w.unipay, i.IsCard(), i.IsBank())
		}
		if numbered := i.CheckNumber("4111111111111111"); numbered != w.card && numbered != w.bank {
			t.Errorf("%s has a number: %v", i, numbered)
		}
	}
}

// The numbers that networks and gateways publish for tests.
func TestCardNumbers(t *testing.T) {
	for _, number := range []string{
		"4111111111111111", "4217651111111119", "5499740000000057", "5149612222222229", "6011000991001201", "371449635392376",
		"4012888888881881", "5555555555554444", "2223003122003222", "378282246310005", "30569309025904", "3530111333300000",
		"4222222222222", "6304000000000000000",
	} {
		if !billing.VisaCredit.CheckNumber(number) {
			t.Errorf("%s is refused", number)
		}
	}
}

func TestCardNumbersRefused(t *testing.T) {
	for _, number := range []string{
		"", "4", "4111111111111112", "4111111111111101", "1411111111111111", "411111111111", "41111111111111111111",
		"4111 1111 1111 1111", "4111-1111-1111-1111", "411111111111111١", "4111111111111111\n", "-411111111111111", "4*************11",
	} {
		if billing.VisaCredit.CheckNumber(number) {
			t.Errorf("%q is a card number", number)
		}
	}
}

// digits draws a number of so many digits.
func digits(from, to int) *rapid.Generator[string] {
	return rapid.StringMatching(`[0-9]{` + strconv.Itoa(from) + `,` + strconv.Itoa(to) + `}`)
}

// One check digit makes a card number of any 12 to 18 digits, and every mistake
// in one digit is found.
func TestLuhnFindsAWrongDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stem := digits(12, 18).Draw(t, "stem")
		var right []string
		for d := '0'; d <= '9'; d++ {
			if number := stem + string(d); billing.AmexCredit.CheckNumber(number) {
				right = append(right, number)
			}
		}
		if len(right) != 1 {
			t.Fatalf("%d check digits fit %s", len(right), stem)
		}
		number := []byte(right[0])
		at := rapid.IntRange(0, len(number)-1).Draw(t, "at")
		number[at] = '0' + (number[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if billing.AmexCredit.CheckNumber(string(number)) {
			t.Fatalf("%s passes, and so does %s", right[0], number)
		}
	})
}

// Two neighbours that changed places are found, but for 0 and 9.
func TestLuhnFindsATransposition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := []byte(digits(16, 16).Filter(billing.VisaDebit.CheckNumber).Draw(t, "number"))
		at := rapid.IntRange(0, len(number)-2).Draw(t, "at")
		a, b := number[at], number[at+1]
		number[at], number[at+1] = b, a
		blind := a == b || a == '0' && b == '9' || a == '9' && b == '0'
		if billing.VisaDebit.CheckNumber(string(number)) != blind {
			t.Fatalf("after %c and %c changed places, %s passes: %v", a, b, number, !blind)
		}
	})
}

func TestBankAccountNumbers(t *testing.T) {
	for number, want := range map[string]bool{
		"4099999992": true, "7694200031": true, "1234": true, "12345678901234567": true, "0000": true,
		"": false, "123": false, "123456789012345678": false, "12345a": false, "12 34": false, "12345-6": false,
	} {
		if got := billing.Checking.CheckNumber(number); got != want {
			t.Errorf("%q is an account number: %v", number, got)
		}
	}
	for _, i := range []billing.Instrument{billing.Cash, billing.Check, billing.External, "", "gold"} {
		if i.CheckNumber("4111111111111111") || i.CheckNumber("") {
			t.Errorf("%q has a number", i)
		}
	}
}

func TestCheckRouting(t *testing.T) {
	for routing, want := range map[string]bool{
		// Published by the banks that they belong to.
		"021000021": true, "011401533": true, "091000019": true, "121000358": true, "026009593": true, "111000025": true, "322271627": true,
		"021000022": false, "021000012": false, "120000021": false,
		"000000000": false, "": false, "02100002": false, "0210000210": false, "02100002a": false, " 21000021": false, "٠٢١٠": false,
	} {
		if got := billing.CheckRouting(routing); got != want {
			t.Errorf("%q is a routing number: %v", routing, got)
		}
	}
}

func TestRoutingFindsAWrongDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stem := digits(8, 8).Filter(func(s string) bool { return s != "00000000" }).Draw(t, "stem")
		var right []string
		for d := '0'; d <= '9'; d++ {
			if s := stem + string(d); billing.CheckRouting(s) {
				right = append(right, s)
			}
		}
		if len(right) != 1 {
			t.Fatalf("%d check digits fit %s", len(right), stem)
		}
		number := []byte(right[0])
		at := rapid.IntRange(0, 8).Draw(t, "at")
		number[at] = '0' + (number[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if billing.CheckRouting(string(number)) {
			t.Fatalf("%s passes, and so does %s", right[0], number)
		}
	})
}

func TestCheckExpiry(t *testing.T) {
	good := 0
	for n := range 10_000 {
		s := strings.Repeat("0", 4-len(strconv.Itoa(n))) + strconv.Itoa(n)
		month := n / 100
		if want := month >= 1 && month <= 12; billing.CheckExpiry(s) != want {
			t.Errorf("%s is an expiry: %v", s, !want)
		} else if want {
			good++
		}
	}
	if good != 1200 {
		t.Errorf("%d expiries", good)
	}
	for _, s := range []string{"", "422", "04222", "04/2", "0a22", "١٢٢٢", "+122", " 422", "04-2"} {
		if billing.CheckExpiry(s) {
			t.Errorf("%q is an expiry", s)
		}
	}
}

func TestAddressString(t *testing.T) {
	for _, c := range []struct {
		a    billing.Address
		want string
	}{
		{billing.Address{}, ""},
		{billing.Address{City: "New York"}, "New York"},
		{billing.Address{Street1: "12 Main St", Street2: "5th Ave", City: "New York", State: "NY", PostalCode: "31904", Country: "US"},
			"12 Main St, 5th Ave, New York, NY, 31904, US"},
		{billing.Address{Street1: "12 Main St", PostalCode: "31904"}, "12 Main St, 31904"},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestCustomerName(t *testing.T) {
	for _, c := range []struct{ first, last, want string }{
		{"John", "Smith", "John Smith"}, {"John", "", "John"}, {"", "Smith", "Smith"}, {"", "", ""},
	} {
		if got := (&billing.Customer{FirstName: c.first, LastName: c.last}).Name(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAttemptFinal(t *testing.T) {
	want := map[billing.AttemptState]bool{
		billing.Sending: false, billing.AttemptUnknown: false, billing.AttemptPending: false,
		billing.AttemptApproved: true, billing.AttemptDeclined: true,
	}
	all := constants(t, "attempt.go", "AttemptState")
	if len(all) != len(want) {
		t.Errorf("the source has %d states, the test %d", len(all), len(want))
	}
	for _, v := range all {
		if a := (&billing.Attempt{State: billing.AttemptState(v)}); a.Final() != want[a.State] {
			t.Errorf("%s is final: %v", v, a.Final())
		}
	}
}

func TestDetailsJSON(t *testing.T) {
	if got := (billing.Details{}).JSON(); got != "" {
		t.Errorf("no details are kept as %q", got)
	}
	d := billing.Details{Code: "invoice1", Due: "2024-05-01", Targets: []billing.ActivityID{3, 1}}
	if got, want := d.JSON(), `{"code":"invoice1","due":"2024-05-01","targets":[3,1]}`; got != want {
		t.Errorf("details are kept as %s, want %s", got, want)
	}
}
