package browser

import (
	"fmt"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// state is one that a sidecar can be in, and what its page must say then.
type state struct {
	name    string
	sim     shopsim.Options
	environ []string
	faults  []shopsim.Fault
	keys    []string // names of clients, each of which makes two of the calls more
	// calls makes calls; nil: none.
	calls func(t *testing.T, tools string)
	// settled reports whether the sidecar is there yet, by its /status; nil: from the start.
	settled       func(status) bool
	killed        bool
	level, title  string
	verdict       string
	advice, shows []string
}

// status is what is asked of /status.
type status struct {
	Ready   bool
	Verdict struct{ Level, Code string }
}

// stateSeen is what came of looking; see pagestates.cjs.
type stateSeen struct {
	Faults, Overflows, Complaints, Shots, Wrapped       []string
	Title, Icon, LostIcon, Level, Verdict, Advice, Text string
	Noticed                                             int
}

func ready(s status) bool { return s.Ready }

// many makes n calls of a path, whose answers may be of any status.
func many(n int, path string) func(*testing.T, string) {
	return func(t *testing.T, tools string) {
		t.Helper()
		for range n {
			resp, err := http.Get(tools + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	}
}

// The version of the quarter: its end is far.
func path(resource string) string {
	now := time.Now().UTC()
	return fmt.Sprintf("/admin/api/%d-%02d/%s", now.Year(), 1+(int(now.Month())-1)/3*3, resource)
}

var products = path("products.json")

// The first one lasts for as long as an attempt may take, so it is looked at first.
var pageStates = []state{
	{
		name: "starting", faults: []shopsim.Fault{{Kind: shopsim.FaultDelay, Endpoint: shopsim.TokenEndpoint, Delay: time.Minute}},
		level: "warning", title: "! Starting", verdict: "The first token is being obtained.",
	},
	{
		name: "healthy", settled: ready, level: "ok", title: "✓ All is well", verdict: "All is well.",
		calls: func(t *testing.T, tools string) {
			many(44, products)(t, tools)
			many(2, path("shop.json"))(t, tools)
		},
		shows: []string{"client credentials", "REST: room for", "46 calls, 0 failed", "curl http://127.0.0.1", "by default full", "anonymous", "calls have waited", "Longest wait"},
	},
	{
		name: "nocalls", settled: ready, level: "ok", title: "✓ All is well", verdict: "No tool has called yet.",
		shows: []string{"Nobody has called yet.", "curl http://127.0.0.1", "None."},
	},
	{
		name: "quarter", settled: ready, sim: shopsim.Options{Settings: shopsim.Settings{RESTSize: 400, RESTLeak: 20}},
		faults: []shopsim.Fault{{Kind: shopsim.FaultStatus, Endpoint: shopsim.API, Status: http.StatusBadGateway, Count: 10}},
		calls: func(t *testing.T, tools string) {
			many(40, products)(t, tools)
			many(3, "/admin/oauth/authorize")(t, tools)
		},
		level: "error", title: "✕ Calls fail", verdict: "10 of 43 calls failed in the last 5 minutes, all of them with 502 Bad Gateway (rest:products).",
		advice: []string{"EVERGATE_UPSTREAM_URL names in Shopify's place"}, shows: []string{"rest:products", "Shopify: 502 Bad Gateway", "Refused: 403 denied_path", "A call failed if", "now"},
	},
	{
		name: "secret", environ: []string{"SHOPIFY_CLIENT_SECRET=shpss_00000000000000000000000000000000"}, settled: func(s status) bool { return s.Verdict.Code == "no_token" },
		calls: many(6, products),
		level: "error", title: "✕ No token", verdict: "There is no usable token, so requests are answered with 503.",
		advice: []string{"What to do:", "SHOPIFY_CLIENT_SECRET"}, shows: []string{"Last error", "Next attempt", "Evergate: 503 no_token"},
	},
	{
		name: "dead", environ: []string{"EVERGATE_GRANT=offline"}, settled: func(s status) bool { return s.Verdict.Code == "reauthorization_required" },
		level: "error", title: "✕ Log in again", verdict: "A person must authorise the app anew. Requests are answered with 503.",
		advice: []string{"What to do:", "login"}, shows: []string{"offline: a stored grant"},
	},
	{
		name: "retired", settled: ready, calls: func(t *testing.T, tools string) {
			many(12, "/admin/api/2024-01/products.json")(t, tools)
			many(3, products)(t, tools)
		},
		level: "error", title: "✕ API version retired", verdict: "(2024-01)",
		advice: []string{"newer version"}, shows: []string{"2024-01", "no longer supported", "supported until"},
	},
	{
		name: "crowded", settled: ready, sim: shopsim.Options{Settings: shopsim.Settings{RESTSize: 400, RESTLeak: 20}},
		environ: []string{
			"SHOPIFY_SCOPES=read_products,write_products,read_assigned_fulfillment_orders,write_merchant_managed_fulfillment_orders", "EVERGATE_PACE=off",
			"EVERGATE_LISTEN=127.0.0.1:0,tls:127.0.0.1:0,[::1]:0", "EVERGATE_CA_DIR=memory:", "EVERGATE_UNSAFE_LISTEN=true",
		},
		keys: []string{"agent", "spiffe://example.com/ns/commerce/sa/nightly-stock-synchronisation", "reporting.example.com"},
		faults: []shopsim.Fault{
			{Kind: shopsim.FaultStatus, Endpoint: shopsim.API, Status: http.StatusServiceUnavailable, Count: 9},
			{Kind: shopsim.FaultStatus, Endpoint: shopsim.API, Status: http.StatusForbidden, Body: "no", Count: 4},
		},
		calls: func(t *testing.T, tools string) {
			for _, resource := range []string{"assigned_fulfillment_orders.json", "products.json", "storefront_access_tokens.json", "orders.json"} {
				many(6, path(resource))(t, tools)
			}
			many(3, "/admin/api/2024-01/products.json")(t, tools)
			many(2, "/admin/oauth/authorize")(t, tools)
		},
		level: "error", title: "✕ Calls fail", verdict: "18 of 32 calls failed",
		advice: []string{"EVERGATE_UPSTREAM_URL names in Shopify's place"}, shows: []string{"Shopify refuses calls with a 403 whose reason Evergate does not know", "IP allowlist", "rest:assigned_fulfillment_orders", "nightly-stock-synchronisation", "lacks scopes", "2024-01", "https://127.0.0.1", "off: Shopify's refusals are passed on"},
	},
	{
		name: "lost", settled: ready, calls: many(12, products), killed: true,
		level: "lost", title: "? Connection lost", verdict: "The connection to the sidecar is lost.", shows: []string{"may be wrong now"},
	},
}

func TestTheStatusPageInEachState(t *testing.T) {
	t.Parallel()
	modules := requireBrowser(t)
	chromium, _ := exec.LookPath("chromium")
	type look struct {
		Name string `json:"name"`
		URL  string `json:"url"`
		Kill int    `json:"kill,omitempty"`
	}
	job := struct {
		Chromium string `json:"chromium"`
		Shots    string `json:"shots"`
		States   []look `json:"states"`
	}{chromium, shots(t), nil}
	var living []*child
	for _, st := range pageStates {
		p, url := st.begin(t)
		one := look{Name: st.name, URL: url}
		if st.killed {
			one.Kill = p.Cmd.Process.Pid
		} else {
			living = append(living, p)
		}
		job.States = append(job.States, one)
	}
	var seen map[string]stateSeen
	drive(t, "pagestates.cjs", modules, len(job.States), job, &seen)
	for _, st := range pageStates {
		t.Run(st.name, func(t *testing.T) { st.check(t, seen[st.name]) })
	}
	for _, p := range living {
		p.stop(t)
	}
}

// begin has a sidecar come into the state, and returns where its page is.
func (st state) begin(t *testing.T) (*child, string) {
	t.Helper()
	s := newShopify(t, st.sim)
	for _, f := range st.faults {
		s.Inject(f)
	}
	keys, environ := st.makeKeys(t, s.environ)
	p := start(t, append(environ, append([]string{"EVERGATE_TOKEN_WAIT=5s"}, st.environ...)...), "serve")
	tools, operators := "http://"+p.address(t, "listening for tools"), "http://"+p.address(t, "listening for operators")
	settle := func() {
		if st.settled == nil {
			return
		}
		process.Eventually(t, func() error {
			var now status
			if getJSON(t, operators+"/status", &now); !st.settled(now) {
				return fmt.Errorf("%+v", now)
			}
			return nil
		})
	}
	settle()
	if st.calls != nil {
		st.calls(t, tools)
		for _, key := range keys {
			get(t, tools+path("shop.json"), http.StatusOK, "Authorization", "Bearer "+key)
		}
		settle()
	}
	return p, operators + "/"
}

// makeKeys makes a key for each of the names, and returns what has the sidecar know them.
func (st state) makeKeys(t *testing.T, environ []string) (keys, with []string) {
	t.Helper()
	if st.keys == nil {
		return nil, environ
	}
	file := filepath.Join(t.TempDir(), "keys")
	for _, name := range st.keys {
		said, err := process.Output(process.Command(t, binary, environ, "key", name, "--file", file))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, regexp.MustCompile(`evg_\S+`).FindString(said))
	}
	return keys, append(environ, "EVERGATE_CLIENT_KEYS_FILE="+file)
}

func (st state) check(t *testing.T, seen stateSeen) {
	if len(seen.Faults)+len(seen.Overflows)+len(seen.Complaints)+len(seen.Wrapped) > 0 {
		t.Errorf("axe finds %q; it is too wide at %q; the browser complains %q; these wrap: %q", seen.Faults, seen.Overflows, seen.Complaints, seen.Wrapped)
	}
	if seen.Level != "verdict "+st.level || !strings.HasPrefix(seen.Title, st.title+" · "+shopsim.DefaultShop) || !strings.Contains(seen.Verdict, st.verdict) {
		t.Errorf("%q, %q: %q", seen.Level, seen.Title, seen.Verdict)
	}
	if !strings.HasPrefix(seen.Icon, "data:image/svg+xml;base64,") || (seen.Icon == seen.LostIcon) != st.killed {
		t.Errorf("its icon is %q", seen.Icon)
	}
	for _, want := range st.advice {
		if !strings.Contains(seen.Advice, want) {
			t.Errorf("the advice does not say %q: %q", want, seen.Advice)
		}
	}
	if (st.advice == nil) != (seen.Advice == "") {
		t.Errorf("advice: %q", seen.Advice)
	}
	for _, want := range st.shows {
		if !strings.Contains(seen.Text, want) {
			t.Errorf("the page does not say %q:\n%s", want, seen.Text)
		}
	}
	for _, wrong := range []string{"`", "client_credentials", "shpss_", "NaN", "undefined"} {
		if strings.Contains(seen.Text, wrong) {
			t.Errorf("the page says %q:\n%s", wrong, seen.Text)
		}
	}
	green := 0
	for _, shot := range seen.Shots {
		green += greenPixels(t, shot)
	}
	if st.killed && green > 0 || st.level == "ok" && green == 0 {
		t.Errorf("%d pixels of its pictures are green", green)
	}
	if st.killed && seen.Noticed > 3000 {
		t.Errorf("that nobody answers was noticed after %d ms", seen.Noticed)
	}
}

func greenPixels(t *testing.T, shot string) (n int) {
	t.Helper()
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			if int(c.G) > int(c.R)+24 && int(c.G) > int(c.B)+24 {
				n++
			}
		}
	}
	return n
}
