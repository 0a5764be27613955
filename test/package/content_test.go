//go:build linux

package pkg

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// installed is every file of the packages with its mode. zsh's place differs.
var installed = map[string]string{
	"/etc/evergate/credentials":                          "drwx------",
	"/etc/evergate/evergate.env":                         "-rw-------",
	"/usr/bin/evergate":                                  "-rwxr-xr-x",
	"/usr/lib/systemd/system/evergate.service":           "-rw-r--r--",
	"/usr/lib/systemd/system/evergate.socket":            "-rw-r--r--",
	"/usr/lib/systemd/system/evergate@.service":          "-rw-r--r--",
	"/usr/sbin/evergate-exec":                            "-rwxr-xr-x",
	"/usr/share/bash-completion/completions/evergate":    "-rw-r--r--",
	"/usr/share/doc/evergate/copyright":                  "-rw-r--r--",
	"/usr/share/doc/evergate/systemd.md":                 "-rw-r--r--",
	"/usr/share/fish/vendor_completions.d/evergate.fish": "-rw-r--r--",
	"/usr/share/man/man1/evergate.1.gz":                  "-rw-r--r--",
}

func TestDebianPackageHoldsExactlyItsFiles(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"dpkg-deb": "dpkg"})
	deb := the(t, packages(t, oldVersion), "*.deb")
	got := map[string]string{}
	line := regexp.MustCompile(`(?m)^(\S+) root/root\s+\d+ 2023-11-14 22:13 \.(/\S+)$`)
	for _, m := range line.FindAllStringSubmatch(output(t, "env", "TZ=UTC", "dpkg-deb", "--contents", deb), -1) {
		if !strings.HasPrefix(m[1], "d") || strings.Contains(m[2], "credentials") {
			got[strings.TrimSuffix(m[2], "/")] = m[1]
		}
	}
	compare(t, got, "/usr/share/zsh/vendor-completions/_evergate")
	if said := output(t, "dpkg-deb", "--info", deb, "conffiles"); said != "/etc/evergate/evergate.env\n" {
		t.Errorf("conffiles: %q", said)
	}
	for field, want := range map[string]string{"Package": "evergate", "Version": oldVersion, "Depends": "ca-certificates"} {
		if got := strings.TrimSpace(output(t, "dpkg-deb", "--field", deb, field)); got != want {
			t.Errorf("%s: %q", field, got)
		}
	}
}

func TestRPMHoldsExactlyItsFiles(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"rpm": "rpm"})
	rpm := the(t, packages(t, oldVersion), "*.rpm")
	got := map[string]string{}
	for line := range strings.Lines(output(t, "rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES} %{FILEUSERNAME}\n]", rpm)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "root" {
			t.Fatalf("%q", line)
		}
		got[f[1]] = f[0]
	}
	compare(t, got, "/usr/share/zsh/site-functions/_evergate")
	if said := output(t, "rpm", "-qp", "--configfiles", rpm); said != "/etc/evergate/evergate.env\n" {
		t.Errorf("config files: %q", said)
	}
	if flags := output(t, "rpm", "-qp", "--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]", rpm); !strings.Contains(flags, "/etc/evergate/evergate.env cn\n") {
		t.Errorf("the settings would be replaced at an upgrade: %s", flags)
	}
	if said := output(t, "rpm", "-qpl", rpm); !strings.Contains(said, "/usr/bin/evergate\n") {
		t.Error(said)
	}
	if said := output(t, "rpm", "-qp", "--requires", rpm); !strings.HasPrefix(said, "ca-certificates\n") {
		t.Error(said)
	}
	scripts := output(t, "rpm", "-qp", "--scripts", rpm)
	for _, part := range []string{"postinstall scriptlet", "preuninstall scriptlet", "postuninstall scriptlet"} {
		if !strings.Contains(scripts, part) {
			t.Errorf("no %s", part)
		}
	}
}

func compare(t *testing.T, got map[string]string, zsh string) {
	t.Helper()
	var want []string
	for path, mode := range installed {
		want = append(want, mode+" "+path)
	}
	want = append(want, "-rw-r--r-- "+zsh)
	var have []string
	for path, mode := range got {
		have = append(have, mode+" "+path)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("have:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestManualPageHasNoMistakes(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"man": "man-db", "mandoc": "mandoc"})
	page := filepath.Join(packages(t, oldVersion), "share/evergate.1.gz")
	if said := output(t, "sh", "-c", `MANWIDTH=80 man --warnings -l "$0" 2>&1 >/dev/null`, page); said != "" {
		t.Errorf("man: %s", said)
	}
	plain := filepath.Join(t.TempDir(), "evergate.1")
	if err := os.WriteFile(plain, []byte(output(t, "gzip", "-cd", page)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := output(t, "sh", "-c", `mandoc -T lint -W warning "$0" || true`, plain); said != "" {
		t.Errorf("mandoc: %s", said)
	}
	text := output(t, "sh", "-c", `MANWIDTH=80 man -l "$0" | col -b`, page)
	for _, part := range []string{"-- CMD", "--no-refresh", "SHOPIFY_CLIENT_SECRET_FILE", "EXIT STATUS", "evergate " + oldVersion, "2023-11-14"} {
		if !strings.Contains(text, part) {
			t.Errorf("nothing of %q", part)
		}
	}
}
