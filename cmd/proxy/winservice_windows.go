package main

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows/svc"
)

// underServiceManager runs the command line as a service of Windows if that has started this process: it ends a service
// that does not answer its manager. Otherwise ok is false, and nothing was done.
func underServiceManager(w env, run func(env) int) (code int, ok bool) {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return 0, false
	}
	log, err := serviceLog(filepath.Join(os.Getenv("ProgramData"), "Evergate"))
	if err != nil {
		return exitFailure, true // there is nobody to tell
	}
	defer log.Close()
	w.out, w.err = log, log
	s := &windowsService{w: w, run: run}
	if err := svc.Run("", s); err != nil { // the name is not used for a service that has a process of its own
		return exitFailure, true
	}
	return s.code, true
}

// serviceLog takes the place of standard error, which a service does not have. What the run before wrote is kept beside it.
func serviceLog(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "evergate.log")
	_ = os.Rename(path, path+".1") // there may be none
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

type windowsService struct {
	w    env
	run  func(env) int
	code int
}

// Execute is called by the manager, once. A request to stop is a SIGTERM to everything behind it, and a second one is a
// second, which ends at once.
func (s *windowsService) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	signals := make(chan os.Signal, 4)
	s.w.signals, s.w.hear = signals, nil
	ended := make(chan int, 1)
	go func() { ended <- s.run(s.w) }()
	// As on other systems: it can be called from the first millisecond, and a usable token may come later.
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case s.code = <-ended:
			return s.code != 0, uint32(s.code)
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: 120_000} // as long as systemd's unit waits
				select {
				case signals <- syscall.SIGTERM:
				default: // it has been asked often enough
				}
			}
		}
	}
}
