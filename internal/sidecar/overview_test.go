package sidecar

import (
	"strings"
	"testing"
	"time"

	"evergate/internal/admin"
	"evergate/internal/config"
)

func TestTheEndOfACertificateIsNoticed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		left  time.Duration
		level admin.Level // empty: nothing is said
		says  string
	}{
		{30 * 24 * time.Hour, "", ""}, {13 * 24 * time.Hour, admin.LevelWarning, "ends on 2026-12-11"}, {0, admin.LevelError, "ended on 2026-11-28"}, {-time.Hour, admin.LevelError, "tools refuse it"},
	} {
		got := certificateNotice(now.Add(tc.left), now)
		if tc.level == "" {
			if got != nil {
				t.Errorf("%s: %+v", tc.left, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Level != tc.level || !strings.Contains(got[0].Text, tc.says) || !strings.HasPrefix(got[0].Whole, got[0].Text) {
			t.Errorf("%s: %+v", tc.left, got)
		}
	}
}

func TestWhoKeepsTheProcessIsTold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		environ []string
		want    admin.Supervisor
	}{
		{[]string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "NOTIFY_SOCKET=/run/x", "container=oci"}, admin.SupervisorKubernetes},
		{[]string{"container=podman", "NOTIFY_SOCKET=/run/x"}, admin.SupervisorContainer},
	} {
		if got := supervisor(config.Getenv(tc.environ)); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.environ, got, tc.want)
		}
	}
}

func TestAFirstCallCanBeMade(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://127.0.0.1:8080": "curl http://127.0.0.1:8080/admin/api/", "unix:/run/e.sock": "curl --unix-socket /run/e.sock http://localhost/admin/api/", "https://localhost:8443": "curl --cacert <(evergate ca) https://localhost:8443/admin/api/",
	} {
		if got := FirstCall(url, &config.Config{}); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", url, got)
		}
	}
	if got := FirstCall("http://127.0.0.1:8080", &config.Config{ShopsFile: "shops.yaml"}); !strings.Contains(got, "8080/$SHOP.myshopify.com/admin/") {
		t.Errorf("with many shops: %s", got)
	}
	if got := FirstCall("http://127.0.0.1:8080", &config.Config{ClientKeysFile: "keys"}); !strings.Contains(got, `-H "Authorization: Bearer $KEY"`) {
		t.Errorf("where a key is asked for: %s", got)
	}
}
