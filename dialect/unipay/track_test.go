package unipay

import (
	"strings"
	"testing"
)

func TestReadTrack(t *testing.T) {
	const number = "4111111111111111"
	smith := track{number: number, expiry: "1230", holder: "JOHN SMITH"}
	bare := track{number: number, expiry: "1230"}
	tests := []struct {
		name, data string
		want       track
	}{
		{"track 1", "%B" + number + "^SMITH/JOHN^30121010000000000?", smith},
		{"with a check character", "%B" + number + "^SMITH/JOHN^30121010000000000?;", smith},
		{"without sentinels", "B" + number + "^SMITH/JOHN^3012101", smith},
		{"with title and blanks", "%B" + number + "^SMITH/JOHN.MR        ^3012101?", smith},
		{"name without surname mark", "%B" + number + "^GIFT CARD^3012101?", track{number: number, expiry: "1230", holder: "GIFT CARD"}},
		{"no name", "%B" + number + "^ /^3012101?", bare},
		{"a name that is none", "%B" + number + "^<SCRIPT>^3012101?", bare},
		{"track 2", ";" + number + "=30121010000000000?", bare},
		{"track 2 without sentinels", number + "=3012101", bare},
		{"track 2, no more than it must have", number + "=3012", bare},
		{"chip", number + "D30121010000000000F", bare},
		{"chip of even length", number + "D3012101000000000", bare},
		{"both", "%B" + number + "^SMITH/JOHN^3012101?;" + number + "=3012101?", smith},
		{"both, with check characters", " %B" + number + "^SMITH/JOHN^3012101?7;" + number + "=3012101?4 ", smith},

		{"nothing", "", track{}},
		{"a number alone", number, track{}},
		{"track 1 without expiry", "%B" + number + "^SMITH/JOHN^^101?", track{}},
		{"track 1 cut off", "%B" + number + "^SMITH/JOHN?", track{}},
		{"track 2 without expiry", ";" + number + "==101?", track{}},
		{"track 2 cut off", ";" + number + "=301", track{}},
		{"letters in the number", ";4111X11111111111=3012101?", track{}},
		{"no number", ";=3012101?", track{}},
		{"a number too long", ";" + strings.Repeat("4", 20) + "=3012101?", track{}},
		{"letters behind the expiry", ";" + number + "=3012XYZ?", track{}},
		{"too much behind the expiry", ";" + number + "=3012" + strings.Repeat("0", 40), track{}},
		{"another format", "%A" + number + "^SMITH/JOHN^3012101?", track{}},
		{"tracks of two cards", "%B" + number + "^SMITH/JOHN^3012101?;5499740000000057=3012101?", track{}},
		{"two expiries", "%B" + number + "^SMITH/JOHN^3012101?;" + number + "=3112101?", track{}},
		{"encrypted", "02F800801F4523008383252A4111********1111^TEST/BLACK CARD^2512201************?*", track{}},
	}
	for _, tt := range tests {
		got, ok := readTrack(tt.data)
		if !ok {
			got = track{}
		}
		if got != tt.want {
			t.Errorf("%s: got expiry %q, holder %q, %d digits", tt.name, got.expiry, got.holder, len(got.number))
		}
	}
}

// FuzzReadTrack: whatever is read has the form that a charge needs.
func FuzzReadTrack(f *testing.F) {
	f.Add("%B4111111111111111^SMITH/JOHN^3012101?;4111111111111111=3012101?")
	f.Add("371449635392376D3012101000000000F")
	f.Fuzz(func(t *testing.T, data string) {
		got, ok := readTrack(data)
		if ok && (!digitText.fits(got.number, 19) || !digitText.fits(got.expiry, 4) || len(got.expiry) != 4) {
			t.Errorf("read %+v", got)
		}
	})
}
