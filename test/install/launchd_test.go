//go:build unix

package install

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// value is one of a property list, as far as Evergate's has them.
type value struct {
	XMLName  xml.Name
	Text     string  `xml:",chardata"`
	Children []value `xml:",any"`
}

// properties are the keys of a dict with what follows them.
func properties(t *testing.T, dict value) map[string]value {
	t.Helper()
	all := map[string]value{}
	if dict.XMLName.Local != "dict" || len(dict.Children)%2 != 0 {
		t.Fatalf("%+v is no dict", dict)
	}
	for i := 0; i < len(dict.Children); i += 2 {
		if dict.Children[i].XMLName.Local != "key" {
			t.Fatalf("%+v is no key", dict.Children[i])
		}
		all[dict.Children[i].Text] = dict.Children[i+1]
	}
	return all
}

// launchd is not here. Its property list is read by an XML parser, and what it would start is started.
func TestTheAgentOfLaunchdStartsTheSidecar(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/deploy/launchd/evergate.plist")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		XMLName xml.Name `xml:"plist"`
		Dict    value    `xml:"dict"`
	}
	if err := xml.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	agent := properties(t, list.Dict)
	for key, kind := range map[string]string{"Label": "string", "RunAtLoad": "true", "KeepAlive": "dict", "ThrottleInterval": "integer", "ExitTimeOut": "integer", "Umask": "integer"} {
		if agent[key].XMLName.Local != kind {
			t.Errorf("%s is a %q, want a %s", key, agent[key].XMLName.Local, kind)
		}
	}
	if again := properties(t, agent["KeepAlive"])["SuccessfulExit"]; again.XMLName.Local != "false" {
		t.Errorf("a clean end is started anew: %+v", again)
	}

	home := t.TempDir()
	for _, dir := range []string{".local/bin", ".config/evergate"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(home, ".local/bin/evergate"), "./cmd/proxy")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil { // both: the compiler's words
		t.Fatalf("%v: %s", err, out)
	}
	// With settings that it refuses at once, and says so in the log.
	if err := os.WriteFile(filepath.Join(home, ".config/evergate/evergate.env"), []byte("SHOPIFY_SHOP=a_b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, w := range agent["ProgramArguments"].Children {
		words = append(words, w.Text)
	}
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = []string{"HOME=" + home, "PATH=/usr/bin:/bin"}

	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || len(out) > 0 { // both: nothing goes there
		t.Errorf("%v: %s", cmd.ProcessState, out)
	}
	log, err := os.ReadFile(filepath.Join(home, "Library/Logs/evergate.log"))
	if err != nil || !strings.Contains(string(log), "SHOPIFY_SHOP") {
		t.Errorf("%s, %v", log, err)
	}
}
