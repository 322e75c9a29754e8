//go:build !unix

package sqldb

import "io/fs"

// fileNumber is 0 where files have no number that can be had: there the path alone names the file.
func fileNumber(fs.FileInfo) uint64 { return 0 }
