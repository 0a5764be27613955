//go:build unix

package systemd

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestTheJournalIsKnownByItsInode(t *testing.T) {
	t.Parallel()
	f, err := os.Create(t.TempDir() + "/stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	at := info.Sys().(*syscall.Stat_t)
	for environ, want := range map[string]bool{
		fmt.Sprintf("JOURNAL_STREAM=%d:%d", at.Dev, at.Ino):   true,
		fmt.Sprintf("JOURNAL_STREAM=%d:%d", at.Dev, at.Ino+1): false, // was the parent's, and is inherited
		"JOURNAL_STREAM=": false,
		"OTHER=1":         false,
	} {
		if got := IsJournal([]string{environ}, f); got != want {
			t.Errorf("%q: %t", environ, got)
		}
	}
}
