package login

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/denial"
	"evergate/internal/grant"
)

func outcomePage(g Granted, err error, where hint, app ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	secure(w.Header())
	writeOutcome(w, g, err, reader{where: where, app: strings.Join(app, "")})
	return w
}

func TestEveryRefusalHasItsOwnSentenceOnThePage(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, refusal := range []error{grant.ErrMalformed, grant.ErrState, grant.ErrHMAC, grant.ErrStale,
		fmt.Errorf("%w: other-shop.myshopify.com was authorised", grant.ErrShop)} {
		for _, where := range []hint{loopbackHint, hostedHint} {
			w := outcomePage(Granted{}, refusal, where)
			body := w.Body.String()
			if w.Code != http.StatusBadRequest || !strings.Contains(body, "Nothing was changed") || seen[body] {
				t.Errorf("%v: %d %s", refusal, w.Code, body)
			}
			if strings.Contains(body, "Start again") != (where == hostedHint) || strings.Contains(body, "terminal") == (where == hostedHint) {
				t.Errorf("%v says to go on where nobody is: %s", refusal, body)
			}
			seen[body] = true
		}
	}
}

func TestPageKeepsWhatIsTheOperatorsBusiness(t *testing.T) {
	t.Parallel()
	err := errors.New("/var/lib/evergate/acme.json: <b>damaged</b>")
	for _, where := range []hint{loopbackHint, hostedHint} {
		if w := outcomePage(Granted{}, err, where); w.Code != http.StatusBadGateway || strings.Contains(w.Body.String(), "damaged") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := outcomePage(Granted{}, fmt.Errorf("x: %w", grant.ErrCode), where); !strings.Contains(w.Body.String(), "too old, or it was used already") {
			t.Errorf("%s", w.Body)
		}
	}
}

func TestPageNamesMissingScopesAndEscapesThem(t *testing.T) {
	t.Parallel()
	body := outcomePage(Granted{MissingScopes: []string{"read_orders", "<i>"}}, nil, hostedHint).Body.String()
	if !strings.Contains(body, "read_orders, &lt;i&gt;.") {
		t.Errorf("%s", body)
	}
	if body := outcomePage(Granted{}, nil, hostedHint).Body.String(); strings.Contains(body, "Not granted") {
		t.Errorf("%s", body)
	}
}

func TestNothingOnThePageCanBeMarkup(t *testing.T) {
	t.Parallel()
	const hostile = `</p></title></style><script>alert(1)</script><a href="javascript:alert(2)" onclick='x'>`
	w := httptest.NewRecorder()
	writePage(w, http.StatusOK, view{Title: hostile, Text: hostile, Next: hostile, Missing: []string{hostile}, Again: hostile, Good: true})
	if n := strings.Count(w.Body.String(), html.EscapeString(hostile)); n != 6 {
		t.Errorf("%d of 6 values are on the page, escaped:\n%s", n, w.Body)
	}
	for _, part := range []string{"<script", "javascript:alert(2)\"", "onclick='"} {
		if strings.Contains(w.Body.String(), part) {
			t.Errorf("the page holds %s", part)
		}
	}
}

// The policy is worth something only if the browser takes the style for the one it names.
func TestPagesAreLockedDown(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, grant.ErrDeclined, grant.ErrState, errors.New("x")} {
		w := outcomePage(Granted{}, err, hostedHint)
		csp, body := w.Header().Get("Content-Security-Policy"), w.Body.String()
		styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(body, -1)
		if len(styles) != 1 {
			t.Fatalf("%s", body)
		}
		sum := sha256.Sum256([]byte(styles[0][1]))
		if !strings.Contains(csp, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") || strings.Contains(csp, "unsafe") ||
			!strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "form-action 'none'") || !strings.Contains(csp, "base-uri 'none'") {
			t.Errorf("%s", csp)
		}
		for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		for _, part := range []string{`<html lang="en">`, "<main", `name="viewport"`, "<title>"} {
			if strings.Count(body, part) != 1 {
				t.Errorf("%d times %s", strings.Count(body, part), part)
			}
		}
		for _, foreign := range []string{"<script", "<img", "<link", "http:", "https:", "style=", "onclick"} {
			if strings.Contains(body, foreign) {
				t.Errorf("it has %s", foreign)
			}
		}
	}
}

// A merchant knows the app by the name that it has at Shopify, and has never heard of Evergate.
func TestPagesNameTheAppThatTheMerchantKnows(t *testing.T) {
	t.Parallel()
	for _, where := range []hint{loopbackHint, hostedHint} {
		for _, err := range []error{nil, grant.ErrDeclined, grant.ErrMalformed, grant.ErrState, grant.ErrHMAC, grant.ErrStale, grant.ErrCode, ErrClosing, errors.New("x")} {
			for _, app := range []string{"", "Stock & Sync"} {
				body := outcomePage(Granted{MissingScopes: []string{"read_orders"}}, err, where, app).Body.String()
				if strings.Contains(body, "Evergate") || strings.Contains(body, "evergate") {
					t.Errorf("%v names Evergate: %s", err, body)
				}
				if app != "" && err == nil && (!strings.Contains(body, "<h1>Stock &amp; Sync is connected</h1>") || !strings.Contains(body, "although Stock &amp; Sync asked for it")) {
					t.Errorf("%s", body)
				}
				if app == "" && err == nil && (!strings.Contains(body, "<h1>The app is connected</h1>") || !strings.Contains(body, "The app may now work with") || !strings.Contains(body, "although the app asked")) {
					t.Errorf("%s", body)
				}
			}
		}
	}
}

func TestABrowserThatIsLostGetsAPage(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	w := httptest.NewRecorder()
	denyPath(w, r, reader{where: hostedHint, app: "Stock"})
	if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("a program: %d %v", w.Code, w.Header())
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	w = httptest.NewRecorder()
	denyPath(w, r, reader{where: hostedHint, app: "Stock"})
	if w.Code != http.StatusNotFound || w.Header().Get(denial.Header) != denial.CodeNotFound || !strings.Contains(w.Body.String(), "Only the login of Stock is here.") || !strings.Contains(w.Body.String(), StartPath) {
		t.Errorf("a browser: %d %v %s", w.Code, w.Header(), w.Body)
	}
}
