// Package reload keeps what rests in files in force as the files change, without a restart and
// without a request that waits.
//
// Invariants:
//
//   - What is taken was read by readfile.Owned: nobody but root and the user of this process owns it, can
//     write or can replace it.
//   - A mistake in a changed file leaves what held before in force, and is said once.
//   - One goroutine reads; what it hands on is swapped in by a pointer, so a request sees one
//     state or the other and takes no lock.
package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"evergate/internal/durable"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
)

const (
	// Interval is how often the files are looked at. It is off the request path.
	Interval = 2 * time.Second
	// unsettled is how young a file may be when it is read and still change without a trace:
	// some file systems keep time in seconds.
	unsettled = 3 * time.Second
	// usualLargest bounds in bytes what is read of a file.
	usualLargest = 1 << 20
)

// Value is a setting whose value rests in files and is taken anew when they change. Load and
// the goroutine of Watch read the files; Broken is safe for concurrent use.
type Value struct {
	setting string
	paths   []string
	take    func(contents [][]byte) error

	largest  int
	contents [][sha256.Size]byte // digests of those that are in force
	seen     []durable.Version
	at       time.Time
	// broken is why the newest contents are not in force; nil when they are.
	broken atomic.Pointer[string]
}

// New returns the value of a setting that rests in the files at paths. take makes their
// contents effective, or says what is wrong with them and changes nothing; an error that
// joins several is reported as several.
func New(setting string, paths []string, take func(contents [][]byte) error) *Value {
	return &Value{setting: setting, paths: paths, take: take, largest: usualLargest}
}

// AtMost bounds in bytes what each file may have, in place of 1 MiB.
func (v *Value) AtMost(bytes int) *Value {
	v.largest = bytes
	return v
}

// Load reads the files for the first time. Its error names the setting.
func (v *Value) Load() error {
	_, err := v.read()
	return err
}

// read reads the files and reports whether they have changed.
func (v *Value) read() (changed bool, _ error) {
	v.at = time.Now()
	var contents [][]byte
	var digests [][sha256.Size]byte
	var seen []durable.Version
	for _, path := range v.paths {
		b, info, err := readOwned(path, v.largest)
		if err != nil {
			return v.seen != nil, remedy.Prefix(v.setting, err)
		}
		contents, digests, seen = append(contents, b), append(digests, sha256.Sum256(b)), append(seen, durable.VersionOf(info))
	}
	v.seen = seen
	if v.contents != nil && slices.Equal(v.contents, digests) {
		return false, nil
	}
	if err := v.take(contents); err != nil {
		return true, remedy.Prefix(v.setting, err)
	}
	v.contents = digests
	return true, nil
}

// stale reports whether the files look different from when they were read, or were so
// young then that they could have changed since.
func (v *Value) stale() bool {
	if len(v.seen) != len(v.paths) {
		return true
	}
	for i, path := range v.paths {
		now, err := os.Stat(path)
		if err != nil || !v.seen[i].Is(durable.VersionOf(now)) || v.at.Sub(now.ModTime()) < unsettled {
			return true
		}
	}
	return false
}

// refresh reads the files again if need be. It says once what it finds.
func (v *Value) refresh(log *slog.Logger) {
	if !v.stale() {
		return
	}
	before := v.broken.Load()
	changed, err := v.read()
	switch {
	case err != nil:
		why := err.Error()
		v.seen = nil // looked at again, because the next state may look the same
		if before == nil || *before != why {
			log.Error("a changed file is not used; what it held before stays in force", "setting", v.setting, "err", err)
		}
		v.broken.Store(&why)
	case changed || before != nil:
		v.broken.Store(nil)
		log.Info("a changed file is in force", "setting", v.setting)
	}
}

// Values are looked after by one goroutine.
type Values []*Value

// Load reads all of them and reports every mistake at once.
func (all Values) Load() error {
	var errs []error
	for _, v := range all {
		errs = append(errs, v.Load())
	}
	return errors.Join(errs...)
}

// Watch checks the files until ctx ends, and calls after each look what may only be judged
// of several values together; nil: nothing. What is received from again has them read at once, changed or
// not; nil: nothing does. Nothing is looked at where there are no files.
func (all Values) Watch(ctx context.Context, log *slog.Logger, again <-chan struct{}, after func()) {
	if len(all) == 0 {
		return
	}
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-again:
			for _, v := range all {
				v.seen = nil
			}
		case <-ctx.Done():
			return
		}
		for _, v := range all {
			v.refresh(log)
		}
		if after != nil {
			after()
		}
	}
}

// Broken says, a line each, which files are not in force as they are now; empty when all are.
// It is safe for concurrent use.
func (all Values) Broken() string {
	var lines []string
	for _, v := range all {
		if why := v.broken.Load(); why != nil {
			lines = append(lines, *why)
		}
	}
	return strings.Join(lines, "\n")
}

// readOwned reads a file that decides who may do what, and that can be read again.
func readOwned(path string, largest int) ([]byte, fs.FileInfo, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, remedy.New("give the path of one", "%s is no file", path)
	}
	b, info, err := readfile.Owned(path, int64(largest))
	if errors.As(err, new(*fs.PathError)) {
		err = fmt.Errorf("the file cannot be read: %w", err)
	}
	return b, info, err
}
