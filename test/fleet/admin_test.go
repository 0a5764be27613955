package fleet

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

func TestReadinessOfOneShop(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{}, []string{"acme"})
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile([]string{"acme", "uninstalled"}, ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	if a := c.call(t, "acme"); !a.isOf("acme") {
		t.Fatal(a)
	}
	for _, tc := range []struct {
		query, code string
		status      int
	}{
		{"", "", http.StatusOK},
		{"?shop=acme", "", http.StatusOK},
		{"?shop=ACME.myshopify.com", "", http.StatusOK},
		{"?shop=uninstalled", "no_token", http.StatusServiceUnavailable},
		{"?shop=delta", "unknown_shop", http.StatusNotFound},
		{"?shop=", "unknown_shop", http.StatusNotFound},
	} {
		for _, path := range []string{"/readyz", "/startupz"} {
			a, err := c.get(t.Context(), c.admin+path+tc.query, "")
			if err != nil || a.status != tc.status || a.code != tc.code {
				t.Errorf("%s%s: %s, %v; want %d %q", path, tc.query, a, err, tc.status, tc.code)
			}
		}
	}
}

func TestOperatorsSeeEveryShop(t *testing.T) {
	t.Parallel()
	all := names(120)
	s := newShopify(t, shopsim.Settings{}, all)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(append(all[:0:0], append(all, "uninstalled")...), ""))
	c := start(t, s, "EVERGATE_SHOPS_FILE="+file)
	called := append(append([]string{}, all[:1]...), all[60:111]...) // so many that one which fails is its own affair
	for _, name := range called {
		if a := c.call(t, name); !a.isOf(name) {
			t.Fatal(a)
		}
	}
	_ = c.call(t, "uninstalled") // which fails
	status := func(query string) (r struct {
		Ready bool
		Shop  string
		State string
		Fleet struct{ Listed, Active, Failing int }
		Shops []struct{ Shop, State string }
		Next  string
	}) {
		t.Helper()
		a, err := c.get(t.Context(), c.admin+"/status"+query, "")
		if err != nil || a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &r) != nil {
			t.Fatalf("/status%s: %s, %v", query, a, err)
		}
		return r
	}
	first := status("")
	if !first.Ready || first.Fleet.Listed != 121 || first.Fleet.Active != len(called)+1 || first.Fleet.Failing != 1 || len(first.Shops) != 100 || first.Next != all[99]+".myshopify.com" {
		t.Errorf("%+v", first)
	}
	if first.Shops[0].State != "fresh" || first.Shops[1].State != "idle" {
		t.Errorf("%+v", first.Shops[:2])
	}
	if rest := status("?after=" + first.Next); len(rest.Shops) != 21 || rest.Next != "" || rest.Shops[10].State != "fresh" {
		t.Errorf("%+v", rest)
	}
	if found := status("?search=uninst"); len(found.Shops) != 1 || found.Shops[0].State != "none" {
		t.Errorf("%+v", found)
	}
	if one := status("?shop=" + all[0]); one.Shop != all[0]+".myshopify.com" || one.State != "fresh" {
		t.Errorf("%+v", one)
	}
	for path, want := range map[string]int{"/-/refresh?shop=" + all[0]: http.StatusOK, "/-/refresh": http.StatusNotFound, "/-/refresh?shop=nobody": http.StatusNotFound} {
		resp, err := c.client.Post(c.admin+path, "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("POST %s: %s, want %d", path, resp.Status, want)
		}
	}
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"status"}, 0, "121 listed"},
		{[]string{"status", "--shop", all[0]}, 0, all[0] + ".myshopify.com, with client credentials"},
		{[]string{"healthcheck", "--ready"}, 0, ""},
		{[]string{"healthcheck", "--ready", "--shop", "uninstalled"}, 1, ""},
		{[]string{"wait", "--shop", all[5], "--timeout", "10s"}, 0, ""},
	} {
		p := process.Start(t, process.Command(t, binary, []string{"EVERGATE_ADMIN_LISTEN=" + strings.TrimPrefix(c.admin, "http://")}, tc.args...))
		if code := p.Exit(t); code != tc.code || !strings.Contains(p.Out.String(), tc.says) {
			t.Errorf("%q: %d\n%s%s", tc.args, code, p.Out.String(), p.Err.String())
		}
	}
}
