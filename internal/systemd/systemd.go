// Package systemd speaks the two small protocols between a service and systemd: the one by
// which it is given sockets that are open already (sd_listen_fds(3)), and the one by which it
// says how it fares (sd_notify(3)). Both are a few environment variables; nothing is linked.
//
// Invariants: without these variables nothing happens, on any system; what is meant for
// another process (LISTEN_PID, WATCHDOG_PID) is left alone; telling systemd something never
// takes longer than a second and never fails the service; what was inherited is closed on
// exec, so that a program that we start gets neither the sockets nor the variables.
package systemd

import (
	"slices"
	"strings"
)

// variables are those of both protocols.
var variables = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}

// Strip returns the environment for a program that we start: it is not the one that systemd
// speaks to.
func Strip(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(variables, name)
	})
}

// lookUp returns a variable of an environment; the last entry counts.
func lookUp(environ []string, name string) string {
	for _, e := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}
