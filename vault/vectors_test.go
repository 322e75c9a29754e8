package vault_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/vault"
)

var writeVectors = flag.Bool("write-vectors", false, "write testdata/vectors.json anew with the reference implementation")

const vectorsFile = "testdata/vectors.json"

type vectors struct {
	About        []string            `json:"about"`
	MasterKeys   []masterVector      `json:"master_keys"`
	WrappedKeys  []wrappedVector     `json:"wrapped_keys"`
	Sealed       []sealedVector      `json:"sealed"`
	Fingerprints []fingerprintVector `json:"fingerprints"`
	Digests      []digestVector      `json:"digests"`
}

type masterVector struct {
	Name        string `json:"name"`
	Text        string `json:"text"`
	Verdict     string `json:"verdict"`
	ID          string `json:"id,omitempty"`
	WrappingKey string `json:"wrapping_key,omitempty"`
}

type wrappedVector struct {
	Name        string      `json:"name"`
	MasterKeys  []string    `json:"master_keys"` // names
	Owner       string      `json:"owner"`
	Wrapped     string      `json:"wrapped"`
	Verdict     string      `json:"verdict"`
	SealingKeys []keyVector `json:"sealing_keys,omitempty"`
	Primary     string      `json:"primary,omitempty"`
	HashingKey  string      `json:"hashing_key,omitempty"`
}

type keyVector struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

type sealedVector struct {
	Name           string `json:"name"`
	Keys           string `json:"keys"` // name of a wrapped_keys vector
	AssociatedData string `json:"associated_data"`
	Sealed         string `json:"sealed"`
	Verdict        string `json:"verdict"`
	Plain          string `json:"plain,omitempty"`
}

type fingerprintVector struct {
	Name        string `json:"name"`
	Keys        string `json:"keys"`
	Number      string `json:"number"`
	Fingerprint string `json:"fingerprint"`
}

type digestVector struct {
	Name    string   `json:"name"`
	Keys    string   `json:"keys"`
	Purpose string   `json:"purpose"`
	Parts   []string `json:"parts"`
	Digest  string   `json:"digest"`
}

// TestVectors proves three things: the file is what the reference says, the
// reference reads it as the verdicts say, and so does the package.
func TestVectors(t *testing.T) {
	made, err := json.MarshalIndent(makeVectors(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if *writeVectors {
		if err := os.WriteFile(vectorsFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, published) {
		t.Errorf("%s is not what the reference implementation makes; a published vector never changes, so the format did", vectorsFile)
	}
	var vs vectors
	if err := json.Unmarshal(published, &vs); err != nil {
		t.Fatal(err)
	}
	w := newVectorWorld(t, vs)
	for _, m := range vs.MasterKeys {
		t.Run("master/"+m.Name, func(t *testing.T) { w.testMaster(t, m) })
	}
	for _, k := range vs.WrappedKeys {
		t.Run("wrapped/"+k.Name, func(t *testing.T) { w.testWrapped(t, k) })
	}
	for _, s := range vs.Sealed {
		t.Run("sealed/"+s.Name, func(t *testing.T) { w.testSealed(t, s) })
	}
	for _, f := range vs.Fingerprints {
		t.Run("fingerprint/"+f.Name, func(t *testing.T) {
			ours, ref := w.keys(t, f.Keys)
			equalHex(t, "package", ours.Fingerprint(f.Number), f.Fingerprint)
			equalHex(t, "reference", ref.fingerprint(f.Number), f.Fingerprint)
		})
	}
	for _, d := range vs.Digests {
		t.Run("digest/"+d.Name, func(t *testing.T) {
			ours, ref := w.keys(t, d.Keys)
			var parts [][]byte
			for _, p := range d.Parts {
				parts = append(parts, []byte(p))
			}
			equalHex(t, "package", ours.Digest(d.Purpose, parts...), d.Digest)
			equalHex(t, "reference", ref.digest(d.Purpose, d.Parts...), d.Digest)
		})
	}
}

// vectorWorld finds vectors by name.
type vectorWorld struct {
	masters map[string]string // text by name
	wrapped map[string]wrappedVector
}

func newVectorWorld(t *testing.T, vs vectors) vectorWorld {
	w := vectorWorld{map[string]string{}, map[string]wrappedVector{}}
	for _, m := range vs.MasterKeys {
		w.masters[m.Name] = m.Text
	}
	for _, k := range vs.WrappedKeys {
		if _, ok := w.wrapped[k.Name]; ok {
			t.Errorf("two wrapped keys are named %q", k.Name)
		}
		w.wrapped[k.Name] = k
	}
	return w
}

func (w vectorWorld) vaults(t *testing.T, names []string) (*vault.Vault, []refMaster) {
	t.Helper()
	var texts []string
	var refs []refMaster
	for _, n := range names {
		m, err := refParseMaster(w.masters[n])
		if err != nil {
			t.Fatalf("reference: master key %q: %v", n, err)
		}
		texts = append(texts, w.masters[n])
		refs = append(refs, m)
	}
	v, err := vault.New(strings.Join(texts, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return v, refs
}

func (w vectorWorld) keys(t *testing.T, name string) (*vault.Keys, refKeys) {
	t.Helper()
	k := w.wrapped[name]
	v, refs := w.vaults(t, k.MasterKeys)
	ours, err := v.Keys(k.Owner, unhex(t, k.Wrapped))
	if err != nil {
		t.Fatalf("keys %q: %v", name, err)
	}
	ref, verdict := refUnwrap(refs, k.Owner, unhex(t, k.Wrapped))
	if verdict != verdictOK {
		t.Fatalf("reference: keys %q: %s", name, verdict)
	}
	return ours, ref
}

// masterReasons are the words of New's error for each verdict.
var masterReasons = map[string]string{
	"wrong prefix":   "does not begin with",
	"wrong length":   "characters follow the prefix",
	"wrong alphabet": "not of base64",
	"wrong checksum": "checksum",
	"repeated":       "same key as before",
	"none":           "no master key",
}

func (w vectorWorld) testMaster(t *testing.T, m masterVector) {
	v, err := vault.New(m.Text)
	ref, refErr := refParseMaster(m.Text)
	if m.Verdict != verdictOK {
		reason, ok := masterReasons[m.Verdict]
		if !ok {
			t.Fatalf("no such verdict: %q", m.Verdict)
		}
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("New: %v, want an error with %q", err, reason)
		}
		if refErr == nil {
			t.Error("the reference takes it")
		}
		return
	}
	if err != nil || refErr != nil {
		t.Fatalf("New: %v; reference: %v", err, refErr)
	}
	if got, want := v.String(), fmt.Sprintf("vault.Vault(master key %s)", m.ID); got != want {
		t.Errorf("String: %s, want %s", got, want)
	}
	if got := fmt.Sprintf("%08x", ref.id); got != m.ID {
		t.Errorf("reference: id %s, want %s", got, m.ID)
	}
	equalHex(t, "reference: wrapping key", ref.wrapping, m.WrappingKey)
}

func (w vectorWorld) testWrapped(t *testing.T, k wrappedVector) {
	v, refs := w.vaults(t, k.MasterKeys)
	wrapped := unhex(t, k.Wrapped)
	ours, err := v.Keys(k.Owner, wrapped)
	if got := verdictOf(err); got != k.Verdict {
		t.Errorf("package: %s (%v), want %s", got, err, k.Verdict)
	}
	ref, verdict := refUnwrap(refs, k.Owner, wrapped)
	if verdict != k.Verdict {
		t.Errorf("reference: %s, want %s", verdict, k.Verdict)
	}
	if k.Verdict != verdictOK || t.Failed() {
		return
	}
	if want := fmt.Sprintf("vault.Keys(%q, key %s)", k.Owner, k.Primary); ours.String() != want {
		t.Errorf("String: %s, want %s", ours, want)
	}
	equalHex(t, "reference: hashing key", ref.hashing, k.HashingKey)
	if len(ref.sealing) != len(k.SealingKeys) {
		t.Fatalf("reference: %d sealing keys, want %d", len(ref.sealing), len(k.SealingKeys))
	}
	for i, s := range k.SealingKeys {
		equalHex(t, "reference: sealing key", ref.sealing[i].key, s.Key)
	}
	sealed, err := ours.Seal([]byte("fresh"), "ad")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sealed[:5]); got != "01"+k.Primary {
		t.Errorf("sealed by %s, want the primary key %s", got, k.Primary)
	}
	if plain, verdict := ref.open(sealed, "ad"); verdict != verdictOK || plain != "fresh" {
		t.Errorf("the reference opens what the package sealed as %q, %s", plain, verdict)
	}
}

func (w vectorWorld) testSealed(t *testing.T, s sealedVector) {
	ours, ref := w.keys(t, s.Keys)
	plain, err := ours.Open(unhex(t, s.Sealed), s.AssociatedData)
	if got := verdictOf(err); got != s.Verdict || string(plain) != s.Plain {
		t.Errorf("package: %s, %q (%v), want %s, %q", got, plain, err, s.Verdict, s.Plain)
	}
	refPlain, verdict := ref.open(unhex(t, s.Sealed), s.AssociatedData)
	if verdict != s.Verdict || refPlain != s.Plain {
		t.Errorf("reference: %s, %q, want %s, %q", verdict, refPlain, s.Verdict, s.Plain)
	}
}

func verdictOf(err error) string {
	switch {
	case err == nil:
		return verdictOK
	case errors.Is(err, vault.ErrNotAuthentic):
		return verdictNotAuthentic
	case errors.Is(err, vault.ErrUnknownKey):
		return verdictUnknownKey
	default:
		return verdictMalformed
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func equalHex(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%s: %x, want %s", what, got, want)
	}
}

// seeded returns bytes that depend on the label only: vectors are made without
// chance, so that making them again changes nothing.
func seeded(label string) []byte {
	sum := sha256.Sum256([]byte("perennial vault test vector: " + label))
	return sum[:]
}
