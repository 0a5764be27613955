//go:build unix

package install

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/test/process"
)

// machine is what the script sees of one: the programs that it has, and whose home it is.
type machine struct{ home, path string }

// always are the programs that every system has.
var always = []string{"uname", "awk", "cat", "tar", "gzip", "mktemp", "mkdir", "rm", "cp", "mv", "chmod", "sed", "id"}

// newMachine has those, and the ones that are named.
func newMachine(t *testing.T, programs ...string) machine {
	t.Helper()
	m := machine{t.TempDir(), t.TempDir()}
	for _, name := range append(slices.Clone(always), programs...) {
		path, err := exec.LookPath(name)
		if err != nil {
			process.Missing(t, name+" is not here", "apt-get install "+name)
		}
		if err := os.Symlink(path, filepath.Join(m.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// has puts a program of our own in the place of a real one.
func (m machine) has(t *testing.T, name, script string) {
	t.Helper()
	path := filepath.Join(m.path, name)
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

type outcome struct {
	out, err string
	code     int
}

// run runs the script of a release as `curl … | sh -s -- ARGS` does.
func (m machine) run(t *testing.T, version string, args ...string) outcome {
	t.Helper()
	script := filepath.Join(t.TempDir(), "install.sh")
	if out, err := exec.Command(root+"/scripts/installer", version, script).CombinedOutput(); err != nil { // both: it prints nothing else
		t.Fatalf("%v: %s", err, out)
	}
	return m.sh(t, script, args...)
}

func (m machine) sh(t *testing.T, script string, args ...string) outcome {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.Open(script)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	cmd := exec.CommandContext(t.Context(), shell, append([]string{"-s", "--"}, args...)...)
	cmd.Env = []string{"HOME=" + m.home, "PATH=" + m.path, "TMPDIR=" + m.home}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = text, &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// installed is what lies below the home afterwards.
func (m machine) installed(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.Walk(m.home, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files = append(files, strings.TrimPrefix(path, m.home+"/")+" "+info.Mode().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (m machine) dir() string { return m.home + "/.local/bin" }

func TestTheScriptInstallsARelease(t *testing.T) {
	t.Parallel()
	for name, programs := range map[string][]string{"curl": {"curl", "sha256sum"}, "wget": {"wget", "sha256sum"}, "openssl": {"curl", "openssl"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := released(t)
			url, _ := serve(t, r)
			m := newMachine(t, programs...)
			o := m.run(t, r.version, "--from", url, "--dir", m.dir())
			if o.code != 0 || !strings.Contains(o.out, "installed "+m.dir()+"/evergate, evergate "+r.version) || !strings.Contains(o.out, "is not in PATH") {
				t.Fatalf("%+v", o)
			}
			if got := m.installed(t); !slices.Equal(got, []string{".local/bin/evergate -rwxr-xr-x"}) {
				t.Errorf("there is %q", got)
			}
			// Again, in place of what is there.
			if o := m.run(t, r.version, "--from", url+"/", "--dir", m.dir(), "--version", "v"+r.version); o.code != 0 {
				t.Errorf("the second time: %+v", o)
			}
		})
	}
}

func TestTheScriptTakesTheArchiveOfTheMachine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ system, processor, want string }{
		{"Linux", "x86_64", "linux_amd64"}, {"Linux", "aarch64", "linux_arm64"},
		{"Darwin", "arm64", "darwin_arm64"}, {"Darwin", "x86_64", "darwin_amd64"},
	} {
		r := released(t)
		m := newMachine(t, "curl", "sha256sum")
		m.has(t, "uname", `case $1 in -s) echo `+tc.system+`;; -m) echo `+tc.processor+`;; esac`)
		o := m.run(t, r.version, "--dry-run", "--from", "https://downloads.example.com", "--dir", m.dir())
		if want := "would download https://downloads.example.com/v" + r.version + "/evergate_" + r.version + "_" + tc.want + ".tar.gz\n"; o.code != 0 || !strings.HasPrefix(o.out, want) {
			t.Errorf("%s %s: %+v", tc.system, tc.processor, o)
		}
		if got := m.installed(t); len(got) > 0 {
			t.Errorf("a dry run left %q", got)
		}
	}
	// Where it goes by itself: root has a place for everybody.
	admin := newMachine(t, "curl")
	admin.has(t, "id", "echo 0")
	if o := admin.run(t, "1.2.3", "--dry-run"); !strings.HasSuffix(o.out, "would install /usr/local/bin/evergate\n") {
		t.Errorf("of root: %+v", o)
	}
	m := newMachine(t, "curl")
	m.has(t, "uname", `case $1 in -s) echo Darwin;; -m) echo x86_64;; esac`)
	m.has(t, "sysctl", `echo 1`)
	if o := m.run(t, "1.2.3", "--dry-run"); !strings.Contains(o.out, "darwin_arm64") {
		t.Errorf("under Rosetta: %+v", o)
	}
}

func TestTheScriptRefusesWhatIsNotTheRelease(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, says string
		args       []string
		tamper     func(*testing.T, machine, release)
	}{
		{"archive", "is not what checksums.txt", nil, func(_ *testing.T, _ machine, r release) {
			for name := range r.files {
				if archived.MatchString(name) {
					r.files[name] = append(r.files[name], 0)
				}
			}
		}},
		{"not_listed", "has no evergate_", nil, func(_ *testing.T, _ machine, r release) { r.files["checksums.txt"] = []byte("") }},
		{"a_page", "has no evergate_", nil, func(_ *testing.T, _ machine, r release) { r.files["checksums.txt"] = []byte("<html>Sign in</html>") }},
		{"short_sum", "has no sha256", nil, func(_ *testing.T, _ machine, r release) {
			r.files["checksums.txt"] = []byte(strings.ReplaceAll(string(r.files["checksums.txt"]), "  ", "\n0  "))
		}},
		{"no_such_release", "there is no release v9.9.9", []string{"--version", "9.9.9"}, nil},
		{"no_archive", "cannot be downloaded", nil, func(_ *testing.T, _ machine, r release) {
			for name := range r.files {
				if archived.MatchString(name) {
					delete(r.files, name)
				}
			}
		}},
		{"no_https", "is not https", []string{"--from", "http://downloads.example.com"}, nil},
		{"disguised", "is not https", []string{"--from", "http://localhost.example.com"}, nil},
		{"no_downloader", "neither curl nor wget is here", nil, func(t *testing.T, m machine, _ release) {
			if err := os.Remove(m.path + "/curl"); err != nil {
				t.Fatal(err)
			}
		}},
		{"no_checker", "nothing is installed unchecked", nil, func(t *testing.T, m machine, _ release) {
			if err := os.Remove(m.path + "/sha256sum"); err != nil {
				t.Fatal(err)
			}
		}},
		{"processor", "there is no release for the processor riscv64", nil, func(t *testing.T, m machine, _ release) {
			m.has(t, "uname", `case $1 in -s) echo Linux;; -m) echo riscv64;; esac`)
		}},
		{"system", "there is no release for FreeBSD", nil, func(t *testing.T, m machine, _ release) {
			m.has(t, "uname", `case $1 in -s) echo FreeBSD;; -m) echo x86_64;; esac`)
		}},
		{"windows", "take evergate_", nil, func(t *testing.T, m machine, _ release) { m.has(t, "uname", `echo MINGW64_NT-10.0`) }},
		{"option", "--force is no option", []string{"--force"}, nil},
		{"no_value", "--version needs a value", []string{"--version"}, nil},
		{"version", "is no version", []string{"--version", "../x"}, nil},
		{"full_disk", "choose another with --dir", []string{"--dir", "/dev/null/bin"}, nil},
		{"unsigned", "has no signature", nil, func(t *testing.T, m machine, _ release) { m.has(t, "cosign", "exit 0") }},
		{"wrongly_signed", "was not signed by the workflow", nil, func(t *testing.T, m machine, r release) {
			r.files["attestation.sigstore.json"] = []byte("{}")
			m.has(t, "cosign", "exit 1")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := released(t)
			m := newMachine(t, "curl", "sha256sum")
			if tc.tamper != nil {
				tc.tamper(t, m, r)
			}
			url, _ := serve(t, r)
			o := m.run(t, r.version, append([]string{"--from", url, "--dir", m.dir()}, tc.args...)...)
			if o.code != 1 || !strings.Contains(o.err, "install.sh: ") || !strings.Contains(o.err, tc.says) {
				t.Errorf("want a refusal that says %q, got %+v", tc.says, o)
			}
			if got := m.installed(t); len(got) > 0 {
				t.Errorf("it left %q", got)
			}
		})
	}
}

// cosign itself is not run here: it is told what to check, and what it says is believed.
func TestTheScriptHasCosignCheckWhoMadeIt(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.files["attestation.sigstore.json"] = []byte(`{"the": "bundle"}`)
	url, asked := serve(t, r)
	m := newMachine(t, "curl", "sha256sum")
	m.has(t, "cosign", `printf '%s\n' "$@" >"$HOME/said"; while [ $# -gt 1 ]; do [ "$1" = --bundle ] && cat "$2" >>"$HOME/said"; shift; done`)
	o := m.run(t, r.version, "--from", url, "--dir", m.dir())
	if o.code != 0 || !strings.Contains(o.out, "signed by the workflow of ") {
		t.Fatalf("%+v", o)
	}
	said, err := os.ReadFile(m.home + "/said")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"verify-blob-attestation\n", "/.github/workflows/release.yml@refs/tags/v" + r.version + "\n", "https://token.actions.githubusercontent.com\n", ".tar.gz\n", `{"the": "bundle"}`} {
		if !strings.Contains(string(said), part) {
			t.Errorf("cosign was not told %q: %s", part, said)
		}
	}
	before := len(asked())
	if o := m.run(t, r.version, "--from", url, "--dir", m.dir(), "--checksum-only"); o.code != 0 {
		t.Errorf("%+v", o)
	}
	if paths := asked()[before:]; slices.ContainsFunc(paths, func(p string) bool { return strings.Contains(p, "attestation") }) {
		t.Errorf("it asked for %q", paths)
	}
}

// The script of the source belongs to no release.
func TestTheScriptOfTheSourceAsksWhichRelease(t *testing.T) {
	t.Parallel()
	r := released(t)
	url, _ := serve(t, r)
	source := root + "/deploy/install/install.sh"
	for says, args := range map[string][]string{"say which with --version": nil, "say with --from": {"--version", r.version}} {
		if o := newMachine(t, "curl", "sha256sum").sh(t, source, args...); o.code != 1 || !strings.Contains(o.err, says) {
			t.Errorf("want %q, got %+v", says, o)
		}
	}
	m := newMachine(t, "curl", "sha256sum")
	if o := m.sh(t, source, "--version", r.version, "--from", url, "--dir", m.dir()); o.code != 0 {
		t.Errorf("%+v", o)
	}
	if o := m.sh(t, source, "--help"); o.code != 0 || !strings.Contains(o.out, "--dry-run") {
		t.Errorf("%+v", o)
	}
}

// Half of the script, as a broken connection leaves it, does nothing.
func TestAPartOfTheScriptDoesNothing(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(root + "/deploy/install/install.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, "curl", "sha256sum")
	m.has(t, "mktemp", `touch "$HOME/worked"`)
	m.has(t, "mkdir", `touch "$HOME/worked"`)
	part := filepath.Join(t.TempDir(), "part")
	for end := 0; end < len(script)-len("main \"$@\" # last, so that half a script does nothing\n"); end += 97 {
		if err := os.WriteFile(part, script[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		m.sh(t, part, "--version", "1.2.3", "--from", "http://127.0.0.1:1")
		if got := m.installed(t); len(got) > 0 {
			t.Fatalf("%d bytes of it: %q", end, got)
		}
	}
}
