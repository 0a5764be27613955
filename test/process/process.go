// Package process runs the program under test as a child of a test: it is built once, started
// as an operator would start it, watched through what it prints, and killed with the test.
//
// Invariants: a child never outlives its test; what it prints is kept whole, so a test can
// wait for a line that came before it looked; a child that panicked or raced fails its test.
package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait for something that takes a moment. It is far above what a
// loaded machine needs, so that only what will never happen runs into it.
const Patience = 30 * time.Second

// Command is the command that runs a program with these settings and no others.
func Command(t testing.TB, program string, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)
	return cmd
}

// Process is a running child.
type Process struct {
	Cmd      *exec.Cmd
	Out, Err Tape
	// Done is closed when it has ended.
	Done chan struct{}
}

// Start runs cmd, whose standard output and error it takes over. The child is killed when
// the test ends.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := Launch(t, cmd)
	t.Cleanup(func() { p.close(t) })
	return p
}

// Launch is Start for a child that the test itself kills: nothing is held of it afterwards,
// which counts where a test has hundreds.
func Launch(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Out, &p.Err
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.Done) }()
	return p
}

func (p *Process) close(t testing.TB) {
	p.Kill()
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "panic serving"} {
		if strings.Contains(p.Err.String(), bad) {
			t.Errorf("the program printed %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("%s printed:\n%s", p.Cmd, p.Tail())
	}
}

// Tail is the end of what it has printed.
func (p *Process) Tail() string { return tail(p.Out.String()) + tail(p.Err.String()) }

func tail(s string) string { return s[max(0, len(s)-8<<10):] }

// Kill ends it with SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.Done
}

// Signal sends it a signal.
func (p *Process) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Running reports whether it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done:
		return false
	default:
		return true
	}
}

// Exit waits for its end and returns the exit code; -1 after a signal.
func (p *Process) Exit(t testing.TB) int { t.Helper(); return p.ExitWithin(t, Patience) }

// ExitWithin is Exit with a bound of its own.
func (p *Process) ExitWithin(t testing.TB, longest time.Duration) int {
	t.Helper()
	select {
	case <-p.Done:
		return p.Cmd.ProcessState.ExitCode()
	case <-time.After(longest):
		t.Fatalf("still running after %s", longest)
		return -1
	}
}
