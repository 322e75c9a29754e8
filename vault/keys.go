package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// What a sealed value adds to its plain text: tag of the format, key id,
// nonce, authentication tag.
const (
	sealedTag      = 1 // Tink's own output prefix begins with it
	sealedOverhead = 1 + 4 + 12 + 16
)

// hashSize is the length in bytes of a fingerprint and of a digest.
const hashSize = 32

// Keys are the keys of one owner, unwrapped. They are safe for concurrent use
// and never change: after a rotation [Vault.Keys] makes others. Printed or
// logged in any way they show the owner and the id of the sealing key.
type Keys struct {
	*keys // see Vault
}

type keys struct {
	owner   string
	ids     map[uint32]bool // of all sealing keys
	primary uint32          // the one that seals
	aead    tink.AEAD
	prf     prf.PRF
}

func newKeys(owner string, h handles) (*Keys, error) {
	k := &keys{owner: owner, ids: make(map[uint32]bool)}
	for i := range h.sealing.Len() {
		e, err := h.sealing.Entry(i)
		if err != nil {
			return nil, err
		}
		if e.KeyStatus() == keyset.Enabled {
			k.ids[e.KeyID()] = true
		}
		if e.IsPrimary() {
			k.primary = e.KeyID()
		}
	}
	var err error
	k.aead, err = aead.New(h.sealing)
	if err != nil {
		return nil, err
	}
	set, err := prf.NewPRFSet(h.hashing)
	if err != nil {
		return nil, err
	}
	k.prf = set.PRFs[set.PrimaryID]
	return &Keys{k}, nil
}

// Seal encrypts plain. The result is 33 bytes longer, differs each time, and
// opens only with the same ad and under the same owner's keys. The associated
// data ad says what the value belongs to ("payment-method/7"); it is not part
// of the result and not secret. It must not be empty: a value that belongs to
// nothing could be moved anywhere.
//
// One key must seal fewer than 2^32 values (NIST SP 800-38D, 8.3: the nonces
// are random); [Vault.Rotate] long before that.
func (k *Keys) Seal(plain []byte, ad string) ([]byte, error) {
	if ad == "" {
		return nil, errors.New("vault: seal: no associated data")
	}
	sealed, err := k.aead.Encrypt(plain, k.sealContext(ad))
	if err != nil {
		return nil, fmt.Errorf("vault: seal: %w", err)
	}
	return sealed, nil
}

// Open returns what was sealed. The error is [ErrUnknownKey] if none of these
// keys sealed it, and [ErrNotAuthentic] if it was altered or cut off, or if ad
// is another one; never a part of the value.
func (k *Keys) Open(sealed []byte, ad string) ([]byte, error) {
	if len(sealed) < sealedOverhead || sealed[0] != sealedTag {
		return nil, fmt.Errorf("vault: open: not a sealed value: %w", ErrNotAuthentic)
	}
	id := binary.BigEndian.Uint32(sealed[1:5])
	if !k.ids[id] {
		return nil, fmt.Errorf("vault: open: sealed by key %08x: %w", id, ErrUnknownKey)
	}
	plain, err := k.aead.Decrypt(sealed, k.sealContext(ad))
	if err != nil {
		// Tink's own error says no more, and that not in our words.
		return nil, fmt.Errorf("vault: open: %w", ErrNotAuthentic)
	}
	return plain, nil
}

// Fingerprint returns 32 bytes that are always the same for one number and one
// owner, also after a rotation, and tell nothing to who has no key. Give the
// number in one form only (digits, no spaces), and a bank account with its
// routing number ("routing/account"): here every different text is a different
// number. An empty number has no fingerprint but nil, lest all missing numbers
// look like the same card.
func (k *Keys) Fingerprint(number string) []byte {
	if number == "" {
		return nil
	}
	return k.hash(appendPart(begin(contextFingerprint), number))
}

// Digest returns a keyed hash of 32 bytes of the parts, always the same for
// one owner, also after a rotation. Where one part ends and the next begins
// counts, and so does the purpose ("idempotency", "api-key"): digests for one
// purpose cannot be mistaken for those for another, nor for a fingerprint.
// Never give it a card's security code: a hash of three digits can be stored
// no more than the digits.
func (k *Keys) Digest(purpose string, parts ...[]byte) []byte {
	in := appendPart(begin(contextDigest), purpose)
	for _, p := range parts {
		in = appendPart(in, p)
	}
	return k.hash(in)
}

func (k *Keys) hash(in []byte) []byte {
	sum, err := k.prf.ComputePRF(in, hashSize)
	if err != nil {
		// HMAC-SHA-256 fails only when asked for more than 32 bytes.
		panic("vault: internal error: " + err.Error())
	}
	return sum
}

func (k *Keys) sealContext(ad string) []byte {
	return appendPart(appendPart(begin(contextSealed), k.owner), ad)
}

// String names the keys by their owner and the id of the key that seals.
func (k Keys) String() string {
	if k.keys == nil {
		return "vault.Keys(empty)"
	}
	return fmt.Sprintf("vault.Keys(%q, key %08x)", k.owner, k.primary)
}

// Format prints the String for every verb; without it %d or %x would walk
// through the fields.
func (k Keys) Format(f fmt.State, _ rune) {
	io.WriteString(f, k.String()) //nolint:errcheck // a fmt.State keeps the error of its writer
}

// LogValue logs the String.
func (k Keys) LogValue() slog.Value {
	return slog.StringValue(k.String())
}
