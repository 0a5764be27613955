package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often the files are looked at. It is off the request path.
	lookEvery = 2 * time.Second
	// unsettled is how young a file may be when it is read and still change without a trace:
	// some file systems keep time in seconds.
	unsettled = 3 * time.Second
	// largestFile bounds what is read of a file.
	largestFile = 1 << 20
)

// filed is a setting whose value rests in files and is taken anew when they change. One
// goroutine reads it; what take swaps in is for everybody.
type filed struct {
	setting string
	paths   []string
	// take makes the contents effective, or says what is wrong with them and changes nothing.
	take func(contents [][]byte) error

	contents [][]byte // that are in force
	seen     []fs.FileInfo
	at       time.Time
	// broken is why the newest contents are not in force; nil when they are.
	broken atomic.Pointer[string]
}

// read reads the files and reports whether they have changed.
func (f *filed) read() (changed bool, _ error) {
	f.at = time.Now()
	var contents [][]byte
	var seen []fs.FileInfo
	for _, path := range f.paths {
		b, info, err := readSafely(path)
		if err != nil {
			return f.seen != nil, each(f.setting, err)
		}
		contents, seen = append(contents, b), append(seen, info)
	}
	f.seen = seen
	if f.contents != nil && slices.EqualFunc(f.contents, contents, bytes.Equal) {
		return false, nil
	}
	if err := f.take(contents); err != nil {
		return true, each(f.setting, err)
	}
	f.contents = contents
	return true, nil
}

// each puts the setting in front of every mistake, because they are shown apart.
func each(setting string, err error) error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var errs []error
	for _, e := range all {
		errs = append(errs, fmt.Errorf("%s: %w", setting, e))
	}
	return errors.Join(errs...)
}

// stale reports whether the files look different from when they were read, or were so
// young then that they could have changed since.
func (f *filed) stale() bool {
	if len(f.seen) != len(f.paths) {
		return true
	}
	for i, path := range f.paths {
		now, err := os.Stat(path)
		before := f.seen[i]
		if err != nil || !os.SameFile(now, before) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) ||
			now.Mode() != before.Mode() || f.at.Sub(now.ModTime()) < unsettled {
			return true
		}
	}
	return false
}

// look reads the files again if need be. It says once what it finds.
func (f *filed) look(log *slog.Logger) {
	if !f.stale() {
		return
	}
	before := f.broken.Load()
	changed, err := f.read()
	switch {
	case err != nil:
		why := err.Error()
		f.seen = nil // looked at again, because the next state may look the same
		if before == nil || *before != why {
			log.Error("a changed file is not used; what it held before stays in force", "setting", f.setting, "err", err)
		}
		f.broken.Store(&why)
	case changed || before != nil:
		f.broken.Store(nil)
		log.Info("a changed file is in force", "setting", f.setting)
	}
}

// readSafely reads a file that decides who may do what. As sshd does with its keys, it
// takes none that others can write: they could let themselves in.
func readSafely(path string) ([]byte, fs.FileInfo, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // to open a pipe would wait for a writer
		return nil, nil, fmt.Errorf("%s is no file: give the path of one", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the file cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the file cannot be read: %w", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0: // the mode says nothing there
		return nil, nil, fmt.Errorf("%s can be written by others than its owner (mode %#o), who could let themselves in: chmod go-w %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the file cannot be read: %w", err)
	case len(b) > largestFile:
		return nil, nil, fmt.Errorf("%s is larger than 1 MiB: it is not what it should be", path)
	}
	return b, info, nil
}

// Watch looks after the files until ctx ends. Nothing is looked at where there are none.
func (a *Access) Watch(ctx context.Context, log *slog.Logger) {
	if len(a.files) == 0 {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, f := range a.files {
			f.look(log)
		}
		a.lookForStrays(log)
	}
}

// lookForStrays says once what only two files together can have wrong.
func (a *Access) lookForStrays(log *slog.Logger) {
	err := a.strayPolicies()
	if err == nil {
		a.strays.Store(nil)
		return
	}
	why := err.Error()
	if before := a.strays.Load(); before == nil || *before != why {
		log.Error("a key names a policy that is not there; its requests are refused", "err", err)
	}
	a.strays.Store(&why)
}

// Broken says which files are not in force as they are now; empty when all are.
func (a *Access) Broken() string {
	var all []string
	for _, f := range a.files {
		if why := f.broken.Load(); why != nil {
			all = append(all, *why)
		}
	}
	if why := a.strays.Load(); why != nil {
		all = append(all, *why)
	}
	return strings.Join(all, "\n")
}
