package main

import (
	"strings"
	"testing"
)

func TestTheAddressForToolsIsTheOneThatMostCanCall(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost:8080": "http://localhost:8080", "0.0.0.0:8080": "http://localhost:8080", "[::]:8080": "http://localhost:8080",
		"[::1]:8080": "http://[::1]:8080", "unix:/run/s,127.0.0.1:8081": "http://127.0.0.1:8081", "tls:127.0.0.1:8443,127.0.0.1:8080": "http://127.0.0.1:8080",
		"tls:localhost:8443": "https://localhost:8443", "127.0.0.1:0,127.0.0.1:8080": "http://127.0.0.1:8080",
		"127.0.0.1:0": "", "unix:/run/s": "", "nonsense": "",
	} {
		got, err := toolsURL(listen)
		if got != want || (err == nil) != (want != "") || err != nil && !strings.Contains(err.Error(), "EVERGATE_LISTEN") {
			t.Errorf("%s: %q, %v", listen, got, err)
		}
	}
}
