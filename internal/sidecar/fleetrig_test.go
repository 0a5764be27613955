package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// fleetRig is a sidecar for many shops before a simulated Shopify.
type fleetRig struct {
	*Sidecar
	sim  *shopsim.Sim
	file string

	mu    sync.Mutex
	posts map[string]int // requests for a token, by shop
}

// newFleetRig is one whose background runs, with some shops at Shopify, a store in memory and this shops file, below the defaults.
func newFleetRig(t *testing.T, shops []string, file string, environ ...string) *fleetRig {
	t.Helper()
	return newFleetRigOn(t, func(b token.Backend) token.Backend { return b }, shops, file, environ...).run(t)
}

// newFleetRigOn is a rig on what the store in memory is made into; nothing runs yet.
func newFleetRigOn(t *testing.T, wrap func(token.Backend) token.Backend, shops []string, file string, environ ...string) *fleetRig {
	t.Helper()
	r := &fleetRig{file: filepath.Join(t.TempDir(), "shops.yaml"), posts: map[string]int{}}
	o := shopsim.Options{Apps: []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}}}
	for _, name := range shops {
		o.Shops = append(o.Shops, shopsim.Shop{Domain: name})
	}
	r.sim = shopsim.New(o)
	r.sim.OnAnswer(func(e shopsim.Entry) {
		if e.Route == "token" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.posts[e.Shop]++
		}
	})
	server, err := r.sim.StartPlain("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r.edit(t, file)
	environ = append([]string{"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_SHOPS_FILE=" + r.file, "EVERGATE_STORE=memory:", "EVERGATE_CA_DIR=memory:"}, environ...)
	settings, err := Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sidecar, err = Assemble(settings, NewLogger(settings.Config, io.Discard, FormatJSON, nil), environ, Build{Version: "dev"}); err != nil {
		t.Fatal(err)
	}
	r.app.Backend = wrap(r.app.Backend)
	return r
}

// run runs the background of a rig that does not serve.
func (r *fleetRig) run(t *testing.T) *fleetRig {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.many.run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done; r.close(nil) })
	return r
}

// edit writes the shops file.
func (r *fleetRig) edit(t *testing.T, text string) {
	t.Helper()
	text = fmt.Sprintf("defaults: {client_id: %s, client_secret: %s}\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret) + text
	if err := os.WriteFile(r.file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.file+".new", r.file); err != nil {
		t.Fatal(err)
	}
}

func (r *fleetRig) asked(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.posts[name+".myshopify.com"]
}

// store puts a pair of that age into the store, as another process would.
func (r *fleetRig) store(t *testing.T, name string, age time.Duration) {
	r.storeFor(t, name, age, time.Hour)
}

// storeFor is store with another life than an hour; it returns the access token.
func (r *fleetRig) storeFor(t *testing.T, name string, age, life time.Duration) string {
	t.Helper()
	shop := named(t, name)
	s, err := r.app.Backend.Shop(shop)
	if err != nil {
		t.Fatal(err)
	}
	access, refresh := r.sim.IssuePair(name, shopsim.DefaultClientID)
	record := token.Begin(token.Record{
		Shop: shop.Domain(), ClientID: shopsim.DefaultClientID, Grant: config.GrantOffline,
		Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret(access), Issued: time.Now().Add(-age), Life: life},
			Refresh: token.NewSecret(refresh), RefreshExpires: time.Now().AddDate(0, 0, 90),
		},
	})
	for err = token.ErrConflict; errors.Is(err, token.ErrConflict); { // what is served here may be storing its first token
		_, handle, _ := s.Load(t.Context())
		_, err = s.Swap(t.Context(), handle, record)
	}
	if err != nil {
		t.Fatal(err)
	}
	return access
}

// call asks for a shop as a tool does.
func (r *fleetRig) call(name string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "http://localhost/"+name+".myshopify.com/admin/api/2026-10/shop.json", nil)
	req.RequestURI = req.URL.Path
	r.handler.ServeHTTP(w, req)
	return w
}

func named(t *testing.T, name string) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

// eventually waits until try returns nil.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	again, deadline := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for err := try(); err != nil; err = try() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// sessions are those of an app that are about to end.
type sessions []string

// Due implements token.Dues.
func (s sessions) Due(context.Context, time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range s {
			if !yield(name+".myshopify.com", nil) {
				return
			}
		}
	}
}
