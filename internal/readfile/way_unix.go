//go:build unix

package readfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"evergate/internal/remedy"
)

// mostLinks is where the kernel gives up, too.
const mostLinks = 40

// checkWay refuses a file that belongs to somebody else, and one that somebody else could put
// another in the place of: because a directory or a link on the way to it is his, or because he
// can write in one of the directories. Root may do all that anyway.
//
// What Kubernetes mounts passes: everything is root's; a Secret's directory is open to everybody
// but sticky, so that nobody can take away what is root's; a ConfigMap's is open and not sticky,
// but mounted read-only.
func checkWay(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	at, rest := "/", parts(path)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next) //nolint:gosec // G703: the operator names the file
		if err != nil {
			return err
		}
		if owner := ownerOf(info); owner != 0 && owner != os.Geteuid() {
			return remedy.New(fmt.Sprintf("chown %d %s", os.Geteuid(), next), "%s belongs to another user (uid %d), who could let himself in", next, owner)
		}
		switch {
		case info.Mode().Type() == fs.ModeSymlink:
			if links++; links > mostLinks {
				return errors.New("there are too many links on the way to " + path)
			}
			target, err := os.Readlink(next)
			if err != nil {
				return err
			}
			if len(rest) == 0 && strings.HasPrefix(target, "pipe:") {
				return nil // it has no name: nobody but who started us could have put it there
			}
			if rest = append(parts(target), rest...); filepath.IsAbs(target) {
				at = "/"
			}
			continue
		case info.IsDir() && isShared(info) && !isReadOnly(next) && !isSecluded(at):
			return remedy.New(fmt.Sprintf("chmod go-w %s, or mount it read-only", next),
				"%s is a directory in which others can write (mode %#o), who could put another file there and let themselves in", next, info.Mode().Perm())
		}
		at = next
	}
	return nil
}

// IsForeign reports whether a file belongs to another user than root and that of this process, or whether everybody can
// write it.
func IsForeign(info fs.FileInfo) bool {
	owner := ownerOf(info)
	return owner != 0 && owner != os.Geteuid() || info.Mode().Perm()&0o002 != 0
}

// IsForAll reports whether every user can write to what is at path, or connect to it.
func IsForAll(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o002 != 0 && !isSecluded(filepath.Dir(path))
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return 0
}

// isShared reports whether others can take things out of a directory and put others there. The
// group root is as good as root: where a container's user is in it, everything is.
func isShared(dir fs.FileInfo) bool {
	stat, ok := dir.Sys().(*syscall.Stat_t)
	writers := fs.FileMode(0o022)
	if ok && stat.Gid == 0 {
		writers = 0o002
	}
	return dir.Mode()&fs.ModeSticky == 0 && dir.Mode().Perm()&writers != 0
}

// isSecluded reports whether nobody but its owner comes as far as to what is in a directory,
// because it or one above lets nobody through.
func isSecluded(dir string) bool {
	for {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o011 == 0 { //nolint:gosec // G703: the operator names the file
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}
