package pgstore

import (
	"net/url"
	"os"

	"evergate/internal/readfile"
	"evergate/internal/remedy"
)

// largestFile bounds in bytes what may be in a file that the address names.
const largestFile = 4 << 20

// checkFiles looks at the files that the address or the environment names before pgconn does, which would wait for a pipe
// for ever and take certificates whosever they are.
func checkFiles(address string, getenv func(string) string) error {
	u, err := url.Parse(address)
	if err != nil {
		return nil //nolint:nilerr // pgconn says it
	}
	for _, f := range [...]struct {
		name, env string
		trusted   bool // says who is believed, or who we are
	}{{"sslrootcert", "PGSSLROOTCERT", true}, {"sslcert", "PGSSLCERT", true}, {"sslkey", "PGSSLKEY", true}, {"passfile", "PGPASSFILE", false}, {"servicefile", "PGSERVICEFILE", false}} {
		said, path := "EVERGATE_STORE, "+f.name, u.Query().Get(f.name)
		if path == "" {
			said, path = f.env, getenv(f.env)
		}
		if path == "" || path == "system" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			continue // some may be missing, and pgconn knows which
		}
		if f.trusted {
			_, _, err = readfile.Owned(path, largestFile)
		} else {
			_, err = readfile.Read(path, largestFile)
		}
		if err != nil {
			return remedy.Prefix(said, err)
		}
	}
	return nil
}
