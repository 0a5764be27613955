package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var keyAlone = regexp.MustCompile(`^evg_[A-Za-z0-9_-]{43}\n$`)

func TestKeyShowsTheKeyAloneOnStandardOutput(t *testing.T) {
	t.Parallel()
	o := execute(nil, "key", "agent", "--policy", "read-only", "--shops", "acme,Other.myshopify.com")
	digest := sha256.Sum256([]byte(strings.TrimSpace(o.out)))
	line := "agent sha256:" + hex.EncodeToString(digest[:]) + " shops=acme,other policy=read-only"
	if o.code != exitOK || !keyAlone.MatchString(o.out) || !strings.Contains(o.err, "\n"+line+"\n") {
		t.Errorf("%+v, want the line %s", o, line)
	}
	if strings.Contains(o.err, strings.TrimSpace(o.out)) {
		t.Error("the key is on standard error, too")
	}
}

func TestKeyAddsItsLineToTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	for _, args := range [][]string{{"key", "first", "--file", path}, {"key", "second"}, {"key", "third", "--policy", "none"}} {
		o := execute([]string{"EVERGATE_CLIENT_KEYS_FILE=" + path}, args...)
		if o.code != exitOK || !keyAlone.MatchString(o.out) || o.err != "" {
			t.Errorf("%q: %+v", args, o)
		}
		if args[1] == "first" { // an editor may leave the last line without its end
			b, _ := os.ReadFile(path)
			if err := os.WriteFile(path, []byte(strings.TrimSpace(string(b))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !regexp.MustCompile(`^first sha256:\w{64}\nsecond sha256:\w{64}\nthird sha256:\w{64} policy=none\n$`).Match(text) {
		t.Errorf("%v: %s", err, text)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// What it wrote is what the sidecar reads.
	if o := execute(right("EVERGATE_CLIENT_KEYS_FILE="+path), "config"); o.code != exitOK {
		t.Errorf("%+v", o)
	}
}

func TestAKeyThatNobodyWouldKnowIsNotShown(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"key", "agent", "--file", filepath.Join(t.TempDir(), "no", "such", "directory")}, {"key", "a b"}, {"key", "anonymous"}, {"key", "agent", "--policy", "a b"},
		{"key", "agent", "--shops", "https://acme"}, {"key"}, {"key", "--policy", "full"}, {"key", "agent", "erp"},
	} {
		if o := execute(nil, args...); o.code == exitOK || o.out != "" || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}
