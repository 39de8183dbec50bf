//go:build !unix

package diskfile

import "io/fs"

// NoFollow is nothing, as there are no such opens, owners and modes.
const NoFollow = 0

func ownedByOther(fs.FileInfo) (uid uint32, other bool) { return 0, false }

func writableByOthers(fs.FileInfo) bool { return false }
