package vault_test

import (
	"fmt"
	"testing"
)

func BenchmarkSeal(b *testing.B) {
	v, _ := newVault(b)
	k, _ := newOwner(b, v, "merchant/1")
	number := []byte(testCard)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(number, testAD); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	v, _ := newVault(b)
	k, _ := newOwner(b, v, "merchant/1")
	sealed := mustSeal(b, k, testCard, testAD)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(sealed, testAD); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	v, _ := newVault(b)
	k, _ := newOwner(b, v, "merchant/1")
	b.ReportAllocs()
	for b.Loop() {
		k.Fingerprint(testCard)
	}
}

func BenchmarkDigest(b *testing.B) {
	v, _ := newVault(b)
	k, _ := newOwner(b, v, "merchant/1")
	part := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		k.Digest("idempotency", part)
	}
}

func BenchmarkKeys(b *testing.B) {
	v, _ := newVault(b)
	for _, owners := range []int{1, 1000, 3000} {
		b.Run(fmt.Sprintf("owners=%d", owners), func(b *testing.B) {
			names := make([]string, owners)
			wrapped := make([][]byte, owners)
			for i := range owners {
				names[i] = fmt.Sprintf("merchant/%d", i)
				_, wrapped[i] = newOwner(b, v, names[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				mustKeys(b, v, names[i%owners], wrapped[i%owners])
				i++
			}
		})
	}
}
