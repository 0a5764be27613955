package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"evergate/test/process"
)

var installs = regexp.MustCompile(`(?m)^ *helm install evergate charts/evergate (.*)$`)

// What `evergate init` says of Kubernetes is typed as it stands, so the chart has to take it.
func TestTheChartTakesWhatInitPrints(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "evergate")
	if err := process.Build(binary); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		flags []string
		typed string
		has   []string
	}{
		"client_credentials": {nil, "0123456789abcdef0123456789abcdef\nshpss_0123456789abcdef0123456789abcdef\n", []string{"SHOPIFY_CLIENT_ID_FILE", "SHOPIFY_CLIENT_SECRET_FILE"}},
		"a_login_follows":    {[]string{"--offline"}, "0123456789abcdef0123456789abcdef\nshpss_0123456789abcdef0123456789abcdef\n", []string{"SHOPIFY_CLIENT_SECRET_FILE", "PersistentVolumeClaim"}},
		"permanent_token":    {nil, "shpat_0123456789abcdef0123456789abcdef\n", []string{"SHOPIFY_ACCESS_TOKEN_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), binary, append([]string{"init", "--shop", "acme", "--yes"}, tc.flags...)...)
			cmd.Dir = t.TempDir()
			// Nobody answers there, so that what was typed is written without having been tried.
			cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=" + os.Getenv("PATH"), "EVERGATE_UPSTREAM_URL=http://127.0.0.1:1"}
			cmd.Stdin = strings.NewReader(tc.typed)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			line := installs.FindStringSubmatch(string(out))
			if line == nil {
				t.Fatalf("no command for helm in:\n%s", out)
			}
			args := strings.Fields(strings.ReplaceAll(line[1], "REGISTRY", "registry.example.com/team"))
			rendered := mustHelm(t, append([]string{"template", "evergate", chart}, args...)...)
			for _, want := range append(tc.has, "EVERGATE_CLIENT_KEYS_FILE", "registry.example.com/team/evergate:") {
				if !strings.Contains(rendered, want) {
					t.Errorf("%s renders no %s", line[1], want)
				}
			}
		})
	}
}
