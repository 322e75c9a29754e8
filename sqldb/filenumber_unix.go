//go:build unix

package sqldb

import (
	"io/fs"
	"syscall"
)

// fileNumber is the file's number in its file system, which a copy does not have. The device's number is left out: it
// may change when the machine starts anew.
func fileNumber(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
