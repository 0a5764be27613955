package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/adminapi"
	"evergate/internal/config"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// replaceWait bounds what a token command does to the store. Another process may hold the
// lease for as long as a refresh takes.
const replaceWait = 60 * time.Second

func tokenCommands() []command {
	return []command{
		{name: "show", args: "[--reveal] [--json]", summary: "say how the stored grant stands", run: tokenShow},
		{name: "import", args: "[--refresh|--access] [--no-verify] [--yes]", summary: "put a token that you have into the store", run: tokenImport},
		{name: "migrate", args: "[--yes]", summary: "exchange a permanent token for one that expires; cannot be undone", run: tokenMigrate},
		{name: "revoke", args: "[--yes]", summary: "uninstall the app from the shop, which ends all its tokens there", run: tokenRevoke},
	}
}

// tokenCommand runs one of the commands about the stored grant.
func tokenCommand(w world) error {
	for _, c := range tokenCommands() {
		if len(w.args) > 0 && w.args[0] == c.name {
			w.args = w.args[1:]
			return c.run(w)
		}
	}
	list := func() {
		fmt.Fprint(w.err, "Usage of token:\n\n")
		for _, c := range tokenCommands() {
			fmt.Fprintf(w.err, "  token %s %s\n        %s\n", c.name, c.args, c.summary)
		}
	}
	if err := parseFlags(w, "token", func(fs *flag.FlagSet) { fs.Usage = list }); err != nil {
		return err
	}
	list()
	return configError(errors.New("token needs one of show, import, migrate and revoke"))
}

// openGrant connects for a command about the stored grant, and reports mistakes as a list.
func openGrant(w world, environ []string) (*connection, error) {
	cfg, err := config.Load(environ)
	if err != nil {
		return nil, reportConfig(cfg, err, w.err)
	}
	c, err := connect(cfg, environ)
	if err != nil {
		return nil, err
	}
	for _, warning := range cfg.Warnings {
		fmt.Fprintln(w.err, "evergate: warning:", warning)
	}
	return c, nil
}

// openOffline connects for a command that makes an offline grant, whatever the sidecar is
// told to use now.
func openOffline(w world) (*connection, error) {
	c, err := openGrant(w, append(withDefaults(w.environ), "EVERGATE_GRANT="+config.GrantOffline))
	if err != nil {
		return nil, err
	}
	if isVolatile(c.where) {
		return nil, configError(errors.New("EVERGATE_STORE=memory: ends with this command: set EVERGATE_STORE=file:DIR, as for the sidecar"))
	}
	return c, nil
}

// load loads the record; a zero one when nothing is stored.
func (c *connection) load() (token.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	record, _, err := c.store.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		return token.Record{}, nil
	}
	return record, err
}

// loadOwn loads a record that is to be used. One of another app is of no use to this one.
func (c *connection) loadOwn() (token.Record, error) {
	record, err := c.load()
	if err == nil && record.ClientID != "" && record.ClientID != c.clientID() {
		return token.Record{}, configError(otherApp(c.cfg.Shop, record))
	}
	return record, err
}

func otherApp(shop token.Shop, record token.Record) error {
	return fmt.Errorf("what is stored for %s belongs to another app, with client id %s: check SHOPIFY_CLIENT_ID, or use another EVERGATE_STORE for this one", shop, record.ClientID)
}

// isBlank reports a record without a grant in it.
func isBlank(r token.Record) bool { return r.Current.Token.Access.Empty() && r.Current.Refresh.Empty() }

// isPermanent reports whether a pair is a token that does not expire.
func isPermanent(p token.Pair) bool {
	return !p.Token.Access.Empty() && !p.Token.Expires() && p.Refresh.Empty()
}

func isVolatile(where string) bool { return where == "memory:" }

// api makes calls of our own, with the connection's transport and without the proxy.
func (c *connection) api() *adminapi.Client {
	return &adminapi.Client{Shop: c.cfg.Shop, Base: c.cfg.Base, Transport: c.transport, UserAgent: userAgent()}
}

// newTransport is for calls where there is no connection, because its store cannot be opened.
func newTransport(cfg *config.Config) *upstream.Transport {
	return upstream.New(upstream.Options{Base: cfg.Base, Roots: cfg.Roots, HeaderTimeout: cfg.UpstreamTimeout})
}

// tokenOnce comes by a token with one attempt at most, by the sidecar's own rules: a
// stored one that lives is loaded, else one is obtained, under the lease and with the note,
// and stored. An attempt that has begun is always waited for, whatever becomes of ctx: what
// Shopify hands out must not be lost.
func (c *connection) tokenOnce(ctx context.Context) (token.Token, error) {
	if ctx.Err() != nil {
		return token.Token{}, context.Cause(ctx)
	}
	source := c.newSource(slog.New(slog.DiscardHandler), nil)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = source.Token(ended) // begins the attempt
	source.Run(ended)          // waits for its end, and allows no other
	if st := source.Status(); st.Err != nil && !st.Usable {
		return token.Token{}, st.Err
	}
	return source.Token(ctx)
}

// recordPlace says where the record is. What a database's address holds of a password is left out.
func (c *connection) recordPlace(environ []string) string {
	if dir := storeDir(c.where, environ); dir != "" {
		return filepath.Join(dir, c.cfg.Shop.Domain()+".json")
	}
	if u, err := url.Parse(c.where); err == nil && u.Host != "" {
		return u.Redacted()
	}
	return c.where
}

// storeDir is the directory of a file store; empty for any other.
func storeDir(where string, environ []string) string {
	dir, isFile := strings.CutPrefix(where, "file:")
	if !isFile {
		return ""
	}
	dir = strings.TrimPrefix(dir, "//")
	if dir == "" {
		dir, _ = store.DefaultDir(lookUpIn(environ)) // it was opened, so there is one
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		return absolute
	}
	return dir
}
