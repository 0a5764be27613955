package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"evergate/internal/remedy"
	"evergate/internal/spelling"
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

// strangeCredentials looks for credentials that nothing reads because of their names. One that must have been meant for
// a setting is a mistake if that setting is given in no other way: it would be missing, or silently without effect.
// Others are a warning if the directory that a unit loads as a whole has them, which is Evergate's alone. Beside it a
// unit may have credentials for its own ends. It is for after takeFiles, which notes what has been read.
func (c *Config) strangeCredentials(vars map[string]string) (errs []error) {
	entries, err := os.ReadDir(vars["CREDENTIALS_DIRECTORY"])
	if err != nil {
		return nil // there is none, or only names that are known can be opened, and those have been
	}
	named := slices.Collect(maps.Values(vars))
	for _, entry := range entries {
		name, ours := strings.CutPrefix(entry.Name(), credentialPrefix)
		path := filepath.Join(vars["CREDENTIALS_DIRECTORY"], entry.Name())
		if readsCredential(name) || slices.ContainsFunc(named, func(value string) bool { return strings.Contains(value, path) }) {
			continue
		}
		meant := credentialMeant(name)
		switch {
		case known(name) && meant == "":
			c.Warnings = append(c.Warnings, remedy.New("set it in the environment", "%s is not read from a credential, which is for secrets", name))
		case meant != "" && vars[meant] == "":
			errs = append(errs, remedy.New("did you mean "+meant+"?", "the credential %q has the name of no secret", name))
		case meant != "":
			c.Warnings = append(c.Warnings, remedy.New("remove it, since there is "+meant, "the credential %q is not read", name))
		case ours:
			c.Warnings = append(c.Warnings, remedy.New("name it after its setting, for example SHOPIFY_CLIENT_SECRET, or remove it", "the credential %q has the name of no secret, and is not read", name))
		}
	}
	return errs
}

func readsCredential(name string) bool {
	return slices.ContainsFunc(settings(), func(s setting) bool { return s.hasFile() && s.name == name })
}

// credentialMeant guesses which setting a file is for that has the name of none: the letters' case, what stands between
// words, what editors add, a prefix that is missing and a few wrong letters are forgiven. Empty for a stranger.
func credentialMeant(name string) string {
	base := strings.ToUpper(strings.Trim(name, ".#~"))
	base, _, _ = strings.Cut(base, ".") // .txt, .bak, .swp
	base = strings.TrimSuffix(strings.NewReplacer("-", "_", " ", "_").Replace(base), "_FILE")
	var names []string
	for _, s := range settings() {
		if !s.hasFile() {
			continue
		}
		if short := strings.TrimPrefix(strings.TrimPrefix(s.name, "SHOPIFY_"), "EVERGATE_"); base == s.name || base == short {
			return s.name
		}
		names = append(names, s.name)
	}
	for _, prefix := range []string{"", "SHOPIFY_", "EVERGATE_"} {
		if near := spelling.Nearest(prefix+base, names, 3); near != "" && strings.HasPrefix(near, prefix) && len(base) > 5 {
			return near
		}
	}
	return ""
}
