package e2e

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	child "evergate/test/process"
)

// tape keeps everything that is written to it and tells when there is more.
type tape = child.Tape

// process is the binary running as a child.
type process struct {
	cmd      *exec.Cmd
	out, err tape
	done     chan struct{} // closed when it has ended
}

// start runs the binary with these settings and no others. It is killed when the test ends.
func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	return startWith(t, nil, environ, args...)
}

func startWith(t *testing.T, stdin io.Reader, environ []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), binary, args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, &p.out, &p.err
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipes
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() { p.close(t) })
	return p
}

func (p *process) close(t *testing.T) {
	_ = p.cmd.Process.Kill()
	<-p.done
	stderr := p.err.String()
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "panic serving"} {
		if strings.Contains(stderr, bad) {
			t.Errorf("the program printed %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("%s printed:\n%s%s", p.cmd, tail(p.out.String()), tail(stderr))
	}
}

func tail(s string) string { return s[max(0, len(s)-8<<10):] }

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code; -1 after a signal.
func (p *process) exit(t *testing.T) int { t.Helper(); return p.exitWithin(t, patience) }

func (p *process) exitWithin(t *testing.T, longest time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(longest):
		t.Fatalf("still running after %s", longest)
		return -1
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// finish runs the binary to its end.
func finish(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, environ, args...)
	code = p.exit(t)
	return code, p.out.String(), p.err.String()
}

// logLine is a line of the JSON log.
type logLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	Address string    `json:"address"`
}

// awaitLog waits for the line with this message.
func (p *process) awaitLog(t *testing.T, message string) logLine {
	t.Helper()
	var found logLine
	p.awaitText(t, &p.err, "the log line "+message, func(text string) bool {
		for line := range strings.Lines(text) {
			var l logLine
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &l) == nil && l.Message == message {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

// awaitText waits until what was printed satisfies ok.
func (p *process) awaitText(t *testing.T, from *tape, what string, ok func(string) bool) {
	t.Helper()
	p.awaitTextWithin(t, from, what, patience, ok)
}

func (p *process) awaitTextWithin(t *testing.T, from *tape, what string, longest time.Duration, ok func(string) bool) {
	t.Helper()
	deadline := time.After(longest)
	for {
		text, more := from.Next()
		if ok(text) {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if !ok(from.String()) {
				t.Fatalf("ended with %d before %s", p.cmd.ProcessState.ExitCode(), what)
			}
			return
		case <-deadline:
			t.Fatalf("no sign of %s after %s", what, longest)
		}
	}
}

// eventually asks until the answer is nil. It is for states that nothing announces.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	child.Eventually(t, ask)
}
