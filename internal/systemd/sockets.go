package systemd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

const (
	// firstSocket is the descriptor after standard error.
	firstSocket = 3
	// mostSockets is far above what a service has, and keeps a broken variable from making
	// us touch descriptors that are our own.
	mostSockets = 64
)

// UnknownName is the name of a socket that was given without one.
const UnknownName = "unknown"

// Socket is one that was open before this process began.
type Socket struct {
	// Name is its FileDescriptorName=, by default the name of its socket unit.
	Name     string
	Listener net.Listener
}

// Sockets takes over what systemd has opened for the process pid, which is this one. It can
// be called once: the descriptors are the listeners' own from then on.
func Sockets(environ []string, pid int) ([]Socket, error) {
	names, err := names(environ, pid)
	if err != nil {
		return nil, err
	}
	var all []Socket
	var errs []error
	for i, name := range names {
		l, err := inherit(firstSocket+i, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("the socket %q (descriptor %d) that was passed cannot be used: %w", name, firstSocket+i, err))
			continue
		}
		all = append(all, Socket{name, l})
	}
	if err := errors.Join(errs...); err != nil {
		for _, s := range all {
			_ = s.Listener.Close()
		}
		return nil, err
	}
	return all, nil
}

// names returns the name of each socket that was passed to pid, in the order of their
// descriptors.
func names(environ []string, pid int) ([]string, error) {
	count, meantFor := lookUp(environ, "LISTEN_FDS"), lookUp(environ, "LISTEN_PID")
	if count == "" || meantFor == "" {
		return nil, nil
	}
	owner, err := strconv.Atoi(meantFor)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_PID=%q is not a process id: whatever starts Evergate with sockets must set it to Evergate's", meantFor)
	}
	if owner != pid {
		return nil, nil // inherited from a parent that did not remove it
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not a number from 0 to %d", count, mostSockets)
	}
	list := make([]string, n)
	given := strings.Split(lookUp(environ, "LISTEN_FDNAMES"), ":")
	for i := range list {
		list[i] = UnknownName
		if i < len(given) && given[i] != "" {
			list[i] = given[i]
		}
	}
	return list, nil
}
