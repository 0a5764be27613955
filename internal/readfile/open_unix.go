//go:build unix

package readfile

import "syscall"

// withoutWaiting opens a pipe that has no writer, and takes no terminal for the process's own.
const withoutWaiting = syscall.O_NONBLOCK | syscall.O_NOCTTY
