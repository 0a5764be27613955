package shopsim

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (c *client) redeem(code string, change ...string) answer {
	c.t.Helper()
	return c.mint(append([]string{"grant_type", "", "code", code}, change...)...)
}

const spentCode = `{"error":"invalid_request","error_description":"The authorization code was not found or was already used"}`

func TestCodesWorkOnce(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: DefaultShop, NotInstalled: true}}})
	c := newClient(t, s)
	code := s.IssueCode("", "")
	if len(code) != 32 {
		t.Errorf("code %q", code)
	}
	want(t, c.redeem(code, "client_secret", "x"), 401, "invalid_client") // does not spend it
	want(t, c.redeem(code), 200)
	want(t, c.redeem(code), 400, spentCode)
	want(t, c.redeem("junk"), 400, spentCode)
	want(t, c.redeem(""), 400, "Missing required parameter: code")
	want(t, c.redeem(s.IssueCode("", ""), "grant_type", "authorization_code"), 200)
	if st := s.Stats(); st.Grants[GrantCode][200] != 2 || st.Grants[GrantCode][400] != 3 || st.Grants[GrantCode][401] != 1 {
		t.Errorf("stats %+v", st.Grants)
	}
}

func TestCodesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{
			Shops: []Shop{{Domain: DefaultShop}, {Domain: "other"}},
			Apps:  []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret}, {ClientID: "b", ClientSecret: "c"}},
		})
		c := newClient(t, s)
		code := s.IssueCode("", "")
		time.Sleep(time.Minute - 1)
		want(t, c.redeem(code), 200)
		code = s.IssueCode("", "")
		time.Sleep(time.Minute)
		want(t, c.redeem(code), 400, spentCode)
		want(t, c.redeem(s.IssueCode("other", "")), 400, spentCode)
		want(t, c.redeem(s.IssueCode("", "b")), 400, spentCode)
		code = s.IssueCode("", "")
		s.Uninstall("", "")
		s.Install("", "")
		want(t, c.redeem(code), 400, spentCode)
		s.Change(func(c *Settings) { c.CodeLife = time.Second })
		code = s.IssueCode("", "")
		time.Sleep(time.Second)
		want(t, c.redeem(code), 400, spentCode)
		time.Sleep(time.Minute)
		s.IssueCode("", "")
		if n := len(s.state.codes); n != 1 {
			t.Errorf("%d codes kept, 1 is alive", n)
		}
	})
}

func TestCodesBringPairsOnRequest(t *testing.T) {
	for body, pair := range map[string]bool{
		`"expiring":"1"`: true, `"expiring":1`: true, `"expiring":true`: true, `"expiring":"true"`: true,
		`"expiring":"0"`: false, `"expiring":0`: false, `"expiring":false`: false, `"x":1`: false,
	} {
		s := New(Options{})
		var event TokenEvent
		s.OnToken(func(e TokenEvent) { event = e })
		a := newClient(t, s).do(http.MethodPost, "/admin/oauth/access_token", `{"client_id":"`+DefaultClientID+`","client_secret":"`+
			DefaultClientSecret+`","code":"`+s.IssueCode("", "")+`",`+body+`}`)
		want(t, a, 200, `"scope":"`+DefaultScopes+`"`)
		m := a.json(t)
		if _, got := m["refresh_token"]; got != pair || len(m) != 2 && !pair || len(m) != 5 && pair {
			t.Errorf("%s: %s", body, a.body)
		}
		if event.Grant != GrantCode || (event.Life == time.Hour) != pair || (event.RefreshToken != "") != pair {
			t.Errorf("%s: event %+v", body, event)
		}
		if s.ChainHeld("", "") != pair {
			t.Errorf("%s: chain held %v", body, !pair)
		}
	}
}

func TestPermanentTokenStaysTheSame(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	_, refresh := s.IssuePair("", "")
	get := func() string {
		token, _ := c.redeem(s.IssueCode("", "")).json(t)["access_token"].(string)
		return token
	}
	first := get()
	if second := get(); second != first || !c.works(first) {
		t.Errorf("%s, then %s", first, second)
	}
	s.Uninstall("", "")
	second := get()
	if second == first || c.works(first) || !c.works(second) {
		t.Error("an installation of its own must have a token of its own")
	}
	s.RevokeTokens(second)
	if third := get(); third == second {
		t.Error("a revoked token was handed out again")
	}
	want(t, c.refresh(refresh), 401) // from before the uninstallation
	_, refresh = s.IssuePair("", "")
	get()
	pairOf(t, c.refresh(refresh)) // a permanent token does not retire a chain
}

func TestAcquiringByCodeRetiresTheChain(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	access, old := s.IssuePair("", "")
	_, fresh := pairOf(t, c.redeem(s.IssueCode("", ""), "expiring", "1"))
	want(t, c.refresh(old), 401, "active refresh_token")
	if st := s.Stats(); !c.works(access) || st.ChainsLost != 0 {
		t.Errorf("the earlier access token must live, and the chain is not lost: %+v", st)
	}
	pairOf(t, c.refresh(fresh))
}

func TestScopesOfAChainStay(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	_, token := s.IssuePair("", "")
	s.SetScopes("", "read_orders")
	want(t, c.refresh(token), 200, `"scope":"`+DefaultScopes+`"`)
	want(t, c.redeem(s.IssueCode("", "")), 200, `"scope":"read_orders"`)
}

func TestClientCredentialsAndChainsKeepApart(t *testing.T) {
	for _, repeat := range []Repeat{RepeatSame, RepeatReplace} {
		s := New(Options{Settings: Settings{Repeat: repeat, TokenLife: time.Hour}})
		c := newClient(t, s)
		first := c.mintToken()
		access, token := s.IssuePair("", "")
		if second := c.mintToken(); second == access || (second == first) != (repeat == RepeatSame) {
			t.Errorf("%s: %s, then %s", repeat, first, second)
		}
		if !c.works(access) {
			t.Errorf("%s: the offline token ended", repeat)
		}
		pairOf(t, c.refresh(token))
	}
}

func TestTheEndOfPermanentTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		c := newClient(t, s)
		forever := s.IssueToken("", "", 0)
		s.Change(func(c *Settings) { c.NonExpiringEnd = time.Now().Add(time.Hour) })
		time.Sleep(time.Hour - 1)
		if !c.works(forever) {
			t.Error("refused before the day")
		}
		time.Sleep(1)
		c.token = forever
		want(t, c.get(products), 403, "Non-expiring access tokens are no longer accepted")
		access, _ := s.IssuePair("", "")
		if !c.works(access) {
			t.Error("expiring tokens are refused too")
		}
		s.Change(func(c *Settings) { c.NonExpiringEnd = time.Time{} })
		s.SetCondition("", NonExpiringEnded)
		c.token = forever
		want(t, c.get(products), 403, "Non-expiring access tokens are no longer accepted")
		if !c.works(access) {
			t.Error("the condition refuses expiring tokens too")
		}
	})
}

func TestJournalTellsTheGrant(t *testing.T) {
	s := New(Options{})
	c := newClient(t, s)
	c.mint()
	c.refresh("x")
	c.redeem("x")
	c.exchange("x")
	c.migrate("x")
	c.mint("grant_type", "password")
	c.get("/admin/oauth/access_token")
	var got []string
	for _, e := range s.Journal() {
		got = append(got, string(e.Grant))
	}
	if strings.Join(got, " ") != "client_credentials refresh_token authorization_code token_exchange migration other " {
		t.Errorf("grants %q", got)
	}
	want(t, control(t, s, "GET", "/_sim/journal", ""), 200, `"grant": "migration"`)
}
