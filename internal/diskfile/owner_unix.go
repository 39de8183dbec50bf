//go:build unix

package diskfile

import (
	"io/fs"
	"os"
	"syscall"
)

// NoFollow makes an open fail where the name is a symbolic link.
const NoFollow = syscall.O_NOFOLLOW

// ownedByOther returns the user that a file belongs to, where that is not ours.
func ownedByOther(info fs.FileInfo) (uid uint32, other bool) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return stat.Uid, true
	}
	return 0, false
}

// writableByOthers reports whether the group or everybody may write.
func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }
