package main

import (
	"os"
	"syscall"
)

// asksToEnd reports whether a signal is sent to end a process.
func asksToEnd(sig os.Signal) bool {
	return sig == os.Interrupt || sig == syscall.SIGTERM || sig == syscall.SIGHUP || sig == syscall.SIGQUIT
}
