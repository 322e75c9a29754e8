package recurly

import (
	"encoding/hex"
	"math/bits"
)

// Ids on this wire are 32 hexadecimal digits, and look made by chance (2.2). Ours
// have 63 bits and rise with time. An id is shown as two halves that each say it
// in full, mixed by arithmetic that can be undone: what does not agree in both
// halves is nobody's id. It hides nothing, and does not have to.

// kind keeps the ids of different nouns apart: that of a charge is no invoice's.
type kind uint64

const (
	lineKind    kind = 0x6c696e65
	invoiceKind kind = 0x62696c6c
	moveKind    kind = 0x6d6f7665 // a transaction
)

// The odd factors and their inverses modulo 2^64.
const (
	factorA uint64 = 0x9e3779b97f4a7c15
	factorB uint64 = 0xc2b2ae3d27d4eb4f
)

var inverseA = inverse(factorA)

// inverse is the inverse of an odd number modulo 2^64: Newton's iteration doubles
// the right bits each time.
func inverse(n uint64) uint64 {
	x := n
	for range 6 {
		x *= 2 - n*x
	}
	return x
}

// shown is an id as this wire has it.
func shown(k kind, id int64) string {
	first, second := halves(k, uint64(id))
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(first>>(56-8*i)), byte(second>>(56-8*i))
	}
	return hex.EncodeToString(b[:])
}

func halves(k kind, id uint64) (first, second uint64) {
	first = bits.RotateLeft64((id^uint64(k))*factorA, 29)
	second = (first^uint64(k)<<17)*factorB ^ bits.RotateLeft64(id*factorB, 41)
	return first, second
}

// readID is the inverse of shown; ok is false for what shown never gives.
func readID(k kind, text string) (id int64, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 {
		return 0, false
	}
	var first uint64
	for i := range 8 {
		first = first<<8 | uint64(b[i])
	}
	n := bits.RotateLeft64(first, -29)*inverseA ^ uint64(k)
	if n == 0 || n>>63 != 0 || shown(k, int64(n)) != text {
		return 0, false
	}
	return int64(n), true
}
