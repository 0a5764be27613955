package shopsim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestFaultAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  Fault
		status int
		parts  []string
		header [2]string
	}{
		{"edge_520", Fault{Kind: FaultStatus, Status: 520}, 520, []string{"error code: 520"}, [2]string{"Content-Type", "text/plain; charset=UTF-8"}},
		{"internal", Fault{Kind: FaultStatus, Status: 500}, 500, []string{`{"errors":"An unexpected error occurred"}`}, [2]string{}},
		{"unavailable", Fault{Kind: FaultStatus, Status: 503, RetryAfter: "1.5"}, 503, []string{"<html"}, [2]string{"Retry-After", "1.5"}},
		{"date", Fault{Kind: FaultStatus, Status: 429, RetryAfterDate: time.Minute}, 429, []string{"Exceeded 2 calls"},
			[2]string{"Retry-After", "Sat, 01 Jan 2000 00:01:00 GMT"}},
		{"unauthorized", Fault{Kind: FaultStatus, Status: 401}, 401, []string{badTokenText}, [2]string{}},
		{"custom", Fault{Kind: FaultStatus, Status: 200, Body: "{}", ContentType: "x/y"}, 200, []string{"{}"}, [2]string{"Content-Type", "x/y"}},
		{"teapot", Fault{Kind: FaultStatus, Status: 418}, 418, []string{"teapot"}, [2]string{}},
		{"no_content", Fault{Kind: FaultStatus, Status: 204}, 204, nil, [2]string{}},
		{"empty", Fault{Kind: FaultEmpty}, 200, nil, [2]string{"Content-Length", "0"}},
		{"html", Fault{Kind: FaultHTML}, 200, []string{"<html"}, [2]string{"Content-Type", "text/html; charset=utf-8"}},
		{"redirect", Fault{Kind: FaultRedirect}, 301, nil, [2]string{"Location", "https://elsewhere.example" + products}},
		{"redirect_to", Fault{Kind: FaultRedirect, Status: 307, Location: "https://x.example/"}, 307, nil, [2]string{"Location", "https://x.example/"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := simWith(1)
				c := mintingClient(t, s)
				tc.fault.Count = 1
				s.Inject(tc.fault)
				a := c.get(products)
				want(t, a, tc.status, tc.parts...)
				if name := tc.header[0]; name != "" && a.Header.Get(name) != tc.header[1] {
					t.Errorf("%s: %q, want %q", name, a.Header.Get(name), tc.header[1])
				}
				want(t, c.get(products), 200, `"products"`)
				if j := s.Journal(); j[0].Fault != tc.fault.Kind || j[0].Status != tc.status || j[1].Fault != FaultNone {
					t.Errorf("journal %+v", j)
				}
			})
		})
	}
}

func TestFaultsChooseTheirRequests(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: "blue-finch"}, {Domain: "other"}}})
	c := mintingClient(t, s)
	status := func(f func() answer, fault Fault) int {
		s.ClearFaults()
		fault.Kind, fault.Status = FaultStatus, 599
		s.Inject(fault)
		return f().StatusCode
	}
	mint := func() answer { return c.mint() }
	rest := func() answer { return c.get(products) }
	gql := func() answer { return c.query("{shop{name}}", nil, "") }
	for _, tc := range []struct {
		name  string
		fault Fault
		hits  [3]bool
	}{
		{"any", Fault{}, [3]bool{true, true, true}},
		{"token", Fault{Endpoint: TokenEndpoint}, [3]bool{true, false, false}},
		{"api", Fault{Endpoint: API}, [3]bool{false, true, true}},
		{"rest", Fault{Endpoint: REST}, [3]bool{false, true, false}},
		{"graphql", Fault{Endpoint: GraphQL}, [3]bool{false, false, true}},
		{"method", Fault{Method: "get"}, [3]bool{false, true, false}},
		{"shop", Fault{Shop: "blue-finch"}, [3]bool{true, true, true}},
		{"other_shop", Fault{Shop: "other"}, [3]bool{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i, f := range []func() answer{mint, rest, gql} {
				if hit := status(f, tc.fault) == 599; hit != tc.hits[i] {
					t.Errorf("request %d hit: %v", i, hit)
				}
			}
		})
	}
}

func TestFaultCounts(t *testing.T) {
	s := New(Options{Seed: 1, Settings: Settings{RESTSize: 10_000}})
	c := mintingClient(t, s)
	pattern := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(map[bool]byte{true: 'x', false: '.'}[c.get(products).StatusCode == 503])
		}
		return b.String()
	}
	s.Inject(Fault{Kind: FaultStatus, Status: 503, Skip: 1, Count: 2})
	if got := pattern(5); got != ".xx.." {
		t.Errorf("skip 1, count 2: %s", got)
	}
	s.Inject(Fault{Kind: FaultStatus, Status: 503, Probability: 0.5})
	if n := strings.Count(pattern(400), "x"); n < 150 || n > 250 {
		t.Errorf("probability 0.5 hit %d of 400", n)
	}
	s.ClearFaults()
	s.Inject(Fault{Kind: FaultStatus, Status: 503})
	s.Inject(Fault{Kind: FaultStatus, Status: 500, Count: 1})
	if got := pattern(3); got != "xxx" {
		t.Errorf("the first fault comes first: %s", got)
	}
}

func TestDropBeforeAndAfterCommit(t *testing.T) {
	for _, after := range []bool{false, true} {
		s := simWith(0)
		c := mintingClient(t, s)
		s.Inject(Fault{Kind: FaultDrop, AfterCommit: after, Method: "POST", Count: 2})
		if _, err := c.try("POST", products, "application/json", `{"product":{"title":"x"}}`); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error %v, want a connection reset", err)
		}
		before := s.Stats().TokensMinted
		if _, err := c.try("POST", "/admin/oauth/access_token", "", credentials().Encode()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("error %v, want a connection reset", err)
		}
		committed := map[bool]int{false: 0, true: 1}[after]
		if n := len(s.mustShop("").products.list); n != committed {
			t.Errorf("after commit %v: %d products", after, n)
		}
		if n := s.Stats().TokensMinted - before; n != committed {
			t.Errorf("after commit %v: %d tokens", after, n)
		}
		if st := s.Stats(); st.Routes["token"][0] != 1 {
			t.Errorf("stats %+v", st)
		}
	}
}

func TestLostTokenAnswer(t *testing.T) {
	s := simWith(0)
	c := newClient(t, s)
	s.Inject(Fault{Kind: FaultStatus, Status: 520, AfterCommit: true, Endpoint: TokenEndpoint, Count: 1})
	want(t, c.mint(), 520)
	if n := s.Stats().TokensAlive; n != 1 {
		t.Errorf("%d tokens alive, want the one nobody heard of", n)
	}
}

func TestDelayIsBeforeOrAfterTheEffect(t *testing.T) {
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := simWith(0)
			s.Inject(Fault{Kind: FaultDelay, Delay: 3 * time.Second, AfterCommit: after})
			c := newClient(t, s)
			start := time.Now()
			want(t, c.mint(), 200)
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("took %v", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", shopURL+"/admin/oauth/access_token", strings.NewReader(credentials().Encode()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.rt.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want the deadline", err)
			}
			synctest.Wait()
			if n := s.Stats().TokensMinted; n != map[bool]int{false: 1, true: 2}[after] {
				t.Errorf("after commit %v: %d tokens minted", after, n)
			}
		})
	}
}

func TestSlowBodySendsItsHeaderAtOnce(t *testing.T) {
	for _, withLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := simWith(1)
			c := mintingClient(t, s)
			s.Inject(Fault{Kind: FaultSlowBody, Chunks: 5, Pause: time.Second, ContentLength: withLength})
			req, err := http.NewRequestWithContext(t.Context(), "GET", shopURL+products, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Shopify-Access-Token", c.token)
			start := time.Now()
			resp, err := c.rt.RoundTrip(req)
			if err != nil || time.Since(start) != 0 {
				t.Fatalf("header after %v, error %v", time.Since(start), err)
			}
			if known := resp.ContentLength > 0; known != withLength {
				t.Errorf("content length %d", resp.ContentLength)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || time.Since(start) != 5*time.Second || !strings.HasSuffix(string(body), "]}") {
				t.Errorf("body after %v: %v %s", time.Since(start), err, body)
			}
			_ = resp.Body.Close()
		})
	}
}

func TestClosingASlowBodyEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble fails if a goroutine stays behind
		s := simWith(1)
		s.Inject(Fault{Kind: FaultSlowBody, Pause: time.Hour})
		req, err := http.NewRequestWithContext(t.Context(), "GET", shopURL+products, nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		resp, err := s.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		synctest.Wait()
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
	})
}

func TestHalfBodies(t *testing.T) {
	s := simWith(1)
	c := mintingClient(t, s)
	full := c.get(products).body
	s.Inject(Fault{Kind: FaultTruncate, Count: 1})
	if got := c.get(products).body; got != full[:len(full)/2] {
		t.Errorf("truncated: %q", got)
	}
	s.Inject(Fault{Kind: FaultCut, Count: 1})
	a, err := c.try("GET", products, "", "")
	if !errors.Is(err, io.ErrUnexpectedEOF) || a.body != full[:len(full)/2] || a.ContentLength != int64(len(full)) {
		t.Errorf("cut: %v, length %d, body %q", err, a.ContentLength, a.body)
	}
}

func TestOddExpiresIn(t *testing.T) {
	for _, value := range []string{"", "0", "-1", `"86399"`, "3600.5", "1e300", "null"} {
		t.Run("value_"+value, func(t *testing.T) {
			s := simWith(0)
			s.Inject(Fault{Kind: FaultExpiresIn, ExpiresIn: value, Count: 1})
			c := mintingClient(t, s)
			want(t, c.get(products), 200) // the fault waits for the token endpoint
			body := c.mint().body
			if given := strings.Contains(body, `"expires_in":`+value+"}"); given != (value != "") {
				t.Errorf("body %s", body)
			}
			want(t, c.mint(), 200, `"expires_in":86399}`)
		})
	}
}

func TestTooManyTokenRequests(t *testing.T) {
	s := simWith(0)
	s.Inject(Fault{Kind: FaultStatus, Status: 429, RetryAfter: "2.0", Endpoint: TokenEndpoint})
	a := newClient(t, s).mint()
	want(t, a, 429, `"error"`)
	if a.Header.Get("Retry-After") != "2.0" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
}

func TestInvalidFaultsAreReportedTogether(t *testing.T) {
	err := Fault{Kind: "odd", Endpoint: "moon", Count: -1, Delay: -1, Probability: 2, ExpiresIn: "{", RetryAfter: "\n",
		Location: "\r", ContentType: "\x00"}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"odd", "moon", "count", "delay", "probability", "expires_in", "retry_after", "location", "content_type"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no word of %s in: %v", part, err)
		}
	}
	for _, f := range []Fault{{Kind: FaultStatus}, {Kind: FaultStatus, Status: 100}, {Kind: FaultRedirect, Status: 200}, {Kind: FaultDelay},
		{Kind: FaultExpiresIn, Endpoint: API}} {
		if f.Validate() == nil {
			t.Errorf("%+v accepted", f)
		}
	}
}

func TestRequestBodyThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simWith(0)
		send := func(ctx context.Context, body io.Reader) error {
			req, err := http.NewRequestWithContext(ctx, "POST", shopURL+products, body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.RoundTripper().RoundTrip(req)
			return err
		}
		pr, pw := io.Pipe()
		_ = pw.CloseWithError(errors.New("no more"))
		if err := send(t.Context(), pr); err == nil {
			t.Error("a body that fails was accepted")
		}
		stalled, _ := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := send(ctx, stalled); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
		if n := s.Stats().Requests; n != 0 {
			t.Errorf("%d requests counted", n)
		}
	})
}
