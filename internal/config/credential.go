package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"evergate/internal/remedy"
)

// credentialPrefix is what systemd puts before the names of files when a unit loads a whole
// directory of credentials with LoadCredential=evergate:DIRECTORY.
const credentialPrefix = "evergate_"

// credentialFile returns the file of the systemd credential that has a setting's name; empty if
// there is none. The directory belongs to this service alone and is never written to disk.
func credentialFile(vars map[string]string, name string) (path string, err error) {
	dir := vars["CREDENTIALS_DIRECTORY"]
	if dir == "" {
		return "", nil
	}
	var found []string
	for _, file := range []string{name, credentialPrefix + name} {
		path := filepath.Join(dir, file)
		switch _, err := os.Stat(path); {
		case err == nil:
			found = append(found, path)
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("the credential %s cannot be read: %w", file, err)
		}
	}
	switch {
	case len(found) == 0:
		return "", nil
	case len(found) == 2:
		return "", remedy.New("keep one", "the credentials %s and %s%s are both there", name, credentialPrefix, name)
	case vars[name] != "":
		return "", remedy.New("keep one", "%s is set, and there is a credential of that name", name)
	}
	return found[0], nil
}
