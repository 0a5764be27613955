package sync

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// once runs the sync against the shop to its end.
func (s *shop) once(t *testing.T, environ []string, args ...string) (code int, out string) {
	t.Helper()
	port := process.FreePort(t)
	sidecar := s.evergate(t, port, environ...)
	t.Cleanup(sidecar.Kill)
	args = append([]string{folder, "--state", filepath.Join(t.TempDir(), "state.json"), "--settle", "0.1", "--patience", "25"}, args...)
	p := process.Start(t, process.Command(t, python(t), []string{"PYTHONDONTWRITEBYTECODE=1", "EVERGATE_URL=http://127.0.0.1:" + port}, args...))
	code = p.Exit(t)
	return code, p.Out.String() + p.Err.String()
}

// exampleShop is what the README has people start.
func exampleShop(t *testing.T) *shop {
	t.Helper()
	return shopOf(t, shopsim.Options{
		Shops: []shopsim.Shop{{Domain: "blue-finch", Products: 10, Locations: []string{"Main warehouse", "Shop"}}},
		Apps:  []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}},
	})
}

func mustSay(t *testing.T, out string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("it does not say %q: %s", part, out)
		}
	}
}

func TestTheExampleSaysWhatIsWrongAndDoesTheRest(t *testing.T) {
	t.Parallel()
	s := exampleShop(t)
	code, out := s.once(t, nil, folder+"/example.csv")
	mustSay(t, out, "line 7: SKU-99999: no variant has this SKU", "4 SKUs: 2 prices and 3 quantities changed, 1 problems")
	if writes := s.Writes(); code != 1 || len(writes) != 5 {
		t.Errorf("exit code %d, writes %v: %s", code, writes, out)
	}
}

func TestADryRunNeedsNoMoreThanToRead(t *testing.T) {
	t.Parallel()
	s := exampleShop(t)
	readOnly := []string{"EVERGATE_POLICY=read-only"}
	code, out := s.once(t, readOnly, "--dry-run", folder+"/example.csv")
	mustSay(t, out, "4 SKUs: 2 prices and 3 quantities would change")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	code, out = s.once(t, readOnly, folder+"/example.csv")
	if mustSay(t, out, "sheet-sync: "); code != 2 || len(s.Writes()) != 0 {
		t.Errorf("with a policy that forbids it: exit code %d, writes %v: %s", code, s.Writes(), out)
	}
}

func TestWhatCannotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	s := exampleShop(t)
	sheet := filepath.Join(t.TempDir(), "sheet.csv")
	for text, parts := range map[string][]string{
		"SKU,Quantity\nSKU-00001,5\n": {"several locations", "Main warehouse, Shop"},
		"Name,Quantity\nx,5\n":        {"no column is called SKU"},
	} {
		if err := os.WriteFile(sheet, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := s.once(t, nil, sheet)
		if mustSay(t, out, parts...); code != 2 {
			t.Errorf("exit code %d: %s", code, out)
		}
	}
}

func TestTheUnitsAreWellFormed(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "systemd-analyze", "apt-get install systemd")
	for _, unit := range []string{"sheet-sync.service", "sheet-sync.timer"} {
		path, err := filepath.Abs(filepath.Join(folder, unit))
		if err != nil {
			t.Fatal(err)
		}
		p := process.Start(t, process.Command(t, "systemd-analyze", nil, "verify", "--man=no", path))
		if code := p.Exit(t); code != 0 || p.Err.String() != "" {
			t.Errorf("%s: %d %s", unit, code, p.Err.String())
		}
	}
}

func TestASheetAtAURL(t *testing.T) {
	t.Parallel()
	s := exampleShop(t)
	var tries atomic.Int32
	sheets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/pub":
			http.Redirect(w, r, "/export?output=csv", http.StatusTemporaryRedirect) // as Google's does
		case tries.Add(1) == 1:
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "text/csv")
			_, _ = w.Write([]byte("SKU,Price\r\nSKU-00003,4.00"))
		}
	}))
	defer sheets.Close()
	code, out := s.once(t, nil, sheets.URL+"/pub?output=csv")
	if mustSay(t, out, "1 SKUs: 1 prices and 0 quantities changed, 0 problems"); code != 0 || len(s.Writes()) != 1 {
		t.Errorf("exit code %d, writes %v: %s", code, s.Writes(), out)
	}
}
