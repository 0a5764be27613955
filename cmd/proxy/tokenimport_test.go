package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsim"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

var imports = []string{"token", "import"}

func TestImportedPermanentTokenIsVerifiedAndUsed(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	access := s.permanent()
	s.must(t, exitOK, access.Reveal()+"\n", imports, "Stored in "+s.file, "does not expire")
	r := s.stored(t)
	if !r.Current.Token.Access.Equal(access) || r.Current.Token.Expires() || strings.Join(r.Current.Token.Scopes, ",") != shopsim.DefaultScopes ||
		r.Grant != config.GrantOffline || r.ClientID != shopsim.DefaultClientID {
		t.Errorf("%+v", r)
	}
	s.must(t, exitOK, "", []string{"check"}, "with a stored grant", "the stored token does not expire", "ok    scopes")
	if n := s.Stats().TokenPosts; n != 0 {
		t.Errorf("%d tokens were asked for", n)
	}
}

func TestImportDoesNotSpendARefreshToken(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	refresh := s.pair().Refresh
	s.must(t, exitOK, refresh.Reveal(), imports, "was not used", "-/refresh") // without a line's end, too
	r := s.stored(t)
	if !r.Current.Refresh.Equal(refresh) || !r.Current.Token.Access.Empty() || len(s.Journal()) != 0 {
		t.Errorf("%+v", r)
	}
	s.environ = append(s.environ, "EVERGATE_LISTEN=127.0.0.1:0")
	o := execute(s.environ, "run", "--", "true")
	if o.code != exitOK || s.Stats().Refreshes != 1 {
		t.Errorf("the sidecar does not begin with it: %+v", o)
	}
	if r = s.stored(t); r.Current.Token.Access.Empty() || r.Previous == nil || !r.Previous.Refresh.Equal(refresh) {
		t.Errorf("%+v", r)
	}
	// A start script may import the same token again and again.
	s.must(t, exitOK, refresh.Reveal(), append(imports, "--yes"), "nothing was changed")
	if !s.stored(t).Current.Refresh.Equal(r.Current.Refresh) {
		t.Error("a used refresh token took the place of the living grant")
	}
}

func TestImportTakesTheTokenFromTheSettings(t *testing.T) {
	t.Parallel()
	base := newGrantShop(t)
	access, refresh := base.permanent(), base.pair().Refresh
	file := t.TempDir() + "/token"
	if err := os.WriteFile(file, []byte(refresh.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := []string{"SHOPIFY_ACCESS_TOKEN=" + access.Reveal(), "SHOPIFY_REFRESH_TOKEN=" + refresh.Reveal()}
	for name, tc := range map[string]struct {
		environ []string
		args    []string
		code    int
		part    string
		refresh bool
	}{
		"access":          {both[:1:1], nil, exitOK, "Remove SHOPIFY_ACCESS_TOKEN", false},
		"refresh":         {both[1:], nil, exitOK, "was not used", true},
		"file":            {[]string{"SHOPIFY_REFRESH_TOKEN_FILE=" + file}, nil, exitOK, "was not used", true},
		"both":            {both, nil, exitConfig, "both set", false},
		"both_refresh":    {both, []string{"--refresh"}, exitOK, "was not used", true},
		"both_access":     {both, []string{"--access"}, exitOK, "does not expire", false},
		"only_the_other":  {both[:1:1], []string{"--refresh"}, exitConfig, "of the other kind", false},
		"only_the_other2": {both[1:], []string{"--access"}, exitConfig, "of the other kind", false},
		"none":            {nil, nil, exitConfig, "no token was given", false},
		"static":          {append(both[:1:1], "EVERGATE_GRANT=static"), nil, exitOK, "Set EVERGATE_GRANT=offline", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			s.Sim = base.Sim
			s.environ = append(append([]string{}, base.environ...), append(tc.environ, "EVERGATE_STORE=file:"+strings.TrimSuffix(s.file, "/"+shopsim.DefaultShop+".json"))...)
			s.must(t, tc.code, "", append(imports[:2:2], tc.args...), tc.part)
			r := s.stored(t)
			if r.IsBlank() != (tc.code != exitOK) || r.Current.Refresh.Empty() == tc.refresh {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestWhatIsNoTokenIsNotImported(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	for in, tc := range map[string]struct {
		args []string
		part string
	}{
		"shpss_0123456789abcdef0123456789abcdef":  {nil, "SHOPIFY_CLIENT_SECRET"},
		"shptka_0123456789abcdef0123456789abcdef": {nil, "Theme Access"},
		"atkn_0123456789abcdef":                   {nil, "automation token"},
		"shpua_0123456789abcdef0123456789abcdef":  {nil, "online access token"},
		"shprt_0123456789abcdef0123456789abcdef":  {[]string{"--access"}, "drop --access"},
		"shpat_0123456789abcdef0123456789abcdef":  {[]string{"--refresh"}, "drop --refresh"},
		`"shpat_0123456789abcdef"`:                {nil, "quotation marks"},
		"Bearer abc":                              {nil, "spaces"},
		"\x00":                                    {nil, "characters"},
		"ünï":                                     {nil, "characters"},
	} {
		o := s.must(t, exitConfig, in+"\n", append(imports[:2:2], tc.args...), tc.part)
		if strings.Contains(o.out+o.err, in) {
			t.Errorf("%q is repeated: %s", in, o.err)
		}
	}
	if r := s.stored(t); !r.IsBlank() || len(s.Journal()) != 0 {
		t.Error("something was stored, or sent")
	}
}

func TestTokenThatShopifyRefusesIsNotImported(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	const unknown = "shpat_ffffffffffffffffffffffffffffffff"
	s.must(t, exitFailure, unknown, imports, "not stored", "does not accept the token")
	s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 502, Count: 1})
	s.must(t, exitFailure, unknown, imports, "could not be verified", "--no-verify")
	s.SetCondition("", shopsim.NonExpiringEnded)
	s.must(t, exitFailure, s.permanent().Reveal(), imports, "evergate token migrate", "SHOPIFY_ACCESS_TOKEN")
	if r := s.stored(t); !r.IsBlank() {
		t.Error("it was stored")
	}
	before := len(s.Journal())
	s.must(t, exitOK, unknown, append(imports[:2:2], "--no-verify"), "Stored in")
	if s.stored(t).Current.Token.Access.Reveal() != unknown || len(s.Journal()) != before {
		t.Error("it was not stored, or Shopify was asked")
	}
}

func TestImportAsksBeforeItReplacesAGrant(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	old, next := s.pair(), s.permanent()
	for name, tc := range map[string]struct {
		record   token.Record
		answer   string
		args     []string
		replaced bool
		asks     string
	}{
		"no_answer":   {token.Record{Current: old}, "", nil, false, "Replace it? [y/N]"},
		"no":          {token.Record{Current: old}, "n\n", nil, false, "Replace it? [y/N]"},
		"unclear":     {token.Record{Current: old}, "yesterday\n", nil, false, "--yes"},
		"yes":         {token.Record{Current: old}, "Y\n", nil, true, "nothing brings it back"},
		"yes_in_full": {token.Record{Current: old}, "yes", nil, true, "Replace it? [y/N]"},
		"flag":        {token.Record{Current: old}, "", []string{"--yes"}, true, ""},
		"other_app":   {token.Record{Current: old, ClientID: "another"}, "n\n", nil, false, "of another app, with client id another"},
		"permanent":   {token.Record{Current: token.Pair{Token: token.Token{Access: s.permanent(), Issued: time.Now()}}}, "n\n", nil, false, "does not expire"},
		"dead":        {token.Record{Current: old, Reauthorize: &token.Reauthorize{Since: time.Now()}}, "", nil, true, ""},
		"blank":       {token.Record{}, "", nil, true, ""},
		"askable":     {token.Record{Current: token.Pair{Token: old.Token}, Grant: config.GrantClientCredentials}, "", nil, true, ""},
	} {
		s.put(t, tc.record)
		code := exitOK
		if !tc.replaced {
			code = exitFailure
		}
		o := s.must(t, code, next.Reveal()+"\n"+tc.answer, append(imports[:2:2], tc.args...), tc.asks)
		if (tc.asks == "") == strings.Contains(o.err, "[y/N]") {
			t.Errorf("%s: %s", name, o.err)
		}
		if got := s.stored(t).Current.Token.Access.Equal(next); got != tc.replaced {
			t.Errorf("%s: replaced: %v", name, got)
		}
	}
	s.must(t, exitOK, next.Reveal(), append(imports[:2:2], "--yes"))
	s.must(t, exitOK, next.Reveal(), imports, "nothing was changed") // and nothing was asked
}

func TestImportDoesNotOverwriteWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	if err := os.WriteFile(s.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, exitFailure, s.permanent().Reveal(), append(imports[:2:2], "--yes"), "damaged")
	s.environ = append(s.environ, "EVERGATE_STORE=memory:")
	s.must(t, exitConfig, s.permanent().Reveal(), imports, "EVERGATE_STORE=file:DIR")
}

// The answer was given about what was stored when the question was put.
func TestGrantThatAppearsAfterTheQuestionIsNotReplaced(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t, "EVERGATE_GRANT=offline")
	c, err := sidecar.OpenInstallation(loaded(t, s.environ), s.environ, build())
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, token.Record{Current: s.pair()})
	next := token.Record{Shop: shopsim.DefaultShop, Current: token.Pair{Refresh: s.pair().Refresh}}
	if err := adminOf(c).Import(token.Record{}, next, false); err == nil || !strings.Contains(err.Error(), "stored just now") {
		t.Errorf("%v", err)
	}
}
