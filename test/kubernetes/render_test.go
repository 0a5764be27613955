package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goldens are the value files and the renders of them: those below own are values of the
// chart itself, those below app are values of a chart that includes the sidecar.
func goldens(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "testdata/values/"), ".yaml"))
	}
	if len(names) < 10 {
		t.Fatalf("%d value files: these are not all", len(names))
	}
	return names
}

func goldenFile(name string) string { return "testdata/golden/" + name + ".yaml" }

func TestRendersAreTheGoldenOnes(t *testing.T) {
	app := appChart(t)
	for _, name := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := chart
			if strings.HasPrefix(name, "app/") {
				of = app
			}
			values := "testdata/values/" + name + ".yaml"
			sameOrUpdate(t, goldenFile(name), mustHelm(t, "template", "shop", of, "--namespace", "shop", "--values", values))
			if res := helm(t, "lint", "--strict", of, "--values", values); res.code != 0 {
				t.Errorf("helm lint: %v", res)
			}
		})
	}
}

// A golden file without its values would go on to be installed and run, and prove nothing.
func TestEveryGoldenRenderHasItsValues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		values := strings.Replace(f, "/golden/", "/values/", 1)
		if _, err := os.Stat(values); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	if want := len(goldens(t)); len(files) != want && !*update {
		t.Errorf("%d golden renders of %d value files", len(files), want)
	}
}

// The sidecar of one release is the same however its chart names the dependency.
func TestAnAliasedDependencyGivesItsValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copyTree(t, "testdata/app", filepath.Join(dir, "app"))
	copyTree(t, chart, filepath.Join(dir, "evergate"))
	edit := func(name, from, to string) {
		t.Helper()
		path := filepath.Join(dir, "app", name)
		before := read(t, path)
		after := strings.ReplaceAll(before, from, to)
		if before == after {
			t.Fatalf("%s has no %q", name, from)
		}
		if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	edit("Chart.yaml", "  - name: evergate\n", "  - name: evergate\n    alias: shopify\n")
	edit("values.yaml", "evergate:\n", "shopify:\n")
	mustHelm(t, "dependency", "update", filepath.Join(dir, "app"))

	res := helm(t, "template", "shop", filepath.Join(dir, "app"))
	if form := `(dict "root" $ "values" .Values.NAME)`; res.code == 0 || !strings.Contains(res.stderr, form) {
		t.Errorf("the message does not say what to write: %v", res)
	}
	for _, template := range []string{"templates/deployment.yaml", "templates/job.yaml"} {
		path := filepath.Join(dir, "app", template)
		text := read(t, path)
		for _, name := range []string{"podLabels", "podSecurityContext", "sidecar", "sidecarFallback", "volumes"} {
			text = strings.ReplaceAll(text, `include "evergate.`+name+`" .`, `include "evergate.`+name+`" (dict "root" $ "values" .Values.shopify)`)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	aliased := mustHelm(t, "template", "shop", filepath.Join(dir, "app"))
	if plain := mustHelm(t, "template", "shop", appChart(t)); aliased != plain {
		t.Errorf("the alias changes what is rendered:\n%s", firstDifference(aliased, plain))
	}
}
