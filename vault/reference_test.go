package vault_test

// A second implementation of FORMAT.md, with the standard library alone: no
// line of the package, no line of Tink. It proves that the text is enough. The
// vectors are made with it, and the tests let each implementation open what
// the other one sealed.

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The verdicts of the vectors.
const (
	verdictOK           = "ok"
	verdictNotAuthentic = "not authentic"
	verdictUnknownKey   = "unknown key"
	verdictMalformed    = "malformed"
)

type refMaster struct {
	id       uint32
	wrapping []byte
}

type refSealingKey struct {
	id  uint32
	key []byte
}

type refKeys struct {
	owner   string
	sealing []refSealingKey
	primary uint32
	hashID  uint32
	hashing []byte
}

func refList(parts ...string) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "%s%s", binary.BigEndian.AppendUint64(nil, uint64(len(p))), p)
	}
	return b.Bytes()
}

func refMasterText(key []byte) string {
	sum := sha256.Sum256([]byte("perennial-master-1:" + string(key)))
	return "perennial-master-1:" + base64.URLEncoding.EncodeToString(append(bytes.Clone(key), sum[:4]...))
}

// refParseMaster reads one line. A wrong checksum and the like are tested with
// the package itself; the reference needs the good keys only.
func refParseMaster(text string) (refMaster, error) {
	b, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(text, "perennial-master-1:"))
	if err != nil || len(b) != 36 {
		return refMaster{}, errors.New("not a master key")
	}
	if refMasterText(b[:32]) != text {
		return refMaster{}, errors.New("wrong checksum or prefix")
	}
	id, err := hkdf.Key(sha256.New, b[:32], nil, "perennial-vault-1/master-id", 4)
	if err != nil {
		return refMaster{}, err
	}
	wrapping, err := hkdf.Key(sha256.New, b[:32], nil, "perennial-vault-1/master", 32)
	if err != nil {
		return refMaster{}, err
	}
	return refMaster{binary.BigEndian.Uint32(id), wrapping}, nil
}

func refGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// refEncrypt returns nonce, ciphertext and tag.
func refEncrypt(key, nonce, plain, ad []byte) []byte {
	return append(bytes.Clone(nonce), refGCM(key).Seal(nil, nonce, plain, ad)...)
}

func refDecrypt(key, b, ad []byte) ([]byte, bool) {
	if len(b) < 12+16 {
		return nil, false
	}
	plain, err := refGCM(key).Open(nil, b[:12], b[12:], ad)
	return plain, err == nil
}

func refWrap(m refMaster, nonce []byte, k refKeys) []byte {
	var sealing []byte
	sealing = pbVarint(sealing, 1, uint64(k.primary))
	for _, s := range k.sealing {
		sealing = pbBytes(sealing, 2, pbKey("AesGcmKey", pbBytes(nil, 3, s.key), s.id, 1))
	}
	var hashing []byte
	hashing = pbVarint(hashing, 1, uint64(k.hashID))
	params := pbBytes(nil, 2, pbVarint(nil, 1, 3)) // SHA256
	hashing = pbBytes(hashing, 2, pbKey("HmacPrfKey", pbBytes(params, 3, k.hashing), k.hashID, 3))
	return refWrapBytes(m, nonce, k.owner, refList(string(sealing), string(hashing)))
}

func refWrapBytes(m refMaster, nonce []byte, owner string, plain []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{1}, m.id)
	return append(b, refEncrypt(m.wrapping, nonce, plain, refList("perennial-vault-1/keys", owner))...)
}

func refUnwrap(masters []refMaster, owner string, wrapped []byte) (refKeys, string) {
	if len(wrapped) < 5 || wrapped[0] != 1 {
		return refKeys{}, verdictNotAuthentic
	}
	for _, m := range masters {
		if m.id != binary.BigEndian.Uint32(wrapped[1:]) {
			continue
		}
		plain, ok := refDecrypt(m.wrapping, wrapped[5:], refList("perennial-vault-1/keys", owner))
		if !ok {
			return refKeys{}, verdictNotAuthentic
		}
		k, err := refParseKeys(plain)
		if err != nil {
			return refKeys{}, verdictMalformed
		}
		k.owner = owner
		return k, verdictOK
	}
	return refKeys{}, verdictUnknownKey
}

func refParseKeys(plain []byte) (refKeys, error) {
	var sets [][]byte
	for len(plain) > 0 {
		if len(plain) < 8 || binary.BigEndian.Uint64(plain) > uint64(len(plain)-8) {
			return refKeys{}, errors.New("bad list")
		}
		n := 8 + binary.BigEndian.Uint64(plain)
		sets = append(sets, plain[8:n])
		plain = plain[n:]
	}
	if len(sets) != 2 {
		return refKeys{}, errors.New("not two keysets")
	}
	var k refKeys
	var err error
	k.primary, k.sealing, err = pbKeyset(sets[0], "AesGcmKey")
	if err != nil {
		return refKeys{}, err
	}
	id, hashing, err := pbKeyset(sets[1], "HmacPrfKey")
	if err != nil {
		return refKeys{}, err
	}
	k.hashID = id
	for _, h := range hashing {
		if h.id == id {
			k.hashing = h.key
		}
	}
	return k, nil
}

func (k refKeys) seal(nonce []byte, id uint32, plain, ad string) []byte {
	for _, s := range k.sealing {
		if s.id == id {
			b := binary.BigEndian.AppendUint32([]byte{1}, id)
			return append(b, refEncrypt(s.key, nonce, []byte(plain), refList("perennial-vault-1/sealed", k.owner, ad))...)
		}
	}
	panic("no such key")
}

func (k refKeys) open(sealed []byte, ad string) (string, string) {
	if len(sealed) < 33 || sealed[0] != 1 {
		return "", verdictNotAuthentic
	}
	for _, s := range k.sealing {
		if s.id == binary.BigEndian.Uint32(sealed[1:]) {
			plain, ok := refDecrypt(s.key, sealed[5:], refList("perennial-vault-1/sealed", k.owner, ad))
			if !ok {
				return "", verdictNotAuthentic
			}
			return string(plain), verdictOK
		}
	}
	return "", verdictUnknownKey
}

func (k refKeys) fingerprint(number string) []byte {
	return k.hash(refList("perennial-vault-1/fingerprint", number))
}

func (k refKeys) digest(purpose string, parts ...string) []byte {
	return k.hash(refList(append([]string{"perennial-vault-1/digest", purpose}, parts...)...))
}

func (k refKeys) hash(in []byte) []byte {
	h := hmac.New(sha256.New, k.hashing)
	h.Write(in)
	return h.Sum(nil)
}

// Protocol buffers, as far as a Tink keyset needs them.

func pbVarint(b []byte, field int, v uint64) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3)
	return binary.AppendUvarint(b, v)
}

func pbBytes(b []byte, field int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

// pbKey is one key of a keyset: key_data, status ENABLED, key_id, output
// prefix (1 TINK, 3 RAW).
func pbKey(kind string, value []byte, id uint32, prefix uint64) []byte {
	data := pbBytes(nil, 1, []byte("type.googleapis.com/google.crypto.tink."+kind))
	data = pbBytes(data, 2, value)
	data = pbVarint(data, 3, 1) // SYMMETRIC
	b := pbBytes(nil, 1, data)
	b = pbVarint(b, 2, 1) // ENABLED
	b = pbVarint(b, 3, uint64(id))
	return pbVarint(b, 4, prefix)
}

type pbField struct {
	number uint64
	value  uint64
	bytes  []byte
}

func pbFields(b []byte) ([]pbField, error) {
	var fields []pbField
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errors.New("bad tag")
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errors.New("bad varint")
		}
		b = b[n:]
		f := pbField{number: tag >> 3, value: v}
		switch tag & 7 {
		case 0:
		case 2:
			if v > uint64(len(b)) {
				return nil, errors.New("bad length")
			}
			f.bytes, b = b[:v], b[v:]
		default:
			return nil, errors.New("wire type that no keyset has")
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func pbKeyset(b []byte, kind string) (primary uint32, keys []refSealingKey, err error) {
	fields, err := pbFields(b)
	if err != nil {
		return 0, nil, err
	}
	for _, f := range fields {
		switch f.number {
		case 1:
			primary = uint32(f.value)
		case 2:
			k, err := pbParseKey(f.bytes, kind)
			if err != nil {
				return 0, nil, err
			}
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return 0, nil, errors.New("no key")
	}
	return primary, keys, nil
}

func pbParseKey(b []byte, kind string) (refSealingKey, error) {
	fields, err := pbFields(b)
	if err != nil {
		return refSealingKey{}, err
	}
	var k refSealingKey
	for _, f := range fields {
		switch f.number {
		case 3:
			k.id = uint32(f.value)
		case 1:
			data, err := pbFields(f.bytes)
			if err != nil {
				return refSealingKey{}, err
			}
			for _, d := range data {
				if d.number == 1 && !strings.HasSuffix(string(d.bytes), "."+kind) {
					return refSealingKey{}, errors.New("another kind of key")
				}
				if d.number != 2 {
					continue
				}
				value, err := pbFields(d.bytes)
				if err != nil {
					return refSealingKey{}, err
				}
				for _, v := range value {
					if v.number == 3 {
						k.key = v.bytes
					}
				}
			}
		}
	}
	if len(k.key) != 32 {
		return refSealingKey{}, errors.New("not a key of 256 bits")
	}
	return k, nil
}
