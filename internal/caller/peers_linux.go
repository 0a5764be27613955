package caller

import (
	"errors"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const knowsPeers = true

// peerOf asks the kernel. What it answers was noted down when the peer connected, so it
// cannot be changed or raced: reading the groups from /proc by the process's number could.
func peerOf(c *net.UnixConn) (p peer, _ error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed != nil {
			return
		}
		p = peer{uid: cred.Uid, groups: []uint32{cred.Gid}}
		var more []uint32
		if more, failed = peerGroups(fd); failed == nil {
			p.groups = append(p.groups, more...)
		}
	})
	return p, errors.Join(err, failed)
}

// peerGroups returns the supplementary groups (SO_PEERGROUPS, Linux 4.13).
func peerGroups(fd uintptr) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups)) * uint32(unsafe.Sizeof(groups[0]))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // G103: x/sys has no call for it
		count := int(size) / int(unsafe.Sizeof(groups[0]))
		switch {
		case errno == 0:
			return groups[:count], nil
		case errno == syscall.ERANGE && count > len(groups):
			groups = make([]uint32, count) // the kernel has said how many there are
		case errno == syscall.ENOPROTOOPT:
			return nil, nil // an older kernel: the primary group has to do
		default:
			return nil, errno
		}
	}
}
