// Package store is where a grant rests between refreshes and between processes: one
// record per shop, in memory or in a file.
//
// Invariants:
//
//   - A record is replaced as a whole and only by compare-and-swap: of any number of
//     writers that start from one state, one wins. A reader sees the record before or
//     the record after, never a mixture.
//   - When Swap returns nil, the record survives the death of the process and of the
//     machine (except for memory). When it fails, the record before is intact; only where
//     the system would not confirm that the new one is durable, that one is stored.
//   - What cannot be read is never overwritten: a damaged record, one of a newer
//     Evergate, one that is encrypted with a key we do not have.
//   - A handle never comes back: equal records that were stored at different times have
//     different handles.
//   - No error contains a secret or a piece of what is stored.
package store

import (
	"errors"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"evergate/internal/envelope"
	"evergate/internal/kubestore"
	"evergate/internal/pgstore"
	"evergate/internal/redisstore"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Valid reports what is wrong with a value of EVERGATE_STORE, without opening anything. The
// value is not repeated, because that of a database may hold a password.
func Valid(spec string) error {
	scheme, rest, ok := strings.Cut(spec, ":")
	switch {
	case pgstore.Is(spec):
		return pgstore.Valid(spec)
	case !ok:
		return remedy.New("give memory: or file:DIR, for example file:/var/lib/evergate, kubernetes:NAMESPACE, postgres://HOST/DATABASE, or redis://HOST:PORT", "EVERGATE_STORE has no scheme")
	case scheme == "memory" && rest == "", scheme == "file":
		return nil
	case scheme == "memory":
		return errors.New("EVERGATE_STORE: memory: takes nothing after the colon")
	case scheme == "kubernetes":
		return kubestore.Valid(rest)
	case isRedis(scheme):
		return redisstore.Valid(spec)
	}
	return remedy.New("give memory: or file:DIR, for example file:/var/lib/evergate, kubernetes:NAMESPACE, postgres://HOST/DATABASE, or redis://HOST:PORT", "EVERGATE_STORE has an unknown scheme")
}

func isRedis(scheme string) bool { return scheme == "redis" || scheme == "rediss" }

// IsShared reports a store that other machines read: what rests there is always encrypted.
func IsShared(spec string) bool {
	scheme, _, _ := strings.Cut(spec, ":")
	return slices.Contains([]string{"redis", "rediss", "postgres", "postgresql", "kubernetes"}, scheme)
}

// Shown is a value of EVERGATE_STORE without what is secret in it.
func Shown(spec string) string {
	if scheme, _, _ := strings.Cut(spec, ":"); isRedis(scheme) {
		return redisstore.Shown(spec)
	}
	switch u, err := url.Parse(spec); {
	case err != nil:
		scheme, _, _ := strings.Cut(spec, ":")
		return scheme + ":"
	case u.Host != "":
		return u.Redacted()
	}
	return spec
}

// OpenBackend opens what o.Spec names: "memory:", "file:DIR", "file:" for DefaultDir, "kubernetes:NAMESPACE", or the URL of a PostgreSQL
// database or of a Redis. It touches nothing yet.
func OpenBackend(o Options) (token.Backend, error) {
	if err := Valid(o.Spec); err != nil {
		return nil, err
	}
	scheme, rest, _ := strings.Cut(o.Spec, ":")
	switch scheme {
	case "memory":
		return &memoryBackend{shops: map[token.Shop]*MemoryStore{}, watchers: map[*func(string)]bool{}}, nil
	case "postgres", "postgresql":
		return openPostgres(o)
	case "redis", "rediss":
		return openRedis(o)
	case "kubernetes":
		return kubestore.Open(kubestore.Options{Rest: rest, Keys: o.Keys, Getenv: o.Getenv})
	}
	return openFileBackend(rest, o.Keys, o.Getenv)
}

func openPostgres(o Options) (token.Backend, error) {
	b, err := pgstore.Open(pgstore.Options{URL: o.Spec, Layout: o.Layout, Keys: o.Keys, ClientID: o.ClientID})
	if err != nil {
		return nil, err // not b: a nil *Backend must not become a token.Backend
	}
	return b, nil
}

func openRedis(o Options) (token.Backend, error) {
	b, err := redisstore.Open(o.Spec, o.Keys)
	if err != nil {
		return nil, err // as above
	}
	return b, nil
}

// Same reports whether two backends are one place, whose records are the same. Of one that is named in two ways it may not know.
func Same(a, b token.Backend) bool {
	one, known := a.(interface{ Place() string })
	other, alsoKnown := b.(interface{ Place() string })
	return known && alsoKnown && one.Place() == other.Place()
}

// Missing says that a place is not there, of those that are made for the first grant.
func Missing(b token.Backend) error {
	if f, ok := b.(*fileBackend); ok {
		return f.missing()
	}
	return nil
}

// Open is OpenBackend for the record of one shop.
func Open(spec string, shop token.Shop, keys envelope.Keys, getenv func(string) string) (token.Store, error) {
	b, err := OpenBackend(Options{Spec: spec, Keys: keys, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	return b.Shop(shop)
}

// fileDir is the directory that file:rest names.
func fileDir(rest string, getenv func(string) string) (string, error) {
	if rest == "" {
		return DefaultDir(getenv)
	}
	if path, ok := strings.CutPrefix(rest, "//"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", errors.New("EVERGATE_STORE: file:// needs an absolute path, for example file:///var/lib/evergate")
		}
		rest = path
	}
	if rest == "~" || strings.HasPrefix(rest, "~/") {
		return "", remedy.New("write the directory in full", "EVERGATE_STORE: a ~ after file: is not expanded")
	}
	return rest, nil
}

// DefaultDir is where a file store lies when nobody says where: the directory systemd
// made for the service, else the user's directory for state.
func DefaultDir(getenv func(string) string) (string, error) {
	return defaultDir(runtime.GOOS, getenv)
}

func defaultDir(goos string, getenv func(string) string) (string, error) {
	if goos == "windows" {
		if dir := getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "evergate"), nil
		}
		return "", remedy.New("set EVERGATE_STORE=file:DIR", "there is no directory to keep the grant in, because %%LocalAppData%% is not set")
	}
	// systemd gives one path for each name in StateDirectory=, joined by colons.
	if dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir, nil
	}
	// The XDG specification has relative paths ignored.
	if dir := getenv("XDG_STATE_HOME"); strings.HasPrefix(dir, "/") {
		return filepath.Join(dir, "evergate"), nil
	}
	if dir := getenv("HOME"); strings.HasPrefix(dir, "/") {
		return filepath.Join(dir, ".local", "state", "evergate"), nil
	}
	return "", remedy.New("set EVERGATE_STORE=file:DIR", "there is no directory to keep the grant in, because none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set")
}
