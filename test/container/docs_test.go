package container

import (
	"os"
	"strings"
	"testing"
)

// hardened is what the documentation tells people to run the image with. Every container of the image is.
var hardened = []string{"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"}

// TestDocumentationRunsTheImageHardened keeps docs/containers/container.md at the flags that TestImage runs the image with.
func TestDocumentationRunsTheImageHardened(t *testing.T) {
	page, err := os.ReadFile("../../docs/containers/container.md")
	if err != nil {
		t.Fatal(err)
	}
	const command = "run --detach"
	runs := strings.Count(string(page), command)
	if flags := strings.Join(hardened, " "); runs == 0 || strings.Count(string(page), flags) != runs {
		t.Errorf("docs/containers/container.md has %d times %q: each needs %q", runs, command, flags)
	}
	for _, line := range []string{"read_only: true", "cap_drop: [all]", "security_opt: [no-new-privileges]"} {
		if !strings.Contains(string(page), line) {
			t.Errorf("the compose file in docs/containers/container.md lacks %q", line)
		}
	}
}
