package inject

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"evergate/internal/pace"
	"evergate/internal/shopify"
	"evergate/internal/upstream"
)

// forbidding is a rig whose upstream answers with a status, header and body that change, and
// what is said about it.
type forbidding struct {
	status int
	header http.Header
	body   string

	*rig
	log     bytes.Buffer
	notices Unexplained
}

func newForbidding(t *testing.T, body string, more ...func(*Shop)) *forbidding {
	t.Helper()
	f := &forbidding{status: http.StatusForbidden, header: http.Header{}, body: body}
	f.rig = newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range f.header {
			w.Header()[name] = values
		}
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.body)
	}, func(o *Options, _ *upstream.Options) {
		o.Log, oneShop(*o).Unexplained = slog.New(slog.NewTextHandler(&f.log, nil)), &f.notices
		for _, set := range more {
			set(oneShop(*o))
		}
	})
	return f
}

// call makes a call and holds that its answer has come as it was sent.
func (f *forbidding) call(t *testing.T, method, path string) {
	t.Helper()
	want := f.body
	if method == http.MethodHead {
		want = ""
	}
	resp := f.do(t, method, path, nil)
	if got := text(t, resp); got != want || resp.StatusCode != f.status {
		t.Errorf("%s %s: status %d, %.100q", method, path, resp.StatusCode, got)
	}
}

func TestForbiddenWithoutAKnownReasonNamesTheAllowlistOncePerRoute(t *testing.T) {
	for name, body := range map[string]string{
		"short": `{"errors":"private-words"}`, "empty": "", "long": "<html>private-words" + strings.Repeat("x", 100<<10),
	} {
		t.Run(name, func(t *testing.T) {
			f := newForbidding(t, body)
			for range 3 {
				f.call(t, "GET", "/admin/api/2026-10/shop.json")
				f.call(t, "GET", "/admin/api/2026-10/products/1.json")
			}
			log := f.log.String()
			if strings.Count(log, "\n") != 2 || strings.Count(log, "IP allowlist") != 2 || !strings.Contains(log, "route=rest:shop ") || !strings.Contains(log, "route=rest:products ") {
				t.Errorf("%s", log)
			}
			if strings.Contains(log, "private-words") {
				t.Errorf("the log quotes the body: %s", log)
			}
			if got := f.notices.Notice(); !strings.Contains(got, "IP allowlist") || !strings.HasSuffix(got, ": rest:products, rest:shop") && !strings.HasSuffix(got, ": rest:shop, rest:products") {
				t.Errorf("%q", got)
			}
		})
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestForbiddenIsReadThroughItsCompression has answers as most clients get them, which ask for compressed ones.
func TestForbiddenIsReadThroughItsCompression(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	page := []byte("<html>private-words")
	for range 100 << 10 {
		page = append(page, 'a'+byte(noise.IntN(26)))
	}
	unpaced := func(*Shop) {}
	paced := func(s *Shop) { s.Pace = pace.New(pace.Options{MaxWait: time.Second}) }
	for name, body := range map[string]string{"short": `{"errors":"private-words"}`, "long": string(page)} {
		for _, set := range []func(*Shop){unpaced, paced} {
			f := newForbidding(t, gzipped(t, body), set)
			f.header = headerOf("Content-Encoding", "gzip")
			f.call(t, "GET", "/admin/api/2026-10/shop.json")
			if log := f.log.String(); strings.Count(log, "IP allowlist") != 1 || strings.Contains(log, "private-words") || !strings.HasSuffix(f.notices.Notice(), ": rest:shop") {
				t.Errorf("%s: %s %q", name, log, f.notices.Notice())
			}
		}
	}
	retired := 0
	f := newForbidding(t, gzipped(t, `{"errors":"[API] Non-expiring access tokens are no longer accepted for the Admin API."}`), paced, func(s *Shop) { s.PermanentRetired = func() { retired++ } })
	f.header = headerOf("Content-Encoding", "gzip")
	f.call(t, "GET", "/admin/api/2026-10/shop.json")
	if retired != 1 {
		t.Errorf("a token that Shopify no longer accepts was noticed %d times", retired)
	}
}

func TestForbiddenOfWhichNothingIsSaid(t *testing.T) {
	const path = "/admin/api/2026-10/shop.json"
	for name, c := range map[string]struct {
		method, body string
		status       int
		header       http.Header
	}{
		"scope":         {body: `{"errors":"[API] This action requires merchant approval for read_themes scope."}`},
		"customer data": {body: `{"errors":"[API] This app is not approved to access REST endpoints with protected customer data."}`},
		"closed":        {body: `{"errors":"Unavailable Shop"}`},
		"permanent":     {body: `{"errors":"[API] Non-expiring access tokens are no longer accepted for the Admin API."}`},
		"broken":        {body: "\x1f\x8b\x08\x00", header: headerOf("Content-Encoding", "gzip")},
		"unknown":       {body: "private-words", header: headerOf("Content-Encoding", "x-pack")},
		"compressed":    {body: gzipped(t, `{"errors":"[API] This action requires merchant approval for read_themes scope."}`), header: headerOf("Content-Encoding", "gzip")},
		"HEAD":          {method: "HEAD"},
		"404":           {body: `{"errors":"Not Found"}`, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForbidding(t, c.body)
			f.header = c.header
			if c.status != 0 {
				f.status = c.status
			}
			method := "GET"
			if c.method != "" {
				method = c.method
			}
			f.call(t, method, path)
			if f.log.Len() != 0 || f.notices.Notice() != "" {
				t.Errorf("%s %q", &f.log, f.notices.Notice())
			}
		})
	}
}

func TestNoticeOfAForbiddenRouteGoesWithItsNextSuccess(t *testing.T) {
	f := newForbidding(t, `{"errors":"no"}`)
	f.call(t, "GET", "/admin/api/2026-10/shop.json")
	f.call(t, "GET", "/admin/api/2026-10/products.json")
	f.status = http.StatusNotFound
	f.call(t, "GET", "/admin/api/2026-10/shop.json")
	f.status = http.StatusOK
	f.call(t, "GET", "/admin/api/2026-10/products.json")
	if got := f.notices.Notice(); !strings.HasSuffix(got, ": rest:shop") {
		t.Errorf("%q", got)
	}
	f.call(t, "GET", "/admin/api/2026-10/shop.json")
	if got := f.notices.Notice(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestNoticeOfAForbiddenRouteEndsAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u Unexplained
		u.refused(shopify.RouteOther)
		time.Sleep(noticeTime - 1)
		if u.Notice() == "" {
			t.Error("too early")
		}
		time.Sleep(1)
		if got := u.Notice(); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestNoticeNamesAFewRoutes(t *testing.T) {
	var u Unexplained
	for route := range shopify.Route(8) {
		u.refused(route)
	}
	if got := u.Notice(); !strings.HasSuffix(got, " and 3 more") || strings.Count(got, ", ") != 5 {
		t.Errorf("%q", got)
	}
}

func TestReasonIsFoundHoweverItsBytesCome(t *testing.T) {
	const reason = `{"errors":"Unavailable Shop"}`
	var decided []string
	r := &forbiddenReader{decide: func(b []byte) { decided = append(decided, string(b)) }}
	r.ReadCloser = io.NopCloser(iotest.OneByteReader(strings.NewReader(reason)))
	if got, err := io.ReadAll(r); err != nil || string(got) != reason || len(decided) != 1 || decided[0] != reason {
		t.Errorf("%q, %v, decided on %q", got, err, decided)
	}
}

func TestForbiddenBodyThatBreaksOffSaysNothing(t *testing.T) {
	r := &forbiddenReader{decide: func(b []byte) { t.Errorf("decided on %q", b) }}
	r.ReadCloser = io.NopCloser(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if got, err := io.ReadAll(r); err == nil || string(got) != "{" {
		t.Errorf("%q, %v", got, err)
	}
}
