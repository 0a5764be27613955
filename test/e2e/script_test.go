package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// debianPython is the Python that Debian's packages of Python modules belong to.
const debianPython = "/usr/bin/python3"

func TestScriptInBashNeedsNoToken(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "bash", "apt-get install bash")
	process.RequireProgram(t, "curl", "apt-get install curl")
	mustListProducts(t, "bash", "testdata/list_products.sh")
}

func TestScriptInPythonNeedsNoToken(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(debianPython); err != nil {
		process.Missing(t, debianPython+" does not exist", "apt-get install python3")
	}
	if err := exec.CommandContext(t.Context(), debianPython, "-c", "import requests").Run(); err != nil {
		process.Missing(t, debianPython+" cannot import requests", "apt-get install python3-requests")
	}
	mustListProducts(t, debianPython, "testdata/list_products.py")
}

func TestScriptInNodeNeedsNoToken(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "node", "apt-get install nodejs")
	if err := exec.CommandContext(t.Context(), "node", "-e", "fetch").Run(); err != nil {
		process.Missing(t, "node has no fetch", "apt-get install nodejs (18 or later)")
	}
	mustListProducts(t, "node", "testdata/list_products.mjs")
}

// mustListProducts runs a script against a shop whose tokens end while it runs, and checks
// all that it prints.
func mustListProducts(t *testing.T, command ...string) {
	t.Helper()
	const products, life = 25, 2 * time.Second
	machine := watchMachine(t)
	shop := newShopify(t, shopOptions{Settings: wide(life), products: products})
	s := shop.readySidecar(t)
	before := shop.Stats().TokensMinted

	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "EVERGATE_URL=" + s.url}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	if minted := shop.Stats().TokensMinted - before; minted < 2 {
		t.Errorf("%d tokens were renewed while the script ran: it crossed no expiry", minted)
	}

	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var want []string
	for n := range products {
		want = append(want, fmt.Sprintf("Product %d", n+1))
	}
	if len(lines) != products+2 || !slices.Equal(lines[:products], want) || lines[products+1] != "Lamp" {
		t.Fatalf("it printed\n%s", out)
	}
	location := lines[products]
	if !strings.HasPrefix(location, s.url+api+"/products/") {
		t.Errorf("Location: %s", location)
	}
	a := s.call(t, http.MethodGet, location, "")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"title":"Lamp"`) {
		t.Errorf("%s: %s", location, a)
	}
	machine.mustKnowEveryToken(t, shop, life)
}
