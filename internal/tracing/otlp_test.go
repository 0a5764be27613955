package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"evergate/internal/certtest"
)

// someSpans are the spans of one request that was sent twice.
func someSpans(t *testing.T) []*span {
	t.Helper()
	tracer, kept := recorded()
	r := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/products.json", http.NoBody)
	r.Header.Set("Traceparent", parent)
	span := tracer.Begin(r, "rest:products", "acme.myshopify.com")
	span.Send(r.Method, http.Header{}).Answered(401)
	span.Replayed("401")
	span.Send(r.Method, http.Header{}).Failed()
	span.Waited(1500 * time.Millisecond)
	span.Done(502, "upstream_unreachable")
	return kept.spans
}

// answering is a collector in memory.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header ...string) *http.Response {
	w := httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	return w.Result()
}

// sending makes an exporter from the environment, as Open does.
func sending(t *testing.T, env ...string) *exporter {
	t.Helper()
	s, err := readSettings(environ(env...))
	if err == nil {
		err = s.readFiles(environ(env...))
	}
	if err != nil {
		t.Fatal(err)
	}
	return newExporter(s, whoWeAre(t), "1.2.3")
}

// whoWeAre is the resource of a process without OTEL_… variables, encoded.
func whoWeAre(t *testing.T) []byte {
	t.Helper()
	all, err := resource(environ(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return encodeResource(all)
}

func TestAMessageSaysWhatTheSpansSay(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"none", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			t.Parallel()
			var data tracepb.TracesData
			collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body := io.Reader(r.Body)
				if r.Header.Get("Content-Encoding") == "gzip" {
					body, _ = gzip.NewReader(body)
				}
				b, _ := io.ReadAll(body)
				if err := proto.Unmarshal(b, &data); err != nil {
					t.Error(err)
				}
				if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Api-Key") != "opensesame" ||
					r.UserAgent() != "evergate/1.2.3" || (r.Header.Get("Content-Encoding") == "gzip") != (compression == "gzip") {
					t.Errorf("%s %v", r.URL.Path, r.Header)
				}
			}))
			defer collector.Close()
			e := sending(t, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL, "OTEL_EXPORTER_OTLP_HEADERS", "api-key=opensesame", "OTEL_EXPORTER_OTLP_COMPRESSION", compression)
			spans := someSpans(t)
			if err := e.export(t.Context(), spans); err != nil {
				t.Fatal(err)
			}
			checkMessage(t, &data, spans)
		})
	}
}

func checkMessage(t *testing.T, data *tracepb.TracesData, spans []*span) {
	t.Helper()
	of := data.GetResourceSpans()[0]
	if text := of.GetResource().String(); !strings.Contains(text, `"service.version"`) || !strings.Contains(text, `"1.2.3"`) {
		t.Errorf("the resource is %s", text)
	}
	got := of.GetScopeSpans()[0].GetSpans()
	if len(got) != 3 || of.GetScopeSpans()[0].GetScope().GetName() != "evergate" {
		t.Fatalf("%v", of.GetScopeSpans())
	}
	for i, s := range got {
		want := spans[i]
		if !bytes.Equal(s.GetSpanId(), want.of.span[:]) || !bytes.Equal(s.GetTraceId(), want.of.trace[:]) || s.GetName() != want.name() ||
			s.GetStartTimeUnixNano() != uint64(want.began.UnixNano()) || s.GetEndTimeUnixNano() != uint64(want.began.Add(want.took).UnixNano()) {
			t.Errorf("%v is not %v", s, spans[i])
		}
	}
	sent, server := got[0], got[2]
	if !bytes.Equal(sent.GetParentSpanId(), server.GetSpanId()) || !bytes.Equal(server.GetParentSpanId(), []byte("\xb7\xad\x6b\x71\x69\x20\x33\x31")) {
		t.Error("the spans are not below each other")
	}
	// The server's parent is the client's span; that of a sending is ours.
	if server.GetFlags() != 0x301 || sent.GetFlags() != 0x101 {
		t.Errorf("flags %#x and %#x", server.GetFlags(), sent.GetFlags())
	}
	if server.GetKind() != tracepb.Span_SPAN_KIND_SERVER || sent.GetKind() != tracepb.Span_SPAN_KIND_CLIENT ||
		server.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || sent.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_UNSET ||
		server.GetStatus().GetMessage() != "upstream_unreachable" {
		t.Errorf("%v", server)
	}
	if events := server.GetEvents(); len(events) != 1 || events[0].GetName() != "sent again" || events[0].GetAttributes()[0].GetValue().GetStringValue() != "401" {
		t.Errorf("events: %v", events)
	}
	values := map[string]any{}
	for _, kv := range server.GetAttributes() {
		values[kv.GetKey()] = kv.GetValue()
	}
	if text := server.String(); !strings.Contains(text, "int_value:502") || !strings.Contains(text, "double_value:1.5") || values["http.route"] == nil {
		t.Errorf("attributes: %s", text)
	}
}

// asRead is what a reader of the official types finds in a message with one value.
func asRead(t *testing.T, v value) *commonpb.AnyValue {
	t.Helper()
	var e encoder
	e.value(v)
	var got commonpb.AnyValue
	if err := proto.Unmarshal(e.b, &got); err != nil {
		t.Fatal(err)
	}
	return &got
}

func TestEachKindOfAttributeIsSent(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got, ok := asRead(t, integer(v)).GetValue().(*commonpb.AnyValue_IntValue); !ok || got.IntValue != v {
			t.Errorf("%v is sent as %v", v, got)
		}
	}
	for _, v := range []float64{0, 1.5, -math.MaxFloat64} {
		if got, ok := asRead(t, float(v)).GetValue().(*commonpb.AnyValue_DoubleValue); !ok || got.DoubleValue != v {
			t.Errorf("%v is sent as %v", v, got)
		}
	}
	for _, v := range []string{"", "a", strings.Repeat("é", 300)} {
		if got, ok := asRead(t, text(v)).GetValue().(*commonpb.AnyValue_StringValue); !ok || got.StringValue != v {
			t.Errorf("%q is sent as %v", v, got)
		}
	}
}

// A reader that keeps what it does not know has nothing to keep.
func TestEveryFieldOfAMessageIsKnown(t *testing.T) {
	t.Parallel()
	var data tracepb.TracesData
	body := message(whoWeAre(t), someSpans(t))
	if err := (proto.UnmarshalOptions{}).Unmarshal(body, &data); err != nil {
		t.Fatal(err)
	}
	known := proto.Size(&data)
	data.Reset()
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &data); err != nil {
		t.Fatal(err)
	}
	if got := proto.Size(&data); got != known {
		t.Errorf("%d of %d bytes are fields of the official messages", got, known)
	}
	again, err := proto.Marshal(&data)
	if err != nil || len(again) != len(body) {
		t.Errorf("written by the official types it has %d bytes, not %d: %v", len(again), len(body), err)
	}
}

func TestABusyCollectorIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			e, attempts := sending(t), 0
			e.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
				if b, _ := io.ReadAll(r.Body); len(b) == 0 {
					t.Error("an attempt without a body")
				}
				if attempts++; attempts < 3 {
					return answer(status), nil
				}
				return answer(200), nil
			})
			start := time.Now()
			err := e.export(t.Context(), someSpans(t))
			if took := time.Since(start); err != nil || attempts != 3 || took < 7*time.Second || took > 23*time.Second {
				t.Errorf("%d: %v after %d attempts in %v", status, err, attempts, took)
			}
		})
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []func() string{
			func() string { return "40" },
			func() string { return time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat) },
		} {
			e, attempts := sending(t), 0
			e.client.Transport = answering(func(*http.Request) (*http.Response, error) {
				if attempts++; attempts == 1 {
					return answer(503, "Retry-After", after()), nil
				}
				return answer(200), nil
			})
			start := time.Now()
			if err := e.export(t.Context(), someSpans(t)); err != nil || time.Since(start) != 40*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
	})
}

func TestItIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		header  []string
		status  int
		least   int
		atMost  time.Duration
		mention string
	}{
		{"after_a_minute", nil, 503, 3, time.Minute, "answered 503"},
		{"at_once_if_asked_to_wait_longer", []string{"Retry-After", "3600"}, 429, 1, 0, "answered 429"},
		{"at_once_if_it_cannot_help", nil, 401, 1, 0, "answered 401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, attempts := sending(t), 0
				e.client.Transport = answering(func(*http.Request) (*http.Response, error) {
					attempts++
					return answer(c.status, c.header...), nil
				})
				start := time.Now()
				err := e.export(t.Context(), someSpans(t))
				if err == nil || !strings.Contains(err.Error(), c.mention) || attempts < c.least || time.Since(start) > c.atMost {
					t.Errorf("%v after %d attempts in %v", err, attempts, time.Since(start))
				}
			})
		})
	}
}

func TestAStopEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := sending(t)
		e.client.Transport = answering(func(*http.Request) (*http.Response, error) { return answer(503), nil })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if err := e.export(ctx, someSpans(t)); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		e.stop()
		e.client.Transport = answering(func(*http.Request) (*http.Response, error) { return nil, errors.New("sent after the stop") })
		if err := e.export(t.Context(), someSpans(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestATimeOutIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, attempts := sending(t, "OTEL_EXPORTER_OTLP_TIMEOUT", "200"), 0
		e.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
			if attempts++; attempts > 1 {
				return answer(200), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		if err := e.export(t.Context(), someSpans(t)); err != nil || attempts != 2 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
	})
}

// A header goes to the host that it is meant for and into no error, whatever happens.
func TestTheCollectorsKeyStaysSecret(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]answering{
		"refused":     func(*http.Request) (*http.Response, error) { return answer(401, "X-Echo", "hunter2"), nil },
		"unreachable": func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
		"redirected": func(*http.Request) (*http.Response, error) {
			return answer(307, "Location", "http://elsewhere/hunter2"), nil
		},
		"echoed":      func(*http.Request) (*http.Response, error) { return partially(3, "bad key hunter2"), nil },
		"in_the_open": func(*http.Request) (*http.Response, error) { return answer(308, "Location", "http://collector/"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sending(t, "OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/hunter2", "OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
			e.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "collector" || r.URL.Scheme != "https" {
					t.Errorf("sent to %s", r.URL)
				}
				return answers(r)
			})
			err := e.export(t.Context(), someSpans(t))
			if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "collector") {
				t.Errorf("%v", err)
			}
		})
	}
}

// partially is an answer that accepts all but some spans.
func partially(rejected uint64, why string) *http.Response {
	var inner []byte
	inner = protowire.AppendVarint(protowire.AppendTag(inner, 1, protowire.VarintType), rejected)
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), why)
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	resp := answer(200, "Content-Type", "application/x-protobuf")
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

func TestRejectedSpansAreMentioned(t *testing.T) {
	t.Parallel()
	e := sending(t)
	for _, c := range []struct {
		resp *http.Response
		want string
	}{
		{partially(3, "too old"), "localhost:4318 accepted the message but for 3 spans; its own log says why"},
		{partially(0, "too old"), "localhost:4318 accepted the message with a warning, which its own log has"},
		{partially(0, ""), ""},
		{answer(200, "Content-Type", "application/x-protobuf"), ""},
		{answer(202), ""},
	} {
		e.client.Transport = answering(func(*http.Request) (*http.Response, error) { return c.resp, nil })
		err := e.export(t.Context(), someSpans(t))
		if got := errorText(err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzPartialSuccess(f *testing.F) {
	whole, _ := io.ReadAll(partially(3, "too old").Body)
	f.Add(whole)
	f.Add(whole[:len(whole)-2])
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, warned := partialSuccess(b); warned && len(b) < len("\x0a\x03\x12\x01x") {
			t.Errorf("%q holds no warning", b)
		}
	})
}

func TestCertificatesAreHeeded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certPEM, keyPEM := certtest.PEM(t, certtest.SelfSigned(t, x509.Certificate{}))
	cert, key := write("cert.pem", certPEM), write("key.pem", keyPEM)
	var seen int
	collector := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = len(r.TLS.PeerCertificates) }))
	collector.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	collector.Config.ErrorLog = nil
	collector.StartTLS()
	defer collector.Close()
	ca := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}))

	at := []string{"OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL}
	if err := sending(t, at...).export(t.Context(), someSpans(t)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	if err := sending(t, append(at, "OTEL_EXPORTER_OTLP_CERTIFICATE", ca)...).export(t.Context(), someSpans(t)); err != nil || seen != 0 {
		t.Errorf("a known one: %v, %d of the client's", err, seen)
	}
	own := append(slices.Clone(at), "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", ca, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY", key)
	if err := sending(t, own...).export(t.Context(), someSpans(t)); err != nil || seen != 1 {
		t.Errorf("with one of our own: %v, %d", err, seen)
	}

	for _, c := range []struct {
		env  []string
		want string
	}{
		{append(at, "OTEL_EXPORTER_OTLP_CERTIFICATE", filepath.Join(dir, "none")), "OTEL_EXPORTER_OTLP_CERTIFICATE: open"},
		{append(at, "OTEL_EXPORTER_OTLP_CERTIFICATE", key), "holds no certificate"},
		{append(at, "OTEL_EXPORTER_OTLP_CLIENT_KEY", key), "set both or none"},
		{append(at, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", key, "OTEL_EXPORTER_OTLP_CLIENT_KEY", key), "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_EXPORTER_OTLP_CERTIFICATE", ca}, "write https://"},
	} {
		if tracer, err := Open(environ(c.env...), "1.2.3", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", err, tracer.Close())
		}
	}
}

func TestARedirectOfTheSameHostIsFollowed(t *testing.T) {
	t.Parallel()
	e := sending(t)
	e.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/v1/traces" {
			return answer(307, "Location", "/moved"), nil
		}
		return answer(200), nil
	})
	if err := e.export(t.Context(), someSpans(t)); err != nil {
		t.Error(err)
	}
}
