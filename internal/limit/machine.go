package limit

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"evergate/internal/remedy"
)

const (
	// reserved are the descriptors that are no client's: standard streams, the poller, listeners, the
	// admin listener's connections, connections dialled ahead, the store, files that are read again.
	reserved = 64
	// connectionBytes is what an open connection with a small request under way is reckoned to cost.
	connectionBytes = 48 << 10
	fewest, most    = 16, 16 << 10
	// SmallestBudget is the least that is held for clients.
	SmallestBudget = 1 << 20
	largestBudget  = 256 << 20
)

// Limits are those of one process.
type Limits struct {
	Connections int   // of tools, over all their listeners
	Memory      int64 // bytes held for them
	// Machine is what they were derived from, where they were not set.
	Machine Machine
}

// Machine is what the process has been given; zero: no bound is known.
type Machine struct {
	Descriptors uint64
	Memory      int64
}

// Of fills in what is not set, which is zero, from what the process has been given: half of the descriptors
// that are left, because each request may need a connection to Shopify, too, and half of the memory for
// connections, a quarter for bytes.
func Of(connections int, memory int64) Limits {
	l := Limits{Connections: connections, Memory: memory, Machine: Machine{descriptors(), memoryLimit(os.DirFS("/"), debug.SetMemoryLimit(-1))}}
	l.derive()
	return l
}

func (l *Limits) derive() {
	if l.Connections == 0 {
		n := int64(most)
		if d := l.Machine.Descriptors; d > 0 {
			n = min(n, max(int64(min(d, 1<<30))-reserved, 0)/2)
		}
		if m := l.Machine.Memory; m > 0 {
			n = min(n, m/2/connectionBytes)
		}
		l.Connections = int(max(n, fewest))
	}
	if l.Memory == 0 {
		l.Memory = largestBudget
		if m := l.Machine.Memory; m > 0 {
			l.Memory = max(min(l.Memory, m/4), SmallestBudget)
		}
	}
}

// Shortage says what cannot be had of the limits that were set; nil where everything can.
func (l Limits) Shortage() error {
	if d := l.Machine.Descriptors; d > 0 && uint64(l.Connections)*2+reserved > d {
		return remedy.New("raise the limit (ulimit -n) or lower EVERGATE_MAX_CONNECTIONS",
			"%d connections of tools may need %d descriptors, and the process may have %d", l.Connections, l.Connections*2+reserved, d)
	}
	if m := l.Machine.Memory; m > 0 && l.Memory > m/2 {
		return remedy.New("lower EVERGATE_MEMORY_BUDGET", "%d bytes may be held for tools, more than half of the %d that the process may have", l.Memory, m)
	}
	return nil
}

// String is the limits for people.
func (l Limits) String() string {
	return fmt.Sprintf("%d connections of tools, %d KiB held for them", l.Connections, l.Memory>>10)
}

// memoryLimit is the least of GOMEMLIMIT, the limits of the cgroup and of those it is in, and half of the
// machine's memory; 0 where none is known.
func memoryLimit(root fs.FS, goLimit int64) int64 {
	least := int64(math.MaxInt64)
	take := func(n int64) {
		if n > 0 {
			least = min(least, n)
		}
	}
	take(goLimit)
	take(installed(root) / 2)
	groups, _ := fs.ReadFile(root, "proc/self/cgroup") // not Linux, or no cgroups: there is no such limit
	for line := range bytes.Lines(groups) {
		_, rest, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "": // version 2
			take(groupLimit(root, "sys/fs/cgroup", group, "memory.max"))
		case strings.Contains(","+controllers+",", ",memory,"):
			take(groupLimit(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	if least >= math.MaxInt64>>8 { // version 1 has a huge number for none
		return 0
	}
	return least
}

// groupLimit is the least limit of a group and those around it. In a container the group's path may be that of the
// host, which is not seen there; then what is seen at the top is the container's.
func groupLimit(root fs.FS, mount, group, file string) (least int64) {
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		if n := readNumber(root, path.Join(mount, at, file)); n > 0 && (least == 0 || n < least) {
			least = n
		}
		if at == "/" {
			return least
		}
	}
}

func readNumber(root fs.FS, name string) int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max": none
	return n
}

// installed is the machine's memory.
func installed(root fs.FS) int64 {
	b, _ := fs.ReadFile(root, "proc/meminfo")
	_, rest, _ := strings.Cut(string(b), "MemTotal:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, _ := strconv.ParseInt(number, 10, 64)
	return kib << 10
}
