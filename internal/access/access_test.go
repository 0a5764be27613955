package access

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/reload/reloadtest"
	"evergate/internal/request"
	"evergate/internal/shopify"
)

func TestASummaryIsShortHoweverManyCallersThereAre(t *testing.T) {
	_, line, err := caller.NewKey("agent", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var callers []string
	for i := range 20 {
		callers = append(callers, fmt.Sprintf(`"c%02d":"full"`, i))
	}
	for text, want := range map[string]string{
		`{"default":"none"}`: "by default none, keys: 1",
		`{"default":"none","callers":{"a":"full","b":"read-only"}}`:         "by default none, a full, b read-only, keys: 1",
		`{"default":"none","callers":{` + strings.Join(callers, ",") + `}}`: "by default none, c00 full, c01 full, c02 full, c03 full, c04 full, 15 more callers, keys: 1",
	} {
		a, err := New(Options{PolicyFile: reloadtest.WriteFile(t, text), KeysFile: reloadtest.WriteFile(t, line)})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Whoever calls: the policy that is for everybody is narrower here than what callers have of their own.
func TestAPolicyForEverybodyHoldsWhoeverCalls(t *testing.T) {
	key, line, err := caller.NewKey("agent", "full", nil)
	if err != nil {
		t.Fatal(err)
	}
	file := reloadtest.WriteFile(t, `{"default":"full","callers":{"agent":"full","anonymous":"full"},"policies":{"shop":{"base":"none"}}}`)
	for _, everybody := range []string{"read-only", "shop"} {
		a, err := New(Options{Everybody: everybody, PolicyFile: file, KeysFile: reloadtest.WriteFile(t, line)})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := a.Summary(), "for everybody "+everybody+", keys: 1"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		for _, authorization := range []string{"", "Bearer " + key.Reveal()} {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("Authorization", authorization)
			view := request.Of(r)
			_, rules, err := a.Identify(&view)
			if err == nil {
				_, err = rules.JudgeHead(&view, shopify.Target{Path: "/admin/api/2026-10/products.json"})
			}
			if denial.Of(err) == nil {
				t.Errorf("%s: a POST passes with %.8q", everybody, authorization)
			}
		}
	}
	if _, err := New(Options{Everybody: "nowhere", PolicyFile: file}); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
		t.Errorf("%v", err)
	}
}

func TestEveryMistakeNamesItsSetting(t *testing.T) {
	_, line, err := caller.NewKey("agent", "nowhere", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{
		PolicyFile: reloadtest.WriteFile(t, `{"default":"x","y":1}`), KeysFile: reloadtest.WriteFile(t, "x\ny\n"), Peers: "uid:x,nobody", CertFile: reloadtest.WriteFile(t, ""), KeyFile: filepath.Join(t.TempDir(), "missing"),
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for i, l := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(l, "EVERGATE_") && !strings.HasPrefix(l, "the peer ") {
			t.Errorf("line %d: %s", i, l)
		}
	}
	for _, setting := range []string{"EVERGATE_POLICY_FILE: line 1: y", "EVERGATE_POLICY_FILE: line 1: default", "EVERGATE_CLIENT_KEYS_FILE: line 1", "EVERGATE_CLIENT_KEYS_FILE: line 2", "EVERGATE_SOCKET_PEERS", "EVERGATE_TLS_CERT_FILE"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("nothing of %s in %v", setting, err)
		}
	}
	_, err = New(Options{KeysFile: reloadtest.WriteFile(t, line)})
	if err == nil || !strings.Contains(err.Error(), "the key of agent names the policy nowhere") {
		t.Errorf("%v", err)
	}
	if _, err := New(Options{Policy: "read_only"}); err == nil || !strings.Contains(err.Error(), "EVERGATE_POLICY=") {
		t.Errorf("%v", err)
	}
}

func TestOrdersNeedSomebodyKnownWhereCallersDo(t *testing.T) {
	t.Parallel()
	key, line, err := caller.NewKey("agent", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := func() Options { return Options{KeysFile: reloadtest.WriteFile(t, line)} }
	for name, c := range map[string]struct {
		options Options
		key     string
		open    bool
	}{
		"nobody has to be known":     {Options{}, "", true},
		"read-only for everybody":    {Options{Policy: "read-only"}, "", true},
		"keys, and none shown":       {keys(), "", false},
		"keys, and one shown":        {keys(), key.Reveal(), true},
		"keys, and another":          {keys(), key.Reveal()[:len(key.Reveal())-1] + "_", false},
		"an empty file of keys":      {Options{KeysFile: reloadtest.WriteFile(t, "")}, "", false},
		"by default nothing":         {Options{Policy: "none"}, "", false},
		"a file, by default nothing": {Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"none"}`)}, "", false},
		"a file, by default reading": {Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"read-only"}`)}, "", true},
	} {
		a, err := New(c.options)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/-/quit", nil)
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		view := request.Of(r)
		if err := a.MayCommand(&view); (err == nil) != c.open || err != nil && denial.Of(err).Code != denial.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// At a Unix socket the kernel says who commands: the user that Evergate runs as needs no key.
func TestTheOwnerCommandsAtAUnixSocketWithoutAKey(t *testing.T) {
	t.Parallel()
	a, err := New(Options{Policy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"unix": socket, "tcp": "127.0.0.1:0"} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan error, 1)
		server := &http.Server{BaseContext: a.BaseContext, ConnContext: a.ConnContext, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			view := request.Of(r)
			said <- a.MayCommand(&view)
		})}
		go func() { _ = server.Serve(l) }()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial(network, l.Addr().String()) }}}
		resp, err := client.Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if err := <-said; (err == nil) != (network == "unix" && runtime.GOOS != "windows") {
			t.Errorf("%s: %v", network, err)
		}
		_ = server.Close()
	}
}
