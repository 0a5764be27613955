package supply

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Windows ends a service that does not answer its manager. What answers is linked there, and nowhere else.
func TestOnlyTheBinaryForWindowsIsAService(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"windows", "linux", "darwin"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/proxy")
		cmd.Dir = filepath.Clean(root)
		cmd.Env = append(cmd.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(out), "golang.org/x/sys/windows/svc\n"); has != (system == "windows") {
			t.Errorf("%s: linked: %v", system, has)
		}
	}
}
