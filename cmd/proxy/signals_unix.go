//go:build unix

package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// lastSignal is the highest number of a signal: Linux has 64, with those for real-time; what a system does not have never comes.
const lastSignal = 64

// notPassedOn are signals that say something of this process alone: that a child has ended or that nobody reads what it
// writes; and those that Go's runtime keeps for itself, to interrupt its threads and for profiles. SIGINT and SIGTERM are heard in any case.
var notPassedOn = [...]syscall.Signal{syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGPROF, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGSTOP}

// ofJobControl are sent by a terminal, or by the shell there, to both, and the shell waits for both to stop.
var ofJobControl = [...]syscall.Signal{syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGTTIN, syscall.SIGTTOU}

// passedOn are the signals, beside SIGINT and SIGTERM, that `run` passes on to its command: all that there are. At a terminal
// those of job control are not among them. What is ignored, as SIGHUP is below nohup, is left so, for the command as
// well.
func passedOn(terminal bool) (all []os.Signal) {
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		if slices.Contains(notPassedOn[:], sig) || terminal && slices.Contains(ofJobControl[:], sig) || signal.Ignored(sig) {
			continue
		}
		all = append(all, sig)
	}
	return all
}

// sentByTerminal reports whether a terminal sends a signal to every process in the foreground.
func sentByTerminal(sig os.Signal) bool {
	return sig == os.Interrupt || sig == syscall.SIGQUIT || sig == syscall.SIGWINCH
}
