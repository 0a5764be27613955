package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"evergate/internal/admin"
	"evergate/internal/clientenv"
	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/token"
)

// envOptions is what `env` is asked for.
type envOptions struct {
	form         string // one of forms
	dir, mounted string
	url, shop    string
	noProxy      bool
}

// form is a way to write an environment, and what that says of who reads it.
type form struct {
	name, help string
	format     clientenv.Format
	// container says that the program runs in one: it inherits nothing of this environment, and is another user.
	container bool
}

func forms() []form {
	return []form{
		{"shell", "as commands for a shell: eval \"$(evergate env)\" (the default)", clientenv.Shell, false},
		{"dotenv", "as a .env file", clientenv.Dotenv, false},
		{"docker", "as a file for docker run --env-file", clientenv.Docker, true},
		{"kubernetes", "as the env of a container, in YAML", clientenv.Kubernetes, true},
	}
}

// envCommand prints what points programs at a sidecar that runs, and writes the files that they need for it.
func envCommand() action {
	p := &envOptions{}
	return action{
		flags: func(fs *flag.FlagSet) {
			for _, f := range forms() {
				fs.BoolFunc(f.name, f.help, func(string) error {
					if p.form != "" && p.form != f.name {
						return errors.New("there is --" + p.form + " already")
					}
					p.form = f.name
					return nil
				})
			}
			fs.StringVar(&p.shop, "shop", "", "the `SHOP` of a sidecar with many that programs are to call: it stands in EVERGATE_URL, and is what they find of a shop")
			fs.StringVar(&p.dir, "dir", "", "the `DIRECTORY` to write the files to (default: clients in EVERGATE_CA_DIR)")
			fs.StringVar(&p.mounted, "mounted", "", "the `DIRECTORY` under which the program sees these files, if that is another")
			fs.StringVar(&p.url, "url", "", "the `ADDRESS` at which the program reaches the sidecar, if it is not that of EVERGATE_LISTEN")
			fs.BoolVar(&p.noProxy, "no-proxy", false, "print EVERGATE_URL alone")
		},
		run: p.run,
	}
}

func (p *envOptions) run(w env) error {
	chosen := forms()[0]
	for _, f := range forms() {
		if f.name == p.form {
			chosen = f
		}
	}
	cfg, err := config.Parse(withoutFiles(w.environ, ""))
	if err != nil {
		return configError(err)
	}
	o, err := p.options(cfg, w.environ, chosen)
	if err != nil {
		return configError(err)
	}
	dir := ""
	if o.Proxy != "" {
		c, err := newAdminClient(w.environ)
		if err != nil {
			return err
		}
		ctx, cancel := w.untilSignal()
		defer cancel()
		if o.Roots, err = c.Get(ctx, "/ca.pem"); err != nil {
			return err
		}
		if o.Shop == "" || p.shop != "" { // a shop that is named has to be one
			if o.Shop, err = shopOf(ctx, c, p.shop); err != nil {
				return err
			}
		}
		if dir, err = p.place(cfg, w.environ); err != nil {
			return configError(err)
		}
		if o.Dir, o.System = dir, systemRoots(); p.mounted != "" {
			o.Dir = p.mounted
		}
	}
	e, err := clientenv.For(o)
	if err != nil {
		return configError(err)
	}
	text, err := chosen.format(e)
	if err != nil {
		return err
	}
	if err := writeFor(chosen, e, dir); err != nil {
		return err
	}
	for _, note := range append(e.Notes, p.notes(cfg, chosen, o)...) {
		fmt.Fprintln(w.err, "evergate:", note)
	}
	_, err = fmt.Fprint(w.out, text)
	return err
}

// options are what does not need the sidecar.
func (p *envOptions) options(cfg *config.Config, environ []string, f form) (clientenv.Options, error) {
	o := clientenv.Options{URL: p.url, Nonce: rand.Text(), ShopMeant: p.shop != ""}
	if !f.container {
		o.Environ, o.Read, o.ClientID = environ, readBounded, cfg.ClientID
	}
	if o.URL == "" {
		var err error
		if o.URL, err = toolsURL(cfg.Listen); err != nil {
			return o, err
		}
	} else if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return o, fmt.Errorf("--url=%q: write for example http://evergate:8080", o.URL)
	}
	base := strings.TrimSuffix(o.URL, "/")
	if p.shop != "" {
		shop, err := token.ParseShop(p.shop)
		if err != nil {
			return o, fmt.Errorf("--shop: %w", err)
		}
		o.Shop, o.URL = shop.Domain(), base+"/"+shop.Domain()
	}
	if p.noProxy || cfg.Connect == config.ConnectOff {
		return o, nil
	}
	if p.shop == "" && cfg.ShopName != "" {
		shop, err := token.ParseShop(cfg.ShopName)
		if err != nil {
			return o, fmt.Errorf("SHOPIFY_SHOP: %w", err)
		}
		o.Shop = shop.Domain()
	}
	if o.Proxy = proxyOf(base, token.Secret{}); o.Proxy == "" {
		return o, fmt.Errorf("a forward proxy needs an address without TLS, and %s has none: add one to EVERGATE_LISTEN, name it with --url, or ask for --no-proxy", o.URL)
	}
	return o, nil
}

// toolsURL is where this machine's tools reach a sidecar with these listeners.
func toolsURL(setting string) (string, error) {
	addresses, err := listen.Parse(setting)
	if err != nil {
		return "", fmt.Errorf("EVERGATE_LISTEN: %w", err)
	}
	for _, wanted := range []func(listen.Address) bool{
		func(a listen.Address) bool { return a.Network == "tcp" && !a.TLS },
		func(a listen.Address) bool { return a.Network == "tcp" },
	} {
		for _, a := range addresses {
			host, port, err := net.SplitHostPort(a.Address)
			if err != nil || port == "0" || !wanted(a) {
				continue
			}
			if host == "" || host == "0.0.0.0" || host == "::" {
				host = "localhost"
			}
			return map[bool]string{false: "http://", true: "https://"}[a.TLS] + net.JoinHostPort(host, port), nil
		}
	}
	return "", fmt.Errorf("EVERGATE_LISTEN=%q says no port at which a program could call: say with --url where the sidecar is", setting)
}

// shopOf asks a sidecar which shop it is for.
func shopOf(ctx context.Context, c *admin.Client, named string) (string, error) {
	var status struct{ Shop string }
	text, err := c.Get(ctx, forShop("/status", named))
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil && named != "" {
		return "", fmt.Errorf("--shop: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("set SHOPIFY_SHOP, because the sidecar does not say which shop it is for: %w", err)
	}
	return status.Shop, nil
}

// place is where the files are written.
func (p *envOptions) place(cfg *config.Config, environ []string) (string, error) {
	if p.dir != "" {
		return filepath.Abs(p.dir)
	}
	ca, err := cfg.CAPlace(config.Getenv(environ))
	if err != nil || ca == "memory:" {
		return "", errors.New("there is no directory for the files: name one with --dir")
	}
	return filepath.Abs(filepath.Join(ca, "clients"))
}

// writeFor writes the files for whoever is to read them. There is nothing secret in those for a container.
func writeFor(f form, e clientenv.Environment, dir string) error {
	if dir == "" {
		return nil
	}
	files, folder := os.FileMode(0o600), os.FileMode(0o700)
	if f.container {
		files, folder = 0o644, 0o755
	}
	if err := os.MkdirAll(dir, folder); err != nil {
		return err
	}
	return e.WriteFiles(dir, files)
}

// notes are what a person has to know who points programs at this sidecar.
func (p *envOptions) notes(cfg *config.Config, f form, o clientenv.Options) (notes []string) {
	if o.Proxy == "" {
		return nil
	}
	if o.Shop == "" {
		notes = append(notes, "this sidecar serves several shops, and a program is told of none: name one with --shop")
	}
	if cfg.Connect == config.ConnectShops {
		notes = append(notes, "this sidecar is a proxy for the shop alone: programs reach other hosts if it runs with EVERGATE_CONNECT=tunnel, or if NO_PROXY lists them")
	}
	if f.container && p.url == "" {
		notes = append(notes, o.URL+" is in the container itself, if that does not share its network with the sidecar: say with --url where it is otherwise")
	}
	if f.container && p.mounted == "" {
		notes = append(notes, "mount "+o.Dir+" in the container under the same name, or say the other with --mounted")
	}
	return notes
}
