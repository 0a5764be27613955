//go:build unix

package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// passedOn are the signals, beside SIGINT and SIGTERM, that `run` passes on to its command. At a terminal
// those of job control are not among them: the terminal sends them to both, and the shell waits for both to stop.
// What is ignored, as SIGHUP is below nohup, is left so, for the command as well.
func passedOn(terminal bool) []os.Signal {
	all := []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGALRM}
	if !terminal {
		all = append(all, syscall.SIGTSTP, syscall.SIGCONT)
	}
	return slices.DeleteFunc(all, signal.Ignored)
}

// sentByTerminal reports whether a terminal sends a signal to every process in the foreground.
func sentByTerminal(sig os.Signal) bool {
	return sig == os.Interrupt || sig == syscall.SIGQUIT || sig == syscall.SIGWINCH
}
