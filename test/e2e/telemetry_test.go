package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// otlp is an OpenTelemetry collector that keeps what it is sent.
type otlp struct {
	url string

	mu     sync.Mutex
	spans  []*trace.Span
	bodies bytes.Buffer
	header http.Header
}

func newCollector(t *testing.T) *otlp {
	t.Helper()
	c := &otlp{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("the collector was sent something it cannot read: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *otlp) take(r *http.Request) error {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = unpacked
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var message trace.TracesData // on the wire an ExportTraceServiceRequest, whose package links gRPC
	if err := proto.Unmarshal(b, &message); err != nil || r.URL.Path != "/v1/traces" {
		return fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies.Write(b)
	c.header = r.Header
	for _, resource := range message.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return nil
}

// environ sends spans here at once.
func (c *otlp) environ() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_HEADERS=x-collector-key=opensesame"}
}

func (c *otlp) raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bodies.String()
}

func (c *otlp) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, s := range c.spans {
		all = append(all, s.GetName())
	}
	return all
}

func TestSpansReachACollector(t *testing.T) {
	t.Parallel()
	shop, spans := newShopify(t, shopOptions{}), newCollector(t)
	s := shop.readySidecar(t, append(spans.environ(), "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test")...)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	process.Eventually(t, func() error {
		if names := strings.Join(spans.names(), ","); !strings.Contains(names, "GET rest:shop") || !strings.Contains(names, "send to Shopify") {
			return fmt.Errorf("the collector has %q", names)
		}
		return nil
	})
	if key := spans.header.Get("X-Collector-Key"); key != "opensesame" {
		t.Errorf("OTEL_EXPORTER_OTLP_HEADERS was not heeded: %q", key)
	}
	for _, want := range []string{"evergate", "deployment.environment", shopsim.DefaultShop} {
		if !strings.Contains(spans.raw(), want) {
			t.Errorf("no span says %q", want)
		}
	}
	if log := s.Err.String(); strings.Contains(log, "opensesame") {
		t.Error("the collector's key is in the log")
	}
}

func TestACollectorThatIsAwayDisturbsNobody(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	s := shop.readySidecar(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_EXPORTER_OTLP_TIMEOUT=200")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	s.AwaitLog(t, "spans could not be sent; requests are not affected")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
}

func TestTheLogLevelChangesWhileItRuns(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	s := shop.readySidecar(t, "EVERGATE_ACCESS_LOG=all")
	count := func() int { return strings.Count(s.Err.String(), `"msg":"request"`) }
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	process.Eventually(t, func() error { return atLeast(count(), 1, "lines") })
	mustStatus(t, s.call(t, http.MethodPost, s.admin+"/-/log-level?level=error", ""), http.StatusOK)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	mustStatus(t, s.call(t, http.MethodPost, s.admin+"/-/log-level?level=loud", ""), http.StatusBadRequest)
	mustStatus(t, s.call(t, http.MethodPost, s.admin+"/-/log-level?level=info", ""), http.StatusOK)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	process.Eventually(t, func() error { return atLeast(count(), 2, "lines") })
	if n := count(); n != 2 {
		t.Errorf("%d lines for three requests, of which one was made while the level was error", n)
	}
}
