package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/shopify"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// importing is what `token import` was told.
type importing struct {
	refresh, access, noVerify, yes bool
}

// tokenImport puts a token from elsewhere into the store.
func tokenImport() action {
	var o importing
	shop := ""
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &shop)
			fs.BoolVar(&o.refresh, "refresh", false, "it is a refresh token (told by shprt_ otherwise)")
			fs.BoolVar(&o.access, "access", false, "it is a permanent access token")
			fs.BoolVar(&o.noVerify, "no-verify", false, "do not ask Shopify whether it accepts the access token")
			fs.BoolVar(&o.yes, "yes", false, "replace a stored grant without asking")
		},
		run: func(w env) error {
			if o.refresh && o.access {
				return configError(errors.New("--refresh and --access exclude each other: drop one"))
			}
			c, err := openOffline(w, shop)
			if err != nil {
				return err
			}
			someone := w.prompter()
			value, isRefresh, err := o.read(w, c, someone)
			if err != nil {
				return err
			}
			record := token.Record{Shop: c.Shop.Domain(), ClientID: c.ClientID(), Grant: config.GrantOffline}
			if isRefresh {
				record.Current.Refresh = value
			} else if record.Current.Token, err = o.permanent(w, c, value); err != nil {
				return err
			}
			old, err := adminOf(c).Load()
			switch {
			case err != nil:
				return err
			case grantadmin.HoldsSame(old, record):
				fmt.Fprintln(w.out, "This token, or what was obtained with it, is in the store already; nothing was changed.")
				return nil
			}
			if err := o.agreed(c, someone, old); err != nil {
				return err
			}
			if err := w.finish("the import", func() error { return adminOf(c).Import(old, record, o.yes) }); err != nil {
				return err
			}
			fmt.Fprintf(w.out, "Stored in %s.\n", c.RecordPlace())
			fmt.Fprintln(w.out, whatNext(c, isRefresh))
			adviseSettings(w)
			return nil
		},
	}
}

// read takes the token from standard input, else from the settings, and tells its kind.
func (o importing) read(w env, c *sidecar.Installation, someone *prompter) (value token.Secret, isRefresh bool, err error) {
	seed, err := c.RefreshSeed()
	if err != nil {
		return token.Secret{}, false, err
	}
	static, err := c.StaticToken()
	if err != nil {
		return token.Secret{}, false, err
	}
	terminal := sidecar.IsTerminal(w.stdin)
	if !terminal || seed.Empty() && static.Empty() {
		question := ""
		if terminal {
			question = "Paste the token (it is not shown): "
		}
		text, err := someone.secret(question)
		if err != nil {
			return token.Secret{}, false, err
		}
		if text, err = config.CleanSecret(text); err != nil {
			return token.Secret{}, false, configError(fmt.Errorf("this is no token, which has no spaces, quotation marks or other such characters: it %w", err))
		}
		if text != "" {
			value = token.NewSecret(text)
			isRefresh = o.refresh || !o.access && shopify.CredentialOf(value) == shopify.RefreshToken
			return value, isRefresh, adminOf(c).Mistaken(value, isRefresh)
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
	return static, false, adminOf(c).Mistaken(static, false)
}

// permanent asks Shopify whether it accepts an access token and what it may do, unless it
// must not.
func (o importing) permanent(w env, c *sidecar.Installation, access token.Secret) (token.Token, error) {
	if o.noVerify {
		return token.Token{Access: access, Issued: time.Now().Round(0)}, nil
	}
	ctx, stop := w.untilSignal()
	defer stop()
	return adminOf(c).Verify(ctx, access)
}

// agreed has the replacement of a grant that is worth something confirmed.
func (o importing) agreed(c *sidecar.Installation, someone *prompter, old token.Record) error {
	if !grantadmin.IsWorthKeeping(old) {
		return nil
	}
	st, of := grantadmin.StateOf(old, time.Now()), ""
	if old.ClientID != c.ClientID() {
		of = " of another app, with client id " + old.ClientID
	}
	return someone.confirm(o.yes, fmt.Sprintf("A grant of %s%s is stored already: it %s; access token: %s.\nThe import replaces it, and nothing brings it back.",
		c.Shop, of, st.Says(), st.Access()), "Replace it?")
}

func whatNext(c *sidecar.Installation, isRefresh bool) string {
	if !isRefresh {
		return "It is kept as a token that does not expire. If it does expire, import its refresh token instead."
	}
	said := "The refresh token was not used: that works once, and the sidecar does it when it starts. No other program may use it from now on."
	if admin := c.Config.Admin; admin.Network == "tcp" {
		said += "\nA sidecar that runs already takes it at its next renewal, or at once: curl -X POST " + refreshURL(admin.Address, string(c.Remedies()))
	}
	return said
}

// refreshURL is where a renewal is asked for, as a shell takes it: a question mark is a pattern there.
func refreshURL(address, shop string) string {
	url := forShop("http://"+address+"/-/refresh", shop)
	if shop != "" {
		url = single(url)
	}
	return url
}

// adviseSettings says what else must change so that the sidecar uses the stored grant.
func adviseSettings(w env) {
	cfg, _ := config.Parse(w.environ) // it was loaded before
	if !cfg.AccessToken.Empty() {
		fmt.Fprintln(w.out, "Remove SHOPIFY_ACCESS_TOKEN from the settings: the sidecar takes the token from the store now.")
	}
	if cfg.Grant == config.GrantStatic || cfg.Grant == config.GrantClientCredentials {
		fmt.Fprintf(w.out, "Set EVERGATE_GRANT=offline, or remove it: with %s the sidecar does not use what is stored.\n", cfg.Grant)
	}
}
