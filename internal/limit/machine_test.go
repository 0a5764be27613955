package limit

import (
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemoryIsWhatTheProcessMayHave(t *testing.T) {
	const none = math.MaxInt64
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files   fstest.MapFS
		goLimit int64
		want    int64
	}{
		"nothing is known": {fstest.MapFS{}, none, 0},
		"GOMEMLIMIT":       {fstest.MapFS{}, 5 << 20, 5 << 20},
		"half of the machine": {fstest.MapFS{"proc/meminfo": file("MemTotal:       2048 kB\nMemFree: 1 kB\n")},
			none, 1 << 20},
		"version 2, the parent's": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("3000000\n"),
		}, none, 3000000},
		"version 2, a container that sees its own at the top": {fstest.MapFS{
			"proc/self/cgroup": file("0::/host/path\n"), "sys/fs/cgroup/memory.max": file("4000000\n"),
		}, 5000000, 4000000},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup": file("9:cpu:/x\n4:cpuset,memory:/a\n0::/\n"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": file("2000000\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   file("9223372036854771712\n"),
			"sys/fs/cgroup/x/memory.max":                   file("1\n"), // not its group
			"sys/fs/cgroup/memory/b/memory.limit_in_bytes": file("1\n"),
		}, none, 2000000},
		"version 1 without a limit": {fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, none, 0},
		"nonsense": {fstest.MapFS{"proc/self/cgroup": file("\n:\n0\n::::/..\n"), "proc/meminfo": file("MemTotal:"), "sys/fs/cgroup/memory.max": file("-5")}, none, 0},
	} {
		if got := memoryLimit(c.files, c.goLimit); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestLimitsFollowFromTheMachineUnlessSet(t *testing.T) {
	for name, c := range map[string]struct {
		set, want Limits
	}{
		"nothing known":     {Limits{}, Limits{Connections: most, Memory: largestBudget}},
		"the chart's":       {Limits{Machine: Machine{1 << 20, 104857 << 10}}, Limits{Connections: 1092, Memory: 104857 << 8}},
		"few descriptors":   {Limits{Machine: Machine{256, 100 << 20}}, Limits{Connections: 96, Memory: 25 << 20}},
		"hardly any":        {Limits{Machine: Machine{32, 1 << 20}}, Limits{Connections: fewest, Memory: SmallestBudget}},
		"without an end":    {Limits{Machine: Machine{math.MaxUint64, 1 << 40}}, Limits{Connections: most, Memory: largestBudget}},
		"what is set stays": {Limits{Connections: 7, Memory: 9, Machine: Machine{256, 100 << 20}}, Limits{Connections: 7, Memory: 9}},
	} {
		got := c.set
		got.derive()
		if got.Connections != c.want.Connections || got.Memory != c.want.Memory {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAShortageIsSaid(t *testing.T) {
	for want, l := range map[string]Limits{
		"":                         {Connections: 96, Memory: 1 << 20, Machine: Machine{256, 100 << 20}},
		"EVERGATE_MAX_CONNECTIONS": {Connections: 500, Memory: 1 << 20, Machine: Machine{256, 100 << 20}},
		"EVERGATE_MEMORY_BUDGET":   {Connections: 10, Memory: 90 << 20, Machine: Machine{256, 100 << 20}},
	} {
		if err := l.Shortage(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", l, err, want)
		}
	}
}
