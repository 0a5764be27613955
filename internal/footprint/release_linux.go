package footprint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ReleaseFile gives back the pages of the program's file that are in the process's memory. The kernel maps sixteen of them for
// each that is touched, and a start touches code all over the file, so after it nearly the whole file is there; what a process
// that waits for requests touches is a fifth of it. Those pages come back, from the kernel's cache, as they are needed.
func ReleaseFile() error {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("which pages can be given back is not known: %w", err)
	}
	var errs []error
	for _, m := range releasable(smaps) {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("madvise: %w", errno)) // locked into memory, for example
		}
	}
	return errors.Join(errs...)
}

// mapping is a piece of the address space.
type mapping struct{ start, end uintptr }

// fixed is above where programs are that are linked to a fixed address. The pages of any other were changed when it was
// loaded, with the addresses in them.
const fixed = 1 << 32

// releasable are the mappings whose pages are those of a file, and cannot be anything else: nobody may write to them, and
// nobody has, not even a debugger. smaps is as in proc_pid_smaps(5).
func releasable(smaps []byte) (all []mapping) {
	var m mapping
	ofFile, unchanged := false, false
	take := func() {
		if ofFile && unchanged {
			all = append(all, m)
		}
	}
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		switch {
		case len(fields) == 0:
		case !strings.HasSuffix(fields[0], ":"): // ADDRESSES PERMISSIONS OFFSET DEVICE INODE [PATH]
			take()
			m, ofFile = parseMapping(fields)
			unchanged = false
		case fields[0] == "Anonymous:" && len(fields) > 1:
			unchanged = fields[1] == "0"
		case fields[0] == "Swap:" && len(fields) > 1 && fields[1] != "0":
			ofFile = false
		}
	}
	take()
	return all
}

// parseMapping also reports whether the mapping is a file's that may only be read and executed.
func parseMapping(fields []string) (m mapping, ofFile bool) {
	if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") || fields[4] == "0" {
		return m, false
	}
	first, last, _ := strings.Cut(fields[0], "-")
	start, err1 := strconv.ParseUint(first, 16, 64)
	end, err2 := strconv.ParseUint(last, 16, 64)
	ofFile = err1 == nil && err2 == nil && start < end && end <= fixed && (fields[1] == "r-xp" || fields[1] == "r--p")
	return mapping{uintptr(start), uintptr(end)}, ofFile
}
