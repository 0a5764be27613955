package main

import (
	"crypto/rand"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"evergate/internal/clientenv"
	"evergate/internal/config"
	"evergate/internal/readfile"
	"evergate/internal/systemd"
	"evergate/internal/token"
)

// childEnv are what a command finds that `run` starts.
type childEnv struct {
	environ []string
	dir     string // of files that environ names, which are removed with it; empty: none
}

func (s childEnv) remove() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// target is what a command is pointed at.
type target struct {
	url   string                 // for tools
	key   token.Secret           // that the command shows; empty: none
	shop  string                 // its domain; empty: there are several
	meant bool                   // the command line names it
	roots func() ([]byte, error) // of the local CA; nil: no forward proxy is offered
}

// newChildEnv makes the environment of a command that is to call a sidecar: no secrets of ours, and whatever
// leads programs there.
func newChildEnv(environ []string, to target, log *slog.Logger) (s childEnv, err error) {
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	getenv := config.Getenv(environ)
	o := clientenv.Options{
		URL: to.url, Shop: to.shop, ShopMeant: to.meant, ClientID: getenv("SHOPIFY_CLIENT_ID"), Environ: commandEnviron(environ), Read: readBounded, Nonce: rand.Text(),
	}
	if to.roots != nil {
		if o.Proxy = proxyOf(to.url, to.key); o.Proxy == "" {
			log.Info("the command gets EVERGATE_URL alone: a forward proxy needs an address without TLS in EVERGATE_LISTEN")
		}
	}
	if o.Proxy != "" {
		if o.Roots, err = to.roots(); err != nil {
			return s, err
		}
		if s.dir, err = privateDir(getenv); err != nil {
			return s, err
		}
		o.Dir, o.System = s.dir, systemRoots()
	}
	e, err := clientenv.For(o)
	if err != nil {
		return s, err
	}
	for _, note := range e.Notes {
		log.Warn("the environment of the command", "note", note)
	}
	if err := e.WriteFiles(s.dir, 0o600); err != nil {
		return s, err
	}
	s.environ = e.Apply(o.Environ)
	return s, nil
}

// proxyOf is the address of the forward proxy at an address for tools; empty: there is none. Some programs send no
// credentials unless both a user and a password are given.
func proxyOf(tools string, key token.Secret) string {
	u, err := url.Parse(tools)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	if !key.Empty() {
		u.User = url.UserPassword(key.Reveal(), "x")
	}
	return u.String()
}

// privateDir makes a directory that ends with the command, in memory where the system has a place for that.
func privateDir(getenv func(string) string) (dir string, err error) {
	const pattern = "evergate-run-"
	if base := getenv("XDG_RUNTIME_DIR"); base != "" {
		if dir, err = os.MkdirTemp(base, pattern); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp(getenv("TMPDIR"), pattern)
}

// largestRead bounds what is read of a file that somebody's environment names.
const largestRead = 4 << 20

func readBounded(path string) ([]byte, error) { return readfile.Read(path, largestRead) }

// systemRoots are the certificates that this machine trusts; empty where they are not in a file.
func systemRoots() []byte {
	for _, path := range clientenv.SystemFiles() {
		if text, err := readBounded(path); err == nil {
			return text
		}
	}
	return nil
}

// isShopifySecret knows the names that Shopify's own templates, and others, use for the same secrets.
func isShopifySecret(name string) bool {
	return strings.HasPrefix(name, "SHOPIFY_") && (strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") || strings.Contains(name, "PASSWORD"))
}

// shortestSecret is the length below which a value is not looked for elsewhere: it could stand there by chance.
const shortestSecret = 16

// commandEnviron is the environment without our secrets, by whatever name: a value that is one is left out as well.
func commandEnviron(environ []string) []string {
	names := config.SecretNames()
	isSecret := func(name string) bool { return slices.Contains(names, name) || isShopifySecret(name) }
	var values []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if value = strings.TrimSpace(value); isSecret(name) && !strings.HasSuffix(name, "_FILE") && name != "EVERGATE_UPSTREAM_PROXY" && len(value) >= shortestSecret {
			values = append(values, value)
		}
	}
	return slices.DeleteFunc(systemd.Strip(environ), func(e string) bool {
		name, value, _ := strings.Cut(e, "=")
		return isSecret(name) || name == config.URLVariable || slices.ContainsFunc(values, func(secret string) bool { return strings.Contains(value, secret) })
	})
}
