//go:build linux

package pkg

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The same source at another time and in another place is the same package, byte for byte.
func TestPackagesCanBeReproduced(t *testing.T) {
	t.Parallel()
	first := packages(t, oldVersion)
	second := filepath.Join(t.TempDir(), "again")
	if err := buildInto(second, oldVersion); err != nil {
		t.Fatal(err)
	}
	a, b := checksums(t, first), checksums(t, second)
	if a != b || strings.Count(a, "\n") != 3 {
		t.Errorf("%s\n%s", a, b)
	}
}

func checksums(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if out := output(t, "sh", "-c", `cd "$0" && sha256sum --check --quiet checksums.txt && echo right`, dir); out != "right\n" {
		t.Error(out)
	}
	return string(b)
}

// The SBOM names what was linked in, no more and no less; the binary itself knows it.
func TestSBOMNamesWhatIsLinked(t *testing.T) {
	t.Parallel()
	dir := packages(t, oldVersion)
	b, err := os.ReadFile(the(t, dir, "*.sbom.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		// Serial and time would make each one another.
		SerialNumber string
		Components   []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(b, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Name != "evergate" || bom.Metadata.Component.Version != "v"+oldVersion || bom.SerialNumber != "" {
		t.Errorf("%+v", bom)
	}
	info, err := buildinfo.ReadFile(the(t, dir, "stage/*/evergate"))
	if err != nil {
		t.Fatal(err)
	}
	var linked, named []string
	for _, m := range info.Deps {
		linked = append(linked, m.Path+" "+m.Version)
	}
	for _, c := range bom.Components {
		named = append(named, c.Name+" "+c.Version)
		if !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("%q", c.PURL)
		}
	}
	slices.Sort(linked)
	slices.Sort(named)
	if !slices.Equal(linked, named) || len(linked) < 5 {
		t.Errorf("linked: %q\nnamed: %q", linked, named)
	}
}
