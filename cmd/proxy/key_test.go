package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var keyAlone = regexp.MustCompile(`^evg_[A-Za-z0-9_-]{43}\n$`)

func TestAMisspeltCommandBelowKeyIsGuessed(t *testing.T) {
	t.Parallel()
	if o := execute(nil, "key", "revok", "agent"); o.code != exitConfig || !strings.Contains(o.err, "did you mean `evergate key revoke`?") {
		t.Errorf("%+v", o)
	}
	if o := execute(nil, "key", "agent", "other"); o.code != exitConfig || strings.Contains(o.err, "did you mean") {
		t.Errorf("%+v", o)
	}
}

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
		if o.code != exitOK || !keyAlone.MatchString(o.out) || !strings.HasPrefix(o.err, args[1]+" ") || strings.Count(o.err, "\n") != 1 {
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
		{"key", "agent", "--shops", "https://acme"}, {"key"}, {"key", "--policy", "full"}, {"key", "agent", "erp"}, {"key", "agent", "--policy", "no-such"}, {"key", "delete"}, {"key", "LIST"}, {"key", "show", "--policy", "full"},
	} {
		if o := execute(nil, args...); o.code == exitOK || o.out != "" || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestKeySaysWhatHoldsForTheCaller(t *testing.T) {
	t.Parallel()
	policies := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(policies, []byte(`{"default": "read-only", "callers": {"erp": "prices"}, "policies": {"prices": {"base": "read-only"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		environ []string
		args    []string
		want    string
	}{
		{nil, []string{"agent"}, "agent has no policy of its own, so EVERGATE_POLICY says what it may do: full.\n"},
		{[]string{"EVERGATE_POLICY=read-only"}, []string{"agent"}, "EVERGATE_POLICY says what it may do: read-only.\n"},
		{[]string{"EVERGATE_POLICY=read-only"}, []string{"--policy", "full", "agent"}, "agent is held to the policy full.\n"},
		{[]string{"EVERGATE_POLICY_FILE=" + policies}, []string{"agent"}, "EVERGATE_POLICY_FILE says what it may do: read-only.\n"},
		{[]string{"EVERGATE_POLICY_FILE=" + policies}, []string{"erp"}, "EVERGATE_POLICY_FILE says what it may do: prices.\n"},
		{[]string{"EVERGATE_POLICY_FILE=" + policies}, []string{"shop-agent", "--policy", "prices"}, "shop-agent is held to the policy prices.\n"},
	} {
		if o := execute(tc.environ, append([]string{"key"}, tc.args...)...); o.code != exitOK || !strings.HasSuffix(o.err, tc.want) {
			t.Errorf("%q: %+v, want %q", tc.args, o, tc.want)
		}
	}
}

func TestKeysAreListedAndEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	if err := os.Symlink(path, filepath.Join(dir, "link")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	environ := []string{"EVERGATE_CLIENT_KEYS_FILE=" + filepath.Join(dir, "link"), "EVERGATE_POLICY=read-only"}
	if err := os.WriteFile(path, []byte("# who made them\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"agent"}, {"--policy", "full", "erp"}, {"agent", "--shops", "acme,other"}} {
		if o := execute(environ, append([]string{"key"}, args...)...); o.code != exitOK {
			t.Fatalf("%+v", o)
		}
	}
	for _, args := range [][]string{{"key", "list"}, {"key", "--file", path, "list"}} {
		o := execute(environ, args...)
		if o.code != exitOK || !regexp.MustCompile(`(?m)^agent +read-only \(by EVERGATE_POLICY\) +all +\w{8}…\nerp +full +all +\w{8}…\nagent +read-only \(by EVERGATE_POLICY\) +acme, other +\w{8}…$`).MatchString(o.out) {
			t.Errorf("%+v", o)
		}
	}
	var listed []keyListed
	o := execute(environ, "key", "list", "--json")
	if err := json.Unmarshal([]byte(o.out), &listed); err != nil || len(listed) != 3 {
		t.Fatalf("%v: %s", err, o.out)
	}
	for _, args := range [][]string{{"nobody"}, {"agent", "--digest", "zz"}, {}, {"agent", "erp"}} {
		if o := execute(environ, append([]string{"key", "revoke"}, args...)...); o.code != exitConfig || o.out != "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o := execute(environ, "key", "revoke", "--digest", listed[0].Digest[:digestShown]+"…", "agent"); o.code != exitOK {
		t.Errorf("%+v", o)
	}
	text, err := os.ReadFile(path)
	if err != nil || !regexp.MustCompile(`^# who made them\nerp sha256:\w+ policy=full\nagent sha256:\w+ shops=acme,other\n$`).Match(text) {
		t.Errorf("%v: %s", err, text)
	}
	if o := execute(environ, "key", "revoke", "agent"); o.code != exitOK || !strings.Contains(o.out, ": 1.") {
		t.Errorf("%+v", o)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if link, err := os.Lstat(filepath.Join(dir, "link")); err != nil || link.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
}

// A key that was shown must be known, whoever ends others meanwhile.
func TestNoKeyIsLostWhileOthersEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	const rounds = 30
	var wait sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		wait.Go(func() {
			for range rounds {
				if o := execute(nil, "key", name, "--file", path); o.code != exitOK {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wait.Go(func() {
		for range rounds {
			for _, args := range [][]string{{"key", "passing"}, {"key", "revoke", "passing"}} {
				if o := execute(nil, append(args, "--file", path)...); o.code != exitOK {
					t.Errorf("%+v", o)
				}
			}
		}
	})
	wait.Wait()
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "one sha256:") != rounds || strings.Count(string(text), "two sha256:") != rounds || strings.Contains(string(text), "passing") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestWhatIsNoFileOfKeysIsNotRead(t *testing.T) {
	t.Parallel()
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, largestKeysFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{large, t.TempDir(), os.DevNull} {
		for _, args := range [][]string{{"key", "list"}, {"key", "revoke", "agent"}} {
			if o := execute(nil, append(args, "--file", path)...); o.code != exitConfig || !strings.Contains(o.err, "is no file of keys") {
				t.Errorf("%q of %s: %+v", args, path, o)
			}
		}
	}
}

func TestAFileOfKeysThatIsMissingHasARemedy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etc")
	file := filepath.Join(dir, "keys")
	for want, args := range map[string][]string{
		"there is no directory " + dir + " for the file of keys: make it: install -d -m 755 " + single(dir):        {"key", "agent", "--file", file},
		"there is no file of keys " + file + ": name another one, or make it with `evergate key NAME --file FILE`": {"key", "list", "--file", file},
		"there is no file of keys " + file: {"key", "revoke", "agent", "--file", file},
	} {
		if o := execute(nil, args...); o.code != exitFailure || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%q: %+v", args, o)
		}
	}
}
