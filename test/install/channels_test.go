//go:build unix

package install

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evergate/test/process"
)

// channels runs scripts/channels on a release that a server at url has, and returns the folder of what it made.
func channels(t *testing.T, r release, url string, debs ...string) string {
	t.Helper()
	dist := t.TempDir()
	for name, content := range r.files {
		if err := os.WriteFile(filepath.Join(dist, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, deb := range debs {
		if err := os.Rename(deb, filepath.Join(dist, filepath.Base(deb))); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), root+"/scripts/channels", dist)
	cmd.Env = append(os.Environ(), "PUBLISH_DOWNLOADS="+url, "PUBLISH_HOME=https://github.com/somebody/evergate")
	if out, err := cmd.CombinedOutput(); err != nil { // both: it prints nothing else
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dist, "channels")
}

// download follows an address that a manifest names, as a package manager does.
func download(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return string(b)
}

var formulaSource = regexp.MustCompile(`url "([^"]+)"\n\s+sha256 "([0-9a-f]{64})"`)

// Homebrew itself is not here: Ruby reads the formula, and what it names is downloaded.
func TestTheFormulaNamesTheRelease(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "ruby", "apt-get install ruby")
	r := released(t)
	url, _ := serve(t, r)
	path := filepath.Join(channels(t, r, url), "evergate.rb")
	if out, err := exec.Command("ruby", "-c", path).CombinedOutput(); err != nil { // both: ruby's complaints
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range formulaSource.FindAllStringSubmatch(string(text), -1) {
		if content := download(t, m[1]); sum([]byte(content)) != m[2] {
			t.Errorf("%s is not what the formula says", m[1])
		}
		got = append(got, strings.TrimPrefix(m[1], url+"/v"+r.version+"/evergate_"+r.version+"_"))
	}
	if want := []string{"darwin_arm64.tar.gz", "darwin_amd64.tar.gz", "linux_arm64.tar.gz", "linux_amd64.tar.gz"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// A class of the shape that Homebrew calls, evaluated with stand-ins for what Homebrew gives it.
	check := `
class Formula
  def self.test; end # Ruby has one of its own, which takes arguments
  def self.method_missing(name, *args, **options, &block)
    ($said ||= []) << [name, args, options]
    block.call if block && [:on_macos, :on_linux, :on_arm, :on_intel].include?(name)
  end
end
load ARGV[0]
puts $said.map { |name, args, _| [name, *args].join(" ") }
puts Evergate.instance_methods(false).inspect`
	out, err := exec.Command("ruby", "-e", check, path).CombinedOutput() // both: ruby's complaints
	if err != nil || !strings.Contains(string(out), "\nversion "+r.version+"\n") || !strings.Contains(string(out), "\nservice\n") || !strings.Contains(string(out), "[:install]") {
		t.Errorf("%v: %s", err, out)
	}
}

// The fields are those of Scoop's schema that it cannot install without.
func TestTheScoopManifestNamesTheRelease(t *testing.T) {
	t.Parallel()
	r := released(t)
	url, _ := serve(t, r)
	b, err := os.ReadFile(filepath.Join(channels(t, r, url), "evergate.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Version, Description, Homepage, License, Bin string
		Architecture                                 map[string]struct{ URL, Hash string }
		Autoupdate                                   struct {
			Architecture map[string]struct{ URL string }
			Hash         struct{ URL string }
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if m.Version != r.version || m.Description == "" || m.Homepage != "https://github.com/somebody/evergate" || m.License != "Apache-2.0" || m.Bin != "evergate.exe" {
		t.Errorf("%+v", m)
	}
	for _, arch := range []string{"64bit", "arm64"} {
		a := m.Architecture[arch]
		if !strings.HasSuffix(a.URL, ".zip") || sum([]byte(download(t, a.URL))) != a.Hash {
			t.Errorf("%s: %+v is not the release's", arch, a)
		}
		if next := strings.ReplaceAll(m.Autoupdate.Architecture[arch].URL, "$version", r.version); next != a.URL {
			t.Errorf("%s: the next release would be looked for at %s", arch, next)
		}
	}
	download(t, strings.ReplaceAll(m.Autoupdate.Hash.URL, "$baseurl", url+"/v"+r.version))
}

// A release that lacks something makes no manifest that names it.
func TestNoManifestOfHalfARelease(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"linux_amd64.tar.gz", "darwin_arm64.tar.gz", "windows_arm64.zip"} {
		dist := t.TempDir()
		var kept []string
		for line := range strings.Lines(string(released(t).files["checksums.txt"])) {
			if !strings.Contains(line, lost) {
				kept = append(kept, line)
			}
		}
		if err := os.WriteFile(filepath.Join(dist, "checksums.txt"), []byte(strings.Join(kept, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(root+"/scripts/channels", dist).CombinedOutput() // both: it says why
		if err == nil || !strings.Contains(string(out), lost) && lost != "linux_amd64.tar.gz" {
			t.Errorf("without %s: %v, %s", lost, err, out)
		}
	}
}

func TestTheChartOfAReleaseIsPushed(t *testing.T) {
	t.Parallel()
	helm, err := filepath.Abs(root + "/bin/kubernetes/helm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(helm); err != nil {
		process.Missing(t, "helm is not built", "make bin/kubernetes")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "registry")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/google/go-containerregistry/cmd/registry")
	build.Dir = root + "/tools/release"
	if out, err := build.CombinedOutput(); err != nil { // both: the compiler's words
		t.Fatalf("%v: %s", err, out)
	}
	registry := exec.Command(program, "-port", "0") // it ends with the test
	log, err := registry.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Process.Kill(); _ = registry.Wait() })
	lines := bufio.NewScanner(log)
	lines.Scan()
	_, port, ok := strings.Cut(lines.Text(), "serving on port ")
	if !ok {
		t.Fatalf("the registry says %q", lines.Text())
	}
	address := "localhost:" + port
	go func() { _, _ = io.Copy(io.Discard, log) }() // a line for each request

	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "HELM="+helm, "PUBLISH_REGISTRY="+address+"/team")
		out, err := cmd.CombinedOutput() // both: helm says on either what it does
		if err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	run(root+"/scripts/chart", "4.5.6", dir)
	run(helm, "push", "--plain-http", filepath.Join(dir, "evergate-4.5.6.tgz"), "oci://"+address+"/charts")
	got := run(helm, "template", "shop", "--plain-http", "oci://"+address+"/charts/evergate", "--version", "4.5.6",
		"--set", "shop=acme,secrets.existingSecret=shopify-app,deployment.unsafeListen=true")
	for _, part := range []string{"image: " + address + "/team/evergate:4.5.6\n", `app.kubernetes.io/version: "4.5.6"`, "helm.sh/chart: evergate-4.5.6"} {
		if !strings.Contains(got, part) {
			t.Errorf("the chart that was pulled does not render %q:\n%s", part, got)
		}
	}
}
