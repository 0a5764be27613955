//go:build linux

package pkg

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// signingKey makes a key of gpg's for this test and writes its public half beside the repository.
func signingKey(t *testing.T, public string) (environ []string) {
	t.Helper()
	home, err := os.MkdirTemp("", "evergate-gpg-") // short: the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	environ = append(os.Environ(), "GNUPGHOME="+home, "APT_KEY=apt@evergate.test", "SOURCE_DATE_EPOCH=1700000000")
	gpg := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = environ
		if out, err := cmd.CombinedOutput(); err != nil { // both: gpg says on either what it does
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
	}
	t.Cleanup(func() {
		cmd := exec.Command("gpgconf", "--kill", "all")
		cmd.Env = environ
		_ = cmd.Run()
		_ = os.RemoveAll(home)
	})
	gpg("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "apt@evergate.test", "ed25519", "sign", "never")
	gpg("gpg", "--batch", "--quiet", "--output", public, "--export", "apt@evergate.test")
	return environ
}

func lay(t *testing.T, environ []string, repository string, debs ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), root+"/scripts/apt-repository", append([]string{repository}, debs...)...)
	cmd.Env = environ
	if out, err := cmd.CombinedOutput(); err != nil { // both: it prints nothing else
		t.Fatalf("%v: %s", err, out)
	}
}

// installsByApt has apt itself judge the repository: from a web server, signed; then from a folder.
func installsByApt(t *testing.T, m *machine) {
	requirePrograms(t, map[string]string{"gpg": "gnupg", "apt-get": "apt", "python3": "python3"})
	repository := filepath.Join(m.share, "apt")
	environ := signingKey(t, filepath.Join(m.share, "evergate.gpg"))
	older := filepath.Join(t.TempDir(), "evergate_"+oldVersion+".deb") // goreleaser puts the version into its name
	newer := filepath.Join(t.TempDir(), "evergate_"+newVersion+".deb")
	for to, version := range map[string]string{older: oldVersion, newer: newVersion} {
		b, err := os.ReadFile(the(t, packages(t, version), "*.deb"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lay(t, environ, repository, older)
	m.must(t, "systemd-run --quiet --unit=web python3 -m http.server --bind 127.0.0.1 --directory /test/apt 8088")
	m.eventually(t, "the web server", func() error {
		_, err := m.try(t, "curl --fail --silent http://127.0.0.1:8088/dists/stable/Release")
		return err
	})
	m.must(t, "install -D -m 644 /test/evergate.gpg /etc/apt/keyrings/evergate.gpg")
	const apt = "apt-get -q -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/evergate.list -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root "
	source := func(line string) { m.must(t, "echo '"+line+"' >/etc/apt/sources.list.d/evergate.list") }

	source("deb [signed-by=/etc/apt/keyrings/evergate.gpg] http://127.0.0.1:8088 stable main")
	if said := m.must(t, apt+"update 2>&1"); strings.Contains(said, "W:") || strings.Contains(said, "E:") {
		t.Errorf("apt complains of the repository: %s", said)
	}
	m.must(t, apt+"install --yes evergate")
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+oldVersion)

	lay(t, environ, repository, newer)
	m.must(t, apt+"update && "+apt+"install --yes --only-upgrade evergate")
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+newVersion)
	m.must(t, apt+"install --yes --allow-downgrades evergate="+oldVersion) // which is still there
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+oldVersion)

	// What was changed behind the signature is refused, as is a key that is not the one.
	m.must(t, "sed -i s/Size:/Size:1/ /test/apt/dists/stable/main/binary-*/Packages && gzip -9nkf /test/apt/dists/stable/main/binary-*/Packages && rm -rf /var/lib/apt/lists/*")
	if said, err := m.try(t, apt+"update 2>&1"); err == nil {
		t.Errorf("apt took what was changed: %s", said)
	}
	lay(t, environ, repository, newer)
	m.must(t, "rm -rf /var/lib/apt/lists/* && head -c 0 /dev/null >/etc/apt/keyrings/none.gpg")
	source("deb [signed-by=/etc/apt/keyrings/none.gpg] http://127.0.0.1:8088 stable main")
	if said, err := m.try(t, apt+"update 2>&1"); err == nil && !strings.Contains(said, "NO_PUBKEY") {
		t.Errorf("apt took a signature of nobody's: %s", said)
	}

	// A folder is enough, and unsigned it is for those who say that they trust it.
	lay(t, append(os.Environ(), "APT_KEY="), repository, newer)
	source("deb [trusted=yes] file:/test/apt stable main")
	m.must(t, "rm -rf /var/lib/apt/lists/* && "+apt+"update && "+apt+"install --yes evergate="+newVersion)
	m.want(t, "evergate version | cut -d' ' -f1-2", "evergate "+newVersion)
	m.must(t, apt+"purge --yes evergate && systemctl stop web")
}
