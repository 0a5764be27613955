package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
)

// That there is a code at all is looked at with every answer that the tests of this package get; these are which.
func TestEveryAnswerThatIsNoSuccessHasItsCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s              sidecar
		method, target string
		status         int
		code           string
	}{
		{sidecar{status: waiting}, "GET", "/readyz", 503, denial.CodeNoToken},
		{sidecar{status: fresh, stopping: true}, "GET", "/readyz", 503, denial.CodeStopping},
		{sidecar{status: waiting}, "GET", "/startupz", 503, denial.CodeNoToken},
		{sidecar{err: failure}, "POST", "/-/refresh", 503, denial.CodeRefreshFailed},
		{sidecar{noCA: failure}, "GET", "/ca.pem", 503, denial.CodeNoLocalCA},
		{sidecar{}, "POST", "/-/log-level?level=debug", 404, denial.CodeNotFound}, // this one has no level to change
		{sidecar{}, "GET", "/nothing", 404, denial.CodeNotFound},
		{sidecar{}, "POST", "/nothing", 404, denial.CodeNotFound},
		{sidecar{}, "GET", "//nothing", 307, ""},
		{sidecar{}, "GET", "/-/quit", 405, denial.CodeMethodNotAllowed},
		{sidecar{}, "CONNECT", "/status", 405, denial.CodeMethodNotAllowed},
		{sidecar{}, "BREW", "/livez", 405, denial.CodeMethodNotAllowed},
	} {
		w := call(tc.s.handler(t), tc.method, tc.target)
		if w.Code != tc.status || w.Header().Get(denial.Header) != tc.code {
			t.Errorf("%s %s: %d %q %s, want %d %q", tc.method, tc.target, w.Code, w.Header(), w.Body, tc.status, tc.code)
		}
	}
}

func TestTheLogLevelsErrorIsADenial(t *testing.T) {
	t.Parallel()
	h := denialtest.Watched(t, New(Options{Tokens: &sidecar{}, Admission: newAdmission(t), Gatherer: prometheus.NewRegistry(),
		Stopping: func() bool { return false }, LogLevel: func(string) error { return errors.New("there is no such level") }}))
	w := call(h, "POST", "/-/log-level?level=loud")
	if w.Code != 400 || w.Header().Get(denial.Header) != denial.CodeInvalidLogLevel || w.Body.String() != `{"errors":"there is no such level"}` {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestAFailedScrapeHasACodeAndItsOwnText(t *testing.T) {
	t.Parallel()
	broken := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("two of a kind") })
	h := denialtest.Watched(t, New(Options{Tokens: &sidecar{}, Admission: newAdmission(t), Gatherer: broken, Stopping: func() bool { return false }}))
	w := call(h, "GET", "/metrics")
	if w.Code != 500 || w.Header().Get(denial.Header) != denial.CodeMetricsFailed || !strings.Contains(w.Body.String(), "two of a kind") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestTheClientSaysWhatTheAnswerSays(t *testing.T) {
	t.Parallel()
	s := &sidecar{status: waiting, err: failure, noCA: errors.New("no place")}
	server := httptest.NewServer(s.handler(t))
	defer server.Close()
	c := NewClient("tcp", strings.TrimPrefix(server.URL, "http://"))
	for path, want := range map[string]string{
		"/readyz":    "503 Service Unavailable: no usable token: it is being obtained",
		"/-/refresh": "503 Service Unavailable: " + failure.Error(),
		"/ca.pem":    "503 Service Unavailable: There is no local CA: no place",
	} {
		method := http.MethodGet
		if path == "/-/refresh" {
			method = http.MethodPost
		}
		if err := c.Call(t.Context(), method, path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
