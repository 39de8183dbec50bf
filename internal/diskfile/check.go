package diskfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckDirectory refuses a directory in which somebody else could exchange the files.
func CheckDirectory(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return fmt.Errorf("%s is a symbolic link that leads nowhere: remove it, or name the directory itself: %w", dir, err)
		}
		return fmt.Errorf("%s is a symbolic link: name the directory itself (store disk %s)", dir, target)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory: %s", dir, Elsewhere)
	}
	return checkAccess(dir, info, "700")
}

// CheckFile refuses a file of the store that is no plain file of ours. It is asked before
// a file is opened, as to open a device may do something already.
func CheckFile(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, Refuse("%s is a symbolic link, which is not followed: put the file itself there; else %s", path, Elsewhere)
	case !info.Mode().IsRegular():
		return nil, Refuse("%s is not a plain file (%s): move it away, and put a copy of the whole directory back; else %s",
			path, info.Mode().Type(), Elsewhere)
	}
	return info, checkAccess(path, info, "600")
}

func checkAccess(path string, info fs.FileInfo, mode string) error {
	if uid, other := ownedByOther(info); other {
		return Refuse("%s belongs to the user %d, who could change what is remembered: give it to the user that this process runs as (chown); else %s",
			path, uid, Elsewhere)
	}
	if writableByOthers(info) {
		return Refuse("%s can be written by others (mode %04o), who could change what is remembered: chmod %s %s; else %s",
			path, info.Mode().Perm(), mode, path, Elsewhere)
	}
	return nil
}

// OpenFile opens a file that is there, and that CheckFile accepts.
func OpenFile(path string, flag int) (*os.File, error) {
	if _, err := CheckFile(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flag&^os.O_CREATE|NoFollow, 0)
}
