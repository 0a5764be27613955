package inject

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// withMemory also looks that everything has been given back. It has to come before the rig, which waits for its requests
// when it is closed.
func withMemory(t *testing.T, b *limit.Budget) rigOption {
	t.Helper()
	t.Cleanup(func() {
		if b.Held() != 0 {
			t.Errorf("%d bytes are held when nobody is served", b.Held())
		}
	})
	return func(o *Options, _ *upstream.Options) { o.Memory = b }
}

func withPolicy(t *testing.T, name string) rigOption {
	t.Helper()
	who, err := access.New(access.Options{Policy: name, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	shop, err := token.ParseShop(shopDomain)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := guard.New(guard.Options{Shops: guard.One(shop), Access: who})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options, _ *upstream.Options) { o.Admission = admission }
}

// refusing answers 401 to the first token, and with the length of the body to any other.
func refusing(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Shopify-Access-Token") == "shpat_first" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	b, _ := io.ReadAll(r.Body)
	_, _ = w.Write(b)
}

func TestABodyIsKeptWhileThereIsRoomAndStreamedOtherwise(t *testing.T) {
	body := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct {
		budget int64
		body   func() io.Reader
		want   int
	}{
		"room":                          {1 << 20, func() io.Reader { return strings.NewReader(body) }, 200},
		"no room":                       {64 << 10, func() io.Reader { return strings.NewReader(body) }, 401},
		"room, of unknown length":       {1 << 20, func() io.Reader { return io.MultiReader(strings.NewReader(body)) }, 200},
		"no room, of unknown length":    {64 << 10, func() io.Reader { return io.MultiReader(strings.NewReader(body)) }, 401},
		"a small one needs no room":     {1, func() io.Reader { return strings.NewReader("small") }, 200},
		"a small one of unknown length": {1, func() io.Reader { return io.MultiReader(strings.NewReader("small")) }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			b := limit.NewBudget(c.budget)
			r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Shopify-Access-Token") == "shpat_first" {
					_, _ = io.Copy(io.Discard, r.Body) // so that the body is over and can be sent again if it was kept
				}
				refusing(w, r)
			}, withMemory(t, b))
			r.tokens.next = []string{"shpat_second"}
			resp := r.do(t, http.MethodPost, "/admin/api/2026-07/x.json", c.body())
			got := text(t, resp)
			if resp.StatusCode != c.want {
				t.Errorf("status %d, want %d", resp.StatusCode, c.want)
			}
			if want, _ := io.ReadAll(c.body()); c.want == 200 && got != string(want) {
				t.Errorf("%d bytes arrived", len(got))
			}
		})
	}
}

func TestAStreamedBodyArrivesWholeWhenTheRoomEndsInIt(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 50<<10)
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, withMemory(t, limit.NewBudget(100<<10)))
	resp := r.do(t, http.MethodPost, "/admin/api/2026-07/x.json", bytes.NewReader(body))
	if got := text(t, resp); got != string(body) {
		t.Errorf("%d bytes of %d came back, or others", len(got), len(body))
	}
}

func TestABodyToBeJudgedForWhichThereIsNoRoomIsRefusedForNow(t *testing.T) {
	query := `{"query":"{shop{name}}","x":"` + strings.Repeat("x", 100<<10) + `"}`
	b := limit.NewBudget(50 << 10)
	r := newRig(t, refusing, withMemory(t, b), withPolicy(t, "read-only"))
	r.tokens.current = "shpat_second"
	post := func(body io.Reader) *http.Response {
		return r.do(t, http.MethodPost, "/admin/api/2026-07/graphql.json", body, "Content-Type", "application/json")
	}
	for name, body := range map[string]io.Reader{"known": strings.NewReader(query), "unknown": io.MultiReader(strings.NewReader(query))} {
		resp := post(body)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get(denial.Header) != denial.CodeMemoryBudget || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	if resp := post(strings.NewReader(`{"query":"{shop{name}}"}`)); resp.StatusCode != http.StatusOK {
		t.Errorf("a small one: %d", resp.StatusCode)
	}
}
