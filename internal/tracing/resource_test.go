package tracing

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	sdkresource "go.opentelemetry.io/otel/sdk/resource"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// silenceSDK keeps what the SDK does not like out of the tests' output. Nothing that runs in parallel uses it.
func silenceSDK(t *testing.T) {
	t.Helper()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
}

func TestTheResourceIsWhatTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   []string
		want  map[string]string
		wrong bool
	}{
		{"nothing", nil, map[string]string{}, false},
		{"attributes", []string{"OTEL_RESOURCE_ATTRIBUTES", " a = b , c=d%20%2C%3De,f="}, map[string]string{"a": "b", "c": "d ,=e", "f": ""}, false},
		{"the_last_wins", []string{"OTEL_RESOURCE_ATTRIBUTES", "a=1,a=2"}, map[string]string{"a": "2"}, false},
		{"a_service", []string{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.version=2"}, map[string]string{"service.name": "a", "service.version": "2"}, false},
		{"the_name_wins", []string{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a", "OTEL_SERVICE_NAME", " b "}, map[string]string{"service.name": "b"}, false},
		{"no_value", []string{"OTEL_RESOURCE_ATTRIBUTES", "hunter2,a=b"}, map[string]string{"a": "b"}, true},
		{"no_key", []string{"OTEL_RESOURCE_ATTRIBUTES", "=hunter2,a=b"}, map[string]string{"a": "b"}, true},
		{"not_encoded", []string{"OTEL_RESOURCE_ATTRIBUTES", "a=100%,b=%zz"}, map[string]string{"a": "100%", "b": "%zz"}, true},
		{"not_UTF8", []string{"OTEL_RESOURCE_ATTRIBUTES", "a=%ff", "OTEL_SERVICE_NAME", "b\xff"}, map[string]string{"a": "\uFFFD", "service.name": "b\uFFFD"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := map[string]string{"service.name": "evergate", "service.version": "1.2.3", "telemetry.sdk.name": "evergate", "telemetry.sdk.language": "go", "telemetry.sdk.version": "1.2.3"}
			maps.Copy(want, c.want)
			got, err := resource(environ(c.env...), "1.2.3")
			if !maps.Equal(got, want) || (err != nil) != c.wrong || err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "OTEL_RESOURCE_ATTRIBUTES:")) {
				t.Errorf("%q, %v", got, err)
			}
			var sent resourcepb.Resource
			if err := proto.Unmarshal(encodeResource(got), &sent); err != nil || len(sent.GetAttributes()) != len(want) {
				t.Errorf("%v, %v", &sent, err)
			}
			for _, kv := range sent.GetAttributes() {
				if v := kv.GetValue().GetStringValue(); v != want[kv.GetKey()] {
					t.Errorf("%s is sent as %q", kv.GetKey(), v)
				}
			}
		})
	}
}

func FuzzResourceAttributes(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=b,c=d%20e", "=", "a=%", "a= % ", ",,", "a=b=c", "a", " a = b ", "a=1,a=2", "a=%ff", "\u00a0a=b\u2003"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readAttributes(text)
		for key, value := range got {
			if key == "" || !utf8.ValidString(key) || !utf8.ValidString(value) {
				t.Errorf("%q: %q", key, value)
			}
		}
		if err != nil && len(text) > 200 && strings.Contains(err.Error(), text) {
			t.Error("the error repeats the value")
		}
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return // no environment holds the first, and what the SDK makes of the other cannot be sent
		}
		silenceSDK(t)
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", text)
		t.Setenv("OTEL_SERVICE_NAME", "")
		theirs, _ := sdkresource.New(t.Context(), sdkresource.WithFromEnv())
		want := map[string]string{}
		for _, kv := range theirs.Attributes() {
			want[string(kv.Key)] = printable(kv.Value.AsString())
		}
		if !maps.Equal(got, want) {
			t.Errorf("%q, and the SDK reads %q", got, want)
		}
	})
}
