//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
)

// watchedProcess is a process that may be anybody's. Where a system does not say whether it has ended, the wait's own limit holds.
type watchedProcess struct{ process *os.Process }

func watchProcess(pid int) watchedProcess {
	p, err := os.FindProcess(pid)
	if err != nil {
		return watchedProcess{}
	}
	return watchedProcess{p}
}

func (p watchedProcess) ended() bool {
	if p.process == nil {
		return true
	}
	err := p.process.Signal(syscall.Signal(0))
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH)
}

func (p watchedProcess) close() {
	if p.process != nil {
		_ = p.process.Release()
	}
}
