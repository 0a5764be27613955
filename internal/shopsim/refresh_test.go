package shopsim

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (c *client) refresh(token string, change ...string) answer {
	c.t.Helper()
	return c.mint(append([]string{"grant_type", "refresh_token", "refresh_token", token}, change...)...)
}

// works tells whether the API takes an access token.
func (c *client) works(token string) bool {
	c.t.Helper()
	c.token = token
	return c.get("/admin/oauth/access_scopes.json").StatusCode == 200
}

// pairOf reads an access token and a refresh token.
func pairOf(t *testing.T, a answer) (access, refresh string) {
	t.Helper()
	want(t, a, 200)
	m := a.json(t)
	access, _ = m["access_token"].(string)
	refresh, _ = m["refresh_token"].(string)
	if len(access) != 38 || len(refresh) != 38 {
		t.Fatalf("no pair: %s", a.body)
	}
	return access, refresh
}

func TestRefreshRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []TokenEvent
		s := New(Options{})
		s.OnToken(func(e TokenEvent) { events = append(events, e) })
		c := newClient(t, s)
		firstAccess, first := s.IssuePair("", "")
		time.Sleep(10 * time.Minute)
		a := c.refresh(first)
		access, second := pairOf(t, a)
		m := a.json(t)
		if !strings.HasPrefix(access, "shpat_") || !strings.HasPrefix(second, "shprt_") || second == first || access == firstAccess ||
			m["expires_in"] != 3600.0 || m["refresh_token_expires_in"] != 7776000.0 || m["scope"] != DefaultScopes || len(m) != 5 {
			t.Errorf("answer %s", a.body)
		}
		if len(events) != 1 || events[0].Grant != GrantRefresh || events[0].Token != access || events[0].RefreshToken != second ||
			events[0].Life != time.Hour || events[0].Repeated {
			t.Errorf("events %+v", events)
		}
		time.Sleep(50*time.Minute - 1)
		if !c.works(firstAccess) || !c.works(access) {
			t.Error("a replaced access token must live to its own expiry, and so must the new one")
		}
		time.Sleep(1)
		if c.works(firstAccess) || !c.works(access) {
			t.Error("the first access token has had its hour, the second has not")
		}
	})
}

// TestRotationRules plays scripts. "A>B": a refresh with A brings the new pair
// B. "A=B": it brings the known pair B again. "A!": it is refused. "+1h": time
// passes. "acquire>X": the app gets the pair X by another grant.
func TestRotationRules(t *testing.T) {
	current, window, strict := Settings{}, Settings{Rotation: RotationWindow60m}, Settings{Rotation: RotationStrict}
	same, short := Settings{Retry: RetrySamePair}, Settings{RetryWindow: time.Hour, RefreshLife: 2 * time.Hour}
	window.Retry = RetryNewPair
	for _, tc := range []struct {
		name   string
		set    Settings
		script string
	}{
		{"chain", current, "A>B B>C C>D D>E"},
		{"unknown", current, "X! A>B"},
		{"previous_until_replacement_is_used", current, "A>B A>C C>D A! B! C>E"},
		{"replacement_of_a_retry_retires_the_first", current, "A>B A>C B! A>D C! D>E A! D>F"},
		{"refused_for_good", current, "A>B B>C A! +1h A! C>D A! B!"},
		{"several_lost_answers", current, "A>B A>C A>D A>E E>F"},
		{"lost_in_the_middle", current, "A>B B>C B>D D>E B!"},
		{"thirty_days", current, "A>B +720h A>C +1ns A! C>D"},
		{"thirty_days_from_the_first_use", current, "A>B +719h A>C +2h A! C>D"},
		{"ninety_days", current, "+2160h A!"},
		{"just_under_ninety_days", current, "+2159h59m59s A>B +2h A! B>C"},
		{"each_refresh_brings_ninety_days", current, "+2000h A>B +2000h B>C +2000h C>D +2160h D!"},
		{"acquiring_retires_all", current, "A>B acquire>C A! B! C>D"},
		{"acquiring_retires_the_head", current, "acquire>B A! B>C"},
		{"same_pair", same, "A>B A=B +1h A=B B>C A! B=C +720h1ns B! C>D"},
		{"shorter_lives", short, "A>B +1h A>C +1ns A! C>D +2h D! C!"},
		{"original_expiry_ends_the_window", short, "+90m A>B +29m A>C +1m A! C>D"},
		{"strict", strict, "A>B A! B>C A! B! C>D"},
		{"strict_head_survives_dead_requests", strict, "A>B A! A! A! B>C"},
		{"sixty_minutes", window, "A>B +1h A>C +1ns A! C>D"},
		{"sixty_minutes_from_the_first_use", window, "A>B +59m A>C +2m A! C>D"},
		{"sixty_minutes_head_used", window, "A>B B>C A! B>D"},
		{"sixty_minutes_same_pair", Settings{Rotation: RotationWindow60m, Retry: RetrySamePair}, "A>B A=B +1h1ns A! B>C"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, New(Options{Settings: tc.set}), tc.script) })
		})
	}
}

func play(t *testing.T, s *Sim, script string) {
	t.Helper()
	c := newClient(t, s)
	_, first := s.IssuePair("", "")
	tokens := map[string]string{"A": first, "X": "shprt_0123456789abcdef0123456789abcdef"}
	for i, step := range strings.Fields(script) {
		if wait, ok := strings.CutPrefix(step, "+"); ok {
			d, err := time.ParseDuration(wait)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			continue
		}
		at := strings.IndexAny(step, ">=!")
		from, op, to := step[:at], step[at], step[at+1:]
		if from == "acquire" {
			_, tokens[to] = s.IssuePair("", "")
			continue
		}
		a := c.refresh(tokens[from])
		if op == '!' {
			if a.StatusCode != 401 {
				t.Fatalf("step %d, %s: status %d, want a refusal", i, step, a.StatusCode)
			}
			continue
		}
		_, next := pairOf(t, a)
		for name, old := range tokens {
			if old == next && (op != '=' || name != to) {
				t.Fatalf("step %d, %s: brought %s again", i, step, name)
			}
		}
		if op == '=' && next != tokens[to] {
			t.Fatalf("step %d, %s: brought another pair", i, step)
		}
		tokens[to] = next
	}
}

// TestRotationInvariants walks at random and checks what must hold at any time.
func TestRotationInvariants(t *testing.T) {
	most := map[Rotation]int{RotationCurrent: 2, RotationStrict: 1, RotationWindow60m: 2}
	for rotation, atMost := range most {
		for _, retry := range []Retry{RetryNewPair, RetrySamePair} {
			t.Run(string(rotation)+"_"+string(retry), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, uint64(atMost)))
					s := New(Options{Settings: Settings{Rotation: rotation, Retry: retry}, Seed: 3})
					c := newClient(t, s)
					_, first := s.IssuePair("", "")
					known := []string{first}
					for range 300 {
						time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Hour))))
						honoured := map[string]bool{}
						for _, g := range s.Generations("", "") {
							if g.Honoured {
								honoured[g.Fingerprint] = true
							}
						}
						if len(honoured) < 1 || len(honoured) > atMost {
							t.Fatalf("%d refresh tokens would be honoured", len(honoured))
						}
						token := known[max(0, len(known)-1-rng.IntN(4))]
						a := c.refresh(token)
						if (a.StatusCode == 200) != honoured[Fingerprint(token)] {
							t.Fatalf("status %d, announced %v", a.StatusCode, honoured[Fingerprint(token)])
						}
						if a.StatusCode == 200 {
							_, next := pairOf(t, a)
							known = append(known, next)
						}
					}
				})
			})
		}
	}
}

func TestDeadRefreshTokens(t *testing.T) {
	const plain = `{"error":"invalid_request","error_description":"This request requires an active refresh_token"}`
	for form, wanted := range map[DeadAnswer]struct {
		status int
		body   string
	}{
		"":               {401, plain},
		DeadPlain:        {401, plain},
		DeadFullStop:     {401, `"This request requires an active refresh_token."`},
		DeadLong:         {401, `requires an active refresh_token for blue-finch`},
		DeadInvalidGrant: {400, `"error":"invalid_grant"`},
	} {
		s := New(Options{Settings: Settings{DeadRefresh: form}})
		want(t, newClient(t, s).refresh("shprt_x"), wanted.status, wanted.body)
		if st := s.Stats(); st.DeadRefreshes != 1 || st.ChainsLost != 0 || st.Grants[GrantRefresh][wanted.status] != 1 {
			t.Errorf("stats %+v", st)
		}
	}
}

func TestRefreshChecksTheClientFirst(t *testing.T) {
	s := New(Options{
		Shops: []Shop{{Domain: DefaultShop}, {Domain: "other"}},
		Apps:  []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret}, {ClientID: "b", ClientSecret: "c"}},
	})
	c := newClient(t, s)
	_, token := s.IssuePair("", "")
	want(t, c.refresh(token, "client_secret", "x"), 401, `"error":"invalid_client"`)
	s.Change(func(c *Settings) { c.WrongSecretOther = ErrorHTML })
	want(t, c.refresh(token, "client_secret", "x"), 400, "<title>400 - Oauth error invalid_request</title>")
	want(t, c.refresh(token, "client_id", "x"), 400, "application_cannot_be_found")
	want(t, c.refresh(token, "client_id", "b", "client_secret", "c"), 401, "active refresh_token")
	want(t, c.refresh(""), 400, "Missing required parameter: refresh_token")
	elsewhere, err := c.try(http.MethodPost, "https://other.myshopify.com/admin/oauth/access_token", "application/x-www-form-urlencoded",
		credentials("grant_type", "refresh_token", "refresh_token", token).Encode())
	if err != nil {
		t.Fatal(err)
	}
	want(t, elsewhere, 401, "active refresh_token")
	pairOf(t, c.refresh(token)) // none of that did any harm
}

func TestReplacedAccessTokensCanBeRevokedAtOnce(t *testing.T) {
	s := New(Options{Settings: Settings{RevokeReplaced: true}})
	c := newClient(t, s)
	forever, short := s.IssueToken("", "", 0), c.mintToken()
	first, token := s.IssuePair("", "")
	second, _ := pairOf(t, c.refresh(token))
	if c.works(first) || !c.works(second) || !c.works(forever) || !c.works(short) {
		t.Error("the first access token must end, and no other")
	}
	third, _ := s.IssuePair("", "")
	if c.works(second) || !c.works(third) {
		t.Error("acquiring must end the second access token")
	}
}

func TestSamePairIsHandedOutWithWhatIsLeftOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Settings: Settings{Retry: RetrySamePair}})
		c := newClient(t, s)
		_, token := s.IssuePair("", "")
		access, _ := pairOf(t, c.refresh(token))
		time.Sleep(20 * time.Minute)
		want(t, c.refresh(token), 200, access, `"expires_in":2400,`, `"refresh_token_expires_in":7774800`)
		time.Sleep(time.Hour)
		for range minSweep { // has expired tokens forgotten
			s.IssueToken("", "", time.Second)
		}
		want(t, c.refresh(token), 200, access, `"expires_in":3600,`, `"refresh_token_expires_in":7771200`)
		if !c.works(access) {
			t.Error("the repeated access token does not work")
		}
		time.Sleep(time.Hour - time.Second/2) // expires_in cannot tell what is left
		want(t, c.refresh(token), 200, access, `"expires_in":3600,`)
		s.RevokeTokens(access)
		another, _ := pairOf(t, c.refresh(token))
		if another == access || !c.works(another) {
			t.Error("a revoked access token was handed out again")
		}
		if st := s.Stats(); st.Refreshes != 1 || st.Retries != 4 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestRevokedSuccessorIsNotHandedOutAgain(t *testing.T) {
	s := New(Options{Settings: Settings{Retry: RetrySamePair}})
	c := newClient(t, s)
	_, a := s.IssuePair("", "")
	_, b := pairOf(t, c.refresh(a))
	if n := s.RevokeTokens(b); n != 1 {
		t.Errorf("%d tokens revoked, want the refresh token", n)
	}
	want(t, c.refresh(b), 401)
	if _, again := pairOf(t, c.refresh(a)); again == b {
		t.Error("a revoked refresh token was handed out again")
	}
}

func TestLongChainsAreForgotten(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	_, token := s.IssuePair("", "")
	for range maxGenerations + 50 {
		_, token = pairOf(t, c.refresh(token))
	}
	if n, m := len(s.Generations("", "")), len(s.state.refresh); n != maxGenerations || m != maxGenerations {
		t.Errorf("%d generations and %d refresh tokens kept", n, m)
	}
	pairOf(t, c.refresh(token))
}
