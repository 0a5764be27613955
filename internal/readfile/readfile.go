// Package readfile reads files that are not our own: those that a setting or a command line names, and those of the system.
// Whatever lies there, it ends: nothing is waited for for ever, and nothing is read that is larger than it can be.
//
// Invariants:
//
//   - A device, a directory and a socket are refused and never opened; opening never waits for another process.
//   - What Owned returns was read from a file that nobody but root and the user of this process owns, can write or can
//     replace, as sshd does with its keys: whoever else could would let himself in.
package readfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"evergate/internal/plain"
	"evergate/internal/remedy"
)

const (
	// patience is how long a file system, or whoever writes into a pipe, may take in all.
	patience = 10 * time.Second
	// forWriter is how long a named pipe is waited for into which nobody writes yet.
	forWriter = 2 * time.Second
	// lookAgain is how soon it is looked for such a writer again.
	lookAgain = 20 * time.Millisecond
)

// Read returns what is at path, if that is a file of at most most bytes, or a pipe through which somebody sends no more. Its
// errors name the path.
func Read(path string, most int64) ([]byte, error) {
	text, _, err := readInTime(path, most, func(fs.FileInfo) error { return nil })
	return text, err
}

// Owned is Read for a file that decides who may do what, or who is believed: one that others could write or replace is
// refused. All of them are text, which is returned without the byte order mark that some editors write; UTF-16 is
// refused. The info is that of what was read.
func Owned(path string, most int64) ([]byte, fs.FileInfo, error) {
	text, info, err := readInTime(path, most, func(info fs.FileInfo) error { return checkOwned(path, info) })
	switch {
	case err != nil:
		return nil, nil, err
	case plain.IsUTF16(string(text[:min(len(text), 1<<10)])):
		return nil, nil, remedy.New("save it as UTF-8", "%s is UTF-16 text", path)
	}
	for bytes.HasPrefix(text, []byte(plain.Mark)) { // two files put together have two
		text = text[len(plain.Mark):]
	}
	return text, info, nil
}

// checkOwned refuses a file that others can write, or could have put there.
func checkOwned(path string, info fs.FileInfo) error {
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o022 != 0 { // the mode says nothing there
		return remedy.New(fmt.Sprintf("chmod go-w %s", path), "%s can be written by others than its owner (mode %#o), who could let themselves in", path, info.Mode().Perm())
	}
	return checkWay(path)
}

// readInTime reads what judge accepts once it is open.
func readInTime(path string, most int64, judge func(fs.FileInfo) error) ([]byte, fs.FileInfo, error) {
	type read struct {
		text []byte
		info fs.FileInfo
		err  error
	}
	done := make(chan read, 1) // nobody may be left to take it
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	go func() {
		text, info, err := readKind(ctx, path, most, judge)
		done <- read{text, info, err}
	}()
	late := time.NewTimer(patience + time.Second) // the file system itself does not answer
	defer late.Stop()
	select {
	case r := <-done:
		return r.text, r.info, r.err
	case <-late.C:
		return nil, nil, remedy.New("see whether the file system or mount that it is on is well", "%s could not be read within %s", path, patience)
	}
}

// IsStream reports whether what is at path can be read, but once only, such as a pipe.
func IsStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.Mode()&fs.ModeNamedPipe != 0 || isStandardInput(info))
}

func readKind(ctx context.Context, path string, most int64, judge func(fs.FileInfo) error) ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(path) //nolint:gosec // G703: the operator names the file
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		return nil, nil, &fs.PathError{Op: "open", Path: failed.Path, Err: failed.Err} // what people know
	} else if err != nil {
		return nil, nil, err
	}
	mode := info.Mode()
	switch {
	case mode.IsRegular() && info.Size() > most:
		return nil, nil, tooLarge(path, most)
	case mode.IsRegular(), mode&fs.ModeNamedPipe != 0:
	case isStandardInput(info): // a terminal, at which somebody types
	default:
		return nil, nil, remedy.New("give the path of a file", "%s is %s, and no file", path, kind(mode))
	}
	return readAll(ctx, path, most, judge)
}

// readAll reads what may be a pipe, or may have become one since it was looked at.
func readAll(ctx context.Context, path string, most int64, judge func(fs.FileInfo) error) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|withoutWaiting, 0) //nolint:gosec // G703: as above
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err == nil {
		err = judge(info)
	}
	if err != nil {
		return nil, nil, err
	}
	if by, ok := ctx.Deadline(); ok {
		_ = f.SetReadDeadline(by) // a file has none
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if len(text) == 0 && err == nil {
		text, err = awaitWriter(ctx, f, path, most)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil, remedy.New("see why whoever writes into it does not end", "%s did not end within %s", path, patience)
	case err != nil:
		return nil, nil, err
	case int64(len(text)) > most:
		return nil, nil, tooLarge(path, most)
	}
	return text, info, nil
}

// awaitWriter waits for what comes through a named pipe that was opened before its writer was there. Of any other file it
// returns nothing: it is empty.
func awaitWriter(ctx context.Context, f *os.File, path string, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return nil, err
	}
	if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, "pipe:") {
		return nil, nil // it has no name by which a writer could yet come
	}
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	ctx, stop := context.WithTimeout(ctx, forWriter)
	defer stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, remedy.New("give the path of a file, or start what writes into the pipe before", "%s is a named pipe, and nobody writes into it", path)
		}
		if text, err := io.ReadAll(io.LimitReader(f, most+1)); len(text) > 0 || err != nil {
			return text, err
		}
	}
}

func tooLarge(path string, most int64) error {
	return remedy.New("give the path of another file", "%s is larger than %d bytes: it is not what it should be", path, most)
}

// isStandardInput reports whether it is what this process has as its standard input.
func isStandardInput(info fs.FileInfo) bool {
	in, err := os.Stdin.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0 && os.SameFile(in, info)
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return fmt.Sprintf("something else (%s)", m.Type())
}
