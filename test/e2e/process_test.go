package e2e

import (
	"io"
	"testing"

	"evergate/test/process"
)

// start runs the binary with these settings and no others. It is killed when the test ends.
func start(t *testing.T, environ []string, args ...string) *process.Process {
	t.Helper()
	return startWith(t, nil, environ, args...)
}

func startWith(t *testing.T, stdin io.Reader, environ []string, args ...string) *process.Process {
	t.Helper()
	cmd := process.Command(t, binary, environ, args...)
	cmd.Stdin = stdin
	return process.Start(t, cmd)
}

// finish runs the binary to its end.
func finish(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, environ, args...)
	code = p.Exit(t)
	return code, p.Out.String(), p.Err.String()
}
