package vault

import "encoding/binary"

// Every use of a key begins its input with a context of its own, so that bytes
// made for one use are worthless for any other. The number is the version of
// FORMAT.md.
const (
	contextMaster      = "perennial-vault-1/master"
	contextMasterID    = "perennial-vault-1/master-id"
	contextKeys        = "perennial-vault-1/keys"
	contextSealed      = "perennial-vault-1/sealed"
	contextFingerprint = "perennial-vault-1/fingerprint"
	contextDigest      = "perennial-vault-1/digest"
)

// begin begins an input with its context. It has room for what usually follows.
func begin(c string) []byte {
	return appendPart(make([]byte, 0, 128), c)
}

func wrapContext(owner string) []byte {
	return appendPart(begin(contextKeys), owner)
}

// appendPart appends the length of p in eight bytes, big endian, and p. A row
// of such parts can be read back in one way only, so that two different lists
// never give the same bytes.
func appendPart[T string | []byte](b []byte, p T) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
	return append(b, p...)
}

// cutPart takes the first part off b.
func cutPart(b []byte) (part, rest []byte, ok bool) {
	if len(b) < 8 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint64(b)
	b = b[8:]
	if n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
