package process

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// LogLine is a line of the JSON log.
type LogLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	Address string    `json:"address"`
	Text    string    `json:"-"` // the line itself
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
	var found []LogLine
	p.AwaitText(t, &p.Err, "the log line "+message, func(text string) bool {
		found = logged(text, message)
		return len(found) > 0
	})
	return found[0]
}

// AwaitMatch waits until it has printed something that matches, and returns the first group.
func (p *Process) AwaitMatch(t testing.TB, from *Tape, pattern *regexp.Regexp) string {
	t.Helper()
	var m []string
	p.AwaitText(t, from, "a match of "+pattern.String(), func(text string) bool {
		m = pattern.FindStringSubmatch(text)
		return m != nil
	})
	return m[1]
}

// AwaitText waits until what was printed satisfies ok.
func (p *Process) AwaitText(t testing.TB, from *Tape, what string, ok func(string) bool) {
	t.Helper()
	p.AwaitTextWithin(t, from, what, Patience, ok)
}

// AwaitTextWithin is AwaitText with a bound of its own.
func (p *Process) AwaitTextWithin(t testing.TB, from *Tape, what string, longest time.Duration, ok func(string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest) // a cleanup may wait, too
	defer cancel()
	switch err := p.Printed(ctx, from, ok); {
	case err == nil:
	case errors.Is(err, ErrEnded):
		t.Fatalf("ended with %d before %s", p.Cmd.ProcessState.ExitCode(), what)
	default:
		t.Fatalf("no sign of %s after %s", what, longest)
	}
}

// Printed waits until what was printed satisfies ok. The error is ErrEnded when the child
// has ended and it does not, and the context's otherwise.
func (p *Process) Printed(ctx context.Context, from *Tape, ok func(string) bool) error {
	for {
		text, more := from.Next()
		if ok(text) {
			return nil
		}
		select {
		case <-more:
		case <-p.Done:
			if ok(from.String()) { // its last words may come after the last look
				return nil
			}
			return ErrEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ErrEnded says that a child ended before it did what was waited for.
var ErrEnded = errors.New("the process has ended")

// Await waits for a value, or for a channel to be closed.
func Await[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatalf("no sign of %s after %s", what, Patience)
		return *new(T)
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
	if err := Poll(longest, every, ask); err != nil {
		t.Fatalf("after %s still: %v", longest, err)
	}
}

// Poll asks until the answer is nil, and returns the last one if that has not happened.
func Poll(longest, every time.Duration, ask func() error) error {
	again := time.NewTicker(every)
	defer again.Stop()
	deadline := time.After(longest)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-deadline:
			return err
		}
	}
}
