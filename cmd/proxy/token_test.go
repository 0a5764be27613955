package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/sidecar"
	"evergate/internal/store"
	"evergate/internal/token"
)

// grantShop is a simulated Shopify and the settings of a sidecar with a store in a
// directory of the test's.
type grantShop struct {
	*shopsim.Sim
	environ []string
	store   *store.FileStore
	file    string // of the record
}

func newGrantShop(t *testing.T, more ...string) *grantShop {
	t.Helper()
	sim, environ := simulated(t)
	dir := filepath.Join(t.TempDir(), "grants")
	s := grantsIn(t, dir)
	return &grantShop{sim, append(environ, append([]string{"EVERGATE_STORE=file:" + dir}, more...)...), s, filepath.Join(dir, shopsim.DefaultShop+".json")}
}

// grantsIn is the store of the simulator's shop in a directory.
func grantsIn(t *testing.T, dir string) *store.FileStore {
	t.Helper()
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenDir(dir, shop, envelope.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var credential = regexp.MustCompile(`shp[a-z]{2}_[0-9a-f]{8,}`)

// say runs a command with something on standard input. Nothing that it prints may hold a
// credential, unless that was asked for.
func (s *grantShop) say(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, errw bytes.Buffer
	code := run(env{args: args, environ: s.environ, stdin: strings.NewReader(stdin), out: &out, err: &errw, signals: make(chan os.Signal)})
	asked := strings.Contains(strings.Join(args, " "), "--reveal")
	if credential.MatchString(errw.String()) || !asked && credential.MatchString(out.String()) {
		t.Errorf("%q prints a credential:\n%s%s", args, &out, &errw)
	}
	return outcome{code, out.String(), errw.String()}
}

// must runs a command and looks at its code and for parts in what it prints.
func (s *grantShop) must(t *testing.T, code int, stdin string, args []string, parts ...string) outcome {
	t.Helper()
	o := s.say(t, stdin, args...)
	if o.code != code {
		t.Errorf("%q: exit code %d, want %d:\n%s%s", args, o.code, code, o.out, o.err)
	}
	for _, part := range parts {
		if !strings.Contains(o.out+o.err, part) {
			t.Errorf("%q: nothing of %q:\n%s%s", args, part, o.out, o.err)
		}
	}
	return o
}

func (s *grantShop) stored(t *testing.T) token.Record {
	t.Helper()
	r, _, err := s.store.Load(t.Context())
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		t.Fatal(err)
	}
	return r
}

// put stores a record of this shop and app, whatever is stored.
func (s *grantShop) put(t *testing.T, r token.Record) {
	t.Helper()
	r.Shop = shopsim.DefaultShop
	if r.ClientID == "" {
		r.ClientID = shopsim.DefaultClientID
	}
	if r.Grant == "" {
		r.Grant = config.GrantOffline
	}
	if err := store.Replace(t.Context(), s.store, func(token.Record) (token.Record, error) { return r, nil }); err != nil {
		t.Fatal(err)
	}
}

// pair is a living grant, as Shopify has just handed it out.
func (s *grantShop) pair() token.Pair {
	access, refresh := s.IssuePair("", "")
	return token.Pair{
		Token:   token.Token{Access: token.NewSecret(access), Scopes: []string{"read_products"}, Issued: time.Now().Round(0), Life: time.Hour},
		Refresh: token.NewSecret(refresh), RefreshExpires: time.Now().Add(90 * 24 * time.Hour).Round(0),
	}
}

// permanent is a living permanent token.
func (s *grantShop) permanent() token.Secret { return token.NewSecret(s.IssueToken("", "", 0)) }

// aged moves a pair's issue into the past.
func aged(p token.Pair, by time.Duration) token.Pair {
	p.Token.Issued = p.Token.Issued.Add(-by)
	return p
}

// accepts reports whether the simulated Shopify takes a token.
func (s *grantShop) accepts(t *testing.T, access token.Secret) bool {
	t.Helper()
	c, err := sidecar.OpenInstallation(loaded(t, append(append([]string{}, s.environ...), "EVERGATE_STORE=memory:", "EVERGATE_GRANT=offline")), nil, build())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Transport.CloseIdleConnections()
	_, err = c.API().Scopes(context.Background(), access)
	return err == nil
}

func TestTokenNeedsACommandThatExists(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"token"}, {"token", "shwo"}, {"token", "--reveal"}, {"token", "show", "x"}, {"token", "import", "--no-such"}, {"token", "import", "--refresh", "--access"}} {
		if o := execute(right(), args...); o.code != exitConfig || o.out != "" || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o := execute(right(), "token", "--help"); o.code != exitOK || o.err != "" || !strings.Contains(o.out, "token migrate [--yes]") {
		t.Errorf("%+v", o)
	}
	for _, c := range tokenCommands() {
		if o := execute(right(), "token", c.name, "--help"); o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "Usage: evergate token "+c.name) {
			t.Errorf("%+v", o)
		}
		if o := execute(nil, "token", c.name); o.code != exitConfig || !strings.Contains(o.err, "SHOPIFY_SHOP is not set") {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
}

func TestSignalEndsAQuestion(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	for _, args := range [][]string{{"token", "revoke"}, {"token", "import"}} {
		in, stdin, err := os.Pipe() // on which nothing ever comes
		if err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		var errw bytes.Buffer
		code := run(env{args: args, environ: s.environ, stdin: in, out: &errw, err: &errw, signals: signals})
		if code != exitFailure || !strings.Contains(errw.String(), "interrupted: nothing was changed") {
			t.Errorf("%q: %d, %s", args, code, &errw)
		}
		stdin.Close()
	}
	if s.stored(t).Reauthorize != nil || s.Stats().Routes["uninstall"] != nil {
		t.Error("something was changed")
	}
}

func TestWorkThatMustNotBeCutShortOutlivesTheFirstSignal(t *testing.T) {
	t.Parallel()
	for _, impatient := range []bool{false, true} {
		signals, release := make(chan os.Signal), make(chan struct{})
		var errw bytes.Buffer
		w := env{err: &errw, signals: signals}
		done := make(chan error, 1)
		go func() { done <- w.finish("the work", func() error { <-release; return nil }) }()
		signals <- os.Interrupt
		if impatient {
			signals <- os.Interrupt
		} else {
			close(release)
		}
		err := <-done
		if (err != nil) != impatient || !strings.Contains(errw.String(), "waiting for the end of the work") {
			t.Errorf("%v: %v, %s", impatient, err, &errw)
		}
		if impatient {
			close(release)
		}
	}
}
