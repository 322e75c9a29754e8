package vault

import (
	"bytes"
	"fmt"
	"testing"
)

// TestCacheIsBounded fills the cache beyond its bound. It looks inside, since
// from outside a cache that keeps everything looks like one that does not.
func TestCacheIsBounded(t *testing.T) {
	text, err := NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(text)
	if err != nil {
		t.Fatal(err)
	}
	const owners = cacheSize + 100
	wrapped := make([][]byte, owners)
	prints := make([][]byte, owners)
	for i := range owners {
		owner := fmt.Sprintf("merchant/%d", i)
		wrapped[i], err = v.NewKeys(owner)
		if err != nil {
			t.Fatal(err)
		}
		k, err := v.Keys(owner, wrapped[i])
		if err != nil {
			t.Fatal(err)
		}
		prints[i] = k.Fingerprint("4111111111111111")
		again, err := v.Keys(owner, wrapped[i])
		if err != nil || again != k {
			t.Fatalf("owner %d is not remembered (%v)", i, err)
		}
		if want := min(i+1, cacheSize); len(v.cache) != want {
			t.Fatalf("after %d owners the cache holds %d, want %d", i+1, len(v.cache), want)
		}
	}
	for i := range owners {
		k, err := v.Keys(fmt.Sprintf("merchant/%d", i), wrapped[i])
		if err != nil || !bytes.Equal(k.Fingerprint("4111111111111111"), prints[i]) {
			t.Fatalf("owner %d has other keys than before (%v)", i, err)
		}
	}
	if len(v.cache) != cacheSize {
		t.Errorf("the cache holds %d, want %d", len(v.cache), cacheSize)
	}
}

func TestFailuresAreNotRemembered(t *testing.T) {
	text, err := NewMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(text)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := v.Keys("merchant/1", []byte("not wrapped keys")); err == nil {
			t.Fatal("no error")
		}
	}
	if len(v.cache) != 0 {
		t.Errorf("the cache holds %d", len(v.cache))
	}
}
