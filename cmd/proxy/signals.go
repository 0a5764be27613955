package main

import (
	"os"
	"syscall"
	"time"
)

// asksToEnd reports whether a signal is sent to end a process.
func asksToEnd(sig os.Signal) bool {
	return sig == os.Interrupt || sig == syscall.SIGTERM || sig == syscall.SIGHUP || sig == syscall.SIGQUIT
}

// oneWish is how long after a signal to end another one says the same. GNU timeout signals its child and then the whole group, and a
// terminal that goes away is told of by the system and by the shell: within a millisecond, or some tens on a machine that is busy. Hands
// that press Ctrl-C once more take longer.
const oneWish = 200 * time.Millisecond

// anotherWish is the first signal that is not the same wish as one that came at a time.
func anotherWish(next func() os.Signal, since time.Time) os.Signal {
	for {
		if sig := next(); time.Since(since) >= oneWish {
			return sig
		}
	}
}
