package main

import (
	"fmt"
	"syscall"
)

// hideMemory keeps other programs of the same user from reading this process's memory and
// environment, which hold the secrets: what is below /proc/PID belongs to root then, nobody but
// root can attach to the process, and it leaves no core. Programs that it starts are not
// affected: the kernel takes it back at execve.
func hideMemory() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return fmt.Errorf("the memory cannot be hidden from this user's other programs: PR_SET_DUMPABLE: %w", errno)
	}
	return nil
}
