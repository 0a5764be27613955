package grant

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

// keeper is a Shopify that looks at the client's secret before anything else.
type keeper struct {
	mu      sync.Mutex
	valid   []string
	refusal canned // of a wrong secret
	answer  canned // to a right one
	tried   []string
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = append(k.tried, form.Get("client_secret"))
	a := k.refusal
	if slices.Contains(k.valid, form.Get("client_secret")) {
		a = k.answer
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// mustTry looks at the secrets sent since the last time.
func (k *keeper) mustTry(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(k.tried, want) {
		t.Errorf("tried %q, want %q", k.tried, want)
	}
	k.tried = nil
}

func refusedAs(status int, header http.Header, body string) canned {
	return canned{status: status, header: header, body: body}
}

var (
	invalidClient = refusedAs(401, nil, `{"error":"invalid_client","error_description":"`+leaked+`"}`)
	wrongSecret   = refusedAs(400, asPage, page("400 - Oauth error invalid_request", "Oauth error invalid_request: "+leaked))
)

// rotating is an endpoint of a client with two secrets.
func rotating(t testing.TB, k *keeper, current, previous string) *Endpoint {
	t.Helper()
	e := endpoint(t, k)
	e.Client = func() (Client, error) { return Client{clientID, token.NewSecret(current)}, nil }
	e.Previous = func() (token.Secret, error) { return token.NewSecret(previous), nil }
	return e
}

func newKeeper(refusal canned, valid ...string) *keeper {
	return &keeper{valid: valid, refusal: refusal, answer: canned{status: 200, body: pairBody}}
}

func refresh(t testing.TB, e *Endpoint) error {
	t.Helper()
	_, err := Offline{e}.Refresh(t.Context(), token.NewSecret("shprt_x"))
	return err
}

func TestOtherSecretIsTriedWhereTheClientIsRefused(t *testing.T) {
	t.Parallel()
	for _, refusal := range []canned{invalidClient, refusedAs(400, nil, invalidClient.body), refusedAs(401, asPage, page("401 - Oauth error invalid_client", ""))} {
		for _, c := range offlineCalls() {
			k := newKeeper(refusal, "old")
			if _, err := c.do(Offline{rotating(t, k, "new", "old")}, t.Context()); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			k.mustTry(t, "new", "old")
		}
	}
}

// To client credentials Shopify words a wrong secret as it words other things to the other grants.
func TestWrongSecretIsAPageToClientCredentialsOnly(t *testing.T) {
	t.Parallel()
	k := newKeeper(wrongSecret, "old")
	if _, err := (ClientCredentials{rotating(t, k, "new", "old")}).Grant(t.Context()); err != nil {
		t.Error(err)
	}
	k.mustTry(t, "new", "old")
	for _, c := range offlineCalls() {
		_, err := c.do(Offline{rotating(t, k, "new", "old")}, t.Context())
		mustRefuse(t, err, token.ErrConfig)
		k.mustTry(t, "new")
	}
}

// After any of these the first POST may have had an effect, or the client was not the reason.
func TestNothingElseIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]canned{
		"lost":            {err: io.ErrUnexpectedEOF},
		"timed out":       {err: context.DeadlineExceeded},
		"busy":            refusedAs(500, nil, invalidClient.body),
		"too many":        refusedAs(429, nil, invalidClient.body),
		"malformed":       refusedAs(200, nil, "{"),
		"refused in 200":  refusedAs(200, nil, invalidClient.body),
		"forbidden":       refusedAs(403, nil, invalidClient.body),
		"redirect":        refusedAs(302, to("/"), invalidClient.body),
		"dead":            refusedAs(401, nil, jsonError("invalid_request", deadSentence)),
		"nothing said":    refusedAs(401, nil, ""),
		"other org":       refusedAs(400, asPage, page("400 - Oauth error shop_not_permitted", "")),
		"not installed":   refusedAs(400, asPage, page("400 - Oauth error app_not_installed", "")),
		"unknown app":     refusedAs(400, asPage, page("400", "Oauth error invalid_request: Could not find Shopify API application with api_key x")),
		"json request":    refusedAs(400, nil, jsonError("invalid_request", "")),
		"401 as page":     refusedAs(401, asPage, wrongSecret.body),
		"unauthorized":    refusedAs(401, nil, jsonError("unauthorized_client", "")),
		"no such subject": refusedAs(400, nil, jsonError("invalid_subject_token", "")),
	} {
		k := newKeeper(refusal, "old")
		if _, err := (ClientCredentials{rotating(t, k, "new", "old")}).Grant(t.Context()); err == nil {
			t.Errorf("%s: granted", name)
		}
		k.mustTry(t, "new")
		for _, c := range offlineCalls() {
			if _, err := c.do(Offline{rotating(t, k, "new", "old")}, t.Context()); err == nil {
				t.Errorf("%s: %s: granted", name, c.name)
			}
			k.mustTry(t, "new")
		}
	}
}

func TestRefusedSecretStandsBehindForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(invalidClient, "old")
		e := rotating(t, k, "new", "old")
		try := func(want ...string) {
			t.Helper()
			if err := refresh(t, e); err != nil {
				t.Error(err)
			}
			k.mustTry(t, want...)
		}
		try("new", "old")
		try("old")
		time.Sleep(time.Hour - time.Second)
		try("old")
		time.Sleep(time.Second)
		try("new", "old") // the success before has not prolonged it

		k.valid = []string{"new", "old"} // the new one has become known
		try("old")
		time.Sleep(time.Hour)
		try("new")
		try("new")
		k.valid = []string{"old"}
		try("new", "old")

		k.valid = []string{"new"} // and the old one is revoked
		try("old", "new")
		try("new")
	})
}

func TestSecretThatIsReplacedIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	k := newKeeper(invalidClient, "old", "newest")
	e := rotating(t, k, "typo", "old")
	if err := refresh(t, e); err != nil {
		t.Fatal(err)
	}
	k.mustTry(t, "typo", "old")
	e.Client = func() (Client, error) { return Client{clientID, token.NewSecret("newest")}, nil }
	if err := refresh(t, e); err != nil {
		t.Fatal(err)
	}
	k.mustTry(t, "newest")
}

func TestTwoRefusedSecretsAreOneRefusal(t *testing.T) {
	t.Parallel()
	k := newKeeper(invalidClient)
	e := rotating(t, k, "new", "old")
	for range 2 {
		mustRefuse(t, refresh(t, e), token.ErrConfig, "401 invalid_client", "SHOPIFY_CLIENT_SECRET")
		k.mustTry(t, "new", "old")
	}
}

func TestOutcomeOfTheOtherSecretCounts(t *testing.T) {
	t.Parallel()
	k := newKeeper(invalidClient, "old")
	e := rotating(t, k, "new", "old")
	k.answer = refusedAs(401, nil, jsonError("invalid_request", deadSentence))
	mustRefuse(t, refresh(t, e), token.ErrReauthorize)
	k.mustTry(t, "new", "old")
	k.answer = canned{err: io.ErrUnexpectedEOF}
	mustRefuse(t, refresh(t, e), token.ErrTransient)
	k.mustTry(t, "new", "old") // only success says that the secret was the reason
}

func TestClientWithOneSecretIsNotAskedTwice(t *testing.T) {
	t.Parallel()
	for _, previous := range []string{"", "new"} {
		k := newKeeper(invalidClient)
		mustRefuse(t, refresh(t, rotating(t, k, "new", previous)), token.ErrConfig)
		k.mustTry(t, "new")
	}
}

func TestUnreadablePreviousSecretIsNoObstacle(t *testing.T) {
	t.Parallel()
	gone := errors.New("the file is gone")
	k := newKeeper(invalidClient, "new")
	e := rotating(t, k, "new", "")
	e.Previous = func() (token.Secret, error) { return token.Secret{}, gone }
	if err := refresh(t, e); err != nil {
		t.Error(err)
	}
	k.mustTry(t, "new")
	k.valid = nil
	err := refresh(t, e)
	mustRefuse(t, err, token.ErrConfig, "401 invalid_client", "the previous secret could not be tried")
	if !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	k.mustTry(t, "new")
}

func TestSecretsAreRotatedUnderManyCallers(t *testing.T) {
	t.Parallel()
	k := newKeeper(invalidClient, "old")
	e := rotating(t, k, "new", "old")
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 20 {
				if _, err := (Offline{e}).Refresh(context.Background(), token.NewSecret("shprt_x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := len(k.tried); n < 321 || n > 336 {
		t.Errorf("%d POSTs for 320 calls of 16 callers: at most one refusal each", n)
	}
}
