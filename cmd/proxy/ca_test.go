package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/truststore"
)

// onMachine runs a command on a machine whose programs note how they were called; a Mac, because that needs no files.
func onMachine(t *testing.T, privileged bool, stdin string, environ []string, args ...string) (code int, out, said string, calls []string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	m := &truststore.Machine{
		System: "darwin", Home: t.TempDir(), Root: t.TempDir(), Privileged: privileged,
		Find: func(name string) (string, error) { return name, nil },
		Run: func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
			calls = append(calls, name+" "+strings.Join(args, " "))
			if strings.Contains(strings.Join(args, " "), "find-certificate") {
				return nil, errors.New("the item is not in the keychain")
			}
			return nil, nil
		},
	}
	code = run(env{args: args, environ: environ, stdin: strings.NewReader(stdin), out: &stdout, err: &stderr, trust: m})
	return code, stdout.String(), stderr.String(), calls
}

func TestTrustIsChangedAfterAClearYesAlone(t *testing.T) {
	t.Parallel()
	environ := []string{"EVERGATE_CA_DIR=" + filepath.Join(t.TempDir(), "ca")}
	for answer, code := range map[string]int{"": exitFailure, "n\n": exitFailure, "yes please\n": exitFailure, "y\n": exitOK} {
		got, out, said, calls := onMachine(t, false, answer, environ, "ca", "install")
		if got != code || (len(calls) == 1) != (code == exitOK) || !strings.Contains(said, "SHA-256") || !strings.Contains(said, "uninstall") {
			t.Errorf("%q: %d, %q, %q, %q", answer, got, calls, out, said)
		}
	}
	if code, out, _, calls := onMachine(t, false, "", environ, "ca", "uninstall", "--yes"); code != exitOK || len(calls) != 1 || !strings.Contains(out, "there is none") {
		t.Errorf("%d, %q, %q", code, calls, out)
	}
}

func TestAuthorityOfRootIsNotTrustedByMistake(t *testing.T) {
	t.Parallel()
	home := "HOME=" + t.TempDir()
	code, _, said, calls := onMachine(t, true, "", []string{home, "SUDO_USER=me"}, "ca", "install", "--yes")
	if code != exitConfig || len(calls) > 0 || !strings.Contains(said, "without sudo") || !strings.Contains(said, "that of me") {
		t.Errorf("%d, %q, %q", code, calls, said)
	}
	for _, environ := range [][]string{{home}, {home, "SUDO_USER=me", "EVERGATE_CA_DIR=" + filepath.Join(t.TempDir(), "ca")}} {
		if code, _, said, calls := onMachine(t, true, "", environ, "ca", "install", "--yes"); code != exitOK || len(calls) != 1 {
			t.Errorf("%q: %d, %q, %q", environ, code, calls, said)
		}
	}
}

func TestRootsFromElsewhereMustBeOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, root, _, _ := onMachine(t, false, "", []string{"EVERGATE_CA_DIR=" + filepath.Join(dir, "ca")}, "ca")
	key, err := filepath.Glob(filepath.Join(dir, "ca", "authority-*.pem"))
	if err != nil || len(key) != 1 {
		t.Fatal(key, err)
	}
	// The file of an authority holds the issuer as well, which is no root.
	for file, text := range map[string]string{key[0]: "", filepath.Join(dir, "none"): "none\n", filepath.Join(dir, "root"): root} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, _, said, calls := onMachine(t, false, "", nil, "ca", "install", "--from", file, "--yes")
		if ok := text == root; ok != (code == exitOK) || ok != (len(calls) == 1) || !ok && !strings.Contains(said, "give what evergate ca") {
			t.Errorf("%s: %d, %q, %q", file, code, calls, said)
		}
	}
	if code, _, said, calls := onMachine(t, false, root, nil, "ca", "install", "--from", "-", "--yes"); code != exitOK || len(calls) != 1 {
		t.Errorf("%d, %q, %q", code, calls, said)
	}
}
