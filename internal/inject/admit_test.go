package inject

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/policy"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

const graphQLPath = "/admin/api/2026-10/graphql.json"

// withAccess has the rig's admission hold callers to a policy.
func withAccess(t testing.TB, who access.Options) rigOption {
	t.Helper()
	a, err := access.New(who)
	if err != nil {
		t.Fatal(err)
	}
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop), Access: a})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options, _ *upstream.Options) { o.Admission = admission }
}

func withLog(w io.Writer) rigOption {
	return func(o *Options, _ *upstream.Options) { o.Log = slog.New(slog.NewTextHandler(w, nil)) }
}

// echo answers with the body and the framing that arrived.
func echo(calls *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		_, _ = w.Write(body)
	}
}

// unsized hides a body's length, so that it is sent in chunks.
func unsized(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

const (
	aQuery    = `{"query":"query Q { shop { name } }","variables":{"ü":"\n"}}`
	aMutation = `{"query":"mutation M { productCreate { product { id } } }"}`
)

// Whatever the size of the replay buffer, and whether or not the length is known.
func TestAMutationDoesNotPassReadOnly(t *testing.T) {
	t.Parallel()
	for name, buffer := range map[string]int64{"no_buffer": 0, "small": 10, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			r := newRig(t, echo(&calls), withReplayBuffer(buffer), withAccess(t, access.Options{Policy: policy.ReadOnly}))
			for how, wrap := range map[string]func(string) io.Reader{
				"sized": func(s string) io.Reader { return strings.NewReader(s) }, "unsized": unsized,
			} {
				resp := r.do(t, "POST", graphQLPath, wrap(aQuery), "Content-Type", "application/json")
				if got := text(t, resp); resp.StatusCode != 200 || got != aQuery {
					t.Errorf("%s: a query: %d %q", how, resp.StatusCode, got)
				}
				before := calls.Load()
				resp = r.do(t, "POST", graphQLPath, wrap(aMutation), "Content-Type", "application/json")
				var answer struct {
					Errors []struct {
						Message    string
						Extensions struct{ Code string }
					}
				}
				if err := json.Unmarshal([]byte(text(t, resp)), &answer); err != nil || len(answer.Errors) != 1 {
					t.Fatalf("%s: no GraphQL error: %v %+v", how, err, answer)
				}
				e := answer.Errors[0]
				if resp.StatusCode != 200 || resp.Header.Get("X-Evergate-Error") != "read_only" || e.Extensions.Code != "ACCESS_DENIED" || !strings.Contains(e.Message, "productCreate") {
					t.Errorf("%s: a mutation: %d %v %+v", how, resp.StatusCode, resp.Header, e)
				}
				if calls.Load() != before {
					t.Errorf("%s: the mutation reached Shopify", how)
				}
			}
			if passed, denied := r.count(t, "evergate_caller_requests_total", "anonymous", "passed"), r.count(t, "evergate_caller_requests_total", "anonymous", "denied"); passed != 2 || denied != 2 {
				t.Errorf("%v passed and %v denied are counted, want 2 of each", passed, denied)
			}
			if n := r.count(t, "evergate_denied_total", "read_only"); n != 2 {
				t.Errorf("%v denials are counted, want 2", n)
			}
		})
	}
}

func TestAJudgedBodyIsSentAgainAfterA401(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(body)
	}, withReplayBuffer(0), withAccess(t, access.Options{Policy: policy.ReadOnly}))
	r.tokens.next = []string{"shpat_second"}
	resp := r.do(t, "POST", graphQLPath, unsized(aQuery), "Content-Type", "application/json")
	if got := text(t, resp); resp.StatusCode != 200 || got != aQuery {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
}

func TestABodyTooLargeToJudgeIsRefused(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := newRig(t, echo(&calls), withAccess(t, access.Options{Policy: policy.ReadOnly}))
	large := `{"query":"{ shop { name } }","variables":{"x":"` + strings.Repeat("x", policy.LargestJudgedBody) + `"}}`
	for how, body := range map[string]io.Reader{"sized": strings.NewReader(large), "unsized": unsized(large)} {
		resp := r.do(t, "POST", graphQLPath, body, "Content-Type", "application/json")
		if resp.StatusCode != 413 || resp.Header.Get("X-Evergate-Error") != "graphql_too_large" || !strings.HasPrefix(text(t, resp), `{"errors":"`) {
			t.Errorf("%s: %d %v", how, resp.StatusCode, resp.Header)
		}
	}
	if calls.Load() != 0 {
		t.Error("it reached Shopify")
	}
}

// A client that sends everything before it looks for an answer finds it, whatever it has
// said about the connection.
func TestARefusalIsNotLostBehindAnUnreadBody(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := newRig(t, echo(&calls), withAccess(t, access.Options{Policy: policy.ReadOnly}))
	body := strings.Repeat("x", 3<<20)
	for _, path := range []string{"/admin/api/2026-10/products.json", "/admin/oauth/access_token", graphQLPath} {
		for _, connection := range []string{"close", "keep-alive"} {
			_, answers := r.raw(t, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: "+connection+
				"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.Header.Get("X-Evergate-Error") == "" {
				t.Errorf("%s, %s: %v, %v", path, connection, resp, err)
			}
		}
	}
	if calls.Load() != 0 {
		t.Error("one of them reached Shopify")
	}
}

func TestABodyThatBreaksOffIsTheClientsMistake(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := newRig(t, echo(&calls), withAccess(t, access.Options{Policy: policy.ReadOnly}))
	_, answers := r.raw(t, "POST "+graphQLPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"que\r\nzz\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 400 || resp.Header.Get("X-Evergate-Error") != denial.CodeBadBody || !resp.Close || calls.Load() != 0 {
		t.Errorf("%d %v, %d calls", resp.StatusCode, resp.Header, calls.Load())
	}
}

func TestRefusalsAreLoggedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s logLimiter
		got := ""
		for _, step := range []struct {
			wait         time.Duration
			caller, code string
			route        shopify.Route
		}{
			{0, "a", "read_only", shopify.RouteGraphQL}, {time.Minute, "a", "read_only", shopify.RouteGraphQL},
			{0, "b", "read_only", shopify.RouteGraphQL}, {0, "a", "denied_operation", shopify.RouteGraphQL}, {0, "a", "read_only", shopify.RouteOther},
			{58 * time.Minute, "a", "read_only", shopify.RouteGraphQL}, {time.Minute, "a", "read_only", shopify.RouteGraphQL}, {0, "a", "read_only", shopify.RouteGraphQL},
		} {
			time.Sleep(step.wait)
			if s.allow(step.caller, step.code, step.route) {
				got += "said "
			} else {
				got += "silent "
			}
		}
		if want := "said silent said said said silent said silent "; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestARefusedCallerIsLoggedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var log bytes.Buffer
	r := newRig(t, echo(&calls), withLog(&log), withAccess(t, access.Options{Policy: policy.ReadOnly}))
	for range 3 {
		resp := r.do(t, "DELETE", "/admin/api/2026-10/products/1.json", nil, "X-Shopify-Access-Token", "evg_secret", "Authorization", "Bearer evg_secret")
		if resp.StatusCode != 403 || resp.Header.Get("X-Evergate-Error") != "read_only" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
	if got := log.String(); strings.Count(got, "msg=denied") != 1 || strings.Contains(got, "secret") {
		t.Errorf("the log:\n%s", got)
	}
}

func TestLinksLeadToTheAddressAndSchemeOfTheClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    guard.Admitted
		want string
	}{
		{guard.Admitted{Host: "localhost:8080"}, "<http://localhost:8080/admin/x>; rel=next"},
		{guard.Admitted{Host: "evergate.internal", TLS: true}, "<https://evergate.internal/admin/x>; rel=next"},
		{guard.Admitted{Host: "h:1", Prefix: "/" + shopDomain, TLS: true}, "<https://h:1/" + shopDomain + "/admin/x>; rel=next"},
		{guard.Admitted{Host: shopDomain, OwnName: true}, "<https://" + shopDomain + "/admin/x>; rel=next"},
		{guard.Admitted{Host: shopDomain + ":443", OwnName: true, TLS: true}, "<https://" + shopDomain + "/admin/x>; rel=next"},
		{guard.Admitted{Host: shopDomain + ":8080", OwnName: true}, "<http://" + shopDomain + ":8080/admin/x>; rel=next"},
		{guard.Admitted{Host: shopDomain + ":80", OwnName: true}, "<http://" + shopDomain + ":80/admin/x>; rel=next"},
		{guard.Admitted{Host: shopDomain + ":8443", OwnName: true, TLS: true}, "<https://" + shopDomain + ":8443/admin/x>; rel=next"},
	} {
		c.p.Shop = shopNamed(t, shopDomain)
		out := http.Header{}
		copyHeader(out, http.Header{"Link": {"<https://" + shopDomain + "/admin/x>; rel=next"}}, linksFor(&c.p))
		if got := out.Get("Link"); got != c.want {
			t.Errorf("%+v: %s, want %s", c.p, got, c.want)
		}
	}
}
