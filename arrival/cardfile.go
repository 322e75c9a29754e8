package arrival

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/vault"
)

// A sealed card file is text. Its first line says what it is and has data keys of
// the file's own, wrapped by the master key under the file's name. Each line
// after it is one card, sealed for its place in the file, and the last one seals
// their number. So nothing can be read without the master key, and no line can be
// altered, moved, left out or brought in from another file.
const cardFileFormat = "perennial-cards-1"

type cardFileHead struct {
	Format string `json:"format"`
	Name   string `json:"name"` // 32 hexadecimal digits by chance
	Keys   []byte `json:"keys"`
}

// maxCardLine bounds a line of a card file, in bytes.
const maxCardLine = 4096

// padTo is the multiple to which lines are filled up before they are sealed, so
// that their length does not tell one kind of card from another.
const padTo = 256

// Card is what a card file says of one subscription's card or bank account.
type Card struct {
	Subscription string // the number of the subscription that it pays
	Instrument   billing.Instrument
	Number       billing.Secret
	Expiry       string // MMYY, cards
	Routing      string // bank accounts
}

// cardLine is a card as it is written. Its fields are never shown.
type cardLine struct {
	Subscription string `json:"subscriptionId"`
	Type         string `json:"type"`
	Number       string `json:"number"`
	Expiry       string `json:"expiry"`
	Routing      string `json:"routing"`
}

// SealCards reads cards in the clear, a JSON object a line, and writes them
// sealed under v's master key. It refuses the whole of a file that has a line
// that is no card, naming the line and the field, and never what stands there.
func SealCards(v *vault.Vault, plain io.Reader, sealed io.Writer) (count int, err error) {
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		return 0, fmt.Errorf("arrival: seal cards: %w", err)
	}
	head := cardFileHead{Format: cardFileFormat, Name: hex.EncodeToString(name)}
	if head.Keys, err = v.NewKeys(head.owner()); err != nil {
		return 0, err
	}
	keys, err := v.Keys(head.owner(), head.Keys)
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(head)
	if err != nil {
		return 0, fmt.Errorf("arrival: seal cards: %w", err)
	}
	out := bufio.NewWriter(sealed)
	if _, err := out.Write(append(text, '\n')); err != nil {
		return 0, fmt.Errorf("arrival: seal cards: %w", err)
	}
	put := func(plain []byte, place string) error {
		b, err := keys.Seal(plain, place)
		if err != nil {
			return err
		}
		_, err = out.WriteString(base64.StdEncoding.EncodeToString(b) + "\n")
		return err
	}
	line := 0
	err = eachLine(plain, maxCardLine, func(number int, text []byte) error {
		if len(bytes.TrimSpace(text)) == 0 {
			return nil
		}
		if _, err := parseCard(text); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		line = number
		count++
		padded := append(bytes.Clone(text), bytes.Repeat([]byte{' '}, (padTo-len(text)%padTo)%padTo)...)
		return put(padded, cardPlace(count))
	})
	if err == nil {
		err = put([]byte(strconv.Itoa(count)), endPlace)
	}
	if err != nil {
		return 0, fmt.Errorf("arrival: seal cards: after line %d: %w", line, err)
	}
	return count, out.Flush()
}

func (h cardFileHead) owner() string { return "card-file/" + h.Name }

// cardPlace is what the n-th card of a file is sealed for.
func cardPlace(n int) string { return "card/" + strconv.Itoa(n) }

// endPlace is what the number of cards is sealed for.
const endPlace = "end"

// OpenCards reads a sealed card file and calls see for each card, in order. The
// error tells what is wrong with the file and the line, without what stands in
// it. A file that ends early is an error, after the cards that it has.
func OpenCards(v *vault.Vault, sealed io.Reader, see func(Card) error) error {
	var keys *vault.Keys
	count, ended := 0, false
	err := eachLine(sealed, 4*maxCardLine, func(number int, text []byte) error {
		if ended {
			return fmt.Errorf("line %d: comes after the end", number)
		}
		if keys == nil {
			var err error
			keys, err = openHead(v, text)
			return err
		}
		b, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return fmt.Errorf("line %d: is not base64", number)
		}
		plain, err := keys.Open(b, cardPlace(count+1))
		if errors.Is(err, vault.ErrNotAuthentic) {
			end, endErr := keys.Open(b, endPlace)
			if endErr == nil && string(end) == strconv.Itoa(count) {
				ended = true
				return nil
			}
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		c, err := parseCard(plain)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		count++
		return see(c)
	})
	if err == nil && !ended {
		err = errors.New("the file ends early: a part is missing")
	}
	if err != nil {
		return fmt.Errorf("arrival: the card file: %w", err)
	}
	return nil
}

func openHead(v *vault.Vault, text []byte) (*vault.Keys, error) {
	var head cardFileHead
	if err := json.Unmarshal(text, &head); err != nil || head.Format != cardFileFormat {
		return nil, fmt.Errorf("it does not begin as a sealed card file does (%s); seal cards with perennial import seal", cardFileFormat)
	}
	return v.Keys(head.owner(), head.Keys)
}

// parseCard reads a card. Its errors name a field and hold no value.
func parseCard(text []byte) (Card, error) {
	var l cardLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || d.More() {
		// The decoder's words may quote what stands there.
		return Card{}, errors.New("must be one JSON object with the keys subscriptionId, type, number and expiry or routing, all texts")
	}
	c := Card{Subscription: strings.TrimLeft(l.Subscription, "0"), Instrument: billing.Instrument(l.Type), Number: billing.NewSecret(l.Number),
		Expiry: l.Expiry, Routing: l.Routing}
	switch {
	case !isNumber(l.Subscription):
		return Card{}, errors.New("subscriptionId: must be up to 20 digits")
	case !c.Instrument.IsCard() && !c.Instrument.IsBank():
		return Card{}, errors.New("type: must be a card such as visa-credit, or checking or savings")
	case !c.Instrument.CheckNumber(l.Number):
		return Card{}, errors.New("number: is not a valid number of this type")
	case c.Instrument.IsCard() && (!billing.CheckExpiry(l.Expiry) || l.Routing != ""):
		return Card{}, errors.New("expiry: must be month and year as MMYY, and routing absent")
	case c.Instrument.IsBank() && (!isDigits(l.Routing, 6, 9) || l.Expiry != ""):
		return Card{}, errors.New("routing: must be 6 to 9 digits, and expiry absent")
	}
	return c, nil
}

// isNumber reports whether s can be the number of a subscription.
func isNumber(s string) bool { return isDigits(s, 1, 20) && strings.Trim(s, "0") != "" }

func isDigits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// eachLine calls see for each line, without its end. A line beyond most bytes is
// an error.
func eachLine(r io.Reader, most int, see func(number int, text []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), most)
	number := 0
	for lines.Scan() {
		number++
		if err := see(number, lines.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", number+1, most)
	}
	return lines.Err()
}
