package localca

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/durable"
	"evergate/internal/remedy"
)

// folder is a directory with authorities:
//
//	authority-HASH.pem   a root, the issuer it signed, and the issuer's key
//	.lock                locked while one is made
//	.authority-*.tmp     one that is being written; only under the lock
type folder struct {
	dir durable.Dir
}

const (
	filePrefix = "authority-"
	fileSuffix = ".pem"
	tempPrefix = "." + filePrefix
	tempSuffix = ".tmp"
	maxFile    = 64 << 10
)

func newFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path) // a later chdir changes nothing
	if err != nil {
		return nil, fmt.Errorf("the local CA's directory: %w", err)
	}
	return &folder{durable.Dir{Path: path, Name: "the local CA's directory", Setting: "EVERGATE_CA_DIR"}}, nil
}

// read returns all that is there. With an error it returns what is right beside what is wrong.
func (f *folder) read() ([]*generation, error) {
	err := f.dir.Check()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(f.dir.Path)
	}
	if err != nil {
		if _, remedied := remedy.Split(err); remedied != "" {
			return nil, err
		}
		return nil, remedy.New("make it readable for the user that runs Evergate, or name another one in EVERGATE_CA_DIR", "the local CA cannot be read: %w", err)
	}
	var all []*generation
	var errs []error
	for _, e := range entries {
		if !isAuthority(e.Name()) {
			continue
		}
		g, err := readFile(filepath.Join(f.dir.Path, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody has removed it meanwhile
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, g)
	}
	return all, errors.Join(errs...)
}

func readFile(path string) (*generation, error) {
	f, err := durable.OpenRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrPermission) {
		return nil, remedy.New("make it readable for the user that runs Evergate", "the local CA cannot be read: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := durable.CheckFile(path, info); err != nil {
		return nil, fmt.Errorf("who has the key of the local CA can pass for Shopify to those who trust it: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, remedy.New("make it readable for the user that runs Evergate", "the local CA cannot be read: %w", err)
	}
	g, err := decode(content)
	if err != nil {
		return nil, remedy.New("remove it, and have clients trust the one that is made in its place", "%s cannot be used as a local CA: %w", path, err)
	}
	return g, nil
}

// usable are those that have begun and have not ended.
func usable(all []*generation) []*generation {
	var begun []*generation
	for _, g := range living(all) {
		if !time.Now().Before(g.issuer.NotBefore) {
			begun = append(begun, g)
		}
	}
	return begun
}

// renew reads what there is and makes an authority if there is none, or none that will last. What can
// be used is returned with an error, too.
func (f *folder) renew() ([]*generation, error) {
	all, err := f.read()
	if !wanting(living(all)) || err != nil && len(all) == 0 {
		return usable(all), err
	}
	made, failed := f.make()
	if failed != nil {
		return usable(all), errors.Join(err, failed)
	}
	return usable(made), err
}

// make adds an authority, unless another process has done so, and returns all.
func (f *folder) make() ([]*generation, error) {
	if err := f.dir.Open(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	unlock, err := durable.Lock(ctx, filepath.Join(f.dir.Path, ".lock"))
	if err != nil {
		return nil, f.unwritable(err)
	}
	defer unlock()
	all, err := f.read()
	if !wanting(living(all)) {
		return all, nil
	}
	if err != nil && len(living(all)) == 0 {
		return nil, err
	}
	if err := f.sweep(); err != nil {
		return nil, f.unwritable(err)
	}
	g, err := newGeneration()
	if err != nil {
		return nil, err
	}
	content, err := g.encode()
	if err != nil {
		return nil, err
	}
	if err := durable.Write(filepath.Join(f.dir.Path, g.file()), tempPrefix+"*"+tempSuffix, content); err != nil {
		return nil, f.unwritable(err)
	}
	return append(all, g), nil
}

func (f *folder) unwritable(err error) error {
	if _, remedied := remedy.Split(err); remedied != "" {
		return err
	}
	return remedy.New(fmt.Sprintf("see that %s is writable and has space, or name another one in EVERGATE_CA_DIR", f.dir.Path), "the local CA cannot be written: %w", err)
}

// file is the name of the generation's file.
func (g *generation) file() string {
	sum := Fingerprint(g.root)
	return filePrefix + hex.EncodeToString(sum[:8]) + fileSuffix
}

// remove removes all that is ours.
func (f *folder) remove() (dir string, err error) {
	if err := f.dir.Check(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock := filepath.Join(f.dir.Path, ".lock")
	unlock, err := durable.Lock(ctx, lock)
	if err != nil {
		return "", f.unwritable(err)
	}
	defer unlock()
	entries, err := os.ReadDir(f.dir.Path)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if isAuthority(e.Name()) || isTemp(e.Name()) {
			if err := os.Remove(filepath.Join(f.dir.Path, e.Name())); err != nil {
				return "", f.unwritable(err)
			}
		}
	}
	// Whoever waits for the lock of a file that is gone makes its authority in a directory that is gone, and says so.
	_ = os.Remove(lock)
	_ = os.Remove(f.dir.Path) // what is left is somebody else's
	return f.dir.Path, nil
}

func isAuthority(name string) bool {
	return strings.HasPrefix(name, filePrefix) && strings.HasSuffix(name, fileSuffix)
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// sweep removes, under the lock, what a process left that died while it was writing, and authorities
// that have ended.
func (f *folder) sweep() error {
	entries, err := os.ReadDir(f.dir.Path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(f.dir.Path, e.Name())
		switch {
		case isTemp(e.Name()):
		case isAuthority(e.Name()):
			if g, err := readFile(path); err != nil || len(living([]*generation{g})) > 0 {
				continue
			}
		default:
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
