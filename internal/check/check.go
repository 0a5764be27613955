// Package check looks at everything that has to be right before the sidecar can work, and
// says what is not and what to do about it.
//
// Invariants: every check ends in bounded time; one that fails hides no other, except for
// those that make no sense without it, which are skipped; no result holds a secret; a
// check changes nothing that outlasts it, except for the token that the grant's check obtains.
package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"evergate/internal/printable"
	"evergate/internal/redact"
	"evergate/internal/remedy"
)

// Status is the outcome of a check.
type Status string

// The outcomes. Only Fail says that the sidecar cannot do its work.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result is the outcome of one check, for people and as JSON.
type Result struct {
	Name    string `json:"name"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	// Remedy says what to do; empty where there is nothing to do.
	Remedy string `json:"remedy"`
}

// String is the result in one line.
func (r Result) String() string { return r.Line(string(r.Status)) }

// Line is the result in one line, with the status as it is to be shown.
func (r Result) Line(status string) string {
	line := fmt.Sprintf("  %-13s  %s", r.Name, r.Message)
	if r.Remedy != "" {
		line += ": " + r.Remedy
	}
	return status + strings.Repeat(" ", max(0, longestStatus-len(r.Status))) + printable.Lines(strings.ReplaceAll(line, "\n", "; "))
}

const longestStatus = len(Skip)

// Gather makes one result of those with the same status, message and remedy that would be told one after the other, with
// the names of all: ten checks that were left out for one reason are one line. The returned function tells what is left.
func Gather(tell func(Result)) (each func(Result), end func()) {
	var kept *Result
	end = func() {
		if kept != nil {
			tell(*kept)
			kept = nil
		}
	}
	return func(r Result) {
		if kept != nil && r.Status == Skip && kept.Status == Skip && r.Message == kept.Message && r.Remedy == kept.Remedy {
			kept.Name += ", " + r.Name
			return
		}
		if end(); r.Status == Skip { // what was looked at is told at once
			kept = &r
			return
		}
		tell(r)
	}, end
}

// Check is one thing to look at.
type Check struct {
	Name string
	// Needs are the checks before it without which it makes no sense.
	Needs []string
	// Limit bounds it. Zero: it waits for nothing, or bounds itself.
	Limit time.Duration
	// Run looks, and returns a result for each thing it has to say, without the name.
	Run func(ctx context.Context) []Result
}

// Run carries out the checks in order and tells each result at once.
func Run(ctx context.Context, checks []Check, tell func(Result)) []Result {
	var all []Result
	missing := map[string]bool{} // that failed or were skipped
	for _, c := range checks {
		for _, r := range c.run(ctx, missing) {
			r.Name = c.Name
			r.Message, r.Remedy = redact.Text(r.Message), redact.Text(r.Remedy) // a path may be a secret in the wrong place
			missing[c.Name] = missing[c.Name] || r.Status == Fail || r.Status == Skip
			all = append(all, r)
			tell(r)
		}
	}
	return all
}

func (c Check) run(ctx context.Context, missing map[string]bool) []Result {
	if ctx.Err() != nil {
		return skip("interrupted")
	}
	for _, need := range c.Needs {
		if missing[need] {
			return skip("it makes no sense while the check %q does not pass", need)
		}
	}
	if c.Limit > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, c.Limit, fmt.Errorf("no answer within %s", c.Limit))
		defer cancel()
		ctx = limited
	}
	return c.Run(ctx)
}

// Failed reports whether one of the results is a failure.
func Failed(all []Result) bool {
	for _, r := range all {
		if r.Status == Fail {
			return true
		}
	}
	return false
}

func ok(format string, args ...any) []Result {
	return []Result{{Status: OK, Message: fmt.Sprintf(format, args...)}}
}

func skip(format string, args ...any) []Result {
	return []Result{{Status: Skip, Message: fmt.Sprintf(format, args...)}}
}

func warn(remedy, format string, args ...any) []Result {
	return []Result{{Status: Warn, Message: fmt.Sprintf(format, args...), Remedy: remedy}}
}

func fail(remedy, format string, args ...any) []Result {
	return []Result{{Status: Fail, Message: fmt.Sprintf(format, args...), Remedy: remedy}}
}

// FromError makes a result of an error, with the remedy that the error has.
func FromError(status Status, err error) []Result {
	message, do := remedy.Split(err)
	return []Result{{Status: status, Message: message, Remedy: do}}
}
