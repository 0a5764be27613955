package upstream

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledgedBytes reports that the kernel has tried more than once to send something again, or to have its
// probes answered, and nobody has acknowledged it: the peer does not hear us, so it is not the peer that is slow.
// What does not even leave the machine, because the address is gone, is not sent in the kernel's eyes, and probed for.
func unacknowledgedBytes(c net.Conn) bool {
	raw := below(c)
	if raw == nil {
		return false
	}
	var info *unix.TCPInfo
	var failed error
	err := raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	return err == nil && failed == nil && (info.Unacked > 0 && info.Retransmits >= 2 || info.Notsent_bytes > 0 && info.Probes >= 2)
}
