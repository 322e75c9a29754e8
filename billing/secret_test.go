package billing_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

const (
	canary = "4111111111111111"
	dots   = "•••"
)

// carriers are the ways in which a secret lies in what somebody prints.
func carriers(s billing.Secret) map[string]any {
	type open struct{ Number billing.Secret }
	type closed struct{ number billing.Secret }
	type deep struct{ inner closed }
	return map[string]any{
		"itself":                 s,
		"by pointer":             &s,
		"field":                  open{s},
		"field by pointer":       &open{s},
		"unexported field":       closed{s},
		"unexported, by pointer": &closed{s},
		"unexported, deep":       deep{closed{s}},
		"list":                   []billing.Secret{s},
		"array":                  [1]billing.Secret{s},
		"list of closed":         []closed{{s}},
		"map":                    map[string]billing.Secret{"card": s},
		"map of closed":          map[string]closed{"card": {s}},
		"interface":              []any{s},
		"notice":                 billing.Notice{Kind: billing.NoticeChange, Number: s},
		"error":                  fmt.Errorf("charge of %v", s),
	}
}

// leaks reports whether a text gives the canary away, as it is or in a coding
// that package fmt knows.
func leaks(text string) bool {
	codings := []string{
		canary,
		fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary),
		strings.Trim(fmt.Sprintf("%v", []byte(canary)), "[]"),
		strings.Trim(fmt.Sprintf("%U", []rune(canary)), "[]"),
	}
	for _, c := range codings {
		if strings.Contains(text, c) {
			return true
		}
	}
	return false
}

func TestSecretIsPrintedByNoVerb(t *testing.T) {
	for name, carrier := range carriers(billing.NewSecret(canary)) {
		for _, verb := range strings.Fields("%v %+v %#v %s %q %#q %x %X %d %U %t %c %o %b %e %g %T %20v %.3s %-5v %w") {
			if text := fmt.Sprintf(verb, carrier); leaks(text) {
				t.Errorf("%s as %s prints %s", name, verb, text)
			}
		}
		for _, text := range []string{fmt.Sprint(carrier), fmt.Sprintln(carrier), fmt.Sprintf("%v", errors.Join(fmt.Errorf("%v", carrier)))} {
			if leaks(text) {
				t.Errorf("%s prints %s", name, text)
			}
		}
	}
}

func TestSecretPrintsDots(t *testing.T) {
	s := billing.NewSecret(canary)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%30s"} {
		if got := fmt.Sprintf(verb, s); got != dots {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if s.String() != dots || s.GoString() != dots || s.LogValue().String() != dots {
		t.Errorf("String %q, GoString %q, LogValue %q", s.String(), s.GoString(), s.LogValue())
	}
	// Nothing tells a secret from no secret, or a long one from a short one.
	if got := fmt.Sprint(billing.Secret{}); got != dots {
		t.Errorf("no secret prints %q", got)
	}
}

func TestSecretIsNotMarshalled(t *testing.T) {
	s := billing.NewSecret(canary)
	type request struct {
		Name   string
		Number billing.Secret
	}
	type attribute struct {
		Number billing.Secret `xml:"number,attr"`
	}
	for name, marshal := range map[string]func() ([]byte, error){
		"text":             s.MarshalText,
		"json":             func() ([]byte, error) { return json.Marshal(s) },
		"json field":       func() ([]byte, error) { return json.Marshal(request{"a", s}) },
		"json key":         func() ([]byte, error) { return json.Marshal(map[billing.Secret]int{s: 1}) },
		"json of a notice": func() ([]byte, error) { return json.Marshal(billing.Notice{Number: s}) },
		"xml":              func() ([]byte, error) { return xml.Marshal(request{"a", s}) },
		"xml attribute":    func() ([]byte, error) { return xml.Marshal(attribute{s}) },
		"gob": func() ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(request{"a", s})
			return b.Bytes(), err
		},
	} {
		text, err := marshal()
		if err == nil {
			t.Errorf("%s is marshalled as %s", name, text)
		} else if leaks(err.Error()) || leaks(string(text)) {
			t.Errorf("%s: the refusal gives it away: %v, %s", name, err, text)
		}
	}
}

func TestSecretIsNoValueOfADatabase(t *testing.T) {
	if v, err := driver.DefaultParameterConverter.ConvertValue(billing.NewSecret(canary)); err == nil {
		t.Errorf("a database takes it as %T", v)
	} else if leaks(err.Error()) {
		t.Error("the refusal gives it away")
	}
}

func TestSecretIsNotLogged(t *testing.T) {
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(handler(&out)).With("card", billing.NewSecret(canary))
		for carrier, value := range carriers(billing.NewSecret(canary)) {
			log.Info("charge", slog.Any(carrier, value), slog.Group("group", slog.Any(carrier, value)))
		}
		if leaks(out.String()) {
			t.Errorf("%s: the log gives it away: %s", name, out.String())
		}
		if !strings.Contains(out.String(), dots) {
			t.Errorf("%s: no dots in %s", name, out.String())
		}
	}
}

func TestSecretReveals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		s := billing.NewSecret(value)
		if s.Reveal() != value || s.IsZero() != (value == "") {
			t.Fatalf("hid %q, revealed %q, zero %v", value, s.Reveal(), s.IsZero())
		}
	})
	if billing.NewSecret("") != (billing.Secret{}) || (billing.Secret{}).Reveal() != "" || !(billing.Secret{}).IsZero() {
		t.Error("hiding nothing gives something")
	}
}

func TestMask(t *testing.T) {
	for number, want := range map[string]string{
		"":                    "",
		"1":                   "*",
		"12":                  "*2",
		"123":                 "**3",
		"1234":                "**34",
		"12345678":            "******78",
		"123456789":           "1****6789",
		"4099999992":          "4*****9992", // protocols/unipay.md, V3
		"371449635392376":     "3**********2376",
		"4111111111111111":    "4***********1111", // protocols/unipay.md 2.2
		"6304000000000000000": "6**************0000",
	} {
		if got := billing.Mask(number); got != want {
			t.Errorf("%q is shown as %q, want %q", number, got, want)
		}
	}
}

func TestMaskHidesEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`[0-9]{0,24}`).Draw(t, "number")
		masked := billing.Mask(number)
		if len(masked) != len(number) {
			t.Fatalf("%q is shown as %q, of another length", number, masked)
		}
		shown := 0
		for i := range number {
			switch masked[i] {
			case '*':
			case number[i]:
				shown++
			default:
				t.Fatalf("%q is shown as %q", number, masked)
			}
		}
		if shown > 5 || len(number) < 9 && shown > min(2, len(number)/2) {
			t.Fatalf("%q shows %d digits of %d", masked, shown, len(number))
		}
		if again := billing.Mask(masked); again != masked {
			t.Fatalf("%q, masked again, is %q", masked, again)
		}
	})
}
