package vault_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/vault"
)

// fuzzWorld is the published vectors; the fuzzers start from them and know
// from them what is genuine.
func fuzzWorld(f *testing.F) vectors {
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		f.Fatal(err)
	}
	var vs vectors
	if err := json.Unmarshal(b, &vs); err != nil {
		f.Fatal(err)
	}
	return vs
}

func fuzzHex(f *testing.F, s string) []byte {
	b := make([]byte, len(s)/2)
	for i := range b {
		b[i] = fromHex(s[2*i])<<4 | fromHex(s[2*i+1])
	}
	return b
}

func fromHex(c byte) byte {
	return byte(strings.IndexByte("0123456789abcdef", c))
}

// FuzzOpen looks for bytes that open although nobody sealed them.
func FuzzOpen(f *testing.F) {
	vs := fuzzWorld(f)
	v, err := vault.New(vs.MasterKeys[0].Text)
	if err != nil {
		f.Fatal(err)
	}
	rotated := vs.WrappedKeys[1]
	k, err := v.Keys(rotated.Owner, fuzzHex(f, rotated.Wrapped))
	if err != nil {
		f.Fatal(err)
	}
	type value struct{ sealed, ad string }
	genuine := make(map[value]string)
	for _, s := range vs.Sealed {
		sealed := fuzzHex(f, s.Sealed)
		f.Add(sealed, s.AssociatedData)
		if plain, err := k.Open(sealed, s.AssociatedData); err == nil {
			genuine[value{string(sealed), s.AssociatedData}] = string(plain)
		}
	}
	if len(genuine) < 4 {
		f.Fatalf("only %d vectors open", len(genuine))
	}
	f.Fuzz(func(t *testing.T, sealed []byte, ad string) {
		plain, err := k.Open(sealed, ad)
		want, ok := genuine[value{string(sealed), ad}]
		switch {
		case ok != (err == nil):
			t.Fatalf("Open: %v, but genuine: %v", err, ok)
		case ok && string(plain) != want:
			t.Fatalf("Open: %q, want %q", plain, want)
		case !ok && plain != nil:
			t.Fatalf("Open fails and returns %d bytes", len(plain))
		case !ok && !errors.Is(err, vault.ErrNotAuthentic) && !errors.Is(err, vault.ErrUnknownKey):
			t.Fatalf("Open: %v, neither of the two errors", err)
		}
	})
}

// FuzzKeys looks for wrapped keys that unwrap although nobody wrapped them.
func FuzzKeys(f *testing.F) {
	vs := fuzzWorld(f)
	v, err := vault.New(vs.MasterKeys[0].Text + "\n" + vs.MasterKeys[1].Text)
	if err != nil {
		f.Fatal(err)
	}
	type value struct{ owner, wrapped string }
	genuine := make(map[value]bool)
	for _, w := range vs.WrappedKeys {
		wrapped := fuzzHex(f, w.Wrapped)
		f.Add(w.Owner, wrapped)
		if _, err := v.Keys(w.Owner, wrapped); err == nil {
			genuine[value{w.Owner, string(wrapped)}] = true
		}
	}
	if len(genuine) < 5 {
		f.Fatalf("only %d vectors unwrap", len(genuine))
	}
	f.Fuzz(func(t *testing.T, owner string, wrapped []byte) {
		_, err := v.Keys(owner, wrapped)
		if ok := genuine[value{owner, string(wrapped)}]; ok != (err == nil) {
			t.Fatalf("Keys: %v, but genuine: %v", err, ok)
		}
	})
}

// FuzzUnwrapped gives the parser behind the seal what no attacker can: any
// bytes, properly wrapped. It must not panic.
func FuzzUnwrapped(f *testing.F) {
	vs := fuzzWorld(f)
	v, err := vault.New(vs.MasterKeys[0].Text)
	if err != nil {
		f.Fatal(err)
	}
	m, err := refParseMaster(vs.MasterKeys[0].Text)
	if err != nil {
		f.Fatal(err)
	}
	for _, w := range vs.WrappedKeys {
		b := fuzzHex(f, w.Wrapped)
		if len(b) < 5 {
			continue
		}
		if plain, ok := refDecrypt(m.wrapping, b[5:], refList("perennial-vault-1/keys", w.Owner)); ok {
			f.Add(plain)
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		wrapped := refWrapBytes(m, make([]byte, 12), "merchant/1", plain)
		k, err := v.Keys("merchant/1", wrapped)
		if err != nil {
			return
		}
		sealed, err := k.Seal([]byte(testCard), testAD)
		if err != nil {
			return
		}
		if len(k.Fingerprint(testCard)) != 32 {
			t.Fatal("a fingerprint is not 32 bytes")
		}
		if got, err := k.Open(sealed, testAD); err != nil || string(got) != testCard {
			t.Fatalf("Open: %q, %v", got, err)
		}
	})
}

// FuzzNew looks for a text that panics, or an error that repeats a part of it.
func FuzzNew(f *testing.F) {
	for _, m := range fuzzWorld(f).MasterKeys {
		f.Add(m.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := vault.New(text)
		if err == nil {
			return
		}
		// The messages quote the prefix, and have words of their own.
		said := strings.ReplaceAll(err.Error(), "perennial-master-1:", "")
		for _, word := range strings.Fields(text) {
			word = strings.TrimPrefix(word, "perennial-master-1:")
			if len(word) >= 16 && strings.Contains(said, word) {
				t.Fatalf("the error %q repeats %q", err, word)
			}
		}
	})
}
