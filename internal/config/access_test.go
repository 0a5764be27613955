package config

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"evergate/internal/certtest"
)

// pair makes a certificate and its key as files.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	certPEM, keyPEM := certtest.PEM(t, certtest.SelfSigned(t, x509.Certificate{}))
	return writeFile(t, string(certPEM)), writeFile(t, string(keyPEM))
}

const someKey = "agent sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func TestAListenerBeyondLoopbackWantsClientsWhoSayWhoTheyAre(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t)
	keys := "EVERGATE_CLIENT_KEYS_FILE=" + writeFile(t, someKey)
	ours := []string{"EVERGATE_TLS_CERT_FILE=" + certificate, "EVERGATE_TLS_KEY_FILE=" + key}
	ca := "EVERGATE_TLS_CLIENT_CA_FILE=" + certificate
	for _, c := range []struct {
		listen  string
		more    []string
		refused bool
		warning string
	}{
		{"0.0.0.0:8080", []string{keys}, false, "travel to it unencrypted"},
		{"tls:0.0.0.0:8443", append([]string{keys}, ours...), false, ""},
		{"tls:0.0.0.0:8443", append([]string{ca}, ours...), false, ""},
		{"acme@tls:0.0.0.0:8443", append([]string{ca}, ours...), false, ""},
		{"tls:0.0.0.0:8443", ours, true, ""},
		{"tls:127.0.0.1:8443", ours, false, ""},
		{"tls:0.0.0.0:8443,0.0.0.0:8080", append([]string{ca}, ours...), true, ""}, // nobody has a certificate without TLS
		{"0.0.0.0:8080", []string{"EVERGATE_UNSAFE_LISTEN=true"}, false, ""},
		{"127.0.0.1:8080", []string{keys}, false, ""},
	} {
		cfg, err := Load(minimal(append(c.more, "EVERGATE_LISTEN="+c.listen)...))
		switch {
		case c.refused && (err == nil || !strings.Contains(err.Error(), "is not loopback")):
			t.Errorf("%+v: %v", c, err)
		case !c.refused && err != nil:
			t.Errorf("%+v: %v", c, err)
		case !c.refused && strings.Contains(fmt.Sprint(cfg.Warnings), "unencrypted") != (c.warning != ""):
			t.Errorf("%+v: warnings %q", c, cfg.Warnings)
		}
	}
}

func TestSettingsThatNobodyWouldLookAtAreMistakes(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t)
	cert := "EVERGATE_TLS_CERT_FILE=" + certificate
	for _, c := range []struct {
		sets []string
		say  []string
	}{
		{[]string{cert, "EVERGATE_TLS_KEY_FILE=" + key}, []string{"EVERGATE_TLS_CERT_FILE is set", "no tls: address"}},
		{[]string{cert, "EVERGATE_LISTEN=tls:127.0.0.1:1"}, []string{"belong together"}},
		{[]string{"EVERGATE_CONNECT=on"}, []string{"EVERGATE_CONNECT=\"on\"", "write shops, tunnel or off"}},
		{[]string{"EVERGATE_TLS_CLIENT_CA_FILE=" + certificate}, []string{"EVERGATE_TLS_CLIENT_CA_FILE needs a certificate"}},
		{[]string{"EVERGATE_SOCKET_PEERS=uid:1000"}, []string{"EVERGATE_SOCKET_PEERS is set", "no unix: address"}},
		{[]string{"EVERGATE_POLICY=read-only", "EVERGATE_POLICY_FILE=" + writeFile(t, `{"default":"none"}`)}, []string{"EVERGATE_POLICY and EVERGATE_POLICY_FILE are both set"}},
		{[]string{"EVERGATE_ADMIN_LISTEN=tls:127.0.0.1:1"}, []string{"EVERGATE_ADMIN_LISTEN"}},
	} {
		got := mistakes(t, minimal(c.sets...)...)
		mustSay(t, got, c.say...)
		if strings.Contains(strings.Join(got, "\n"), "0123456789") {
			t.Errorf("%q: a key is repeated: %q", c.sets, got)
		}
	}
}

func TestASocketOfSystemdsCanHaveAListOfPeers(t *testing.T) {
	t.Parallel()
	if _, err := Load([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=0123456789abcdef", "SHOPIFY_CLIENT_SECRET=shpss_0123456789abcdef0123456789abcdef",
		"EVERGATE_SOCKET_PEERS=uid:1000", "LISTEN_FDS=1"}); err != nil {
		t.Error(err)
	}
}
