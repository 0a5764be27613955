//go:build !linux

package upstream

import "syscall"

// boundSilence does nothing where the kernel has no such bound: keep-alive probes have to do.
func boundSilence(_, _ string, _ syscall.RawConn) error { return nil }
