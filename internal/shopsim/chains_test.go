package shopsim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tryRefresh is a refresh whose answer may be lost.
func (c *client) tryRefresh(token string) (answer, error) {
	return c.try(http.MethodPost, "/admin/oauth/access_token", "application/x-www-form-urlencoded",
		credentials("grant_type", "refresh_token", "refresh_token", token).Encode())
}

func TestLostAnswerOfARefresh(t *testing.T) {
	for _, f := range []Fault{
		{Kind: FaultDrop}, {Kind: FaultStatus, Status: 520}, {Kind: FaultStatus, Status: 429, RetryAfter: "2.0"},
		{Kind: FaultEmpty}, {Kind: FaultHTML}, {Kind: FaultCut}, {Kind: FaultTruncate},
	} {
		for _, rotation := range []Rotation{RotationCurrent, RotationStrict} {
			t.Run(fmt.Sprint(f.Kind, f.Status, "_", rotation), func(t *testing.T) {
				s := New(Options{Settings: Settings{Rotation: rotation}})
				c := newClient(t, s)
				_, token := s.IssuePair("", "")
				f.AfterCommit, f.Count, f.Grant = true, 1, GrantRefresh
				s.Inject(f)
				_, _ = c.tryRefresh(token)
				g := s.Generations("", "")
				if len(g) != 2 || g[0].Successor != g[1].Fingerprint || !g[0].Delivered || g[1].Delivered || !g[1].Honoured {
					t.Fatalf("generations %+v", g)
				}
				if !s.ChainAlive("", "") || s.ChainHeld("", "") != (rotation == RotationCurrent) {
					t.Errorf("alive %v, held %v", s.ChainAlive("", ""), s.ChainHeld("", ""))
				}
				if rotation == RotationStrict {
					want(t, c.refresh(token), 401, "active refresh_token")
					want(t, c.refresh(token), 401, "active refresh_token")
					if st := s.Stats(); st.Refreshes != 1 || st.DeadRefreshes != 2 || st.ChainsLost != 1 {
						t.Errorf("stats %+v", st)
					}
					return
				}
				pairOf(t, c.refresh(token))
				if st := s.Stats(); st.Refreshes != 1 || st.Retries != 1 || st.DeadRefreshes != 0 || !s.ChainHeld("", "") {
					t.Errorf("stats %+v", st)
				}
			})
		}
	}
}

// TestPatientClientNeverLosesTheGrant is the model test that others can write
// against their own code: a client that keeps its refresh token until it has
// the next one survives any number of lost answers.
func TestPatientClientNeverLosesTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Seed: 11})
		c := newClient(t, s)
		s.Inject(Fault{Kind: FaultDrop, AfterCommit: true, Probability: 0.4, Grant: GrantRefresh})
		s.Inject(Fault{Kind: FaultStatus, Status: 503, Probability: 0.2, Endpoint: TokenEndpoint})
		_, token := s.IssuePair("", "")
		for range 500 {
			time.Sleep(time.Hour)
			if a, err := c.tryRefresh(token); err == nil && a.StatusCode == 200 {
				_, token = pairOf(t, a)
			}
			if !s.ChainHeld("", "") {
				t.Fatalf("the grant is lost: %+v", s.Generations("", ""))
			}
		}
		st := s.Stats()
		if st.ChainsLost != 0 || st.DeadRefreshes != 0 || st.Retries == 0 || st.Refreshes == 0 ||
			st.Grants[GrantRefresh][0] == 0 || st.Grants[GrantRefresh][503] == 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestSameSeedLosesTheSameAnswers(t *testing.T) {
	run := func(seed uint64) string {
		s := New(Options{Seed: seed})
		c := newClient(t, s)
		s.Inject(Fault{Kind: FaultDrop, AfterCommit: true, Probability: 0.5, Grant: GrantRefresh})
		_, token := s.IssuePair("", "")
		var log strings.Builder
		for range 40 {
			a, err := c.tryRefresh(token)
			fmt.Fprint(&log, a.body, err != nil)
		}
		return log.String()
	}
	if first, again := run(5), run(5); first != again || first == run(6) {
		t.Error("the seed must decide which answers are lost")
	}
}

func TestFaultsOfAGrant(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	access, token := s.IssuePair("", "")
	s.Inject(Fault{Kind: FaultStatus, Status: 520, Grant: GrantRefresh})
	want(t, c.mint(), 200)
	c.token = access
	want(t, c.get(products), 200)
	want(t, c.mint("grant_type", ""), 400, "code")
	want(t, c.refresh(token), 520, "error code: 520")
	s.ClearFaults()
	want(t, control(t, s, "POST", "/_sim/faults", `{"kind":"drop","grant":"refresh_token","after_commit":true,"probability":1}`), 200)
	want(t, control(t, s, "GET", "/_sim/faults", ""), 200, `"grant": "refresh_token"`)
	want(t, c.mint(), 200)
	if _, err := c.tryRefresh(token); err == nil {
		t.Error("the answer arrived")
	}
	if n := len(s.Generations("", "")); n != 2 {
		t.Errorf("%d generations, want 2", n)
	}
	for _, bad := range []Fault{{Kind: FaultDrop, Grant: "odd"}, {Kind: FaultDrop, Grant: GrantRefresh, Endpoint: REST}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestDelayedRefreshIsJudgedWhenItTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Settings: Settings{RefreshLife: time.Minute}})
		c := newClient(t, s)
		_, token := s.IssuePair("", "")
		s.Inject(Fault{Kind: FaultDelay, Delay: 30 * time.Second})
		a := c.refresh(token)
		want(t, a, 200)
		if g := s.Generations("", ""); g[1].Created.Sub(g[0].Created) != 30*time.Second {
			t.Errorf("generations %+v", g)
		}
		time.Sleep(time.Second)
		want(t, c.refresh(token), 401) // arrived in time, and processed too late
	})
}

func TestClientThatHangsUpWasDeliveredNothing(t *testing.T) {
	for _, f := range []Fault{{Kind: FaultDelay, Delay: time.Minute, AfterCommit: true}, {Kind: FaultSlowBody}} {
		t.Run(string(f.Kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{})
				_, token := s.IssuePair("", "")
				s.Inject(f)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, "POST", shopURL+"/admin/oauth/access_token",
					strings.NewReader(credentials("grant_type", "refresh_token", "refresh_token", token).Encode()))
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := s.RoundTripper().RoundTrip(req); err == nil {
					<-ctx.Done()
					_ = resp.Body.Close()
				}
				synctest.Wait()
				if g := s.Generations("", ""); len(g) != 2 || g[1].Delivered {
					t.Errorf("generations %+v", g)
				}
			})
		})
	}
}

func TestWhatEndsAChain(t *testing.T) {
	for name, end := range map[string]func(s *Sim, c *client){
		"uninstall":        func(s *Sim, _ *client) { s.Uninstall("", "") },
		"uninstall_by_api": func(_ *Sim, c *client) { c.do(http.MethodDelete, "/admin/api_permissions/current.json", "") },
		"end_chain": func(s *Sim, _ *client) {
			if n := s.EndChain("", ""); n != 2 {
				panic(fmt.Sprintf("%d ended, want the current and the previous", n))
			}
		},
		"revoked_secret": func(s *Sim, _ *client) { s.RotateSecret("", "s2", true) },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{})
			c := newClient(t, s)
			_, first := s.IssuePair("", "")
			var second string
			c.token, second = pairOf(t, c.refresh(first))
			end(s, c)
			if s.ChainAlive("", "") || s.ChainHeld("", "") {
				t.Error("the chain is alive")
			}
			if c.works(c.token) != (name == "end_chain") {
				t.Error("of access tokens, ending the chain must spare and the others end all")
			}
			s.Install("", "")
			secret := s.state.apps[DefaultClientID].newestSecret()
			want(t, c.refresh(first, "client_secret", secret), 401, "active refresh_token")
			want(t, c.refresh(second, "client_secret", secret), 401, "active refresh_token")
			if st := s.Stats(); st.ChainsLost != 1 || st.DeadRefreshes != 2 {
				t.Errorf("stats %+v", st)
			}
			for _, g := range s.Generations("", "") {
				if g.Retired == "" {
					t.Errorf("no reason: %+v", g)
				}
			}
			s.IssuePair("", "")
			if !s.ChainHeld("", "") {
				t.Error("a new grant does not help")
			}
		})
	}
}

func TestRefreshMovesTheChainToTheNewestSecret(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	firstAccess, first := s.IssuePair("", "")
	s.RotateSecret("", "s2", false)
	access, second := pairOf(t, c.refresh(first)) // by the old secret
	s.RotateSecret("", "s2", true)
	if !c.works(access) || c.works(firstAccess) {
		t.Error("the refreshed access token must live, the first one end with its secret")
	}
	want(t, c.refresh(second), 401, "invalid_client")
	want(t, c.refresh(first, "client_secret", "s2"), 401, "active refresh_token") // still bound to the old one
	pairOf(t, c.refresh(second, "client_secret", "s2"))
}

func TestRevokedSecretEndsEveryKindOfToken(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	permanent, _ := c.mint("grant_type", "", "code", s.IssueCode("", "")).json(t)["access_token"].(string)
	kept, _ := c.mint("grant_type", "", "code", s.IssueCode("", "")).json(t)["access_token"].(string)
	online, _ := c.exchange(s.SessionToken("", ""), "requested_token_type", onlineType).json(t)["access_token"].(string)
	if permanent != kept || !c.works(permanent) || !c.works(online) {
		t.Fatal("no tokens to begin with")
	}
	s.RotateSecret("", "s2", false)
	moved := c.mint("code", s.IssueCode("", ""), "grant_type", "", "client_secret", "s2")
	want(t, moved, 200, permanent) // the same token, bound to the new secret now
	s.RotateSecret("", "s2", true)
	if !c.works(permanent) || c.works(online) {
		t.Error("what was acquired again under the new secret must live, and nothing else")
	}
}

func TestGenerationsShowNoTokens(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	access, first := s.IssuePair("", "")
	_, second := pairOf(t, c.refresh(first))
	dump := fmt.Sprintf("%+v", s.Generations("", "")) + control(t, s, "GET", "/_sim/chains", "").body
	for _, token := range []string{access, first, second} {
		if strings.Contains(dump, token) || !strings.Contains(dump, Fingerprint(token)) {
			t.Errorf("want the fingerprint of %s instead of itself in %s", token, dump)
		}
	}
	want(t, control(t, s, "GET", "/_sim/chains", ""), 200, `"alive": true`, `"held": true`, `"first_used"`, `"successor": "`+Fingerprint(second))
	want(t, control(t, s, "GET", "/_sim/chains?reveal=true", ""), 200, access, first, second)
	if s.Generations("", "")[0].AccessToken != Fingerprint(access) {
		t.Error("the access token's fingerprint is wrong")
	}
}

func TestNoChainIsNotAlive(t *testing.T) {
	s := New(Options{})
	if s.ChainAlive("", "") || s.ChainHeld("", "") || s.Generations("", "") != nil || s.EndChain("", "") != 0 {
		t.Error("there is a chain from the start")
	}
	want(t, control(t, s, "GET", "/_sim/chains", ""), 200, `"chains": []`)
}
