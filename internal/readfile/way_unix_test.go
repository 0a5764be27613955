//go:build unix

package readfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mkdir makes a directory with this mode, whatever the umask is.
func mkdir(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// open is a directory that others can go through, as those of the tests cannot.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "way")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAPipeIsOwned: what a shell makes of <(…) has no name in a directory, and a named one has.
func TestAPipeIsOwned(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("two"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantWay(t, "without a name", fmt.Sprintf("/dev/fd/%d", r.Fd()), "")

	world := mkdir(t, filepath.Join(open(t), "world"), 0o777)
	named := filepath.Join(world, "pipe")
	if err := syscall.Mkfifo(named, 0o600); err != nil {
		t.Fatal(err)
	}
	wantWay(t, "with one", named, "chmod go-w")
}

func wantWay(t *testing.T, what, path, complaint string) {
	t.Helper()
	if text, _, err := Owned(path, most); (err == nil) != (complaint == "") || err == nil && string(text) != "two" || err != nil && !strings.Contains(err.Error(), complaint) {
		t.Errorf("%s: %v, want %q", what, err, complaint)
	}
}

func TestAFileThatOthersCouldReplaceIsRefused(t *testing.T) {
	dir := open(t)
	wantWay(t, "its own directory", put(t, filepath.Join(dir, "a")), "")
	for mode, complaint := range map[os.FileMode]string{0o755: "", 0o700: "", 0o777: "chmod go-w", 0o757: "chmod go-w", 0o777 | os.ModeSticky: "", 0o733: "chmod go-w"} {
		sub := mkdir(t, filepath.Join(dir, mode.String()), mode)
		wantWay(t, mode.String(), put(t, filepath.Join(sub, "file")), complaint)
		below := mkdir(t, filepath.Join(sub, "below"), 0o755)
		wantWay(t, "below "+mode.String(), put(t, filepath.Join(below, "file")), complaint)
	}
	// Where nobody gets through, the mode of what is below says nothing.
	secluded := mkdir(t, filepath.Join(dir, "secluded"), 0o700)
	shared := mkdir(t, filepath.Join(secluded, "shared"), 0o777)
	wantWay(t, "secluded", put(t, filepath.Join(shared, "file")), "")

	// The way of a link counts, and the way to what it leads to.
	world := mkdir(t, filepath.Join(dir, "world"), 0o777)
	file := put(t, filepath.Join(dir, "file"))
	for name, target := range map[string]string{filepath.Join(world, "link"): file, filepath.Join(dir, "link"): put(t, filepath.Join(world, "file")), filepath.Join(dir, "relative"): "world/../world/file"} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		wantWay(t, name, name, "chmod go-w")
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Owned(loop, most); err == nil {
		t.Error("a loop of links is accepted")
	}
}

// As the kubelet mounts a Secret: sticky, open to everybody, with links that are root's.
func TestAMountedSecretIsAccepted(t *testing.T) {
	volume := mkdir(t, filepath.Join(open(t), "volume"), 0o777|os.ModeSticky)
	put(t, filepath.Join(mkdir(t, filepath.Join(volume, "..2026_11_28"), 0o755), "keys"))
	for name, target := range map[string]string{"..data": "..2026_11_28", "keys": "..data/keys"} {
		if err := os.Symlink(target, filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	wantWay(t, "a Secret", filepath.Join(volume, "keys"), "")
}

// As the kubelet mounts a Secret for a pod with an fsGroup: all of it is root's and the group's, who may read;
// the process is neither root nor the owner of anything on the way.
func TestAMountedSecretOfAGroupIsAccepted(t *testing.T) {
	const user, group = 65532, 2000
	if path := os.Getenv("WAY_OF_A_GROUP"); path != "" { // the process below
		if os.Geteuid() != user {
			t.Fatalf("this runs as %d", os.Geteuid())
		}
		wantWay(t, "a Secret of a group", path, "")
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away, and become somebody else")
	}
	volume := mkdir(t, filepath.Join(open(t), "volume"), 0o777|os.ModeSticky|os.ModeSetgid)
	inner := mkdir(t, filepath.Join(volume, "..2026_11_28"), 0o755|os.ModeSetgid)
	file := put(t, filepath.Join(inner, "keys"))
	if err := os.Chmod(file, 0o440); err != nil {
		t.Fatal(err)
	}
	data, keys := filepath.Join(volume, "..data"), filepath.Join(volume, "keys")
	for name, target := range map[string]string{data: "..2026_11_28", keys: "..data/keys"} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{volume, inner, file, data, keys} {
		if err := os.Lchown(path, 0, group); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "WAY_OF_A_GROUP="+keys)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user, Groups: []uint32{group}}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) { // both: what the test in the other process said
		t.Errorf("%v: %s", err, out)
	}
}

func TestWhatBelongsToSomebodyElseIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const other = 1234
	dir := open(t)
	give := func(path string) string {
		if err := os.Lchown(path, other, other); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wantWay(t, "a file", give(put(t, filepath.Join(dir, "file"))), "belongs to another user (uid 1234)")
	theirs := give(mkdir(t, filepath.Join(dir, "theirs"), 0o755))
	wantWay(t, "a directory", put(t, filepath.Join(theirs, "file")), "belongs to another user")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(put(t, filepath.Join(dir, "ours")), link); err != nil {
		t.Fatal(err)
	}
	wantWay(t, "a link", give(link), "belongs to another user")
	sticky := mkdir(t, filepath.Join(dir, "sticky"), 0o777|os.ModeSticky)
	wantWay(t, "in a sticky directory", give(put(t, filepath.Join(sticky, "file"))), "belongs to another user")
	group := mkdir(t, filepath.Join(dir, "group"), 0o775)
	wantWay(t, "the group root", put(t, filepath.Join(group, "file")), "")
	if err := os.Chown(group, 0, other); err != nil {
		t.Fatal(err)
	}
	wantWay(t, "a group", filepath.Join(group, "file"), "chmod go-w")
}
