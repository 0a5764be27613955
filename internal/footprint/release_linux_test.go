package footprint

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// entry is a mapping as smaps has it.
func entry(line string, sizes ...string) string {
	return line + "\nSize:               8348 kB\nRss:                7320 kB\n" + strings.Join(sizes, "\n") + "\nVmFlags: rd ex mr mw me\n"
}

func TestOnlyUnchangedPagesOfTheProgramAreReleased(t *testing.T) {
	t.Parallel()
	const zero, some = "Anonymous:             0 kB", "Anonymous:             4 kB"
	for name, tc := range map[string]struct {
		smaps string
		want  []mapping
	}{
		"code and constants": {
			entry("00400000-00c26000 r-xp 00000000 fe:00 1234                       /usr/bin/evergate", zero, "Swap:                  0 kB") +
				entry("00c26000-01489000 r--p 00826000 fe:00 1234                       /usr/bin/evergate", zero, "Swap:                  0 kB") +
				entry("01489000-0153f000 rw-p 01089000 fe:00 1234                       /usr/bin/evergate", zero),
			[]mapping{{0x400000, 0xc26000}, {0xc26000, 0x1489000}},
		},
		"its file was replaced":           {entry("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate (deleted)", zero), []mapping{{0x400000, 0xc26000}}},
		"a debugger has set a breakpoint": {entry("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate", some), nil},
		"what was changed is swapped out": {entry("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate", zero, "Swap:                  4 kB"), nil},
		"addresses were put in, at first": {entry("55d0c0000000-55d0c0826000 r--p 00000000 fe:00 1234 /usr/bin/evergate", zero), nil},
		"shared with others":              {entry("00400000-00c26000 r--s 00000000 fe:00 1234 /var/lib/data", zero), nil},
		"may be written to":               {entry("00400000-00c26000 rwxp 00000000 fe:00 1234 /usr/bin/evergate", zero), nil},
		"of no file":                      {entry("00400000-00c26000 r--p 00000000 00:00 0", zero), nil},
		"the kernel's":                    {entry("00400000-00c26000 r-xp 00000000 00:00 0 [vdso]", zero), nil},
		"it is not said":                  {entry("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate"), nil},
		"no range":                        {entry("00c26000-00400000 r-xp 00000000 fe:00 1234 /usr/bin/evergate", zero), nil},
		"no addresses":                    {entry("x-y r-xp 00000000 fe:00 1234 /usr/bin/evergate", zero), nil},
		"nothing":                         {"", nil},
		"said of the one before": {
			entry("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate", some) + entry("00c26000-01489000 r--p 00826000 fe:00 1234 /usr/bin/evergate"), nil,
		},
	} {
		if got := releasable([]byte(tc.smaps)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %x, want %x", name, got, tc.want)
		}
	}
}

func FuzzReleasable(f *testing.F) {
	f.Add("00400000-00c26000 r-xp 00000000 fe:00 1234 /usr/bin/evergate\nAnonymous: 0 kB\n")
	f.Add("Anonymous:\nSwap:\n\n-")
	f.Fuzz(func(t *testing.T, smaps string) {
		for _, m := range releasable([]byte(smaps)) {
			if m.start >= m.end || m.end > fixed {
				t.Errorf("%x", m)
			}
		}
	})
}

// resident is how much of what can be released is in memory, in KiB.
func resident(t *testing.T) (kib int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	mine := releasable(smaps)
	in := false
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		if m, ofFile := parseMapping(fields); ofFile {
			in = slices.Contains(mine, m)
		} else if fields[0] == "Rss:" && in {
			n, _ := strconv.Atoi(fields[1])
			kib, in = kib+n, false
		}
	}
	return kib
}

func TestWhatIsReleasedLeavesMemory(t *testing.T) { //nolint:paralleltest // what others touch would come back meanwhile
	before := resident(t)
	if before == 0 {
		t.Skip("this test was not linked to a fixed address")
	}
	if err := ReleaseFile(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t); after == 0 || after > before*3/4 {
		t.Errorf("%d KiB of %d are still there", after, before)
	}
}
