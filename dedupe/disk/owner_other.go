//go:build !unix

package disk

import "io/fs"

// There are no such opens, owners and modes.
const noFollow = 0

func ownedByOther(fs.FileInfo) (uid uint32, other bool) { return 0, false }

func writableByOthers(fs.FileInfo) bool { return false }
