package recurly

import (
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

func TestCardTypes(t *testing.T) {
	for number, want := range map[string]string{
		"4111111111111111": visa, "4012888888881881": visa, "4222222222222": visa, "4222222222222220": visa, "41111111111111": unknownType,
		"5555555555554444": master, "5105105105105100": master, "6771890000000000": master, "5099999999999999": maestro,
		"378282246310005": americanExpress, "371449635398431": americanExpress, "378734493671000": americanExpress, "341111111111111": americanExpress,
		"30569309025904": dinersClub, "38520000023237": dinersClub, "36000000000000": dinersClub, "30600000000000": unknownType,
		"6011000990139424": discover, "6500000000000000": discover, "6440000000000000": discover, "6490000000000000": discover, "6200000000000000": discover,
		"3530111333300000": jcb, "3566002020360505": jcb, "3527000000000000": unknownType, "3590000000000000": unknownType,
		"6759000000000000": maestro, "6767000000000000000": maestro, "5019000000000000": unknownType, "6007220000000000": unknownType,
		"6304000000000000": laser, "6706000000000000000": laser, "6709000000000000": laser, "6771000000000000": laser,
		"5600000000000000": maestro, "5800000000000000000": maestro, "6100000000000000": maestro,
		"2221000000000000": unknownType, "1000000000000000": unknownType, "9000000000000000000": unknownType,
	} {
		if got := (settings{}).kindOf(number); got != want {
			t.Errorf("%s is %s, want %s", number, got, want)
		}
	}
	for number, want := range map[string]string{"2221000000000000": master, "2720990000000000": master, "2220990000000000": unknownType, "2721000000000000": unknownType} {
		if got := (settings{Mastercard2: true}).kindOf(number); got != want {
			t.Errorf("with the second series %s is %s, want %s", number, got, want)
		}
	}
}

// checked reads a card from elements and tells what is wrong with it.
func checked(t *testing.T, s settings, mode billing.Mode, kept bool, inside string) (card, string) {
	t.Helper()
	e, err := readXML([]byte("<credit_card>" + inside + "</credit_card>"))
	if err != nil {
		t.Fatal(err)
	}
	c, fields := readCard(e)
	var wrong mistakes
	x := &exchange{choices: s, session: &cashier.Session{Merchant: &billing.Merchant{Mode: mode}, Now: time.Date(2011, 9, 30, 23, 0, 0, 0, time.UTC)}}
	c.check(x, &wrong, fields, kept)
	var texts []string
	for _, m := range wrong {
		texts = append(texts, m.field+" "+m.text)
	}
	return c, strings.Join(texts, ", ")
}

func TestCheckCard(t *testing.T) {
	good := "<number>4111-1111 1111-1111</number>"
	for _, c := range []struct {
		name   string
		s      settings
		kept   bool
		inside string
		want   string
	}{
		{"good", settings{}, false, good + "<verification_value>123</verification_value><month>09</month><year>2011</year>", ""},
		{"no dates", settings{}, false, good, ""},
		{"nothing", settings{}, false, "", "number is required"},
		{"nothing, and one is kept", settings{}, true, "", ""},
		{"empty, and one is kept", settings{}, true, "<number></number>", "number is required"},
		{"letters", settings{}, false, "<number>4111x11111111111</number>", "number " + badNumber},
		{"no check digit", settings{}, false, "<number>4222222222222222</number>", "number " + badNumber},
		{"13 digits", settings{}, false, "<number>4222222222222</number>", ""},
		{"12 digits", settings{}, false, "<number>676770000006</number>", "number " + badNumber},
		{"20 digits", settings{}, false, "<number>41111111111111111111</number>", "number " + badNumber},
		{"bogus", settings{}, false, "<number>1</number><month>1</month><year>2009</year>", ""},
		{"bogus, declined", settings{}, false, "<number>2</number>", ""},
		{"another digit", settings{}, false, "<number>3</number>", "number " + badNumber},
		{"bogus, switched off", settings{BogusNumber: new(bool)}, false, "<number>1</number>", "number " + badNumber},
		{"month", settings{}, false, good + "<month>13</month><year>2012</year>", "month " + badMonth},
		{"month in words", settings{}, false, good + "<month>May</month>", "month " + badMonth},
		{"year before", settings{}, false, good + "<month>1</month><year>2010</year>", "year " + badYear},
		{"year of two digits", settings{}, false, good + "<year>12</year>", "year " + badYear},
		{"year far off", settings{}, false, good + "<year>2032</year>", "year " + badYear},
		{"last year that is", settings{}, false, good + "<year>2031</year>", ""},
		{"expired last month", settings{}, false, good + "<month>8</month><year>2011</year>", "year " + expired},
		{"code", settings{}, false, good + "<verification_value>12</verification_value>", "verification_value " + invalid},
		{"code of letters", settings{}, false, good + "<verification_value>12a</verification_value>", "verification_value " + invalid},
		{"no code", settings{CVVRequired: true}, false, good, "verification_value " + required},
		{"no code, none needed", settings{CVVRequired: true}, true, "", ""},
		{"all at once", settings{}, false, "<number/><verification_value>1</verification_value><month>0</month><year>1</year>",
			"number " + required + ", month " + badMonth + ", year " + badYear + ", verification_value " + invalid},
		{"switch", settings{SwitchFields: true}, false, "<number>6759649826438453</number>",
			"start_month " + invalid + ", start_year " + invalid + ", issue_number " + empty},
		{"switch with an issue number", settings{SwitchFields: true}, false, "<number>6759649826438453</number><issue_number>1</issue_number>", ""},
		{"switch with a start", settings{SwitchFields: true}, false, "<number>6759649826438453</number><start_month>1</start_month><start_year>2009</start_year>", ""},
		{"a start that is none", settings{}, false, good + "<start_month>15</start_month><start_year>2009</start_year>", "start_month " + badMonth},
	} {
		if _, got := checked(t, c.s, billing.Test, c.kept, c.inside); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, number := range []string{"1", "4222222222222"} {
		if _, got := checked(t, settings{}, billing.Live, false, "<number>"+number+"</number>"); got != "number "+badNumber {
			t.Errorf("in earnest %s: %q", number, got)
		}
	}
	c, _ := checked(t, settings{}, billing.Test, false, good+"<month>3</month><year>2013</year>")
	if c.number.Reveal() != "4111111111111111" || c.expiry() != "0313" || c.kind != visa {
		t.Errorf("the card is a %s to %s", c.kind, c.expiry())
	}
	if c, _ = checked(t, settings{}, billing.Test, false, good); c.expiry() != "0911" {
		t.Errorf("a card without dates is good to %s, want this month", c.expiry())
	}
}
