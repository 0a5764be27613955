package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
)

// shops is a process with a hundred and fifty shops, of which some are not well.
type shops struct {
	notStarted bool
	notReady   error
	all        map[string]*sidecar
}

func newShops() *shops {
	s := &shops{all: map[string]*sidecar{}}
	for i := range 150 {
		name := fmt.Sprintf("shop-%03d.myshopify.com", i)
		st := fresh
		st.Shop = name
		s.all[name] = &sidecar{status: st}
	}
	for name, st := range map[string]refresh.Status{"shop-003": failing, "shop-007": {State: Idle}, "shop-140": {State: "expired", Reauthorize: true, Err: failure, FailedAt: issued}} {
		st.Shop = name + ".myshopify.com"
		s.all[st.Shop].status = st
	}
	return s
}

func (s *shops) Ready() error { return s.notReady }

func (s *shops) Started() bool { return !s.notStarted }

func (s *shops) Find(_ context.Context, name string) (Tokens, error) {
	if !strings.Contains(name, ".") {
		name += ".myshopify.com"
	}
	if t := s.all[name]; t != nil {
		return t, nil
	}
	return nil, denial.New(http.StatusNotFound, denial.CodeUnknownShop, "The shop "+denial.Quote(name)+" is not served here.")
}

func (s *shops) List(after, search string, most int) (page []refresh.Status, more bool) {
	for i := range 150 {
		name := fmt.Sprintf("shop-%03d.myshopify.com", i)
		if name <= after || !strings.Contains(name, search) {
			continue
		}
		if len(page) == most {
			return page, true
		}
		page = append(page, s.all[name].status)
	}
	return page, false
}

func (s *shops) Count() ShopCount {
	stored := int64(200)
	return ShopCount{Listed: 150, Active: 149, Stored: &stored, Failing: 2, NeedPerson: 1}
}

func (s *shops) handler(t *testing.T) http.Handler {
	t.Helper()
	reg := prometheus.NewRegistry()
	room := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "evergate_bucket_capacity", Help: "x"}, []string{"shop", "api"})
	room.WithLabelValues("shop-001.myshopify.com", "rest").Set(40)
	room.WithLabelValues("shop-002.myshopify.com", "rest").Set(400)
	reg.MustRegister(room)
	return denialtest.Watched(t, New(Options{
		Tokens: &sidecar{status: refresh.Status{State: "none", Obtained: true, Usable: s.notReady == nil, Err: s.notReady}}, Shops: s,
		Admission: newAdmission(t), Gatherer: reg, Quit: func() {}, Stopping: func() bool { return false }, Version: "1.2.3",
	}))
}

func TestProbesOfManyShops(t *testing.T) {
	t.Parallel()
	s := newShops()
	h := s.handler(t)
	for path, want := range map[string]int{
		"/readyz": 200, "/startupz": 200, "/readyz?shop=shop-001": 200, "/readyz?shop=shop-001.myshopify.com": 200, "/readyz?shop=shop-003": 503, "/readyz?shop=nobody": 404, "/readyz?shop=": 404, "/startupz?shop=": 404, "/startupz?shop=shop-003": 503,
	} {
		if w := call(h, http.MethodGet, path); w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
	s.notReady = errors.New("connection refused")
	if w := call(s.handler(t), http.MethodGet, "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), "connection refused") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(s.handler(t), http.MethodGet, "/startupz"); w.Code != 200 {
		t.Errorf("a store that was read once is away: %d %s", w.Code, w.Body)
	}
	stopping := New(Options{Tokens: &sidecar{}, Shops: s, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(), Quit: func() {}, Stopping: func() bool { return true }})
	if w := call(stopping, http.MethodGet, "/startupz"); w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("a process that ends takes calls: %d %s", w.Code, w.Body)
	}
	s.notStarted = true
	for ready, want := range map[error]string{s.notReady: "connection refused", nil: "has not been read yet"} {
		s.notReady = ready
		if w := call(s.handler(t), http.MethodGet, "/startupz"); w.Code != 503 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("a store that was never read: %d %s, want %q", w.Code, w.Body, want)
		}
	}
}

func TestAShopIsRefreshedByName(t *testing.T) {
	t.Parallel()
	s := newShops()
	h := s.handler(t)
	if w := call(h, http.MethodPost, "/-/refresh?shop=shop-005"); w.Code != 200 || s.all["shop-005.myshopify.com"].refreshes != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(h, http.MethodPost, "/-/refresh"); w.Code != 404 || !strings.Contains(w.Body.String(), "?shop=NAME") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestShopsAreListedInPages(t *testing.T) {
	t.Parallel()
	h := newShops().handler(t)
	seen := map[string]ShopState{}
	pages := 0
	for path := "/status"; path != ""; pages++ {
		w := call(h, http.MethodGet, path)
		var r FleetReport
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 || w.Body.Len() > 64<<10 {
			t.Fatalf("%s: %d, %d bytes, %v", path, w.Code, w.Body.Len(), err)
		}
		if r.Fleet.Active != 149 || *r.Fleet.Stored != 200 || !r.Ready || r.Verdict.Level != LevelWarning || len(r.RateLimits) > 0 {
			t.Errorf("%s: %+v, verdict %+v, limits %v", path, r.Fleet, r.Verdict, r.RateLimits)
		}
		for _, s := range r.Shops {
			seen[s.Shop] = s
		}
		path = ""
		if r.Next != "" {
			path = "/status?after=" + r.Next
		}
	}
	if len(seen) != 150 || pages != 2 {
		t.Errorf("%d shops on %d pages", len(seen), pages)
	}
	if s := seen["shop-140.myshopify.com"]; !s.Reauthorize || s.LastError == "" || s.Usable {
		t.Errorf("%+v", s)
	}
	if s := seen["shop-001.myshopify.com"]; s.TokenLeft == nil || !s.Usable || s.State != "fresh" {
		t.Errorf("%+v", s)
	}
	var one Report
	if w := call(h, http.MethodGet, "/status?shop=shop-001"); json.Unmarshal(w.Body.Bytes(), &one) != nil || one.Shop != "shop-001.myshopify.com" || len(one.RateLimits) != 1 || one.RateLimits[0].Capacity != 40 {
		t.Errorf("%+v", one)
	}
}

func TestThePageOfManyShopsHasATable(t *testing.T) {
	t.Parallel()
	s := newShops()
	s.all["shop-003.myshopify.com"].status.Err = errors.New("<script>alert(1)</script>")
	h := s.handler(t)
	for path, want := range map[string][]string{
		"/":                     {"Many shops", `href="/?shop=shop-003.myshopify.com"`, "149 active, 150 listed, 200 stored", `href="/?after=shop-099.myshopify.com&amp;search="`, "&lt;script&gt;"},
		"/?search=140":          {"shop-140.myshopify.com", `value="140"`},
		`/?search="><script>x`:  {"None."},
		"/?shop=shop-001":       {"<h1>shop-001.myshopify.com</h1>", "Next renewal"},
		"/?after=shop-148&x=%2": {"shop-149.myshopify.com"},
	} {
		w := call(h, http.MethodGet, strings.ReplaceAll(strings.ReplaceAll(path, `"`, "%22"), "<", "%3C"))
		for _, one := range want {
			if !strings.Contains(w.Body.String(), one) {
				t.Errorf("%s has no %q", path, one)
			}
		}
		if strings.Contains(w.Body.String(), "<script>x") || strings.Contains(w.Body.String(), "<script>alert") {
			t.Errorf("%s: markup of others is on the page", path)
		}
	}
	if w := call(h, http.MethodGet, "/?shop=nobody"); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
}

// TestAShopOfManySaysWhatIsItsOwn looks at the page of one shop: where it is called, what is counted for all, and advice that
// names the file in which its settings are.
func TestAShopOfManySaysWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	s := newShops()
	for _, name := range []string{"shop-003", "shop-004"} {
		s.all[name+".myshopify.com"].status.Usable = false
		s.all[name+".myshopify.com"].status.Err = remedy.New("check SHOPIFY_CLIENT_SECRET, then the installation", "token endpoint answered 400 invalid_request")
	}
	reg := prometheus.NewRegistry()
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "evergate_caller_requests_total", Help: "x"}, []string{"caller", "outcome"})
	calls.WithLabelValues("erp", "ok").Inc()
	reg.MustRegister(calls)
	h := New(Options{
		Tokens: &sidecar{status: refresh.Status{Usable: true}}, Shops: s, Admission: newAdmission(t), Gatherer: reg, Quit: func() {}, Stopping: func() bool { return false },
		Setup: Setup{ShopsFile: "/etc/evergate/shops.yaml", OwnShop: "shop-004.myshopify.com"},
		Entrances: func() []Entrance {
			return []Entrance{{"http://127.0.0.1:8080", "curl http://127.0.0.1:8080/" + AnyShop + "/admin"}}
		},
	})
	for path, want := range map[string][]string{
		"/?shop=shop-003": {`<a href="/">All shops</a>`, "8080/shop-003.myshopify.com/admin", "Counted for all shops together", "Calls in the last hour, of all shops",
			"Check client_secret, then the installation. What is in <code>/etc/evergate/shops.yaml</code> is read again by itself.", `http-equiv="refresh" content="10"`},
		"/?shop=shop-004": {"Check SHOPIFY_CLIENT_SECRET, then the installation. Settings are read at the start"},
		"/":               {"8080/$SHOP.myshopify.com/admin", "check client_secret", `http-equiv="refresh" content="60"`},
	} {
		w := call(h, http.MethodGet, path)
		for _, one := range want {
			if !strings.Contains(w.Body.String(), one) {
				t.Errorf("%s has no %q", path, one)
			}
		}
	}
	if w := call(h, http.MethodGet, "/"); strings.Contains(w.Body.String(), "together") || strings.Contains(w.Body.String(), "of all shops") || strings.Contains(w.Body.String(), "All shops") {
		t.Error("the page of all shops says of itself that it is of all")
	}
}

func TestShopsWithoutATokenAreAnErrorWhenTheyAreMany(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		count ShopCount
		level Level
		code  string
	}{
		{ShopCount{Active: 10}, LevelOK, codeOK},
		{ShopCount{Active: 10, Failing: 10}, LevelWarning, codeRefreshFails},
		{ShopCount{Active: 10, Failing: 1, NoToken: 1}, LevelWarning, codeNoToken},
		{ShopCount{Active: 10, Failing: 4, NoToken: 2}, LevelError, codeNoToken},
		{ShopCount{Active: 1, Failing: 1, NoToken: 1}, LevelError, codeNoToken},
		{ShopCount{Active: 10, Failing: 1, NeedPerson: 1}, LevelWarning, codeReauthorize},
	} {
		f := facts{fleet: &test.count, status: refresh.Status{Usable: true, Obtained: true, State: "fresh"}}
		if got := judge(f)[0]; got.Level != test.level || got.Code != test.code {
			t.Errorf("%+v: %+v", test.count, got)
		}
	}
}

func TestAStoreThatIsAwayIsTheVerdict(t *testing.T) {
	t.Parallel()
	s := newShops()
	s.notReady = errors.New("connection refused")
	var r FleetReport
	if w := call(s.handler(t), http.MethodGet, "/status"); json.Unmarshal(w.Body.Bytes(), &r) != nil || r.Ready || r.Verdict.Code != codeStoreUnreachable || !strings.Contains(r.Verdict.Text, "onnection refused") {
		t.Errorf("%+v", r.Verdict)
	}
}

// With one shop the parameter names that one, or nobody.
func TestTheOnlyShopCanBeNamed(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: fresh}
	h := s.handler(t)
	for path, want := range map[string]int{"/readyz?shop=acme": 200, "/readyz?shop=ACME.myshopify.com": 200, "/readyz?shop=other": 404, "/readyz?shop=": 404, "/status?shop=other": 404, "/?shop=acme": 200} {
		if w := call(h, http.MethodGet, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// A browser sends the form only where the policy allows it, and what the script replaces holds nothing that somebody types into.
func TestABrowserMaySearchTheShops(t *testing.T) {
	t.Parallel()
	h := newShops().handler(t)
	all := call(h, http.MethodGet, "/?search=14")
	if csp := all.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("the table's page: %s", csp)
	}
	if csp := call(h, http.MethodGet, "/?shop=shop-001").Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'none'") {
		t.Errorf("a shop's page: %s", csp)
	}
	if form, live := strings.Index(all.Body.String(), "<form"), strings.Index(all.Body.String(), `id="live-shops"`); form < 0 || form > live {
		t.Errorf("the form is at %d, what is replaced begins at %d", form, live)
	}
}

func TestAPageOfShopsIsBounded(t *testing.T) {
	t.Parallel()
	const most = 256 << 10
	for _, c := range []string{"\x01", "<", "&", `"`, "é", "a"} {
		s := newShops()
		for _, one := range s.all {
			one.status.Grant, one.status.Err, one.status.FailedAt = "client_credentials", errors.New(strings.Repeat(c, 1<<16)), issued
			one.status.Shop = strings.Repeat("a", 63) + one.status.Shop
		}
		s.notReady = errors.New(strings.Repeat(c, 1<<16))
		h := s.handler(t)
		for _, path := range []string{"/", "/status"} {
			if w := call(h, http.MethodGet, path); w.Code != http.StatusOK || w.Body.Len() > most {
				t.Errorf("%s with %q: %d, %d bytes", path, c, w.Code, w.Body.Len())
			}
		}
	}
}

// swapped is a process whose shop is made anew while a page is open.
type swapped struct {
	*shops
	asked int
	of    func(asked int) (Tokens, error)
}

func (s *swapped) Find(context.Context, string) (Tokens, error) {
	s.asked++
	return s.of(s.asked)
}

func TestAnOpenPageFollowsItsShop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		named := func(grant string) *sidecar {
			st := fresh
			st.Shop, st.Grant = "shop-001.myshopify.com", grant
			return &sidecar{status: st}
		}
		before, after := named("offline"), named("static")
		s := &swapped{shops: newShops(), of: func(asked int) (Tokens, error) {
			switch {
			case asked < 3:
				return before, nil
			case asked == 3: // the store does not answer for a moment
				return nil, &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeNoToken, Message: "x"}
			case asked < 6:
				return after, nil
			}
			return nil, denial.New(http.StatusNotFound, denial.CodeUnknownShop, "x")
		}}
		h := New(Options{
			Tokens: before, Shops: s, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(), Quit: func() {}, Stopping: func() bool { return false },
		})
		w := &stream{httptest.NewRecorder(), 100, func() {}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events?shop=shop-001", http.NoBody)
		r.Host = "localhost:9090"
		h.ServeHTTP(w, r) // it ends because the shop is not served any more
		var grants []string
		for event := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
			grants = append(grants, fmt.Sprint(strings.Contains(event, "static: a permanent token")))
		}
		if got := strings.Join(grants, " "); got != "false false false true true" {
			t.Errorf("the new one is shown: %s", got)
		}
	})
}
