package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The printed form of a master key: this prefix, then 48 characters of base64
// for 32 random bytes and the first 4 of a checksum.
const (
	masterPrefix   = "perennial-master-1:"
	masterSize     = 32
	masterSumSize  = 4
	masterTextSize = (masterSize + masterSumSize) / 3 * 4
)

// maxMasterFile is far more than any number of keys needs; it keeps a wrong
// path (a disk image, /dev/zero) from being read to its end.
const maxMasterFile = 64 << 10

// posix is false where a file mode says nothing about who may read the file
// and a folder cannot be synced.
const posix = runtime.GOOS != "windows"

// A master is one master key, ready for use.
type master struct {
	id   uint32
	aead tink.AEAD
}

// NewMasterKey returns a new master key as one line of 67 printable
// characters, without the line's end: what [New] takes.
func NewMasterKey() (string, error) {
	key := make([]byte, masterSize)
	if _, err := rand.Read(key); err != nil {
		return "", fmt.Errorf("vault: new master key: %w", err)
	}
	return masterPrefix + base64.RawURLEncoding.EncodeToString(append(key, masterSum(key)...)), nil
}

// masterSum finds the slip of a pen: a mistyped key would otherwise be a valid
// one that opens nothing.
func masterSum(key []byte) []byte {
	sum := sha256.Sum256(append([]byte(masterPrefix), key...))
	return sum[:masterSumSize]
}

// parseMasterKeys reads the text that [New] describes. Its errors give the
// line and what is wrong with it, never what stands there: it may be a key
// with one wrong letter.
func parseMasterKeys(text string) ([]master, error) {
	var masters []master
	seen := make(map[uint32]bool)
	number := 0
	for line := range strings.Lines(text) {
		number++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.Fields(line) {
			m, err := parseMasterKey(word)
			if err != nil {
				return nil, fmt.Errorf("master key, line %d: %w", number, err)
			}
			if seen[m.id] {
				return nil, fmt.Errorf("master key, line %d: the same key as before", number)
			}
			seen[m.id] = true
			masters = append(masters, m)
		}
	}
	if len(masters) == 0 {
		return nil, errors.New("no master key: the text is empty")
	}
	return masters, nil
}

func parseMasterKey(word string) (master, error) {
	text, ok := strings.CutPrefix(word, masterPrefix)
	if !ok {
		return master{}, fmt.Errorf("it does not begin with %q", masterPrefix)
	}
	if len(text) != masterTextSize {
		return master{}, fmt.Errorf("%d characters follow the prefix instead of %d: a part is missing or too much", len(text), masterTextSize)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		// The error of base64 names the place; its text is not ours to trust.
		return master{}, errors.New("a character is not of base64 (A-Z a-z 0-9 - _)")
	}
	key, sum := b[:masterSize], b[masterSize:]
	if !bytes.Equal(sum, masterSum(key)) {
		return master{}, errors.New("the checksum is wrong: a character was mistyped")
	}
	return newMaster(key)
}

// newMaster derives the wrapping key and the id from the master key, so that
// the id can be written in the clear and tells nothing of either.
func newMaster(key []byte) (master, error) {
	id, err := hkdf.Key(sha256.New, key, nil, contextMasterID, 4)
	if err != nil {
		return master{}, err
	}
	wrapping, err := hkdf.Key(sha256.New, key, nil, contextMaster, 32)
	if err != nil {
		return master{}, err
	}
	// No prefix: wrapped keys name their master key in a header of their own,
	// which will also do for a key service whose output has no such prefix.
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: 32,
		IVSizeInBytes:  12,
		TagSizeInBytes: 16,
		Variant:        aesgcm.VariantNoPrefix,
	})
	if err != nil {
		return master{}, err
	}
	k, err := aesgcm.NewKey(secretdata.NewBytesFromData(wrapping, insecuresecretdataaccess.Token{}), 0, params)
	if err != nil {
		return master{}, err
	}
	a, err := aesgcm.NewAEAD(k)
	if err != nil {
		return master{}, err
	}
	return master{id: binary.BigEndian.Uint32(id), aead: a}, nil
}

// ReadMasterKey returns the text of a master key file for [New]. It refuses a
// file that anyone but its owner may read.
func ReadMasterKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("vault: read master key: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("vault: read master key: %w", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("vault: read master key: %s is a folder", path)
	}
	if mode := info.Mode().Perm(); posix && mode&0o077 != 0 {
		return "", fmt.Errorf("vault: read master key: others than its owner have access to %s (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMasterFile+1))
	if err != nil {
		return "", fmt.Errorf("vault: read master key: %w", err)
	}
	if len(b) > maxMasterFile {
		return "", fmt.Errorf("vault: read master key: %s is larger than %d bytes, it is no master key", path, maxMasterFile)
	}
	return string(b), nil
}

// CreateMasterKey makes a new master key, writes it to a new file that only
// its owner can read, and returns it. When it returns without an error, the
// file and its name are on the disk. It never replaces a file: then the error
// is [io/fs.ErrExist].
func CreateMasterKey(path string) (string, error) {
	text, err := NewMasterKey()
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("vault: create master key: %w", err)
	}
	if err := writeMasterKey(f, text); err != nil {
		// Half a file is not a key, and nothing was sealed with it yet.
		os.Remove(path) //nolint:errcheck // the first error says more
		return "", fmt.Errorf("vault: create master key: %w", err)
	}
	return text, nil
}

// writeMasterKey writes and closes f, and makes it outlast a power cut: first
// the contents, then the name.
func writeMasterKey(f *os.File, text string) error {
	_, err := f.WriteString(text + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil || !posix {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
