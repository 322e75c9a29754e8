package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/vault"
)

// newVault returns a vault with a new master key, and the key's text.
func newVault(t testing.TB) (*vault.Vault, string) {
	t.Helper()
	text, err := vault.NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(text)
	if err != nil {
		t.Fatal(err)
	}
	return v, text
}

func newOwner(t testing.TB, v *vault.Vault, owner string) (*vault.Keys, []byte) {
	t.Helper()
	wrapped, err := v.NewKeys(owner)
	if err != nil {
		t.Fatal(err)
	}
	return mustKeys(t, v, owner, wrapped), wrapped
}

func mustKeys(t testing.TB, v *vault.Vault, owner string, wrapped []byte) *vault.Keys {
	t.Helper()
	k, err := v.Keys(owner, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSeal(t testing.TB, k *vault.Keys, plain, ad string) []byte {
	t.Helper()
	sealed, err := k.Seal([]byte(plain), ad)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func wantOpen(t testing.TB, k *vault.Keys, sealed []byte, ad, want string) {
	t.Helper()
	plain, err := k.Open(sealed, ad)
	if err != nil || string(plain) != want {
		t.Errorf("Open: %q, %v, want %q", plain, err, want)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestSealOpens(t *testing.T) {
	v, text := newVault(t)
	k, wrapped := newOwner(t, v, "merchant/1")
	master, err := refParseMaster(text)
	if err != nil {
		t.Fatal(err)
	}
	ref, verdict := refUnwrap([]refMaster{master}, "merchant/1", wrapped)
	if verdict != verdictOK {
		t.Fatalf("the reference unwraps: %s", verdict)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		ad := rapid.StringN(1, -1, -1).Draw(t, "ad")
		sealed, err := k.Seal(plain, ad)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(plain)+33 {
			t.Errorf("%d bytes seal to %d, want 33 more", len(plain), len(sealed))
		}
		got, err := k.Open(sealed, ad)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open: %q, %v, want %q", got, err, plain)
		}
		if got, verdict := ref.open(sealed, ad); verdict != verdictOK || got != string(plain) {
			t.Errorf("the reference opens: %q, %s, want %q", got, verdict, plain)
		}
		again, err := k.Seal(plain, ad)
		if err != nil || bytes.Equal(again, sealed) {
			t.Errorf("sealing twice gives the same bytes (%v)", err)
		}
		other := rapid.String().Filter(func(s string) bool { return s != ad }).Draw(t, "other ad")
		_, err = k.Open(sealed, other)
		wantErrorRapid(t, err, vault.ErrNotAuthentic)
	})
}

func wantErrorRapid(t *rapid.T, err, want error) {
	if !errors.Is(err, want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// TestAnyChangeIsRefused flips each bit, cuts at each place and adds a byte,
// for a sealed value and for wrapped keys.
func TestAnyChangeIsRefused(t *testing.T) {
	v, _ := newVault(t)
	k, wrapped := newOwner(t, v, "merchant/1")
	sealed := mustSeal(t, k, testCard, testAD)

	open := func(b []byte) error { _, err := k.Open(b, testAD); return err }
	unwrap := func(b []byte) error { _, err := v.Keys("merchant/1", b); return err }
	for _, tt := range []struct {
		what string
		good []byte
		try  func([]byte) error
	}{
		{"sealed value", sealed, open},
		{"wrapped keys", wrapped, unwrap},
	} {
		if err := tt.try(tt.good); err != nil {
			t.Fatalf("%s, unchanged: %v", tt.what, err)
		}
		refused := func(change string, b []byte) {
			t.Helper()
			// A copy has no room behind its end that could be read by mistake.
			if err := tt.try(slices.Clip(bytes.Clone(b))); !errors.Is(err, vault.ErrNotAuthentic) && !errors.Is(err, vault.ErrUnknownKey) {
				t.Errorf("%s, %s: %v", tt.what, change, err)
			}
		}
		for i := range len(tt.good) * 8 {
			refused(fmt.Sprintf("bit %d flipped", i), flip(tt.good, i/8, 1<<(i%8)))
		}
		for i := range tt.good {
			refused(fmt.Sprintf("cut to %d bytes", i), tt.good[:i])
			refused(fmt.Sprintf("first %d bytes cut", i+1), tt.good[i+1:])
		}
		refused("one byte more", append(bytes.Clone(tt.good), 0))
	}
}

func TestOwnersAreApart(t *testing.T) {
	v, _ := newVault(t)
	one, wrapped := newOwner(t, v, "merchant/1")
	two, _ := newOwner(t, v, "merchant/2")

	// First with wrapped in the cache for its real owner, then without.
	_, err := v.Keys("merchant/2", wrapped)
	wantError(t, "keys of another owner, cached", err, vault.ErrNotAuthentic)
	fresh, err := v.NewKeys("merchant/1")
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"merchant/2", "merchant/", "merchant/11", ""} {
		_, err = v.Keys(owner, fresh)
		wantError(t, "keys of another owner", err, vault.ErrNotAuthentic)
		_, err = v.Rotate(owner, fresh)
		wantError(t, "rotate as another owner", err, vault.ErrNotAuthentic)
		_, err = v.Rewrap(owner, fresh)
		wantError(t, "rewrap as another owner", err, vault.ErrNotAuthentic)
	}

	_, err = two.Open(mustSeal(t, one, testCard, testAD), testAD)
	wantError(t, "value of another owner", err, vault.ErrUnknownKey)
	if bytes.Equal(one.Fingerprint(testCard), two.Fingerprint(testCard)) {
		t.Error("two owners see the same fingerprint")
	}
	if bytes.Equal(one.Digest("p", []byte("x")), two.Digest("p", []byte("x"))) {
		t.Error("two owners see the same digest")
	}
}

func TestNothingWithoutAName(t *testing.T) {
	v, _ := newVault(t)
	if _, err := v.NewKeys(""); err == nil {
		t.Error("NewKeys takes an owner without a name")
	}
	k, _ := newOwner(t, v, "merchant/1")
	if _, err := k.Seal([]byte(testCard), ""); err == nil {
		t.Error("Seal takes no associated data")
	}
	if f := k.Fingerprint(""); f != nil {
		t.Errorf("an empty number has the fingerprint %x", f)
	}
}

func TestRotate(t *testing.T) {
	v, text := newVault(t)
	first, wrapped := newOwner(t, v, "merchant/1")
	fingerprint := first.Fingerprint(testCard)
	digest := first.Digest("idempotency", []byte("a"), []byte("b"))

	generations := []*vault.Keys{first}
	values := [][]byte{mustSeal(t, first, "value 0", testAD)}
	for i := 1; i <= 3; i++ {
		next, err := v.Rotate("merchant/1", wrapped)
		if err != nil {
			t.Fatal(err)
		}
		wrapped = next
		k := mustKeys(t, v, "merchant/1", wrapped)
		generations = append(generations, k)
		values = append(values, mustSeal(t, k, fmt.Sprintf("value %d", i), testAD))
	}
	ids := make(map[string]bool)
	for i, k := range generations {
		ids[string(values[i][:5])] = true
		for j, sealed := range values {
			if j <= i {
				wantOpen(t, k, sealed, testAD, fmt.Sprintf("value %d", j))
				continue
			}
			_, err := k.Open(sealed, testAD)
			wantError(t, fmt.Sprintf("generation %d opens a value of %d", i, j), err, vault.ErrUnknownKey)
		}
		if !bytes.Equal(k.Fingerprint(testCard), fingerprint) {
			t.Errorf("generation %d has another fingerprint", i)
		}
		if !bytes.Equal(k.Digest("idempotency", []byte("a"), []byte("b")), digest) {
			t.Errorf("generation %d has another digest", i)
		}
	}
	if len(ids) != 4 {
		t.Errorf("four generations sealed with %d keys", len(ids))
	}

	master, err := refParseMaster(text)
	if err != nil {
		t.Fatal(err)
	}
	ref, verdict := refUnwrap([]refMaster{master}, "merchant/1", wrapped)
	if verdict != verdictOK || len(ref.sealing) != 4 {
		t.Fatalf("the reference unwraps: %s with %d keys", verdict, len(ref.sealing))
	}
	for i, sealed := range values {
		if plain, _ := ref.open(sealed, testAD); plain != fmt.Sprintf("value %d", i) {
			t.Errorf("the reference opens value %d as %q", i, plain)
		}
	}
}

// TestNewMasterKey walks the whole change of a master key, as an operator
// does it: old alone, new above old, all rewrapped, new alone.
func TestNewMasterKey(t *testing.T) {
	before, old := newVault(t)
	k, wrapped := newOwner(t, before, "merchant/1")
	sealed := mustSeal(t, k, testCard, testAD)
	fingerprint := k.Fingerprint(testCard)

	after, young := newVault(t)
	_, err := after.Keys("merchant/1", wrapped)
	wantError(t, "keys under the old master key", err, vault.ErrUnknownKey)
	if id, _, _ := strings.Cut(strings.TrimPrefix(before.String(), "vault.Vault(master key "), ")"); !strings.Contains(err.Error(), id) {
		t.Errorf("the error %q does not name the master key %s", err, id)
	}

	during, err := vault.New("# 2027\n" + young + "\n\n# 2026\n" + old + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if during.String() != after.String() {
		t.Errorf("with both keys it is %s, want %s", during, after)
	}
	wantOpen(t, mustKeys(t, during, "merchant/1", wrapped), sealed, testAD, testCard)

	moved, err := during.Rewrap("merchant/1", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	again, err := during.Rewrap("merchant/1", moved)
	if err != nil || !bytes.Equal(again, moved) {
		t.Errorf("rewrapping twice is not rewrapping once (%v)", err)
	}
	k = mustKeys(t, after, "merchant/1", moved)
	wantOpen(t, k, sealed, testAD, testCard)
	if !bytes.Equal(k.Fingerprint(testCard), fingerprint) {
		t.Error("another fingerprint under the new master key")
	}
	_, err = before.Keys("merchant/1", moved)
	wantError(t, "keys under the new master key", err, vault.ErrUnknownKey)

	rotated, err := during.Rotate("merchant/1", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	wantOpen(t, mustKeys(t, after, "merchant/1", rotated), sealed, testAD, testCard)
}

// TestDigestIsUnambiguous cuts one text into parts in different ways: equal
// lists must give equal digests, different lists different ones.
func TestDigestIsUnambiguous(t *testing.T) {
	v, _ := newVault(t)
	k, _ := newOwner(t, v, "merchant/1")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00\x01")), 0, 12, -1).Draw(t, "text")
		a, b := cut(t, text, "a"), cut(t, text, "b")
		same := len(a) == len(b)
		for i := range min(len(a), len(b)) {
			same = same && bytes.Equal(a[i], b[i])
		}
		if got := bytes.Equal(k.Digest("p", a...), k.Digest("p", b...)); got != same {
			t.Errorf("digests of %q and %q equal: %v", a, b, got)
		}
		if bytes.Equal(k.Digest("p", a...), k.Digest("q", a...)) {
			t.Errorf("purpose p and q give one digest of %q", a)
		}
		if len(a) > 0 && bytes.Equal(k.Digest("p", a...), k.Digest("p"+string(a[0]), a[1:]...)) {
			t.Errorf("a part of %q moved into the purpose", a)
		}
		if bytes.Equal(k.Digest(text), k.Fingerprint(text)) {
			t.Errorf("the digest of %q is its fingerprint", text)
		}
	})
}

func cut(t *rapid.T, text, label string) [][]byte {
	var parts [][]byte
	for text != "" {
		n := rapid.IntRange(0, len(text)).Draw(t, label)
		parts = append(parts, []byte(text[:n]))
		text = text[n:]
		if len(parts) > 20 {
			return append(parts, []byte(text))
		}
	}
	return parts
}

// TestConcurrentUse is for the race detector: one vault, one owner's keys,
// all verbs at once.
func TestConcurrentUse(t *testing.T) {
	v, _ := newVault(t)
	shared, wrapped := newOwner(t, v, "merchant/1")
	sealed := mustSeal(t, shared, testCard, testAD)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				wantOpen(t, shared, sealed, testAD, testCard)
				k, err := v.Keys("merchant/1", wrapped)
				if err != nil {
					t.Error(err)
					return
				}
				own, err := k.Seal([]byte(testCard), testAD)
				if err != nil {
					t.Error(err)
					return
				}
				wantOpen(t, shared, own, testAD, testCard)
				if !bytes.Equal(k.Fingerprint(testCard), shared.Fingerprint(testCard)) {
					t.Error("fingerprints differ")
				}
				if j%10 != i {
					continue
				}
				rotated, err := v.Rotate("merchant/1", wrapped)
				if err != nil {
					t.Error(err)
					return
				}
				k, err = v.Keys("merchant/1", rotated)
				if err != nil {
					t.Error(err)
					return
				}
				wantOpen(t, k, sealed, testAD, testCard)
			}
		})
	}
	wg.Wait()
}
