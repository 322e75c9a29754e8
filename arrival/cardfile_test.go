package arrival_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/arrival"
	"github.com/perennial-billing/perennial/vault"
)

// canary is a card number that must be seen nowhere.
const canary = "4111111111111111"

const someCards = `{"subscriptionId":"0112142105000024275","type":"visa-credit","number":"4111111111111111","expiry":"0430"}

{"subscriptionId":"112142105000024276","type":"checking","number":"4099999992","routing":"021000021"}
`

func newVault(t *testing.T) *vault.Vault {
	t.Helper()
	key, err := vault.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t *testing.T, v *vault.Vault, text string) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := arrival.SealCards(v, strings.NewReader(text), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func open(v *vault.Vault, sealed string) (lines []string, err error) {
	err = arrival.OpenCards(v, strings.NewReader(sealed), func(c arrival.Card) error {
		lines = append(lines, fmt.Sprintf("%s %s %s %s%s", c.Subscription, c.Instrument, c.Number.Reveal(), c.Expiry, c.Routing))
		return nil
	})
	return lines, err
}

// TestCardFile seals cards and opens them again. What is sealed tells nothing.
func TestCardFile(t *testing.T) {
	v := newVault(t)
	sealed := seal(t, v, someCards)
	for _, secret := range []string{canary, "4099999992", "24275", "0430", "visa"} {
		if strings.Contains(sealed, secret) {
			t.Errorf("the sealed file holds %s", secret)
		}
	}
	lines := strings.Split(strings.TrimSpace(sealed), "\n")
	if len(lines) != 4 || len(lines[1]) != len(lines[2]) {
		t.Errorf("%d lines, the cards' of %d and %d bytes", len(lines), len(lines[1]), len(lines[2]))
	}
	got, err := open(v, sealed)
	want := "112142105000024275 visa-credit 4111111111111111 0430; 112142105000024276 checking 4099999992 021000021"
	if err != nil || strings.Join(got, "; ") != want {
		t.Errorf("opened as %s, %v", strings.Join(got, "; "), err)
	}
	if got, err := open(v, seal(t, v, "")); err != nil || len(got) != 0 {
		t.Errorf("an empty file: %v, %v", got, err)
	}
}

// TestCardFileIsTamperProof changes a sealed file in each way that a thief or an
// accident may.
func TestCardFileIsTamperProof(t *testing.T) {
	v := newVault(t)
	sealed := seal(t, v, someCards)
	l := strings.SplitAfter(sealed, "\n")
	other := strings.SplitAfter(seal(t, v, someCards), "\n")
	for name, text := range map[string]string{
		"no end":            l[0] + l[1] + l[2],
		"a card left out":   l[0] + l[1] + l[3],
		"cards exchanged":   l[0] + l[2] + l[1] + l[3],
		"a card twice":      l[0] + l[1] + l[1] + l[3],
		"of another file":   l[0] + other[1] + l[2] + l[3],
		"more after it":     sealed + l[1],
		"altered":           l[0] + l[1][:20] + "A" + l[1][21:] + l[2] + l[3],
		"not base64":        l[0] + "!" + l[1][1:] + l[2] + l[3],
		"no head":           l[1] + l[2] + l[3],
		"another head":      other[0] + l[1] + l[2] + l[3],
		"empty":             "",
		"cards in the open": someCards,
		"a long line":       l[0] + strings.Repeat("A", 1<<20) + "\n",
	} {
		if text == sealed {
			t.Errorf("%s: nothing was changed", name)
		}
		_, err := open(v, text)
		if err == nil {
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error has a card number", name)
		}
	}
	if _, err := open(newVault(t), sealed); err == nil {
		t.Error("another master key opens it")
	}
}

// TestWrongCards refuses what is no card, and does not say what stands there.
func TestWrongCards(t *testing.T) {
	for text, want := range map[string]string{
		`{"subscriptionId":"1","type":"visa-credit","number":"4111111111111112","expiry":"0430"}`:                             "number: is not a valid number of this type",
		`{"subscriptionId":"1","type":"visa-credit","number":"4111111111111111","expiry":"1330"}`:                             "expiry: must be month and year as MMYY",
		`{"subscriptionId":"1","type":"4111111111111111","number":"4111111111111111","expiry":"0430"}`:                        "type: must be a card",
		`{"subscriptionId":"4111111111111111x","type":"visa-credit","number":"4111111111111111","expiry":"0430"}`:             "subscriptionId: must be up to 20 digits",
		`{"subscriptionId":"1","type":"savings","number":"12345","routing":"4111111111111111"}`:                               "routing: must be 6 to 9 digits",
		`{"subscriptionId":"1","type":"savings","number":"12345","routing":"021000021","expiry":"0430"}`:                      "routing: must be 6 to 9 digits, and expiry absent",
		`{"subscriptionId":"1","type":"visa-credit","number":4111111111111111,"expiry":"0430"}`:                               "must be one JSON object",
		`{"subscriptionId":"1","type":"visa-credit","number":"4111111111111111","expiry":"0430","cvv4111111111111111":"123"}`: "must be one JSON object",
		`{"subscriptionId":"1","type":"visa-credit","number":"4111111111111111","expiry":"0430"} {"a":"4111111111111111"}`:    "must be one JSON object",
		`4111111111111111`: "must be one JSON object",
		`{"subscriptionId":"1","type":"visa-credit","number":"4111111111111111` + strings.Repeat(" ", 5000) + `","expiry":"0430"}`: "longer than 4096 bytes",
	} {
		var b bytes.Buffer
		_, err := arrival.SealCards(newVault(t), strings.NewReader("\n"+text), &b)
		switch {
		case err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), want):
			t.Errorf("got %v, want line 2 and %s", err, want)
		case strings.Contains(err.Error(), canary) || strings.Contains(b.String(), canary):
			t.Errorf("the number is told: %v", err)
		}
	}
}
