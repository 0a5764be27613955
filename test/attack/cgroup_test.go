//go:build linux

package attack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// cgroup is a memory cgroup of version 1 or 2, in which a child is killed when it needs more than the chart allows.
type cgroup struct{ dir string }

const memoryLimit = 128 << 20

func newCgroup(t *testing.T) cgroup {
	t.Helper()
	g, err := makeCgroup(strings.ReplaceAll(t.Name(), "/", "-"))
	if err != nil {
		if os.Getenv("TEST_COMPONENTS") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.Remove(g.dir) }) // empty, because the child has been waited for
	return g
}

func makeCgroup(name string) (cgroup, error) {
	v1, v2 := "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
	parent, file := v2, "memory.max"
	if _, err := os.Stat(filepath.Join(v1, "memory.limit_in_bytes")); err == nil {
		parent, file = v1, "memory.limit_in_bytes"
	} else {
		_ = os.WriteFile(filepath.Join(v2, "cgroup.subtree_control"), []byte("+memory"), 0o644) // the limit's file says whether it is there
	}
	dir := filepath.Join(parent, fmt.Sprintf("evergate-%d-%s", os.Getpid(), name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return cgroup{}, fmt.Errorf("no memory cgroup can be made; run as root, with cgroups that can be written: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, memoryLimit), 0o644); err != nil {
		return cgroup{}, errors.Join(fmt.Errorf("no memory cgroup can be limited: %w", err), syscall.Rmdir(dir))
	}
	return cgroup{dir}, nil
}

// procs is the file that takes a process in.
func (g cgroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }
