// Package process runs the program under test as a child of a test: it is built once, started
// as an operator would start it, watched through what it prints, and killed with the test.
//
// Invariants: a child never outlives its test; what it prints is kept whole, so a test can
// wait for a line that came before it looked; a child that panicked or raced fails its test.
package process

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait for something that takes a moment. It is far above what a
// loaded machine needs, so that only what will never happen runs into it.
const Patience = 30 * time.Second

// Build compiles cmd/proxy to path. The flags are go build's.
func Build(path string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "evergate/cmd/proxy")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the binary under test: %w", err)
	}
	return nil
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
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.Out, &p.Err
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.Done) }()
	t.Cleanup(func() { p.close(t) })
	return p
}

func (p *Process) close(t testing.TB) {
	_ = p.Cmd.Process.Kill()
	<-p.Done
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "panic serving"} {
		if strings.Contains(p.Err.String(), bad) {
			t.Errorf("the program printed %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("%s printed:\n%s%s", p.Cmd, tail(p.Out.String()), tail(p.Err.String()))
	}
}

func tail(s string) string { return s[max(0, len(s)-8<<10):] }

// Running reports whether it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done:
		return false
	default:
		return true
	}
}

// LogLine is a line of the JSON log.
type LogLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Address string `json:"address"`
	Text    string `json:"-"` // the line itself
}

// Logged returns the lines of the log with this message.
func (p *Process) Logged(message string) []LogLine { return logged(p.Err.String(), message) }

func logged(text, message string) (found []LogLine) {
	for line := range strings.Lines(text) {
		l := LogLine{Text: line}
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &l) == nil && l.Message == message {
			found = append(found, l)
		}
	}
	return found
}

// AwaitLog waits for the first line with this message.
func (p *Process) AwaitLog(t testing.TB, message string) LogLine {
	t.Helper()
	deadline := time.After(Patience)
	for {
		text, more := p.Err.Next()
		if found := logged(text, message); len(found) > 0 {
			return found[0]
		}
		select {
		case <-more:
		case <-p.Done:
			if found := p.Logged(message); len(found) > 0 { // the last words may come after the last look
				return found[0]
			}
			t.Fatalf("ended with %d before it said %q", p.Cmd.ProcessState.ExitCode(), message)
		case <-deadline:
			t.Fatalf("has not said %q after %s", message, Patience)
		}
	}
}

// Eventually asks until the answer is nil. It is for states that nothing announces.
func Eventually(t testing.TB, ask func() error) {
	t.Helper()
	EventuallyWithin(t, Patience, 20*time.Millisecond, ask)
}

// EventuallyWithin is Eventually with bounds of its own: how long it asks, and how often.
func EventuallyWithin(t testing.TB, longest, every time.Duration, ask func() error) {
	t.Helper()
	again := time.NewTicker(every)
	defer again.Stop()
	deadline := time.After(longest)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("after %s still: %v", longest, err)
		}
	}
}
