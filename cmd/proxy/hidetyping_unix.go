//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hideTyping has a terminal show nothing of what is typed from now on. Lines and the keys that interrupt stay as they are.
func hideTyping(terminal *os.File) error {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), getTermios)
	if err != nil {
		return err
	}
	state.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(int(terminal.Fd()), setTermios, state)
}
