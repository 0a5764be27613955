package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/login"
	"evergate/internal/sidecar"
)

var (
	errNoCallback  = errors.New("nobody answered within ten minutes: start the login again")
	errInterrupted = errors.New("interrupted: nothing was stored")
	errNoPaste     = errors.New("the address that the browser was sent to was not given: start the login again")
)

// loginCommand is one run of `login`.
type loginCommand struct {
	env
	loginFlags
	installation *sidecar.Installation
	flow         *login.Flow
}

// logIn leads a merchant through Shopify's page and stores what comes of it.
func logIn() action {
	var f loginFlags
	var redirect, shop string
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &shop)
			fs.Var(&f.port, "port", "the `port` on 127.0.0.1 where Shopify's answer is awaited; 0 takes a free one")
			fs.StringVar(&redirect, "redirect-url", "", "the redirect URL to give to Shopify, if it is not http://127.0.0.1:PORT/callback")
			fs.BoolVar(&f.paste, "paste", false, "listen nowhere, and ask for the address that the browser was sent to")
			fs.BoolVar(&f.noBrowser, "no-browser", false, "do not open a browser")
			fs.BoolVar(&f.permanent, "permanent", false, "ask for a token that does not expire; Shopify is about to end those")
		},
		run: func(w env) error {
			if err := f.check(redirect); err != nil {
				return err
			}
			c, err := openOffline(w, shop)
			if err != nil {
				return err
			}
			ctx, stop := w.untilSignal()
			defer stop()
			ctx, cancel := context.WithTimeoutCause(ctx, login.Life, errNoCallback)
			defer cancel()
			l := loginCommand{env: w, loginFlags: f, installation: c}
			l.flow = login.New(login.Options{Grant: grant.Offline{Endpoint: c.Endpoint}, Store: c.Store, Scopes: c.Scopes, AppName: c.Config.AppName, Permanent: f.permanent})
			if err := l.lookBefore(); err != nil {
				return err
			}
			granted, err := l.run(ctx)
			if err != nil {
				return err
			}
			l.report(granted)
			return nil
		},
	}
}

// loginPort is where Shopify's answer is awaited unless --port says otherwise. It stands in the app's configuration at
// Shopify, so it is the same at each login.
const loginPort = 3456

// portFlag is a port that may be given.
type portFlag struct {
	number int
	given  bool
}

// String implements flag.Value.
func (p *portFlag) String() string {
	if !p.given {
		return strconv.Itoa(loginPort)
	}
	return strconv.Itoa(p.number)
}

// Set implements flag.Value.
func (p *portFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("give a number from 1 to 65535, or 0 for a free one")
	}
	p.number, p.given = int(n), true
	return nil
}

type loginFlags struct {
	port                        portFlag
	noBrowser, paste, permanent bool
	redirect                    *url.URL // nil: the listener's own
}

// check says what makes no sense together.
func (f *loginFlags) check(redirect string) error {
	if !f.port.given {
		f.port.number = loginPort
	}
	if redirect != "" {
		return f.parseRedirect(redirect)
	}
	if f.paste && f.port.number == 0 {
		return configError(errors.New("--paste listens nowhere, so no free port is taken: leave --port out, or give the one that the app's redirect URL has"))
	}
	return nil
}

// parseRedirect also finds the port to listen at, if the redirect URL is of this machine and no other was given.
func (f *loginFlags) parseRedirect(redirect string) error {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return configError(fmt.Errorf("--redirect-url %q: give an address as it is configured in the app, for example https://login.example.com/callback", redirect))
	}
	f.redirect = u
	if f.paste || f.port.given {
		return nil
	}
	here := u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
	if f.port.number, err = strconv.Atoi(u.Port()); !here || err != nil {
		return configError(fmt.Errorf("--redirect-url %q does not say where to listen: add --port N and have that address lead to 127.0.0.1:N, or add --paste", redirect))
	}
	return nil
}

// lookBefore finds out what is wrong with the store before anybody is asked for anything.
func (l loginCommand) lookBefore() error {
	record, err := adminOf(l.installation).Load()
	if err == nil && record.ClientID != "" && record.ClientID != l.installation.ClientID() {
		fmt.Fprintf(l.err, "evergate: warning: this login replaces a grant of another app, with client id %s, that is stored for %s\n", record.ClientID, l.installation.Shop)
	}
	return err
}

func (l loginCommand) run(ctx context.Context) (login.Granted, error) {
	if l.paste {
		return l.byPaste(ctx)
	}
	return l.byCallback(ctx)
}

func (l loginCommand) introduce(redirect *url.URL, authorize string) {
	fmt.Fprintf(l.out, "The app needs this redirect URL in its configuration at Shopify, letter for letter:\n\n  %s\n\n", redirect)
	if l.port.given && l.port.number == 0 && l.redirect == nil {
		fmt.Fprint(l.out, "The port is another one at each login with --port 0.\n\n")
	}
	fmt.Fprintf(l.out, "Open this address in the browser of someone who may install apps on %s:\n\n  %s\n\n", l.installation.Shop, authorize)
	if l.paste {
		fmt.Fprint(l.out, "After \"Install\" the browser goes to an address that begins with the redirect URL. It may show an error there: that\n"+
			"does not matter. Copy the whole address from its address bar and paste it here.\n\n")
		return
	}
	fmt.Fprint(l.out, "Waiting for ten minutes; Ctrl-C gives up.\n\n")
}

// report says what was granted, where it is, and what to do now.
func (l loginCommand) report(g login.Granted) {
	fmt.Fprintf(l.out, "\nThe app is authorised on %s.\n\n", g.Shop)
	fmt.Fprintf(l.out, "  stored   %s\n", l.installation.RecordPlace())
	scopes := strings.Join(g.Scopes, ", ")
	if scopes == "" {
		scopes = "Shopify did not say which"
	}
	fmt.Fprintf(l.out, "  scopes   %s\n", scopes)
	if g.MissingScopes != nil {
		fmt.Fprintf(l.out, "  missing  %s: SHOPIFY_SCOPES asks for them; add them to the app's configuration at Shopify and log in again\n", strings.Join(g.MissingScopes, ", "))
	}
	switch {
	case g.Expires.IsZero():
		fmt.Fprintf(l.out, "  token    does not expire; %s makes it one that does, which Shopify is about to demand\n", l.installation.Remedies().Command("token migrate"))
	case g.RefreshExpires.IsZero():
		fmt.Fprintln(l.out, "  token    is renewed by itself")
	default:
		fmt.Fprintf(l.out, "  token    is renewed by itself, if Evergate runs at least once before %s\n", g.RefreshExpires.UTC().Format(time.DateOnly))
	}
	fmt.Fprintf(l.out, "\nNext: start `%s` with the same settings and as the same user. One that is running with this grant notices within seconds.\n", l.evergate())
	for _, obstacle := range l.obstacles() {
		fmt.Fprintln(l.err, "evergate:", obstacle)
	}
}

// obstacles are the settings with which the sidecar would not use what was stored.
func (l loginCommand) obstacles() []string {
	getenv := config.Getenv(l.environ)
	switch kind := getenv("EVERGATE_GRANT"); {
	case kind == config.GrantOffline:
	case kind != "" && kind != config.GrantAuto:
		return []string{"EVERGATE_GRANT is " + kind + ": set it to offline, or this grant is not used"}
	case getenv("SHOPIFY_ACCESS_TOKEN") != "" || getenv("SHOPIFY_ACCESS_TOKEN_FILE") != "":
		return []string{"SHOPIFY_ACCESS_TOKEN is set: remove it, or set EVERGATE_GRANT=offline, or this grant is not used"}
	}
	return nil
}
