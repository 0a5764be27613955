package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/durable"
	"evergate/internal/remedy"
)

// directory is how a file store's directory is opened and spoken of.
func directory(path string) durable.Dir {
	return durable.Dir{Path: path, Name: "the store's directory", Setting: "EVERGATE_STORE=file:DIR"}
}

// sweep removes what a process left that died while it was writing. If somebody is writing
// right now, it is left to the next start.
func (s *FileStore) sweep() error {
	unlock, ok, err := durable.TryLock(s.path(".lock"))
	if err != nil {
		err = unreadable(err)
		if _, remedied := remedy.Split(err); remedied != "" {
			return err
		}
		return remedy.New(fmt.Sprintf("see that %s is writable and has space", s.dir), "the store's directory cannot be written to: %w", err)
	}
	if !ok {
		return nil
	}
	defer unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("the store's directory cannot be listed: %w", err)
	}
	for _, e := range entries {
		// Only what our own pattern matches, and only this shop's: the lock is this shop's.
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), s.tempPrefix()) && strings.HasSuffix(e.Name(), tempSuffix) {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("a file that an earlier process left cannot be removed: %w", err)
			}
		}
	}
	return nil
}

const tempSuffix = ".tmp"

func (s *FileStore) tempPrefix() string { return "." + s.codec.Shop.Domain() + "." }

// writeTemp writes content to a new file beside the record and makes it durable.
func (s *FileStore) writeTemp(content []byte) (path string, err error) {
	return durable.WriteTemp(s.dir, s.tempPrefix()+"*"+tempSuffix, content) // what fails here, the next open removes
}
