package vault_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	testCard = "4111111111111111"
	testAD   = "payment-method/7"
)

// vectorMaker makes vectors with the reference implementation.
type vectorMaker struct {
	vectors
	masters map[string]refMaster
	sets    map[string]refKeys
	blobs   map[string][]byte
}

func makeVectors() vectors {
	m := &vectorMaker{
		masters: map[string]refMaster{},
		sets:    map[string]refKeys{},
		blobs:   map[string][]byte{},
	}
	m.About = []string{
		"Test vectors for FORMAT.md, made by the reference implementation in reference_test.go.",
		"Bytes are hexadecimal; master keys, owners, associated data, plain values, numbers and parts are text.",
		"No key here protects anything; the card numbers are the public test numbers of the card schemes.",
		"Verdict 'not authentic': altered, cut off, or sealed for something else. 'unknown key': the key that it names is not there. 'malformed': authentic, but not two keysets.",
	}
	m.makeMasterKeys()
	m.makeWrappedKeys()
	m.makeSealed()
	m.makeHashes()
	return m.vectors
}

func (m *vectorMaker) makeMasterKeys() {
	for _, name := range []string{"a", "b"} {
		text := refMasterText(seeded("master key " + name))
		ref, err := refParseMaster(text)
		if err != nil {
			panic(err)
		}
		m.masters[name] = ref
		m.MasterKeys = append(m.MasterKeys, masterVector{
			Name: name, Text: text, Verdict: verdictOK,
			ID: fmt.Sprintf("%08x", ref.id), WrappingKey: hex.EncodeToString(ref.wrapping),
		})
	}
	good := m.MasterKeys[0].Text
	bad := func(name, verdict, text string) {
		m.MasterKeys = append(m.MasterKeys, masterVector{Name: name, Text: text, Verdict: verdict})
	}
	bad("no prefix", "wrong prefix", strings.TrimPrefix(good, "perennial-master-1:"))
	bad("a later version", "wrong prefix", strings.Replace(good, "-1:", "-2:", 1))
	bad("prefix in capitals", "wrong prefix", strings.Replace(good, "perennial", "PERENNIAL", 1))
	bad("last character missing", "wrong length", good[:len(good)-1])
	bad("one character too many", "wrong length", good+"A")
	bad("prefix alone", "wrong length", "perennial-master-1:")
	bad("padding", "wrong alphabet", good[:len(good)-1]+"=")
	bad("the other base64 alphabet", "wrong alphabet", good[:30]+"+"+good[31:])
	other := byte('A')
	if good[30] == other {
		other = 'B'
	}
	bad("one letter mistyped", "wrong checksum", good[:30]+string(other)+good[31:])
	bad("the same key twice", "repeated", good+"\n"+good)
	bad("a good key and a bad one", "wrong prefix", good+"\nhunter2")
	bad("empty", "none", "")
	bad("only notes", "none", "# made on a Monday\n\n")
}

func (m *vectorMaker) wrapped(name string, masters []string, owner string, blob []byte, verdict string) {
	v := wrappedVector{Name: name, MasterKeys: masters, Owner: owner, Wrapped: hex.EncodeToString(blob), Verdict: verdict}
	if verdict == verdictOK {
		k := m.sets[name]
		for _, s := range k.sealing {
			v.SealingKeys = append(v.SealingKeys, keyVector{fmt.Sprintf("%08x", s.id), hex.EncodeToString(s.key)})
		}
		v.Primary = fmt.Sprintf("%08x", k.primary)
		v.HashingKey = hex.EncodeToString(k.hashing)
	}
	m.WrappedKeys = append(m.WrappedKeys, v)
}

func (m *vectorMaker) makeWrappedKeys() {
	a := []string{"a"}
	set := func(name, master string, masters []string, k refKeys) {
		m.sets[name] = k
		m.blobs[name] = refWrap(m.masters[master], seeded("nonce of keys " + name)[:12], k)
		m.wrapped(name, masters, k.owner, m.blobs[name], verdictOK)
	}
	one := refKeys{
		owner:   "merchant/1",
		sealing: []refSealingKey{{0x0a0b0c0d, seeded("sealing key 1")}},
		primary: 0x0a0b0c0d,
		hashID:  0x01020304,
		hashing: seeded("hashing key 1"),
	}
	rotated := one
	rotated.sealing = append(slices.Clone(one.sealing), refSealingKey{0xfffffffe, seeded("sealing key 2")})
	rotated.primary = 0xfffffffe
	twin := one
	twin.owner = "merchant/2"
	other := refKeys{
		owner:   "merchant/2",
		sealing: []refSealingKey{{0x00000001, seeded("sealing key 3")}},
		primary: 0x00000001,
		hashID:  0x00000002,
		hashing: seeded("hashing key 3"),
	}
	set("merchant 1", "a", a, one)
	set("merchant 1 rotated", "a", a, rotated)
	set("merchant 1 under master key b", "b", []string{"b"}, one)
	set("merchant 1, new master key first", "a", []string{"b", "a"}, one)
	set("merchant 2", "a", a, other)
	set("merchant 2 with the key of merchant 1", "a", a, twin)

	good := m.blobs["merchant 1"]
	m.wrapped("of another owner", a, "merchant/2", good, verdictNotAuthentic)
	m.wrapped("of an owner with the same first letters", a, "merchant/1x", good, verdictNotAuthentic)
	m.wrapped("other master key", []string{"b"}, "merchant/1", good, verdictUnknownKey)
	m.wrapped("names the wrong one of two master keys", []string{"a", "b"}, "merchant/1",
		slices.Concat(good[:1], m.blobs["merchant 1 under master key b"][1:5], good[5:]), verdictNotAuthentic)
	m.wrapped("a later version", a, "merchant/1", flip(good, 0, 0x03), verdictNotAuthentic)
	m.wrapped("flipped bit in the id", a, "merchant/1", flip(good, 4, 0x01), verdictUnknownKey)
	m.wrapped("flipped bit in the nonce", a, "merchant/1", flip(good, 5, 0x80), verdictNotAuthentic)
	m.wrapped("flipped bit in the keysets", a, "merchant/1", flip(good, 60, 0x10), verdictNotAuthentic)
	m.wrapped("flipped bit in the tag", a, "merchant/1", flip(good, len(good)-1, 0x01), verdictNotAuthentic)
	m.wrapped("last byte missing", a, "merchant/1", good[:len(good)-1], verdictNotAuthentic)
	m.wrapped("one byte too many", a, "merchant/1", append(bytes.Clone(good), 0), verdictNotAuthentic)
	m.wrapped("header alone", a, "merchant/1", good[:5], verdictNotAuthentic)
	m.wrapped("shorter than the header", a, "merchant/1", good[:4], verdictNotAuthentic)
	m.wrapped("empty", a, "merchant/1", nil, verdictNotAuthentic)

	plain, _ := refDecrypt(m.masters["a"].wrapping, good[5:], refList("perennial-vault-1/keys", "merchant/1"))
	malformed := func(name string, b []byte) {
		m.wrapped(name, a, "merchant/1", refWrapBytes(m.masters["a"], seeded("nonce " + name)[:12], "merchant/1", b), verdictMalformed)
	}
	malformed("nothing inside", nil)
	malformed("one keyset", plain[:8+uint64(plain[7])])
	malformed("three keysets", append(bytes.Clone(plain), plain[:8+uint64(plain[7])]...))
	malformed("a keyset longer than the rest", plain[:len(plain)-1])
	malformed("a length of 2^64-1", bytes.Repeat([]byte{0xff}, 8))
	malformed("an empty keyset", refList("", ""))
	malformed("a keyset that is none", refList("hello", "hello"))
}

func (m *vectorMaker) makeSealed() {
	seal := func(keys string, id uint32, name, plain, ad string) []byte {
		return m.sets[keys].seal(seeded("nonce of " + name)[:12], id, plain, ad)
	}
	add := func(name, keys, ad string, sealed []byte, verdict, plain string) {
		m.Sealed = append(m.Sealed, sealedVector{name, keys, ad, hex.EncodeToString(sealed), verdict, plain})
	}
	bad := func(name, keys, ad string, sealed []byte, verdict string) { add(name, keys, ad, sealed, verdict, "") }
	const k1 = "merchant 1"
	good := seal(k1, 0x0a0b0c0d, "card", testCard, testAD)
	young := seal("merchant 1 rotated", 0xfffffffe, "card, new key", testCard, testAD)
	bank := "routing=021000021 account=000123456789"

	add("card", k1, testAD, good, verdictOK, testCard)
	add("bank account", k1, "payment-method/8", seal(k1, 0x0a0b0c0d, "bank", bank, "payment-method/8"), verdictOK, bank)
	add("nothing", k1, testAD, seal(k1, 0x0a0b0c0d, "nothing", "", testAD), verdictOK, "")
	add("old key after a rotation", "merchant 1 rotated", testAD, good, verdictOK, testCard)
	add("new key after a rotation", "merchant 1 rotated", testAD, young, verdictOK, testCard)
	add("keys under another master key", "merchant 1 under master key b", testAD, good, verdictOK, testCard)

	bad("wrong associated data", k1, "payment-method/8", good, verdictNotAuthentic)
	bad("associated data cut off", k1, testAD[:len(testAD)-1], good, verdictNotAuthentic)
	bad("no associated data", k1, "", good, verdictNotAuthentic)
	bad("wrong owner", "merchant 2", testAD, good, verdictUnknownKey)
	bad("wrong owner with the same key", "merchant 2 with the key of merchant 1", testAD, good, verdictNotAuthentic)
	bad("unknown key id", k1, testAD, young, verdictUnknownKey)
	bad("the id of another key of the owner", "merchant 1 rotated", testAD, slices.Concat(young[:5], good[5:]), verdictNotAuthentic)
	bad("flipped bit in the first byte", k1, testAD, flip(good, 0, 0x01), verdictNotAuthentic)
	bad("flipped bit in the key id", k1, testAD, flip(good, 4, 0x01), verdictUnknownKey)
	bad("flipped bit in the nonce", k1, testAD, flip(good, 5, 0x01), verdictNotAuthentic)
	bad("flipped bit in the number", k1, testAD, flip(good, 17, 0x01), verdictNotAuthentic)
	bad("flipped bit in the tag", k1, testAD, flip(good, len(good)-1, 0x80), verdictNotAuthentic)
	bad("last byte missing", k1, testAD, good[:len(good)-1], verdictNotAuthentic)
	bad("shorter than any sealed value", k1, testAD, good[:32], verdictNotAuthentic)
	bad("key id alone", k1, testAD, good[:5], verdictNotAuthentic)
	bad("one byte too many", k1, testAD, append(bytes.Clone(good), 0), verdictNotAuthentic)
	bad("empty", k1, testAD, nil, verdictNotAuthentic)
	bad("not sealed at all", k1, testAD, []byte("4111111111111111 4111111111111111"), verdictNotAuthentic)
}

func (m *vectorMaker) makeHashes() {
	for _, f := range []struct{ name, keys, number string }{
		{"card", "merchant 1", testCard},
		{"the same card after a rotation", "merchant 1 rotated", testCard},
		{"the same card under another master key", "merchant 1 under master key b", testCard},
		{"the same card at another merchant", "merchant 2", testCard},
		{"another card", "merchant 1", "5555555555554444"},
		{"bank account", "merchant 1", "021000021/000123456789"},
	} {
		sum := m.sets[f.keys].fingerprint(f.number)
		m.Fingerprints = append(m.Fingerprints, fingerprintVector{f.name, f.keys, f.number, hex.EncodeToString(sum)})
	}
	for _, d := range []struct {
		name, keys, purpose string
		parts               []string
	}{
		{"request", "merchant 1", "idempotency", []string{"POST", "/v1/payments", `{"amount":500}`}},
		{"request after a rotation", "merchant 1 rotated", "idempotency", []string{"POST", "/v1/payments", `{"amount":500}`}},
		{"the same bytes cut elsewhere", "merchant 1", "idempotency", []string{"POST/", "v1/payments", `{"amount":500}`}},
		{"the same bytes in one part", "merchant 1", "idempotency", []string{`POST/v1/payments{"amount":500}`}},
		{"another purpose", "merchant 1", "api-key", []string{"POST", "/v1/payments", `{"amount":500}`}},
		{"the purpose as a part", "merchant 1", "", []string{"api-key", "POST", "/v1/payments", `{"amount":500}`}},
		{"no parts", "merchant 1", "idempotency", []string{}},
		{"one empty part", "merchant 1", "idempotency", []string{""}},
		{"a card number, unlike its fingerprint", "merchant 1", "fingerprint", []string{testCard}},
	} {
		sum := m.sets[d.keys].digest(d.purpose, d.parts...)
		m.Digests = append(m.Digests, digestVector{d.name, d.keys, d.purpose, d.parts, hex.EncodeToString(sum)})
	}
}

// flip returns a copy of b with bits of one byte flipped.
func flip(b []byte, i int, bits byte) []byte {
	c := bytes.Clone(b)
	c[i] ^= bits
	return c
}
