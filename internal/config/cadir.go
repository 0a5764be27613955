package config

import (
	"path/filepath"
	"strings"

	"evergate/internal/remedy"
	"evergate/internal/store"
)

// CheckCADir refuses in EVERGATE_CA_DIR what looks like something else than a directory.
func (c *Config) CheckCADir() error {
	switch scheme, rest, _ := strings.Cut(c.CADir, ":"); {
	case c.CADir == "~" || strings.HasPrefix(c.CADir, "~/"):
		return remedy.New("write the directory in full", "EVERGATE_CA_DIR: a ~ is not expanded")
	case scheme == "memory" && c.CADir != "memory:":
		return remedy.New("write memory: with nothing after the colon, or ./memory for a directory of that name", "EVERGATE_CA_DIR=%q", c.CADir)
	case scheme == "file":
		return remedy.New("write "+rest+", without file:", "EVERGATE_CA_DIR=%q", c.CADir)
	}
	return nil
}

// CAPlace is where the local CA rests: a directory, or memory:. The error says that there is no place unless it is
// set.
func (c *Config) CAPlace(getenv func(string) string) (string, error) {
	if c.CADir != "" {
		return c.CADir, nil
	}
	dir, err := store.DefaultDir(getenv)
	if err != nil {
		why, _ := remedy.Split(err)
		return "", remedy.New("set EVERGATE_CA_DIR to a directory, or to memory:", "%s", strings.Replace(why, "the grant", "the local CA", 1))
	}
	return filepath.Join(dir, "ca"), nil
}
