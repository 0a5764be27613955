package tracing

import (
	"strings"
	"testing"
	"time"
)

func TestTheStandardVariablesAreHeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		want func(settings) bool
	}{
		{"defaults", nil, func(s settings) bool {
			return s.endpoint.String() == "http://localhost:4318/v1/traces" && s.timeout == 10*time.Second && !s.gzip && len(s.header) == 0
		}},
		{"a_base", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1/otlp/"}, func(s settings) bool { return s.endpoint.String() == "https://c:1/otlp/v1/traces" }},
		{"as_it_stands", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c:1/mine"}, func(s settings) bool { return s.endpoint.String() == "https://c:1/mine" }},
		{"without_a_path", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c:1"}, func(s settings) bool { return s.endpoint.String() == "https://c:1/" }},
		{"traces_win", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT", "https://all", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/x",
			"OTEL_EXPORTER_OTLP_HEADERS", "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2",
			"OTEL_EXPORTER_OTLP_TIMEOUT", "1000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000",
			"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none",
		}, func(s settings) bool {
			return s.endpoint.Host == "traces" && s.header.Get("A") == "" && s.header.Get("B") == "2" && s.timeout == 2*time.Second && !s.gzip
		}},
		{"headers", []string{"OTEL_EXPORTER_OTLP_HEADERS", " api-key = a%20b%3D%2C , x=y=z,"}, func(s settings) bool {
			return s.header.Get("Api-Key") == "a b=," && s.header.Get("X") == "y=z" && len(s.header) == 2
		}},
		{"gzip", []string{"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}, func(s settings) bool { return s.gzip }},
		{"no_user_no_query", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@c?key=hunter2"}, func(s settings) bool {
			return s.endpoint.String() == "http://c/v1/traces"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if s, err := readSettings(environ(c.env...)); err != nil || !c.want(s) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestWhatCannotBeReadIsRefusedByName(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":           "ftp://hunter2",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":    "hunter2",
		"OTEL_EXPORTER_OTLP_HEADERS":            "Bearer hunter2=x",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":     "a=hunter2%0d%0ab: c",
		"OTEL_EXPORTER_OTLP_TIMEOUT":            "10s-hunter2",
		"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT":     "0",
		"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "hunter2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readSettings(environ(name, value))
			if err == nil || !strings.Contains(err.Error(), name+":") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=b,c=d%20e", "=", "a=%", ",,", "a=b=c", "a b=c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := header(environ("OTEL_EXPORTER_OTLP_HEADERS", text))
		if err != nil && len(text) > 100 && strings.Contains(err.Error(), text) {
			t.Error("the error repeats the value")
		}
		for name, values := range h {
			if !isFieldName(name) || len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
				t.Errorf("%q: %q", name, values)
			}
		}
	})
}
