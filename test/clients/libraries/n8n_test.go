//go:build linux

package libraries

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/test/process"
)

// The workflow of examples/n8n does as it says, in the n8n that EVERGATE_TEST_N8N names. No other test needs one: npm installs two
// gigabytes for it, of which one package is at another address than npm's, and another is compiled.
func TestN8nRunsTheExample(t *testing.T) {
	n8n := os.Getenv("EVERGATE_TEST_N8N")
	if n8n == "" {
		t.Skip("EVERGATE_TEST_N8N names no n8n: npm install n8n, and set it to node_modules/.bin/n8n")
	}
	workflow, err := filepath.Abs("../../../examples/n8n/products.json")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.serve(t, "")
	environ := []string{"N8N_USER_FOLDER=" + t.TempDir(), "N8N_DIAGNOSTICS_ENABLED=false", "N8N_RUNNERS_BROKER_LISTEN_ADDRESS=127.0.0.1"}
	if _, err := process.Output(process.Command(t, n8n, environ, "import:workflow", "--input="+workflow)); err != nil {
		t.Fatal(err)
	}
	p := process.Start(t, process.Command(t, n8n, environ, "execute", "--id=evergate-products", "--rawOutput"))
	if code := p.ExitWithin(t, 4*process.Patience); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	type run struct {
		Data struct {
			Main [][]struct{ JSON json.RawMessage }
		}
	}
	var done struct {
		Data struct {
			ResultData struct{ RunData map[string][]run }
		}
	}
	_, text, _ := strings.Cut("\n"+p.Out.String(), "\n{") // before it, n8n says what it listens at
	if err := json.Unmarshal([]byte("{"+text), &done); err != nil {
		t.Fatalf("%v: %s", err, p.Out.String())
	}
	for node, want := range map[string]struct {
		items int
		text  string
	}{
		"Products": {(products + 49) / 50, `"title": "Product 120"`},
		"Lamp":     {1, `"title": "Lamp"`},
		"Shop":     {1, `"name": "Acme"`},
	} {
		runs := done.Data.ResultData.RunData[node]
		if len(runs) != 1 || len(runs[0].Data.Main) != 1 || len(runs[0].Data.Main[0]) != want.items {
			t.Errorf("%s: %v", node, runs)
			continue
		}
		if last := string(runs[0].Data.Main[0][want.items-1].JSON); !strings.Contains(last, want.text) {
			t.Errorf("%s: the last item is %s", node, last)
		}
	}
}
