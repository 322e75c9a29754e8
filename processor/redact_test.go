package processor

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestRedactText(t *testing.T) {
	const longer = "6011000991001201"
	tests := []struct{ number, in, want string }{
		{number, "approved 123456", "approved 123456"},
		{number, number, "•••"},
		{number, "x" + number + "y", "x•••y"},
		{number, "99" + number + "99", "•••"},
		{number, "4111-1111-1111-1111 is bad", "••• is bad"},
		{number, "4111/1111.1111_1111", "•••"},
		{"4099999992", "account 4099999992 closed", "account ••• closed"},
		{"1234", "account 1234", "account •••"},
		{"", "another card " + longer, "another card •••"},
		{"", "another card 6011 0009 9100 1201 12 27", "another card ••• 12 27"},
		{"", "order 7, card 6011 0009 9100 1201", "order 7, card •••"},
		{"", "at 2026-03-01 12:00:00", "at 2026-03-01 12:00:00"},
		{"", "id 6011000991001202", "id 6011000991001202"}, // its check digit is wrong
		{number, "٤١١١", "####"},
		{number, "four\u200b1\u200b1", "four 1 1"},
	}
	for _, tt := range tests {
		if got := (redactor{number: tt.number}).text(tt.in, 200); got != tt.want {
			t.Errorf("text(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// Whatever surrounds the number and however it is split, its digits do not come
// through, and the result is short and valid.
func TestRedactTextNeverTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[0-9]{8,19}`).Draw(t, "number")
		var b strings.Builder
		b.WriteString(rapid.String().Draw(t, "before"))
		for i, c := range digits {
			if i > 0 {
				b.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "-", ".", "/", "\t"}).Draw(t, "between"))
			}
			b.WriteRune(c)
		}
		b.WriteString(rapid.String().Draw(t, "after"))
		got := (redactor{number: digits}).text(b.String(), 200)
		if strings.Contains(strip(got), digits) {
			t.Fatalf("%q tells the number", got)
		}
		if len(got) > 200 || !utf8.ValidString(got) {
			t.Fatalf("%q is too long or broken", got)
		}
	})
}
