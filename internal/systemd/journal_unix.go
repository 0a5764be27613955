//go:build unix

package systemd

import (
	"fmt"
	"os"
	"syscall"
)

// IsJournal reports whether what is written to f goes to systemd's journal, by JOURNAL_STREAM of
// systemd.exec(5): its device and inode, as the service manager has opened it.
func IsJournal(environ []string, f *os.File) bool {
	stream := lookUp(environ, "JOURNAL_STREAM")
	if stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	at, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", at.Dev, at.Ino)
}
