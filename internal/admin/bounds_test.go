package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/refresh"
	"evergate/internal/token"
)

// TestWhatIsShownIsBounded has every text as long as it can be, of what encodings make longest.
func TestWhatIsShownIsBounded(t *testing.T) {
	const most = 64 << 10
	var scopes []string
	for _, c := range []string{"\x01", "<", "&", `"`, "é", "abcd"} {
		long := errors.New(strings.Repeat(c, 1<<20))
		longest := []string{strings.Repeat(c, 2500)}
		for _, scopes = range [][]string{longest, many(c)} {
			if scopes = token.BelievableScopes(scopes); scopes == nil {
				t.Fatalf("%q: not believable", c)
			}
			s := sidecar{status: refresh.Status{Shop: "acme.myshopify.com", Grant: "offline", State: "fresh", Usable: true,
				Issued: time.Now(), Scopes: scopes, Err: long, Failing: "transient", Unsaved: long, Alarm: long}, err: long}
			h := New(Options{Tokens: &s, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(), Stopping: func() bool { return false },
				Version: "1.2.3", Notices: func() []Notice { return []Notice{{LevelError, "x", "x", long.Error(), long.Error(), long.Error()}} }})
			for path, method := range map[string]string{"/": http.MethodGet, "/status": http.MethodGet, "/readyz": http.MethodGet, "/-/refresh": http.MethodPost} {
				w := call(h, method, path)
				if w.Code == http.StatusForbidden || w.Code == http.StatusNotFound || w.Body.Len() > most {
					t.Errorf("%s with %q: %d, %d bytes", path, c, w.Code, w.Body.Len())
				}
			}
		}
	}
}

// many is as many scopes as there may be.
func many(c string) []string {
	var all []string
	for token.BelievableScopes(append(all, c)) != nil {
		all = append(all, c)
	}
	return all
}
