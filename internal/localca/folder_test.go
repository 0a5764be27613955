package localca

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// made returns an authority that rests in a directory, and its file.
func made(t *testing.T) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ca")
	a, _ := at(dir)
	roots(t, a)
	found, err := filepath.Glob(filepath.Join(dir, "authority-*.pem"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	return dir, found[0]
}

func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// keyIn is the text of the key in a file.
func keyIn(t *testing.T, content []byte) string {
	t.Helper()
	_, key, ok := strings.Cut(string(content), beginKey)
	if !ok {
		t.Fatal("there is no key")
	}
	line, _, _ := strings.Cut(key, "\n")
	return line
}

const beginKey = "-----BEGIN PRIVATE KEY-----\n"

func TestFileThatCannotBeUsedIsSaidAndLeftAlone(t *testing.T) {
	t.Parallel()
	_, other := made(t)
	parts := func(content []byte) (certificates, key string) {
		certificates, key, _ = strings.Cut(string(content), beginKey)
		return certificates, beginKey + key
	}
	_, foreign := parts(contentOf(t, other))
	for name, spoil := range map[string]func(content []byte) []byte{
		"empty":      func([]byte) []byte { return nil },
		"half":       func(c []byte) []byte { return c[:len(c)/2] },
		"no key":     func(c []byte) []byte { certificates, _ := parts(c); return []byte(certificates) },
		"no PEM":     func([]byte) []byte { return []byte("shpat_hunter2") },
		"of another": func(c []byte) []byte { certificates, _ := parts(c); return []byte(certificates + foreign) },
		"damaged": func(c []byte) []byte {
			b, rest := pem.Decode(c)
			b.Bytes[len(b.Bytes)/2] ^= 0xff
			return append(pem.EncodeToMemory(b), rest...)
		},
	} {
		dir, file := made(t)
		spoilt := spoil(contentOf(t, file))
		put(t, file, spoilt)
		a, _ := at(dir)
		_, err := a.Roots()
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || len(spoilt) > 1000 && bytes.Contains(spoilt, []byte("PRIVATE")) && strings.Contains(err.Error(), keyIn(t, spoilt)) {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
		if _, err := a.Status(); err == nil {
			t.Errorf("%s: the status is good", name)
		}
		if !bytes.Equal(contentOf(t, file), spoilt) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// A successor that cannot be used does not keep the authority from its work.
func TestFileThatCannotBeUsedDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	dir, _ := made(t)
	put(t, filepath.Join(dir, "authority-0.pem"), []byte("half"))
	a, logged := at(dir)
	roots(t, a)
	if !strings.Contains(logged.String(), "authority-0.pem") {
		t.Errorf("%s", logged)
	}
}

func TestAuthorityWithoutConstraintsIsRefused(t *testing.T) {
	t.Parallel()
	g, err := newGeneration()
	if err != nil {
		t.Fatal(err)
	}
	template := issuerTemplate(g.root, "wide")
	template.PermittedIPRanges = nil
	// Its root is itself, as a thief would make one: the root's key is gone.
	wide, err := sign(template, template, &g.key.PublicKey, g.key)
	if err != nil {
		t.Fatal(err)
	}
	g.root, g.issuer = wide, wide
	content, err := g.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(content); err == nil || !strings.Contains(err.Error(), "more names") {
		t.Errorf("%v", err)
	}
}

func TestWhatAWriterLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left, others := filepath.Join(dir, ".authority-123.tmp"), filepath.Join(dir, "notes")
	put(t, left, []byte("half"))
	put(t, others, nil)
	a, _ := at(dir)
	roots(t, a)
	if _, err := os.Stat(left); err == nil {
		t.Error("a half-written file is still there")
	}
	if _, err := os.Stat(others); err != nil {
		t.Error("a file of somebody else is gone")
	}
}

func TestClockThatIsBehindIsSaid(t *testing.T) {
	t.Parallel()
	dir, _ := made(t)                     // in this year
	synctest.Test(t, func(t *testing.T) { // in 2000
		a, _ := at(dir)
		if _, err := a.Roots(); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("%v", err)
		}
	})
}

func TestPlaceThatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	nowhere := errors.New("nowhere")
	a := Open(func() (string, error) { return "", nowhere })
	if _, err := a.Roots(); !errors.Is(err, nowhere) {
		t.Errorf("%v", err)
	}
	if _, err := every(a).For(localhost); err == nil {
		t.Error("a leaf without an authority")
	}
}

func TestRemovedAuthorityLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, _ := made(t)
	a, _ := at(dir)
	first := roots(t, a)
	if place, err := a.Remove(); err != nil || place != dir {
		t.Errorf("%q, %v", place, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
	if place, err := a.Remove(); err != nil || place != "" {
		t.Errorf("a second time: %q, %v", place, err)
	}
	if roots(t, a).Equal(first) {
		t.Error("it came back")
	}
	notes := filepath.Join(dir, "notes")
	put(t, notes, nil)
	if _, err := a.Remove(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "notes" {
		t.Errorf("%v, %v", left, err)
	}
}
