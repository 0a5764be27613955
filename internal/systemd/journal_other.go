//go:build !unix

package systemd

import "os"

// IsJournal reports false: there is no journal.
func IsJournal([]string, *os.File) bool { return false }
