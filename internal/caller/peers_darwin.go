package caller

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

const knowsPeers = true

// peerOf asks the kernel, which noted it down when the peer connected.
func peerOf(c *net.UnixConn) (p peer, _ error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); failed != nil {
			return
		}
		p.uid = cred.Uid
		count := min(max(int(cred.Ngroups), 0), len(cred.Groups))
		p.groups = append(p.groups, cred.Groups[:count]...)
	})
	return p, errors.Join(err, failed)
}
