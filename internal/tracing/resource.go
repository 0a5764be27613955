package tracing

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// conventions is the version of the semantic conventions whose names are used here.
const conventions = "https://opentelemetry.io/schemas/1.43.0"

// resource says who sends spans: what OTEL_RESOURCE_ATTRIBUTES says, and OTEL_SERVICE_NAME before it, goes before what we say
// ourselves.
func resource(getenv func(string) string, version string) (map[string]string, error) {
	all := map[string]string{
		"service.name": "evergate", "service.version": version,
		"telemetry.sdk.name": "evergate", "telemetry.sdk.language": "go", "telemetry.sdk.version": version,
	}
	said, err := readAttributes(getenv("OTEL_RESOURCE_ATTRIBUTES"))
	maps.Copy(all, said)
	if name := strings.TrimSpace(getenv("OTEL_SERVICE_NAME")); name != "" {
		all["service.name"] = printable(name)
	}
	return all, err
}

// readAttributes reads key=value, percent-encoded, with commas between. What cannot be read is told of: a part that has no =
// is left out, and a value that is not encoded stands as it is.
func readAttributes(text string) (map[string]string, error) {
	all, wrong := map[string]string{}, false
	for pair := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		key, encoded, ok := strings.Cut(pair, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			wrong = wrong || strings.TrimSpace(pair) != ""
			continue
		}
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if err != nil {
			value, wrong = encoded, true
		}
		all[printable(key)] = printable(value)
	}
	if wrong {
		return all, errors.New("OTEL_RESOURCE_ATTRIBUTES: write key=value, several with commas between them, and special characters percent-encoded; the rest is used")
	}
	return all, nil
}

// printable replaces what is not UTF-8: a collector refuses a whole message for it.
func printable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// encodeResource is the Resource of each message, with the keys in order.
func encodeResource(all map[string]string) []byte {
	var e encoder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		e.attribute(1, key, text(all[key]))
	}
	return e.b
}
