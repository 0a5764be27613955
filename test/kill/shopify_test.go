//go:build linux

package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/test/process"
)

// shopify is a simulated Shopify with one shop, and the directory in which an app keeps
// its grant.
type shopify struct {
	*shopsim.Sim
	ca          *shopsim.CA
	url, caFile string
	dir         string
	keys        envelope.Keys
	trap        *trap
	conns       atomic.Int64 // connections to Shopify
	lastEnd     atomic.Int64 // when the last token ends that was handed out, in Unix nanoseconds
}

// life is what Shopify gives an access token here, unless a test needs another.
const life = 2 * time.Second

func newShopify(t *testing.T, settings shopsim.Settings, seed uint64) *shopify {
	t.Helper()
	settings.RESTSize, settings.RESTLeak = 1e6, 1e6
	if settings.OfflineLife == 0 {
		settings.OfflineLife = life
	}
	s := &shopify{Sim: shopsim.New(shopsim.Options{Settings: settings, Seed: seed}), dir: filepath.Join(t.TempDir(), "store"), trap: &trap{}}
	ca, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	s.ca = ca
	public, err := os.MkdirTemp("", "evergate-ca-") // t.TempDir is for this user alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(public) })
	s.caFile = filepath.Join(public, "ca.pem")
	if err := errors.Join(os.Mkdir(s.dir, 0o700), os.Chmod(public, 0o755), os.WriteFile(s.caFile, ca.PEM, 0o644)); err != nil {
		t.Fatal(err)
	}
	s.OnToken(func(e shopsim.TokenEvent) {
		s.lastEnd.Store(e.Time.Add(e.Life).UnixNano())
		s.trap.minted()
	})
	s.url = s.listen(t)
	return s
}

// listen opens one more way to the same shop.
func (s *shopify) listen(t *testing.T) (url string) {
	t.Helper()
	config, err := s.ca.ServerConfig()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = s.ambush("https://"+server.Listener.Addr().String(), t.Context().Done())
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are the point
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.conns.Add(-1)
		}
	}
	server.Config.BaseContext = func(net.Listener) context.Context { return t.Context() }
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// awaitQuiet returns when everything that dead processes sent has arrived, except for what the
// trap holds back. A request on its way would otherwise take effect at any later moment.
func (s *shopify) awaitQuiet(t *testing.T) {
	t.Helper()
	process.Eventually(t, func() error {
		if open, held := s.conns.Load(), s.trap.holding(); open > held {
			return fmt.Errorf("%d connections of the dead, %d of them held back", open, held)
		}
		return nil
	})
}

// ambush lets the trap see the requests to the token endpoint come and go. They are
// processed to the end, also when their sender is dead.
func (s *shopify) ambush(url string, over <-chan struct{}) http.Handler {
	next := s.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/oauth/access_token") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r = r.WithContext(context.WithoutCancel(r.Context()))
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !s.trap.arrived(url, over) {
			panic(http.ErrAbortHandler) // this one never arrived
		}
		next.ServeHTTP(&intercepted{w, func() { s.trap.committed(url) }}, r)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		s.trap.answered(url)
	})
}

// intercepted tells when an answer is about to be sent.
type intercepted struct {
	http.ResponseWriter
	before func()
}

func (w *intercepted) WriteHeader(status int) {
	w.before()
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *intercepted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// environ is what a sidecar in front of this shop is configured with.
func (s *shopify) environ(more ...string) []string {
	return append([]string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop,
		"SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID,
		"SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_GRANT=offline",
		"EVERGATE_STORE=file:" + s.dir,
		"EVERGATE_UPSTREAM_URL=" + s.url,
		"EVERGATE_UPSTREAM_CA_FILE=" + s.caFile,
		"EVERGATE_LISTEN=127.0.0.1:0",
		"EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_FORMAT=json",
		"EVERGATE_TOKEN_WAIT=25s", // a loaded machine is no reason for a request to fail
	}, more...)
}

func (s *shopify) open(t *testing.T) token.Store {
	t.Helper()
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	f, err := store.OpenDir(s.dir, shop, s.keys)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// put stores a record, whatever was there.
func (s *shopify) put(t *testing.T, pair token.Pair) {
	t.Helper()
	err := store.Replace(t.Context(), s.open(t), func(token.Record) (token.Record, error) {
		return token.Record{Shop: shopsim.DefaultShop, ClientID: shopsim.DefaultClientID, Grant: "offline", Current: pair}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seed begins a new chain, as a login would.
func (s *shopify) seed(t *testing.T) {
	t.Helper()
	_, refresh := s.IssuePair("", "")
	s.put(t, token.Pair{Refresh: token.NewSecret(refresh)})
}

// recordFile is where the record lies.
func (s *shopify) recordFile() string { return filepath.Join(s.dir, shopsim.DefaultShop+".json") }

// holds reports whether the store has a refresh token that Shopify honours.
func (s *shopify) holds(t *testing.T) bool {
	t.Helper()
	record, _, err := s.open(t).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := []string{shopsim.Fingerprint(record.Current.Refresh.Reveal())}
	if record.Previous != nil {
		known = append(known, shopsim.Fingerprint(record.Previous.Refresh.Reveal()))
	}
	return slices.ContainsFunc(s.Generations("", ""), func(g shopsim.Generation) bool {
		return g.Honoured && slices.Contains(known, g.Fingerprint)
	})
}

// ends is when the last token ends that was handed out.
func (s *shopify) ends() time.Time { return time.Unix(0, s.lastEnd.Load()) }

// refreshes is how many requests for a refresh took effect.
func (s *shopify) refreshes() int { n := s.Stats(); return n.Refreshes + n.Retries }
