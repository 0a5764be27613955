package shopsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxControlBody bounds the body of a control request.
const maxControlBody = 1 << 20

// Control returns the handler of the control API, all below /_sim/. It is kept
// apart from Handler so that no path on a shop can reach it. It answers JSON,
// and shows credentials only where the request says reveal=true or asks for a
// new one.
func (s *Sim) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/state", s.controlState)
	mux.HandleFunc("GET /_sim/journal", s.controlJournal)
	mux.HandleFunc("GET /_sim/writes", s.controlWrites)
	mux.HandleFunc("GET /_sim/settings", s.controlSettings)
	mux.HandleFunc("GET /_sim/faults", s.controlFaults)
	mux.HandleFunc("GET /_sim/report", s.controlReport)
	handle(mux, "DELETE /_sim/report", func(struct{}) (any, error) { s.ClearReport(); return nil, nil })
	handle(mux, "POST /_sim/settings", s.changeSettings)
	handle(mux, "POST /_sim/faults", s.injectFault)
	handle(mux, "DELETE /_sim/faults", func(struct{}) (any, error) { s.ClearFaults(); return nil, nil })
	handle(mux, "POST /_sim/fixtures", s.changeFixtures)
	handle(mux, "POST /_sim/reset", func(struct{}) (any, error) { s.Reset(); return nil, nil })
	handle(mux, "POST /_sim/shop", s.changeShop)
	handle(mux, "POST /_sim/install", s.onInstallation(s.Install))
	handle(mux, "POST /_sim/uninstall", s.onInstallation(s.Uninstall))
	handle(mux, "POST /_sim/drain", s.onInstallation(s.DrainBuckets))
	handle(mux, "POST /_sim/scopes", s.changeScopes)
	handle(mux, "POST /_sim/secret", s.changeSecret)
	handle(mux, "POST /_sim/tokens", s.issueToken)
	handle(mux, "POST /_sim/tokens/revoke", s.revokeTokens)
	handle(mux, "POST /_sim/tokens/expire", func(struct{}) (any, error) {
		return map[string]int{"ended": s.ExpireTokens()}, nil
	})
	mux.HandleFunc("GET /_sim/chains", s.controlChains)
	handle(mux, "POST /_sim/chains/end", s.endChain)
	handle(mux, "POST /_sim/codes", s.issueCode)
	handle(mux, "POST /_sim/pairs", s.issuePair)
	handle(mux, "POST /_sim/session", s.issueSession)
	return refuseBrowsers(mux)
}

// refuseBrowsers keeps web pages away: a browser names the page's origin, the
// tools that this API is for do not.
func refuseBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			writeControl(w, http.StatusForbidden, map[string]string{"error": "the control API is not for web pages: send no Origin"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// handle registers an action, a func(In) (any, error) whose In is a JSON object. An empty body is an
// empty object; a member that does not exist is an error, or a typing error
// would pass for a fault that never strikes. It is no generic function: the compiler would make one for each In.
func handle(mux *http.ServeMux, pattern string, action any) {
	f := reflect.ValueOf(action)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		in := reflect.New(f.Type().In(0))
		err := readControl(r, in.Interface())
		var out any
		if err == nil {
			results := f.Call([]reflect.Value{in.Elem()})
			out = results[0].Interface()
			err, _ = results[1].Interface().(error)
		}
		switch {
		case err != nil:
			writeControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		case out == nil:
			writeControl(w, http.StatusOK, struct{}{})
		default:
			writeControl(w, http.StatusOK, out)
		}
	})
}

func readControl(r *http.Request, in any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the body: %w", err)
	case len(body) > maxControlBody:
		return errors.New("the body is too large")
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	return decodeStrict(body, in)
}

func decodeStrict(body []byte, in any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return fmt.Errorf("the body must be one JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body must be one JSON object: something follows it")
	}
	return nil
}

func writeControl(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("shopsim: encode control answer: %v", err)) // every v is made of our own types
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// seconds is a duration in the control API: "1m30s", or a number of seconds.
type seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (d seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *seconds) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b) + "s"
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%s is no duration: want \"1m30s\" or a number of seconds", b)
	}
	*d = seconds(parsed)
	return nil
}

// masked shows enough of a credential to recognise it.
func masked(secret string, reveal bool) string {
	if reveal || secret == "" {
		return secret
	}
	if len(secret) < 16 {
		return "…"
	}
	prefix, _, _ := strings.Cut(secret[:7], "_")
	return prefix + "_…" + secret[len(secret)-4:]
}

func reveals(r *http.Request) bool { return r.URL.Query().Get("reveal") == "true" }

func (s *Sim) controlState(w http.ResponseWriter, r *http.Request) {
	stats := s.Stats()
	s.mu.Lock()
	shops := s.shopViews()
	tokens := s.tokenViews(reveals(r))
	s.mu.Unlock()
	writeControl(w, http.StatusOK, map[string]any{
		"requests": stats.Requests, "token_posts": stats.TokenPosts, "tokens_minted": stats.TokensMinted,
		"tokens_alive": stats.TokensAlive, "grants": stats.Grants, "refreshes": stats.Refreshes, "retries": stats.Retries,
		"dead_refreshes": stats.DeadRefreshes, "chains_lost": stats.ChainsLost,
		"routes": stats.Routes, "shops": shops, "tokens": tokens,
	})
}

func (s *Sim) shopViews() []any {
	c, now := s.state.settings, time.Now()
	out := []any{}
	for _, domain := range slices.Sorted(maps.Keys(s.state.shops)) {
		sh := s.state.shops[domain]
		apps := map[string]any{}
		for id := range s.state.apps {
			b := sh.bucketsOf(id)
			b.rest.leak(c.RESTLeak, now)
			apps[id] = map[string]any{"installed": sh.installed[id], "rest_used": b.rest.used,
				"graphql_available": b.graphQLAvailable(c, now)}
		}
		out = append(out, map[string]any{"shop": domain, "condition": sh.condition,
			"other_organization": sh.otherOrg, "products": len(sh.products.list), "apps": apps})
	}
	return out
}

func (s *Sim) tokenViews(reveal bool) []any {
	now := time.Now()
	living := slices.Collect(maps.Values(s.state.tokens))
	slices.SortFunc(living, func(a, b *token) int { return a.seq - b.seq })
	out := []any{}
	for _, t := range living {
		if !t.alive(now) {
			continue
		}
		view := map[string]any{"token": masked(t.value, reveal), "shop": t.shop.domain, "client_id": t.app.id, "scopes": t.scopes}
		if !t.expires.IsZero() {
			view["expires_in"] = seconds(t.expires.Sub(now).Round(time.Second))
		}
		out = append(out, view)
	}
	return out
}

// controlJournal shows what the simulator received, without bodies and with
// masked tokens unless reveal=true. since=N leaves out entries up to N.
func (s *Sim) controlJournal(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.Atoi(r.URL.Query().Get("since"))
	out := []any{}
	for _, e := range s.Journal() {
		if e.Seq > since {
			out = append(out, e.view(reveals(r)))
		}
	}
	writeControl(w, http.StatusOK, map[string]any{"entries": out})
}

func (e Entry) view(reveal bool) map[string]any {
	header := e.Header.Clone()
	for _, name := range []string{"X-Shopify-Access-Token", "Authorization", "Cookie"} {
		for i, v := range header[name] {
			header[name][i] = masked(v, reveal)
		}
	}
	view := map[string]any{
		"seq": e.Seq, "time": e.Time, "proto": e.Proto, "host": e.Host, "shop": e.Shop, "method": e.Method,
		"path": e.Path, "raw_query": e.RawQuery, "header": header, "body_size": e.BodySize, "body_sha256": e.BodySHA256,
		"token": masked(e.Token, reveal), "route": e.Route, "grant": e.Grant, "fault": e.Fault, "status": e.Status, "operation": e.Operation, "cost": e.Cost, "throttled": e.Throttled,
	}
	if reveal {
		view["body"] = string(e.Body)
	}
	return view
}
