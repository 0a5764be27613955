package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// bindToLife has the system end the command that is started next when we are killed, because nobody would then put
// tokens on its calls. The system means the thread that starts it, so this goroutine has one to
// itself, which ends with it; it must wait for the command.
func bindToLife(cmd *exec.Cmd) {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
