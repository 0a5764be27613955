package shopsim

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (c *client) exchange(session string, change ...string) answer {
	c.t.Helper()
	return c.mint(append([]string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", session,
		"subject_token_type", idType, "requested_token_type", offlineType}, change...)...)
}

func (c *client) migrate(token string, change ...string) answer {
	c.t.Helper()
	return c.exchange(token, append([]string{"subject_token_type", offlineType, "expiring", "1"}, change...)...)
}

func TestSessionTokensAreExchanged(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	_, old := s.IssuePair("", "")
	permanent := c.exchange(s.SessionToken("", ""))
	want(t, permanent, 200, `"access_token":"shpat_`)
	if len(permanent.json(t)) != 2 {
		t.Errorf("answer %s", permanent.body)
	}
	_, fresh := pairOf(t, c.exchange(s.SessionToken("", ""), "expiring", "1"))
	want(t, c.refresh(old), 401)
	pairOf(t, c.refresh(fresh))
	online := c.exchange(s.SessionToken("", "", func(c *SessionClaims) { c.Subject = "17" }), "requested_token_type", onlineType, "expiring", "1")
	want(t, online, 200, `"access_token":"shpua_`, `"expires_in":86399`, `"associated_user_scope":"`+DefaultScopes+`"`, `"id":17,`, `"email_verified":true`)
	if strings.Contains(online.body, "refresh_token") {
		t.Errorf("online tokens have no refresh token: %s", online.body)
	}
	token, _ := online.json(t)["access_token"].(string)
	if !c.works(token) {
		t.Error("the online token does not work")
	}
	want(t, c.exchange(s.SessionToken("", "", func(c *SessionClaims) { c.Subject = "x" }), "requested_token_type", onlineType), 200, `"id":70000001`)
}

func TestBadSessionTokensAreRefused(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: DefaultShop}, {Domain: "other"}, {Domain: "bare", NotInstalled: true}},
		Apps: []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret}, {ClientID: "b", ClientSecret: "c"}}})
	c := newClient(t, s)
	good := s.SessionToken("", "")
	parts := strings.Split(good, ".")
	edit := func(f func(*SessionClaims)) string { return s.SessionToken("", "", f) }
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	message := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`[]`))
	notClaims := message + "." + base64.RawURLEncoding.EncodeToString(mac(DefaultClientSecret, message))
	for name, token := range map[string]string{
		"not_a_jwt":      "junk",
		"two_parts":      parts[0] + "." + parts[1],
		"four_parts":     good + ".x",
		"no_signature":   parts[0] + "." + parts[1] + ".",
		"alg_none":       none + "." + parts[1] + ".",
		"other_alg":      none + "." + parts[1] + "." + parts[2],
		"bad_base64":     parts[0] + "." + parts[1] + "." + parts[2] + "=",
		"not_claims":     notClaims,
		"swapped_claims": parts[0] + "." + strings.Split(edit(func(c *SessionClaims) { c.Subject = "1" }), ".")[1] + "." + parts[2],
		"other_app":      s.SessionToken("", "b"),
		"other_shop":     s.SessionToken("other", ""),
		"aud":            edit(func(c *SessionClaims) { c.Audience = "x" }),
		"dest":           edit(func(c *SessionClaims) { c.Destination = "https://evil.example" }),
		"iss":            edit(func(c *SessionClaims) { c.Issuer = "https://evil.example/admin" }),
		"expired":        edit(func(c *SessionClaims) { c.Expires = float64(time.Now().Unix()) }),
		"not_yet":        edit(func(c *SessionClaims) { c.NotBefore = float64(time.Now().Unix() + 5) }),
		"no_expiry":      edit(func(c *SessionClaims) { c.Expires = 0 }),
	} {
		t.Run(name, func(t *testing.T) { want(t, c.exchange(token), 400, `"error":"invalid_subject_token"`) })
	}
	want(t, c.exchange(good, "client_secret", "x"), 401, "invalid_client")
	want(t, c.exchange(""), 400, "Missing required parameter: subject_token")
	want(t, c.exchange(good, "subject_token_type", "x"), 400, `"error":"invalid_request"`)
	want(t, c.exchange(good, "requested_token_type", "x"), 400, `"error":"invalid_request"`)
	s.Uninstall("", "")
	want(t, c.exchange(good), 400, `"error":"invalid_subject_token"`)
}

func TestSessionTokensLastAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		c := newClient(t, s)
		token := s.SessionToken("", "")
		time.Sleep(time.Minute - time.Millisecond)
		want(t, c.exchange(token), 200)
		time.Sleep(time.Millisecond)
		want(t, c.exchange(token), 400, "invalid_subject_token")
	})
}

func TestSessionTokensAreSignedWithTheOldestSecret(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	s.RotateSecret("", "s2", false)
	token := s.SessionToken("", "")
	if _, err := parseSessionToken(token, []string{DefaultClientSecret}); err != nil {
		t.Error(err)
	}
	want(t, c.exchange(token), 200)
	s.RotateSecret("", "s2", true)
	want(t, c.exchange(token, "client_secret", "s2"), 400, "signature")
	want(t, c.exchange(s.SessionToken("", ""), "client_secret", "s2"), 200)
}

func TestMigration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		c := newClient(t, s)
		old, _ := c.redeem(s.IssueCode("", "")).json(t)["access_token"].(string)
		_, chain := s.IssuePair("", "")
		access, refresh := pairOf(t, c.migrate(old))
		if c.works(old) || !c.works(access) {
			t.Error("the original must be refused from now on, and the new token accepted")
		}
		want(t, c.refresh(chain), 401) // migrating is acquiring
		time.Sleep(30 * time.Minute)
		want(t, c.migrate(old), 200, access, refresh, `"expires_in":1800,`, `"refresh_token_expires_in":7774200`)
		time.Sleep(6 * day)
		want(t, c.migrate(old), 200, access, refresh, `"expires_in":3600,`)
		time.Sleep(day - 30*time.Minute)
		want(t, c.migrate(old), 200, access, refresh)
		time.Sleep(1)
		want(t, c.migrate(old), 400, `"error":"invalid_subject_token"`)
		pairOf(t, c.refresh(refresh))
		if again, _ := c.redeem(s.IssueCode("", "")).json(t)["access_token"].(string); again == old {
			t.Error("the original was handed out again")
		}
	})
}

func TestMigrationIsNotRepeatedAfter(t *testing.T) {
	for name, event := range map[string]func(s *Sim, c *client, access, refresh string){
		"refresh":     func(_ *Sim, c *client, _, refresh string) { c.refresh(refresh) },
		"acquisition": func(s *Sim, _ *client, _, _ string) { s.IssuePair("", "") },
		"uninstall":   func(s *Sim, _ *client, _, _ string) { s.Uninstall("", ""); s.Install("", "") },
		"end_chain":   func(s *Sim, _ *client, _, _ string) { s.EndChain("", "") },
		"old_mode":    func(s *Sim, _ *client, _, _ string) { s.Change(func(c *Settings) { c.MigrateOnce = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{})
			c := newClient(t, s)
			old := s.IssueToken("", "", 0)
			access, refresh := pairOf(t, c.migrate(old))
			event(s, c, access, refresh)
			want(t, c.migrate(old), 400, `"error":"invalid_subject_token"`)
			if c.works(old) {
				t.Error("the original works again")
			}
		})
	}
}

func TestLostAnswerOfAMigration(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	old := s.IssueToken("", "", 0)
	s.Inject(Fault{Kind: FaultStatus, Status: 520, AfterCommit: true, Grant: GrantMigration, Count: 1})
	want(t, c.migrate(old), 520)
	if c.works(old) || s.ChainHeld("", "") || !s.ChainAlive("", "") {
		t.Error("the migration must have happened, unseen")
	}
	pairOf(t, c.migrate(old))
	if !s.ChainHeld("", "") {
		t.Error("the repetition was not delivered")
	}
}

func TestIneligibleTokensAreNotMigrated(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: DefaultShop}, {Domain: "other"}}})
	c := newClient(t, s)
	expiring, _ := s.IssuePair("", "")
	online, _ := c.exchange(s.SessionToken("", ""), "requested_token_type", onlineType).json(t)["access_token"].(string)
	for name, token := range map[string]string{
		"unknown": "shpat_x", "expiring": expiring, "online": online, "client_credentials": c.mintToken(),
		"other_shop": s.IssueToken("other", "", 0), "session_token": s.SessionToken("", ""),
	} {
		t.Run(name, func(t *testing.T) { want(t, c.migrate(token), 400, `"error":"invalid_subject_token"`) })
	}
	good := s.IssueToken("", "", 0)
	want(t, c.migrate(good, "expiring", "0"), 400, `"error":"invalid_request"`)
	want(t, c.migrate(good, "requested_token_type", onlineType), 400, `"error":"invalid_request"`)
	want(t, c.migrate(""), 400, "Missing required parameter: subject_token")
	if !c.works(good) {
		t.Error("a refused migration must leave the token alone")
	}
	pairOf(t, c.migrate(good))
}

func FuzzSessionToken(f *testing.F) {
	s := New(Options{Seed: 1})
	good := s.SessionToken("", "")
	parts := strings.Split(good, ".")
	for _, seed := range []string{good, "..", "a.b.c", parts[0] + "..", good + "=", "." + parts[1] + "." + parts[2]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := parseSessionToken(token, []string{"x", DefaultClientSecret})
		if err != nil {
			return
		}
		i := strings.LastIndex(token, ".")
		if signature := base64.RawURLEncoding.EncodeToString(mac(DefaultClientSecret, token[:i])); token[i+1:] != signature {
			t.Fatalf("accepted %+v with the signature %q, want %q", c, token[i+1:], signature)
		}
		_ = c.check(DefaultClientID, DefaultShop, time.Now())
	})
}
