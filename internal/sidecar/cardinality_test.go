package sidecar

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

// simulated is a simulated Shopify and the settings that lead to it.
func simulated(t *testing.T) (*shopsim.Sim, []string) {
	t.Helper()
	sim := shopsim.New(shopsim.Options{})
	server, err := sim.StartPlain("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return sim, []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
	}
}

// mark is in everything that the strangers below make up.
const mark = "xq7"

// stranger makes requests that nobody has seen before.
type stranger struct{ *rand.Rand }

func (s stranger) word() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789_-"
	b := []byte(mark)
	for range s.IntN(8) {
		b = append(b, letters[s.IntN(len(letters))])
	}
	return string(b)
}

func (s stranger) one(of ...string) string { return of[s.IntN(len(of))] }

func (s stranger) version() string {
	quarter := s.one("2019-04", "2024-10", "2025-01", "2026-01", "2026-10", "2027-01", "unstable")
	return s.one(quarter, quarter, s.word(), "20"+s.one("19", "26", "49", "50", "99")+"-"+s.one("01", "04", "07", "10", "11"))
}

func (s stranger) path() string {
	resource := s.one("graphql.json", "shop.json", "products.json", "orders/1.json", s.word()+".json", "products/"+s.word()+".json", "oauth/"+s.word())
	path := s.one("/admin/api/"+s.version()+"/", "/admin/api/"+s.version()+"/", "/admin/", "/"+s.word()+"/", "/admin/api/"+s.word()+"/..%2f") + resource
	return s.one(path, path, "/"+s.word()+".myshopify.com"+path, "/"+shopsim.DefaultShop+path)
}

func (s stranger) request() *http.Request {
	path := s.path()
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.Method = s.one("GET", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", strings.ToUpper(s.word()))
	r.Host = s.one("localhost", "localhost:8080", shopsim.DefaultShop, "blue-finch.localhost", s.word()+".localhost", s.word()+".myshopify.com", s.word()+".example")
	r.URL = &url.URL{Path: path, RawQuery: s.word() + "=" + s.word()}
	r.RequestURI = path + "?" + r.URL.RawQuery
	r.Header.Set(s.word(), s.word())
	r.Header.Set("User-Agent", s.word())
	if s.IntN(20) == 0 {
		r.Header.Set("Origin", "https://"+s.word()+".example")
	}
	return r
}

// closed are the values that each label may have.
var closed = map[string]*regexp.Regexp{
	"route":    regexp.MustCompile(`^(graphql|rest:(products|orders|shop|access_scopes)|other)$`),
	"method":   regexp.MustCompile(`^(GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS|other)$`),
	"code":     regexp.MustCompile(`^[2-5]\d\d$`),
	"caller":   regexp.MustCompile(`^anonymous$`), // no other has a name here
	"outcome":  regexp.MustCompile(`^(passed|denied|reported)$`),
	"reason":   regexp.MustCompile(`^(401|429|throttled|stalled|bad_request_body|no_token|rate_limit_queue_full|too_many_connections|upstream_unreachable|upstream_timeout|ambiguous_request|ambiguous_path|denied_path|denied_method|misdirected_host|unknown_shop|cross_site)$`),
	"version":  regexp.MustCompile(`^(\d{4}-(01|04|07|10)|unstable|none|other)$`),
	"served":   regexp.MustCompile(`^(\d{4}-(01|04|07|10)|unstable|none|other)$`),
	"shop":     regexp.MustCompile(`^blue-finch\.myshopify\.com$`),
	"result":   regexp.MustCompile(`^(ok|transient|config)$`),
	"grant":    regexp.MustCompile(`^client_credentials$`),
	"listener": regexp.MustCompile(`^(tools|operators|merchants)$`),
	"le":       regexp.MustCompile(`^([\d.]+|\+Inf)$`),
}

var label = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// Strangers may send what they like through the whole of Evergate: paths, methods, hosts and
// shops. None of it becomes a label.
func TestTenThousandStrangersGrowNoMetric(t *testing.T) {
	t.Parallel()
	sim, environ := simulated(t)
	sim.Change(func(c *shopsim.Settings) { c.RESTSize, c.RESTLeak = 1e6, 1e6 })
	cfg, err := Load(append(environ, "EVERGATE_PACE=off"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Assemble(cfg, NewLogger(cfg.Config, io.Discard, FormatJSON, nil), environ, Build{Version: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close(nil) })
	who := stranger{rand.New(rand.NewPCG(1, 2))}
	statuses := map[int]int{}
	for range 10_000 {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, who.request())
		statuses[w.Code]++
	}
	if statuses[http.StatusOK] < 100 || statuses[http.StatusNotFound] < 100 || statuses[http.StatusMisdirectedRequest] < 100 || statuses[http.StatusBadRequest] < 100 {
		t.Errorf("too few reached what they were meant for: %v", statuses)
	}
	w := httptest.NewRecorder()
	s.admin.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
	series := 0
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "evergate_") || strings.HasPrefix(line, "evergate_build_info") {
			continue
		}
		series++
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			if allowed := closed[m[1]]; allowed == nil || !allowed.MatchString(m[2]) {
				t.Errorf("%s", line)
			}
		}
	}
	if strings.Contains(strings.ToLower(w.Body.String()), mark) {
		t.Error("something that a stranger made up was published")
	}
	if series < 100 || series > 1500 {
		t.Errorf("%d series", series)
	}
	t.Logf("%d series, %v", series, statuses)
}
