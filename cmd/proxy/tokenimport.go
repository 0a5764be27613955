package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"evergate/internal/adminapi"
	"evergate/internal/config"
	"evergate/internal/sidecar"
	"evergate/internal/store"
	"evergate/internal/token"
)

// verifyLimit bounds the question whether Shopify accepts a token.
const verifyLimit = 30 * time.Second

// importing is what `token import` was told.
type importing struct {
	refresh, access, noVerify, yes bool
}

// tokenImport puts a token from elsewhere into the store.
func tokenImport(w world) error {
	var o importing
	if err := parseFlags(w, "token import", func(fs *flag.FlagSet) {
		fs.BoolVar(&o.refresh, "refresh", false, "it is a refresh token (told by shprt_ otherwise)")
		fs.BoolVar(&o.access, "access", false, "it is a permanent access token")
		fs.BoolVar(&o.noVerify, "no-verify", false, "do not ask Shopify whether it accepts the access token")
		fs.BoolVar(&o.yes, "yes", false, "replace a stored grant without asking")
	}); err != nil {
		return err
	}
	if o.refresh && o.access {
		return configError(errors.New("--refresh and --access exclude each other: drop one"))
	}
	c, err := openOffline(w)
	if err != nil {
		return err
	}
	someone := w.person()
	value, isRefresh, err := o.read(w, c.Config, someone)
	if err != nil {
		return err
	}
	record := token.Record{Shop: c.Config.Shop.Domain(), ClientID: c.ClientID(), Grant: config.GrantOffline}
	if isRefresh {
		record.Current.Refresh = value
	} else if record.Current.Token, err = o.permanent(w, c, value); err != nil {
		return err
	}
	old, err := load(c)
	switch {
	case err != nil:
		return err
	case holdsSame(old, record):
		fmt.Fprintln(w.out, "This token, or what was obtained with it, is in the store already; nothing was changed.")
		return nil
	}
	if err := o.agreed(c, someone, old); err != nil {
		return err
	}
	if err := w.finish("the import", func() error { return o.put(c, old, record) }); err != nil {
		return err
	}
	fmt.Fprintf(w.out, "Stored in %s.\n", c.RecordPlace())
	fmt.Fprintln(w.out, whatNext(c.Config, isRefresh))
	adviseSettings(w)
	return nil
}

// read takes the token from standard input, else from the settings, and tells its kind.
func (o importing) read(w world, cfg *config.Config, someone *person) (value token.Secret, isRefresh bool, err error) {
	seed, err := cfg.RefreshSeed()
	if err != nil {
		return token.Secret{}, false, err
	}
	static, err := cfg.StaticToken()
	if err != nil {
		return token.Secret{}, false, err
	}
	terminal := sidecar.IsTerminal(w.stdin)
	if !terminal || seed.Empty() && static.Empty() {
		if terminal {
			fmt.Fprint(w.err, "Paste the token: ")
		}
		text, err := someone.line()
		if err != nil {
			return token.Secret{}, false, err
		}
		if text != "" {
			value = token.NewSecret(text)
			isRefresh = o.refresh || !o.access && value.HasPrefix("shprt_")
			return value, isRefresh, mistaken(value, isRefresh)
		}
	}
	switch {
	case seed.Empty() && static.Empty():
		return token.Secret{}, false, configError(errors.New("no token was given: pass one on standard input, or set SHOPIFY_REFRESH_TOKEN or SHOPIFY_ACCESS_TOKEN"))
	case !seed.Empty() && !static.Empty() && !o.refresh && !o.access:
		return token.Secret{}, false, configError(errors.New("SHOPIFY_REFRESH_TOKEN and SHOPIFY_ACCESS_TOKEN are both set: say which with --refresh or --access"))
	case o.refresh && seed.Empty() || o.access && static.Empty():
		return token.Secret{}, false, configError(errors.New("the token that is set is of the other kind: drop --refresh or --access"))
	case !seed.Empty() && !o.access:
		return seed, true, nil
	}
	return static, false, mistaken(static, false)
}

// mistaken finds values that are no token that can be kept.
func mistaken(s token.Secret, isRefresh bool) error {
	for _, k := range []struct{ prefix, what string }{
		{"shpss_", "a client secret: set SHOPIFY_CLIENT_SECRET to it"},
		{"shptka_", "a Theme Access password, which the Admin API does not accept: give a token of an app"},
		{"atkn_", "an app automation token of the Shopify CLI, which the Admin API does not accept: give a token of an app"},
		{"shpua_", "an online access token, which ends with its user's session: run `evergate login` for one that lasts"},
	} {
		if s.HasPrefix(k.prefix) {
			return configError(errors.New("this is " + k.what))
		}
	}
	switch isShprt := s.HasPrefix("shprt_"); {
	case isShprt && !isRefresh:
		return configError(errors.New("this is a refresh token: drop --access"))
	case !isShprt && isRefresh && (s.HasPrefix("shpat_") || s.HasPrefix("shpca_")):
		return configError(errors.New("this is an access token: drop --refresh"))
	case !isOneWord(s.Reveal()):
		return configError(errors.New("this is no token: it holds spaces, quotation marks or other characters that no token has; copy it again"))
	}
	return nil
}

// isOneWord reports whether s can be a token: visible ASCII without quotation marks.
func isOneWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\'' {
			return false
		}
	}
	return s != ""
}

// permanent asks Shopify whether it accepts an access token and what it may do.
func (o importing) permanent(w world, c *sidecar.Connection, access token.Secret) (token.Token, error) {
	t := token.Token{Access: access, Issued: time.Now().Round(0)}
	if o.noVerify {
		return t, nil
	}
	ctx, stop := w.untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	scopes, err := c.API().Scopes(ctx, access)
	switch {
	case errors.Is(err, adminapi.ErrNonExpiring):
		return token.Token{}, fmt.Errorf("%w (set SHOPIFY_ACCESS_TOKEN to this token for that)", err)
	case errors.Is(err, adminapi.ErrToken):
		return token.Token{}, fmt.Errorf("not stored: %w, and see that it belongs to this shop and app", err)
	case err != nil:
		return token.Token{}, fmt.Errorf("not stored, because it could not be verified: %w; --no-verify stores it all the same", err)
	}
	t.Scopes = scopes
	return t, nil
}

// holdsSame reports whether a token is stored already, or what it brought when it was used,
// in a grant that is not dead.
func holdsSame(old, next token.Record) bool {
	if isBlank(old) || old.Reauthorize != nil || old.ClientID != next.ClientID {
		return false
	}
	access, refresh := next.Current.Token.Access, next.Current.Refresh
	if refresh.Empty() {
		return old.Current.Token.Access.Equal(access) && isPermanent(old.Current) || old.Original.Equal(access)
	}
	return old.Current.Refresh.Equal(refresh) || old.Previous != nil && old.Previous.Refresh.Equal(refresh)
}

// agreed has the replacement of a grant that is worth something confirmed.
func (o importing) agreed(c *sidecar.Connection, someone *person, old token.Record) error {
	if !isWorthKeeping(old) {
		return nil
	}
	st, of := stateOf(old, time.Now()), ""
	if old.ClientID != c.ClientID() {
		of = " of another app, with client id " + old.ClientID
	}
	return someone.confirm(o.yes, fmt.Sprintf("A grant of %s%s is stored already: it %s; access token: %s.\nThe import replaces it, and nothing brings it back.",
		c.Config.Shop, of, st.kind(), st.access()), "Replace it?")
}

// isWorthKeeping reports a grant that would be missed: not one that is dead, and not one
// that can be had again for the asking.
func isWorthKeeping(r token.Record) bool {
	return !isBlank(r) && r.Reauthorize == nil && r.Grant == config.GrantOffline
}

// errChanged is for a grant that appeared between the question and the answer.
var errChanged = errors.New("another grant was stored just now: look at it with `evergate token show`, then run the command again")

// put stores next instead of old, which is what was asked about.
func (o importing) put(c *sidecar.Connection, old, next token.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
	defer cancel()
	return store.Replace(ctx, c.Store, func(stored token.Record) (token.Record, error) {
		if !o.yes && isWorthKeeping(stored) && !isWorthKeeping(old) {
			return token.Record{}, errChanged
		}
		return next, nil
	})
}

func whatNext(cfg *config.Config, isRefresh bool) string {
	if !isRefresh {
		return "It is kept as a token that does not expire. If it does expire, import its refresh token instead."
	}
	said := "The refresh token was not used: that works once, and the sidecar does it when it starts. No other program may use it from now on."
	if cfg.Admin.Network == "tcp" {
		said += fmt.Sprintf("\nA sidecar that runs already takes it at its next renewal, or at once: curl -X POST http://%s/-/refresh", cfg.Admin.Address)
	}
	return said
}

// adviseSettings says what else must change so that the sidecar uses the stored grant.
func adviseSettings(w world) {
	cfg, _ := config.Parse(w.environ) // it was loaded before
	if !cfg.AccessToken.Empty() {
		fmt.Fprintln(w.out, "Remove SHOPIFY_ACCESS_TOKEN from the settings: the sidecar takes the token from the store now.")
	}
	if cfg.Grant == config.GrantStatic || cfg.Grant == config.GrantClientCredentials {
		fmt.Fprintf(w.out, "Set EVERGATE_GRANT=offline, or remove it: with %s the sidecar does not use what is stored.\n", cfg.Grant)
	}
}
