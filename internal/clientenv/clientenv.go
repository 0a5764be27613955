// Package clientenv says what a program needs in its environment so that its calls to Shopify go through
// Evergate, although it knows nothing of Evergate.
//
// Invariants:
//
//   - It sets what it has to and keeps what it finds: what a variable named before is merged with what is ours,
//     and whatever has to be replaced or left out is said in a note.
//   - No program trusts a certificate that it did not trust before, but those of the local CA. Where a variable takes the place of a
//     program's roots, its file holds the roots that the program would have used, and ours.
//   - Nothing that it gives is a secret of the app's. What stands for one opens nothing.
//   - It reads nothing but by Options.Read, and writes nothing but by WriteFiles.
package clientenv

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// Options says what there is to point a program at, and what it has.
type Options struct {
	// URL is where tools call, for EVERGATE_URL.
	URL string
	// Proxy is the address of the forward proxy, as http://host:port, with a key as its user information where one is to be
	// shown; empty: the program gets URL alone.
	Proxy string
	// ShopMeant says that Shop takes the place of what the environment calls the shop.
	ShopMeant bool
	// Shop is the domain of the shop that is served; empty: several are, and none of them is meant.
	Shop string
	// ClientID is the app's client id, which is no secret; empty: something stands for it.
	ClientID string
	// Roots are the local CA's certificates as PEM; System are those that this machine trusts, and may be empty.
	Roots, System []byte
	// Environ is what the program inherits, without secrets.
	Environ []string
	// Dir is where the program will find the files: an absolute path.
	Dir string
	// Read reads a file that Environ names, or that is in its HOME; nil: there is none to read.
	Read func(path string) ([]byte, error)
	// Nonce is a value that nobody can foresee. It stands for the secret with which a program verifies what others send it: were
	// that known, whoever knows it could sign.
	Nonce string
}

// Variable is one of the environment.
type Variable struct{ Name, Value string }

// File is one below Options.Dir. Its name has slashes on every system.
type File struct {
	Name    string
	Content []byte
}

// Environment is what a program is to have.
type Environment struct {
	Set   []Variable
	Unset []string
	Files []File
	// Notes are for people: what had to be left out or replaced.
	Notes []string
}

// For returns the environment that o asks for.
func For(o Options) (Environment, error) {
	e := &builder{opt: o, bundles: map[string]string{}, read: map[string][][]byte{}}
	e.set("EVERGATE_URL", o.URL)
	if o.Proxy == "" {
		e.exemptSidecar()
		return e.env, nil
	}
	proxy, err := url.Parse(o.Proxy)
	if err != nil || proxy.Scheme != "http" || proxy.Port() == "" {
		return Environment{}, remedy.New("it has to be of the form http://host:port", "the address of the forward proxy is not usable")
	}
	if err := fitForFiles(o.Dir); err != nil {
		return Environment{}, err
	}
	e.roots, e.system = certificatesIn(o.Roots), certificatesIn(o.System)
	e.setProxy(proxy)
	e.setRoots()
	e.setWget()
	e.setPHP()
	if err := e.setJava(proxy); err != nil {
		return Environment{}, err
	}
	e.setPlaceholders()
	return e.env, nil
}

// Apply returns environ with what e sets and without what it removes.
func (e Environment) Apply(environ []string) []string {
	gone := func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(e.Unset, name) || slices.ContainsFunc(e.Set, func(v Variable) bool { return v.Name == name })
	}
	out := slices.DeleteFunc(slices.Clone(environ), gone)
	for _, v := range e.Set {
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}

// WriteFiles writes the files below dir, which exists.
func (e Environment) WriteFiles(dir string, mode os.FileMode) error {
	for _, f := range e.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), mode|mode&0o444>>2); err != nil {
			return err
		}
		if err := write(path, f.Content, mode); err != nil {
			return err
		}
	}
	return nil
}

// write puts a file in the place of one that a program may be reading.
func write(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	for _, step := range []func() error{func() error { return f.Chmod(mode) }, f.Close} {
		if failed := step(); err == nil {
			err = failed
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// builder collects an Environment.
type builder struct {
	opt Options
	env Environment
	// roots and system are the certificates in Options.
	roots, system [][]byte
	bundles       map[string]string   // variable whose file it is merged with → path; that of the system is called ""
	read          map[string][][]byte // variable → certificates in the file that it names
	// exempt is what is not to go through the proxy.
	exempt []string
}

func (e *builder) set(name, value string) {
	e.env.Set = append(e.env.Set, Variable{name, value})
}

func (e *builder) unset(name string) {
	if e.has(name) {
		e.env.Unset = append(e.env.Unset, name)
	}
}

func (e *builder) note(text string) { e.env.Notes = append(e.env.Notes, text) }

// get is a variable that the program inherits; of several of one name the last one counts, as in a shell.
func (e *builder) get(name string) string {
	for _, entry := range slices.Backward(e.opt.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (e *builder) has(name string) bool {
	return slices.ContainsFunc(e.opt.Environ, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
}

// add adds a file and returns the path under which the program finds it.
func (e *builder) add(name string, content []byte) string {
	e.env.Files = append(e.env.Files, File{name, content})
	return e.path(name)
}

// path is where the program finds a file.
func (e *builder) path(name string) string { return filepath.Join(e.opt.Dir, filepath.FromSlash(name)) }

// open reads a file that is named by what the program inherits.
func (e *builder) open(path string) ([]byte, error) {
	if e.opt.Read == nil {
		return nil, os.ErrNotExist
	}
	return e.opt.Read(path)
}

// fitForFiles refuses a path that some configuration file or list cannot hold.
func fitForFiles(dir string) error {
	if !filepath.IsAbs(dir) || strings.ContainsFunc(dir, func(r rune) bool {
		return r < ' ' || r == 0x7f || strings.ContainsRune(`'"$#;`, r) || r == os.PathListSeparator
	}) {
		return remedy.New("choose an absolute path without quotation marks, dollar signs, number signs, semicolons and colons", "the directory %q cannot be named in the settings of every program", dir)
	}
	return nil
}

// setPlaceholders gives what many programs refuse to start without. Evergate takes a token from no program and puts its own there.
func (e *builder) setPlaceholders() {
	id := e.opt.ClientID
	if id == "" {
		id = strings.Repeat("0", 32)
	}
	for _, p := range []struct {
		names []string
		value string
	}{
		{tokenNames, shopify.PlaceholderToken}, {secretNames, "placeholder-" + e.opt.Nonce}, {keyNames, id}, {shopNames, e.opt.Shop},
	} {
		for _, name := range p.names {
			meant := e.opt.ShopMeant && slices.Contains(shopNames, name)
			if p.value != "" && (e.get(name) == "" || meant || e.isShortForm(name)) {
				e.set(name, p.value)
			}
		}
	}
}

// isShortForm reports whether a variable is the setting of ours in which acme is enough for a shop. Programs make https://$SHOPIFY_SHOP of it, and
// need the whole domain. The other names are no settings of ours: whoever set them has a program that wants them so.
func (e *builder) isShortForm(name string) bool {
	if name != shopSetting {
		return false
	}
	shop, err := token.ParseShop(e.get(name))
	return err == nil && shop.Domain() == e.opt.Shop
}

// shopSetting is Evergate's own setting, and a name under which programs look for the shop.
const shopSetting = "SHOPIFY_SHOP"

// The names under which Shopify's templates and libraries, and others' programs, look for what they need.
var (
	tokenNames  = []string{"SHOPIFY_ACCESS_TOKEN", "SHOPIFY_ADMIN_API_ACCESS_TOKEN", "SHOPIFY_ADMIN_ACCESS_TOKEN", "SHOPIFY_CLI_THEME_TOKEN"}
	secretNames = []string{"SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_KEY"}
	keyNames    = []string{"SHOPIFY_API_KEY"}
	shopNames   = []string{shopSetting, "SHOPIFY_STORE_DOMAIN", "SHOPIFY_DOMAIN", "MYSHOPIFY_DOMAIN", "SHOPIFY_FLAG_STORE"}
)
