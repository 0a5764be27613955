// Package reloadtest has what tests of files that are read again have in common. Nothing but tests imports it.
package reloadtest

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// WriteFile writes a file that only its owner can write.
func WriteFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Rewrite replaces a file's content and gives it the bubble's time.
func Rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// Pause lets time pass in a bubble, and lets everything happen that it brings.
func Pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Tape is a log that one goroutine writes and another reads.
type Tape struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Tape) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *Tape) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Reset empties it.
func (l *Tape) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}
