package supply

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evergate/test/process"
)

var content = regexp.MustCompile(`(?m)^ +- (\{.*dst: .*\})$`)

// contents are the files that a description of the packages lists.
func contents(t *testing.T, path string) []string {
	t.Helper()
	var list []string
	for _, m := range content.FindAllStringSubmatch(read(t, path), -1) {
		if !strings.Contains(m[1], "dst: share") { // an archive's
			list = append(list, strings.ReplaceAll(m[1], "dist-share/", "dist/share/"))
		}
	}
	return list
}

// setting returns a field of a description and what is indented below it, without indentation.
func setting(t *testing.T, text, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^( *)` + name + `:(.*)\n((?: *\n|( +).*\n)*)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s", name)
	}
	value := []string{strings.TrimSpace(m[2])}
	for line := range strings.Lines(m[3]) {
		if !strings.HasPrefix(line, m[1]+" ") {
			break
		}
		line, _, _ = strings.Cut(line, " #")
		value = append(value, strings.TrimSpace(line))
	}
	return strings.Join(value, "\n")
}

// CI builds and installs the packages of nfpm.yaml; a release has those of .goreleaser.yaml.
func TestReleasedPackagesAreTheTestedOnes(t *testing.T) {
	t.Parallel()
	tested, released := filepath.Join(root, "nfpm.yaml"), filepath.Join(root, ".goreleaser.yaml")
	want := slices.DeleteFunc(contents(t, tested), func(s string) bool { return strings.Contains(s, "dst: /usr/bin/evergate,") }) // goreleaser adds it
	if got := contents(t, released); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("nfpm.yaml:\n%s\n.goreleaser.yaml:\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	nfpm := read(t, tested)
	_, goreleaser, _ := strings.Cut(read(t, released), "\nnfpms:\n")
	for name, theirs := range map[string]string{
		"section": "section", "priority": "priority", "maintainer": "maintainer", "license": "license", "depends": "dependencies",
		"umask": "umask", "description": "description", "scripts": "scripts", "rpm": "rpm",
	} {
		if a, b := setting(t, nfpm, name), setting(t, goreleaser, theirs); a != b || a == "" {
			t.Errorf("%s: %q in nfpm.yaml, %q in .goreleaser.yaml", name, a, b)
		}
	}
}

// Everything but its own lines is the same in the unit for one shop and in the one for several.
func TestUnitsDifferInTheirNamesOnly(t *testing.T) {
	t.Parallel()
	one := strings.Split(read(t, filepath.Join(root, "deploy/systemd/evergate.service")), "\n")
	several := strings.Split(read(t, filepath.Join(root, "deploy/systemd/evergate@.service")), "\n")
	if len(one) != len(several) {
		t.Fatalf("%d and %d lines", len(one), len(several))
	}
	named := []string{"# Evergate ", "Description=", "EnvironmentFile=", "LoadCredential=", "User=", "StateDirectory="}
	for i, line := range several {
		own := slices.ContainsFunc(named, func(start string) bool { return strings.HasPrefix(line, start) })
		if line != one[i] && !own || own && !strings.Contains(line, "%i") && !strings.HasPrefix(line, "# ") {
			t.Errorf("line %d: %q and %q", i+1, one[i], line)
		}
	}
}

func TestGoreleaserUnderstandsItsConfiguration(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program: not with -short")
	}
	check := func(path string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", "run", "./checkconfig", path)
		cmd.Dir = filepath.Join(root, "tools/release")
		return process.Output(cmd)
	}
	path, err := filepath.Abs(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := check(path); err != nil || out != "evergate 1 1 1" {
		t.Errorf("%s, %v", out, err)
	}
	// It would say so if it did not.
	wrong := filepath.Join(t.TempDir(), "wrong.yaml")
	write(t, wrong, strings.Replace(read(t, path), "mod_timestamp:", "mod_time_stamp:", 1))
	if out, err := check(wrong); err == nil || !strings.Contains(err.Error(), "mod_time_stamp") {
		t.Errorf("a misspelt name passes: %s, %v", out, err)
	}
}
